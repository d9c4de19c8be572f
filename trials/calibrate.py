"""Finds the value of one parameter at which an arm of a study has a wanted mean of an endpoint.

All tries live the same patients with the same luck, so that the mean moves with the parameter alone; between two values
on either side of it, by Brent's method (scipy.optimize.brentq). No other arm is looked at.

    python -m trials.calibrate STUDY ARM ENDPOINT WANTED PARAMETER LOW HIGH

prints every try, with the SD over patients.
"""

import copy
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.optimize import brentq

from solvers.solve import WIDTH, solver
from solvers.status import Status
from trials import document, engines, schema
from trials import study as studies
from trials.people import people
from trials.study import Study

CLOSE = 0.005  # of the range that is searched: how well the parameter is found


def with_typical(path: Path, parameter: str, value: float) -> Study:
    """The study of a file with another typical value of a parameter. Raises ValueError for one that there is not."""
    source = document.read(path)
    tree = copy.deepcopy(source.tree)
    units = {each.name: each.unit for each in studies.read(path).twin.parameters}
    if parameter not in units:
        raise ValueError(f"'{parameter}' is no parameter of the twin; write one of: {', '.join(units)}")
    own = tree["population"].setdefault("parameters", {}).setdefault(parameter, {})
    own["typical"] = f"{value!r} {units[parameter]}" if units[parameter] != "1" else repr(value)
    return studies.study(dataclasses.replace(source, tree=tree), path.parent)


def outcome(plan: Study, arm: str, endpoint: str, engine: engines.Engine) -> np.ndarray:
    """True values of an endpoint under an arm, of the candidates whose lives are sound, (patient,).

    Raises ValueError for an endpoint that is not gathered as a number.
    """
    asked = next((each for each in plan.endpoints if each.name == endpoint and each.numeric), None)
    if asked is None:
        numeric = ", ".join(each.name for each in plan.endpoints if each.numeric)
        raise ValueError(f"'{endpoint}' is no endpoint with a mean; write one of: {numeric}")
    solve = solver(plan.twin, plan.arm(arm).policy, plan.plan, plan.seed, engine)
    parts = []
    for start in range(0, plan.size, WIDTH):
        drawn = people(plan, schema.CANDIDATES, np.arange(start, min(start + WIDTH, plan.size)))
        lives = solve(drawn.luck, drawn.values)
        parts.append(lives.folds[str(asked.fold)][lives.status == Status.OK])
    return np.concatenate(parts)


def calibrate(
    path: Path,
    arm: str,
    endpoint: str,
    wanted: float,
    parameter: str,
    between: tuple[float, float],
    tell: Callable[[float, np.ndarray], None],
) -> float:
    """The value within `between`. tell(value, endpoint of patients) hears of every try.

    Raises ValueError where the wanted mean does not lie between those of the two ends.
    """
    found: dict[float, float] = {}
    middle = with_typical(path, parameter, sum(between) / 2.0)
    engine = engines.of(middle, middle.arm(arm))

    def off(value: float) -> float:
        if value not in found:
            values = outcome(with_typical(path, parameter, value), arm, endpoint, engine)
            tell(value, values)
            found[value] = float(values.mean()) - wanted
        return found[value]

    if off(between[0]) * off(between[1]) > 0:
        raise ValueError(f"{wanted:g} does not lie between the means at {between[0]:g} and {between[1]:g}; go wider")
    return float(brentq(off, *between, xtol=CLOSE * (between[1] - between[0])))


def main() -> None:
    if len(sys.argv) != 8:
        print("calibrate takes 7 words: STUDY ARM ENDPOINT WANTED PARAMETER LOW HIGH", file=sys.stderr)
        sys.exit(2)
    study, arm, endpoint, wanted, parameter, low, high = sys.argv[1:]

    def tell(value: float, values: np.ndarray) -> None:
        print(f"{parameter} {value:.4f}: mean {values.mean():.4f}, SD {values.std(ddof=1):.4f}", flush=True)

    try:
        path, between = studies.find(study), (float(low), float(high))
        print(f"{calibrate(path, arm, endpoint, float(wanted), parameter, between, tell):.3f}")
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
