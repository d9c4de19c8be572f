"""Sensitivity indices of several outputs, with intervals and a verdict on each."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analysis.sensitivity import convergence
from analysis.sensitivity.convergence import Verdict
from analysis.sensitivity.problem import Problem
from analysis.sensitivity.resampling import interval


class Indices(NamedTuple):
    """Indices of all outputs.

    measures: such as ("S1", "ST"). value: (output, measure, input); lower, upper: 95 % interval, same shape, NaN
    without resamples. second: (3, output, input, input), value, lower and upper of second-order indices, symmetric
    with a NaN diagonal; or None. sizes: (size,), base sizes of the convergence curve. by_size: (size, output, measure,
    input). verdicts: per output. used: rows used, the smallest over outputs. dropped: rows left out or replaced
    because of failed lives, the largest over outputs. handled: how.
    """

    measures: tuple[str, ...]
    value: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    second: np.ndarray | None
    sizes: np.ndarray
    by_size: np.ndarray
    verdicts: tuple[Verdict, ...]
    used: int
    dropped: int
    handled: str


class Estimate(NamedTuple):
    """Indices of one output before intervals are made.

    value: (measure, input). resampled: (resample, measure, input), none of them where none were asked for. by_size:
    (size, measure, input). second: (input, input) or None; second_resampled: (resample, input, input) or None. trouble:
    why there are no indices, or not of all inputs, or "". remark: what the verdict shall also say.
    """

    value: np.ndarray
    resampled: np.ndarray
    by_size: np.ndarray
    second: np.ndarray | None
    second_resampled: np.ndarray | None
    used: int
    dropped: int
    trouble: str = ""
    remark: str = ""


CONSTANT = "the output is the same for all: there is nothing to explain"


def constant(values: np.ndarray) -> bool:
    """Whether values are equal but for rounding."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


def nothing(
    problem: Problem, measures: int, sizes: int, used: int, dropped: int, trouble: str, second: bool = False
) -> Estimate:
    """The estimate of an output that tells none."""
    inputs = len(problem.inputs)
    return Estimate(
        np.full((measures, inputs), np.nan),
        np.empty((0, measures, inputs)),
        np.full((sizes, measures, inputs), np.nan),
        np.full((inputs, inputs), np.nan) if second else None,
        np.empty((0, inputs, inputs)) if second else None,
        used,
        dropped,
        trouble,
    )


def collect(
    problem: Problem,
    measures: tuple[str, ...],
    leading: str,
    sizes: np.ndarray,
    estimates: Sequence[Estimate],
    handled: str,
    size: int,
    tolerance: float = convergence.TOLERANCE,
    relative: bool = False,
    advice: str = "",
) -> Indices:
    """Indices from one estimate per output; tolerance, relative and advice as in `convergence.verdict`."""
    lead = measures.index(leading)
    bounds = [interval(each.resampled, each.value.shape) for each in estimates]
    seconds = []
    for each in estimates:
        if each.second is not None and each.second_resampled is not None:
            low, high = interval(each.second_resampled, each.second.shape)
            seconds.append(np.stack([each.second, low, high]))
    verdicts = tuple(
        convergence.verdict(
            problem.inputs,
            leading,
            each.value[lead],
            each.resampled[:, lead],
            size,
            tolerance,
            relative,
            each.trouble,
            each.remark,
            advice,
        )
        for each in estimates
    )
    return Indices(
        measures,
        np.stack([each.value for each in estimates]),
        np.stack([low for low, _ in bounds]),
        np.stack([high for _, high in bounds]),
        np.stack(seconds, axis=1) if seconds else None,
        sizes,
        np.stack([each.by_size for each in estimates], axis=1),
        verdicts,
        min(each.used for each in estimates),
        max(each.dropped for each in estimates),
        handled,
    )


def check_rows(points: np.ndarray, outputs: np.ndarray, rows: int, problem: Problem) -> np.ndarray:
    """Outputs as floats, (row, output), infinite ones as NaN. Raises ValueError where rows or columns do not fit."""
    outputs = np.asarray(outputs, dtype=float)
    if outputs.ndim != 2 or outputs.shape[1] == 0:
        raise ValueError(f"outputs have {outputs.shape=}; give one row a life and one column an output")
    if points.shape != (rows, len(problem.columns)) or len(outputs) != rows:
        raise ValueError(
            f"the design has {rows} rows of {len(problem.columns)} columns, got {points.shape=} and {outputs.shape=}; "
            "give the points and outputs of the same problem, design and size"
        )
    return np.where(np.isfinite(outputs), outputs, np.nan)
