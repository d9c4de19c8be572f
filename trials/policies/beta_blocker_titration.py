"""A dose that starts low and is doubled at visits for as long as heart rate and systolic pressure allow.

At a visit the dose is doubled, up to the target, where both are at least the limits to raise at; it is halved, down to
the start, where one is below its limit to lower at, and not raised again; between the limits it stays. After a change
it rests for a time.

McDonagh 2021, Eur Heart J 42:3599 (start low, double at intervals of at least two weeks, halve where heart rate falls
below 50); limits of pressure are assumed.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from solvers.policy import Policy, Seen, Setting
from solvers.quantity import quantity
from solvers.twin import Output, Twin
from trials import levels
from trials.dosing import OptionError, amount, moment, span_setting, text
from trials.policies import Form

SIGNS = {"heart rate": "heart_rate", "pressure": "systolic_pressure"}
BOUNDS = {"heart rate": (0.0, 150.0), "pressure": (0.0, 200.0)}


class Memory(NamedTuple):
    dose: Any
    changed: Any  # time of the last change [h]
    most: Any  # what it may be raised to


def build(options: Mapping[str, Any], twin: Twin, tick: float) -> Policy:
    drug = levels.action("drug", text(options, "drug"), twin)
    background = levels.levels("with", options["with"], twin, tick, but=(drug.name,))
    first = moment("from", text(options, "from"), tick)
    rest = moment("rest", text(options, "rest"), tick)
    start, target = (amount(key, text(options, key), drug) for key in ("start", "target"))
    if not 0.0 < start <= target:
        raise OptionError("start", f"start {start:g} is not between 0 and the target {target:g}; write a lower dose")
    settings = {
        "start": levels.level_setting("first dose", start, drug),
        "target": levels.level_setting("highest dose", target, drug),
        "from": span_setting("time of the first dose", first, tick),
        "rest": span_setting("least time between two changes", rest, tick),
        **levels.settings(background, tick),
    }
    for what, name in SIGNS.items():
        output = levels.output("policy", name, twin)
        raises, lowers = (_limit(f"{verb} {what}", options, output, what) for verb in ("raise from", "lower below"))
        if raises < lowers:
            key = f"lower below {what}"
            raise OptionError(key, f"{key} {lowers:g} is above {raises:g}, from which the dose is raised; write less")
        settings[f"raise from {what}"] = Setting(f"least {what} to raise at", output.unit, raises, BOUNDS[what])
        settings[f"lower below {what}"] = Setting(f"{what} to lower below", output.unit, lowers, BOUNDS[what])

    def begin(p: Any, s: Mapping[str, Any]) -> Memory:
        start, target = jnp.asarray(s["start"], float), jnp.asarray(s["target"], float)
        return Memory(start, jnp.asarray(s["from"], float), jnp.maximum(start, target))

    def decide(time: Any, seen: Seen, memory: Memory, s: Mapping[str, Any]) -> tuple[Mapping[str, Any], Memory]:
        values = {what: seen.measured[name] for what, name in SIGNS.items()}
        up, down = jnp.ones((), bool), jnp.zeros((), bool)
        for what, value in values.items():
            up &= value >= s[f"raise from {what}"]
            down |= value < s[f"lower below {what}"]
        rested = (time > s["from"] + 1e-6) & (time >= memory.changed + s["rest"] - 1e-6)
        acts = seen.visit & rested
        dose = jnp.where(acts & up, jnp.minimum(2.0 * memory.dose, memory.most), memory.dose)
        dose = jnp.where(acts & down, jnp.maximum(0.5 * memory.dose, s["start"]), dose)
        changed = jnp.where(dose != memory.dose, time, memory.changed)
        most = jnp.where(acts & down, dose, memory.most)
        given = jnp.where(time > s["from"] - 1e-6, dose, 0.0)
        return {**levels.held(background, time, s), drug.name: given}, Memory(dose, changed, most)

    return Policy("beta-blocker-titration", begin, decide, settings=settings)


def _limit(key: str, options: Mapping[str, Any], output: Output, what: str) -> float:
    try:
        value = quantity(text(options, key), output.unit)
    except ValueError as error:
        raise OptionError(key, f"{key} {error}") from error
    low, high = BOUNDS[what]
    if not low <= value <= high:
        raise OptionError(key, f"{key} {value:g} makes no sense; write {low:g} to {high:g} {output.unit}")
    return value


form = Form(
    title="a beta blocker that is doubled while it is tolerated",
    keys={
        "start": "the first dose, a share of the target dose, such as 0.125",
        "target": "the highest dose",
        "drug": "the action that is titrated",
        "from": "time of the first dose",
        "rest": "least time between two changes, such as 14 days",
        "raise from heart rate": "least heart rate at which the dose is doubled",
        "raise from pressure": "least systolic pressure at which the dose is doubled",
        "lower below heart rate": "heart rate below which the dose is halved",
        "lower below pressure": "systolic pressure below which the dose is halved",
        "with": levels.KEY,
    },
    defaults={
        "start": "0.125",
        "target": "1",
        "drug": "beta_blocker",
        "from": "0 days",
        "rest": "14 days",
        "raise from heart rate": "60 beats/min",
        "raise from pressure": "100 mmHg",
        "lower below heart rate": "50 beats/min",
        "lower below pressure": "90 mmHg",
        "with": "none",
    },
    build=build,
)
