"""Doses by mouth, changed at visits by what is measured there.

Default rule, around a target of 2.0 to 3.0: below 1.5 raise by 20 %; from 1.5 to below 2.0 by 10 %; within the target
keep; above 3.0 to 4.0 lower by 10 %; above 4.0 skip one dose, then lower by 20 %. Around another target the outer
limits lie half its width below and a whole width above it. An assumed rule, not a published one.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from solvers.policy import Policy, Seen, Setting
from solvers.quantity import quantity, quantity_range
from solvers.twin import Output, Twin
from trials.dosing import OptionError, amount, dose_setting, due, given, moment, span_setting, text
from trials.policies import Form

_RULE = re.compile(r"^\s*(below|above)\s+(.+?)\s*:\s*(?:(skip)\s*,\s*)?([+-]\s*[\d.]+\s*%)\s*$")


class Memory(NamedTuple):
    dose: Any  # the dose in force
    skip: Any  # doses still to be skipped


class Rule(NamedTuple):
    """Beyond `limit` on its side multiply the dose by `factor`, and skip the next one where `skip` is 1."""

    above: bool
    limit: float
    factor: float
    skip: int


def build(options: Mapping[str, Any], twin: Twin, tick: float) -> Policy:
    action = given(text(options, "gives"), twin)
    output = _output(text(options, "reads"), twin)
    every = moment("every", text(options, "every"), tick, least=tick)
    first = moment("from", text(options, "from"), tick)
    titrate = first + moment("titrate after", text(options, "titrate after"), tick)
    try:
        low, high = quantity_range(text(options, "target"), output.unit)
    except ValueError as error:
        raise OptionError("target", f"target {error}") from error
    rules = _rules(options["rules"], output, low, high)
    start = text(options, "start")
    rule_start = twin.starts.get(start)
    ruled = twin.started.get(start, twin.actions[0].name)
    if rule_start is not None and ruled != action.name:
        raise OptionError("start", f"start '{start}' is a rule for '{ruled}' and not for '{action.name}'; write a dose")
    if rule_start is None:
        try:
            fixed = amount("start", start, action)
        except OptionError as error:
            if re.match(r"^\s*[+-]?[\d.]", start):
                raise
            named = ", ".join(twin.starts) or f"(twin '{twin.name}' has none)"
            raise OptionError(
                "start",
                f"start '{start}' is no dose and no rule; write a dose such as 5 {action.unit}, or one of: {named}",
            ) from error

    standard = options["rules"] == "standard"
    settings = {
        "start": dose_setting("first dose", fixed, action)
        if rule_start is None
        else Setting(f"first dose, of what rule '{start}' gives", "1", 1.0, (0.25, 4.0)),
        "every": span_setting("interval between doses", every, tick, tick),
        "from": span_setting("time of the first dose", first, tick),
        "titrate after": span_setting("time from the first dose after which it changes", titrate - first, tick),
    }
    if standard or rule_start is not None:
        width, middle, name = high - low, (low + high) / 2.0, output.title or output.name
        least = max(low - width, output.bounds[0])
        settings["target low"] = Setting(f"target of {name}, lower end", output.unit, low, (least, middle))
        settings["target high"] = Setting(f"target of {name}, upper end", output.unit, high, (middle, high + width))
    settings |= _rule_settings(rules, output, low, high, standard)

    def begin(p: Any, s: Mapping[str, Any]) -> Memory:
        dose = (
            s["start"]
            if rule_start is None
            else s["start"] * rule_start(p, (s["target low"] + s["target high"]) / 2.0, s["every"])
        )
        return Memory(jnp.asarray(dose, float), jnp.zeros(()))

    def decide(time: Any, seen: Seen, memory: Memory, s: Mapping[str, Any]) -> tuple[Mapping[str, Any], Memory]:
        value = seen.measured[output.name]
        factor, skip = jnp.ones(()), jnp.zeros(())
        limits = _limits(s["target low"], s["target high"]) if standard else [s[f"limit {i}"] for i in _numbered(rules)]
        for i, rule, limit in zip(_numbered(rules), rules, limits, strict=True):
            beyond = value > limit if rule.above else value < limit
            factor = jnp.where(beyond, s[f"factor {i}"], factor)
            skip = jnp.where(beyond, s[f"skip {i}"] if rule.skip else 0.0, skip)
        acts = seen.visit & (time >= s["from"] + s["titrate after"] - 1e-6)
        dose = jnp.where(acts, jnp.minimum(memory.dose * factor, action.bounds[1]), memory.dose)
        skips = jnp.where(acts, skip, memory.skip)
        now = due(time, s["from"], s["every"])
        given = jnp.where(now & (skips == 0), dose, 0.0)
        return {action.name: given}, Memory(dose, jnp.where(now, jnp.maximum(skips - 1.0, 0.0), skips))

    return Policy("titrated-oral", begin, decide, settings=settings)


def _numbered(rules: list[Rule]) -> range:
    return range(1, len(rules) + 1)


def _rule_settings(rules: list[Rule], output: Output, low: float, high: float, standard: bool) -> dict[str, Setting]:
    """The numbers of the rules. A limit stays on its side of its neighbours, so that the order of strictness holds."""
    name, width, settings = output.title or output.name, high - low, {}
    for i, rule in zip(_numbered(rules), rules, strict=True):
        where = f"{'above' if rule.above else 'below'} {rule.limit:g}"
        if standard:
            far = rule.limit not in (low, high)
            where = f"{'far ' if far else ''}{'above' if rule.above else 'below'} the target"
        settings[f"factor {i}"] = Setting(
            f"dose is multiplied by, {name} {where}", "1", rule.factor, (0.0, max(2.0, rule.factor))
        )
        if rule.skip:
            settings[f"skip {i}"] = Setting(f"doses skipped, {name} {where}", "1", float(rule.skip), (0.0, 7.0), 1.0)
        if not standard:
            others = [other.limit for other in rules if other.above == rule.above and other.limit != rule.limit]
            least, most = (high, rule.limit + width) if rule.above else (rule.limit - width, low)
            least = max([least, *((other + rule.limit) / 2.0 for other in others if other < rule.limit)])
            most = min([most, *((other + rule.limit) / 2.0 for other in others if other > rule.limit)])
            settings[f"limit {i}"] = Setting(
                f"limit of the rule {name} {where}", output.unit, rule.limit, (max(least, output.bounds[0]), most)
            )
    return settings


def _output(name: str, twin: Twin) -> Output:
    outputs = {output.name: output for output in twin.outputs}
    if name == "first":
        return twin.outputs[0]
    if name not in outputs:
        raise OptionError(
            "reads", f"reads '{name}', which twin '{twin.name}' lacks; write one of: {', '.join(outputs)}"
        )
    return outputs[name]


def _limits(low: Any, high: Any) -> list[Any]:
    """Limits of the default rules around a target."""
    return [low, low - (high - low) / 2.0, high, high + (high - low)]


def _rules(written: Any, output: Output, low: float, high: float) -> list[Rule]:
    """From the mildest to the strictest on each side, so that the last that applies wins."""
    if written == "standard":
        limits = _limits(low, high)
        return [
            Rule(False, limits[0], 1.10, 0),
            Rule(False, limits[1], 1.20, 0),
            Rule(True, limits[2], 0.90, 0),
            Rule(True, limits[3], 0.80, 1),
        ]
    if not isinstance(written, list):
        raise OptionError("rules", f"rules '{written}' is no list; write standard, or [\"below 2.0: +10 %\", ...]")
    rules = []
    for line in written:
        match = _RULE.match(line) if isinstance(line, str) else None
        if match is None:
            raise OptionError("rules", f"rule '{line}' is none; write one such as \"above 4.0: skip, -20 %\"")
        side, limit, skip, change = match.groups()
        try:
            rule = Rule(
                side == "above",
                quantity(limit, output.unit),
                1.0 + quantity(change.replace(" ", ""), "1"),
                int(skip is not None),
            )
        except ValueError as error:
            raise OptionError("rules", f"rule '{line}': {error}") from error
        if rule.factor < 0:
            raise OptionError("rules", f"rule '{line}' would make the dose negative; lower by at most 100 %")
        if (rule.limit < high) if rule.above else (rule.limit > low):
            raise OptionError("rules", f"rule '{line}' acts within the target; write a limit outside it")
        rules.append(rule)
    return sorted(rules, key=lambda rule: rule.limit if rule.above else -rule.limit)


form = Form(
    title="doses changed at visits by what is measured there",
    keys={
        "start": "the first dose, such as 5 mg, or a rule of the twin, such as genotype",
        "every": "interval between doses, such as 24 h",
        "target": "range to keep the measured value in, such as 2.0 to 3.0",
        "from": "time of the first dose",
        "titrate after": "time from the first dose after which visits change the dose",
        "reads": "the output that is measured, or first",
        "gives": "the action that is given, or first",
        "rules": 'standard, or a list such as ["below 2.0: +10 %", "above 4.0: skip, -20 %"]',
    },
    defaults={"from": "0 days", "titrate after": "5 days", "reads": "first", "gives": "first", "rules": "standard"},
    build=build,
)
