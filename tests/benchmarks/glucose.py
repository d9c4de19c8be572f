"""Claim: a day of a patient with type-1 diabetes costs a ten-thousandth of a second of one core.

Fourteen days of synthetic adults, five meals a day, a pulse of insulin every five minutes, given beforehand:
patient-days per CPU-second with all that is not compilation (meals, sensor and days of each patient are drawn within
the time). How far off: against the first days of the same courses solved to 1e-5. Then the study `closed-loop`, tick by
tick under a pump that decides every five minutes. simglucose 0.2.11 took 2.6 to 3.4 s of CPU for a patient-day on the
machine where its reference days were made; that our equations give those days is a test (tests/test_glucose.py).
    ./dev bench glucose
"""

import statistics
import sys
import time

import numpy as np

from populations.population import Recipe, build
from solvers import twins
from solvers.course import Course, course
from solvers.solve import WIDTH, solver
from solvers.status import REASONS, Status
from solvers.twins.glucose import meal
from trials import engines, schema, study
from trials.people import people

PATIENTS, DAYS, ROUNDS = 1024, 14, 5
TICKS = 288  # of a day
TOLERANCE, FINE, FINELY = 1e-3, 1e-5, 2  # relative, relative, days  # relative
ASKED = 10_000.0  # patient-days per CPU-second
SIMGLUCOSE = (2.6, 3.4)  # s of CPU per patient-day
TWIN = twins.load("glucose")


def patients(first: int, last: int) -> dict[str, np.ndarray]:
    drawn = build(TWIN, Recipe("type-1-adults", "sobol", 20261122)).draw(first, last)
    return {variable.name: np.asarray(drawn[variable.name], float) for variable in TWIN.variables}


def insulin(days: int) -> np.ndarray:
    """Units in every tick: a basal rate low enough for everyone, and a bolus with every usual meal."""
    units = np.full(days * TICKS, 0.05)
    for day in range(days):
        for hour, share in zip(meal.TIMES, meal.SHARES, strict=True):
            units[day * TICKS + round(12 * hour)] += round(220.0 * share / 14.0, 1)
    return units


def closed_loop() -> float:
    """Patient-days per CPU-second of a block of the study `closed-loop` under its model-predictive pump."""
    plan = study.read(study.find("closed-loop"))
    arm = plan.arm("hybrid")
    solve = solver(plan.twin, arm.policy, plan.plan, plan.seed, engines.of(plan, arm))
    drawn = people(plan, schema.CANDIDATES, np.arange(WIDTH))
    took = []
    for turn in range(3):
        began = time.process_time()
        solve(drawn.luck, drawn.values)
        if turn:
            took.append(time.process_time() - began)
    return WIDTH * DAYS / statistics.median(took)


def main() -> int:
    given, pilots = patients(0, PATIENTS), patients(PATIENTS, PATIENTS + 64)
    amounts = {"insulin": insulin(DAYS)}
    solve, engine = course(TWIN, 1.0 / 12.0, amounts, pilots, TOLERANCE)
    took = []
    found: Course | None = None
    for turn in range(ROUNDS + 1):
        began = time.process_time()
        found = solve(given)
        if turn:  # the first compiles
            took.append(time.process_time() - began)
    assert found is not None
    rate = PATIENTS * DAYS / statistics.median(took)
    some = {name: values[:64] for name, values in given.items()}
    exact = course(TWIN, 1.0 / 12.0, {"insulin": insulin(FINELY)}, some, FINE)[0](some).outputs["glucose"]
    off = np.abs(found.outputs["glucose"][: len(exact), :64] - exact)
    relative = (off / np.abs(exact)).max()
    print(f"{PATIENTS:,} patients for {DAYS} days: {engine.counts[0]} + {engine.halvings[0]} steps in five minutes")
    print(f"by {engine.pair} in code {engine.code}, tolerance {TOLERANCE:g}")
    for status, count in enumerate(np.bincount(found.status)):
        if count:
            print(f"  {count} {REASONS[Status(status)]}")
    print(f"{rate:,.0f} patient-days per CPU-second (asked {ASKED:,.0f}); simglucose, of which one takes 2.6 to 3.4 s:")
    print(f"  {rate * SIMGLUCOSE[0]:,.0f} to {rate * SIMGLUCOSE[1]:,.0f} times as long")
    print(f"glucose of 64 patients off by at most {off.max():.3f} mg/dL, or {relative:.1e} of it")
    print(f"in closed loop by model-predictive control: {closed_loop():,.0f} patient-days per CPU-second")
    return int(rate < ASKED or relative > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
