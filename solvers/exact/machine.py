"""Whole courses in machine code, where there is a C compiler; scheme.py in JAX is the reference."""

import ctypes
import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from solvers.exact import exponential, scheme
from solvers.exact.source import source
from solvers.exact.step import Stepper
from solvers.lanes.compiler import NoCompiler, built

LINE = 8  # numbers


class Marched(NamedTuple):
    """y: (state, n). error: (n,). outputs: (recorded, output, n). ranges: (2, output, n), their least and largest."""

    y: np.ndarray
    error: np.ndarray
    outputs: np.ndarray
    ranges: np.ndarray


class Machine:
    """Machine code of one model. A patient's bits depend on nobody else."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        self._code = ctypes.CDLL(str(built(source(stepper))))
        number, real, data = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
        self._march = self._code.march
        self._march.restype = ctypes.c_int
        self._march.argtypes = [*[number] * 4, *[real] * 3, *[data] * 10]

    def march(
        self,
        time: float,
        tick: float,
        y: ArrayLike,
        p: ArrayLike,
        counts: Sequence[int],
        halvings: Sequence[int],
        norm: float,
        jumps: Sequence[ArrayLike | None] | None = None,
        record: ArrayLike | None = None,
    ) -> Marched:
        """Patients from `time` through as many ticks as there are counts.

        y: (state, n). p: (parameter, n). counts, halvings, norm: see `scheme.prepare` and `scheme.advance`. jumps: for
        each tick (state, n), added to the states before it, or None, which is faster than zeros.
        record: (tick + 1,), whether to see the outputs at the start of each tick, before its jump, and at the end.
        The error is the largest over the life of |error| / (|output| + 0.001 max |output| so far), of the driven
        states alone, as the second rule has it. Raises ValueError for a wrong shape, or a mesh that is none.
        """
        layout, ticks = self.stepper.structure, len(counts)
        y, p = np.ascontiguousarray(y, float), np.ascontiguousarray(p, float)
        if y.ndim != 2 or not y.shape[1]:
            raise ValueError(f"y has the shape {y.shape}; give ({layout.n_states}, patients)")
        n = y.shape[1]
        added = [None if jump is None else np.ascontiguousarray(jump, float) for jump in jumps or [None] * ticks]
        marks = np.ones(ticks + 1, bool) if record is None else np.ascontiguousarray(record, bool)
        for name, array, shape in (
            ("y", y, (layout.n_states, n)),
            ("p", p, (layout.n_parameters, n)),
            ("record", marks, (ticks + 1,)),
            *(("a jump", jump, (layout.n_states, n)) for jump in added if jump is not None),
        ):
            if array.shape != shape:
                raise ValueError(f"{name} has the shape {array.shape}; give {shape}")
        if len(added) != ticks:
            raise ValueError(f"there are {len(added)} jumps for {ticks} ticks; give one a tick, or None for it")
        deepest = scheme.depth(counts, halvings)
        mesh = [np.ascontiguousarray(each, np.int64) for each in (counts, halvings)]
        seen = len(self.stepper.seen.outputs)
        result = Marched(np.empty_like(y), np.empty(n), _lines((int(marks.sum()), seen, n)), np.empty((2, seen, n)))
        places = (ctypes.c_void_p * max(ticks, 1))(*(None if jump is None else jump.ctypes.data for jump in added))
        addresses = [*(each.ctypes.data for each in (*mesh, y, p)), ctypes.addressof(places)]
        addresses += [each.ctypes.data for each in (marks, *result)]
        times = exponential.squarings(norm, tick)
        if self._march(n, ticks, deepest, times, float(time), float(tick), float(norm), *addresses):
            raise MemoryError("the tables of a block of lanes have no room")
        return result


def _lines(shape: tuple[int, ...]) -> np.ndarray:
    """An array that starts at a line of the caches."""
    raw = np.empty(int(np.prod(shape)) + LINE)
    skip = -(raw.ctypes.data // raw.itemsize) % LINE
    return raw[skip : skip + int(np.prod(shape))].reshape(shape)


@functools.lru_cache(maxsize=16)
def machine(stepper: Stepper) -> Machine | None:
    """Machine code of a model, None where there is no compiler or an operation has no C."""
    try:
        return Machine(stepper)
    except (NoCompiler, OSError):  # OSError: a folder that may not hold code
        return None
