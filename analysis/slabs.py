"""Slabs: patients of a cohort a fixed number at a time, so that memory does not grow with them."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from trials import schema

PATIENTS = 16_384


def slabs(patients: int, size: int = PATIENTS) -> Iterator[slice]:
    """All of so many patients, `size` at a time."""
    for start in range(0, patients, size):
        yield slice(start, min(start + size, patients))


def column(cohort: xr.Dataset, name: str) -> np.ndarray:
    """A variable of all patients, (patient,), which the cohort does not keep in memory."""
    return cohort[name].isel({schema.PATIENT: slice(0, cohort.sizes[schema.PATIENT])}).values
