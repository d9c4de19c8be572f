"""Conjugate laws of a parameter, and their updates by data. Parameters may be arrays, one law an element."""

from typing import Any, NamedTuple

import numpy as np
from scipy import special, stats

from analysis.statistics.arrays import plain
from analysis.statistics.probability import counts, positive


class Beta(NamedTuple):
    """Of a probability. Beta(1, 1) is flat, Beta(0.5, 0.5) that of Jeffreys."""

    a: Any
    b: Any


class Normal(NamedTuple):
    mean: Any
    sd: Any


class Gamma(NamedTuple):
    """Of a rate: mean shape / rate."""

    shape: Any
    rate: Any


class StudentT(NamedTuple):
    df: Any
    mean: Any
    scale: Any


class NormalInverseGamma(NamedTuple):
    """Of a mean and a variance: variance ~ 1 / Gamma(shape, rate), mean ~ N(mean, variance / precision)."""

    mean: Any
    precision: Any
    shape: Any
    rate: Any


Law = Beta | Normal | Gamma | StudentT


def frozen(law: Law) -> Any:
    """The law as a frozen distribution of scipy, for its mean, quantiles and tails. Raises ValueError for no law."""
    match law:
        case Beta(a, b):
            return stats.beta(positive(a, "a"), positive(b, "b"))
        case Normal(mean, sd):
            return stats.norm(np.asarray(mean, dtype=float), positive(sd, "sd"))
        case Gamma(shape, rate):
            return stats.gamma(positive(shape, "shape"), scale=1.0 / positive(rate, "rate"))
        case StudentT(df, mean, scale):
            return stats.t(positive(df, "df"), np.asarray(mean, dtype=float), positive(scale, "scale"))
    raise ValueError(f"{law!r} is no law of one parameter; give a Beta, Normal, Gamma or StudentT")


def quantile(law: Law, share: Any) -> np.ndarray:
    """Quantiles of the law at these shares. As that of `frozen`, but silent where a quantile is next to 0 or 1."""
    return special.betaincinv(law.a, law.b, share) if isinstance(law, Beta) else frozen(law).ppf(share)


def beta_binomial(prior: Beta, responders: Any, treated: Any) -> Beta:
    """Beta(a + x, b + n - x). Raises ValueError where more respond than were treated."""
    x, n = counts(np.atleast_1d(responders), "responders", "set"), counts(np.atleast_1d(treated), "treated", "set")
    if (x > n).any():
        raise ValueError("more respond than were treated; give responders <= treated")
    a, b = positive(prior.a, "a"), positive(prior.b, "b")
    shape = np.broadcast_shapes(np.shape(responders), np.shape(treated), a.shape, b.shape)
    return Beta((a + x).reshape(shape), (b + n - x).reshape(shape))


def gamma_poisson(prior: Gamma, events: Any, exposure: Any) -> Gamma:
    """Gamma(shape + events, rate + exposure); exposure is time at risk."""
    y, t = counts(np.atleast_1d(events), "events", "set"), np.asarray(exposure, dtype=float)
    if not (t >= 0).all():
        raise ValueError("exposure is below 0 or missing; give times at risk")
    shape, rate = positive(prior.shape, "shape"), positive(prior.rate, "rate")
    return Gamma((shape + y).reshape(np.broadcast_shapes(shape.shape, np.shape(events))), rate + t)


def normal_normal(prior: Normal, estimate: Any, se: Any) -> Normal:
    """Of a mean that was estimated with a known standard error: precisions add, means weigh by them."""
    known, new = positive(prior.sd, "sd") ** -2.0, positive(se, "se") ** -2.0
    mean = (known * np.asarray(prior.mean, dtype=float) + new * np.asarray(estimate, dtype=float)) / (known + new)
    return Normal(mean, (known + new) ** -0.5)


def normal_inverse_gamma(prior: NormalInverseGamma, values: Any) -> NormalInverseGamma:
    """Of a mean and a variance that are both unknown, from values, (..., subject); NaN is left out.

        k_n = k + n,   m_n = (k m + n ybar) / k_n,   a_n = a + n / 2,
        b_n = b + (n - 1) s^2 / 2 + k n (ybar - m)^2 / (2 k_n)

    Gelman et al., Bayesian Data Analysis, 3rd ed., section 3.3.
    """
    y = plain(values, "values")
    known = ~np.isnan(y)
    n = known.sum(-1)
    mean = np.where(known, y, 0.0).sum(-1) / np.maximum(n, 1)
    squares = np.where(known, y - mean[..., None], 0.0) ** 2
    k, shape, rate = (positive(getattr(prior, name), name) for name in ("precision", "shape", "rate"))
    rate = rate + squares.sum(-1) / 2 + k * n * (mean - prior.mean) ** 2 / (2 * (k + n))
    return NormalInverseGamma((k * prior.mean + n * mean) / (k + n), k + n, shape + n / 2, rate)


def marginal_mean(law: NormalInverseGamma) -> StudentT:
    """The law of the mean, whatever the variance: t with 2 shape degrees of freedom."""
    k, shape, rate = (positive(getattr(law, name), name) for name in ("precision", "shape", "rate"))
    return StudentT(2.0 * shape, np.asarray(law.mean, dtype=float), np.sqrt(rate / (shape * k)))
