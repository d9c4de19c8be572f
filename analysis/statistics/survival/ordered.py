"""Subjects in order of their times: who is at risk, who is tied, sums over either."""

from typing import NamedTuple

import numpy as np

# Times closer than this, absolutely or as a share of their mean, are one time, as in R's survival (aeqSurv): 0.1 + 0.2
# and 0.3 are no two times.
SAME = float(np.sqrt(np.finfo(float).eps))


class Ordered(NamedTuple):
    """Rows in order of time, every array (..., row); those of subjects left out come last, with no count.

    A subject is a row at the end of his time and, where entry was given, another at his entry: `counts` is +1 at the
    end and -1 at the entry, so that the counts from a time on sum to those at risk then. order: which row of the data
    each is, entries after all ends. events: 1 or 0. times: infinite for those left out. first, last: places of the
    first and the last row of the same time; None where no two have the same.
    """

    order: np.ndarray
    counts: np.ndarray
    events: np.ndarray
    times: np.ndarray
    first: np.ndarray | None
    last: np.ndarray | None


def ordered(times: np.ndarray, events: np.ndarray, used: np.ndarray, entry: np.ndarray | None = None) -> Ordered:
    """Sorts subjects by time. times, events, used, entry: (..., subject), times finite."""
    ends = np.where(used, times, np.inf)
    rows, count, happened = ends, used.astype(float), (events & used).astype(float)
    if entry is not None:
        rows = np.concatenate([ends, np.where(used, entry, np.inf)], -1)
        count = np.concatenate([count, -count], -1)
        happened = np.concatenate([happened, np.zeros_like(happened)], -1)
    order = np.argsort(rows, axis=-1)
    rows, count, happened = (_take(each, order) for each in (rows, count, happened))
    new = _new(rows)
    if new.all():
        return Ordered(order, count, happened, rows, None, None)
    place = np.arange(rows.shape[-1])
    first = np.maximum.accumulate(np.where(new, place, 0), -1)
    ending = np.ones_like(new)
    ending[..., :-1] = new[..., 1:]
    last = np.minimum.accumulate(np.where(ending, place, place[-1])[..., ::-1], -1)[..., ::-1]
    return Ordered(order, count, happened, _take(rows, first), first, last)


def _new(rows: np.ndarray) -> np.ndarray:
    """Which sorted times are another than the one before."""
    new = np.ones(rows.shape, bool)
    with np.errstate(invalid="ignore"):
        step = rows[..., 1:] - rows[..., :-1]
        finite = np.isfinite(rows)
        new[..., 1:] = step > 0
        distinct = new & finite
        number = np.maximum(distinct.sum(-1, keepdims=True), 1)
        mean = np.where(distinct, rows, 0.0).sum(-1, keepdims=True) / number
        new[..., 1:] = (step > SAME * np.maximum(mean, 1.0)) | ~finite[..., 1:]  # those left out tie with nobody
    return new


def slack(time: float) -> float:
    """Within which a time of the data is the same as that one."""
    return SAME * max(time, 1.0)


def gathered(rows: Ordered, values: np.ndarray) -> np.ndarray:
    """Values of subjects, (..., subject), to the order of the rows."""
    if values.shape[-1] != rows.order.shape[-1]:
        values = np.concatenate([values, values], -1)
    return _take(values, rows.order)


def scattered(rows: Ordered, values: np.ndarray, subjects: int) -> np.ndarray:
    """Values of rows back to the order of the subjects, (..., subject), those of an end and an entry summed."""
    found = np.empty_like(values)
    np.put_along_axis(found, np.broadcast_to(rows.order, values.shape), values, -1)
    return found if found.shape[-1] == subjects else found[..., :subjects] + found[..., subjects:]


def at_first(rows: Ordered, values: np.ndarray) -> np.ndarray:
    """The value of the first row of the same time."""
    return values if rows.first is None else _take(values, rows.first)


def at_last(rows: Ordered, values: np.ndarray) -> np.ndarray:
    """The value of the last row of the same time."""
    return values if rows.last is None else _take(values, rows.last)


def from_here(rows: Ordered, values: np.ndarray) -> np.ndarray:
    """Sum over all rows of this time or later."""
    return at_first(rows, np.cumsum(values[..., ::-1], -1)[..., ::-1])


def up_to(rows: Ordered, values: np.ndarray) -> np.ndarray:
    """Sum over all rows of this time or earlier."""
    return at_last(rows, np.cumsum(values, -1))


def tied(rows: Ordered, values: np.ndarray) -> np.ndarray:
    """Sum over the rows of the same time."""
    if rows.first is None:
        return values
    sums = np.cumsum(values, -1)
    return at_last(rows, sums) - at_first(rows, sums - values)


def ranks(rows: Ordered) -> np.ndarray:
    """Of an event, how many others of the same time come before it."""
    before = np.cumsum(rows.events, -1) - rows.events
    return before - at_first(rows, before)


def _take(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """values at places along the last dimension; from one flat array, which is several times as fast."""
    places = np.broadcast_to(places, values.shape)
    size = values.shape[-1]
    starts = np.arange(0, values.size, max(size, 1)).reshape(*values.shape[:-1], 1)
    return np.take(values, places + starts)
