"""Doses and their times, as policies share them."""

from typing import Any

import jax
import jax.numpy as jnp

from solvers.quantity import quantity
from solvers.twin import Action


class OptionError(ValueError):
    """A policy's option is wrong: `key` says which, so that the file's line can be named."""

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.key = key


def text(options: dict[str, Any] | Any, key: str) -> str:
    """The option as plain text. Raises OptionError where it is a list."""
    value = options[key]
    if not isinstance(value, str):
        raise OptionError(key, f"{key} is a list; write one value")
    return value


def amount(key: str, written: str, action: Action) -> float:
    """Reads an amount of an action, in its unit and within its bounds."""
    try:
        value = quantity(written, action.unit)
    except ValueError as error:
        raise OptionError(key, f"{key} {error}") from error
    low, high = action.bounds
    if not low <= value <= high:
        raise OptionError(
            key, f"{key} '{written}' is not possible; write an amount from {low:g} to {high:g} {action.unit}"
        )
    return value


def moment(key: str, written: str, tick: float, least: float = 0.0) -> float:
    """Reads a time [h] of at least `least` that falls on a tick."""
    try:
        value = quantity(written, "h")
    except ValueError as error:
        raise OptionError(key, f"{key} {error}") from error
    if value < least:
        what = "less than one tick" if least else "before the start"
        raise OptionError(key, f"{key} '{written}' is {what}; write a time of at least {least:g} h")
    if abs(value / tick - round(value / tick)) > 1e-9:
        raise OptionError(key, f"{key} '{written}' falls between ticks of {tick:g} h; write a multiple of the tick")
    return value


def due(time: Any, start: float, every: float) -> jax.Array:
    """Whether a dose is due at `time` [h]: at start, start + every, ..."""
    since = time - start
    return (since > -1e-6) & (jnp.abs(since / every - jnp.round(since / every)) < 1e-6)
