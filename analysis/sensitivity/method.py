"""What every method of sensitivity analysis offers."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from analysis.sensitivity.indices import Indices
from analysis.sensitivity.surrogate import Surrogate


class Method(NamedTuple):
    """A method as data and one function.

    name: that of its file. source: the literature. design: name of the design whose points it reads. measures: what it
    gives per input. leading: the measure that ranks inputs. groups: whether an input may have several columns.
    over_time(problem, points, outputs, *, size, seed) -> (time, measure, input): values alone for one outcome at many
    times, outputs (row, time); None where `analyse` is quick enough for them.
    fit(problem, points, outputs, *, size) -> Surrogate, of methods that make one. Its error is
    leave-one-out, NaN where the rows, which have one luck, do not tell it.
    analyse(problem, points, outputs, *, size, seed, resamples=..., second=True) -> Indices: points (row, column) of the
    design of that size and seed; outputs (row, output), NaN for a failed life.
    """

    name: str
    title: str
    source: str
    design: str
    measures: tuple[str, ...]
    leading: str
    analyse: Callable[..., Indices]
    groups: bool = True
    over_time: Callable[..., np.ndarray] | None = None
    fit: Callable[..., Surrogate] | None = None
