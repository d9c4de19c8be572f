"""Data of trials as plain arrays, the subject last, and the refusal of what cannot be data."""

from typing import Any

import numpy as np
import xarray as xr

from trials import schema

SUBJECT = "subject"


def plain(values: Any, name: str, *inner: str) -> np.ndarray:
    """Array of numbers, (..., *inner); of an xarray object whose dimensions bear these names, put into that order.

    inner: the last dimensions that are asked for, `subject` where none is named. Replicates come first. Raises
    ValueError for what is no number, infinite, or has too few dimensions.
    """
    inner = inner or (SUBJECT,)
    if isinstance(values, xr.DataArray):
        ends = [each for each in inner if each in values.dims]
        first = [each for each in (schema.REPLICATE,) if each in values.dims]
        values = values.transpose(*first, ..., *ends)
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} holds what is no number; give numbers, NaN where there is none") from error
    if found.ndim < len(inner):
        raise ValueError(f"{name} has {found.shape=}; give dimensions (..., {', '.join(inner)})")
    if np.isinf(found).any():
        raise ValueError(f"{name} holds an infinite number; give numbers, NaN where there is none")
    return found


def together(**arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """The arrays, broadcast to one shape. Raises ValueError where they have none."""
    try:
        return tuple(np.broadcast_arrays(*arrays.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in arrays.items())
        raise ValueError(f"shapes do not fit: {shapes}; give one number a subject in each") from error


def level(alpha: float, sided: int) -> tuple[float, int]:
    """alpha and sided as they are. Raises ValueError where they are no level and no number of sides."""
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}; give a level between 0 and 1, such as 0.05")
    if sided not in (1, 2):
        raise ValueError(f"sided is {sided}; give 1 or 2")
    return alpha, sided
