"""Claim: blocks of 256 lanes are within a few per cent of the fastest width for the demonstration study.

Patients per CPU-second of one arm at several widths, interleaved, and the ratio to the width that is used. Run it with
./dev bench width.
"""

import statistics
import time

import numpy as np

from solvers.solve import WIDTH, solver
from trials import engines
from trials.study import find, read

WIDTHS = (64, 128, 256, 512, 1024)
ROUNDS = 5


def main() -> None:
    plan = read(find("warfarin-genotype"))
    arm = plan.arms[0]
    values = plan.population.draw(0, max(WIDTHS))
    solves = {
        width: solver(plan.twin, arm.policy, plan.plan, plan.seed, engines.of(plan, arm), width) for width in WIDTHS
    }
    rates: dict[int, list[float]] = {width: [] for width in WIDTHS}
    for turn in range(ROUNDS + 1):
        for width, solve in solves.items():
            part = {name: value[:width] for name, value in values.items()}
            began = time.process_time()
            solve(np.arange(width), part)
            if turn:  # the first compiles
                rates[width].append(width / (time.process_time() - began))
    base = statistics.median(rates[WIDTH])
    print("width  patients per CPU-second  ratio to the width in use")
    for width in WIDTHS:
        rate = statistics.median(rates[width])
        print(f"{width:5d}  {rate:23.0f}  {rate / base:25.2f}")


if __name__ == "__main__":
    main()
