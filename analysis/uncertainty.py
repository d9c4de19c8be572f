"""How far the truth would move if the population were another that the evidence allows, apart from all other spread."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from analysis.operating import Figure
from trials import schema


class Ignorance(NamedTuple):
    """Spread of a true contrast over draws of the population's own uncertainty.

    The draws share their patients' luck, so that they differ by the population alone. shifts: (draw,) contrast of the
    draw less that of the same patients in the point estimate. lower, upper: 2.5 and 97.5 % quantiles of truth + shift.
    """

    sd: Figure
    lower: float
    upper: float
    shifts: np.ndarray


def ignorance(
    uncertain: xr.Dataset,
    inside: np.ndarray,
    values: np.ndarray,
    contrast: tuple[int, int],
    point: np.ndarray,
    truth: float,
) -> Ignorance:
    """Spread over the draws of `uncertain`.

    inside: (patient,) bool of `uncertain`; values: (arm, patient) there. point: individual effects, (patient,), of the
    same patients in draw 0, NaN where not eligible. truth: the contrast over all of draw 0.
    """
    draws = uncertain[schema.DRAW].values
    effects = np.where(inside, values[contrast[0]] - values[contrast[1]], np.nan)
    by_draw = np.array([np.nanmean(effects[draws == draw]) for draw in np.unique(draws) if inside[draws == draw].any()])
    shifts = by_draw - np.nanmean(point)
    n = len(shifts)
    sd = float(shifts.std(ddof=1)) if n > 1 else float("nan")
    low, high = (float(q) for q in np.quantile(truth + shifts, [0.025, 0.975]))
    return Ignorance(Figure(sd, sd / (2 * (n - 1)) ** 0.5 if n > 1 else float("nan")), low, high, shifts)
