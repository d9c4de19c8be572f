"""Comparison of two proportions, over any number of replicates at once."""

import numpy as np
from scipy import stats

from analysis.continuous import Estimate, interval


def risk_difference(
    values: np.ndarray, arms: np.ndarray, contrast: tuple[int, int], alpha: float, sided: int
) -> Estimate:
    """Difference of proportions with Wald's interval.

        d = p_a - p_b,   se^2 = p_a (1 - p_a) / n_a + p_b (1 - p_b) / n_b

    values: 0 or 1, NaN is left out; values, arms: (replicate, subject).
    Altman, Statistics with Confidence, 2nd ed., chapter 6.
    """
    parts = []
    for arm in contrast:
        used = (arms == arm) & ~np.isnan(values)
        n = used.sum(-1).astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            parts.append((n, np.where(used, values, 0.0).sum(-1) / n))
    (na, pa), (nb, pb) = parts
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(pa * (1 - pa) / na + pb * (1 - pb) / nb)
        statistic = np.where(se > 0, (pa - pb) / se, np.where(pa == pb, 0.0, np.sign(pa - pb) * np.inf))
    return interval(pa - pb, se, stats.norm(), statistic, alpha, sided, na + nb)


def wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of one proportion of n, within 0 to 1 also where all or none respond.

    Wilson 1927, J Am Stat Assoc 22:209.
    """
    z2 = float(stats.norm.isf(0.025)) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = (z2 * share * (1 - share) / n + z2**2 / (4 * n**2)) ** 0.5 / (1 + z2 / n)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def number_needed_to_treat(difference: float, lower: float, upper: float) -> tuple[float, float | None, float | None]:
    """Patients to treat for one more responder, 1 / difference, with its interval.

    Where the interval of the difference holds 0 that of the number runs through infinity, and has no two ends: then
    both are None. A negative number is a number needed to harm.
    Altman 1998, BMJ 317:1309.
    """
    value = 1.0 / difference if difference else float("inf")
    if lower <= 0.0 <= upper:
        return value, None, None
    return value, 1.0 / upper, 1.0 / lower
