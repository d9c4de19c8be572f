"""Parts of a sample in which one input is nearly constant."""

import numpy as np

from analysis.sensitivity.problem import Column, levels


def slices(column: Column, u: np.ndarray, count: int) -> np.ndarray:
    """Which part each row belongs to, (part, row): `count` parts of equal size in the order of u, or one a level that
    occurs. u: (row,)."""
    if column.law == "levels":
        part = levels(column, u)
        return np.array([part == level for level in np.unique(part)])
    rank = np.empty(len(u), dtype=int)
    rank[np.argsort(u, kind="stable")] = np.arange(len(u))
    return rank * count // len(u) == np.arange(count)[:, None]


def centred(value: np.ndarray, resampled: np.ndarray) -> np.ndarray:
    """Resamples, (resample, ..), moved so that their mean is the value, (..).

    A distance between distributions is never below 0: each resample adds to the excess that the sample already has.
    """
    return resampled - resampled.mean(0) + value if len(resampled) else resampled
