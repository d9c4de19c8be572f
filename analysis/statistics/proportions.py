"""Comparison of two proportions, over any number of replicates at once."""

from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.trouble import Trouble, troubled


def risk_difference(
    values: np.ndarray, arms: np.ndarray, contrast: tuple[int, int], alpha: float, sided: int
) -> Estimate:
    """Difference of proportions: Newcombe's hybrid score interval, and the test of Wald.

        d = p_a - p_b,   se^2 = p_a (1 - p_a) / n_a + p_b (1 - p_b) / n_b,   z = d / se
        lower = d - sqrt((p_a - l_a)^2 + (u_b - p_b)^2),   upper = d + sqrt((u_a - p_a)^2 + (p_b - l_b)^2)

    with Wilson's limits l, u of each arm; where nobody or everybody responds se is 0, p is 1 and the interval still
    has a width. values: 0 or 1, NaN is left out; values, arms: (replicate, subject).
    Newcombe 1998, Stat Med 17:873, method 10.
    """
    parts = []
    z = float(stats.norm.isf(alpha / sided))
    for arm in contrast:
        used = (arms == arm) & ~np.isnan(values)
        n = used.sum(-1).astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            p = np.where(used, values, 0.0).sum(-1) / n
            parts.append((n, p, *wilson(p, n, z)))
    (na, pa, la, ua), (nb, pb, lb, ub) = parts
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(pa * (1 - pa) / na + pb * (1 - pb) / nb)
        statistic = np.where(se > 0, (pa - pb) / se, np.where(pa == pb, 0.0, np.sign(pa - pb) * np.inf))
    trouble = troubled(pa.shape, ((na == 0) | (nb == 0), Trouble.EMPTY_ARM))
    known = interval(pa - pb, se, stats.norm(), statistic, alpha, sided, na + nb, trouble=trouble)
    lower = pa - pb - np.hypot(pa - la, ub - pb)
    upper = pa - pb + np.hypot(ua - pa, pb - lb)
    return known._replace(lower=lower, upper=upper)


def wilson(share: Any, n: Any, z: float = float(stats.norm.isf(0.025))) -> tuple[Any, Any]:
    """Interval of one proportion of n, within 0 to 1 also where all or none respond; 95 % unless z says otherwise.

    share, n: numbers, or arrays of one shape. Wilson 1927, J Am Stat Assoc 22:209.
    """
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = np.sqrt(z**2 * share * (1 - share) / n + z**4 / (4 * n**2)) / (1 + z**2 / n)
    # Rounding would leave 0 and 1 by an ulp.
    return np.where(share == 0, 0.0, centre - half), np.where(share == 1, 1.0, centre + half)


def number_needed_to_treat(difference: float, lower: float, upper: float) -> tuple[float, float | None, float | None]:
    """Patients to treat for one more responder, 1 / difference, with its interval.

    Where the interval of the difference holds 0 that of the number runs through infinity, and has no two ends: then
    both are None. A negative number is a number needed to harm.
    Altman 1998, BMJ 317:1309.
    """
    value = 1.0 / difference if difference else float("inf")
    if not (lower > 0.0 or upper < 0.0):
        return value, None, None
    return value, 1.0 / upper, 1.0 / lower
