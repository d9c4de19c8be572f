"""One level of a hierarchy of outcomes, and who wins by it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.arrays import plain, together


class Outcome(NamedTuple):
    """Outcome by which two subjects are compared.

    values: a measure or an ordered score; or, with events, the time of the event, and of the end of follow-up where it
    did not happen, (..., subject). events: bool. better: "higher" or "lower"; of a time, higher is later.
    margin: a difference decides where it is larger than this.

    Of two times the earlier decides, and only where it is that of an event: the other subject was then followed for
    longer without one. Where the earlier is censored, two times are equal, or a value is NaN, this level leaves the
    pair to the next.
    """

    values: Any
    events: Any = None
    better: str = "higher"
    margin: float = 0.0


class Level(NamedTuple):
    """Outcome as numbers: i beats j where reach_i - mark_j > margin, or loses if `swapped`; arrays (..., subject)."""

    reach: np.ndarray
    mark: np.ndarray
    margin: float
    swapped: bool


def levels(outcomes: Sequence[Outcome]) -> list[Level]:
    """The hierarchy, checked. Raises ValueError for what is no outcome."""
    if isinstance(outcomes, Outcome) or not outcomes or not all(isinstance(each, Outcome) for each in outcomes):
        raise ValueError("outcomes is no list of Outcome; give at least one, the most important first")
    return [_level(each, f"outcome {number}") for number, each in enumerate(outcomes, 1)]


def _level(outcome: Outcome, name: str) -> Level:
    if outcome.better not in ("higher", "lower"):
        raise ValueError(f"{name} is better {outcome.better!r}; write higher or lower")
    margin = float(outcome.margin)
    if not 0.0 <= margin < np.inf:
        raise ValueError(f"{name} has a margin of {outcome.margin}; give a number of 0 or more")
    values = plain(outcome.values, name)
    if outcome.events is None:
        values = values if outcome.better == "higher" else -values
        return Level(values, values, margin, swapped=False)
    events = plain(outcome.events, f"events of {name}")
    if not np.isin(events[~np.isnan(events)], (0.0, 1.0)).all():
        raise ValueError(f"events of {name} holds what is neither true nor false; give one of these a subject")
    if (values < 0).any():
        raise ValueError(f"{name} holds a negative time; count times from 0")
    values, happened = together(**{name: values, "its events": events})
    values = np.where(np.isnan(happened), np.nan, values)
    happened = happened == 1.0
    return Level(values, np.where(happened, values, np.inf), margin, outcome.better == "lower")
