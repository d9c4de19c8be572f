"""The engine of each arm: chosen from the study's first patients, once, and then the same for every block."""

import hashlib
import warnings
from collections.abc import Mapping

import numpy as np

from solvers import engine, tuning
from solvers.engine import Engine
from solvers.pilots import PILOTS, choose
from trials import key, schema
from trials.eligibility import eligible
from trials.people import people
from trials.study import Arm, Study

LOOKED_AT = 1024  # candidates among whom pilots are sought
Kept = Mapping[str, str]  # of a run: by arm and what it was chosen from, as `Engine.written` has it


def chosen(plan: Study, kept: Kept | None = None) -> dict[str, Engine]:
    """The engine of each arm; those that are kept for the same arm of the same study are not chosen again."""
    kept = kept or {}
    return {
        arm.name: engine.read(kept[name]) if (name := named(plan, arm)) in kept else of(plan, arm) for arm in plan.arms
    }


def keep(plan: Study, engines: Mapping[str, Engine]) -> dict[str, str]:
    """What a run keeps of them."""
    return {named(plan, arm): engines[arm.name].written() for arm in plan.arms}


def of(plan: Study, arm: Arm) -> Engine:
    """The engine of an arm, from its pilots. What was chosen before on this machine is found again.

    Raises ValueError for a tolerance out of reach.
    """
    if plan.twin.ode is None:
        return Engine("own", plan.tolerance)
    path = tuning.folder() / "engines" / f"{named(plan, arm).rpartition('-')[2]}.json"
    try:
        return engine.read(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = _choose(plan, arm)
    tuning.replace(path, found.written().encode())
    return found


def named(plan: Study, arm: Arm) -> str:
    """A name for all that the choice depends on; never the size of the study."""
    depends = f"{key.arm_key(plan, arm, key.engine(), '')} {plan.tolerance!r}"
    return f"{arm.name}-{hashlib.sha256(depends.encode()).hexdigest()[:32]}"


def _choose(plan: Study, arm: Arm) -> Engine:
    numbers = np.arange(LOOKED_AT)
    drawn = people(plan, schema.CANDIDATES, numbers).values  # whatever the size of the study
    inside = np.ones(LOOKED_AT, bool)
    for item in plan.twin.variables:
        inside &= (drawn[item.name] >= item.bounds[0]) & (drawn[item.name] <= item.bounds[1])
    wanted = inside & eligible(plan.criteria, drawn)
    pilots = np.flatnonzero(wanted if wanted.any() else inside)[:PILOTS]
    if not len(pilots):
        pilots = numbers[:PILOTS]
    values = {item.name: drawn[item.name][pilots] for item in plan.twin.variables}
    found = choose(plan.twin, arm.policy, plan.plan, plan.seed, pilots, values, plan.tolerance)
    if found.tier == "stiff":
        warnings.warn(
            f"arm '{arm.name}': twin '{plan.twin.name}' is stiff and is solved by diffrax's Kvaerno5, which is slow; "
            "`trialtwin check` tells what it will take",
            stacklevel=2,
        )
    return found
