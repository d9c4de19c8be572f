"""Ratio of the rates of two arms."""

from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level, plain, together
from analysis.statistics.contrast import codes_of
from analysis.statistics.counts.regression import fit_counts
from analysis.statistics.estimate import Estimate, interval, ratio
from analysis.statistics.trouble import Trouble


def rate_ratio(
    counts: Any,
    arms: Any,
    contrast: tuple[int, int],
    exposure: Any = None,
    covariates: Any = None,
    alpha: float = 0.05,
    sided: int = 2,
    law: str = "negative binomial",
    variance: str = "model",
) -> Estimate:
    """Rate of arm a over that of arm b, given covariates: exp of the coefficient of arm a in `fit_counts`.

    counts, arms, exposure: (..., subject); covariates: (..., subject, covariate). Subjects of other arms do not count.
    The interval is Wald's on the scale of the logarithm, whose standard error is `se`. An arm without events makes the
    trouble SEPARATED, both without NO_EVENTS. law and variance are those of `fit_counts`.
    """
    level(alpha, sided)
    codes = codes_of(arms, contrast)
    time = np.ones(codes.shape[-1]) if exposure is None else plain(exposure, "exposure")
    y, codes, time = together(counts=plain(counts, "counts"), arms=codes, exposure=time)
    x = np.empty((*y.shape, 0)) if covariates is None else plain(covariates, "covariates", "subject", "covariate")
    if x.shape[-2] != y.shape[-1]:
        raise ValueError(f"covariates has {x.shape=}; give (..., subject, covariate) for {y.shape[-1]} subjects")
    x = np.broadcast_to(x, (*y.shape, x.shape[-1]))
    leading = y.shape[:-1]
    value, se = np.full(leading, np.nan), np.full(leading, np.nan)
    trouble, subjects = np.zeros(leading, dtype=int), np.zeros(leading, dtype=int)
    for index in np.ndindex(leading):
        known = ~np.isnan(np.column_stack([y[index], time[index], x[index]])).any(1)
        in_a, in_b = (known & (codes[index] == arm) for arm in contrast)
        inside = in_a | in_b
        subjects[index] = inside.sum()
        if not (in_a.any() and in_b.any()):
            trouble[index] = Trouble.EMPTY_ARM
            continue
        columns = np.column_stack([in_a[inside], x[index][inside]])
        fit = fit_counts(y[index][inside], columns, time[index][inside], law, variance)
        value[index], se[index], trouble[index] = fit.coefficients[1], fit.se[1], fit.trouble
    with np.errstate(invalid="ignore"):
        return ratio(interval(value, se, stats.norm(), value / se, alpha, sided, subjects, trouble=trouble))
