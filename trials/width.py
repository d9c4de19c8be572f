"""How many patients are solved together: measured where a run is so large that it pays."""

import json
import time
from collections.abc import Mapping

import numpy as np

from solvers import tuning
from solvers.engine import Engine
from solvers.solve import WIDTH, solver
from trials import engines, schema
from trials.people import people
from trials.study import Study

WIDTHS = (WIDTH, 512, 1024)
PAYS = 2_000_000  # lives: compiling every width takes half a minute, and wider blocks are a tenth faster at best
ROUNDS = 5
ALIKE = 1.03  # a width that is slower than the best by no more is as good; the narrowest of them needs least memory


def of(plan: Study, solved_by: Mapping[str, Engine], lives: int, chunk: int) -> int:
    """The width for a run of so many lives; a divisor of `chunk`. What was measured on this machine is found again."""
    widths = [width for width in WIDTHS if chunk % width == 0]
    if lives < PAYS or len(widths) < 2:
        return WIDTH
    path = tuning.folder() / "widths" / f"{engines.named(plan, plan.arms[0]).rpartition('-')[2]}.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept in widths:
            return int(kept)
    except (OSError, ValueError):
        pass
    found = fastest(plan, solved_by, widths)
    tuning.replace(path, json.dumps(found).encode())
    return found


def fastest(plan: Study, solved_by: Mapping[str, Engine], widths: list[int]) -> int:
    """The narrowest width that is as fast as any, by processor time of the first arm."""
    arm = plan.arms[0]
    numbers = np.arange(max(widths))
    values = people(plan, schema.CANDIDATES, numbers).values
    solves = {w: solver(plan.twin, arm.policy, plan.plan, plan.seed, solved_by[arm.name], w) for w in widths}
    times: dict[int, list[float]] = {width: [] for width in widths}
    for turn in range(ROUNDS + 1):
        for width, solve in solves.items():
            part = {name: value[:width] for name, value in values.items()}
            began = time.process_time()
            solve(numbers[:width], part)
            if turn:  # the first compiles
                times[width].append((time.process_time() - began) / width)
    each = {width: min(found) for width, found in times.items()}
    return min(width for width in widths if each[width] <= ALIKE * min(each.values()))
