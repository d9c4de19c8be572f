"""Doses and their times, as policies share them."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from solvers.policy import Policy, Seen, Setting
from solvers.quantity import quantity
from solvers.steady import Regimen, unsettled
from solvers.twin import Action, Twin

REGIMEN = {
    "dose": "amount of each dose, such as 5 mg",
    "every": "interval between doses, such as 24 h",
    "from": "time of the first dose",
    "doses": "how many doses, or all",
    "gives": "the action that is given, or first",
}
REGIMEN_DEFAULTS = {"from": "0 days", "doses": "all", "gives": "first"}


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
    (low, high), unit = action.bounds, "" if action.unit == "1" else f" {action.unit}"
    if not low <= value <= high:
        raise OptionError(key, f"{key} '{written}' is not possible; write an amount from {low:g} to {high:g}{unit}")
    if action.step and abs((value - low) / action.step - round((value - low) / action.step)) > 1e-9:
        raise OptionError(key, f"{key} '{written}' lies between steps; write {low:g}, {low + action.step:g}, ...{unit}")
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


def duration(key: str, written: str) -> float:
    """Reads a time [h] above 0, on ticks or between them."""
    try:
        value = quantity(written, "h")
    except ValueError as error:
        raise OptionError(key, f"{key} {error}") from error
    if value <= 0:
        raise OptionError(key, f"{key} '{written}' is no length of time; write one above 0, such as 30 min")
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


def regimen(name: str, options: Mapping[str, Any], action: Action, tick: float) -> Policy:
    """The policy of a fixed regimen, by the options of REGIMEN."""
    dose = amount("dose", text(options, "dose"), action)
    every = moment("every", text(options, "every"), tick, least=tick)
    start = moment("from", text(options, "from"), tick)
    written = text(options, "doses")
    if written != "all" and not (written.isascii() and written.isdigit() and 0 < int(written) < 1_000_000):
        raise OptionError("doses", f"doses '{written}' is no number of doses; write a whole number, or all")
    settings = {
        "dose": dose_setting("each dose", dose, action),
        "every": span_setting("interval between doses", every, tick, tick),
        "from": span_setting("time of the first dose", start, tick),
    }
    if written != "all":
        settings["doses"] = Setting("how many doses", "1", float(written), (1.0, max(60.0, 2.0 * float(written))), 1.0)

    def decide(time: Any, seen: Seen, memory: Any, s: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
        last = s["from"] + (s["doses"] - 0.5) * s["every"] if "doses" in s else float("inf")
        return {action.name: jnp.where(due(time, s["from"], s["every"]) & (time < last), s["dose"], 0.0)}, memory

    return Policy(name, lambda p, s: (), decide, settings=settings)


def before(dose: str, every: str, over: str | None, gives: str, twin: Twin, tick: float) -> Regimen:
    """The regimen of patients who enter already treated. Raises OptionError, and for a twin without a steady state."""
    action = given(gives, twin, infused=over is not None)
    time = 0.0 if over is None else duration("over", over)
    interval = moment("every", every, tick, least=tick)
    if time > interval:
        raise OptionError("over", f"over '{over}' is longer than the interval; write at most {interval:g} h")
    regimen = Regimen(action.name, amount("dose", dose, action), interval, time)
    if why := unsettled(twin, regimen, tick):
        raise OptionError("", f"{why}; leave 'before' out")
    return regimen


def given(name: str, twin: Twin, infused: bool = False) -> Action:
    """The action of that name, or the first; one that can be infused where it is. Raises OptionError."""
    able = [action for action in twin.actions if action.infused or not infused]
    if not able:
        raise OptionError("", f"twin '{twin.name}' has no action that can be infused; give doses by mouth")
    if name == "first":
        return able[0]
    for action in able:
        if action.name == name:
            return action
    known = ", ".join(action.name for action in able)
    raise OptionError("gives", f"gives '{name}', which twin '{twin.name}' does not take so; write one of: {known}")
