"""Degrees of freedom of linear functions of the coefficients of a mixed model, and tests of several at once."""

import numpy as np
from scipy import stats

from analysis.statistics.design import estimable, independent, inverse
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.linear_model import Joint
from analysis.statistics.mmrm.fit import Fit
from analysis.statistics.trouble import Trouble, troubled


def known(fit: Fit, rows: np.ndarray) -> np.ndarray:
    """Which linear functions (replicate, row, column) are estimable, (replicate, row)."""
    return estimable(rows, inverse(fit.gram, fit.kept), fit.gram)


def linear(fit: Fit, rows: np.ndarray, alpha: float, sided: int) -> Estimate:
    """Estimates of linear functions (replicate, row, column) of the coefficients, each array (replicate, row).

        df = 2 (l'Cl)^2 / (g'w g),   g_i = l' dC/d parameter_i l,   w: covariance of the parameters

    Kenward and Roger's df of one function is the same; their adjustment is in its standard error.
    Giesbrecht & Burns 1985, Biometrics 41:477.
    """
    told = known(fit, rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(told, (rows @ fit.coefficient[..., None])[..., 0], np.nan)
        variance = ((rows @ fit.covariance) * rows).sum(-1)
        se = np.where(told, np.sqrt(variance), np.nan)
        plain = ((rows @ fit.plain) * rows).sum(-1)
        slopes = ((rows[:, None] @ fit.slopes) * rows[:, None]).sum(-1)
        df = np.where(told, 2 * plain**2 / np.einsum("ril,rij,rjl->rl", slopes, fit.spread, slopes), np.nan)
        statistic = value / se
    trouble = np.where(fit.trouble[:, None] > 0, fit.trouble[:, None], troubled(value.shape, (~told, Trouble.SINGULAR)))
    return interval(value, se, stats.t(df), statistic, alpha, sided, fit.subjects[:, None], df, trouble)


def joint(fit: Fit, rows: np.ndarray, degrees: str) -> Joint:
    """F test that linear functions (replicate, row, column) are all 0, by Satterthwaite's or Kenward and Roger's df.

    Fai & Cornelius 1996, J Stat Comput Simul 54:363 (Satterthwaite). Kenward & Roger 1997, Biometrics 53:983.
    """
    told = known(fit, rows).all(-1) & (fit.trouble == 0)
    safe = [np.where(told[:, None, None], each, np.eye(rows.shape[-1])) for each in (fit.plain, fit.covariance)]
    plain, spread = (rows @ each @ np.swapaxes(rows, 1, 2) for each in safe)
    value = np.where(told[:, None], (rows @ np.nan_to_num(fit.coefficient)[..., None])[..., 0], 0.0)
    slopes = rows[:, None] @ np.where(told[:, None, None, None], fit.slopes, 0.0) @ np.swapaxes(rows, 1, 2)[:, None]
    kept = independent(plain)
    rank = kept.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.einsum("ri,rij,rj->r", value, inverse(spread, kept), value) / rank
        if degrees == "satterthwaite":
            factor, df = np.ones(len(rows)), _fai_cornelius(plain, slopes, fit.spread, rank)
        else:
            factor, df = _kenward_roger(inverse(plain, kept), slopes, fit.spread, rank)
        told &= rank > 0
        statistic, df = (np.where(told, each, np.nan) for each in (factor * statistic, df))
    return Joint(statistic, rank.astype(float), df, stats.f.sf(statistic, rank, df))


def _fai_cornelius(plain: np.ndarray, slopes: np.ndarray, spread: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Denominator of the F whose mean is that of the sum of squares of independent t, one to each eigenvector."""
    roots, vectors = np.linalg.eigh(plain)
    counted = np.arange(roots.shape[-1]) >= (roots.shape[-1] - rank)[:, None]
    turned = np.einsum("rai,rqab,rbi->rqi", vectors, slopes, vectors)
    each = 2 * roots**2 / np.einsum("rqi,rqs,rsi->ri", turned, spread, turned)
    means = np.where(counted & (each > 2), each / (each - 2), 0.0).sum(-1)
    only = np.where(counted, each, 0.0).sum(-1)
    return np.where(rank == 1, only, np.where(means > rank, 2 * means / (means - rank), 0.0))


def _kenward_roger(
    inverted: np.ndarray, slopes: np.ndarray, spread: np.ndarray, rank: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Factor of F, and its denominator, by matching its first two moments."""
    parts = inverted[:, None] @ slopes
    traces = np.trace(parts, axis1=2, axis2=3)
    a1 = np.einsum("ri,rij,rj->r", traces, spread, traces)
    a2 = np.einsum("rij,riab,rjba->r", spread, parts, parts)
    number = rank.astype(float)
    b = (a1 + 6 * a2) / (2 * number)
    g = ((number + 1) * a1 - (number + 4) * a2) / ((number + 2) * a2)
    below = 3 * number + 2 * (1 - g)
    c1, c2, c3 = g / below, (number - g) / below, (number + 2 - g) / below
    mean = 1 / (1 - a2 / number)
    variance = 2 / number * (1 + c1 * b) / ((1 - c2 * b) ** 2 * (1 - c3 * b))
    ratio = variance / (2 * mean**2)
    df = 4 + (number + 2) / (number * ratio - 1)
    return df / (mean * (df - 2)), df
