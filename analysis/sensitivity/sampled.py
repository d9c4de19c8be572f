"""What is measured on a sample of which any part is a sample as well: the failed left out, and smaller sizes beside."""

from collections.abc import Callable

import numpy as np

from analysis.sensitivity.indices import CONSTANT, Estimate, Indices, check_rows, collect, constant, nothing
from analysis.sensitivity.problem import Problem, check_single
from analysis.sensitivity.slices import centred

HANDLED = "failed lives are left out"

# (numbers of the rows, outputs, (row,), whether it is the whole sample) ->
# value, (measure, input), resamples, (resample, measure, input), and a remark
Measure = Callable[[np.ndarray, np.ndarray, bool], tuple[np.ndarray, np.ndarray, str]]


def measured(
    problem: Problem,
    points: np.ndarray,
    outputs: np.ndarray,
    size: int,
    method: str,
    measures: tuple[str, ...],
    least: int,
    few: str,
    measure: Measure,
) -> Indices:
    """Indices of a method that needs `least` lives, else `few` says why not; the verdict is on the first measure.

    Resamples are moved to the value. Raises ValueError for a wrong number of rows and for groups.
    """
    check_single(problem, method)
    outputs = check_rows(points, outputs, size, problem)
    sizes = np.array([size // part for part in (8, 4, 2) if size // part >= least] + [size])
    shape = len(measures), len(problem.columns)
    estimates = []
    for column in outputs.T:
        known = ~np.isnan(column)
        used, dropped = int(known.sum()), int((~known).sum())
        trouble = _trouble(column[known], least, few)
        if trouble:
            estimates.append(nothing(problem, len(measures), len(sizes), used, dropped, trouble))
            continue
        curve, resampled, remark = [], np.empty((0, *shape)), ""
        for count in sizes:
            rows = np.flatnonzero(known[:count])
            value = np.full(shape, np.nan)
            if len(rows) >= least:
                value, resampled, remark = measure(rows, column[rows], count == size)
            curve.append(value)
        resampled = centred(curve[-1], resampled)
        estimates.append(Estimate(curve[-1], resampled, np.stack(curve), None, None, used, dropped, remark=remark))
    return collect(problem, measures, measures[0], sizes, estimates, HANDLED, size)


def over_time(
    problem: Problem,
    points: np.ndarray,
    outputs: np.ndarray,
    size: int,
    method: str,
    measures: tuple[str, ...],
    least: int,
    value: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Values alone of one outcome at many times, (row, time): (time, measure, input); NaN where there are none.

    value(numbers of the rows, outputs, (row,)) -> (measure, input). Raises ValueError as `measured`.
    """
    check_single(problem, method)
    outputs = check_rows(points, outputs, size, problem)
    found = np.full((outputs.shape[1], len(measures), len(problem.columns)), np.nan)
    for here, column in zip(found, outputs.T, strict=True):
        rows = np.flatnonzero(~np.isnan(column))
        if not _trouble(column[rows], least, ""):
            here[:] = value(rows, column[rows])
    return found


def _trouble(known: np.ndarray, least: int, few: str) -> str:
    """Why an output has no indices, or ''."""
    if len(known) and constant(known):
        return CONSTANT
    return f"{len(known)} lives are too few for {few}" if len(known) < least else ""
