"""Least squares of a design, in any number of replicates at once, and what it says of linear functions."""

from typing import NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.design import Design, estimable, independent, inverse
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.trouble import Trouble, troubled

ROBUST = ("none", "HC0", "HC1", "HC2", "HC3")
EXACT = 1e-24  # a residual sum of squares below this share of the total one is rounding


class Fit(NamedTuple):
    """coefficient: (..., column), 0 where a column is aliased. covariance: (..., column, column).

    inverse: of the cross products `gram`. sigma: standard deviation of residuals; df: their degrees of freedom;
    subjects: who count, each (...,).
    """

    design: Design
    coefficient: np.ndarray
    covariance: np.ndarray
    inverse: np.ndarray
    gram: np.ndarray
    sigma: np.ndarray
    df: np.ndarray
    subjects: np.ndarray
    trouble: np.ndarray


class Joint(NamedTuple):
    """Test of several linear functions at once, by F of two numbers of degrees of freedom; each (...,).

    NaN where one of them is not estimable, such as an interaction of which nobody fills a cell.
    """

    statistic: np.ndarray
    numerator: np.ndarray
    denominator: np.ndarray
    p: np.ndarray


def fit(values: np.ndarray, used: np.ndarray, design: Design, robust: str = "none") -> Fit:
    """Ordinary least squares.

        b = (X'X)^- X'y,   cov b = s^2 (X'X)^-,   s^2 = e'e / (n - rank X)
        robust: (X'X)^- X' diag(w e^2) X (X'X)^-,   w = 1, n / (n - rank), 1 / (1 - h), 1 / (1 - h)^2  for HC0 to HC3

    values: (..., subject), read where used; the design must hold an intercept. h: leverages.
    MacKinnon & White 1985, J Econometrics 29:305.
    """
    if robust not in ROBUST:
        raise ValueError(f"robust is {robust!r}; give one of {', '.join(ROBUST)}")
    x = design.matrix
    subjects = used.sum(-1).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = np.where(used, values, 0.0).sum(-1) / subjects
    # The mean is taken off, and put back by the coefficients that make it, lest large means cost digits.
    y = np.where(used, values - np.nan_to_num(centre)[..., None], 0.0)
    gram = np.swapaxes(x, -1, -2) @ x
    kept = independent(gram)
    solved = inverse(gram, kept)
    ones = (solved @ np.swapaxes(x, -1, -2) @ used.astype(float)[..., None])[..., 0]
    slope = (solved @ np.swapaxes(x, -1, -2) @ y[..., None])[..., 0]
    residual = y - (x @ slope[..., None])[..., 0]
    df = subjects - kept.sum(-1)
    rss, total = (residual**2).sum(-1), (y**2).sum(-1)
    exact = rss <= EXACT * (total + subjects * np.nan_to_num(centre) ** 2)
    few = (df < 1) | exact
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = np.where(few, np.nan, np.sqrt(rss / df))
        if robust == "none":
            covariance = sigma[..., None, None] ** 2 * solved
        else:
            leverage = np.einsum("...np,...pq,...nq->...n", x, solved, x)
            # Who is fitted exactly has no residual to tell of an error.
            alone = used & (leverage > 1 - 1e-10)
            left = np.where(alone, np.nan if robust in ("HC2", "HC3") else 1.0, 1 - leverage)
            weight = {"HC0": 1.0, "HC1": (subjects / df)[..., None], "HC2": 1 / left, "HC3": 1 / left**2}[robust]
            half = solved @ np.swapaxes(x, -1, -2) * (residual * np.sqrt(weight))[..., None, :]
            covariance = np.where(few[..., None, None], np.nan, half @ np.swapaxes(half, -1, -2))
    trouble = troubled(df.shape, (df < 1, Trouble.TOO_FEW), (exact, Trouble.CONSTANT))
    coefficient = slope + ones * np.nan_to_num(centre)[..., None]
    return Fit(design, coefficient, covariance, solved, gram, sigma, df, subjects, trouble)


def linear(fit: Fit, rows: np.ndarray, alpha: float, sided: int, added: np.ndarray | float = 0.0) -> Estimate:
    """Estimate of a linear function of the coefficients with the t distribution; rows: (..., column).

    added: variance beyond that of the coefficients. NaN where the function is not estimable.
    """
    known = estimable(rows[..., None, :], fit.inverse, fit.gram)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(known, (rows * fit.coefficient).sum(-1), np.nan)
        variance = np.einsum("...p,...pq,...q->...", rows, fit.covariance, rows) + added
        se = np.where(known & (variance > 0), np.sqrt(variance), np.nan)
        df = np.where(fit.df >= 1, fit.df, np.nan)
        statistic = value / se
    trouble = np.where(fit.trouble > 0, fit.trouble, troubled(value.shape, (~known, Trouble.SINGULAR)))
    return interval(value, se, stats.t(df), statistic, alpha, sided, fit.subjects, df, trouble)


def joint(fit: Fit, rows: np.ndarray) -> Joint:
    """F test that linear functions (..., row, column) are all 0; rows that are sums of others count once.

    F = (L b)' (L cov L')^- (L b) / rank.
    """
    known = estimable(rows, fit.inverse, fit.gram).all(-1) & (fit.trouble == 0)
    value = (rows @ fit.coefficient[..., None])[..., 0]
    spread = rows @ np.where(known[..., None, None], fit.covariance, 0.0) @ np.swapaxes(rows, -1, -2)
    kept = independent(spread)
    rank = kept.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.einsum("...i,...ij,...j->...", value, inverse(spread, kept), value) / rank
        statistic = np.where(known & (rank > 0), statistic, np.nan)
    df = np.where(np.isnan(statistic), np.nan, fit.df)
    return Joint(statistic, rank, df, stats.f.sf(statistic, rank, df))
