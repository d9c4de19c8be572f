"""What every method asks of numbers that are to be probabilities, counts or limits."""

from typing import Any

import numpy as np

from analysis.statistics.arrays import plain


def probabilities(values: Any, name: str, *inner: str, missing: bool = False) -> np.ndarray:
    """Numbers from 0 to 1, (..., *inner). Raises ValueError for any other; for NaN too, unless it may be missing."""
    found = plain(values, name, *inner)
    if (np.isnan(found).any() and not missing) or (found < 0).any() or (found > 1).any():
        wrong = found[~((found >= 0) & (found <= 1)) & ~(missing & np.isnan(found))]
        raise ValueError(f"{name} holds {wrong[0]:g}; give numbers from 0 to 1")
    return found


def share(value: float, name: str) -> float:
    """A number between 0 and 1, neither included. Raises ValueError for any other."""
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} is {value}; give a number between 0 and 1")
    return float(value)


def counts(values: Any, name: str, *inner: str) -> np.ndarray:
    """Whole numbers from 0 on, as floats, (..., *inner). Raises ValueError for any other."""
    found = plain(values, name, *inner)
    wrong = found[~((found >= 0) & (found == np.round(found)))]
    if wrong.size:
        raise ValueError(f"{name} holds {wrong[0]:g}; give whole numbers from 0 on")
    return found


def positive(values: Any, name: str) -> np.ndarray:
    """Numbers above 0, of any shape. Raises ValueError for any other."""
    found = np.asarray(values, dtype=float)
    wrong = found[~((found > 0) & np.isfinite(found))]
    if wrong.size:
        raise ValueError(f"{name} holds {wrong[0]:g}; give numbers above 0")
    return found
