"""Claim: two hard tasks are solved many times as fast as by the fastest open solver, at the same error.

T1: a drug under fourteen doses and its effect, to a largest error of 2.7e-6; its equations have the structure for the
exact tier, and the explicit one is timed beside it. T2: ten seconds of a circulation with valves, to 1.5e-5. Every
patient's error is estimated; who is off by more is solved again, within the time that is counted. Beside: numbalsoda
(where it is installed: `uv pip install numbalsoda`, which needs cmake and a Fortran compiler), diffrax, SciPy, and for
each tier a loop in C by hand of the same method and as many steps. Patients per CPU-second, interleaved, medians.
Errors against solutions to 1e-10 of the first patients, where ../shared has them; else against our own at a tolerance
of 1e-9. Last, days of type-1 diabetes beside simglucose, as `./dev bench glucose` has them.
    ./dev bench solve

What limits the explicit tier is the arithmetic: the table tells the share of the measured peak of fused multiply-adds
that its additions and multiplications alone reach; divisions and exponentials come on top. The exact tier is limited
by the same and by memory: it writes 2.7 kB of outputs for a microsecond of arithmetic. What the loops by hand have
ahead, a third of our time or less: a person rewrites the algebra (1 - c / (EC50 + c) as EC50 / (EC50 + c)) and takes
sums of parameters once; and solving again who is off by more than the tolerance is within our time alone.
"""

import ctypes
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import glucose
import loops
import models
import numpy as np
import peers

from solvers.code import code
from solvers.course import Course, course
from solvers.engine import PAIRS, Engine

ROUNDS = 5
REFERENCE = Path(__file__).parents[3] / "shared/reference/solver/reference.npz"


class Asked(NamedTuple):
    """error: largest that is asked. tolerance: that reaches it. ratio: to numbalsoda. patients: of a round. tried:
    tolerances of the table of work and precision."""

    error: float
    tolerance: float
    ratio: float
    patients: int
    tried: tuple[float, ...]


SLOWER = 1.5  # times a loop in C by hand
EXPLICITLY = 2e-5  # tolerance of the explicit tier at which it meets the error of T1
ASKED = {
    "T1": Asked(2.7e-6, 2.7e-6, 80.0, 8_192, (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)),
    "T2": Asked(1.5e-5, 1e-4, 18.0, 2_048, (1e-3, 1e-4, 1e-5, 1e-6)),
}
FEW = {"numbalsoda": 256, "diffrax": 512, "SciPy": 4}  # patients of a round


def prepared(
    task: models.Task, tolerance: float, exactly: bool = True
) -> tuple[Callable[[np.ndarray], Course], Engine]:
    """solve(parameters) -> Course, on steps chosen from other patients than those that are timed, and its engine."""
    twin, tick = models.twin(task), float(task.times[1])
    amounts = {"dose": np.where(np.isin(task.times[:-1], task.doses), task.dose, 0.0)}
    pilots = task.patients(64, seed=7)
    solve, engine = course(
        twin, tick, amounts, dict(zip(task.parameters, pilots, strict=True)), tolerance, exactly=exactly
    )
    return lambda p: solve(dict(zip(task.parameters, p, strict=True))), engine


def outputs(found: Course) -> np.ndarray:
    return np.stack(list(found.outputs.values()), 1)


def truth(task: models.Task) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and true outputs of the first patients."""
    if REFERENCE.exists():
        known = np.load(REFERENCE)[task.name.lower()]
        return task.patients(200)[:, : known.shape[2]], known
    given = task.patients(200)[:, :32]
    return given, outputs(prepared(task, 1e-9)[0](given))


def seconds(solve: Callable[[np.ndarray], Any], given: np.ndarray) -> float:
    """CPU-seconds a patient: the least of three in a row, as the first finds caches and memory as its forerunner left
    them."""
    return min(_spent(lambda: solve(given)) for _ in range(3)) / given.shape[1]


def peak() -> float:
    """Additions and multiplications per second of one core that does nothing else."""
    rounds = 20_000_000
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "peak.so"
        source = loops.HERE / "peak.c"
        subprocess.run(["cc", *loops.FLAGS, "-funroll-loops", "-o", str(made), str(source)], check=True)
        run = ctypes.CDLL(str(made)).peak
        run.restype = ctypes.c_double
        best = min(_spent(lambda: run(ctypes.c_long(rounds))) for _ in range(3))
    return rounds * 16 * 8 * 2 / best


def _spent(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def operations(task: models.Task, engine: Engine) -> float:
    """Additions and multiplications of one patient's course."""
    pair = PAIRS[engine.pair]
    machine = code(models.twin(task), pair)
    if machine is None:
        return float("nan")
    program = machine.library.program
    slopes = sum(node.op in ("add", "sub", "mul") for node in program.nodes)
    sums = 2 * (sum(bool(a) for row in (*pair.a, pair.e) for a in row)) * len(task.states)
    steps = sum(engine.counts) + sum(engine.halvings)
    return steps * (pair.evaluations * slopes + sums)


def by_hand(task: models.Task, engine: Engine) -> Callable[[np.ndarray], Any]:
    """The loop in C of an engine's method: of its mesh, or of as many equal steps."""
    if engine.tier == "exact":
        return lambda p: loops.t1exact(p, engine.counts, engine.halvings)
    same = max(1, round((sum(engine.counts) + sum(engine.halvings)) / (len(task.times) - 1)))
    if task.name == "T1":
        return lambda p: loops.t1(p, same)
    return lambda p: loops.t2(task.initial(p), p, same)


def main() -> int:
    short, best = [], peak()
    print(f"peak of one core: {best / 1e9:.0f} GFLOP/s\n")
    for task in (models.T1, models.T2):
        asked = ASKED[task.name]
        given, exact = truth(task)
        solve, engine = prepared(task, asked.tolerance)
        tiers = {"trialtwin": (solve, engine)}
        if engine.tier == "exact":
            tiers["explicit"] = prepared(task, EXPLICITLY, exactly=False)
        others: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "diffrax": peers.by_diffrax(task),
            "SciPy": peers.by_scipy(task),
        }
        if peers.HERE:
            others = {"numbalsoda": peers.numbalsoda(task)} | others
        many = task.patients(asked.patients, seed=5)
        runs: dict[str, tuple[Callable[[np.ndarray], Any], np.ndarray]] = {}
        for name, (solved, by) in tiers.items():
            runs |= {name: (solved, many), f"{name}, C": (by_hand(task, by), many)}
        runs |= {name: (other, many[:, : FEW[name]]) for name, other in others.items()}
        spent: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(ROUNDS + 1):
            for name, (each, patients) in runs.items():
                took = seconds(each, patients)
                if turn:  # the first compiles
                    spent[name].append(took)
        rate = {name: 1.0 / statistics.median(took) for name, took in spent.items()}
        # Pairs of one turn, so that both met the same machine.
        base = "numbalsoda" if peers.HERE else "diffrax"
        ratio = {
            name: statistics.median(b / a for a, b in zip(took, spent[base], strict=True))
            for name, took in spent.items()
        }
        error = dict.fromkeys(runs, float("nan"))
        error |= {name: task.error(outputs(solved(given)), exact).max() for name, (solved, _) in tiers.items()}
        for name, other in others.items():
            some = slice(0, FEW[name])
            error[name] = task.error(other(given[:, some]), exact[:, :, some]).max()
        print(f"{task.name}, largest error asked {asked.error:g}, by the {engine.tier} tier")
        print(f"{'':14}{'patients/CPU-s':>16}{'largest error':>16}{'x ' + base:>16}")
        for name in runs:
            print(f"{name:14}{rate[name]:16,.0f}{error[name]:16.1e}{ratio[name]:16.1f}")
        for name, (solved, by) in tiers.items():
            slower = statistics.median(b / a for a, b in zip(spent[f"{name}, C"], spent[name], strict=True))
            if slower > SLOWER:
                short.append(f"{task.name} {name} beside C by hand")
            print(
                f"  {name}: {sum(by.counts) + sum(by.halvings)} steps in code {by.code}, {slower:.2f} times C by hand"
            )
            print(f"    largest error told for any of {asked.patients:,} patients: {solved(many).error.max():.1e}")
            if by.tier == "explicit":
                share = operations(task, by) * rate[name] / best
                print(f"    {share:.0%} of the peak by additions and multiplications")
        if error["trialtwin"] > asked.error or (peers.HERE and ratio["trialtwin"] < asked.ratio):
            short.append(task.name)
        print(f"\n{task.name}: work and precision")
        print(f"{'tolerance':>10}{'steps':>8}{'largest error':>16}{'patients/CPU-s':>16}")
        for tolerance in asked.tried:
            solve, engine = prepared(task, tolerance)
            found = task.error(outputs(solve(given)), exact).max()
            some = many[:, : asked.patients // 4]
            took = seconds(solve, some)
            print(f"{tolerance:10.0e}{sum(engine.counts) + sum(engine.halvings):8}{found:16.1e}{1 / took:16,.0f}")
        print()
    if glucose.main():
        short.append("glucose")
    if short:
        print(f"short of what is asked: {', '.join(short)}")
    return int(bool(short))


if __name__ == "__main__":
    sys.exit(main())
