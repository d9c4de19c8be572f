"""Ratio of the subdistribution hazards of two arms."""

from typing import Any

import numpy as np

from analysis.statistics.arrays import level, plain, together
from analysis.statistics.competing_risks.subdistribution import fine_gray
from analysis.statistics.contrast import codes_of
from analysis.statistics.estimate import Estimate
from analysis.statistics.regressed import Fitted, regressed


def subdistribution_hazard_ratio(
    times: Any,
    causes: Any,
    arms: Any,
    contrast: tuple[int, int],
    covariates: Any = None,
    cause: int = 1,
    alpha: float = 0.05,
    sided: int = 2,
) -> Estimate:
    """Subdistribution hazard of arm a over that of arm b, given covariates: exp of the coefficient in `fine_gray`.

    times, causes, arms: (..., subject); covariates: (..., subject, covariate). Subjects of other arms do not count.
    The interval is Wald's on the scale of the logarithm, whose robust standard error is `se`. An arm without an event
    of the cause makes the trouble SEPARATED, both without NO_EVENTS.
    """
    level(alpha, sided)
    found, codes, kinds = together(
        times=plain(times, "times"), arms=codes_of(arms, contrast), causes=plain(causes, "causes")
    )

    def fit(times: np.ndarray, causes: np.ndarray, columns: np.ndarray) -> Fitted:
        one = fine_gray(times, causes, columns, cause)
        return one.coefficients[0], one.se[0], one.trouble

    return regressed(fit, (found, kinds), codes, contrast, covariates, alpha, sided)
