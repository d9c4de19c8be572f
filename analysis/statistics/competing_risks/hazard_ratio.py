"""Ratio of the subdistribution hazards of two arms."""

from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level, plain, together
from analysis.statistics.competing_risks.subdistribution import fine_gray
from analysis.statistics.contrast import codes_of
from analysis.statistics.estimate import Estimate, interval, ratio
from analysis.statistics.trouble import Trouble


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
    x = np.empty((*found.shape, 0)) if covariates is None else plain(covariates, "covariates", "subject", "covariate")
    if x.shape[-2] != found.shape[-1]:
        raise ValueError(f"covariates has {x.shape=}; give (..., subject, covariate) for {found.shape[-1]} subjects")
    x = np.broadcast_to(x, (*found.shape, x.shape[-1]))
    leading = found.shape[:-1]
    value, se = np.full(leading, np.nan), np.full(leading, np.nan)
    trouble, subjects = np.zeros(leading, dtype=int), np.zeros(leading, dtype=int)
    for index in np.ndindex(leading):
        known = ~np.isnan(np.column_stack([found[index], kinds[index], x[index]])).any(1)
        in_a, in_b = (known & (codes[index] == arm) for arm in contrast)
        inside = in_a | in_b
        subjects[index] = inside.sum()
        if not (in_a.any() and in_b.any()):
            trouble[index] = Trouble.EMPTY_ARM
            continue
        columns = np.column_stack([in_a[inside], x[index][inside]])
        fit = fine_gray(found[index][inside], kinds[index][inside], columns, cause)
        value[index], se[index], trouble[index] = fit.coefficients[0], fit.se[0], fit.trouble
    with np.errstate(invalid="ignore"):
        return ratio(interval(value, se, stats.norm(), value / se, alpha, sided, subjects, trouble=trouble))
