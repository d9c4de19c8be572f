"""The truth of a cohort: what the arms do to everyone eligible, from lives under every arm, and in whom."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from populations.population import Variable
from solvers.status import Status
from trials import schema

NORMAL_95 = 1.959963984540054  # 97.5 % quantile of the standard normal


class Mean(NamedTuple):
    """A mean over patients, the standard error that their number gives it, and their number.

    lower, upper: 95 % interval by the t distribution; NaN where patients do not differ, which tells nothing of others.
    """

    value: float
    se: float
    patients: int

    @property
    def lower(self) -> float:
        return self.value - self._half

    @property
    def upper(self) -> float:
        return self.value + self._half

    @property
    def _half(self) -> float:
        return float(stats.t.isf(0.025, self.patients - 1)) * self.se if self.se > 0 else float("nan")


class Subgroup(NamedTuple):
    """Patients of one level or band of a covariate; inside: (patient,) bool."""

    covariate: str
    label: str
    inside: np.ndarray


def pool(cohort: xr.Dataset) -> np.ndarray:
    """Who may enter a trial, (patient,) bool: eligible, and a sound life under every arm."""
    sound = (cohort[schema.STATUS].values == Status.OK).all(0)
    return cohort[schema.ELIGIBLE].values & sound


def mean(values: np.ndarray) -> Mean:
    """Mean of the values that are known, (patient,); NaN where there are none."""
    known = values[~np.isnan(values)]
    n = len(known)
    if n == 0:
        return Mean(float("nan"), float("nan"), 0)
    spread = float(known.std(ddof=1)) if n > 1 else float("nan")
    return Mean(float(known.mean()), spread / n**0.5, n)


def effect(values: np.ndarray, contrast: tuple[int, int], inside: np.ndarray) -> Mean:
    """Mean of the individual effects, each patient his own control. values: (arm, patient); inside: (patient,) bool."""
    return mean((values[contrast[0]] - values[contrast[1]])[inside])


def subgroups(
    cohort: xr.Dataset, variables: Sequence[Variable], by: Sequence[tuple[str, float]], inside: np.ndarray
) -> list[Subgroup]:
    """The patients `inside` split by covariates: by level, or in bands of a width [its unit] from its multiples."""
    named = {variable.name: variable for variable in variables}
    found = []
    for name, width in by:
        values = cohort[name].values
        if not width:
            for code, level in enumerate(named[name].levels):
                found.append(Subgroup(name, level, inside & (values == code)))
            continue
        lowest, highest = np.floor(values[inside].min() / width), np.floor(values[inside].max() / width)
        for band in np.arange(lowest, highest + 1):
            low, high = band * width, (band + 1) * width
            label = f"{low:g} to under {high:g} {named[name].unit}"
            found.append(Subgroup(name, label, inside & (values >= low) & (values < high)))
    return [group for group in found if group.inside.any()]
