"""A program compiled with a pair, called by arrays or from inside XLA."""

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from solvers.lanes.compiler import NoCompiler, built
from solvers.lanes.program import Program
from solvers.lanes.source import source
from solvers.pairs import Pair


class Marched(NamedTuple):
    """y: (state, n). error: (n,), see `march` of solvers/explicit.py. outputs: (recorded, output, n).
    ranges: (2, output, n), their least and largest; infinities where nothing is recorded."""

    y: np.ndarray
    error: np.ndarray
    outputs: np.ndarray
    ranges: np.ndarray


class Library:
    """Machine code for one program and one pair. A patient's bits depend on nobody else."""

    def __init__(self, program: Program, pair: Pair, path: str) -> None:
        self.program, self.pair = program, pair
        self._code = ctypes.CDLL(path)
        self._march = self._code.march
        self._march.restype = None
        number, data = ctypes.c_int64, ctypes.c_void_p
        self._march.argtypes = [number, number, ctypes.c_double, *[data] * 13]
        self._target = f"trialtwin_{path.rpartition('/')[2]}"
        jax.ffi.register_ffi_target(self._target, jax.ffi.pycapsule(self._code.advance), platform="cpu")

    def march(
        self,
        time: float,
        y: ArrayLike,
        p: ArrayLike,
        counts: ArrayLike,
        halvings: ArrayLike,
        intervals: ArrayLike,
        floors: Sequence[float],
        jumps: Sequence[ArrayLike | None] | np.ndarray | None = None,
        record: ArrayLike | None = None,
        tables: Sequence[ArrayLike] = (),
    ) -> Marched:
        """Patients from `time` over all intervals, on one mesh.

        y: (state, n). p: (parameter, n). intervals: lengths (I,); counts, halvings: (I,), see `steps` of
        solvers/explicit.py. floors: one a state. jumps: for each interval (state, n), added to the states before it,
        or None, which is faster than zeros.
        record: (I + 1,), whether to see the outputs at the start of each interval, before its jump, and at the end.
        tables: (length, n) each.
        Releases the interpreter's lock. Raises ValueError for a wrong shape, a count below 1 or a halving below 0.
        """
        states, parameters = len(self.program.states), len(self.program.parameters)
        y, p = np.ascontiguousarray(y, float), np.ascontiguousarray(p, float)
        if y.ndim != 2 or not y.shape[1]:
            raise ValueError(f"y has the shape {y.shape}; give ({states}, patients)")
        lengths = np.ascontiguousarray(intervals, float)
        n, many = y.shape[1], lengths.size
        counts, halvings = np.ascontiguousarray(counts, np.int64), np.ascontiguousarray(halvings, np.int64)
        scale = np.ascontiguousarray(floors, float)
        given_jumps = [None] * many if jumps is None else jumps
        added = [None if jump is None else np.ascontiguousarray(jump, float) for jump in given_jumps]
        marks = np.zeros(many + 1, np.uint8) if record is None else np.ascontiguousarray(record, bool).view(np.uint8)
        lengths_of = [length for _, length in self.program.tables]
        if len(tables) != len(lengths_of):
            raise ValueError(f"there are {len(tables)} tables; give {len(lengths_of)}, each (length, patients)")
        rows = [np.asarray(table, float) for table in tables]
        for name, array, shape in (
            ("y", y, (states, n)),
            *(("a table", row, (length, n)) for row, length in zip(rows, lengths_of, strict=True)),
            ("p", p, (parameters, n)),
            ("intervals", lengths, (many,)),
            ("counts", counts, (many,)),
            ("halvings", halvings, (many,)),
            ("floors", scale, (states,)),
            ("record", marks, (many + 1,)),
            *(("a jump", jump, (states, n)) for jump in added if jump is not None),
        ):
            if array.shape != shape:
                raise ValueError(f"{name} has the shape {array.shape}; give {shape}")
        if len(added) != many:
            raise ValueError(f"there are {len(added)} jumps for {many} intervals; give one an interval, or None for it")
        if (counts < 1).any() or (halvings < 0).any():
            raise ValueError("an interval has no step; give counts of at least 1 and halvings of at least 0")
        seen = len(self.program.outputs)
        outputs, ranges = np.empty((int(marks.sum()), seen, n)), np.empty((2, seen, n))
        result = Marched(np.empty((states, n)), np.empty(n), outputs, ranges)
        places = (ctypes.c_void_p * many)(*(None if jump is None else jump.ctypes.data for jump in added))
        joined = np.ascontiguousarray(np.concatenate(rows)) if len(rows) > 1 else np.ascontiguousarray(rows)
        given = (y, p, joined, counts, halvings, lengths, scale)
        addresses: list[int | None] = [array.ctypes.data for array in given]
        addresses += [None if jumps is None else ctypes.addressof(places), marks.ctypes.data]
        self._march(n, many, float(time), *addresses, *(array.ctypes.data for array in result))
        return result

    def advance(
        self,
        t: Any,
        length: Any,
        count: Any,
        halving: Any,
        y: tuple,
        p: tuple,
        floors: Sequence[float],
        fallback: Callable[..., tuple[tuple, Any]] | None = None,
    ) -> tuple[tuple, Any]:
        """One interval of one patient with scalars, inside jit, vmap and scan. Returns the states and the error.

        p: the parameters, then the tables, (length,) each.
        Lanes come by vmap; those beside each other with the same t, length, count and halving share blocks.
        fallback: the same function in JAX, called with the same arguments but itself; it gives the forward derivative.
        Raises ValueError for a wrong number of states, parameters or floors.
        """
        program = self.program
        numbers = len(y), len(p), len(floors)
        if numbers != (
            expected := (len(program.states), len(program.parameters + program.tables), len(program.states))
        ):
            raise ValueError(f"got {numbers} states, parameters and floors; give {expected}")
        for (name, many), table in zip(program.tables, p[len(program.parameters) :], strict=True):
            if jnp.shape(table) != (many,):
                raise ValueError(f"table '{name}' has the shape {jnp.shape(table)}; give ({many},)")
        scale = tuple(float(each) for each in floors)
        # A table that only outputs read stays where it is: XLA may copy operands at every call.
        read = program.read_by_slopes()
        blank = (jnp.zeros(1),) * len(program.tables)

        def code(t: Any, length: Any, count: Any, halving: Any, y: tuple, p: tuple) -> tuple[tuple, Any]:
            numbers, rows = p[: len(program.parameters)], p[len(program.parameters) :]
            rows = tuple(row if i in read else none for i, (row, none) in enumerate(zip(rows, blank, strict=True)))
            operands = [jnp.asarray(v, float) for v in (t, length, count, halving, *y, *numbers, *rows)]
            scalar = jax.ShapeDtypeStruct((), float)
            call = jax.ffi.ffi_call(self._target, [scalar] * (len(y) + 1), vmap_method="broadcast_all")
            *after, error = call(*operands, floors=np.asarray(scale))
            return tuple(after), error

        if fallback is None:
            return code(t, length, count, halving, y, p)
        function = jax.custom_jvp(code)

        @function.defjvp
        def _derivative(primals: tuple, tangents: tuple) -> tuple:
            reference = functools.partial(_with_floors, fallback, scale)
            return function(*primals), jax.jvp(reference, primals, tangents)[1]

        # one shape of the state inside and outside: a fallback may give its own tuple
        return function(t, length, count, halving, tuple(y), tuple(p))


def _with_floors(fallback: Callable[..., tuple[tuple, Any]], scale: tuple, *arguments: Any) -> tuple[tuple, Any]:
    y, error = fallback(*arguments, scale)
    return tuple(y), error


_libraries: dict[tuple[Program, Pair], Library] = {}
_reasons: dict[tuple[Program, Pair], str] = {}


def library(program: Program, pair: Pair) -> Library | None:
    """Machine code of the program, compiled once and cached; None where there can be none, see `reason`."""
    key = program, pair
    if key in _libraries:
        return _libraries[key]
    try:
        if program.unknown:
            raise NoCompiler(f"the equations use {program.unknown}, which has no C")
        _libraries[key] = Library(program, pair, str(built(source(program, pair))))
    except (NoCompiler, OSError) as error:  # OSError: a folder that may not hold code
        _reasons[key] = str(error)
        return None
    _reasons.pop(key, None)
    return _libraries[key]


def reason(program: Program, pair: Pair) -> str:
    """Why `library` gave None, in a sentence; '' where it did not."""
    return _reasons.get((program, pair), "")
