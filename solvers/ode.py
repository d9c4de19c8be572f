"""`ode_twin`: a twin from the right-hand side of its differential equations."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from solvers.reference import reference
from solvers.twin import Action, Covariate, Ode, Output, Parameter, Twin, named, nothing


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
) -> Twin:
    """A twin whose states follow a right-hand side. How it is solved, and with what steps, is the engine's business.

    rhs(t, y, p) -> d/dt of every state by name [per h]; y has named states. initial(p) -> states by name.
    act(y, action, p) -> the states that an action changes, as a jump at the start of the tick.
    Raises ValueError where rhs or initial leave a state out, name one that there is not, or give one no scalar.
    """
    state = named("State", list(states))

    def complete(values: Mapping[str, Any], what: str) -> Any:
        if set(values) != set(states):
            odd = sorted(set(values) ^ set(states))
            raise ValueError(f"twin '{name}': {what} must give each of {', '.join(states)}; look at {', '.join(odd)}")
        whole = {key: jnp.asarray(values[key], float) for key in states}
        for key, value in whole.items():
            if value.shape:
                raise ValueError(f"twin '{name}': {what} gives {key} the shape {value.shape}; a state is one number")
        return state(**whole)

    def field(t: Any, y: Any, p: Any) -> Any:
        return complete(rhs(t, y, p), "rhs")

    def jump(y: Any, action: Any, p: Any) -> Any:
        return y._replace(**{key: jnp.asarray(value, float) for key, value in act(y, action, p).items()})

    def advance(y: Any, p: Any, action: Any, time: Any, tick: Any) -> Any:
        return reference(field, jump(y, action, p), p, time, tick)

    return Twin(
        name=name,
        title=title,
        source=source,
        parameters=parameters,
        covariates=covariates,
        actions=actions,
        outputs=outputs,
        derive=derive,
        initial=lambda p: complete(initial(p), "initial"),
        advance=advance,
        observe=observe,
        method="an embedded Runge-Kutta pair, steps chosen from pilot patients, an error estimate for everyone",
        starts=starts or {},
        ode=Ode(states, field, jump),
    )
