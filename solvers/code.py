"""A twin's equations for one patient with plain tuples, and what can be made of them: machine code, an exact scheme."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from solvers import exact, lanes
from solvers.explicit import stretch
from solvers.pairs import Pair
from solvers.twin import Ode, Twin


class Equations(NamedTuple):
    """rhs(t, y, p), outputs(t, y, p) -> tuples; y: a tuple of scalars; p: of scalars, then of rows of numbers.

    shapes: of the leaves of what the twin's functions take, and `tree` what they are leaves of; those without a shape
    are parameters, those with one tables, in this order. stretched: with two more parameters, the begin and the length
    of the time, as `explicit.stretch` has them.
    """

    rhs: Callable[[Any, tuple, tuple], tuple]
    outputs: Callable[[Any, tuple, tuple], tuple]
    states: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    tree: Any
    stretched: bool

    def parameters(self, p: Any) -> tuple:
        """The scalars from what the twin's functions take."""
        return tuple(leaf for leaf, shape in zip(jax.tree.leaves(p), self.shapes, strict=True) if not shape)

    def tables(self, p: Any) -> tuple:
        """The rows from what the twin's functions take."""
        return tuple(leaf for leaf, shape in zip(jax.tree.leaves(p), self.shapes, strict=True) if shape)

    def patient(self, numbers: Sequence[Any]) -> Any:
        """What the field takes, from parameters and tables."""
        return _patient(self.shapes, self.tree, self.stretched, numbers)


class Code(NamedTuple):
    """library: of lanes, for these equations."""

    library: lanes.Library
    equations: Equations


class Exactly(NamedTuple):
    """stepper: of the exact tier, for these equations."""

    stepper: exact.Stepper
    equations: Equations


def equations(twin: Twin, stretched: bool = False) -> Equations | None:
    """The equations of a twin that has some, None where p holds more than numbers and rows of them.

    stretched: without outputs.
    """
    if twin.ode is None or twin.ode.triggers:
        return None  # steps that stop within are JAX's
    names = tuple(variable.name for variable in twin.variables)
    given, tree = jax.tree.flatten(jax.eval_shape(twin.namespace, dict.fromkeys(names, 0.0)))
    shapes = tuple(leaf.shape for leaf in given)
    if any(len(shape) > 1 for shape in shapes):
        return None
    outputs = () if stretched else tuple(item.name for item in twin.outputs)
    return _equations(twin.ode, twin.observe, outputs, shapes, tree, stretched)


# One each, so that what is made of them is made once.
@functools.lru_cache(maxsize=64)
def _equations(
    ode: Ode,
    observe: Callable,
    outputs: tuple[str, ...],
    shapes: tuple[tuple[int, ...], ...],
    tree: Any,
    stretched: bool,
) -> Equations:
    state, field = ode.state, stretch(ode.field) if stretched else ode.field

    def rhs(t: Any, y: tuple, p: tuple) -> tuple:
        return tuple(field(t, state(*y), _patient(shapes, tree, stretched, p)))

    def seen(t: Any, y: tuple, p: tuple) -> tuple:
        found = observe(state(*y), _patient(shapes, tree, stretched, p), t) if outputs else {}
        return tuple(found[name] for name in outputs)

    return Equations(rhs, seen, ode.states, shapes, tree, stretched)


def _patient(shapes: tuple[tuple[int, ...], ...], tree: Any, stretched: bool, numbers: Sequence[Any]) -> Any:
    scalars = sum(not shape for shape in shapes)
    times = tuple(numbers[scalars : scalars + 2]) if stretched else ()
    parameters, tables = iter(numbers[:scalars]), iter(numbers[scalars + len(times) :])
    p = jax.tree.unflatten(tree, [next(tables if shape else parameters) for shape in shapes])
    return (p, *times) if stretched else p


def code(twin: Twin, pair: Pair, stretched: bool = False) -> Code | None:
    """The machine code of a twin for one pair, compiled once; None where there can be none, as on a GPU."""
    found = equations(twin, stretched) if jax.default_backend() == "cpu" else None
    return _code(found, pair) if found else None


@functools.lru_cache(maxsize=16)
def _code(found: Equations, pair: Pair) -> Code | None:
    names = [(f"p{i}", shape) for i, shape in enumerate(found.shapes)]
    parameters = [name for name, shape in names if not shape] + (["begin", "length"] if found.stretched else [])
    tables = [(name, shape[0]) for name, shape in names if shape]
    library = lanes.library(lanes.program(found.rhs, found.outputs, found.states, parameters, tables), pair)
    return Code(library, found) if library else None


def exactly(twin: Twin) -> Exactly | None:
    """The exact scheme of a twin whose equations have the structure for it."""
    found = equations(twin)
    return _exactly(found) if found and not any(found.shapes) else None


@functools.lru_cache(maxsize=16)
def _exactly(found: Equations) -> Exactly | None:
    layout = exact.structure(found.rhs, len(found.states), len(found.shapes))
    return Exactly(exact.Stepper(layout, found.rhs, found.outputs), found) if layout else None
