"""Explicit integration: the classical Runge-Kutta method on a given mesh."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def runge_kutta(field: Callable[[Any, Any, Any], Any], y: Any, p: Any, time: Any, steps: np.ndarray) -> Any:
    """State after the steps [h], (n,), taken one after another by the classical Runge-Kutta method of order 4.

    field(t, y, p) -> d/dt of y, a pytree like y [per h].
    Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I, 2nd ed., table II.1.2.
    """
    lengths = jnp.asarray(steps, float)
    starts = jnp.asarray(np.concatenate([[0.0], np.cumsum(steps)[:-1]]))

    def moved(y: Any, k: Any, by: Any) -> Any:
        return jax.tree.map(lambda a, b: a + by * b, y, k)

    def step(i: Any, y: Any) -> Any:
        h = lengths[i]
        t = time + starts[i]
        k1 = field(t, y, p)
        k2 = field(t + h / 2, moved(y, k1, h / 2), p)
        k3 = field(t + h / 2, moved(y, k2, h / 2), p)
        k4 = field(t + h, moved(y, k3, h), p)
        return jax.tree.map(lambda a, b, c, d, e: a + h / 6 * (b + 2 * c + 2 * d + e), y, k1, k2, k3, k4)

    return jax.lax.fori_loop(0, len(steps), step, y)


def mesh(duration: float, longest: float, halvings: int = 0) -> np.ndarray:
    """Steps [h] that fill `duration`: equal ones of at most `longest`, the first halved towards its start.

    halvings k cut the first step s into s/2^k, s/2^k, s/2^(k-1), ..., s/2: a dose makes the solution start like a
    broken power of time, and equal steps would lose the order there.
    """
    count = math.ceil(duration / longest - 1e-9)
    equal = np.full(count, duration / count)
    first = equal[0] * 0.5 ** np.array([*range(1, halvings + 1), halvings])[::-1]
    return np.concatenate([first, equal[1:]])
