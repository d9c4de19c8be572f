"""`ode_twin`: a twin from the right-hand side of its differential equations."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from solvers.reference import reference
from solvers.triggers import Jump, at_once
from solvers.twin import Action, Covariate, Ode, Output, Parameter, Trigger, Twin, named, nothing


def ode_twin(
    rhs: Callable[[Any, Any, Any], Mapping[str, Any]],
    *,
    name: str,
    title: str,
    source: str,
    states: tuple[str, ...],
    parameters: tuple[Parameter, ...],
    actions: tuple[Action, ...],
    outputs: tuple[Output, ...],
    initial: Callable[[Any], Mapping[str, Any]],
    act: Callable[[Any, Any, Any], Mapping[str, Any]],
    observe: Callable[[Any, Any, Any], Mapping[str, Any]],
    covariates: tuple[Covariate, ...] = (),
    derive: Callable[[Any], Mapping[str, Any]] = nothing,
    starts: Mapping[str, Callable[[Any, float, float], Any]] | None = None,
    changes: tuple[str, ...] = (),
    triggers: tuple[Trigger, ...] = (),
) -> Twin:
    """A twin whose states follow a right-hand side. How it is solved, and with what steps, is the engine's business.

    rhs(t, y, p) -> d/dt of every state by name [per h]; y has named states. initial(p) -> states by name.
    act(y, action, p) -> the states that an action changes, as a jump; of an infusion, as the limit of many small ones.
    changes: parameters that actions and triggers may change too: all functions are given p as it is now, derived anew.
    triggers: what the state itself sets off, within a tick or as an action jumps there; by JAX, without machine code.
    Raises ValueError where rhs or initial leave a state out, name one that there is not, or give one no scalar, and
    where `changes` or an action names no parameter.
    """
    infused = tuple(action for action in actions if action.infused)
    held = (*changes, *(action.rate for action in infused))
    _check_names(name, states, held, parameters, changes, actions)
    state, whole = named("State", list(states)), named("State", [*states, *held])
    amounts = named("Action", [action.name for action in actions])

    def complete(values: Mapping[str, Any], what: str) -> Any:
        if set(values) != set(states):
            odd = sorted(set(values) ^ set(states))
            raise ValueError(f"twin '{name}': {what} must give each of {', '.join(states)}; look at {', '.join(odd)}")
        given = {key: jnp.asarray(values[key], float) for key in states}
        for key, value in given.items():
            if value.shape:
                raise ValueError(f"twin '{name}': {what} gives {key} the shape {value.shape}; a state is one number")
        return state(**given)

    def own(y: Any) -> Any:
        """The author's states."""
        return state(*y[: len(states)]) if held else y

    def current(y: Any, p: Any) -> Any:
        if not changes:
            return p
        values = {item.name: getattr(p, item.name) for item in twin.variables}
        return twin.namespace(values | {key: getattr(y, key) for key in changes})

    def field(t: Any, y: Any, p: Any) -> Any:
        slopes = complete(rhs(t, own(y), current(y, p)), "rhs")
        if not held:
            return slopes
        slopes = whole(*slopes, *[jnp.zeros(()) for _ in held])
        if not infused:
            return slopes
        rates = twin.action(**{action.name: getattr(y, action.rate) for action in infused})
        flow = jax.jvp(lambda action: jump(y, action, p), (twin.action(),), (rates,))[1]
        return whole(*(a + b for a, b in zip(slopes, flow, strict=True)))

    def jump(y: Any, action: Any, p: Any) -> Any:
        now = current(y, p)
        given = {each.name: getattr(action, each.name) for each in actions}
        given |= {
            each.name: given[each.name] * getattr(now, each.bioavailability) for each in actions if each.bioavailability
        }
        changed = {key: jnp.asarray(value, float) for key, value in act(own(y), amounts(**given), now).items()}
        rates = {each.rate: getattr(y, each.rate) + getattr(action, each.rate) for each in infused}
        return at_once(jumps, y, y._replace(**changed, **rates), p)

    def triggered(trigger: Trigger) -> Jump:
        def act(y: Any, p: Any) -> Any:
            changed = trigger.act(own(y), current(y, p))
            return y._replace(**{key: jnp.asarray(value, float) for key, value in changed.items()})

        return Jump(lambda y, p: trigger.when(own(y), current(y, p)), act)

    def advance(y: Any, p: Any, action: Any, time: Any, tick: Any) -> Any:
        return reference(field, jump(y, action, p), p, time, tick, triggers=jumps)

    jumps = tuple(map(triggered, triggers))

    def begin(p: Any) -> Any:
        y = complete(initial(p), "initial")
        return whole(*y, *(getattr(p, key) for key in changes), *(jnp.zeros(()) for _ in infused)) if held else y

    twin = Twin(
        name=name,
        title=title,
        source=source,
        parameters=parameters,
        covariates=covariates,
        actions=actions,
        outputs=outputs,
        derive=derive,
        initial=begin,
        advance=advance,
        observe=(lambda y, p, time: observe(own(y), current(y, p), time)) if held else observe,
        method="an embedded Runge-Kutta pair, steps chosen from pilot patients, an error estimate for everyone",
        starts=starts or {},
        ode=Ode((*states, *held), field, jump, held, jumps),
    )
    return twin


def _check_names(
    twin: str,
    states: tuple[str, ...],
    held: tuple[str, ...],
    parameters: tuple[Parameter, ...],
    changes: tuple[str, ...],
    actions: tuple[Action, ...],
) -> None:
    known = [parameter.name for parameter in parameters]
    asked = {f"'{key}' of changes": key for key in changes}
    for action in actions:
        asked |= {f"lag '{action.lag}' of action '{action.name}'": action.lag}
        asked |= {f"bioavailability '{action.bioavailability}' of action '{action.name}'": action.bioavailability}
    for what, key in asked.items():
        if key and key not in known:
            raise ValueError(f"twin '{twin}': {what} is no parameter; write one of: {', '.join(known)}")
    for key in held:
        if key in states or held.count(key) > 1:
            raise ValueError(
                f"twin '{twin}' has two states '{key}', one of them made for an action; give the other another name"
            )
