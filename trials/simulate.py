"""One task: the lives of one chunk of patients under one arm, or who those patients are, written to the store."""

import functools
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from solvers import engine as engines
from solvers.derivative import Slopes, slopes
from solvers.solve import Lives, solver
from solvers.status import FAILED, REASONS, Status
from trials import document, experiment, schema, store
from trials.eligibility import eligible
from trials.entrants import Entrants, entrants
from trials.experiment import Experiment
from trials.people import People, at_points, people
from trials.study import Study, study

LEDGER = 100  # failures kept with their parameters, per task; the counts are always complete


class Task(NamedTuple):
    """Patients [start, stop) of a group; `arm` is '' for who they are. `chunk` numbers the shard they fill.

    engine: of the arm, as it is written with the run.
    """

    folder: str
    text: str
    group: str
    arm: str
    chunk: int
    start: int
    stop: int
    width: int
    engine: str
    key: str


class Record(NamedTuple):
    """What a task tells about itself: counts by status, how many patients it solved, and its seconds."""

    group: str
    arm: str
    chunk: int
    statuses: dict[str, int]
    solved: int
    seconds: float


@functools.lru_cache(maxsize=4)
def _study(text: str) -> Study:
    return study(document.parse(text, "study.yaml"), Path())


@functools.lru_cache(maxsize=4)
def _entrants(text: str) -> Entrants:
    return entrants(_study(text))


@functools.lru_cache(maxsize=16)
def _solver(text: str, arm: str, engine: str, width: int) -> Callable[..., Lives]:
    parsed = _study(text)
    return solver(parsed.twin, parsed.arm(arm).policy, parsed.plan, parsed.seed, engines.read(engine), width)


@functools.lru_cache(maxsize=16)
def _slopes(text: str, arm: str, engine: str, numbers: tuple[str, ...]) -> Callable[..., Slopes]:
    parsed = _study(text)
    return slopes(parsed.twin, parsed.arm(arm).policy, parsed.plan, parsed.seed, engines.read(engine), numbers)


def simulate(task: Task) -> Record:
    """Runs a task: only the blocks that the store lacks are computed, then the chunk is written and marked.

    Raises RuntimeError that names the arm and patients where something other than one patient fails.
    """
    began = time.perf_counter()
    try:
        return _simulate(task, began)
    except Exception as error:
        told = _told(task, error)
    # Raised here, without its cause, which may be of a kind that cannot travel between processes.
    raise RuntimeError(told)


def _told(task: Task, error: Exception) -> str:
    what = f"arm '{task.arm}'" if task.arm else "population"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    block = f"{what}, chunk {task.chunk}, patients {task.start}-{task.stop - 1}"
    return f"{block}: {type(error).__name__} at {where}: {error}"


def _simulate(task: Task, began: float) -> Record:
    shelf = store.shelf(Path(task.folder), task.group)
    kept, columns = store.chunk_so_far(shelf, task.arm, task.chunk, task.start, task.stop, task.width, task.key)
    parsed = _study(task.text)
    solved = 0
    failures: list[dict] = []
    blocks = [columns] if columns else []
    asked = None
    if task.group.startswith(schema.EXPERIMENTS):
        asked = experiment.read(Path(task.folder), task.group)
    who = _who(task, asked)
    for start in range(kept, task.stop, task.width):
        numbers = np.arange(start, min(start + task.width, task.stop))
        drawn = who(numbers)
        can_enter = eligible(parsed.criteria, drawn.values)
        if task.arm:
            block = lives(task, parsed, drawn, can_enter, asked.numbers if asked else ())
            solved += int(can_enter.sum())
            failures += ledger(task, numbers, drawn.values, block[schema.STATUS])
        else:
            block = {**drawn.values, schema.ELIGIBLE: can_enter, schema.PATIENT: numbers, schema.DRAW: drawn.draw}
        blocks.append(block)
    whole = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    if task.arm:
        counted = np.bincount(whole[schema.STATUS], minlength=len(Status))
        statuses = {REASONS[status]: int(counted[status]) for status in Status if counted[status]}
    else:
        statuses = {"eligible": int(whole[schema.ELIGIBLE].sum())}
    store.write_chunk(
        shelf,
        store.Marker(
            task.group, task.arm, task.chunk, task.start, task.stop, task.key, "", statuses, failures[:LEDGER], {}
        ),
        whole,
    )
    return Record(task.group, task.arm, task.chunk, statuses, solved, time.perf_counter() - began)


def _who(task: Task, asked: Experiment | None) -> Callable[[np.ndarray], People]:
    """Who the patients with given numbers of the task's group are."""
    parsed = _study(task.text)
    if asked is None:
        return functools.partial(people, parsed, task.group)
    return functools.partial(at_points, parsed, asked, _entrants(task.text))


def lives(
    task: Task, parsed: Study, drawn: People, can_enter: np.ndarray, numbers: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """The stored arrays of one block: NaN and a status where a patient does not live under the arm."""
    found = _found(task, parsed, drawn, numbers) if can_enter.any() else _nothing(parsed, len(can_enter), numbers)
    result = found.lives
    block = {**result.recorded, **result.folds, schema.ERROR: result.error}
    block |= {name + schema.MEASURED: value for name, value in result.measured.items()}
    block |= {name + schema.BY: value for name, value in (found.recorded | found.folds).items()}
    block = {
        name: np.where(can_enter.reshape(-1, *[1] * (value.ndim - 1)), value, np.nan) for name, value in block.items()
    }
    block[schema.STATUS] = np.where(can_enter, result.status, np.int8(Status.NOT_ELIGIBLE)).astype(np.int8)
    return block


def _found(task: Task, parsed: Study, drawn: People, numbers: tuple[str, ...]) -> Slopes:
    """Lives of a block, with their derivatives where there are numbers to take them by."""
    if numbers:
        return _slopes(task.text, task.arm, task.engine, numbers)(drawn.luck, drawn.values)
    return Slopes(_solver(task.text, task.arm, task.engine, task.width)(drawn.luck, drawn.values), {}, {})


def _nothing(parsed: Study, count: int, numbers: tuple[str, ...]) -> Slopes:
    """Lives of a block in which nobody may live."""
    plan = parsed.plan
    outputs = [output.name for output in parsed.twin.outputs if output.name in plan.outcomes]
    recorded = {name: np.empty((count, len(plan.records))) for name in plan.outcomes}
    measured = {name: np.empty((count, len(plan.visits))) for name in outputs}
    folds = {fold.name: np.empty(count) for fold in plan.folds}
    by_number = [
        {name: np.empty((*value.shape, len(numbers))) for name, value in part.items()} if numbers else {}
        for part in (recorded, folds)
    ]
    return Slopes(Lives(recorded, measured, folds, np.zeros(count, np.int8), np.empty(count)), *by_number)


def ledger(task: Task, numbers: np.ndarray, values: dict[str, np.ndarray], statuses: np.ndarray) -> list[dict]:
    """The failed patients of a block: who, why, and with which covariates and parameters."""
    return [
        {
            "group": task.group,
            "arm": task.arm,
            "patient": int(numbers[i]),
            "status": int(statuses[i]),
            "reason": REASONS[Status(int(statuses[i]))],
            "values": {name: float(value[i]) for name, value in values.items()},
        }
        for i in np.flatnonzero(np.isin(statuses, FAILED))
    ]
