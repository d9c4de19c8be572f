"""Events that recur: the intensity ratio of Andersen and Gill, with an error that holds for any dependence of them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.arrays import plain
from analysis.statistics.estimate import Estimate
from analysis.statistics.survival.hazard_ratio import hazard_ratio


class Spells(NamedTuple):
    """Stretches of follow-up, each ending with an event or with follow-up; every array (..., row), NaN in rows of none.

    subjects: the place of the subject, to take arms and covariates by.
    """

    entry: np.ndarray
    times: np.ndarray
    events: np.ndarray
    subjects: np.ndarray


def spells(recurrences: Any, follow_up: Any) -> Spells:
    """Cuts follow-up at events, row = subject * (recurrence + 1) + spell.

    recurrences: times of events, (..., subject, recurrence), in any order, NaN for none. follow_up: (..., subject). An
    event at time 0, or two at one time, leave no time at risk between and raise ValueError, as do events after
    follow-up.
    """
    ends = plain(follow_up, "follow_up")
    at = np.sort(plain(recurrences, "recurrences", "subject", "recurrence"), -1)  # NaN goes last
    if at.shape[:-1] != ends.shape:
        raise ValueError(f"recurrences has {at.shape=} and follow_up {ends.shape}; give (..., subject, recurrence)")
    last = ends[..., None]
    if (at > last).any():
        raise ValueError("recurrences holds an event after follow-up; leave it out, or follow longer")
    starts = np.concatenate([np.zeros_like(last), at], -1)
    stops = np.concatenate([at, np.full_like(last, np.nan)], -1)
    happened = ~np.isnan(stops)
    closing = np.isnan(stops) & ~np.isnan(starts)
    stops = np.where(closing, last, stops)
    nothing = np.isnan(stops) | np.isnan(starts) | (closing & (starts >= stops))
    if (starts >= stops)[~nothing].any():
        raise ValueError("recurrences holds events at one time, or at 0; give times that differ and are above 0")
    flat = (*ends.shape[:-1], -1)
    subjects = np.broadcast_to(np.arange(ends.shape[-1])[:, None], stops.shape)
    entry, times, events = (
        np.where(nothing, np.nan, each).reshape(flat) for each in (starts, stops, happened.astype(float))
    )
    return Spells(entry, times, events, subjects.reshape(flat))


def andersen_gill(
    times: Any,
    events: Any,
    arms: Any,
    contrast: tuple[int, int],
    subjects: Any,
    entry: Any,
    covariates: Mapping[str, Any] | None = None,
    alpha: float = 0.05,
    sided: int = 2,
    *,
    strata: Any = None,
    weights: Any = None,
    ties: str = "efron",
) -> Estimate:
    """Logarithm of the ratio of intensities of recurrent events, a against b, on the time since the start; each (...,).

    A Cox regression on spells (entry, time], of which those of one of `subjects` are a cluster of its sandwich: so the
    ratio is that of mean numbers of events where these are proportional, whatever links the events of a subject.
    Every array is (..., row), as from `spells`. Options as in `cox`.
    Andersen & Gill 1982, Ann Stat 10:1100. Lin, Wei, Yang & Ying 2000, J R Stat Soc B 62:711.
    """
    return hazard_ratio(
        times,
        events,
        arms,
        contrast,
        covariates,
        alpha,
        sided,
        entry=entry,
        strata=strata,
        weights=weights,
        clusters=subjects,
        ties=ties,
    )
