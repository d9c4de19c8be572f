"""One proportion, over any number of replicates at once."""

from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level
from analysis.statistics.binary.tables import binary
from analysis.statistics.estimate import Estimate
from analysis.statistics.trouble import Trouble, troubled

METHODS = ("wald", "wilson", "wilson-corrected", "agresti-coull", "clopper-pearson", "mid-p", "jeffreys")


def proportion(
    values: Any, alpha: float = 0.05, sided: int = 2, method: str = "wilson", null: float | None = None
) -> Estimate:
    """Share of responders x / n, its interval by `method`, and where `null` is given a test that the share is `null`.

        wald              p +- z sqrt(p q / n)
        wilson            shares that the score test does not reject; -corrected: with continuity
        agresti-coull     Wald's about (x + z^2 / 2) / (n + z^2)
        clopper-pearson   exact: each end leaves alpha / 2 to the tail of the binomial distribution
        mid-p             the same, x itself counted half
        jeffreys          quantiles of Beta(x + 1/2, n - x + 1/2); 0 and 1 are ends where x is 0 or n

    Test: exact for the methods clopper-pearson and mid-p (two-sided: twice the lesser tail, at most 1), else the score
    z = (p - null) / sqrt(null (1 - null) / n); statistic is z, se sqrt(p q / n). values: 0 or 1, NaN is left out,
    (..., subject).
    Brown, Cai & DasGupta 2001, Stat Sci 16:101; Newcombe 1998, Stat Med 17:857.
    """
    found = binary(values, "values")
    return of_counts((found == 1).sum(-1), (~np.isnan(found)).sum(-1), alpha, sided, method, null)


def of_counts(
    x: Any, n: Any, alpha: float = 0.05, sided: int = 2, method: str = "wilson", null: float | None = None
) -> Estimate:
    """As proportion, of x responders of n, each (...)."""
    level(alpha, sided)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; give one of {', '.join(METHODS)}")
    if null is not None and not 0.0 < null < 1.0:
        raise ValueError(f"null is {null}; give a share between 0 and 1")
    x, n = (np.asarray(each, float) for each in np.broadcast_arrays(x, n))
    if not ((x >= 0) & (x <= n) & (x == np.round(x)) & (n == np.round(n))).all():
        raise ValueError("x of n are no counts; give whole numbers, 0 <= x <= n")
    tail = alpha / sided
    with np.errstate(divide="ignore", invalid="ignore"):
        p = x / n
        se = np.sqrt(p * (1 - p) / n)
        lower, upper = _ends(x, n, p, se, tail, method)
        lower, upper = np.where(n > 0, lower, np.nan), np.where(n > 0, upper, np.nan)
        statistic, tested = np.full(x.shape, np.nan), np.full(x.shape, np.nan)
        if null is not None:
            statistic = (p - null) / np.sqrt(null * (1 - null) / n)
            tested = _p(x, n, statistic, null, sided, method)
    trouble = troubled(x.shape, (n == 0, Trouble.EMPTY_ARM), ((se == 0) & (method == "wald"), Trouble.CONSTANT))
    return Estimate(p, se, lower, upper, tested, n, statistic, np.full(x.shape, np.inf), trouble)


def _ends(
    x: np.ndarray, n: np.ndarray, p: np.ndarray, se: np.ndarray, tail: float, method: str
) -> tuple[np.ndarray, np.ndarray]:
    z = float(stats.norm.isf(tail))
    if method == "wald":
        return p - z * se, p + z * se
    if method.startswith("wilson"):
        return wilson(p, n, z, method.endswith("corrected"))
    if method == "agresti-coull":
        middle = (x + z**2 / 2) / (n + z**2)
        half = z * np.sqrt(middle * (1 - middle) / (n + z**2))
        return middle - half, middle + half
    if method == "clopper-pearson":
        lower, upper = stats.beta.ppf(tail, x, n - x + 1), stats.beta.isf(tail, x + 1, n - x)
    elif method == "jeffreys":
        lower, upper = stats.beta.ppf(tail, x + 0.5, n - x + 0.5), stats.beta.isf(tail, x + 0.5, n - x + 0.5)
    else:
        lower, upper = _halved(x, n, tail, 1.0), _halved(x, n, tail, -1.0)
    return np.where(x == 0, 0.0, lower), np.where(x == n, 1.0, upper)


def _halved(x: np.ndarray, n: np.ndarray, tail: float, side: float) -> np.ndarray:
    """Share for which x or what is beyond has probability `tail`, x itself counted half; by bisection."""
    low, high = np.zeros(x.shape), np.ones(x.shape)
    for _ in range(60):
        middle = (low + high) / 2
        beyond = stats.binom.sf(x, n, middle) if side > 0 else stats.binom.cdf(x - 1, n, middle)
        less = beyond + stats.binom.pmf(x, n, middle) / 2 < tail
        below = less if side > 0 else ~less
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def _p(x: np.ndarray, n: np.ndarray, z: np.ndarray, null: float, sided: int, method: str) -> np.ndarray:
    if method not in ("clopper-pearson", "mid-p"):
        return 2 * stats.norm.sf(np.abs(z)) if sided == 2 else stats.norm.sf(z)
    half = stats.binom.pmf(x, n, null) * (0.5 if method == "mid-p" else 0.0)
    above, below = stats.binom.sf(x - 1, n, null) - half, stats.binom.cdf(x, n, null) - half
    return np.minimum(1.0, 2 * np.minimum(above, below)) if sided == 2 else above


def wilson(
    share: Any, n: Any, z: float = float(stats.norm.isf(0.025)), corrected: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of one proportion of n, within 0 to 1 also where all or none respond; 95 % unless z says otherwise.

    share, n: numbers, or arrays of one shape. corrected: with continuity.
    Wilson 1927, J Am Stat Assoc 22:209; Newcombe 1998, Stat Med 17:857 (methods 3 and 4).
    """
    share, n = np.asarray(share, float), np.asarray(n, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        if corrected:
            odd = 2 * n * share + z**2
            lower = (odd - 1 - z * np.sqrt(z**2 - 2 - 1 / n + 4 * share * (n * (1 - share) + 1))) / (2 * (n + z**2))
            upper = (odd + 1 + z * np.sqrt(z**2 + 2 - 1 / n + 4 * share * (n * (1 - share) - 1))) / (2 * (n + z**2))
            lower, upper = np.maximum(lower, 0.0), np.minimum(upper, 1.0)
        else:
            centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
            half = np.sqrt(z**2 * share * (1 - share) / n + z**4 / (4 * n**2)) / (1 + z**2 / n)
            lower, upper = centre - half, centre + half
    # Rounding would leave 0 and 1 by an ulp.
    return np.where(share == 0, 0.0, lower), np.where(share == 1, 1.0, upper)
