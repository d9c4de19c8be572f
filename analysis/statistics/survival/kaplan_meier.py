"""Kaplan-Meier's curve: its values, their intervals, its quantiles."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level
from analysis.statistics.survival.follow_up import FollowUp, follow_up
from analysis.statistics.survival.ordered import SAME, at_last, from_here, ordered, slack, tied
from analysis.statistics.trouble import Trouble, troubled

SCALES = ("plain", "log", "log-log")


class Curve(NamedTuple):
    """The curve at every row in order of time, each array (..., row).

    times: infinite for rows of no subject. at_risk: just before that time. events: at that time. survival: after it.
    greenwood: sum of d / (n (n - d)) so far, whose root is the standard error of log survival. last: of the rows of
    one time the last, so that a curve is drawn through `times[last]`.
    """

    times: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    survival: np.ndarray
    greenwood: np.ndarray
    last: np.ndarray


class Survival(NamedTuple):
    """Survival at the times asked for, each array (..., time). at_risk: just before them; events: until then.

    Where nobody is left the curve is 0, and its error is not known. trouble: TOO_SHORT after the last time seen, unless
    nobody was left then.
    """

    survival: np.ndarray
    se: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    trouble: np.ndarray


class Quantile(NamedTuple):
    """Time by which a share of subjects has had the event; NaN where the curve, or its limit, never falls that far."""

    value: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    trouble: np.ndarray


def curve(times: Any, events: Any, *, entry: Any = None) -> Curve:
    """Kaplan-Meier's curve of one group in each set of data.

        S(t) = prod over t_j <= t of (1 - d_j / n_j)

    times, events, entry: (..., subject); a subject is at risk after his entry and up to his time. NaN is left out.
    Kaplan & Meier 1958, J Am Stat Assoc 53:457. Greenwood 1926.
    """
    return curve_of(follow_up(times, events, entry))


def curve_of(data: FollowUp) -> Curve:
    """Kaplan-Meier's curve of those used."""
    rows = ordered(data.times, data.events, data.used, data.entry)
    at_risk = from_here(rows, rows.counts)
    failed = tied(rows, rows.events)
    last = np.ones(failed.shape, bool) if rows.last is None else rows.last == np.arange(failed.shape[-1])
    here = last & (failed > 0)
    left = at_risk - failed
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(here, left / at_risk, 1.0)
        step = np.where(here, failed / (at_risk * left), 0.0)
    survival, greenwood = np.cumprod(factor, -1), np.cumsum(step, -1)
    return Curve(rows.times, at_risk, failed, at_last(rows, survival), at_last(rows, greenwood), last)


def kaplan_meier(
    times: Any, events: Any, at: Any, *, entry: Any = None, alpha: float = 0.05, scale: str = "log"
) -> Survival:
    """Survival of one group at the times `at`, (time,), with Greenwood's error and limits on a scale.

        plain: S -+ z se,   log: S exp(-+ z se / S),   log-log: S^exp(-+ z se / (S log S)),   se = S sqrt(greenwood)

    times, events, entry: (..., subject), NaN is left out; arms are told apart by setting the times of others to NaN.
    Limits are kept within 0 and 1.
    Kalbfleisch & Prentice, The Statistical Analysis of Failure Time Data, 2nd ed., section 1.4.
    """
    level(alpha, 2)
    one_of(scale)
    points = np.asarray(at, float)
    if points.ndim != 1 or not np.isfinite(points).all() or (points < 0).any():
        raise ValueError(f"at is {at}; give a list of times from 0 on")
    data = follow_up(times, events, entry)
    found = curve_of(data)
    columns = []
    for point in points:
        survival, greenwood, seen = value_at(found, point)
        gone = data.used & (data.times < point - slack(point))
        present = data.used if data.entry is None else data.used & (data.entry < point - slack(point))
        happened = (data.used & data.events & (data.times <= point + slack(point))).sum(-1)
        columns.append((survival, greenwood, seen, (present & ~gone).sum(-1), happened))
    survival, greenwood, seen, at_risk, happened = (np.stack(each, -1) for each in zip(*columns, strict=True))
    empty = ~data.used.any(-1)[..., None]
    survival = np.where(seen & ~empty, survival, np.nan)
    lower, upper = limits(survival, greenwood, alpha, scale)
    with np.errstate(invalid="ignore"):
        se = survival * np.sqrt(greenwood)
    trouble = troubled(survival.shape, (empty, Trouble.EMPTY_ARM), (~seen, Trouble.TOO_SHORT))
    return Survival(survival, se, lower, upper, at_risk.astype(float), happened.astype(float), trouble)


def value_at(found: Curve, time: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Survival and Greenwood's sum at a time, and whether follow-up reaches it, or nobody was left; each (...,)."""
    reached = found.times <= time + slack(time)
    index = np.maximum(reached.sum(-1, keepdims=True) - 1, 0)
    began = reached.any(-1)
    survival = np.where(began, np.take_along_axis(found.survival, index, -1)[..., 0], 1.0)
    greenwood = np.where(began, np.take_along_axis(found.greenwood, index, -1)[..., 0], 0.0)
    beyond = ((found.times >= time - slack(time)) & np.isfinite(found.times)).any(-1)
    return survival, np.where(survival > 0, greenwood, np.nan), beyond | (survival == 0)


def limits(survival: np.ndarray, greenwood: np.ndarray, alpha: float, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Limits of survival of level 1 - alpha on that scale; NaN where survival is 0."""
    z = float(stats.norm.isf(alpha / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        known = np.where(survival > 0, survival, np.nan)
        half = z * np.sqrt(greenwood)
        if scale == "plain":
            lower, upper = known * (1 - half), known * (1 + half)
        elif scale == "log":
            lower, upper = known * np.exp(-half), known * np.exp(half)
        else:
            # Of a curve that has not fallen yet the error is 0, and so is the width.
            power = np.where(known == 1, 0.0, half / np.log(known))
            lower, upper = known ** np.exp(-power), known ** np.exp(power)
    return np.maximum(lower, 0.0), np.minimum(upper, 1.0)


def quantile(
    times: Any, events: Any, share: float = 0.5, *, entry: Any = None, alpha: float = 0.05, scale: str = "log"
) -> Quantile:
    """Time by which that share of one group has had the event, the median unless share says otherwise; each (...,).

    The first time at which S(t) <= 1 - share; where the curve lies level at 1 - share, the middle of that stretch. The
    limits are the times at which the curve's own limits do so, as in R's survfit. Data and scale as in `kaplan_meier`.
    Brookmeyer & Crowley 1982, Biometrics 38:29.
    """
    level(alpha, 2)
    one_of(scale)
    if not 0.0 < share < 1.0:
        raise ValueError(f"share is {share}; give a share between 0 and 1, such as 0.5 for the median")
    data = follow_up(times, events, entry)
    found = curve_of(data)
    lower, upper = limits(found.survival, np.where(found.survival > 0, found.greenwood, np.nan), alpha, scale)
    value = _falls(found, found.survival, share)
    trouble = troubled(
        value.shape,
        (~data.used.any(-1), Trouble.EMPTY_ARM),
        (~(data.used & data.events).any(-1), Trouble.NO_EVENTS),
        (np.isnan(value), Trouble.TOO_SHORT),
    )
    return Quantile(value, _falls(found, lower, share), _falls(found, upper, share), trouble)


def _falls(found: Curve, heights: np.ndarray, share: float) -> np.ndarray:
    """Middle of the first time at which heights are at most 1 - share, and the first at which they are below."""
    fallen = np.where(np.isfinite(found.times), 1.0 - heights, np.nan)
    reaching = np.where(fallen >= share - SAME, fallen, np.inf)
    passing = np.where(fallen >= share + SAME, fallen, np.inf)
    # An upper limit may rise again where few are left; R takes the least fall that is far enough, and so do we.
    first, second = np.argmin(reaching, -1), np.argmin(passing, -1)
    end = np.where(np.isfinite(found.times), found.times, 0.0).max(-1)
    start = np.take_along_axis(found.times, first[..., None], -1)[..., 0]
    beyond = np.isfinite(passing).any(-1)
    stop = np.where(beyond, np.take_along_axis(found.times, second[..., None], -1)[..., 0], end)
    return np.where(np.isfinite(reaching).any(-1), (start + stop) / 2.0, np.nan)


def one_of(scale: str) -> None:
    """Raises ValueError for a scale that is not known."""
    if scale not in SCALES:
        raise ValueError(f"scale '{scale}' is unknown; write one of: {', '.join(SCALES)}")
