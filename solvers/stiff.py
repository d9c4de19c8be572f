"""The tier of last resort, for stiff twins: diffrax's Kvaerno5, every patient with steps of his own. It is slow."""

import math
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

COARSER = 10.0  # times the tolerance of the second solution, from which the first is told
STEPS = 4096  # in a tick


def step(
    field: Callable[[Any, Any, Any], Any], y: Any, p: Any, time: Any, length: Any, rtol: Any, floors: Any
) -> tuple[Any, Any]:
    """State after an interval, and how far a coarser solution is from it, relative to the state.

    field(t, y, p) -> d/dt of y; y: a tuple of scalars. floors: one a state, added to it where errors are relative to
    it. NaN where 4,096 steps do not reach the end. Kvaerno 2004, BIT Numer Math 44:489.
    """
    # Both at once, as one program: it takes long to compile.
    both = jax.vmap(lambda each: _solved(field, y, p, time, length, each, floors))(rtol * jnp.array([1.0, COARSER]))
    fine, coarse = (jax.tree.map(lambda leaf, i=i: leaf[i], both) for i in (0, 1))
    apart = [jnp.abs(a - b) / (jnp.abs(a) + least) for a, b, least in zip(fine, coarse, floors, strict=True)]
    return fine, jnp.max(jnp.stack(apart))


def _solved(field: Callable, y: Any, p: Any, time: Any, length: Any, rtol: Any, floors: Any) -> Any:
    import diffrax  # only where it is asked for: its import takes a second

    # In units of the floors one absolute tolerance fits every state.
    units = type(y)(*(least if math.isfinite(least) else 1.0 for least in floors))
    alive = jnp.all(jnp.stack([jnp.isfinite(leaf) for leaf in y]))
    begun = jax.tree.map(lambda leaf, unit: jnp.where(alive, leaf, 0.0) / unit, y, units)

    def scaled(t: Any, z: Any, p: Any) -> Any:
        slopes = field(t, jax.tree.map(operator.mul, z, units), p)
        return jax.tree.map(operator.truediv, slopes, units)

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(scaled),
        diffrax.Kvaerno5(),
        t0=time,
        t1=time + length,
        dt0=None,
        y0=begun,
        args=p,
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol),
        max_steps=STEPS,
        adjoint=diffrax.ForwardMode(),
        throw=False,
    )
    assert solution.ys is not None
    reached = alive & (solution.result == diffrax.RESULTS.successful)
    return jax.tree.map(lambda leaf, unit: jnp.where(reached, leaf[-1], jnp.nan) * unit, solution.ys, units)
