"""Follow-up of subjects: times, and whether each ended with the event or was censored."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.arrays import plain, together
from analysis.statistics.survival.ordered import SAME


class FollowUp(NamedTuple):
    """Data of subjects, every array (..., subject).

    times: of event or censoring, 0 where not used. events: bool. used: those with all their data. entry: time from
    which a subject is watched, at risk after it; None where all are from the start. others: what else was read, as it
    was given.
    """

    times: np.ndarray
    events: np.ndarray
    used: np.ndarray
    entry: np.ndarray | None
    others: dict[str, np.ndarray]


def follow_up(times: Any, events: Any, entry: Any = None, others: Mapping[str, Any] | None = None) -> FollowUp:
    """Reads times, events and, by name, further numbers of the subjects; NaN in any of them leaves a subject out.

    Raises ValueError for shapes that do not fit, negative times, events that are neither 0 nor 1, and an entry that is
    not before its time.
    """
    columns = {"times": plain(times, "times"), "events": plain(events, "events")}
    if entry is not None:
        columns["entry"] = plain(entry, "entry")
    columns |= {name: plain(each, name) for name, each in (others or {}).items()}
    columns = dict(zip(columns, together(**columns), strict=True))
    if not columns["times"].shape[-1]:
        raise ValueError("times holds no subject; give one or more")
    used = ~np.logical_or.reduce([np.isnan(each) for each in columns.values()])
    kept, happened = columns.pop("times"), columns.pop("events")
    if not used.all():
        kept, happened = np.where(used, kept, 0.0), np.where(used, happened, 0.0)
    entered = columns.pop("entry", None)
    if (kept < 0).any():
        raise ValueError(f"times holds {kept.min():g}; give times from 0 on, NaN where there is none")
    if not np.isin(happened, (0.0, 1.0)).all():
        wrong = happened[~np.isin(happened, (0.0, 1.0))][0]
        raise ValueError(f"events holds {wrong:g}; give 1 where the event happened and 0 where it was not seen")
    if entered is not None:
        # A spell so short that its ends are one time has nobody at risk at its event.
        late = used & (kept - entered <= SAME * np.maximum(kept.max(), 1.0))
        if late.any():
            raise ValueError(f"entry {entered[late][0]:g} is not before its time {kept[late][0]:g}; give entry < time")
    return FollowUp(kept, happened == 1.0, used, entered, columns)


def contrasted(arms: np.ndarray, used: np.ndarray, contrast: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Who of those used is in the first, and in the second arm of the contrast, each (..., subject) bool.

    Raises ValueError where the contrast is not of two arms that the data have.
    """
    if len(contrast) != 2 or contrast[0] == contrast[1]:
        raise ValueError(f"contrast is {contrast}; give the codes of two different arms")
    for code in contrast:
        if not (arms == code).any():
            found = ", ".join(f"{each:g}" for each in np.unique(arms[~np.isnan(arms)]))
            raise ValueError(f"contrast names arm {code}, which no subject is in; name two of: {found}")
    return used & (arms == contrast[0]), used & (arms == contrast[1])


def packed(strata: np.ndarray | None, used: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """`used` and the columns with a dimension for strata, (..., stratum, member); places beyond a stratum are not used.

    strata, used, columns: (..., subject). Without strata there is one.
    """
    if strata is None:
        return tuple(each[..., None, :] for each in (used, *columns))
    levels, codes = np.unique(np.where(used, strata, np.nan), return_inverse=True)
    count = int((~np.isnan(levels)).sum())
    shelves = max(count, 1)
    order = np.argsort(codes, axis=-1, kind="stable")
    own = np.take_along_axis(codes, order, -1)
    place = np.arange(used.shape[-1])
    new = np.ones(used.shape, bool)
    new[..., 1:] = own[..., 1:] != own[..., :-1]
    rank = place - np.maximum.accumulate(np.where(new, place, 0), -1)
    size = int(rank[own < count].max(initial=0)) + 1
    # All who are left out share one place, which is cut off.
    target = np.where(own < count, own * size + rank, shelves * size)
    found = []
    for each in (used, *columns):
        wide = np.zeros((*used.shape[:-1], shelves * size + 1), each.dtype)
        np.put_along_axis(wide, target, np.take_along_axis(each, order, -1), -1)
        found.append(wide[..., :-1].reshape(*used.shape[:-1], shelves, size))
    return tuple(found)
