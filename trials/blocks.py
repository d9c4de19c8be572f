"""What the store of a study consists of: groups of patients, their arrays, the keys of blocks and the tasks that fill
them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from solvers import derivative
from solvers.engine import Engine
from solvers.status import Status
from trials import key, schema, store
from trials.experiment import Experiment
from trials.simulate import Task
from trials.study import Study

CHUNK = 2048  # patients in a shard; a whole number of blocks


def groups(plan: Study) -> dict[str, int]:
    """Groups of the store and how many patients each has."""
    sizes = {schema.CANDIDATES: plan.size}
    uncertainty = plan.recipe.uncertainty
    if uncertainty.draws:
        sizes[schema.UNCERTAINTY] = uncertainty.draws * uncertainty.patients
    return sizes


def layout(plan: Study, numbers: Sequence[str] = ()) -> store.Layout:
    """The arrays that a study's lives fill, with units in their attributes; and their derivatives by some numbers."""
    lives = (schema.ARM, schema.PATIENT)
    units = {item.name: item.unit for item in plan.twin.outcomes}
    titles = {item.name: item.title for item in plan.twin.outcomes}
    variables: dict[str, tuple[tuple[str, ...], str, dict[str, Any]]] = {}
    outputs = [output.name for output in plan.twin.outputs]
    for outcome in plan.plan.outcomes:
        title = titles[outcome] or outcome
        if outcome in outputs:
            attributes = {"units": units[outcome], "long_name": title}
            seen = {"units": units[outcome], "long_name": f"{title}, measured at visits"}
            variables[outcome + schema.MEASURED] = ((*lives, schema.VISIT), "f8", seen)
        else:
            attributes = {"units": units[outcome], "long_name": f"{title}, taken since the record before"}
        variables[outcome] = ((*lives, schema.TIME), "f8", attributes)
    for fold in plan.plan.folds:
        variables[fold.name] = (lives, "f8", {"long_name": "gathered at every tick"})
    coordinates: dict[str, tuple[str, np.ndarray, dict[str, Any]]] = {
        schema.TIME: (schema.TIME, plan.record_days, {"units": "days", "long_name": "time from randomisation"}),
        schema.VISIT: (schema.VISIT, plan.visit_days, {"units": "days", "long_name": "time of the visit"}),
    }
    if numbers:
        for name in (*plan.plan.outcomes, *(fold.name for fold in plan.plan.folds)):
            derived = {"long_name": f"derivatives of {name}, each in its unit per unit of the number"}
            variables[name + schema.BY] = ((*variables[name][0], schema.NUMBER), "f8", derived)
        coordinates[schema.NUMBER] = (schema.NUMBER, np.array(numbers), {"long_name": "parameter or covariate"})
    meanings = " ".join(status.name.lower() for status in Status)
    variables[schema.ERROR] = (lives, "f8", {"long_name": "estimated error of the solution, relative", "units": "1"})
    variables[schema.STATUS] = (lives, "i1", {"flag_values": [int(s) for s in Status], "flag_meanings": meanings})
    for variable in plan.population.variables:
        described: dict[str, Any] = {"units": variable.unit, "long_name": variable.title or variable.name}
        described["kind"] = variable.kind
        if variable.levels:
            described |= {"flag_values": list(range(len(variable.levels))), "levels": list(variable.levels)}
        variables[variable.name] = ((schema.PATIENT,), "f8", described)
    variables[schema.ELIGIBLE] = ((schema.PATIENT,), "b1", {"long_name": "meets every criterion of eligibility"})
    variables[schema.PATIENT] = ((schema.PATIENT,), "i8", {"long_name": "number of the patient"})
    variables[schema.DRAW] = ((schema.PATIENT,), "i8", {"long_name": "draw of the population; 0 is the point estimate"})
    return store.Layout(variables, coordinates)


Keys = dict[str, dict[str, str]]


Engines = Mapping[str, Engine]


def block_keys(plan: Study, made_by: dict[str, Any], engines: Engines) -> Keys:
    """Keys by group and arm; arm '' is who the patients are."""
    return {name: _keys(plan, made_by, engines, name) for name in groups(plan)}


def experiment_keys(plan: Study, made_by: dict[str, Any], engines: Engines, experiment: Experiment) -> dict[str, str]:
    """Keys of an experiment by arm; arm '' is who its patients are."""
    return _keys(plan, made_by, engines, experiment.group, experiment.identity)


def _keys(plan: Study, made_by: dict[str, Any], engines: Engines, group: str, points: str = "") -> dict[str, str]:
    arms = {arm.name: key.arm_key(plan, arm, made_by, group, points, engines[arm.name].written()) for arm in plan.arms}
    return {"": key.patients_key(plan, made_by, group, points)} | arms


def tasks(plan: Study, folder: Path, chunk: int, width: int, engines: Engines, keys: Keys) -> list[Task]:
    """All tasks of a study: who the patients are, then their lives arm by arm."""
    found = []
    for name, size in groups(plan).items():
        # Whole blocks: the patients beyond the size are those that a larger study begins with.
        whole = -(-size // width) * width
        found += _cut(plan, folder, name, size, whole, chunk, width, engines, keys[name])
    return found


def cut(experiment: Experiment, chunk: int, width: int) -> tuple[int, int]:
    """Patients of a shard and of a block of an experiment, given those of its study.

    A life with its derivatives costs as much as many: a shard is one of the narrow blocks in which they are lived.
    """
    return (derivative.WIDTH, derivative.WIDTH) if experiment.numbers else (chunk, width)


def experiment_tasks(
    plan: Study,
    folder: Path,
    chunk: int,
    width: int,
    engines: Engines,
    experiment: Experiment,
    keys: dict[str, str],
) -> list[Task]:
    """All tasks of an experiment; its last block is no longer than its points."""
    chunk, width = cut(experiment, chunk, width)
    return _cut(plan, folder, experiment.group, experiment.lives, experiment.lives, chunk, width, engines, keys)


def _cut(
    plan: Study,
    folder: Path,
    group: str,
    size: int,
    end: int,
    chunk: int,
    width: int,
    engines: Engines,
    keys: dict[str, str],
) -> list[Task]:
    """A group's tasks, arm by arm, of patients before `size` and to `end` at most."""
    written = {"": "", **{arm: engine.written() for arm, engine in engines.items()}}
    return [
        Task(str(folder), plan.text, group, arm, number, start, min(start + chunk, end), width, written[arm], hashed)
        for arm, hashed in keys.items()
        for number, start in enumerate(range(0, size, chunk))
    ]
