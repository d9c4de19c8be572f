"""Twins in one body: what a part's concentration does to a parameter of another, as a sigmoid Emax model.

    parameter x (1 + Emax C^h / (EC50^h + C^h)),   C an output of another part; several on one parameter multiply

Where every part has equations they are solved as one system, coupled at every moment. Where one has only its own
`advance`, a tick goes through the parts in turn: those that act first, then those that they act on, with the parameter
as the concentration at the END of the tick makes it. That is exact for a part that is always in balance with its
parameters, and else as good as the tick is short.

Initial states and starting rules are those of the parts alone; what a concentration changes, it changes from time 0.
"""

import dataclasses
import functools
import graphlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from solvers.coupling import Coupling, CouplingError, numbers
from solvers.parts import Link, Part, patients
from solvers.reference import reference
from solvers.triggers import Jump
from solvers.twin import Action, Covariate, Ode, Twin, named

ADAPTIVE = "diffrax's Dopri8 with steps of its own"  # `advance` of a part with equations

Parts = Mapping[str, Part]
Names = Mapping[str, Mapping[str, str]]  # by part, what its things are called in the composed twin


def composed(name: str, parts: Mapping[str, Twin], couplings: Iterable[Coupling]) -> Twin:
    """One twin of several, by their names in it, and what acts on what.

    Covariates of one name are one. Parameters, outputs, actions and states keep their names where no other part has
    them, and elsewhere have their part's before them: `drug_clearance`. Emax, EC50 and Hill's exponent are parameters:
    `drug_on_clearance_emax`, with the output's name too where one part acts on a parameter by two.
    Raises ValueError for parts that do not go together, CouplingError for a coupling that cannot be.
    """
    couplings = tuple(couplings)
    _check_parts(parts)
    names = _distinct({part: [item.name for item in _things(twin)] for part, twin in parts.items()})
    for part, twin in parts.items():
        names[part] |= {covariate.name: covariate.name for covariate in twin.covariates}
    found = [numbers(parts, names, couplings, i) for i in range(len(couplings))]
    changed = {part: {each.parameter for each in couplings if each.taker == part} for part in parts}
    made = {part: Part(part, twin, names[part], changed[part]) for part, twin in parts.items()}
    together = all(twin.ode for twin in parts.values())
    links = _links(made, couplings, [(emax.name, ec50.name, hill.name) for emax, ec50, hill in found], together)
    rules = _distinct({part: twin.starts for part, twin in parts.items()})
    solved = _as_one(made, links) if together else _in_turn(made, links, couplings)
    twin = Twin(
        name=name,
        title=" + ".join(twin.title for twin in parts.values()),
        source="; ".join(dict.fromkeys([twin.source for twin in parts.values()] + [each.source for each in couplings])),
        parameters=(
            *(_renamed(item, names[part], part) for part, twin in parts.items() for item in twin.parameters),
            *(number for three in found for number in three),
        ),
        covariates=_covariates(parts),
        actions=tuple(_action(item, names[part], part) for part, twin in parts.items() for item in twin.actions),
        outputs=tuple(_renamed(item, names[part], part) for part, twin in parts.items() for item in twin.outputs),
        derive=_derive(made),
        starts={
            rules[part][own]: _start(each, rule)
            for part, each in made.items()
            for own, rule in each.twin.starts.items()
        },
        started={
            rules[part][own]: names[part][twin.started.get(own, twin.actions[0].name)]
            for part, twin in parts.items()
            for own in twin.starts
        },
        parts=dict(parts),
        couplings=tuple(each.written for each in couplings),
        **solved,
    )
    _check_distinct(twin)
    return twin


def _things(twin: Twin) -> tuple:
    return (*twin.parameters, *twin.covariates, *twin.outputs, *twin.actions)


def _distinct(known: Mapping[str, Iterable[str]]) -> dict[str, dict[str, str]]:
    """By part, the name in the composed twin of each of its own."""
    count = Counter(own for names in known.values() for own in names)
    return {part: {own: f"{part}_{own}" if count[own] > 1 else own for own in names} for part, names in known.items()}


def _renamed[T: Any](item: T, names: Mapping[str, str], part: str) -> T:
    own, name = item.name, names[item.name]
    return item if own == name else dataclasses.replace(item, name=name, title=f"{part}: {item.title or own}")


def _action(item: Action, names: Mapping[str, str], part: str) -> Action:
    lag, share = names.get(item.lag, ""), names.get(item.bioavailability, "")
    return dataclasses.replace(_renamed(item, names, part), lag=lag, bioavailability=share)


def _derive(parts: Parts) -> Callable[[Any], Mapping[str, Any]]:
    return lambda p: {name: part.once(p) for name, part in parts.items()}


def _start(part: Part, rule: Callable[..., Any]) -> Callable[..., Any]:
    return lambda p, target, every: rule(part.patient(p, {}), target, every)


def _covariates(parts: Mapping[str, Twin]) -> tuple[Covariate, ...]:
    """Of all parts, those of one name as one within the bounds of both."""
    found: dict[str, Covariate] = {}
    for part, twin in parts.items():
        for new in twin.covariates:
            old = found.setdefault(new.name, new)
            for what, a, b in (("unit", old.unit, new.unit), ("levels", old.levels, new.levels)):
                if a != b:
                    a, b = (each if isinstance(each, str) else ", ".join(each) or "none" for each in (a, b))
                    raise ValueError(
                        f"covariate '{new.name}' of part '{part}' has {what} {b}, and elsewhere {a}; leave it out"
                    )
            bounds = max(old.bounds[0], new.bounds[0]), min(old.bounds[1], new.bounds[1])
            known = old if old.frequencies is not None else new
            found[new.name] = dataclasses.replace(
                old, bounds=bounds, frequencies=known.frequencies, subjects=known.subjects
            )
    return tuple(found.values())


def _links(
    parts: Parts, couplings: tuple[Coupling, ...], found: list[tuple[str, str, str]], together: bool
) -> tuple[Link, ...]:
    """With what each output shows of the work of others. Raises CouplingError where they go round without a state."""
    links: list[Link] = []
    for i, (each, three) in enumerate(zip(couplings, found, strict=True)):
        giver = parts[each.giver]
        shown = giver.shows(each.output) if together or giver.changed else set()
        if together and None in shown:
            raise CouplingError(
                i, "from", f"'{each.giver}.{each.output}' changes by itself with time; couple one that the states tell"
            )
        needs = tuple(j for j, other in enumerate(couplings) if other.taker == each.giver and other.parameter in shown)
        links.append(Link(each.giver, each.output, each.taker, each.parameter, *three, needs))
    try:
        graphlib.TopologicalSorter({i: link.needs for i, link in enumerate(links)}).prepare()
    except graphlib.CycleError as error:
        ring = sorted(set(error.args[1]))
        said = ", ".join(f"'{couplings[i].written}'" for i in ring)
        raise CouplingError(ring[-1], "", f"{said}: each needs the other at once; leave one of them out") from error
    return tuple(links)


def _as_one(parts: Parts, links: tuple[Link, ...]) -> dict[str, Any]:
    """Fields of a twin whose parts all have equations."""
    odes = {part: each.twin.ode for part, each in parts.items() if each.twin.ode}
    names = _distinct({part: ode.states for part, ode in odes.items()})
    held = tuple(names[part][own] for part, ode in odes.items() for own in ode.held)
    free = tuple(name for part in odes for name in names[part].values() if name not in held)
    whole = named("State", [*free, *held])

    def apart(y: Any) -> dict[str, Any]:
        return {part: ode.state(*(getattr(y, name) for name in names[part].values())) for part, ode in odes.items()}

    def joined(ys: Mapping[str, Any]) -> Any:
        return whole(**{names[part][own]: getattr(y, own) for part, y in ys.items() for own in odes[part].states})

    def field(t: Any, y: Any, p: Any) -> Any:
        ys = apart(y)
        of = patients(parts, links, ys, p, t)
        return joined({part: ode.field(t, ys[part], of(part)) for part, ode in odes.items()})

    # An action and a trigger know no time, and no output that is coupled does.
    def jump(y: Any, action: Any, p: Any) -> Any:
        before = apart(y)
        of = patients(parts, links, before, p, 0.0)
        after = {part: ode.jump(before[part], parts[part].action(action), of(part)) for part, ode in odes.items()}
        then = patients(parts, links, after, p, 0.0)
        return joined({part: tripped(part, after[part], of, then) for part in odes})

    def tripped(part: str, y: Any, of: Callable[[str], Any], then: Callable[[str], Any]) -> Any:
        """After what a concentration sets off that jumps; its own jump has set off what it does."""
        for trigger in odes[part].triggers:
            fires = (trigger.when(y, of(part)) < 0) & (trigger.when(y, then(part)) >= 0)
            y = jax.tree.map(lambda new, old, on=fires: jnp.where(on, new, old), trigger.act(y, then(part)), y)
        return y

    def triggered(part: str, trigger: Jump) -> Jump:
        def when(y: Any, p: Any) -> Any:
            ys = apart(y)
            return trigger.when(ys[part], patients(parts, links, ys, p, 0.0)(part))

        def act(y: Any, p: Any) -> Any:
            ys = apart(y)
            return joined(ys | {part: trigger.act(ys[part], patients(parts, links, ys, p, 0.0)(part))})

        return Jump(when, act)

    triggers = tuple(triggered(part, each) for part, ode in odes.items() for each in ode.triggers)

    def advance(y: Any, p: Any, action: Any, time: Any, tick: Any) -> Any:
        return reference(field, jump(y, action, p), p, time, tick, triggers=triggers)

    return {
        "initial": lambda p: joined({part: each.twin.initial(each.patient(p, {})) for part, each in parts.items()}),
        "advance": advance,
        "observe": lambda y, p, time: _observed(parts, links, apart(y), p, time),
        "method": "; ".join(dict.fromkeys(each.twin.method for each in parts.values())),
        "ode": Ode((*free, *held), field, jump, held, triggers),
    }


def _in_turn(parts: Parts, links: tuple[Link, ...], couplings: tuple[Coupling, ...]) -> dict[str, Any]:
    """Fields of a twin of which some part has only its own `advance`."""
    givers = {part: [link.giver for link in links if link.taker == part] for part in parts}
    try:
        order = tuple(graphlib.TopologicalSorter(givers).static_order())
    except graphlib.CycleError as error:
        ring = dict.fromkeys(error.args[1])
        last = max(i for i, each in enumerate(couplings) if {each.giver, each.taker} <= set(ring))
        said = ", ".join(f"'{part}'" for part in ring)
        raise CouplingError(
            last, "", f"parts that are solved in turn act on each other in a ring ({said}); leave a coupling out"
        ) from error
    state = named("State", list(parts))

    def advance(y: Any, p: Any, action: Any, time: Any, tick: Any) -> Any:
        after: dict[str, Any] = {}
        of = patients(parts, links, after, p, time + tick)
        for part in order:
            each = parts[part]
            after[part] = each.twin.advance(getattr(y, part), of(part), each.action(action), time, tick)
        return state(**after)

    probes = {part: each.twin.probe for part, each in parts.items() if each.twin.probe}

    def probe(y: Any, p: Any, action: Any) -> dict[str, Any]:
        """By part; a test takes no time, and finds every concentration as it is."""
        of = patients(parts, links, y._asdict(), p, 0.0)
        return {part: of_it(getattr(y, part), of(part), parts[part].action(action)) for part, of_it in probes.items()}

    by = {part: ADAPTIVE if each.twin.ode else each.twin.method for part, each in parts.items()}
    told = ", then ".join(f"{part} by {by[part]}" for part in order)
    return {
        "initial": lambda p: state(**{part: each.twin.initial(each.patient(p, {})) for part, each in parts.items()}),
        "advance": advance,
        "observe": lambda y, p, time: _observed(parts, links, y._asdict(), p, time),
        "trouble": _trouble(parts),
        "probe": probe if probes else None,
        "method": f"in turn over every tick: {told}",
    }


def _trouble(parts: Parts) -> Callable[[Any, Any], Any] | None:
    """The worst status of those parts that tell one; they know their own, uncoupled parameters."""
    telling = [(part, each, each.twin.trouble) for part, each in parts.items() if each.twin.trouble]

    def worst(y: Any, p: Any) -> Any:
        found = [trouble(getattr(y, part), each.patient(p, {})) for part, each, trouble in telling]
        return functools.reduce(jnp.maximum, found)

    return worst if telling else None


def _observed(parts: Parts, links: tuple[Link, ...], ys: Mapping[str, Any], p: Any, time: Any) -> dict[str, Any]:
    of = patients(parts, links, ys, p, time)
    found: dict[str, Any] = {}
    for part, each in parts.items():
        seen = each.twin.observe(ys[part], of(part), time)
        found |= {each.names[own]: value for own, value in seen.items()}
    return found


def _check_parts(parts: Mapping[str, Twin]) -> None:
    if not parts:
        raise ValueError("there are no parts; give one twin or more, by name")
    for part, twin in parts.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", part):
            raise ValueError(f"part '{part}' is no short name; write letters, digits and underscores")
        for action in twin.actions:
            if twin.ode is None and not twin.parts and (action.infused or action.bioavailability):
                raise ValueError(
                    f"action '{action.name}' of part '{part}', which is solved by its own advance, cannot be infused "
                    "or have a bioavailability; write the twin with ode_twin"
                )


def _check_distinct(twin: Twin) -> None:
    things, variables = [item.name for item in _things(twin)], [item.name for item in twin.variables]
    for name, count in Counter([*things, *(part for part in twin.parts if part in variables)]).items():
        if count > 1:
            raise ValueError(f"two things are called '{name}' in twin '{twin.name}'; give a part another name")
