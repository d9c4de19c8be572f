"""A twin's equations for one patient with plain tuples, and what can be made of them: machine code, an exact scheme."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from solvers import exact, lanes
from solvers.pairs import Pair
from solvers.twin import Ode, Twin


class Equations(NamedTuple):
    """rhs(t, y, p), outputs(t, y, p) -> tuples; y, p: tuples of scalars. given: names of p's fields, in order."""

    rhs: Callable[[Any, tuple, tuple], tuple]
    outputs: Callable[[Any, tuple, tuple], tuple]
    states: tuple[str, ...]
    given: tuple[str, ...]

    def parameters(self, p: Any) -> tuple:
        """The tuple from what the twin's functions take."""
        return tuple(getattr(p, name) for name in self.given)


class Code(NamedTuple):
    """library: of lanes, for these equations."""

    library: lanes.Library
    equations: Equations


class Exactly(NamedTuple):
    """stepper: of the exact tier, for these equations."""

    stepper: exact.Stepper
    equations: Equations


def equations(twin: Twin) -> Equations | None:
    """The equations of a twin that has some, None where p holds tables: these are no scalars."""
    if twin.ode is None:
        return None
    names = tuple(variable.name for variable in twin.variables)
    shapes = jax.eval_shape(twin.namespace, dict.fromkeys(names, 0.0))
    if any(leaf.shape for leaf in jax.tree.leaves(shapes)):
        return None
    given: Any = type(shapes)
    return _equations(twin.ode, twin.observe, tuple(item.name for item in twin.outputs), given)


# One each, so that what is made of them is made once.
@functools.lru_cache(maxsize=64)
def _equations(ode: Ode, observe: Callable, outputs: tuple[str, ...], given: Any) -> Equations:
    state = ode.state

    def rhs(t: Any, y: tuple, p: tuple) -> tuple:
        return tuple(ode.field(t, state(*y), given(*p)))

    def seen(t: Any, y: tuple, p: tuple) -> tuple:
        found = observe(state(*y), given(*p), t)
        return tuple(found[name] for name in outputs)

    return Equations(rhs, seen, ode.states, given._fields)


def code(twin: Twin, pair: Pair) -> Code | None:
    """The machine code of a twin for one pair, compiled once; None where there can be none."""
    found = equations(twin)
    return _code(found, pair) if found else None


@functools.lru_cache(maxsize=16)
def _code(found: Equations, pair: Pair) -> Code | None:
    library = lanes.library(lanes.program(found.rhs, found.outputs, found.states, found.given), pair)
    return Code(library, found) if library else None


def exactly(twin: Twin) -> Exactly | None:
    """The exact scheme of a twin whose equations have the structure for it."""
    found = equations(twin)
    return _exactly(found) if found else None


@functools.lru_cache(maxsize=16)
def _exactly(found: Equations) -> Exactly | None:
    layout = exact.structure(found.rhs, len(found.states), len(found.given))
    return Exactly(exact.Stepper(layout, found.rhs, found.outputs), found) if layout else None
