"""The slow, trusted solver: diffrax with an adaptive step, one patient for himself."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from solvers.triggers import Jump, through

PIECES = 64  # of a tick, each ended where something is triggered


def reference(
    field: Callable[[Any, Any, Any], Any],
    y: Any,
    p: Any,
    time: Any,
    duration: Any,
    rtol: float = 1e-9,
    triggers: tuple[Jump, ...] = (),
) -> Any:
    """State after `duration` [h] from `y`, by diffrax's Dopri8 with adaptive step, atol = rtol / 1000.

    field(t, y, p) -> d/dt of y, a pytree like y [per h]. NaN where 10,000 steps do not reach the end, and where two
    things are triggered in a 64th of it.
    """
    if not triggers:
        return _between(field, y, p, time, duration, rtol)

    def part(t: Any, y: Any, first: Any, h: Any, p: Any) -> tuple:
        return _between(field, y, p, t, h, rtol), first, jnp.zeros(())

    def piece(i: Any, y: Any) -> Any:
        length = duration / PIECES
        y, _, error = through(triggers, part, field, time + i * length, y, y, length, p)
        return jax.tree.map(lambda leaf: jnp.where(jnp.isfinite(error), leaf, jnp.nan), y)

    return jax.lax.fori_loop(0, PIECES, piece, y)


def _between(field: Callable[[Any, Any, Any], Any], y: Any, p: Any, time: Any, duration: Any, rtol: float) -> Any:
    import diffrax  # only where it is asked for: its import takes a second

    # From a NaN the step would be halved ten thousand times, tick by tick.
    alive = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(y)]))
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Dopri8(),
        t0=time,
        t1=time + duration,
        dt0=None,
        y0=jax.tree.map(lambda leaf: jnp.where(alive, leaf, 0.0), y),
        args=p,
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol / 1000),
        adjoint=diffrax.ForwardMode(),
        max_steps=10_000,
        throw=False,
    )
    assert solution.ys is not None
    reached = alive & (solution.result == diffrax.RESULTS.successful)
    return jax.tree.map(lambda leaf: jnp.where(reached, leaf[-1], jnp.nan), solution.ys)
