"""Hazards that are constant in pieces of time."""

import itertools
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level, plain, together
from analysis.statistics.contrast import codes_of
from analysis.statistics.estimate import Estimate, interval, ratio
from analysis.statistics.trouble import Trouble, troubled

INTERVALS = ("log", "exact")
STEPS = 60


class Rates(NamedTuple):
    """Hazards of the pieces [1/time], events and time at risk in them, with limits; arrays (..., piece).

    se: of the logarithm. Without events the rate is 0 and has no standard error; without exposure it is NaN.
    """

    rates: np.ndarray
    events: np.ndarray
    exposure: np.ndarray
    se: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def piecewise_rates(times: Any, events: Any, cuts: Any = (), alpha: float = 0.05, limits: str = "log") -> Rates:
    """Most likely hazards of pieces (0, c_1], (c_1, c_2], ... (c_k, infinity): events over time at risk in each.

    times: of event or censoring, events: true where it happened, (..., subject); NaN is left out. cuts: increasing and
    above 0, (k,); none leaves one exponential rate. limits: "log", rate exp(+- z / sqrt(events)), or "exact", Garwood's
    for Poisson counts, which also hold where no event happened. Friedman 1982, Ann Stat 10:101; Garwood 1936,
    Biometrika 28:437.
    """
    level(alpha, 2)
    if limits not in INTERVALS:
        raise ValueError(f"limits is {limits!r}; write one of: {', '.join(INTERVALS)}")
    found, happened = _survival(times, events)
    d, exposure = _pieces(found, happened, ~np.isnan(found), _edges(cuts))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = d / exposure
        se = np.where(d > 0, 1 / np.sqrt(d), np.nan)
        if limits == "log":
            half = np.exp(stats.norm.isf(alpha / 2) * se)
            return Rates(rate, d, exposure, se, rate / half, rate * half)
        lower = np.where(d > 0, stats.chi2.ppf(alpha / 2, 2 * np.maximum(d, 1)) / 2, 0.0)
        return Rates(rate, d, exposure, se, lower / exposure, stats.chi2.isf(alpha / 2, 2 * d + 2) / 2 / exposure)


def piecewise_rate_ratio(
    times: Any,
    events: Any,
    arms: Any,
    contrast: tuple[int, int],
    cuts: Any = (),
    alpha: float = 0.05,
    sided: int = 2,
) -> Estimate:
    """Most likely ratio of the hazards of arm a and arm b, the same in every piece, whose hazards are free.

        sum over pieces of d_j h E_aj / (E_bj + h E_aj) = events of arm a

    solved for h, with the information of log h, sum of d_j p_j (1 - p_j), p_j = h E_aj / (E_bj + h E_aj). With one
    piece h is the ratio of events over exposure, with variance 1 / d_a + 1 / d_b. times, events, arms: (..., subject);
    value and limits are ratios, `se` is that of the logarithm. Where all events of the pieces in which both arms were
    at risk fell to one arm the trouble is SEPARATED. Holford 1980, Biometrics 36:299.
    """
    level(alpha, sided)
    found, happened = _survival(times, events)
    found, happened, codes = together(times=found, events=happened, arms=codes_of(arms, contrast))
    edges = _edges(cuts)
    known = ~np.isnan(found)
    inside = [known & (codes == arm) for arm in contrast]
    (da, ea), (db, eb) = (_pieces(found, happened == 1, each, edges) for each in inside)
    # A piece that one arm never reached says nothing of the ratio.
    both = (ea > 0) & (eb > 0)
    d, da, ea, eb = (np.where(both, each, 0.0) for each in (da + db, da, ea, eb))
    ours, total = da.sum(-1), d.sum(-1)
    sound = (ours > 0) & (ours < total)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value = np.where(sound, np.log(ours * eb.sum(-1) / ((total - ours) * ea.sum(-1))), np.nan)
        for _ in range(STEPS):
            share = np.where(both, 1 / (1 + eb / ea * np.exp(-value)[..., None]), 0.0)
            information = (d * share * (1 - share)).sum(-1)
            # The score is steepest in the middle: a bounded step cannot leap away from far out.
            step = np.clip((ours - (d * share).sum(-1)) / information, -1.0, 1.0)
            value = value + step
            if not (np.abs(step) > 1e-13).any():
                break
        se = 1 / np.sqrt(information)
    n = [each.sum(-1) for each in inside]
    trouble = troubled(
        value.shape,
        ((n[0] == 0) | (n[1] == 0), Trouble.EMPTY_ARM),
        (total == 0, Trouble.NO_EVENTS),
        (~sound, Trouble.SEPARATED),
        (np.abs(step) > 1e-9, Trouble.NOT_CONVERGED),
    )
    with np.errstate(invalid="ignore"):
        return ratio(interval(value, se, stats.norm(), value / se, alpha, sided, n[0] + n[1], trouble=trouble))


def cumulative_hazard(times: Any, rates: Any, cuts: Any = ()) -> np.ndarray:
    """Integral of the hazard from 0 to each time, of the shape of `times`. rates: (piece,), one more than cuts."""
    edges, hazards = _edges(cuts), _hazards(rates, cuts)
    found = plain(np.atleast_1d(times), "times").reshape((*np.shape(times), 1))
    return (np.clip(found - edges[:-1], 0.0, np.diff(edges)) * hazards).sum(-1)


def draw_times(rng: np.random.Generator, size: Any, rates: Any, cuts: Any = ()) -> np.ndarray:
    """Random event times of that size with these hazards; infinite where the last hazard is 0 and nothing happens.

    A time is where the cumulative hazard reaches a standard exponential number, one of which is drawn per time.
    """
    edges, hazards = _edges(cuts), _hazards(rates, cuts)
    target = rng.exponential(size=size)
    reached = np.append(0.0, np.cumsum(hazards[:-1] * np.diff(edges[:-1])))
    # Where hazards of 0 leave equal sums, the last of them: time passes there without an event.
    piece = np.searchsorted(reached, target, side="right") - 1
    with np.errstate(divide="ignore"):
        return edges[piece] + (target - reached[piece]) / hazards[piece]


def _edges(cuts: Any) -> np.ndarray:
    found = plain(np.atleast_1d(np.asarray(cuts)), "cuts", "cut")
    if found.ndim != 1 or np.isnan(found).any() or (np.diff(found, prepend=0.0) <= 0).any():
        raise ValueError(f"cuts is {found.tolist()}; give increasing times above 0")
    return np.concatenate([[0.0], found, [np.inf]])


def _hazards(rates: Any, cuts: Any) -> np.ndarray:
    found = plain(np.atleast_1d(np.asarray(rates)), "rates", "piece")
    pieces = len(_edges(cuts)) - 1
    if found.shape != (pieces,) or not (found >= 0).all():
        raise ValueError(f"rates is {found.tolist()}; give {pieces} of 0 or more, one a piece")
    return found


def _survival(times: Any, events: Any) -> tuple[np.ndarray, np.ndarray]:
    found, happened = together(times=plain(times, "times"), events=plain(events, "events"))
    if (found < 0).any():
        raise ValueError(f"times holds {np.nanmin(found)}; count times from 0")
    if not np.isin(happened[~np.isnan(happened)], (0.0, 1.0)).all():
        raise ValueError("events holds what is neither true nor false; give one of these a subject")
    return np.where(np.isnan(happened), np.nan, found), happened


def _pieces(
    times: np.ndarray, happened: np.ndarray, inside: np.ndarray, edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Events and time at risk, each (..., piece)."""
    events, exposure = [], []
    for start, end in itertools.pairwise(edges):
        here = (times > start) | ((times == 0) & (start == 0))
        events.append((inside & here & (times <= end) & (happened == 1)).sum(-1))
        exposure.append(np.where(inside, np.clip(times - start, 0.0, end - start), 0.0).sum(-1))
    return np.stack(events, -1).astype(float), np.stack(exposure, -1)
