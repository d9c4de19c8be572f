"""One task: the lives of one chunk of patients under one arm, or who those patients are, written to the store."""

import functools
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from solvers.solve import Lives, solver
from solvers.status import FAILED, REASONS, Status
from trials import document, schema, store
from trials.eligibility import eligible
from trials.study import Study, study

LEDGER = 100  # failures kept with their parameters, per task; the counts are always complete


class Task(NamedTuple):
    """Patients [start, stop) of a group; `arm` is '' for who they are. `chunk` numbers the shard they fill."""

    folder: str
    text: str
    group: str
    arm: str
    chunk: int
    start: int
    stop: int
    width: int
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


@functools.lru_cache(maxsize=16)
def _solver(text: str, arm: str, width: int) -> Callable[..., Lives]:
    parsed = _study(text)
    return solver(parsed.twin, parsed.arm(arm).policy, parsed.plan, parsed.seed, width)


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
    kept, columns = store.chunk_so_far(shelf, task.arm, task.chunk, task.start, task.stop, task.key)
    parsed = _study(task.text)
    solved = 0
    failures: list[dict] = []
    blocks = [columns] if columns else []
    for start in range(kept, task.stop, task.width):
        numbers = np.arange(start, min(start + task.width, task.stop))
        values = drawn(parsed, task.group, numbers)
        can_enter = eligible(parsed.criteria, values)
        if task.arm:
            block = lives(task, parsed, numbers, values, can_enter)
            solved += int(can_enter.sum())
            failures += ledger(task, numbers, values, block[schema.STATUS])
        else:
            block = {**values, schema.ELIGIBLE: can_enter, schema.PATIENT: numbers}
            block[schema.DRAW] = draw_of(parsed, task.group, numbers)[0]
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


def draw_of(parsed: Study, group: str, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw of the population, and number within it, of patients of a group; both like `numbers`."""
    if group == schema.CANDIDATES:
        return np.zeros_like(numbers), numbers
    each = parsed.recipe.uncertainty.patients
    return 1 + numbers // each, numbers % each


def drawn(parsed: Study, group: str, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Covariates and parameters of patients with consecutive `numbers` of a group, each (patient,)."""
    draws, within = draw_of(parsed, group, numbers)
    parts = []
    for draw in np.unique(draws):
        here = within[draws == draw]
        parts.append(parsed.population.draw(int(here[0]), int(here[-1]) + 1, int(draw)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def lives(
    task: Task, parsed: Study, numbers: np.ndarray, values: dict[str, np.ndarray], can_enter: np.ndarray
) -> dict[str, np.ndarray]:
    """The stored arrays of one block: NaN and a status where a patient does not live under the arm."""
    plan = parsed.plan
    if can_enter.any():
        # A patient's luck is keyed by his number within the draw: the draws differ by the population alone.
        result = _solver(task.text, task.arm, task.width)(draw_of(parsed, task.group, numbers)[1], values)
    else:
        count = len(numbers)
        outputs = [output.name for output in parsed.twin.outputs if output.name in plan.outcomes]
        result = Lives(
            {name: np.empty((count, len(plan.records))) for name in plan.outcomes},
            {name: np.empty((count, len(plan.visits))) for name in outputs},
            {fold.name: np.empty(count) for fold in plan.folds},
            np.zeros(count, np.int8),
        )
    block = {**result.recorded, **result.folds}
    block |= {name + schema.MEASURED: value for name, value in result.measured.items()}
    block = {
        name: np.where(can_enter.reshape(-1, *[1] * (value.ndim - 1)), value, np.nan) for name, value in block.items()
    }
    block[schema.STATUS] = np.where(can_enter, result.status, np.int8(Status.NOT_ELIGIBLE)).astype(np.int8)
    return block


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
