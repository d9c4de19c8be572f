"""What separate stages of a trial found: statistics of each, at any effect that is put to the test."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.sequential.looks import number, observed, rows
from analysis.statistics.sequential.rates import restricted
from analysis.statistics.trouble import Trouble, troubled


class Stages(NamedTuple):
    """Stages of a trial, each of its own subjects.

    statistic: of effects (row,) and the numbers of the rows they are for, to the standardised statistic of each stage,
    (row, stage); a larger effect makes it smaller. lead: dimensions before the stage, in which the rows lie. null:
    effect of the null hypothesis. least, most: between which effects lie. information: of each stage on effect / scale,
    and scale up to each stage, both (row, stage). direction: -1 where smaller effects are hoped for; all of these then
    have the opposite sign. trouble: codes of Trouble, (row,), of rows with a stage that has no statistic. log: whether
    the effect is the logarithm of what is reported.
    """

    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray]
    lead: tuple[int, ...]
    null: float
    least: float
    most: float
    information: np.ndarray
    scale: np.ndarray
    direction: float
    trouble: np.ndarray
    log: bool = False


def means(
    n_a: Any,
    n_b: Any,
    mean_a: Any,
    mean_b: Any,
    sd_a: Any,
    sd_b: Any,
    null: float = 0.0,
    above: bool = True,
    equal: bool = True,
    normal: bool = False,
) -> Stages:
    """Differences of means, a - b, by the t-test of each stage.

    n: subjects, mean, sd: of the arms in each stage, (..., stage). equal: whether the arms have one variance, else
    degrees of freedom by Welch. normal: take the normal distribution instead of t. above: whether a is hoped to lie
    above b. An arm of fewer than two, and arms without spread, are a trouble. Raises ValueError for a negative sd or n.
    """
    given = {"n_a": n_a, "n_b": n_b, "mean_a": mean_a, "mean_b": mean_b, "sd_a": sd_a, "sd_b": sd_b}
    lead, (na, nb, ma, mb, sa, sb) = rows(
        *((observed(each, name, -np.inf if name[0] == "m" else 0.0), True) for name, each in given.items())
    )
    sign = 1.0 if above else -1.0
    va, vb = sa**2, sb**2
    with np.errstate(divide="ignore", invalid="ignore"):
        if equal:
            df = na + nb - 2.0
            se = np.sqrt(((na - 1) * va + (nb - 1) * vb) / df * (1 / na + 1 / nb))
        else:
            se = np.sqrt(va / na + vb / nb)
            df = se**4 / ((va / na) ** 2 / (na - 1) + (vb / nb) ** 2 / (nb - 1))
        sums = _squares(na, ma, va) + _squares(nb, mb, vb)
        pooled = np.sqrt(sums / (np.cumsum(na, -1) + np.cumsum(nb, -1) - 2.0))
        weight = 1.0 / (1.0 / na + 1.0 / nb)
    few = ~((na > 1) & (nb > 1))
    trouble = troubled(
        na.shape[:1],
        ((~((na > 0) & (nb > 0))).any(-1), Trouble.EMPTY_ARM),
        (few.any(-1), Trouble.TOO_FEW),
        ((~(se > 0.0)).any(-1), Trouble.CONSTANT),
    )

    def statistic(effect: np.ndarray, i: np.ndarray) -> np.ndarray:
        t = (sign * (ma[i] - mb[i]) - effect[:, None]) / se[i]
        return t if normal else np.sign(t) * stats.norm.isf(stats.t.sf(np.abs(t), df[i]))

    return Stages(statistic, lead, sign * null, -np.inf, np.inf, weight, pooled, sign, trouble)


def rates(events_a: Any, n_a: Any, events_b: Any, n_b: Any, null: float = 0.0, above: bool = True) -> Stages:
    """Differences of rates, a - b, by the score test of each stage.

    Its variance is that of the most likely rates that differ by what is tested; the pooled one for no difference.
    events, n: of the arms in each stage, (..., stage). null: difference of the null hypothesis. An empty arm is a
    trouble. Raises ValueError for more events than subjects.
    Farrington & Manning 1990, Stat Med 9:1447.
    """
    lead, (xa, na, xb, nb) = rows(
        (observed(events_a, "events_a", 0.0), True),
        (observed(n_a, "n_a", 0.0), True),
        (observed(events_b, "events_b", 0.0), True),
        (observed(n_b, "n_b", 0.0), True),
    )
    if np.any((xa > na) | (xb > nb)):
        raise ValueError("a stage has more events than subjects; give 0 to n of each arm")
    sign = 1.0 if above else -1.0
    empty = ~((na > 0) & (nb > 0) & (xa >= 0) & (xb >= 0))
    trouble = troubled(na.shape[:1], (empty.any(-1), Trouble.EMPTY_ARM))
    with np.errstate(divide="ignore", invalid="ignore"):
        pa, pb = xa / na, xb / nb
        a, b = (np.cumsum(x, -1) / np.cumsum(n, -1) for x, n in ((xa, na), (xb, nb)))
        ratio = np.cumsum(na, -1) / np.cumsum(nb, -1)
        # The variance of one subject in each arm, for a total of as many as there were.
        scale = np.sqrt((a * (1 - a) / ratio + b * (1 - b)) / (1.0 / ratio + 1.0))
        weight = 1.0 / (1.0 / na + 1.0 / nb)

    def statistic(effect: np.ndarray, i: np.ndarray) -> np.ndarray:
        delta = sign * effect[:, None]
        a, b = restricted(pa[i], pb[i], na[i] / nb[i], delta)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (sign * (pa[i] - pb[i]) - effect[:, None]) / np.sqrt(a * (1 - a) / na[i] + b * (1 - b) / nb[i])
        return np.nan_to_num(z, nan=0.0, posinf=40.0, neginf=-40.0)

    return Stages(statistic, lead, sign * null, -1.0, 1.0, weight, scale, sign, trouble)


def survival(z: Any, events: Any, ratio: Any = 1.0, null: float = 1.0, above: bool = False) -> Stages:
    """Hazard ratios, a against b, by the log-rank statistic of each stage.

    z: of each stage alone, positive where a has more events than expected, (..., stage): see `increments` for those of
    all data so far. events: of each stage, both arms. ratio r: n_a / n_b. The statistic at a hazard ratio h is
    z - log(h) sqrt(events r) / (1 + r). above: whether a ratio above `null` is hoped for. A stage without
    events is a trouble.
    Wassmer 2006, Biom J 48:714.
    """
    lead, (found, d, r) = rows(
        (observed(z, "z"), True),
        (observed(events, "events", 0.0), True),
        (number(ratio, "ratio", 0.0, example="1"), False),
    )
    sign = 1.0 if above else -1.0
    weight = d * (r / (1.0 + r) ** 2)[:, None]

    def statistic(effect: np.ndarray, i: np.ndarray) -> np.ndarray:
        return sign * found[i] - effect[:, None] * np.sqrt(weight[i])

    trouble = troubled(d.shape[:1], ((~(d > 0.0) | np.isnan(found)).any(-1), Trouble.NO_EVENTS))
    start = sign * float(np.log(number(null, "null", 0.0, example="1")))
    return Stages(statistic, lead, start, -np.inf, np.inf, weight, np.ones_like(weight), sign, trouble, True)


def increments(z: Any, information: Any) -> tuple[np.ndarray, np.ndarray]:
    """Statistics of the stages alone, and their information, from those of all data up to each look, (..., look).

    (sqrt(I_k) Z_k - sqrt(I_(k-1)) Z_(k-1)) / sqrt(I_k - I_(k-1)); information may be events or subjects.
    """
    sofar = np.asarray(information, dtype=float)
    step = np.diff(sofar, prepend=0.0, axis=-1)
    if not np.all(step > 0.0):
        raise ValueError("information does not increase from look to look; give what there was by each")
    return np.diff(number(z, "z") * np.sqrt(sofar), prepend=0.0, axis=-1) / np.sqrt(step), step


def _squares(n: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Sum of squares about the mean of all subjects so far, (row, stage)."""
    total = np.cumsum(n, -1)
    centre = np.cumsum(n * mean, -1) / total
    return np.cumsum((n - 1.0) * variance + n * mean**2, -1) - total * centre**2
