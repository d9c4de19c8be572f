"""The parts of a composed twin, each with its own `p`: as it is alone, and as the others' concentrations make it."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from solvers.exact.formula import TIME, Formula
from solvers.twin import Twin, named

LEAST = 1e-100  # of EC50: below it a concentration has no effect, and its logarithm is still a number


@dataclasses.dataclass(frozen=True)
class Link:
    """What an output of one part does to a parameter of another, by names of their own.

    emax, ec50, hill: names of these parameters of the composed twin. needs: numbers of the links whose work on the
    giver the output shows.
    """

    giver: str
    output: str
    taker: str
    parameter: str
    emax: str
    ec50: str
    hill: str
    needs: tuple[int, ...] = ()


class Part:
    """One part. names: of its variables, outputs and actions in the composed twin, by its own. changed: its parameters
    that links change.

    What it derives is found in two: once a patient what those parameters leave alone, and the rest at every look.
    """

    def __init__(self, name: str, twin: Twin, names: Mapping[str, str], changed: Iterable[str]) -> None:
        self.name, self.twin, self.names = name, twin, names
        self.variables = [each.name for each in twin.variables]
        self.changed = [own for own in self.variables if own in set(changed)]
        self.fixed = [own for own in self.variables if own not in self.changed]
        given, patient = (
            named("Given", self.variables),
            jax.eval_shape(twin.namespace, dict.fromkeys(self.variables, 0.0)),
        )
        leaves, self.tree = jax.tree.flatten(patient[len(self.variables) :])
        self.derived, self.types = patient._fields[len(self.variables) :], [leaf.dtype for leaf in leaves]

        def derive(t: Any, changed: tuple, fixed: tuple) -> list[Any]:
            values = dict(zip(self.changed, changed, strict=True)) | dict(zip(self.fixed, fixed, strict=True))
            found = twin.derive(given(**values))
            return jax.tree.leaves(tuple(found[name] for name in self.derived))

        self.formula = Formula(derive, len(self.changed), len(self.fixed))

    def once(self, p: Any) -> tuple:
        """What is found once a patient, as floats. p: the composed twin's, of which the variables are read."""
        known = self.formula.prepare([getattr(p, self.names[own]) for own in self.fixed])
        return tuple(jnp.asarray(each, float) for each in known)

    def patient(self, p: Any, factors: Mapping[str, Any]) -> Any:
        """The part's own `p`, with factors on some of its parameters; nan where one leaves its bounds by that."""
        values = {own: getattr(p, self.names[own]) for own in self.variables}
        for parameter in self.twin.parameters:
            if parameter.name in factors:
                value = values[parameter.name] * factors[parameter.name]
                lower, upper = parameter.bounds
                if lower not in (-jnp.inf, 0.0) or upper != jnp.inf:  # no factor is below 0
                    value = jnp.where((value >= lower) & (value <= upper), value, jnp.nan)
                values[parameter.name] = value
        known, kinds = getattr(p, self.name), [var.aval.dtype for var in self.formula.kept]  # type: ignore[attr-defined]
        known = (*(a.astype(kind) for a, kind in zip(known, kinds, strict=False)), *known[len(kinds) :])
        leaves = self.formula.values(known, 0.0, [values[own] for own in self.changed])
        derived = jax.tree.unflatten(
            self.tree, [jnp.asarray(a, kind) for a, kind in zip(leaves, self.types, strict=True)]
        )
        return named("Patient", [*self.variables, *self.derived])(*values.values(), *derived)

    def action(self, action: Any) -> Any:
        """Its share of an action of the composed twin."""
        amounts = {}
        for each in self.twin.actions:
            name = self.names[each.name]
            amounts[each.name] = getattr(action, name)
            if each.infused:
                amounts[each.rate] = getattr(action, dataclasses.replace(each, name=name).rate)
        return self.twin.action(**amounts)

    def shows(self, output: str) -> set[str | None]:
        """Which of the changed parameters an output depends on, by itself; None among them where on the time."""
        whole = self.twin.namespace(self.twin.typical())
        state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(self.twin.initial, whole))

        def seen(t: Any, changed: tuple, fixed: tuple) -> tuple:
            values = dict(zip(self.changed, changed, strict=True)) | dict(zip(self.fixed, fixed, strict=True))
            return (self.twin.observe(state, self.twin.namespace(values), t)[output],)

        on = Formula(seen, len(self.changed), len(self.fixed)).traits()[0].on
        return {None if number == TIME else self.changed[number] for number in on}


def effect(concentration: Any, emax: Any, ec50: Any, hill: Any) -> Any:
    """The sigmoid Emax model, Emax C^h / (EC50^h + C^h); 0 at C = 0 and below.

    concentration, ec50: of one unit. Holford & Sheiner 1981, Clin Pharmacokinet 6:429.
    """
    # As a logistic function of h log(C / EC50) it overflows nowhere, nor do its derivatives.
    return emax * jax.nn.sigmoid(hill * jnp.log(jnp.maximum(concentration / ec50, LEAST)))


def patients(
    parts: Mapping[str, Part], links: tuple[Link, ...], y: Mapping[str, Any], p: Any, t: Any
) -> Callable[[str], Any]:
    """of(part) -> its own `p` at time t [h], as states y, by part, make it. p: the composed twin's.

    Only states of the parts that act on it are read.
    """
    factors: dict[int, Any] = {}
    known: dict[tuple[str, tuple[int, ...]], Any] = {}

    def factor(i: int) -> Any:
        if i not in factors:
            link = links[i]
            giver = patient(link.giver, link.needs)
            seen = parts[link.giver].twin.observe(y[link.giver], giver, t)[link.output]
            factors[i] = 1.0 + effect(seen, *(getattr(p, name) for name in (link.emax, link.ec50, link.hill)))
        return factors[i]

    def patient(part: str, by: tuple[int, ...]) -> Any:
        if (part, by) not in known:
            together: dict[str, Any] = {}
            for i in by:
                together[links[i].parameter] = together.get(links[i].parameter, 1.0) * factor(i)
            known[part, by] = parts[part].patient(p, together)
        return known[part, by]

    return lambda part: patient(part, tuple(i for i, link in enumerate(links) if link.taker == part))
