"""Where and how a trial stops: the probabilities of leaving at each look."""

from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.sequential import walk
from analysis.statistics.sequential.looks import LOOK, increasing, number, rows, sides
from analysis.statistics.sequential.walk import Walk


class Exits(NamedTuple):
    """Probabilities of stopping at each look, all (..., look).

    upper: for efficacy, in the direction of a positive drift. lower: for efficacy in the other one; 0 where a design
    has one side. futility: without efficacy; what is left at the last look counts here.
    """

    upper: np.ndarray
    lower: np.ndarray
    futility: np.ndarray

    @property
    def any(self) -> np.ndarray:
        """Probability of stopping at each look, for whatever reason."""
        return self.upper + self.lower + self.futility


def exits(rates: Any, upper: Any, drift: Any = 0.0, futility: Any = None, sided: int = 1) -> Exits:
    """Probabilities of leaving at each look.

    One side: efficacy is Z_k >= upper_k, futility Z_k < futility_k. Two sides: efficacy is |Z_k| >= upper_k, futility
    |Z_k| < futility_k. rates: information, (..., look); only its ratios matter beside a drift of zero. upper: (...,
    look), infinite where a look is not for efficacy. futility: (..., look), or one less as the last look has no going
    on; -infinite (0 with two sides) where there is none. drift: mean of Z where information is 1. All leading
    dimensions broadcast. Raises ValueError for looks that do not fit, or a futility bound above that of efficacy.
    """
    information = increasing(rates, "information rates")
    top = bounds(upper, "upper", information.shape[-1])
    bottom = floor(futility, information.shape[-1], sides(sided))
    lead, (times, u, f, mean) = rows((information, True), (top, True), (bottom, True), (number(drift, "drift"), False))
    if np.any(f[:, :-1] > u[:, :-1]):
        raise ValueError("a futility bound lies above that of efficacy; lower it, or ask for less power or fewer looks")
    return Exits(*(each.reshape(*lead, each.shape[-1]) for each in leave(times, u, f, mean, sided)))


def leave(times: np.ndarray, upper: np.ndarray, futility: np.ndarray, drift: np.ndarray, sided: int) -> Exits:
    """`exits` of tables (design, look) that have been checked.

    drift: (design,), or (design, look) where it differs between one look and the next.
    """
    at, found = walk.start(len(times)), []
    drifts = np.broadcast_to(drift[:, None] if drift.ndim == 1 else drift, times.shape)
    for k in range(times.shape[1]):
        time, u, f, drift = times[:, k], upper[:, k], futility[:, k], drifts[:, k]
        total = at.mass.sum(-1)
        high = walk.above(at, time, drift, u)
        low = walk.below(at, time, drift, -u) if sided == 2 else np.zeros_like(high)
        if k == times.shape[1] - 1:
            found.append((high, low, np.maximum(total - high - low, 0.0)))
            break
        found.append((high, low, inside(at, time, drift, f, sided)))
        at = onward(at, time, drift, times[:, k + 1], u, f, sided)
    return Exits(*(np.stack(each, -1) for each in zip(*found, strict=True)))


def inside(at: Walk, time: np.ndarray, drift: np.ndarray, futility: np.ndarray, sided: int) -> np.ndarray:
    """Probability of stopping for futility at that look, (design,)."""
    if sided == 1:
        return walk.below(at, time, drift, futility)
    none = futility <= 0.0
    wedge = walk.below(at, time, drift, futility) - walk.below(at, time, drift, -futility)
    return np.where(none, 0.0, np.maximum(wedge, 0.0))


def onward(
    at: Walk,
    time: np.ndarray,
    drift: np.ndarray,
    after: np.ndarray,
    upper: np.ndarray,
    futility: np.ndarray,
    sided: int,
) -> Walk:
    """What goes on past a look between futility and efficacy."""
    if sided == 1:
        return walk.onward(at, time, drift, after, (futility, upper))
    if np.all(futility <= 0.0):
        return walk.onward(at, time, drift, after, (-upper, upper))
    inner = np.maximum(futility, 0.0)
    return walk.onward(at, time, drift, after, (-upper, -inner), (inner, upper))


def bounds(values: Any, name: str, looks: int) -> np.ndarray:
    """Bounds (..., look); infinite where there is none. Raises ValueError for what is no number or another length."""
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} holds what is no number; give a bound for each {LOOK}") from error
    if found.ndim == 0 or found.shape[-1] != looks:
        raise ValueError(f"{name} has {found.shape=}; give a bound for each of {looks} looks")
    if np.isnan(found).any():
        raise ValueError(f"{name} holds NaN; give an infinite bound at a look that has none")
    return found


def floor(futility: Any, looks: int, sided: int) -> np.ndarray:
    """Bounds of futility of each look, with none at the last; none anywhere where none are given."""
    none = -np.inf if sided == 1 else 0.0
    if futility is None:
        return np.full(looks, none)
    given = np.asarray(futility, dtype=object)
    if given.ndim and given.shape[-1] == looks:
        given = given[..., :-1]
    found = bounds(given, "futility", looks - 1)
    if sided == 2 and np.any(found < 0.0):
        raise ValueError("futility holds a negative bound with two sides; give |z| below which to stop, 0 for none")
    return np.concatenate([found, np.full((*found.shape[:-1], 1), none)], -1)
