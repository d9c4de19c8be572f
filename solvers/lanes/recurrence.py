"""Machine code of a recurrence, y[i + 1] = step(i, y[i], p): for models that bring a scheme of their own."""

import ctypes
from collections.abc import Callable
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

    def turns(
        self, y: tuple, p: tuple, go: Any, steps: int, fallback: Callable[[tuple, tuple], tuple] | None = None
    ) -> tuple:
        """The states of one patient after `steps` steps, counted from 0; inside jit, vmap and scan.

        y: a scalar a state; p: a scalar a parameter. go: whether he is to be stepped at all; else y, at no cost.
        fallback(y, p): the same in JAX; it gives the forward derivative.
        Raises ValueError for a wrong number of states or parameters.
        """
        expected = len(self.program.states), len(self.program.parameters)
        if (len(y), len(p)) != expected:
            raise ValueError(f"got {(len(y), len(p))} states and parameters; give {expected}")

        def code(y: tuple, p: tuple, go: Any) -> tuple:
            rows = [jnp.stack([jnp.asarray(v, float) for v in each]) if each else jnp.zeros(0) for each in (y, p)]
            call = jax.ffi.ffi_call(self._target, jax.ShapeDtypeStruct((len(y),), float), vmap_method="broadcast_all")
            after = call(*rows, jnp.asarray(go, float), steps=steps)
            return tuple(after[i] for i in range(len(y)))

        if fallback is None:
            return code(y, p, go)
        slow = fallback
        function = jax.custom_jvp(code)

        @function.defjvp
        def _derivative(primals: tuple, tangents: tuple) -> tuple:
            def reference(y: tuple, p: tuple) -> tuple:
                return tuple(jnp.where(primals[2], new, old) for new, old in zip(slow(y, p), y, strict=True))

            return function(*primals), jax.jvp(reference, primals[:2], tangents[:2])[1]

        return function(tuple(y), tuple(p), jnp.asarray(go, float))


_made: dict[Program, Recurrence | None] = {}


def recurrence(program: Program) -> Recurrence | None:
    """Machine code of a program whose slopes are the states' next values and whose time is the number of the step;
    None where there can be none. Raises ValueError for a program with outputs or tables."""
    if program.outputs or program.tables:
        raise ValueError("a recurrence has states and parameters alone; give a program without outputs and tables")
    if program not in _made:
        try:
            if program.unknown or jax.default_backend() != "cpu":
                raise NoCompiler("no C for it")
            _made[program] = Recurrence(program, str(built(turning(program), SCHEDULED)))
        except (NoCompiler, OSError):  # OSError: a folder that may not hold code
            _made[program] = None
    return _made[program]
