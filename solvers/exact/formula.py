"""A function of time, states and parameters as a list of operations, each done as seldom as it may be.

What needs parameters alone is done once a patient, and a division by it becomes a product with its inverse. A state
may be given as ZERO: what it multiplies is then left out, not multiplied by 0.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

TIME = -1  # the number of time among the inputs, where states are 0, 1, ...


class Zero(NamedTuple):
    """A number known to be 0 while tracing."""


ZERO = Zero()


class Formula:
    """function(t, y, p) -> tuple of scalars, traced; y and p tuples of `n_states` and `n_parameters` scalars."""

    def __init__(self, function: Callable[[Any, Any, Any], Any], n_states: int, n_parameters: int) -> None:
        def plain(*inputs: Any) -> list[jax.Array]:
            t, y, p = inputs[0], inputs[1 : 1 + n_states], inputs[1 + n_states :]
            return [jnp.asarray(value, float) for value in function(t, tuple(y), tuple(p))]

        zeros = [jnp.zeros(())] * (1 + n_states + n_parameters)
        traced = jax.make_jaxpr(plain)(*zeros)
        traced = jax.make_jaxpr(lambda *inputs: inlined(traced, inputs))(*zeros)
        self.n_states = n_states
        self.consts = dict(zip(traced.jaxpr.constvars, traced.consts, strict=True))
        self.inputs = traced.jaxpr.invars
        self.outputs = traced.jaxpr.outvars
        self.parameters = self.inputs[1 + n_states :]
        once = {*self.consts, *self.parameters}
        self.early, self.late = [], []
        for eqn in traced.jaxpr.eqns:
            if all(isinstance(var, Literal) or var in once for var in eqn.invars):
                self.early.append(eqn)
                once.update(eqn.outvars)
            else:
                self.late.append(eqn)
        self.inverses = {
            eqn.invars[1]
            for eqn in self.late
            if eqn.primitive.name == "div" and not isinstance(eqn.invars[1], Literal) and eqn.invars[1] in once
        }
        used = {var for eqn in self.late for var in eqn.invars if not isinstance(var, Literal)}
        used |= {var for var in self.outputs if not isinstance(var, Literal)}
        self.kept = [var for var in once if var in used and var not in self.consts]

    def prepare(self, p: Sequence[Any]) -> tuple:
        """What depends on parameters alone: the values that `values` takes as `known`."""
        env = {**self.consts, **dict(zip(self.parameters, p, strict=True))}
        for eqn in self.early:
            _bind(eqn, [_read(env, var) for var in eqn.invars], env)
        return tuple(env[var] for var in self.kept) + tuple(1.0 / env[var] for var in self.kept if var in self.inverses)

    def values(self, known: tuple, t: Any, y: Sequence[Any] | Mapping[int, Any]) -> list[Any]:
        """The scalars; ZERO where that is known. y: the states, some of them ZERO; a mapping may leave others out.

        An output that needs a state which was left out is None.
        """
        env: dict[Any, Any] = {**self.consts, **dict(zip(self.kept, known, strict=False))}
        inverted = [var for var in self.kept if var in self.inverses]
        inverse = dict(zip(inverted, known[len(self.kept) :], strict=True))
        env[self.inputs[0]] = t
        for number, value in y.items() if isinstance(y, Mapping) else enumerate(y):
            env[self.inputs[1 + number]] = value
        for eqn in self.late:
            if any(not isinstance(var, Literal) and var not in env for var in eqn.invars):
                # 0 times what was left out is still 0
                if eqn.primitive.name == "mul" and any(env.get(var) is ZERO for var in _variables(eqn)):
                    env[eqn.outvars[0]] = ZERO
                continue
            values = [_read(env, var) for var in eqn.invars]
            if any(value is ZERO for value in values):
                short = _with_zero(eqn, values)
                if short is not None:
                    env[eqn.outvars[0]] = short
                    continue
                values = [
                    _zeros(var) if value is ZERO else value for var, value in zip(eqn.invars, values, strict=True)
                ]
            if eqn.primitive.name == "div" and eqn.invars[1] in inverse:
                env[eqn.outvars[0]] = values[0] * inverse[eqn.invars[1]]
            else:
                _bind(eqn, values, env)
        return [var.val if isinstance(var, Literal) else env.get(var) for var in self.outputs]

    def traits(self, zero: frozenset[int] = frozenset()) -> list["Trait"]:
        """What each output depends on and how, with the states in `zero` known to be 0."""
        nothing = Trait(frozenset(), frozenset(), True)
        env = dict.fromkeys((*self.consts, *self.parameters), nothing)
        for number, var in enumerate(self.inputs[: 1 + self.n_states], start=TIME):
            known_zero = number in zero
            env[var] = Trait(frozenset() if known_zero else frozenset({number}), frozenset(), number == TIME)
        for eqn in (*self.early, *self.late):
            found = _trait(eqn, [_trait_of(env, var) for var in eqn.invars])
            env.update(dict.fromkeys(eqn.outvars, found))
        return [_trait_of(env, var) for var in self.outputs]


class Trait(NamedTuple):
    """How a value depends on time and states.

    on: what it depends on. curved: pairs of them (smaller first) in which it is not linear: the second derivative by
    the two may differ from 0. shifted: it may differ from 0 where time and all states are 0.
    """

    on: frozenset[int]
    curved: frozenset[tuple[int, int]]
    shifted: bool

    @property
    def zero(self) -> bool:
        return not self.on and not self.shifted


# Each element of the result is one element of an operand, or a sum of some.
LINEAR = frozenset(
    [
        "add",
        "add_any",
        "sub",
        "neg",
        "copy",
        "copy_p",
        "reduce_sum",
        "broadcast_in_dim",
        "reshape",
        "squeeze",
        "expand_dims",
        "slice",
        "concatenate",
        "stack",
        "transpose",
        "real",
        "rev",
    ]
)
PRODUCT = frozenset({"mul", "dot_general"})


def _trait(eqn: Any, given: list[Trait]) -> Trait:
    name = eqn.primitive.name
    on = frozenset().union(*(trait.on for trait in given))
    curved = frozenset().union(*(trait.curved for trait in given))
    shifted = any(trait.shifted for trait in given)
    if name in LINEAR or (name == "convert_element_type" and _floats(eqn)):
        return Trait(on, curved, shifted)
    if name in PRODUCT:
        a, b = given
        if a.zero or b.zero:
            return Trait(frozenset(), frozenset(), False)
        return Trait(on, curved | _pairs(a.on, b.on), a.shifted and b.shifted)
    if name == "div":
        a, b = given
        if a.zero:
            return a
        return Trait(on, curved | _pairs(on, b.on), a.shifted)
    if name == "integer_pow" and eqn.params["y"] == 1:
        return given[0]
    if name == "select_n":
        return Trait(on, curved | _pairs(given[0].on, on), any(trait.shifted for trait in given[1:]))
    return Trait(on, _pairs(on, on), True)


def _pairs(a: frozenset[int], b: frozenset[int]) -> frozenset[tuple[int, int]]:
    return frozenset((min(i, j), max(i, j)) for i in a for j in b)


def _trait_of(env: Mapping[Any, Trait], var: Any) -> Trait:
    if isinstance(var, Literal):
        return Trait(frozenset(), frozenset(), bool(np.any(var.val != 0)))
    return env[var]


def _floats(eqn: Any) -> bool:
    return all(np.issubdtype(var.aval.dtype, np.floating) for var in (*eqn.invars, *eqn.outvars))


def _with_zero(eqn: Any, values: list[Any]) -> Any:
    """The result where some operands are ZERO, None where there is no short way."""
    name = eqn.primitive.name
    zero = [value is ZERO for value in values]
    if name in ("mul", "neg", "copy", "convert_element_type") or (name in LINEAR and all(zero)):
        return ZERO
    if eqn.outvars[0].aval.shape:
        return None
    if name in ("add", "add_any") and any(zero):
        return values[0] if zero[1] else values[1]
    if name == "sub":
        return values[0] if zero[1] else -values[1]
    if name == "div" and zero[0]:
        return ZERO
    return None


def _zeros(var: Any) -> jax.Array:
    return jnp.zeros(var.aval.shape, var.aval.dtype)


def _variables(eqn: Any) -> list[Any]:
    return [var for var in eqn.invars if not isinstance(var, Literal)]


def _read(env: Mapping[Any, Any], var: Any) -> Any:
    return var.val if isinstance(var, Literal) else env[var]


def _bind(eqn: Any, values: list[Any], env: dict[Any, Any]) -> None:
    if eqn.primitive.name == "add_any":  # of derivatives only, and all it does is add
        env[eqn.outvars[0]] = values[0] + values[1]
        return
    found = eqn.primitive.get_bind_params(eqn.params)
    functions, params = found if isinstance(found, tuple) else ((), found)  # the pair is that of jax before 0.8
    result = eqn.primitive.bind(*functions, *values, **params)
    env.update(zip(eqn.outvars, result if eqn.primitive.multiple_results else [result], strict=True))


def inlined(closed: ClosedJaxpr, inputs: Sequence[Any]) -> list[Any]:
    """Evaluates, calls of other functions step by step: traced again it has none left but custom derivatives."""
    jaxpr = closed.jaxpr
    env = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*closed.consts, *inputs), strict=True))
    for eqn in jaxpr.eqns:
        values = [_read(env, var) for var in eqn.invars]
        inner = eqn.params.get("jaxpr") if eqn.primitive.name in ("jit", "pjit", "closed_call") else None
        if isinstance(inner, ClosedJaxpr):
            env.update(zip(eqn.outvars, inlined(inner, values), strict=True))
        else:
            _bind(eqn, values, env)
    return [_read(env, var) for var in jaxpr.outvars]
