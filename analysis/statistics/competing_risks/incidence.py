"""Cumulative incidence of one of several causes."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level, plain, together
from analysis.statistics.competing_risks.follow_up import (
    OF_INTEREST,
    FollowUp,
    counts,
    event_times,
    follow_up,
    one_set,
)
from analysis.statistics.contrast import codes_of
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.trouble import Trouble, troubled

SCALES = ("log-log", "log", "plain")
VARIANCES = ("aalen", "delta")


class Incidence(NamedTuple):
    """Cumulative incidence at times of its own, or at those that were asked about; arrays (time,).

    at_risk: subjects just before that time; events: of the cause at it.
    """

    times: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    incidence: np.ndarray
    variance: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def cumulative_incidence(
    times: Any,
    causes: Any,
    cause: int = 1,
    at: Any = None,
    alpha: float = 0.05,
    variance: str = "aalen",
    scale: str = "log-log",
) -> Incidence:
    """Estimator of Aalen and Johansen of the probability that the cause happens by a time, and happens first.

        F(t) = sum over t_j <= t of S(t_j-) d_j / n_j,   S of Kaplan and Meier for any cause

    times: of the first event or of censoring, causes: 0 where censored, else a code, (subject,); NaN is left out.
    at: times asked about; every time at which anything happened where None. Beyond the last time of a subject the
    incidence is NaN. With c_j competing events, A_j = F(t) - F(t_j), S_j = S(t_j), the variance of F(t) is

        "aalen": sum of S(t_j-)^2 ((1 - A_j/S_j)^2 v(d_j) + (A_j/S_j)^2 v(c_j)),   v(d) = d (n - d) / (n^2 (n - 1))

    which is that of R's cmprsk, and without ties that of Aalen in SAS; or

        "delta": sum of A_j^2 (d_j + c_j) / (n_j (n_j - d_j - c_j)) + S(t_j-)^2 d_j (n_j - d_j) / n_j^3
                 - 2 A_j S(t_j-) d_j / n_j^2.

    scale: on which the interval is symmetric: "log-log", log(-log F), as in SAS; "log"; "plain".
    Aalen & Johansen 1978, Scand J Stat 5:141; Aalen 1978, Ann Stat 6:534; Marubini & Valsecchi 1995, section 10.2.
    """
    level(alpha, 2)
    if variance not in VARIANCES:
        raise ValueError(f"variance is {variance!r}; write one of: {', '.join(VARIANCES)}")
    if scale not in SCALES:
        raise ValueError(f"scale is {scale!r}; write one of: {', '.join(SCALES)}")
    observed = one_set(follow_up(times, causes, cause))
    asked = event_times(observed) if at is None else plain(at, "at", "time").ravel()
    value, spread = incidence_at(observed, asked, variance)
    lower, upper = _limits(value, np.sqrt(spread), float(stats.norm.isf(alpha / 2)), scale)
    ordered, happened = np.sort(observed.times), np.sort(observed.times[observed.kinds == OF_INTEREST])
    at_risk = len(ordered) - np.searchsorted(ordered, asked, side="left")
    events = np.searchsorted(happened, asked, side="right") - np.searchsorted(happened, asked, side="left")
    return Incidence(asked, at_risk, events, value, spread, lower, upper)


def incidence_at(observed: FollowUp, at: np.ndarray, variance: str) -> tuple[np.ndarray, np.ndarray]:
    """Incidence and its variance at these times, each (time,); one set of follow-up."""
    grid = event_times(observed)
    n, d, c = counts(observed, grid)
    survival = np.cumprod(1.0 - (d + c) / n)
    before = np.append(1.0, survival)[: len(grid)]
    curve = np.cumsum(before * d / n)
    index = np.searchsorted(grid, at, side="right")
    values = np.append(0.0, curve)[index]
    spread = np.empty(len(at))
    for k, (last, value) in enumerate(zip(index, values, strict=True)):
        s, b, nj, dj, cj = (each[:last] for each in (survival, before, n, d, c))
        after = value - curve[:last]
        if variance == "aalen":
            with np.errstate(divide="ignore", invalid="ignore"):
                # Where nobody is left nothing comes after: 0/0 is 0.
                share = np.where(s > 0, after / s, 0.0)
                terms = (1 - share) ** 2 * _binomial(dj, nj) + np.where(s > 0, share**2 * _binomial(cj, nj), 0.0)
            spread[k] = (b**2 * terms).sum()
        else:
            left = nj - dj - cj
            lost = np.where(left > 0, (dj + cj) / (nj * np.maximum(left, 1.0)), 0.0)
            terms = after**2 * lost + b**2 * dj * (nj - dj) / nj**3 - 2 * after * b * dj / nj**2
            spread[k] = terms.sum()
    beyond = at > observed.times.max()
    return np.where(beyond, np.nan, values), np.where(beyond, np.nan, np.maximum(spread, 0.0))


def _binomial(events: np.ndarray, at_risk: np.ndarray) -> np.ndarray:
    """Variance of a share of those at risk; cmprsk keeps 1 / n^2 for one event, also of the last subject."""
    tied = np.where(events > 1, (at_risk - events) / np.maximum(at_risk - 1.0, 1.0), 1.0)
    return tied * events / at_risk**2


def _limits(value: np.ndarray, se: np.ndarray, z: float, scale: str) -> tuple[np.ndarray, np.ndarray]:
    if scale == "plain":
        return np.maximum(value - z * se, 0.0), np.minimum(value + z * se, 1.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        logarithm = np.log(value)
        if scale == "log":
            half = z * se / value
            lower, upper = value * np.exp(-half), np.minimum(value * np.exp(half), 1.0)
        else:
            half = z * se / (value * np.abs(logarithm))
            lower, upper = np.exp(logarithm * np.exp(half)), np.exp(logarithm * np.exp(-half))
    inside = (value > 0) & (value < 1)
    return np.where(inside, lower, value), np.where(inside, upper, value)


def incidence_difference(
    times: Any,
    causes: Any,
    arms: Any,
    contrast: tuple[int, int],
    until: float,
    cause: int = 1,
    alpha: float = 0.05,
    sided: int = 2,
    variance: str = "aalen",
) -> Estimate:
    """Difference of cumulative incidences at a time between two arms, by the normal distribution.

    times, causes, arms: (..., subject). The trouble is TOO_SHORT where an arm's last time comes before `until`, and
    NO_EVENTS where the cause happened in neither arm by then.
    """
    level(alpha, sided)
    if variance not in VARIANCES:
        raise ValueError(f"variance is {variance!r}; write one of: {', '.join(VARIANCES)}")
    observed = follow_up(times, causes, cause)
    *parts, codes = together(**observed._asdict(), arms=codes_of(arms, contrast))
    observed = FollowUp(*parts)
    leading = observed.times.shape[:-1]
    value, spread = np.full((2, 2, *leading), np.nan)
    n = np.zeros((2, *leading))
    for index in np.ndindex(leading):
        for k, arm in enumerate(contrast):
            inside = observed.known[index] & (codes[index] == arm)
            n[(k, *index)] = inside.sum()
            if inside.any():
                part = FollowUp(*(each[index][inside] for each in observed))
                at = incidence_at(part, np.array([float(until)]), variance)
                value[(k, *index)], spread[(k, *index)] = at[0][0], at[1][0]
    with np.errstate(invalid="ignore", divide="ignore"):
        se = np.sqrt(spread.sum(0))
        trouble = troubled(
            leading,
            ((n == 0).any(0), Trouble.EMPTY_ARM),
            (np.isnan(value).any(0), Trouble.TOO_SHORT),
            (~(se > 0), Trouble.NO_EVENTS),
        )
        difference = value[0] - value[1]
        se = np.where(se > 0, se, np.nan)
        return interval(difference, se, stats.norm(), difference / se, alpha, sided, n.sum(0), trouble=trouble)
