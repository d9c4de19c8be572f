"""Sizes for proportions of two arms: superiority, non-inferiority, equivalence."""

import math

import numpy as np
from scipy import special, stats

from analysis.statistics.binary.fisher import possible
from analysis.statistics.binary.score import constrained
from analysis.statistics.binary.tables import Table
from analysis.statistics.sizes.size import Size, positive, share, solve, tail, two_arms, whole

METHODS = ("pooled", "unpooled", "arcsine", "farrington-manning")
LEAST = 4.0
START = 0.8  # of the size of the pooled test, where the search for that of Fisher's begins


def two_proportions(
    pb: float,
    pa: float | None = None,
    n: float | None = None,
    power: float | None = None,
    alpha: float = 0.05,
    sided: int = 2,
    ratio: float = 1.0,
    margin: float = 0.0,
    method: str = "pooled",
    inflation: float = 1.0,
    strict: bool = False,
) -> Size:
    """Size of a comparison of two proportions by the normal distribution; n in all, effect pa.

        power = Phi((|pa - pb - margin| - z s_0) / s_1),   s_1^2 = inflation (pa qa / n_a + pb qb / n_b)

        pooled              s_0^2 = p q (1 / n_a + 1 / n_b), p the mean over subjects (R's power.prop.test)
        unpooled            s_0 = s_1
        farrington-manning  s_0 with the most likely shares whose difference is the margin
        arcsine             Phi(|2 asin sqrt(pa) - 2 asin sqrt(pb)| / sqrt(inflation (1 / n_a + 1 / n_b)) - z)

    One-sided, power is that of finding pa - pb above the margin. strict: two-sided power counts the other side too.
    margin: of non-inferiority, below 0, with sided 1; not with pooled and arcsine. inflation: as by
    clusters.design_effect. Where pa is asked it is the one above pb + margin.
    Fleiss, Levin & Paik, Statistical Methods for Rates and Proportions, 3rd ed., chapter 4; Farrington & Manning 1990,
    Stat Med 9:1447; Cohen 1988, Statistical Power Analysis, chapter 6.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; give one of {', '.join(METHODS)}")
    share(pb=pb, pa=pa)
    positive(inflation=inflation)
    if not 0.0 < pb + margin < 1.0:
        raise ValueError(f"margin is {margin}; give one that leaves pb + margin between 0 and 1")
    if margin and method in ("pooled", "arcsine"):
        raise ValueError(f"method {method!r} knows no margin; give 'unpooled' or 'farrington-manning'")
    z = float(stats.norm.isf(tail(alpha, sided)))

    def power_of(arms: tuple[float, ...], pa: float) -> float:
        na, nb = arms
        if method == "arcsine":
            spread = math.sqrt(inflation * (1 / na + 1 / nb))
            return _power(
                2 * math.asin(math.sqrt(pa)) - 2 * math.asin(math.sqrt(pb)), z * spread, spread, sided, strict
            )
        s1 = s0 = pa * (1 - pa) / na + pb * (1 - pb) / nb
        if method == "pooled":
            p = (na * pa + nb * pb) / (na + nb)
            s0 = p * (1 - p) * (1 / na + 1 / nb)
        elif method == "farrington-manning":
            table = Table(*(np.asarray(each) for each in (na * pa, na, nb * pb, nb)))
            ca, cb = (float(each) for each in constrained(table, margin, "difference"))
            s0 = ca * (1 - ca) / na + cb * (1 - cb) / nb
        return _power(pa - pb - margin, z * math.sqrt(inflation * s0), math.sqrt(inflation * s1), sided, strict)

    start = pb + margin
    return solve(power_of, two_arms(ratio), n, power, pa, LEAST, lambda at: start + at * (1 - 1e-12 - start))


def _power(above: float, reach: float, spread: float, sided: int, strict: bool) -> float:
    near = above if sided == 1 else abs(above)
    other = special.ndtr((-near - reach) / spread) if strict and sided == 2 else 0.0
    return float(special.ndtr((near - reach) / spread) + other)


def equivalent_proportions(
    pb: float,
    lower: float,
    upper: float,
    pa: float | None = None,
    n: float | None = None,
    power: float | None = None,
    alpha: float = 0.05,
    ratio: float = 1.0,
    inflation: float = 1.0,
) -> Size:
    """Size of two one-sided tests, each of level alpha, that pa - pb lies between the margins lower and upper.

        power = max(0, Phi((upper - d) / s - z) - Phi((lower - d) / s + z))
        s^2 = inflation (pa qa / n_a + pb qb / n_b),   d = pa - pb

    Where pa is asked it is the one nearest to the upper margin that has the power. Chow, Shao & Wang, Sample Size
    Calculations in Clinical Research, 2nd ed., section 4.2.
    """
    share(pb=pb, pa=pa)
    positive(inflation=inflation)
    if not -1.0 < lower < upper < 1.0:
        raise ValueError(f"lower is {lower}, upper {upper}; give margins between -1 and 1 of which lower is less")
    if pa is not None and not lower < pa - pb < upper:
        raise ValueError(f"pa - pb is {pa - pb}; give one between the margins {lower} and {upper}")
    z = float(stats.norm.isf(tail(alpha, 1)))

    def power_of(arms: tuple[float, ...], pa: float) -> float:
        s = math.sqrt(inflation * (pa * (1 - pa) / arms[0] + pb * (1 - pb) / arms[1]))
        d = pa - pb
        return max(0.0, float(special.ndtr((upper - d) / s - z) - special.ndtr((lower - d) / s + z)))

    most, middle = min(pb + upper, 1 - 1e-12), pb + max((lower + upper) / 2, 1e-12 - pb)
    return solve(power_of, two_arms(ratio), n, power, pa, LEAST, lambda at: most - at * (most - middle))


def fisher_power(
    pa: float, pb: float, na: int, nb: int, alpha: float = 0.05, sided: int = 2, mid: bool = False
) -> float:
    """Exact power of Fisher's test with these subjects in each arm: the probability of all tables that it rejects.

    One-sided: that pa is above pb. mid: of the mid-p test.
    """
    share(pa=pa, pb=pb)
    positive(na=na, nb=nb)
    tail(alpha, sided)
    p = possible(int(na), int(nb), mid)
    a, b = (stats.binom.pmf(np.arange(n + 1), n, q) for n, q in ((int(na), pa), (int(nb), pb)))
    return float(a @ ((p.both if sided == 2 else p.above) <= alpha) @ b)


def fisher_size(
    pa: float, pb: float, power: float, alpha: float = 0.05, sided: int = 2, ratio: float = 1.0, mid: bool = False
) -> Size:
    """Size of Fisher's test: the least with that power, by enumeration from 0.8 times the size of the pooled test on.

    As the test is discrete, a somewhat larger size may have less power.
    """
    first = two_proportions(pb, pa, power=power, alpha=alpha, sided=sided, ratio=ratio)
    smaller = 1 if ratio >= 1 else 0
    count = max(1, int(START * first.arms[smaller]))
    while True:
        other = whole(count * max(ratio, 1 / ratio))
        arms = (other, count) if ratio >= 1 else (count, other)
        reached = fisher_power(pa, pb, *arms, alpha, sided, mid)
        if reached >= power:
            return Size(tuple(map(float, arms)), arms, reached, reached, pa)
        count += 1
