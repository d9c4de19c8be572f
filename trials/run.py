"""Running a study: which blocks it lacks, handed to a map, kept in the store."""

import json
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from solvers import engine
from solvers.engine import Engine
from solvers.status import REASONS, Status
from trials import document, engines, key, schema, store, width
from trials import experiment as experiments
from trials.blocks import (
    CHUNK,
    Engines,
    Keys,
    block_keys,
    cut,
    experiment_keys,
    experiment_tasks,
    groups,
    layout,
    tasks,
)
from trials.experiment import Experiment
from trials.simulate import Record, Task, simulate
from trials.study import Study, study

Map = Callable[[Callable[[Task], Record], Iterable[Task]], Iterator[Record]]
Progress = Callable[[Record | None, int, int], None]


class Outcome(NamedTuple):
    """What a run did. total: tasks of the study. computed: records of those that were not there already."""

    folder: Path
    total: int
    computed: tuple[Record, ...]


def run(
    plan: Study,
    out: Path | str,
    *,
    map: Map = map,
    chunk: int | None = None,
    progress: Progress | None = None,
    experiment: Experiment | None = None,
) -> Outcome:
    """Simulates what the folder lacks of the study, or of an experiment on it; a finished one recomputes nothing.

    map(function, tasks) yields the records as they come; progress(record, done, total) is called after each, and
    once with None before the first. chunk: patients in a shard, fixed when the store is made.
    Raises ValueError for a folder that holds other patients, is being written, or cannot be read.
    """
    folder = Path(out).absolute()
    made_by = key.engine()
    if chunk is not None and (chunk <= 0 or chunk % made_by["width"]):
        raise ValueError(f"chunk {chunk} is no whole number of blocks; write a multiple of {made_by['width']}")
    with store.writer(folder):
        store.sweep(folder)
        kept: engines.Kept = {}
        if store.exists(folder):
            chunk, made_by, kept = _resumed(plan, folder, chunk, made_by)
        chunk = CHUNK if chunk is None else chunk
        sizes, solved_by = groups(plan), engines.chosen(plan, kept)
        if not store.exists(folder):
            made_by["width"] = width.of(plan, solved_by, len(plan.arms) * sum(sizes.values()), chunk)
        if experiment is None or not store.exists(folder):
            keys = _begun(plan, folder, chunk, made_by, solved_by)
            every = tasks(plan, folder, chunk, int(made_by["width"]), solved_by, keys)
        if experiment is not None:
            _same_study(plan, folder)
            sizes = {experiment.group: experiment.lives}
            own = experiment_keys(plan, made_by, solved_by, experiment)
            experiments.keep(folder, experiment, own)
            _prepare(plan, folder, sizes, *cut(experiment, chunk, int(made_by["width"])), experiment.numbers)
            every = experiment_tasks(plan, folder, chunk, int(made_by["width"]), solved_by, experiment, own)
        shelves = {name: store.shelf(folder, name) for name in sizes}
        lacking = [
            task
            for task in every
            if not store.sound(
                shelves[task.group], store.done(shelves[task.group], task.arm, task.chunk, task.stop, task.key)
            )
        ]
        if progress:
            progress(None, len(every) - len(lacking), len(every))
        computed = []
        for record in map(simulate, lacking):
            computed.append(record)
            if progress:
                progress(record, len(every) - len(lacking) + len(computed), len(every))
        store.finish(folder, sizes)
    return Outcome(folder, len(every), tuple(computed))


def _begun(plan: Study, folder: Path, chunk: int, made_by: dict[str, Any], solved_by: Engines) -> Keys:
    _prepare(plan, folder, groups(plan), chunk, int(made_by["width"]))
    keys = block_keys(plan, made_by, solved_by)
    store.group(folder, "").attrs.update(_attributes(plan, chunk, made_by, solved_by, keys))
    store.write_text(folder / store.STUDY, plan.text)
    return keys


def _prepare(
    plan: Study, folder: Path, sizes: dict[str, int], chunk: int, width: int, numbers: tuple[str, ...] = ()
) -> None:
    shape, arms = layout(plan, numbers), [arm.name for arm in plan.arms]
    for name, size in sizes.items():
        store.prepare(folder, name, shape, arms, size, chunk, width)


def _same_study(plan: Study, folder: Path) -> None:
    if (folder / store.STUDY).read_text(encoding="utf-8") != plan.text:
        raise ValueError(
            f"{folder} holds another version of the study; run it first with: trialtwin run STUDY --out {folder}, "
            "or give another --out"
        )


def _attributes(plan: Study, chunk: int, made_by: dict[str, Any], solved_by: Engines, keys: Keys) -> dict[str, Any]:
    return {
        "study": plan.text,
        "seed": plan.seed,
        "engine": json.dumps(made_by, sort_keys=True),
        "engines": json.dumps(engines.keep(plan, solved_by)),
        "chunk": chunk,
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "keys": json.dumps(keys),
    }


def _resumed(
    plan: Study, folder: Path, chunk: int | None, made_by: dict[str, Any]
) -> tuple[int, dict[str, Any], engines.Kept]:
    """Chunk and engines of the store that is there. Raises ValueError where it cannot take this study."""
    attributes = dict(store.group(folder, "").attrs)
    if "keys" not in attributes:  # killed before anything was computed
        shutil.rmtree(folder / store.COHORT)
        shutil.rmtree(folder / store.MARKERS, ignore_errors=True)
        return chunk or CHUNK, made_by, {}
    stored, kept, solved_by, keys = _made(folder)
    if chunk not in (None, stored):
        raise ValueError(f"{folder} has chunks of {stored}, not {chunk}; leave --chunk out, or give another --out")
    if kept.get("flags") != made_by["flags"]:
        raise ValueError(
            f"{folder} was computed with XLA_FLAGS {kept.get('flags')}, here they are {made_by['flags']}, which may "
            "change the last bits; go on with the same processor and flags, or give another --out"
        )
    made_by = made_by | {"width": kept["width"]}
    if key.patients_key(plan, made_by, "") != keys[""][""]:
        raise ValueError(
            f"{folder} holds other patients (another population, seed, eligibility, twin or version); "
            "give another --out, or remove the folder"
        )
    before = store.open_group(folder, "")
    for name, days in ((schema.TIME, plan.record_days), (schema.VISIT, plan.visit_days)):
        if not np.array_equal(before[name].values, days):
            raise ValueError(f"{folder} was run with other times of {name}; give another --out, or remove the folder")
    return stored, made_by, solved_by


def verify(folder: Path, plan: Study, experiment: str | None = None) -> None:
    """Raises ValueError for a block whose values are not those that were written: of the study, or of an experiment."""
    sizes = groups(plan) if experiment is None else {experiment: experiments.read(folder, experiment).lives}
    shelves = {name: store.shelf(folder, name) for name in sizes}
    arms = ["", *(arm.name for arm in plan.arms)]
    for marker in store.markers(folder):
        # Only what the study still has is read: a dropped arm or draw harms no number.
        known = marker.group in sizes and marker.arm in arms and marker.start < sizes[marker.group]
        if known and not store.sound(shelves[marker.group], marker):
            what = f"arm '{marker.arm}'" if marker.arm else "the population"
            raise ValueError(
                f"{folder}: patients {marker.start}-{marker.stop - 1} of {what} are damaged; "
                f"heal them with: {_command(folder, marker.group)}"
            )


def _command(folder: Path, group: str) -> str:
    """The command that completes a group."""
    if group.startswith(schema.EXPERIMENTS):
        return f"trialtwin sensitivity {folder}"
    return f"trialtwin run {folder / store.STUDY} --out {folder}"


class State(NamedTuple):
    """How far a run is. done, total: tasks. statuses: (group, arm) -> lives by how they ended. failures: the ledger."""

    study: Study
    done: int
    total: int
    statuses: dict[tuple[str, str], dict[str, int]]
    failures: list[dict]


def state(folder: Path | str) -> State:
    """How far the run in a folder is. Raises ValueError where it holds none."""
    folder = Path(folder)
    plan, every = _tasks_of(folder)
    failures, done = [], 0
    shelves = {name: store.shelf(folder, name) for name in groups(plan)}
    for task in every:
        marker = store.done(shelves[task.group], task.arm, task.chunk, task.stop, task.key)
        if marker is None:
            continue
        done += 1
        # Whole blocks are computed: patients beyond the study's size are none of its business.
        failures += [failure for failure in marker.failures if failure["patient"] < groups(plan)[task.group]]
    statuses: dict[tuple[str, str], dict[str, int]] = {}
    for name, size in groups(plan).items():
        data = store.open_group(folder, name).isel({schema.PATIENT: slice(0, size)})
        statuses[name, ""] = {"eligible": int(data[schema.ELIGIBLE].values.sum())}
        for arm in (arm.name for arm in plan.arms):
            counts = np.bincount(data[schema.STATUS].sel({schema.ARM: arm}).values, minlength=len(Status))
            statuses[name, arm] = {REASONS[status]: int(counts[status]) for status in Status if counts[status]}
    return State(plan, done, len(every), statuses, failures)


def _tasks_of(folder: Path) -> tuple[Study, list[Task]]:
    """The study of a folder and its tasks, by the keys of the time of the run: an older one stays readable after the
    software has moved on. Raises ValueError where there is no run.
    """
    path = folder / store.STUDY
    if not path.exists() or not store.exists(folder):
        raise ValueError(f"{folder} holds no run; make one with: trialtwin run STUDY --out {folder}")
    plan = study(document.read(path), folder)
    chunk, made_by, solved_by, keys = _made(folder)
    try:
        return plan, tasks(plan, folder, chunk, int(made_by["width"]), _by_arm(plan, solved_by), keys)
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{folder} does not say how it was made; run the study again") from error


def _made(folder: Path) -> tuple[int, dict[str, Any], engines.Kept, Keys]:
    """Chunk, engines and keys of a store. Raises ValueError where it does not say them."""
    attributes = dict(store.group(folder, "").attrs)
    try:
        engine, solved_by, keys = (json.loads(str(attributes[name])) for name in ("engine", "engines", "keys"))
        int(engine["width"])
        return int(str(attributes["chunk"])), engine, solved_by, keys
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{folder} does not say how it was made; run the study again") from error


def _by_arm(plan: Study, kept: engines.Kept) -> dict[str, Engine]:
    """The engines that a run was solved by. Raises KeyError for an arm that has none."""
    by_arm = {name.rpartition("-")[0]: engine.read(text) for name, text in kept.items()}
    return {arm.name: by_arm[arm.name] for arm in plan.arms}


def lived(folder: Path | str, group: str) -> tuple[Study, Experiment, xr.Dataset]:
    """The study of a folder, an experiment on it and its lives, dims (arm, patient, time), opened lazily.

    Raises ValueError where there is no such experiment, it was made for another version of the study or of the
    software, or a block of it is not written.
    """
    folder = Path(folder)
    plan, _ = _tasks_of(folder)
    experiment, own = experiments.read(folder, group), experiments.keys(folder, group)
    chunk, made_by, kept, _ = _made(folder)
    solved_by = _by_arm(plan, kept)
    if own != experiment_keys(plan, made_by, solved_by, experiment):
        raise ValueError(
            f"{folder}: experiment '{experiment.name}' is of another version of the study or the software; "
            f"do it again with: trialtwin sensitivity {folder}"
        )
    every = experiment_tasks(plan, folder, chunk, int(made_by["width"]), solved_by, experiment, own)
    return plan, experiment, _opened(plan, folder, group, every, experiment.lives)


def cohort(folder: Path | str, group: str = schema.CANDIDATES) -> tuple[Study, xr.Dataset]:
    """The study of a run and its cohort, dims (arm, patient, time), opened lazily.

    group: '' for the candidates (draw 0), 'uncertainty' for the population's other draws.
    Raises ValueError where the folder is no run, or a block of it is not written.
    """
    folder = Path(folder)
    plan, every = _tasks_of(folder)
    if group not in groups(plan):
        raise ValueError(
            f"{folder} has no group '{group}'; write one of: {', '.join(repr(name) for name in groups(plan))}"
        )
    return plan, _opened(plan, folder, group, [task for task in every if task.group == group], groups(plan)[group])


def _opened(plan: Study, folder: Path, group: str, every: list[Task], size: int) -> xr.Dataset:
    """A group whose tasks are all done. Raises ValueError where one is not."""
    shelf = store.shelf(folder, group)
    for task in every:
        if not store.done(shelf, task.arm, task.chunk, task.stop, task.key):
            what = f"arm '{task.arm}'" if task.arm else "the population"
            raise ValueError(
                f"{folder}: patients {task.start}-{task.stop - 1} of {what} are not written; "
                f"finish it with: {_command(folder, group)}"
            )
    data = store.open_group(folder, group)
    return data.sel({schema.ARM: [arm.name for arm in plan.arms]}).isel({schema.PATIENT: slice(0, size)})
