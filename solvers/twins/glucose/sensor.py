"""A continuous glucose sensor: interstitial glucose and an error that remembers itself.

    e_n = 0.7 (e_(n-1) + N(0, 1)) every 15 min,   error = xi + lambda sinh((e - gamma) / delta)

cubic between these times, in 39 to 600 mg/dL. Breton & Kovatchev 2008, J Diabetes Sci Technol 2:853.
simglucose interpolates ten points at once by a spline; here each quarter of an hour has the cubic of its neighbours.
"""

from typing import Any

import jax
import jax.numpy as jnp

from solvers.twins.glucose.meal import DAYS

EVERY = 0.25  # h
MEMORY = 0.7
XI, LAMBDA, GAMMA, DELTA = -5.47, 15.9574, -0.5444, 1.6898  # mg/dL
LOWEST, HIGHEST = 39.0, 600.0


CHANCES = (round(24 * DAYS / EVERY),)


def errors(drawn: jax.Array) -> jax.Array:
    """Errors of a life, one every quarter of an hour [mg/dL]. drawn: standard normals, CHANCES."""

    def step(e: Any, n: Any) -> tuple:
        e = MEMORY * (e + n)
        return e, e

    # From the spread that the recursion settles at.
    first = drawn[0] * MEMORY / (1.0 - MEMORY**2) ** 0.5
    e: Any
    _, e = jax.lax.scan(step, first, drawn)
    return XI + LAMBDA * jnp.sinh((e - GAMMA) / DELTA)


def _place(number: Any, length: int) -> Any:
    """The errors recur."""
    return (number - length * jnp.floor(number / length)).astype(int)


def reading(interstitial: Any, time: Any, error: jax.Array) -> Any:
    """What the sensor shows [mg/dL] of interstitial glucose [mg/dL] at `time` [h]."""
    place = time / EVERY
    first = jnp.floor(place + 1e-6)
    x = place - first
    before, here, after, beyond = (error[_place(first + i, len(error))] for i in (-1.0, 0.0, 1.0, 2.0))
    bend = 2.0 * before - 5.0 * here + 4.0 * after - beyond
    twist = 3.0 * (here - after) + beyond - before
    return jnp.clip(interstitial + here + 0.5 * x * (after - before + x * (bend + x * twist)), LOWEST, HIGHEST)
