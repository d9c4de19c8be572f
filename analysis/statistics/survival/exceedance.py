"""Chance that the largest of several correlated normal numbers exceeds a limit."""

import functools

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import qmc

POINTS = 2**13
DEPENDENT = 1e-9  # a variable of which the others leave less variance than this is a sum of theirs


def exceedance(correlation: np.ndarray, limit: float, sided: int) -> float:
    """P(any Z > limit), or of |Z| for two sides, of standard normal Z with that correlation, which may be singular.

    The sum over j of P(Z_j > limit and no Z before it), so that a small chance is not the rest of a large one. Each is
    an integral over the unit cube by conditioning, at the points of Sobol's sequence as it is, so that every call gives
    the same. About six digits for four variables.
    Genz 1992, J Comput Graph Stat 1:141. Genz & Bretz 2009, Computation of Multivariate Normal and t Probabilities.
    """
    if sided == 2 and limit <= 0:
        return 1.0
    lower = -limit if sided == 2 else -np.inf
    # The variable beyond the limit comes first: what is sampled of the others is then given that it is.
    parts = [_exceeds(_factor(correlation[j::-1, j::-1]), lower, limit) for j in range(len(correlation))]
    return min(sided * sum(parts), 1.0)


def _factor(correlation: np.ndarray) -> np.ndarray:
    """L with L L' = correlation, (variable, number); a variable that those before tell has no number of its own."""
    columns = np.zeros((len(correlation), 0))
    for i, row in enumerate(correlation):
        left = row - columns @ columns[i]
        if left[i] > DEPENDENT:
            columns = np.column_stack([columns, np.where(np.arange(len(row)) < i, 0.0, left / np.sqrt(left[i]))])
    return np.where(np.abs(columns) > np.sqrt(DEPENDENT), columns, 0.0)


def _exceeds(factor: np.ndarray, lower: float, limit: float) -> float:
    """P(the first > limit, and all others between lower and limit)."""
    size = factor.shape[1]
    owner = np.array([np.flatnonzero(row).max() for row in factor])  # the number that, after others, decides on it
    cube = _points(size)
    numbers = np.empty((size, POINTS))
    chance = np.ones(POINTS)
    for c in range(size):
        least, most = np.full(POINTS, -np.inf), np.full(POINTS, np.inf)
        for i in np.flatnonzero(owner == c):
            bounds = (limit, np.inf) if i == 0 else (lower, limit)
            ends = [(bound - factor[i, :c] @ numbers[:c]) / factor[i, c] for bound in bounds]
            least, most = np.maximum(least, np.minimum(*ends)), np.minimum(most, np.maximum(*ends))
        # From the upper tail, where numbers differ by their distance from 1.
        above, below = ndtr(-least), ndtr(-most)
        share = np.maximum(above - below, 0.0)
        chance *= share
        numbers[c] = -ndtri(np.clip(below + cube[c] * share, 1e-300, 1.0))
    return float(chance.mean())


@functools.cache
def _points(size: int) -> np.ndarray:
    """Of the unit cube, (number, point), in the middle of their cells."""
    return qmc.Sobol(size, scramble=False).random(POINTS).T + 0.5 / POINTS
