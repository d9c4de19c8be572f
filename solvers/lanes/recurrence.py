"""Machine code of a recurrence, y[i + 1] = step(i, y[i], p): for models that bring a scheme of their own."""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp

from solvers.lanes.compiler import NoCompiler, built
from solvers.lanes.program import Program
from solvers.lanes.source import turning

# One long stretch of text, in which operations that do not wait for each other stand far apart.
SCHEDULED = ("-fschedule-insns", "-fsched-pressure")


class Recurrence:
    """Many steps of many patients. A patient's bits depend on nobody else."""

    def __init__(self, program: Program, path: str) -> None:
        self.program = program
        self._code = ctypes.CDLL(path)
        self._target = f"trialtwin_{path.rpartition('/')[2]}"
        jax.ffi.register_ffi_target(self._target, jax.ffi.pycapsule(self._code.turns), platform="cpu")

    def turns(self, y: Any, p: Any, steps: Any, fallback: Callable[[Any, Any, Any], Any] | None = None) -> jax.Array:
        """The states of one patient after `steps` steps, (state,), counted from 0; inside jit, vmap and scan.

        y: (state,); p: (parameter,). steps: how many he takes, his own number; y, at no cost, where it is 0.
        fallback(y, p, steps): the same in JAX; it gives the forward derivative.
        Raises ValueError for a wrong number of states or parameters.
        """
        y, p = jnp.asarray(y, float), jnp.asarray(p, float)
        expected = (len(self.program.states),), (len(self.program.parameters),)
        if (y.shape, p.shape) != expected:
            raise ValueError(f"states and parameters have the shapes {y.shape} and {p.shape}; give {expected}")

        def code(y: Any, p: Any, steps: Any) -> jax.Array:
            call = jax.ffi.ffi_call(self._target, jax.ShapeDtypeStruct(y.shape, float), vmap_method="broadcast_all")
            return call(y, p, steps)

        steps = jnp.asarray(steps, float)
        if fallback is None:
            return code(y, p, steps)
        slow = fallback
        function = jax.custom_jvp(code)

        @function.defjvp
        def _derivative(primals: tuple, tangents: tuple) -> tuple:
            def reference(y: Any, p: Any) -> Any:
                return slow(y, p, primals[2])

            return function(*primals), jax.jvp(reference, primals[:2], tangents[:2])[1]

        return function(y, p, steps)


_made: dict[Program, Recurrence | None] = {}


def recurrence(program: Program) -> Recurrence | None:
    """Machine code of a program whose slopes are the states' next values and whose time is the number of the step;
    None where there can be none. Raises ValueError for a program with outputs or tables."""
    return recurrences(program)[0]


def recurrences(*programs: Program) -> list[Recurrence | None]:
    """`recurrence` of each, compiled side by side."""
    for program in programs:
        if program.outputs or program.tables:
            raise ValueError("a recurrence has states and parameters alone; give a program without outputs and tables")
    new = [program for program in programs if program not in _made]
    with ThreadPoolExecutor(max(len(new), 1)) as threads:  # each waits for a compiler
        _made.update(zip(new, threads.map(_recurrence, new), strict=True))
    return [_made[program] for program in programs]


def _recurrence(program: Program) -> Recurrence | None:
    try:
        if program.unknown or jax.default_backend() != "cpu":
            raise NoCompiler("no C for it")
        return Recurrence(program, str(built(turning(program), SCHEDULED)))
    except (NoCompiler, OSError):  # OSError: a folder that may not hold code
        return None
