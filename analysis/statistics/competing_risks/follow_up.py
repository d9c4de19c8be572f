"""Follow-up of subjects to the first of several causes."""

from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.arrays import plain, together

CENSORED, OF_INTEREST, COMPETING = 0, 1, 2


class FollowUp(NamedTuple):
    """Times and what ended them: CENSORED, OF_INTEREST or COMPETING; NaN and 0 where not known; (..., subject)."""

    times: np.ndarray
    kinds: np.ndarray
    known: np.ndarray


def follow_up(times: Any, causes: Any, cause: int) -> FollowUp:
    """Checked follow-up. causes: 0 where censored, else the code of what happened first; NaN is left out.

    Raises ValueError for negative times, codes that are no whole numbers of 0 or more, and a cause that is none.
    """
    found, codes = together(times=plain(times, "times"), causes=plain(causes, "causes"))
    known = ~np.isnan(found) & ~np.isnan(codes)
    if (found[known] < 0).any():
        raise ValueError(f"times holds {np.nanmin(found)}; count times from 0")
    if (codes[known] < 0).any() or (codes[known] % 1 != 0).any():
        raise ValueError("causes holds what is no code; give 0 where censored, else 1, 2 or more")
    if cause < 1 or cause != int(cause):
        raise ValueError(f"cause is {cause}; give the code of an event, 1 or more")
    kinds = np.where(codes == cause, OF_INTEREST, np.where(codes > 0, COMPETING, CENSORED))
    return FollowUp(np.where(known, found, np.nan), np.where(known, kinds, CENSORED), known)


def one_set(observed: FollowUp) -> FollowUp:
    """Who is known, of one set of data. Raises ValueError where it holds several sets or nobody."""
    if observed.times.ndim != 1:
        raise ValueError(f"times has {observed.times.shape=}; give one set of data, (subject,)")
    if not observed.known.any():
        raise ValueError("nobody has a time and a cause; give at least one subject who has both")
    return FollowUp(*(each[observed.known] for each in observed))


def counts(observed: FollowUp, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Subjects at risk, events of interest and competing events at these increasing times, each (time,).

    Who is censored at a time is still at risk at it.
    """
    ordered = np.sort(observed.times)
    at_risk = len(ordered) - np.searchsorted(ordered, at, side="left")
    of_interest, competing = (
        np.bincount(np.searchsorted(at, observed.times[observed.kinds == kind]), minlength=len(at))
        for kind in (OF_INTEREST, COMPETING)
    )
    return at_risk.astype(float), of_interest.astype(float), competing.astype(float)


def event_times(observed: FollowUp) -> np.ndarray:
    """Distinct times at which anything happened, increasing."""
    return np.unique(observed.times[observed.kinds != CENSORED])
