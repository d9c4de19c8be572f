"""Sizes for means: two arms, one, adjustment for a covariate, non-inferiority, equivalence."""

import math

import numpy as np
from scipy import special, stats

from analysis.statistics.sizes.size import Size, positive, solve, tail, two_arms

NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)
FAR = 12.0  # standard deviations of a standard deviation beyond which nothing counts


def two_means(
    effect: float | None = None,
    n: float | None = None,
    power: float | None = None,
    sd: float | tuple[float, float] = 1.0,
    alpha: float = 0.05,
    sided: int = 2,
    ratio: float = 1.0,
    margin: float = 0.0,
    correlation: float = 0.0,
    covariates: int = 0,
    inflation: float = 1.0,
    normal: bool = False,
    strict: bool = False,
) -> Size:
    """Size of a comparison of two means by the t-test; n in all, effect the difference that is there.

        power = P(t(df, d) > t_alpha),   d = (effect - margin) / se
        se^2 = (1 - r^2) inflation (s_a^2 / n_a + s_b^2 / n_b)

    by the noncentral t distribution, df = n_a + n_b - 2 - covariates; of two sd, Welch's. Two-sided power counts the
    side of the effect only; strict: both. normal: by the normal distribution, as if sd were known. correlation: r of
    the outcome and what it is adjusted for, a baseline or the prediction of a twin (ANCOVA, PROCOVA), or the multiple
    correlation of all covariates. inflation: of the variance, as by clusters.design_effect. margin: of non-inferiority,
    below 0, with sided 1, or of superiority by it.
    Borm et al. 2007, J Clin Epidemiol 60:1234 (ANCOVA); Schuler et al. 2022, Int J Biostat 18:329 (PROCOVA).
    """
    deviations = sd if isinstance(sd, tuple) else (sd, sd)
    positive(sd=min(deviations), inflation=inflation)
    _correlation(correlation)
    factor = (1 - correlation**2) * inflation
    level, split = tail(alpha, sided), two_arms(ratio)

    def power_of(arms: tuple[float, ...], effect: float) -> float:
        parts = [s**2 / n for s, n in zip(deviations, arms, strict=True)]
        df = sum(arms) - 2.0 - covariates
        if isinstance(sd, tuple):
            df = sum(parts) ** 2 / sum(v**2 / (n - 1) for v, n in zip(parts, arms, strict=True)) - covariates
        shift = effect - margin if sided == 1 else abs(effect - margin)
        return _beyond(shift / math.sqrt(factor * sum(parts)), math.inf if normal else df, level, strict and sided == 2)

    scale = math.sqrt(factor) * max(deviations)
    least = max(2 * (1 + max(ratio, 1 / ratio)), 4.0 + covariates)
    return solve(power_of, split, n, power, effect, least, lambda at: margin + _stretched(at) * scale)


def one_mean(
    effect: float | None = None,
    n: float | None = None,
    power: float | None = None,
    sd: float = 1.0,
    alpha: float = 0.05,
    sided: int = 2,
    margin: float = 0.0,
    normal: bool = False,
    strict: bool = False,
) -> Size:
    """Size of a t-test of one mean, or of pairs with sd that of their differences.

    As two_means with se^2 = sd^2 / n and df = n - 1.
    """
    positive(sd=sd)
    level = tail(alpha, sided)

    def power_of(arms: tuple[float, ...], effect: float) -> float:
        shift = effect - margin if sided == 1 else abs(effect - margin)
        df = math.inf if normal else arms[0] - 1
        return _beyond(shift / sd * math.sqrt(arms[0]), df, level, strict and sided == 2)

    return solve(power_of, lambda n: (n,), n, power, effect, 2.0, lambda at: margin + _stretched(at) * sd)


def equivalent_means(
    lower: float,
    upper: float,
    effect: float | None = 0.0,
    n: float | None = None,
    power: float | None = None,
    sd: float = 1.0,
    alpha: float = 0.05,
    ratio: float = 1.0,
    correlation: float = 0.0,
    covariates: int = 0,
    inflation: float = 1.0,
    normal: bool = False,
) -> Size:
    """Size of two one-sided t-tests, each of level alpha, that a difference lies between the margins lower and upper.

        power = E[max(0, Phi((upper - effect) / se - t s) - Phi((lower - effect) / se + t s))]

    over the sample's s, as a multiple of sd, with df s^2 chi-squared; t the quantile. Exact (Owen's Q), by quadrature.
    The effect that is found, where it is asked, is the one nearest to the upper margin that has the power.
    Schuirmann 1987, J Pharmacokinet Biopharm 15:657; Phillips 1990, J Pharmacokinet Biopharm 18:137.
    """
    positive(sd=sd, inflation=inflation)
    _correlation(correlation)
    if not lower < upper:
        raise ValueError(f"lower is {lower}, upper {upper}; give margins of which lower is less")
    if effect is not None and not lower < effect < upper:
        raise ValueError(f"effect is {effect}; give one between the margins {lower} and {upper}")
    quantile, split = tail(alpha, 1), two_arms(ratio)
    factor = (1 - correlation**2) * inflation

    def power_of(arms: tuple[float, ...], effect: float) -> float:
        se = sd * math.sqrt(factor * sum(1 / n for n in arms))
        df = sum(arms) - 2.0 - covariates
        near, far = (upper - effect) / se, (lower - effect) / se
        if normal:
            z = stats.norm.isf(quantile)
            return max(0.0, float(special.ndtr(near - z) - special.ndtr(far + z)))
        t = stats.t.isf(quantile, df)
        most = min((near - far) / (2 * t), math.sqrt(1 + FAR * math.sqrt(2 / df) + FAR**2 / df))
        least = math.sqrt(max(0.0, 1 - FAR * math.sqrt(2 / df)))
        if most <= least:
            return 0.0
        s = (least + most) / 2 + (most - least) / 2 * NODES
        density = stats.chi2.pdf(df * s**2, df) * 2 * df * s
        inside = special.ndtr(near - t * s) - special.ndtr(far + t * s)
        return float((WEIGHTS * density * np.maximum(inside, 0.0)).sum() * (most - least) / 2)

    middle = (lower + upper) / 2
    least = max(2 * (1 + max(ratio, 1 / ratio)), 4.0 + covariates)
    return solve(power_of, split, n, power, effect, least, lambda at: upper - at * (upper - middle))


def _beyond(shift: float, df: float, level: float, both: bool) -> float:
    """Power of a statistic with that noncentrality, t or, of infinite df, normal."""
    if math.isinf(df):
        z = stats.norm.isf(level)
        return float(stats.norm.sf(z - shift) + (stats.norm.cdf(-z - shift) if both else 0.0))
    t = stats.t.isf(level, df)
    if shift > 37 + t:
        return 1.0  # the noncentral distribution is not computed so far out
    other = special.nctdtr(df, shift, -t) if both and shift < 8 else 0.0  # beyond, below rounding
    return float(1 - special.nctdtr(df, shift, t) + other)


def _stretched(at: float) -> float:
    """From 0 at 0 to a number without limit at 1."""
    return at / max(1 - at, 1e-6)


def _correlation(correlation: float) -> None:
    if not -1.0 < correlation < 1.0:
        raise ValueError(f"correlation is {correlation}; give one between -1 and 1")
