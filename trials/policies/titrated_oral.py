"""Doses by mouth, changed at visits by what is measured there.

Default rule, around a target of 2.0 to 3.0: below 1.5 raise by 20 %; from 1.5 to below 2.0 by 10 %; within the target
keep; above 3.0 to 4.0 lower by 10 %; above 4.0 skip one dose, then lower by 20 %. Around another target the outer
limits lie half its width below and a whole width above it. An assumed rule, not a published one.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from solvers.policy import Policy, Seen
from solvers.quantity import quantity, quantity_range
from solvers.twin import Output, Twin
from trials.dosing import OptionError, amount, due, moment, text
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
    action = twin.actions[0]
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

    def begin(p: Any) -> Memory:
        dose = fixed if rule_start is None else rule_start(p, (low + high) / 2.0, every)
        return Memory(jnp.asarray(dose, float), jnp.zeros(()))

    def decide(time: Any, seen: Seen, memory: Memory) -> tuple[Mapping[str, Any], Memory]:
        value = seen.measured[output.name]
        factor, skip = jnp.ones(()), jnp.zeros(())
        for rule in rules:
            beyond = value > rule.limit if rule.above else value < rule.limit
            factor = jnp.where(beyond, rule.factor, factor)
            skip = jnp.where(beyond, float(rule.skip), skip)
        acts = seen.visit & (time >= titrate - 1e-6)
        dose = jnp.where(acts, jnp.minimum(memory.dose * factor, action.bounds[1]), memory.dose)
        skips = jnp.where(acts, skip, memory.skip)
        now = due(time, first, every)
        given = jnp.where(now & (skips == 0), dose, 0.0)
        return {action.name: given}, Memory(dose, jnp.where(now, jnp.maximum(skips - 1.0, 0.0), skips))

    return Policy("titrated-oral", begin, decide)


def _output(name: str, twin: Twin) -> Output:
    outputs = {output.name: output for output in twin.outputs}
    if name == "first":
        return twin.outputs[0]
    if name not in outputs:
        raise OptionError(
            "reads", f"reads '{name}', which twin '{twin.name}' lacks; write one of: {', '.join(outputs)}"
        )
    return outputs[name]


def _rules(written: Any, output: Output, low: float, high: float) -> list[Rule]:
    """From the mildest to the strictest on each side, so that the last that applies wins."""
    if written == "standard":
        width = high - low
        return [
            Rule(False, low, 1.10, 0),
            Rule(False, low - width / 2.0, 1.20, 0),
            Rule(True, high, 0.90, 0),
            Rule(True, high + width, 0.80, 1),
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
        "rules": 'standard, or a list such as ["below 2.0: +10 %", "above 4.0: skip, -20 %"]',
    },
    defaults={"from": "0 days", "titrate after": "5 days", "reads": "first", "rules": "standard"},
    build=build,
)
