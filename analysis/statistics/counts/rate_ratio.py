"""Ratio of the rates of two arms."""

from typing import Any

import numpy as np

from analysis.statistics.arrays import level, plain, together
from analysis.statistics.contrast import codes_of
from analysis.statistics.counts.regression import fit_counts
from analysis.statistics.estimate import Estimate
from analysis.statistics.regressed import Fitted, regressed


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

    def fit(counts: np.ndarray, exposure: np.ndarray, columns: np.ndarray) -> Fitted:
        one = fit_counts(counts, columns, exposure, law, variance)
        return one.coefficients[1], one.se[1], one.trouble

    return regressed(fit, (y, time), codes, contrast, covariates, alpha, sided)
