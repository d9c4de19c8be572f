"""Logistic regression by maximum likelihood, or Firth's, over any number of replicates at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, stats

from analysis.statistics.arrays import level, plain
from analysis.statistics.binary.likelihood import Fit, Problem, fit
from analysis.statistics.binary.tables import binary
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.trouble import Trouble, troubled

INTERVALS = ("wald", "profile")
FARTHEST = 12  # times that a step is doubled away from an estimate in search of a limit


class Logistic(NamedTuple):
    """estimate: log odds ratios, arrays (..., coefficient), the intercept first. covariance: theirs, (..., coefficient,
    coefficient). loglik: at the estimate, penalised where it is Firth's; subjects: who counted; trouble: codes; (...).
    """

    estimate: Estimate
    covariance: np.ndarray
    loglik: np.ndarray
    subjects: np.ndarray
    trouble: np.ndarray


def logistic(
    values: Any, covariates: Any, alpha: float = 0.05, sided: int = 2, firth: bool = False, intervals: str = "wald"
) -> Logistic:
    """Regression logit P(value = 1) = b_0 + b' covariates. values: 0, 1 or NaN, (..., subject); covariates:
    (..., covariate, subject); who has NaN in any is left out.

        maximum likelihood   X' (y - p) = 0, by Newton's method
        firth                X' (y - p + h (1/2 - p)) = 0, h the leverages: the likelihood times sqrt(det X' W X), which
                             has a maximum also where the outcomes are separated

    intervals: "wald" with the inverse information, or "profile": coefficients at which twice the fall of the log
    likelihood (Firth's: penalised), all others refitted, is the chi-squared quantile; p is then that of the likelihood
    ratio, and the statistic its signed root. Separation, complete or not, is found by linear programming; it is a
    Trouble, and its numbers are NaN.
    Firth 1993, Biometrika 80:27; Heinze & Schemper 2002, Stat Med 21:2409; Konis 2007, DPhil thesis, Oxford.
    """
    level(alpha, sided)
    if intervals not in INTERVALS:
        raise ValueError(f"intervals is {intervals!r}; give one of {', '.join(INTERVALS)}")
    y, x = binary(values, "values"), plain(covariates, "covariates", "covariate", "subject")
    found = fitted(y, np.moveaxis(x, -2, -1), firth)
    problem, best, trouble = found.problem, found.fit, found.trouble
    variance = np.diagonal(found.covariance, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        se = np.sqrt(variance)
        subjects, codes = problem.used.sum(-1).astype(float), trouble[..., None]
        estimate = interval(
            found.coefficients,
            se,
            stats.norm(),
            found.coefficients / se,
            alpha,
            sided,
            subjects[..., None],
            trouble=codes,
        )
    if intervals == "profile":
        estimate = _profiled(found, estimate, alpha, sided)
    loglik = np.where(trouble == 0, best.loglik - firth * found.constant, np.nan)
    return Logistic(estimate, found.covariance, loglik, subjects, trouble)


class Fitted(NamedTuple):
    """A fit, and its coefficients and covariance in the covariates' own units. constant: what a unit adds to the log of
    Firth's penalty."""

    problem: Problem
    fit: Fit
    coefficients: np.ndarray
    covariance: np.ndarray
    back: np.ndarray
    constant: np.ndarray
    trouble: np.ndarray


def fitted(values: np.ndarray, covariates: np.ndarray, firth: bool = False) -> Fitted:
    """Fit of values (..., subject) by covariates (..., subject, covariate) and an intercept.

    Raises ValueError where their shapes do not fit.
    """
    try:
        shape = np.broadcast_shapes(values.shape, covariates.shape[:-1])
    except ValueError as error:
        raise ValueError(
            f"shapes do not fit: {values.shape=}, {covariates.shape=}; give one number a subject in each"
        ) from error
    values = np.broadcast_to(values, shape)
    covariates = np.broadcast_to(covariates, (*shape, covariates.shape[-1]))
    used = ~np.isnan(values) & ~np.isnan(covariates).any(-1)
    n = used.sum(-1)
    y, x = np.where(used, values, 0.0), np.where(used[..., None], covariates, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = x.sum(-2) / n[..., None]
        x = np.where(used[..., None], x - middle[..., None, :], 0.0)
        scale = np.sqrt((x**2).sum(-2) / n[..., None])
        flat = ~(scale > 1e-12 * np.maximum(np.abs(middle), 1e-300))
        scale, middle = np.where(flat, 1.0, scale), np.where(np.isnan(middle), 0.0, middle)
        design = np.concatenate([used[..., None] * 1.0, x / scale[..., None, :]], -1)
    width = design.shape[-1]
    gram = np.einsum("...ni,...nj->...ij", design, design) / np.maximum(n, 1)[..., None, None]
    singular = flat.any(-1) | (np.linalg.eigvalsh(gram)[..., 0] < 1e-12)
    constant = ~((y.sum(-1) > 0) & (y.sum(-1) < n))
    few = n < width
    problem = Problem(design, y, used, firth, few | singular | (constant & (not firth)))
    best = fit(problem)
    separated = np.zeros(n.shape, bool)
    if not firth:
        suspect = ~problem.left_out & (~best.converged | (np.abs(best.eta).max(-1, initial=0.0) > 15))
        for place in np.ndindex(n.shape):
            if suspect[place]:
                separated[place] = _separated(design[place][used[place]], y[place][used[place]])
    trouble = troubled(
        n.shape,
        (n == 0, Trouble.EMPTY_ARM),
        (few, Trouble.TOO_FEW),
        (constant & (not firth), Trouble.CONSTANT),
        (singular, Trouble.SINGULAR),
        (separated, Trouble.SEPARATED),
        (~best.converged, Trouble.NOT_CONVERGED),
    )
    back = np.zeros((*n.shape, width, width))
    back[..., range(width), range(width)] = np.concatenate([np.ones((*n.shape, 1)), 1 / scale], -1)
    back[..., 0, 1:] = -middle / scale
    undefined = trouble[..., None] != 0
    coefficients = np.where(undefined, np.nan, np.einsum("...ij,...j->...i", back, best.beta))
    covariance = np.einsum("...ij,...jk,...lk->...il", back, best.inverse, back)
    covariance = np.where(undefined[..., None], np.nan, covariance)
    return Fitted(problem, best, coefficients, covariance, back, -np.log(scale).sum(-1), trouble)


def _separated(design: np.ndarray, y: np.ndarray) -> bool:
    """Whether some combination of covariates never speaks against any outcome, and for at least one."""
    toward = design * np.where(y == 1, 1.0, -1.0)[:, None]
    found = optimize.linprog(-toward.sum(0), A_ub=-toward, b_ub=np.zeros(len(y)), bounds=(-1, 1), method="highs")
    return bool(found.status == 0 and -found.fun > 1e-6)


def _profiled(found: Fitted, estimate: Estimate, alpha: float, sided: int) -> Estimate:
    """The estimate with limits, statistic and p of the profile likelihood; one coefficient after the other."""
    quantile = float(stats.norm.isf(alpha / sided)) ** 2 / 2
    lower, upper, root = (np.full(estimate.value.shape, np.nan) for _ in range(3))
    for at in np.ndindex(found.trouble.shape):
        if found.trouble[at]:
            continue
        one, back, top = found.problem.one(at), found.back[at], float(found.fit.loglik[at])
        # An intercept of covariates that are not centred is a coefficient of a design that is not.
        uncentred = np.eye(len(back))
        uncentred[0, 1:] = -back[0, 1:]
        for j, scale in enumerate(np.diagonal(back)):
            data = one if j else one._replace(design=one.design @ uncentred)
            middle = found.fit.beta[at] if j else np.linalg.solve(uncentred, found.fit.beta[at])
            inverse = found.fit.inverse[at]
            if not j:
                inverse = np.linalg.solve(uncentred, np.linalg.solve(uncentred, inverse).T)
            slope = inverse[:, j] / inverse[j, j]  # how the others follow, near the estimate

            def fall(
                value: float,
                data: Any = data,
                j: int = j,
                start: Any = middle,
                slope: Any = slope,
                of: Any = (top, scale),
            ) -> float:
                return of[0] - float(fit(data, start + slope * (value / of[1] - start[j]), j).loglik)

            here = (*at, j)
            value, se = float(estimate.value[here]), float(estimate.se[here])
            lower[here], upper[here] = (_crossing(fall, value, side * se, quantile) for side in (-1.0, 1.0))
            root[here] = np.sign(value) * np.sqrt(max(0.0, 2 * fall(0.0)))
    p = 2 * stats.norm.sf(np.abs(root)) if sided == 2 else stats.norm.sf(root)
    return estimate._replace(lower=lower, upper=upper, statistic=root, p=p)


def _crossing(fall: Callable[[float], float], value: float, step: float, quantile: float) -> float:
    """Where, from `value` in the direction of `step`, the log likelihood has fallen by `quantile`; else infinite."""
    near, far = value, value + step
    for _ in range(FARTHEST):
        if fall(far) > quantile:
            return float(optimize.brentq(lambda at: fall(at) - quantile, near, far, xtol=1e-13, rtol=1e-13))
        near, far = far, far + 2 * (far - near)
    return float(np.copysign(np.inf, step))
