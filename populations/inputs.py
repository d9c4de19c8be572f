"""The independent inputs of a population: of its patients, and of what is not known of its distributions."""

from typing import Literal, NamedTuple

import numpy as np
from scipy.special import gammaincinv, ndtr, ndtri

# The scale on which outputs vary smoothly with an input u in (0, 1): u, its normal score, levels, or none at all.
Law = Literal["uniform", "normal", "levels", "chance"]


class Input(NamedTuple):
    """One coordinate of the unit cube. group: what it belongs to; coordinates of one group only matter together.

    levels, shares: of a categorical variable, in the order in which u passes them from 0 to 1.
    """

    name: str
    title: str
    law: Law
    group: str
    levels: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()


class Quantiles:
    """Random numbers from given points of the unit cube, in the order asked for: what a generator does by chance.

    It offers those methods of numpy's Generator by which distributions are resampled within their uncertainty.
    """

    def __init__(self, points: np.ndarray) -> None:
        self._points = points
        self._next = 0

    def _take(self, count: int) -> np.ndarray:
        taken = self._points[self._next : self._next + count]
        if len(taken) < count:
            raise ValueError(f"{self._next + count} points are needed, got {len(self._points)}")
        self._next += count
        return taken

    def standard_normal(self, size: int | None = None) -> np.ndarray:
        normal = ndtri(self._take(1 if size is None else size))
        return normal[0] if size is None else normal

    def standard_gamma(self, shape: np.ndarray) -> np.ndarray:
        shapes = np.asarray(shape, float)
        points = self._take(shapes.size).reshape(shapes.shape)
        return np.where(shapes > 0.0, gammaincinv(np.where(shapes > 0.0, shapes, 1.0), points), 0.0)

    @property
    def taken(self) -> int:
        return self._next


def points_of(scores: np.ndarray) -> np.ndarray:
    """Points whose normal scores these are, strictly inside the cube."""
    return np.clip(ndtr(scores), 2.0**-31, 1.0 - 2.0**-31)
