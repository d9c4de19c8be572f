"""Two strategies: their difference in cost and effect, its ratio, and the net benefit, each with an interval."""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level, plain, together
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.trouble import Trouble, troubled


class Difference(NamedTuple):
    """Mean differences and the covariance of their errors, each (...). subjects: who counted."""

    cost: np.ndarray
    effect: np.ndarray
    cost_variance: np.ndarray
    effect_variance: np.ndarray
    covariance: np.ndarray
    subjects: np.ndarray
    trouble: np.ndarray


class Region(IntEnum):
    """What the limits of a ratio hold: all between them, all but what is between them, or every number."""

    BETWEEN = 0
    OUTSIDE = 1
    EVERYTHING = 2


class Ratio(NamedTuple):
    """value: cost per unit of effect, NaN where there is no effect. lower, upper: limits, NaN where the region is
    everything. region: codes of Region; each (...)."""

    value: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    region: np.ndarray


def difference(costs: Any, effects: Any, arms: Any, contrast: tuple[int, int]) -> Difference:
    """Differences of mean cost and effect between two arms, first less second, with unequal variances.

    costs, effects, arms: (..., subject); a subject with either missing is left out.
    """
    cost, effect, arm = together(
        costs=plain(costs, "costs"), effects=plain(effects, "effects"), arms=plain(arms, "arms")
    )
    absent = [code for code in contrast if not (arm == code).any()]
    if absent:
        raise ValueError(f"arm {absent[0]} is not there; the data have {np.unique(arm[~np.isnan(arm)]).tolist()}")
    known = ~np.isnan(cost) & ~np.isnan(effect)
    parts = []
    for code in contrast:
        used = known & (arm == code)
        n = used.sum(-1).astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = [np.where(used, each, 0.0).sum(-1) / n for each in (cost, effect)]
            c, e = (
                np.where(used, each - mean[..., None], 0.0) for each, mean in zip((cost, effect), means, strict=True)
            )
            parts.append((n, *means, *((a * b).sum(-1) / (n * (n - 1.0)) for a, b in ((c, c), (e, e), (c, e)))))
    (na, ca, ea, *spread_a), (nb, cb, eb, *spread_b) = parts
    var_c, var_e, cov = (a + b for a, b in zip(spread_a, spread_b, strict=True))
    trouble = troubled(na.shape, ((na == 0) | (nb == 0), Trouble.EMPTY_ARM), ((na < 2) | (nb < 2), Trouble.TOO_FEW))
    return Difference(ca - cb, ea - eb, var_c, var_e, cov, na + nb, trouble)


def net_benefit(
    found: Difference, willingness: float, *, health: bool = False, alpha: float = 0.05, sided: int = 2
) -> Estimate:
    """Incremental net benefit: W effect - cost in money, or effect - cost / W in health; normal interval.

    Stinnett & Mullahy 1998, Med Decis Making 18:S68.
    """
    level(alpha, sided)
    _willing(willingness, above=health)
    value = willingness * found.effect - found.cost
    variance = willingness**2 * found.effect_variance + found.cost_variance - 2 * willingness * found.covariance
    unit = willingness if health else 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(np.maximum(variance, 0.0)) / unit
        statistic = value / unit / se
    trouble = np.where((found.trouble == 0) & ~(se > 0), int(Trouble.CONSTANT), found.trouble)
    return interval(value / unit, se, stats.norm(), statistic, alpha, sided, found.subjects, trouble=trouble)


def cost_effectiveness_ratio(found: Difference, alpha: float = 0.05) -> Ratio:
    """Incremental cost-effectiveness ratio, with the limits of Fieller: |cost - R effect| is within z errors.

        (effect^2 - z^2 v_e) R^2 - 2 (cost effect - z^2 cov) R + cost^2 - z^2 v_c <= 0

    Where the effect cannot be told from 0 the region is what lies outside two limits, or everything.
    Fieller 1954, JRSS B 16:175; Willan & O'Brien 1996, Health Econ 5:297.
    """
    level(alpha, 2)
    z2 = stats.norm.isf(alpha / 2) ** 2
    a = found.effect**2 - z2 * found.effect_variance
    b = found.cost * found.effect - z2 * found.covariance
    c = found.cost**2 - z2 * found.cost_variance
    inner = b**2 - a * c
    # Over an effect next to nothing the ratio, and its limits, are rightly infinite.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value = np.where(found.effect != 0, found.cost / found.effect, np.nan)
        root = np.sqrt(inner)
        ends = np.sort(np.stack([(b - root) / a, (b + root) / a]), axis=0)
    region = np.where(a > 0, Region.BETWEEN, np.where(inner > 0, Region.OUTSIDE, Region.EVERYTHING))
    lower, upper = np.where(region == Region.EVERYTHING, np.nan, ends)
    return Ratio(value, lower, upper, region.astype(int))


def bootstrap(
    costs: Any, effects: Any, arms: Any, contrast: tuple[int, int], seed: int, draws: int = 2000
) -> tuple[np.ndarray, np.ndarray]:
    """Differences of mean cost and effect in samples drawn again within each arm; both (draw,).

    They are draws of an uncertain decision, for `acceptability`, and their quantiles limits of any figure.
    costs, effects, arms: (subject,). Raises ValueError where an arm has fewer than 2 subjects.
    """
    found = difference(costs, effects, arms, contrast)
    if found.trouble.ndim or int(found.trouble):
        raise ValueError("an arm has fewer than 2 subjects with cost and effect; give more, of one trial")
    if draws < 2:
        raise ValueError(f"draws is {draws}; give 2 or more")
    rng = np.random.default_rng(seed)
    cost, effect, arm = (np.asarray(each, dtype=float) for each in (costs, effects, arms))
    known = ~np.isnan(cost) & ~np.isnan(effect)
    means = []
    for code in contrast:
        rows = np.flatnonzero(known & (arm == code))
        drawn = rows[rng.integers(len(rows), size=(draws, len(rows)))]
        means.append((cost[drawn].mean(1), effect[drawn].mean(1)))
    (cost_a, effect_a), (cost_b, effect_b) = means
    return cost_a - cost_b, effect_a - effect_b


def _willing(willingness: float, above: bool = False) -> None:
    if not np.isfinite(willingness) or willingness < 0 or (above and willingness == 0):
        raise ValueError(f"willingness is {willingness}; give what a unit of effect may cost, above 0 for health")
