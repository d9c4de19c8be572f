"""How a run goes that is not finished: blocks, lives, failures, speed and the time left."""

import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from solvers.status import FAILED, REASONS, Status
from trials import blocks, run, schema, store

UNSOLVED = (REASONS[Status.NOT_RUN], REASONS[Status.NOT_ELIGIBLE])
WINDOW = 120.0  # seconds of the past over which the speed is taken


class Progress(NamedTuple):
    """done, total: blocks. working: whether somebody writes the run now. failed: lives. speed: lives per second, and
    left: seconds, None where nothing was written lately. lives: a row each arm and end of a life.
    """

    done: int
    total: int
    working: bool
    failed: int
    speed: float | None
    left: float | None
    lives: pd.DataFrame

    @property
    def simulated(self) -> bool:
        return self.done == self.total


def progress(folder: Path, now: float | None = None) -> Progress:
    """How far the run in a folder is. now: seconds since 1970. Raises ValueError where it holds no run."""
    state = run.state(folder)
    written = _written(folder, blocks.groups(state.study))
    now = time.time() if now is None else now
    lately = [each for each in written if each[0] >= now - WINDOW]
    speed = left = None
    # The first block only says when the others began.
    if len(lately) > 1 and now > lately[0][0]:
        seconds = now - lately[0][0]
        speed = sum(lives for _, lives in lately[1:]) / seconds
        left = seconds / (len(lately) - 1) * (state.total - state.done)
    reasons = [REASONS[status] for status in Status if status in FAILED]
    lines = []
    for (group, arm), counts in state.statuses.items():
        if group == schema.CANDIDATES and arm:
            lines += [[arm, how, count] for how, count in counts.items()]
    lives = pd.DataFrame(lines, columns=["arm", "ended", "lives"])
    failed = int(lives["lives"][lives["ended"].isin(reasons)].sum())
    return Progress(state.done, state.total, store.busy(folder), failed, speed, left, lives)


def _written(folder: Path, groups: Collection[str]) -> list[tuple[float, int]]:
    """When each block was written [s since 1970] and how many lives were solved for it, in the order of time."""
    found = []
    for marker in store.markers(folder):
        if marker.group not in groups:
            continue  # of an experiment
        path = store.marker_path(folder, marker.group, marker.arm, marker.chunk)
        solved = sum(count for how, count in marker.statuses.items() if how not in UNSOLVED) if marker.arm else 0
        try:
            found.append((path.stat().st_mtime, solved))
        except OSError:
            continue  # written anew at this moment
    return sorted(found)


def written(seconds: float) -> str:
    """A length of time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
