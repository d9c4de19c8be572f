"""PAWN: how far an input moves the whole distribution of an output."""

from typing import NamedTuple

import numpy as np

from analysis.sensitivity import sampled
from analysis.sensitivity.indices import Indices
from analysis.sensitivity.method import Method
from analysis.sensitivity.problem import Problem
from analysis.sensitivity.resampling import counts, generator
from analysis.sensitivity.slices import slices

MEASURES = ("median", "maximum")
SLICES = 10
ROWS_A_SLICE = 8
DUMMIES = 50


def analyse(
    problem: Problem,
    points: np.ndarray,
    outputs: np.ndarray,
    *,
    size: int,
    seed: int,
    resamples: int = 300,
    second: bool = True,
) -> Indices:
    """Median and maximum, over ten slices of an input or its levels, of the Kolmogorov-Smirnov distance between the
    output in the slice and the output of all.

        KS_s = max over y |F(y | slice s) - F(y)|

    The estimator of SALib, but that categories are sliced by level and the last row is not left out. An input without
    any effect has a distance above 0, which the verdict tells. Intervals by a bootstrap of rows, moved to the value.
    Pianosi & Wagener 2015, Environ Model Softw 67:1; 2018, Environ Model Softw 108:197.
    """

    def measure(rows: np.ndarray, y: np.ndarray, whole: bool) -> tuple[np.ndarray, np.ndarray, str]:
        value = _measures(problem, points[rows], y, np.ones((1, len(y))))[0]
        resampled, remark = np.empty((0, *value.shape)), ""
        if whole:
            rng = generator(seed)
            if resamples:
                resampled = _measures(problem, points[rows], y, counts(rng, len(y), resamples))
            remark = f"an input without effect has a median of {_dummy(y, rng):.2f}"
        return value, resampled, remark

    few = f"{SLICES} slices of {ROWS_A_SLICE}"
    return sampled.measured(problem, points, outputs, size, "pawn", MEASURES, SLICES * ROWS_A_SLICE, few, measure)


def over_time(problem: Problem, points: np.ndarray, outputs: np.ndarray, *, size: int, seed: int) -> np.ndarray:
    """The values alone of one outcome at many times, (row, time): (time, measure, input)."""

    def value(rows: np.ndarray, y: np.ndarray) -> np.ndarray:
        return _measures(problem, points[rows], y, np.ones((1, len(y))))[0]

    return sampled.over_time(problem, points, outputs, size, "pawn", MEASURES, SLICES * ROWS_A_SLICE, value)


class Ordered(NamedTuple):
    """A sample in the order of its values. order: (row,), numbers of the rows. first, last: (row,), positions at which
    the values equal to a row's begin and end. weights: (set, row), in that order. share: (set, row + 1), of all weight
    that lies before a position."""

    order: np.ndarray
    first: np.ndarray
    last: np.ndarray
    weights: np.ndarray
    share: np.ndarray


def ordered(y: np.ndarray, weights: np.ndarray) -> Ordered:
    """A sample, (row,), with sets of weights, (set, row)."""
    order = np.argsort(y, kind="stable")
    weights = weights[:, order]
    share = np.zeros((len(weights), len(y) + 1))
    np.cumsum(weights, axis=1, out=share[:, 1:])
    values = y[order]
    first, last = np.searchsorted(values, values, "left"), np.searchsorted(values, values, "right") - 1
    return Ordered(order, first, last, weights, share / share[:, -1:])


def distances(sample: Ordered, parts: np.ndarray) -> np.ndarray:
    """Kolmogorov-Smirnov distance of each part to all, (set, part); NaN for a part of weight 0.

    parts: (part, row), whether a row is in it. Distribution functions are furthest apart at a value of the part or just
    before it.
    """
    found = np.full((len(sample.weights), len(parts)), np.nan)
    for i, part in enumerate(parts[:, sample.order]):
        at = np.flatnonzero(part)
        inside = np.zeros((len(sample.weights), len(at) + 1))
        np.cumsum(sample.weights[:, at], axis=1, out=inside[:, 1:])
        some = inside[:, -1] > 0
        inside = inside[some] / inside[some, -1:]
        begins = np.append(True, np.diff(sample.first[at]) > 0)
        ends = np.append(begins[1:], True)
        before = inside[:, :-1][:, begins] - sample.share[some][:, sample.first[at[begins]]]
        after = inside[:, 1:][:, ends] - sample.share[some][:, sample.last[at[ends]] + 1]
        found[some, i] = np.maximum(np.abs(before).max(1), np.abs(after).max(1))
    return found


def _measures(problem: Problem, points: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Median and maximum, (set, measure, input)."""
    values, sample = [], ordered(y, weights)
    for i, column in enumerate(problem.columns):
        found = distances(sample, slices(column, points[:, i], SLICES))
        values.append([np.nanmedian(found, axis=1), np.nanmax(found, axis=1)])
    return np.moveaxis(np.array(values), -1, 0).swapaxes(1, 2)


def _dummy(y: np.ndarray, rng: np.random.Generator) -> float:
    """Mean of the median distance over slices made at random."""
    sample = ordered(y, np.ones((1, len(y))))
    parts = (rng.permutation(len(y)) * SLICES // len(y) == np.arange(SLICES)[:, None] for _ in range(DUMMIES))
    return float(np.mean([np.median(distances(sample, part)) for part in parts]))


method = Method(
    "pawn",
    "PAWN (distribution functions)",
    "Pianosi & Wagener 2018, Environ Model Softw 108:197",
    "sample",
    MEASURES,
    "median",
    analyse,
    groups=False,
    over_time=over_time,
)
