"""The slow, trusted solver: diffrax with an adaptive step, for tests and benchmarks."""

from collections.abc import Callable
from typing import Any

import diffrax
import jax


def reference(
    field: Callable[[Any, Any, Any], Any], y: Any, p: Any, time: float, duration: float, rtol: float = 1e-9
) -> Any:
    """State after `duration` [h] from `y`, by diffrax's Dopri8 with adaptive step, atol = rtol / 1000.

    field(t, y, p) -> d/dt of y, a pytree like y [per h].
    """
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Dopri8(),
        t0=time,
        t1=time + duration,
        dt0=None,
        y0=y,
        args=p,
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol / 1000),
        max_steps=100_000,
    )
    assert solution.ys is not None
    return jax.tree.map(lambda leaf: leaf[-1], solution.ys)
