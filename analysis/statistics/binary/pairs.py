"""Two outcomes of each subject: McNemar's test, difference and odds ratio of pairs; over any number of replicates."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from scipy.optimize import elementwise

from analysis.statistics.arrays import level, together
from analysis.statistics.binary import proportion
from analysis.statistics.binary.chi_square import Tested
from analysis.statistics.binary.tables import binary
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.trouble import Trouble, troubled

TESTS = ("asymptotic", "corrected", "exact", "mid-p")
METHODS = ("wald", "newcombe", "tango")


class Pairs(NamedTuple):
    """Numbers of pairs with a response to both, to the first only, to the second only, to neither; each (...)."""

    both: np.ndarray
    first: np.ndarray
    second: np.ndarray
    neither: np.ndarray


def pairs(first: Any, second: Any) -> Pairs:
    """Counts of two outcomes, 0 or 1, (..., subject); a subject with NaN in one is left out."""
    first, second = together(first=binary(first, "first"), second=binary(second, "second"))
    cells = ((1, 1), (1, 0), (0, 1), (0, 0))
    return Pairs(*(((first == a) & (second == b)).sum(-1).astype(float) for a, b in cells))


def mcnemar(first: Any, second: Any, method: str = "asymptotic") -> Tested:
    """Test that responses to the first and to the second are as frequent; see `mcnemar_of_pairs`."""
    return mcnemar_of_pairs(pairs(first, second), method)


def mcnemar_of_pairs(counts: Pairs, method: str = "asymptotic") -> Tested:
    """McNemar's test of the discordant pairs, b and c.

        asymptotic  X^2 = (b - c)^2 / (b + c),  corrected  (|b - c| - 1)^2 / (b + c),  1 degree of freedom
        exact       b is binomial with n = b + c and 1/2; two-sided twice the lesser tail; mid-p: b itself counted half

    The statistic of the exact tests is b. Without a discordant pair the exact p is 1, and the others are NaN.
    McNemar 1947, Psychometrika 12:153; Edwards 1948, Psychometrika 13:185; Fagerland et al. 2013, BMC Med Res Methodol
    13:91.
    """
    if method not in TESTS:
        raise ValueError(f"method is {method!r}; give one of {', '.join(TESTS)}")
    b, c = (np.asarray(each, float) for each in (counts.first, counts.second))
    if method in ("exact", "mid-p"):
        less = stats.binom.cdf(np.minimum(b, c), b + c, 0.5)
        half = stats.binom.pmf(b, b + c, 0.5) / 2 * (method == "mid-p")
        p = np.minimum(1.0, 2 * (less - half))
        return Tested(b, np.full(b.shape, np.inf), p, np.zeros(b.shape, int))
    with np.errstate(divide="ignore", invalid="ignore"):
        # A correction must not turn equality into a difference.
        off = np.maximum(np.abs(b - c) - 1, 0.0) if method == "corrected" else b - c
        statistic = off**2 / (b + c)
    trouble = troubled(b.shape, (b + c == 0, Trouble.NO_EVENTS))
    return Tested(statistic, np.ones(b.shape), stats.chi2.sf(statistic, 1), trouble)


def paired_difference(first: Any, second: Any, alpha: float = 0.05, sided: int = 2, method: str = "tango") -> Estimate:
    """Difference of the share of responses to the first and that to the second; see `difference_of_pairs`."""
    return difference_of_pairs(pairs(first, second), alpha, sided, method)


def difference_of_pairs(counts: Pairs, alpha: float = 0.05, sided: int = 2, method: str = "tango") -> Estimate:
    """Difference d = (b - c) / n of paired shares, of n pairs of which b and c are discordant.

        wald      d +- z se,  se^2 = (b + c - (b - c)^2 / n) / n^2
        newcombe  from Wilson's limits of both shares and their correlation, with its continuity correction
        tango     differences that the score test does not reject

    The test is Wald's, for tango the score test, (b - c)^2 / (b + c). Newcombe 1998, Stat Med 17:2635, methods 1 and
    10; Tango 1998, Stat Med 17:891.
    """
    level(alpha, sided)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; give one of {', '.join(METHODS)}")
    a, b, c, d = (np.asarray(each, float) for each in counts)
    n, z = a + b + c + d, float(stats.norm.isf(alpha / sided))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (b - c) / n
        se = np.sqrt(np.maximum(b + c - (b - c) ** 2 / n, 0.0)) / n
        error = np.sqrt(b + c) / n if method == "tango" else se
        statistic = np.where(b == c, 0.0, value / error)
        statistic = np.where(n == 0, np.nan, statistic)
    flat = (se == 0) & (method == "wald")
    trouble = troubled(n.shape, (n == 0, Trouble.EMPTY_ARM), (flat, Trouble.CONSTANT))
    found = interval(value, se, stats.norm(), statistic, alpha, sided, n, trouble=trouble)
    if method == "newcombe":
        lower, upper = _newcombe(Pairs(a, b, c, d), z)
    elif method == "tango":
        lower, upper = _tango(b, c, n, z)
    else:
        lower, upper = found.lower, found.upper
    return found._replace(lower=lower, upper=upper)


def _newcombe(counts: Pairs, z: float) -> tuple[np.ndarray, np.ndarray]:
    a, b, c, d = counts
    n = a + b + c + d
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = (a + b) / n, (a + c) / n
        (lp, up), (lq, uq) = proportion.wilson(p, n, z), proportion.wilson(q, n, z)
        margins = (a + b) * (c + d) * (a + c) * (b + d)
        cross = a * d - b * c
        cross = np.where(cross > 0, np.maximum(cross - n / 2, 0.0), cross)
        phi = np.where(margins > 0, cross / np.sqrt(margins), 0.0)
        below = (p - lp) ** 2 - 2 * phi * (p - lp) * (uq - q) + (uq - q) ** 2
        above = (up - p) ** 2 - 2 * phi * (up - p) * (q - lq) + (q - lq) ** 2
        return (b - c) / n - np.sqrt(below), (b - c) / n + np.sqrt(above)


def _tango(b: np.ndarray, c: np.ndarray, n: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    def beyond(null: np.ndarray, b: np.ndarray, c: np.ndarray, n: np.ndarray, side: np.ndarray) -> np.ndarray:
        first, second = (2 * n - b + c) * null - b - c, -c * null * (1 - null)
        q = (np.sqrt(np.maximum(first**2 - 8 * n * second, 0.0)) - first) / (4 * n)
        spread = np.sqrt(np.maximum(n * (2 * q + null * (1 - null)), 0.0))
        above = b - c - n * null
        score = np.where(spread > 0, above / np.where(spread > 0, spread, 1.0), np.sign(above) * 1e6)
        return score - side * z

    with np.errstate(divide="ignore", invalid="ignore"):
        value = (b - c) / n
    ends = []
    for side in (1.0, -1.0):
        outside = np.full(np.shape(value), -side)
        low, high = (outside, value) if side > 0 else (value, outside)
        # At the estimate itself the score is 0, also where it has no spread.
        with np.errstate(all="ignore"):
            root = elementwise.find_root(
                beyond, (low, high), args=(b, c, n, side), tolerances={"xatol": 1e-14, "xrtol": 1e-14}
            )
        ends.append(np.where(value == -side, value, np.where(n > 0, root.x, np.nan)))
    return ends[0], ends[1]


def paired_odds_ratio(first: Any, second: Any, alpha: float = 0.05, sided: int = 2) -> Estimate:
    """Conditional odds ratio b / c of the discordant pairs, with its exact interval and test; see mcnemar_of_pairs.

        limits = L / (1 - L), U / (1 - U)   with Clopper and Pearson's limits L, U of b / (b + c)

    se: of the log, sqrt(1 / b + 1 / c). Breslow & Day 1980, Statistical Methods in Cancer Research 1, section 5.2.
    """
    level(alpha, sided)
    counts = pairs(first, second)
    b, c = counts.first, counts.second
    share = proportion.of_counts(b, b + c, alpha, sided, "clopper-pearson", 0.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, se = b / c, np.sqrt(1 / b + 1 / c)
        lower, upper = (each / (1 - each) for each in (share.lower, share.upper))
    trouble = troubled(b.shape, (b + c == 0, Trouble.NO_EVENTS), ((b == 0) | (c == 0), Trouble.SEPARATED))
    n = counts.both + b + c + counts.neither
    return Estimate(value, se, lower, upper, np.where(b + c > 0, share.p, 1.0), n, b, share.df, trouble)
