"""Machine code of a twin's equations, where there is a C compiler and they can be written in C."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from solvers import lanes
from solvers.explicit import stretch
from solvers.pairs import Pair
from solvers.twin import Ode, Twin


class Code(NamedTuple):
    """library: of lanes. shapes: of p's leaves, and `tree` what they are leaves of; the library's parameters are those
    without a shape and its tables those with one, in p's order. stretched: as `code` takes it."""

    library: lanes.Library
    shapes: tuple[tuple[int, ...], ...]
    tree: Any
    stretched: bool

    def parameters(self, p: Any) -> tuple:
        """The library's parameters from what the twin's functions take."""
        return tuple(leaf for leaf, shape in zip(jax.tree.leaves(p), self.shapes, strict=True) if not shape)

    def tables(self, p: Any) -> tuple:
        """The library's tables from what the twin's functions take."""
        return tuple(leaf for leaf, shape in zip(jax.tree.leaves(p), self.shapes, strict=True) if shape)

    def patient(self, numbers: Sequence[Any]) -> Any:
        """What the field takes, from the library's parameters and tables."""
        return _patient(self.shapes, self.tree, self.stretched, numbers)


def _patient(shapes: tuple[tuple[int, ...], ...], tree: Any, stretched: bool, numbers: Sequence[Any]) -> Any:
    scalars = sum(not shape for shape in shapes)
    times = tuple(numbers[scalars : scalars + 2]) if stretched else ()
    parameters, tables = iter(numbers[:scalars]), iter(numbers[scalars + len(times) :])
    p = jax.tree.unflatten(tree, [next(tables if shape else parameters) for shape in shapes])
    return (p, *times) if stretched else p


def code(twin: Twin, pair: Pair, stretched: bool = False) -> Code | None:
    """The code of a twin for one pair, compiled once; None where there can be none.

    stretched: of `stretch`ed equations without outputs, with two more parameters: the begin and the length of the time.
    """
    if twin.ode is None:
        return None
    names = tuple(variable.name for variable in twin.variables)
    given, tree = jax.tree.flatten(jax.eval_shape(twin.namespace, dict.fromkeys(names, 0.0)))
    shapes = tuple(leaf.shape for leaf in given)
    if any(len(shape) > 1 for shape in shapes):
        return None  # lanes have rows of numbers, and no more than that
    outputs = tuple(item.name for item in twin.outputs)
    return _code(twin.ode, twin.observe, () if stretched else outputs, shapes, tree, pair, stretched)


@functools.lru_cache(maxsize=16)
def _code(
    ode: Ode,
    observe: Callable,
    outputs: tuple[str, ...],
    shapes: tuple[tuple[int, ...], ...],
    tree: Any,
    pair: Pair,
    stretched: bool,
) -> Code | None:
    state, field = ode.state, stretch(ode.field) if stretched else ode.field

    def rhs(t: Any, y: tuple, p: tuple) -> tuple:
        return tuple(field(t, state(*y), _patient(shapes, tree, stretched, p)))

    def seen(t: Any, y: tuple, p: tuple) -> tuple:
        found = observe(state(*y), _patient(shapes, tree, stretched, p), t) if outputs else {}
        return tuple(found[name] for name in outputs)

    names = [(f"p{i}", shape) for i, shape in enumerate(shapes)]
    parameters = [name for name, shape in names if not shape] + (["begin", "length"] if stretched else [])
    tables = [(name, shape[0]) for name, shape in names if shape]
    library = lanes.library(lanes.program(rhs, seen, ode.states, parameters, tables), pair)
    return Code(library, shapes, tree, stretched) if library else None
