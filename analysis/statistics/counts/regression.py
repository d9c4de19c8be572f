"""Regression of counts on covariates."""

from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, special

from analysis.statistics.arrays import plain
from analysis.statistics.trouble import Trouble

LAWS = ("negative binomial", "poisson")
VARIANCES = {"negative binomial": ("model", "observed", "robust"), "poisson": ("model", "robust", "pearson")}
STEPS, TOLERANCE = 100, 1e-12
VANISHED = 1e-9  # share of the largest information that is none
LARGEST_THETA = 1e8  # beyond it rounding hides what differs from Poisson's law


class CountFit(NamedTuple):
    """A fit. coefficients: the intercept, then those of the covariates, logarithms of ratios; covariance: theirs.

    dispersion: alpha = 1 / theta, of variance mu + alpha mu^2, and 0 where the law is Poisson's or the counts vary no
    more than it. theta_se: with the means held, NaN where theta is infinite. trouble: where not 0 all is NaN.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    dispersion: float
    theta: float
    theta_se: float
    loglik: float
    subjects: int
    events: float
    trouble: int

    @property
    def se(self) -> np.ndarray:
        """Standard errors of the coefficients."""
        return np.sqrt(np.diag(self.covariance))


def fit_counts(
    counts: Any,
    covariates: Any = None,
    exposure: Any = None,
    law: str = "negative binomial",
    variance: str = "model",
) -> CountFit:
    """Most likely coefficients of log mu = log exposure + b_0 + b' x.

    counts: whole numbers, (subject,); covariates: (subject, covariate); exposure: above 0, (subject,), 1 where None.
    NaN anywhere leaves a subject out. law: "poisson", or "negative binomial", Var y = mu + alpha mu^2, with alpha by
    maximum likelihood together with b; where Poisson's law is the most likely, alpha is 0 and all is Poisson's.

    variance: "model": inverse of the expected information, as R's glm and MASS::glm.nb, in which that of b is the same
    whether alpha is known or not; "observed": inverse of the observed information of b and alpha together, as SAS
    GENMOD; "robust": Huber and White's sandwich; "pearson": the model's times Pearson's chi-squared over its degrees of
    freedom (quasi-Poisson). Raises ValueError for what are no counts or exposures.
    In the trouble: NO_EVENTS, TOO_FEW, SINGULAR, SEPARATED, NOT_CONVERGED, and CONSTANT where a fit without residuals
    leaves nothing to measure the variance by.
    Lawless 1987, Can J Stat 15:209; Venables & Ripley, Modern Applied Statistics with S, 4th ed., section 7.4.
    """
    if law not in LAWS:
        raise ValueError(f"law is {law!r}; write one of: {', '.join(LAWS)}")
    if variance not in VARIANCES[law]:
        raise ValueError(f"variance is {variance!r}; of the {law} law write one of: {', '.join(VARIANCES[law])}")
    y = plain(counts, "counts")
    if y.ndim != 1:
        raise ValueError(f"counts has {y.shape=}; give one set of data, (subject,)")
    time = np.ones(len(y)) if exposure is None else plain(exposure, "exposure")
    x = np.empty((len(y), 0)) if covariates is None else plain(covariates, "covariates")
    x = x[:, None] if x.ndim == 1 else x
    if time.shape != y.shape or x.ndim != 2 or len(x) != len(y):
        raise ValueError(f"shapes do not fit: counts {y.shape}, exposure {time.shape}, covariates {x.shape}")
    known = ~np.isnan(np.column_stack([y, time, x])).any(1)
    y, time, x = y[known], time[known], np.column_stack([np.ones(known.sum()), x[known]])
    if (y < 0).any() or (y % 1 != 0).any():
        raise ValueError("counts holds what is no count; give whole numbers of 0 or more")
    if (time <= 0).any():
        raise ValueError("exposure holds a time of 0 or less; leave out who was not observed, or give NaN")
    return _fit(y, x, np.log(time), law == "poisson", variance)


def _fit(y: np.ndarray, x: np.ndarray, offset: np.ndarray, poisson: bool, variance: str) -> CountFit:
    n, size = x.shape

    def failed(trouble: Trouble) -> CountFit:
        nothing = np.full((size, size), np.nan)
        return CountFit(nothing[0], nothing, np.nan, np.nan, np.nan, np.nan, n, y.sum(), int(trouble))

    measured = variance in ("robust", "pearson")  # by the residuals
    if n < size + measured:
        return failed(Trouble.TOO_FEW)
    if not y.any():
        return failed(Trouble.NO_EVENTS)
    scale = np.maximum(np.sqrt((x**2).sum(0)), 1e-300)
    if np.linalg.matrix_rank(x / scale, tol=1e-9) < size:
        return failed(Trouble.SINGULAR)
    # With orthonormal columns only the weights can spoil the information, which tells separation from poor scaling.
    x, back = np.linalg.qr(x)
    beta = back[:, 0] * np.log(y.sum() / np.exp(offset).sum())
    beta, trouble = _coefficients(y, x, offset, beta, 0.0)
    if trouble:
        return failed(trouble)
    alpha = 0.0
    if not poisson:
        for _ in range(STEPS):
            before, last = alpha, beta
            alpha = _dispersion(y, np.exp(offset + x @ beta))
            if alpha == before:
                break
            beta, trouble = _coefficients(y, x, offset, beta, alpha)
            if trouble:
                return failed(trouble)
            if (np.abs(beta - last) < TOLERANCE * np.sqrt(n)).all():
                break
        else:
            return failed(Trouble.NOT_CONVERGED)
    mu = np.exp(offset + x @ beta)
    theta = 1.0 / alpha if alpha > 0 else np.inf
    of_theta = _theta_information(y, mu, theta) if alpha > 0 else np.nan
    turn = np.linalg.inv(back)
    if measured and np.allclose(y, mu, rtol=1e-12):
        return failed(Trouble.CONSTANT)
    return CountFit(
        turn @ beta,
        _covariance(y, x, mu, alpha, of_theta, variance, turn),
        alpha,
        theta,
        float(1 / np.sqrt(of_theta)) if of_theta > 0 else np.nan,
        _loglik(y, mu, alpha),
        n,
        y.sum(),
        int(Trouble.NONE),
    )


def _loglik(y: np.ndarray, mu: np.ndarray, alpha: float) -> float:
    if alpha == 0:
        return float((special.xlogy(y, mu) - mu - special.gammaln(y + 1)).sum())
    theta = 1 / alpha
    terms = special.gammaln(y + theta) - special.gammaln(theta) - special.gammaln(y + 1)
    return float((terms - theta * np.log1p(alpha * mu) + special.xlogy(y, mu / (mu + theta))).sum())


def _coefficients(
    y: np.ndarray, x: np.ndarray, offset: np.ndarray, beta: np.ndarray, alpha: float
) -> tuple[np.ndarray, Trouble]:
    """Most likely coefficients at this dispersion, of orthonormal columns, by Newton's steps."""
    at = _loglik(y, np.exp(offset + x @ beta), alpha)
    for _ in range(STEPS):
        mu = np.exp(offset + x @ beta)
        # Observed, positive for any coefficients: the expected one takes many steps where alpha is large.
        information = (x.T * (mu * (1 + alpha * y) / (1 + alpha * mu) ** 2)) @ x
        # Where coefficients run away the means of some subjects vanish.
        sizes = np.linalg.eigvalsh(information)
        if sizes[0] < VANISHED * sizes[-1]:
            return beta, Trouble.SEPARATED
        step = np.linalg.solve(information, x.T @ ((y - mu) / (1 + alpha * mu)))
        for _ in range(40):
            with np.errstate(over="ignore", invalid="ignore"):
                new = _loglik(y, np.exp(offset + x @ (beta + step)), alpha)
            if new >= at - 1e-10 * abs(at):
                break
            step = step / 2
        beta, at = beta + step, new
        if (np.abs(step) < TOLERANCE * np.sqrt(len(y))).all():
            return beta, Trouble.NONE
    return beta, Trouble.NOT_CONVERGED


def _dispersion(y: np.ndarray, mu: np.ndarray) -> float:
    """Most likely alpha at these means; 0 where the likelihood falls from there."""
    if ((y - mu) ** 2 - y).sum() <= 0:
        return 0.0

    def slope(log_theta: float) -> float:
        theta = np.exp(log_theta)
        terms = special.digamma(y + theta) - special.digamma(theta) - np.log1p(mu / theta) + (mu - y) / (mu + theta)
        return float(terms.sum())

    low, high = 0.0, np.log(LARGEST_THETA)
    while slope(low) <= 0 and low > -40:
        low -= 2.0
    if slope(high) >= 0:
        return 0.0
    return float(np.exp(-optimize.brentq(slope, low, high, xtol=1e-14, rtol=1e-14)))


def _theta_information(y: np.ndarray, mu: np.ndarray, theta: float) -> float:
    """Observed information of theta with the means held."""
    terms = special.polygamma(1, theta) - special.polygamma(1, y + theta) - 1 / theta + 2 / (mu + theta)
    return float((terms - (y + theta) / (mu + theta) ** 2).sum())


def _covariance(
    y: np.ndarray, x: np.ndarray, mu: np.ndarray, alpha: float, of_theta: float, variance: str, turn: np.ndarray
) -> np.ndarray:
    """Of turn @ beta."""
    bread = np.linalg.inv((x.T * (mu / (1 + alpha * mu))) @ x)
    if variance == "robust":
        # As a square, which rounding cannot make negative.
        root = (x * ((y - mu) / (1 + alpha * mu))[:, None]) @ bread @ turn.T
        return root.T @ root
    if variance == "pearson":
        bread = bread * ((y - mu) ** 2 / mu).sum() / (len(y) - x.shape[1])
    elif variance == "observed" and alpha > 0:
        theta = 1 / alpha
        cross = x.T @ ((y - mu) * mu / (mu + theta) ** 2)
        observed = (x.T * (mu * theta * (y + theta) / (mu + theta) ** 2)) @ x
        bread = np.linalg.inv(observed - np.outer(cross, cross) / of_theta)
    return turn @ bread @ turn.T
