"""Insulin sensitivity through the day and from day to day."""

from typing import Any

import jax
import jax.numpy as jnp

from solvers.twins.glucose.meal import DAYS

EVERY = 3.0  # h, between which it changes linearly


CHANCES = (DAYS + 2,)


def sensitivities(drawn: jax.Array, p: Any) -> jax.Array:
    """Relative insulin sensitivity every 3 h of a life. drawn: standard normals, CHANCES.

    Its logarithm is that of these weeks, a daily wave, lowest at a time of his own around 6 h, and a level that changes
    from midnight to midnight.
    """
    hours = EVERY * jnp.arange(round(24 * DAYS / EVERY) + 1)
    levels = p.sensitivity_sd * drawn[1:]
    lowest = 6.0 + p.dawn_sd * drawn[0]
    wave = -p.dawn * jnp.cos(2.0 * jnp.pi * (hours - lowest) / 24.0)
    return p.sensitivity * jnp.exp(wave + jnp.interp(hours, 24.0 * jnp.arange(DAYS + 1), levels))


def at(time: Any, values: jax.Array) -> Any:
    """The sensitivity at `time` [h]."""
    place = (time - 24.0 * DAYS * jnp.floor(time / (24.0 * DAYS))) / EVERY
    first = jnp.floor(place)
    here, after = values[first.astype(int)], values[first.astype(int) + 1]
    return here + (place - first) * (after - here)
