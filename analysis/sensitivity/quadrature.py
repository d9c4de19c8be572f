"""Nodes and weights that integrate polynomials of many columns exactly, crossed with all levels of categories."""

import functools
import itertools
import math
from typing import NamedTuple

import chaospy
import numpy as np
from scipy.special import ndtr

from analysis.sensitivity.basis import DEGREES
from analysis.sensitivity.problem import Problem

MOST = 20_000  # nodes


class Nodes(NamedTuple):
    """points: (node, column) of the unit cube. weights: (node,), sum 1, some below 0. Nodes of numbers change slowest,
    combinations of levels fastest; combinations: how many of those."""

    points: np.ndarray
    weights: np.ndarray
    combinations: int


@functools.lru_cache(maxsize=4)
def nodes(problem: Problem, level: int) -> Nodes:
    """The rule, read-only, that integrates numbers exactly up to total degree 2 level + 1, and levels whole.

    Smolyak's combination of Gauss rules; all levels of categories are crossed with it. Raises ValueError for more than
    20,000 nodes. Novak & Ritter 1996, Numer Math 75:79; Xiu & Hesthaven 2005, SIAM J Sci Comput 27:1118.
    """
    if isinstance(level, bool) or not isinstance(level, int) or not 1 <= level <= DEGREES:
        raise ValueError(f"quadrature of level {level!r} is not offered; use a level from 1 to {DEGREES}, such as 2")
    numbers = [i for i, column in enumerate(problem.columns) if column.law in ("uniform", "normal")]
    categorical = [i for i, column in enumerate(problem.columns) if column.law == "levels"]
    combinations = math.prod(len(problem.columns[i].shares) for i in categorical)
    # Two values each of as many columns as there are levels, counted first: to make millions takes minutes.
    moved = min(level, len(numbers))
    least = math.comb(len(numbers), moved) * 2**moved * combinations
    if least > MOST:
        raise ValueError(_too_many(f"more than {least}", level))
    points, weights = np.full((1, len(problem.columns)), 0.5), np.ones(1)
    if numbers:
        parts = [
            chaospy.Uniform(0, 1) if problem.columns[i].law == "uniform" else chaospy.Normal(0, 1) for i in numbers
        ]
        where, weights = chaospy.generate_quadrature(level, chaospy.J(*parts), rule="gaussian", sparse=True)
        points = np.full((len(weights), len(problem.columns)), 0.5)
        for i, values in zip(numbers, where, strict=True):
            points[:, i] = values if problem.columns[i].law == "uniform" else ndtr(values)
    if len(points) * combinations > MOST:
        raise ValueError(_too_many(str(len(points) * combinations), level))
    middles, shares = np.full((combinations, len(problem.columns)), np.nan), np.ones(combinations)
    for row, levels in enumerate(itertools.product(*(range(len(problem.columns[i].shares)) for i in categorical))):
        for i, chosen in zip(categorical, levels, strict=True):
            ends = np.concatenate([[0.0], np.cumsum(problem.columns[i].shares)])
            middles[row, i] = ends[chosen : chosen + 2].mean()
            shares[row] *= problem.columns[i].shares[chosen]
    every = np.where(np.isnan(middles)[None], points[:, None], middles[None])
    rule = Nodes(every.reshape(-1, len(problem.columns)), np.outer(weights, shares).ravel(), combinations)
    rule.points.flags.writeable = rule.weights.flags.writeable = False
    return rule


def _too_many(count: str, level: int) -> str:
    return (
        f"quadrature of level {level} needs {count} nodes, {MOST} are the most; "
        "use a lower level, fewer inputs, or chaos, which samples"
    )
