"""Restricted mean survival time, and the time lost, over any number of replicates at once."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.survival.follow_up import FollowUp, contrasted, follow_up
from analysis.statistics.survival.kaplan_meier import curve_of, value_at
from analysis.statistics.survival.ordered import slack
from analysis.statistics.trouble import Trouble, troubled


class RestrictedMean(NamedTuple):
    """Mean time lived until a horizon, each array (...,). lost: the horizon less the mean, of the same error."""

    mean: np.ndarray
    se: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    lost: np.ndarray
    subjects: np.ndarray
    trouble: np.ndarray


def restricted_mean(
    times: Any, events: Any, until: float, *, entry: Any = None, alpha: float = 0.05, inflated: bool = False
) -> RestrictedMean:
    """Area under Kaplan-Meier's curve of one group up to `until`, with Greenwood's variance.

        m = integral of S from 0 to until,   var = sum A_j^2 d_j / (n_j (n_j - d_j)),   A_j = area after t_j

    times, events, entry: (..., subject), NaN is left out. Censoring at a time comes after the events of that time.
    inflated: the variance times D / (D - 1), D the events until then, as the package simtrial has it. Where follow-up
    ends before `until` with a censored subject the trouble is TOO_SHORT, as survRM2 refuses it.
    Klein & Moeschberger, Survival Analysis, 2nd ed., section 4.5. Uno et al. 2014, J Clin Oncol 32:2380.
    """
    level(alpha, 2)
    mean, variance, data, trouble = _area(follow_up(times, events, entry), _horizon(until), inflated)
    se = np.sqrt(variance)
    half = stats.norm.isf(alpha / 2) * se
    return RestrictedMean(mean, se, mean - half, mean + half, until - mean, data.used.sum(-1).astype(float), trouble)


def restricted_mean_difference(
    times: Any,
    events: Any,
    arms: Any,
    contrast: tuple[int, int],
    until: float,
    alpha: float = 0.05,
    sided: int = 2,
    *,
    entry: Any = None,
    inflated: bool = False,
) -> Estimate:
    """Difference of restricted means between two arms, m_a - m_b, by the normal distribution; (...,).

    times, events, arms, entry: (..., subject). Of the time lost it is the same with its sign turned. See
    `restricted_mean`.
    """
    level(alpha, sided)
    (a, var_a), (b, var_b), subjects, trouble = _both(times, events, arms, contrast, until, entry, inflated)
    return _told(a - b, var_a + var_b, subjects, trouble, alpha, sided)


def restricted_mean_ratio(
    times: Any,
    events: Any,
    arms: Any,
    contrast: tuple[int, int],
    until: float,
    alpha: float = 0.05,
    sided: int = 2,
    *,
    lost: bool = False,
    entry: Any = None,
    inflated: bool = False,
) -> Estimate:
    """Logarithm of the ratio of restricted means, log(m_a / m_b), or of the times lost; (...,).

        var = var_a / m_a^2 + var_b / m_b^2

    Its exponential and those of its limits are the ratio and its interval. See `restricted_mean`.
    """
    level(alpha, sided)
    (a, var_a), (b, var_b), subjects, trouble = _both(times, events, arms, contrast, until, entry, inflated)
    if lost:
        a, b = until - a, until - b
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where((a > 0) & (b > 0), np.log(a / b), np.nan)
        variance = var_a / a**2 + var_b / b**2
    return _told(value, variance, subjects, trouble, alpha, sided)


def _told(
    value: np.ndarray, variance: np.ndarray, subjects: np.ndarray, trouble: np.ndarray, alpha: float, sided: int
) -> Estimate:
    se = np.where(np.isfinite(value), np.sqrt(variance), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(se > 0, value / se, np.nan)
    trouble = np.where((trouble == Trouble.NONE) & ~(se > 0), int(Trouble.NO_EVENTS), trouble)
    return interval(value, se, stats.norm, statistic, alpha, sided, subjects, trouble=trouble)


def _both(
    times: Any, events: Any, arms: Any, contrast: tuple[int, int], until: float, entry: Any, inflated: bool
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    """Mean and variance of either arm, subjects of both, and the trouble of the first arm that has one."""
    data = follow_up(times, events, entry, {"arms": arms})
    of = [
        _area(data._replace(used=inside), _horizon(until), inflated)
        for inside in contrasted(data.others["arms"], data.used, contrast)
    ]
    (a, var_a, first, trouble_a), (b, var_b, second, trouble_b) = of
    codes = (Trouble.EMPTY_ARM, Trouble.TOO_SHORT, Trouble.TOO_FEW)
    trouble = troubled(a.shape, *(((trouble_a == code) | (trouble_b == code), code) for code in codes))
    return (a, var_a), (b, var_b), (first.used | second.used).sum(-1).astype(float), trouble


def _area(data: FollowUp, until: float, inflated: bool) -> tuple[np.ndarray, np.ndarray, FollowUp, np.ndarray]:
    found = curve_of(data)
    # The curve is level from each row to the next; what lies beyond the horizon has no width.
    ends = np.minimum(found.times, until)
    widths = np.diff(ends, append=until, axis=-1)
    pieces = found.survival * widths
    after = np.cumsum(pieces[..., ::-1], -1)[..., ::-1]
    mean = ends[..., 0] + after[..., 0]
    steps = np.diff(np.where(found.survival > 0, found.greenwood, 0.0), prepend=0.0, axis=-1)
    steps = np.where(found.survival > 0, steps, 0.0)
    variance = (after**2 * steps).sum(-1)
    if inflated:
        died = (data.used & data.events & (data.times <= until + slack(until))).sum(-1)
        variance = np.where(died == 1, np.nan, variance * died / np.maximum(died - 1, 1))
    empty = ~data.used.any(-1)
    short = ~value_at(found, until)[2]
    known = ~empty & ~short
    trouble = troubled(
        empty.shape, (empty, Trouble.EMPTY_ARM), (short, Trouble.TOO_SHORT), (np.isnan(variance), Trouble.TOO_FEW)
    )
    return np.where(known, mean, np.nan), np.where(known, variance, np.nan), data, trouble


def _horizon(until: float) -> float:
    if not (np.isfinite(until) and until > 0):
        raise ValueError(f"until is {until}; give a time above 0")
    return float(until)
