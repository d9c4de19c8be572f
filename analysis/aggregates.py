"""What the pages draw, made once by an analysis and stored, so that no page ever reads a whole cohort.

Patients are read in slabs of a fixed number, and one outcome's values over all patients in slabs of times: memory grows
with neither the record grid nor the number of outcomes.
"""

import numpy as np
import xarray as xr

from analysis.people import people
from analysis.responses import responses
from analysis.slabs import slabs
from trials import schema
from trials.study import Study

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MEMORY = 256 * 2**20  # bytes of one outcome's values, of all patients, held at a time


def aggregates(study: Study, cohort: xr.Dataset, inside: np.ndarray) -> dict[str, xr.Dataset]:
    """The groups of the store that pages are drawn from. inside: who may enter the trial, (patient,) bool."""
    return {
        schema.BANDS: bands(study, cohort, inside),
        schema.PEOPLE: people(study, cohort, inside),
        schema.RESPONSES: responses(study, cohort, inside),
    }


def bands(study: Study, cohort: xr.Dataset, inside: np.ndarray, memory: int = MEMORY) -> xr.Dataset:
    """Quantiles over the patients `inside` of every outcome, (arm, quantile, time).

    Exact: all patients' values at a time are held at once, and as many times as `memory` [bytes] has room for.
    """
    times = cohort.sizes[schema.TIME]
    width = int(np.clip(memory // (8 * max(int(inside.sum()), 1)), 1, times))
    found = {}
    for outcome in study.plan.outcomes:
        quantiles = np.empty((len(study.arms), len(QUANTILES), times))
        for arm in range(len(study.arms)):
            for first in range(0, times, width):
                part = slice(first, min(first + width, times))
                values = _over_patients(cohort[outcome], arm, part, inside)
                quantiles[arm, :, part] = np.quantile(values, QUANTILES, axis=1, overwrite_input=True)
        found[outcome] = ((schema.ARM, "quantile", schema.TIME), quantiles, cohort[outcome].attrs)
    return xr.Dataset(
        found,
        coords={
            schema.ARM: cohort[schema.ARM].values,
            "quantile": list(QUANTILES),
            schema.TIME: cohort[schema.TIME],
        },
    )


def _over_patients(outcome: xr.DataArray, arm: int, times: slice, inside: np.ndarray) -> np.ndarray:
    """Values of an outcome under an arm at some times, (time, patient), of the patients `inside`."""
    values = np.empty((times.stop - times.start, int(inside.sum())))
    filled = 0
    for slab in slabs(len(inside)):
        here = inside[slab]
        count = int(here.sum())
        if count:
            lives = outcome.isel({schema.ARM: arm, schema.PATIENT: slab, schema.TIME: times}).values
            values[:, filled : filled + count] = lives[here].T
        filled += count
    return values
