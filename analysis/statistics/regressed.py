"""The ratio of two arms by a regression that is fitted to one set of data at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.arrays import plain
from analysis.statistics.estimate import Estimate, interval, ratio
from analysis.statistics.trouble import Trouble

Fitted = tuple[Any, Any, Any]  # coefficient of arm a against b, its standard error, its Trouble


def regressed(
    fit: Callable[..., Fitted],
    data: tuple[np.ndarray, ...],
    codes: np.ndarray,
    contrast: tuple[int, int],
    covariates: Any,
    alpha: float,
    sided: int,
) -> Estimate:
    """The exponential of the coefficient, each array (...); Wald's interval on the scale of the logarithm.

    fit(*data of those who count, columns): columns (subject, 1 + covariate), the first 1 in arm a. data, codes:
    (..., subject); covariates: (..., subject, covariate), or None. NaN in any leaves a subject out, and so does another
    arm. Raises ValueError for covariates of other subjects.
    """
    x = np.empty((*codes.shape, 0)) if covariates is None else plain(covariates, "covariates", "subject", "covariate")
    if x.shape[-2] != codes.shape[-1]:
        raise ValueError(f"covariates has {x.shape=}; give (..., subject, covariate) for {codes.shape[-1]} subjects")
    x = np.broadcast_to(x, (*codes.shape, x.shape[-1]))
    leading = codes.shape[:-1]
    value, se = np.full(leading, np.nan), np.full(leading, np.nan)
    trouble, subjects = np.zeros(leading, dtype=int), np.zeros(leading, dtype=int)
    for index in np.ndindex(leading):
        known = ~np.isnan(np.column_stack([*(each[index] for each in data), x[index]])).any(1)
        in_a, in_b = (known & (codes[index] == arm) for arm in contrast)
        inside = in_a | in_b
        subjects[index] = inside.sum()
        if not (in_a.any() and in_b.any()):
            trouble[index] = Trouble.EMPTY_ARM
            continue
        columns = np.column_stack([in_a[inside], x[index][inside]])
        value[index], se[index], trouble[index] = fit(*(each[index][inside] for each in data), columns)
    with np.errstate(invalid="ignore"):
        return ratio(interval(value, se, stats.norm(), value / se, alpha, sided, subjects, trouble=trouble))
