"""Survival at one time, compared between two arms."""

from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.survival.follow_up import contrasted, follow_up
from analysis.statistics.survival.kaplan_meier import curve_of, one_of, value_at
from analysis.statistics.survival.ordered import slack
from analysis.statistics.trouble import Trouble, troubled


def milestone(
    times: Any,
    events: Any,
    arms: Any,
    contrast: tuple[int, int],
    at: float,
    alpha: float = 0.05,
    sided: int = 2,
    *,
    scale: str = "plain",
    entry: Any = None,
) -> Estimate:
    """Difference of Kaplan-Meier's survival between two arms at a time; each (...,).

        plain:    S_a - S_b,                              var = S_a^2 g_a + S_b^2 g_b
        log:      log S_a - log S_b,                      var = g_a + g_b
        log-log:  log(-log S_b) - log(-log S_a),          var = g_a / (log S_a)^2 + g_b / (log S_b)^2

    with g = se^2 / S^2 by Greenwood. Above 0 where more of the first arm live. times, events, arms, entry:
    (..., subject), NaN is left out. An arm of which nobody is left by then has no variance on the plain scale, and no
    value on the others; nor on the last an arm that has had no event: the trouble is CONSTANT.
    Klein, Logan, Harhoff & Andersen 2007, Stat Med 26:4505.
    """
    level(alpha, sided)
    one_of(scale)
    if not (np.isfinite(at) and at > 0):
        raise ValueError(f"at is {at}; give a time above 0")
    data = follow_up(times, events, entry, {"arms": arms})
    inside = contrasted(data.others["arms"], data.used, contrast)
    (a, var_a, seen_a), (b, var_b, seen_b) = (
        _transformed(*value_at(curve_of(data._replace(used=each)), at), scale) for each in inside
    )
    empty = ~(inside[0].any(-1) & inside[1].any(-1))
    sound = ~empty & seen_a & seen_b
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(sound, a - b, np.nan)
        se = np.where(sound, np.sqrt(var_a + var_b), np.nan)
        statistic = np.where(se > 0, value / se, np.nan)
    eventless = ~(data.events & (data.times <= at + slack(at)) & (inside[0] | inside[1])).any(-1)
    trouble = troubled(
        value.shape,
        (empty, Trouble.EMPTY_ARM),
        (~sound, Trouble.TOO_SHORT),
        (eventless, Trouble.NO_EVENTS),
        (~np.isfinite(statistic), Trouble.CONSTANT),
    )
    subjects = (inside[0] | inside[1]).sum(-1)
    return interval(value, se, stats.norm, statistic, alpha, sided, subjects, trouble=trouble)


def _transformed(
    survival: np.ndarray, greenwood: np.ndarray, seen: np.ndarray, scale: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Survival on the scale, growing with it, and its variance."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.log(survival)
        if scale == "plain":
            return survival, np.where(survival > 0, survival**2 * greenwood, 0.0), seen
        if scale == "log":
            return np.where(survival > 0, log, np.nan), greenwood, seen
        inner = (survival > 0) & (survival < 1)
        return np.where(inner, -np.log(-log), np.nan), np.where(inner, greenwood / log**2, np.nan), seen
