"""Actions that are held at a level from a time on: drugs, valves, settings of a device."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from solvers.policy import Setting
from solvers.twin import Action, Output, Twin
from trials.dosing import OptionError, amount, moment, span_setting

KEY = "what is held at which level, such as [beta_blocker 0.5 from 7 days, exercise 1 from 28 days to 29 days], or none"
_LINE = re.compile(r"^\s*(\w+)\s+(\S.*?)(?:\s+from\s+(.+?))?(?:\s+to\s+(.+?))?\s*$")


class Level(NamedTuple):
    """An action at a value [its unit] from a time [h] on; end [h]: infinite where nothing ends it."""

    name: str
    action: Action
    value: float
    start: float
    end: float


def action(key: str, name: str, twin: Twin) -> Action:
    """The action of that name. Raises OptionError where the twin has none."""
    for each in twin.actions:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in twin.actions)
    raise OptionError(key, f"twin '{twin.name}' has no action '{name}'; write one of: {known}")


def output(key: str, name: str, twin: Twin) -> Output:
    """The output of that name. Raises OptionError where the twin has none."""
    for each in twin.outputs:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in twin.outputs)
    raise OptionError(key, f"twin '{twin.name}' has no output '{name}'; write one of: {known}")


def levels(key: str, written: str | list, twin: Twin, tick: float, but: Iterable[str] = ()) -> tuple[Level, ...]:
    """Reads one line a level. but: actions that the policy sets itself. Raises OptionError."""
    lines = [] if written == "none" else [written] if isinstance(written, str) else written
    found: list[Level] = []
    for line in lines:
        match = _LINE.match(line) if isinstance(line, str) else None
        if match is None:
            raise OptionError(
                key, f"{key} '{line}' is no level; write an action and a number, such as beta_blocker 0.5"
            )
        name, value, start, end = match.groups()
        if name in but:
            raise OptionError(key, f"{key} '{line}': the policy sets '{name}' itself; leave that line out")
        of = action(key, name, twin)
        if of.infused:
            raise OptionError(key, f"{key} '{line}': '{name}' comes in doses; give it by a policy of doses")
        begin = moment(key, start, tick) if start else 0.0
        stop = moment(key, end, tick) if end else float("inf")
        if stop <= begin:
            raise OptionError(key, f"{key} '{line}' ends before it starts; write the later time after 'to'")
        found.append(Level(name, of, amount(key, value, of), begin, stop))
    names = [each.name for each in found]
    many = {name for name in names if names.count(name) > 1}
    return tuple(
        each._replace(name=f"{each.name} {names[: i + 1].count(each.name)}" if each.name in many else each.name)
        for i, each in enumerate(found)
    )


def settings(given: Iterable[Level], tick: float) -> dict[str, Setting]:
    """Level and times of each as numbers that can be moved."""
    found = {}
    for each in given:
        found[each.name] = level_setting(each.name.replace("_", " "), each.value, each.action)
        found[f"{each.name} from"] = span_setting(f"time from which on {each.name} is held", each.start, tick)
        if each.end != float("inf"):
            found[f"{each.name} to"] = span_setting(f"time until which {each.name} is held", each.end, tick, tick)
    return found


def level_setting(title: str, value: float, of: Action) -> Setting:
    """A level that can be moved within the bounds of its action, to four times what is written where it has none."""
    low, high = of.bounds
    most = 4.0 * abs(value) if value else 1.0
    return Setting(
        title, of.unit, value, (max(low, -most), min(high, most)) if high == float("inf") else (low, high), of.step
    )


def held(given: Iterable[Level], time: Any, s: Mapping[str, Any]) -> dict[str, Any]:
    """Amounts by action at `time` [h]; of several levels of one action the last that applies."""
    amounts: dict[str, Any] = {}
    for each in given:
        since = time > s[f"{each.name} from"] - 1e-6
        until = time < s[f"{each.name} to"] - 1e-6 if f"{each.name} to" in s else True
        before = amounts.get(each.action.name, jnp.zeros(()))
        amounts[each.action.name] = jnp.where(since & until, s[each.name], before)
    return amounts
