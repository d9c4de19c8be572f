"""Roots of monotone functions, one for each of many designs."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import elementwise

EXACT = {"xatol": 1e-14, "xrtol": 1e-14, "fatol": 0.0, "frtol": 0.0}


def root(function: Callable[[np.ndarray, np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """x in [low, high] where function(x, design) crosses zero, (design,); NaN where it does not there.

    function: of x and of the numbers of the designs that x is for, both (some designs,), so that those that are found
    cost nothing more.
    """
    which = np.arange(len(low))
    if not len(low):
        return np.zeros(0)
    with np.errstate(all="ignore"):
        found = elementwise.find_root(
            lambda x, i: function(x, i.astype(int)), (low, high), args=(which,), tolerances=EXACT, maxiter=200
        )
    return np.where(found.status == 0, found.x, np.nan)


def beyond(function: Callable[[np.ndarray, np.ndarray], np.ndarray], low: np.ndarray, step: np.ndarray) -> np.ndarray:
    """A point at or after `low` where an increasing function is no longer negative, by doubling the step."""
    which = np.arange(len(low))
    high = low + step
    for _ in range(40):
        short = function(high, which) < 0.0
        if not short.any():
            break
        step = 2.0 * step
        high = np.where(short, low + step, high)
    return high
