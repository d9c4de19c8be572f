"""Doses and their times, as policies share them."""

from typing import Any

import jax
import jax.numpy as jnp

from solvers.policy import Setting
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


def due(time: Any, start: Any, every: Any) -> jax.Array:
    """Whether a dose is due at `time` [h]: at start, start + every, ..."""
    since = time - start
    return (since > -1e-6) & (jnp.abs(since / every - jnp.round(since / every)) < 1e-6)


def dose_setting(title: str, value: float, action: Action) -> Setting:
    """A dose that can be moved from nothing to four times what is written, within the bounds of its action."""
    low, high = action.bounds
    return Setting(title, action.unit, value, (max(low, 0.0), min(high, 4.0 * value if value else 1.0)))


def span_setting(title: str, value: float, tick: float, least: float = 0.0) -> Setting:
    """A time [h] that can be moved by ticks up to a week, and to twice what is written where that is longer."""
    most = max(7.0 * 24.0, 2.0 * value)
    return Setting(title, "h", value, (least, least + tick * round((most - least) / tick)), tick)
