"""Whether a study can be done at all, and what it would cost, before anything is kept."""

import time
from typing import NamedTuple

import numpy as np

from solvers.solve import WIDTH, solver
from trials import engines, schema
from trials.blocks import groups, layout
from trials.eligibility import eligible
from trials.people import people
from trials.study import Study

LOOKED_AT = 65_536  # candidates drawn to see who is eligible


class Cost(NamedTuple):
    """What a study would take. seconds: of one core, measured on one block per arm, compilation apart.

    memory: of one process at its widest [bytes]; stored: arrays before compression [bytes]. stiff: arms whose twin only
    an implicit method solves, slowly.
    """

    lives: int
    seconds: float
    compilation: float
    stored: int
    memory: int
    stiff: tuple[str, ...] = ()


class Candidates(NamedTuple):
    """Of the candidates looked at, how many are eligible, and of those how many the twin cannot be solved for."""

    looked: int
    eligible: int
    outside: int


def check(plan: Study) -> Candidates:
    """Who may enter, among the candidates looked at.

    Raises ValueError, with file and line, where too few may enter for the trial.
    """
    looked = min(plan.size, LOOKED_AT)
    values = people(plan, schema.CANDIDATES, np.arange(looked)).values
    can_enter = eligible(plan.criteria, values)
    sound = np.ones(looked, bool)
    for variable in plan.twin.variables:
        low, high = variable.bounds
        sound &= (values[variable.name] >= low) & (values[variable.name] <= high)
    count, outside = int(can_enter.sum()), int((can_enter & ~sound).sum())
    if count == 0:
        plan.source.refuse(("eligibility",), f"none of {looked:,} candidates is eligible; widen the criteria")
    usable = count - outside
    expected = usable if looked == plan.size else int(usable / looked * plan.size)
    if expected < plan.trial.subjects:
        plan.source.refuse(
            ("trial", "subjects"),
            f"the trial needs {plan.trial.subjects:,} subjects and about {expected:,} of {plan.size:,} candidates "
            "are eligible and within the twin's bounds; raise population: size, widen eligibility or lower "
            "trial: subjects",
        )
    return Candidates(looked, count, outside)


def cost(plan: Study, width: int = WIDTH) -> Cost:
    """Cost of the study, from one block of its patients solved under every arm."""
    numbers = np.arange(min(width, plan.size))
    values = people(plan, schema.CANDIDATES, numbers).values
    seconds = compilation = 0.0
    solved_by = engines.chosen(plan)
    for arm in plan.arms:
        solve = solver(plan.twin, arm.policy, plan.plan, plan.seed, solved_by[arm.name], width)
        times = []
        for _ in range(2):
            began = time.perf_counter()
            solve(numbers, values)
            times.append(time.perf_counter() - began)
        compilation += max(times[0] - times[1], 0.0)
        seconds += times[1]
    patients = sum(groups(plan).values())
    shape = layout(plan)
    lengths = {name: len(values) for name, values, _ in shape.coordinates.values()} | {schema.ARM: len(plan.arms)}
    stored = each = 0
    for dimensions, dtype, _ in shape.variables.values():
        others = int(np.prod([lengths[dimension] for dimension in dimensions if dimension != schema.PATIENT]))
        stored += others * patients * np.dtype(dtype).itemsize
        each += others * np.dtype(dtype).itemsize
    blocks = sum(-(-size // width) for size in groups(plan).values())
    # A worker holds the libraries, one chunk three times over, and the trajectories of a block at every tick.
    ticks = (plan.plan.ticks + 1) * width * 8 * (len(plan.twin.outputs) * 4 + len(plan.twin.actions))
    memory = 400_000_000 + 3 * 2048 * each + ticks
    stiff = tuple(name for name, engine in solved_by.items() if engine.tier == "stiff")
    return Cost(patients * len(plan.arms), seconds * blocks, compilation, stored, memory, stiff)
