"""Comparison of two means, over any number of replicates at once."""

from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level, plain, together
from analysis.statistics.design import chosen
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.linear_model import EXACT
from analysis.statistics.trouble import Trouble, troubled


def t_test(
    values: Any, arms: Any, contrast: tuple[int, int], alpha: float = 0.05, sided: int = 2, pooled: bool = False
) -> Estimate:
    """Difference of means between two arms with the t distribution.

        d = mean_a - mean_b,   se^2 = s_a^2/n_a + s_b^2/n_b,   df by Welch-Satterthwaite

    or, pooled, se^2 = s^2 (1/n_a + 1/n_b) with df = n_a + n_b - 2. values, arms: (..., subject); NaN is left
    out. Where an arm has fewer than two values the estimate has no error, and where it has none no value.
    Welch 1947, Biometrika 34:28.
    """
    level(alpha, sided)
    values, arms = together(values=plain(values, "values"), arms=plain(arms, "arms"))
    chosen(contrast, arms)
    (na, ma, va), (nb, mb, vb) = (_moments(values, arms == arm) for arm in contrast)
    with np.errstate(divide="ignore", invalid="ignore"):
        if pooled:
            df = na + nb - 2.0
            se2 = ((na - 1) * va + (nb - 1) * vb) / df * (1 / na + 1 / nb)
        else:
            se2 = va / na + vb / nb
            df = se2**2 / ((va / na) ** 2 / (na - 1) + (vb / nb) ** 2 / (nb - 1))
        enough = (na > 1) & (nb > 1) & (se2 > 0)
        value = np.where((na > 0) & (nb > 0), ma - mb, np.nan)
        se = np.where(enough, np.sqrt(se2), np.nan)
        t = value / se
        df = np.where(enough, df, np.nan)
    trouble = troubled(
        value.shape,
        ((na == 0) | (nb == 0), Trouble.EMPTY_ARM),
        ((na < 2) | (nb < 2), Trouble.TOO_FEW),
        (~enough, Trouble.CONSTANT),
    )
    return interval(value, se, stats.t(df), t, alpha, sided, na + nb, df, trouble)


def _moments(values: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number, mean and variance of the values of an arm, each (replicate,)."""
    used = inside & ~np.isnan(values)
    n = used.sum(-1).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(used, values, 0.0).sum(-1) / n
        centred = np.where(used, values - mean[..., None], 0.0)
        square = (centred**2).sum(-1)
        return n, mean, np.where(square <= EXACT * n * mean**2, 0.0, square) / (n - 1.0)
