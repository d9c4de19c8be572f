"""Wins and losses of all pairs of two groups of subjects, in blocks of bounded memory."""

from typing import NamedTuple

import numpy as np

from analysis.statistics.wins.outcome import Level

BLOCK = 2**18  # pairs at once: their numbers stay within a processor's cache


class Pairs(NamedTuple):
    """Numbers of pairs that a row subject wins or loses, (replicate, row); as its column partner counts them,
    (replicate, column); and as each level decides them, (replicate, level)."""

    row_wins: np.ndarray
    row_losses: np.ndarray
    column_wins: np.ndarray
    column_losses: np.ndarray
    wins: np.ndarray
    losses: np.ndarray


def compare(levels: list[Level], rows: np.ndarray, columns: np.ndarray) -> Pairs:
    """Compares every subject of `rows` with every one of `columns`, both bool, (replicate, subject).

    Levels have arrays (replicate, subject). Rows and columns of the result are those of `gathered`.
    """
    row_levels = [_gather(level, rows) for level in levels]
    column_levels = [_gather(level, columns) for level in levels]
    replicates, height = row_levels[0].reach.shape
    width = column_levels[0].reach.shape[1]
    row_counts = np.zeros((2, replicates, height), dtype=np.int64)
    column_counts = np.zeros((2, replicates, width), dtype=np.int64)
    level_counts = np.zeros((2, replicates, len(levels)), dtype=np.int64)
    tall = max(1, min(height, BLOCK // max(width, 1)))
    deep = max(1, BLOCK // max(tall * width, 1)) if tall == height else 1
    for first in range(0, replicates, deep):
        replicate = slice(first, first + deep)
        for top in range(0, height, tall):
            row = slice(top, top + tall)
            won = lost = None
            before = np.zeros((2, row_levels[0].reach[replicate].shape[0]), dtype=np.int64)
            for number, (here, there) in enumerate(zip(row_levels, column_levels, strict=True)):
                ours = _beats(here, there, replicate, row, slice(None))
                theirs = _beats(there, here, replicate, slice(None), row).swapaxes(1, 2)
                win, loss = (theirs, ours) if here.swapped else (ours, theirs)
                if won is None or lost is None:
                    won, lost = win, loss
                else:
                    undecided = ~(won | lost)
                    won |= win & undecided
                    lost |= loss & undecided
                so_far = np.array([[np.count_nonzero(each) for each in side] for side in (won, lost)])
                level_counts[:, replicate, number] += so_far - before
                before = so_far
            for side, decided in enumerate((won, lost)):
                assert decided is not None
                row_counts[side, replicate, row] += decided.sum(2)
                column_counts[side, replicate] += decided.sum(1)
    return Pairs(*row_counts, *column_counts, *level_counts)


def gathered(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Subjects that are inside, in their order: numbers of subjects, and which of these are no padding,
    each (replicate, most subjects of a replicate)."""
    most = int(inside.sum(-1).max(initial=0))
    order = np.argsort(~inside, axis=-1, kind="stable")[:, :most]
    return order, np.take_along_axis(inside, order, -1)


def _gather(level: Level, inside: np.ndarray) -> Level:
    order, real = gathered(inside)
    # No comparison with NaN holds: padding neither wins nor loses.
    reach, mark = (np.where(real, np.take_along_axis(each, order, -1), np.nan) for each in level[:2])
    return level._replace(reach=reach, mark=mark)


def _beats(ours: Level, theirs: Level, replicate: slice, our: slice, their: slice) -> np.ndarray:
    return ours.reach[replicate, our, None] - theirs.mark[replicate, None, their] > ours.margin
