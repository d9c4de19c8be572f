"""Machine code of a twin's equations, where there is a C compiler and they can be written in C."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from solvers import lanes
from solvers.pairs import Pair
from solvers.twin import Ode, Twin


class Code(NamedTuple):
    """library: of lanes. shapes: of p's leaves, and `tree` what they are leaves of; the library's parameters are those
    without a shape and its tables those with one, in p's order."""

    library: lanes.Library
    shapes: tuple[tuple[int, ...], ...]
    tree: Any

    def parameters(self, p: Any) -> tuple:
        """The library's parameters from what the twin's functions take."""
        return tuple(leaf for leaf, shape in zip(jax.tree.leaves(p), self.shapes, strict=True) if not shape)

    def tables(self, p: Any) -> tuple:
        """The library's tables from what the twin's functions take."""
        return tuple(leaf for leaf, shape in zip(jax.tree.leaves(p), self.shapes, strict=True) if shape)

    def patient(self, numbers: Sequence[Any]) -> Any:
        """What the twin's functions take, from the library's parameters and tables."""
        return _patient(self.shapes, self.tree, numbers)


def _patient(shapes: tuple[tuple[int, ...], ...], tree: Any, numbers: Sequence[Any]) -> Any:
    scalars = sum(not shape for shape in shapes)
    parameters, tables = iter(numbers[:scalars]), iter(numbers[scalars:])
    return jax.tree.unflatten(tree, [next(tables if shape else parameters) for shape in shapes])


def code(twin: Twin, pair: Pair) -> Code | None:
    """The code of a twin for one pair, compiled once; None where there can be none."""
    if twin.ode is None:
        return None
    names = tuple(variable.name for variable in twin.variables)
    given, tree = jax.tree.flatten(jax.eval_shape(twin.namespace, dict.fromkeys(names, 0.0)))
    shapes = tuple(leaf.shape for leaf in given)
    if any(len(shape) > 1 for shape in shapes):
        return None  # lanes have rows of numbers, and no more than that
    outputs = tuple(item.name for item in twin.outputs)
    return _code(twin.ode, twin.observe, outputs, shapes, tree, pair)


@functools.lru_cache(maxsize=16)
def _code(
    ode: Ode, observe: Callable, outputs: tuple[str, ...], shapes: tuple[tuple[int, ...], ...], tree: Any, pair: Pair
) -> Code | None:
    state = ode.state

    def rhs(t: Any, y: tuple, p: tuple) -> tuple:
        return tuple(ode.field(t, state(*y), _patient(shapes, tree, p)))

    def seen(t: Any, y: tuple, p: tuple) -> tuple:
        found = observe(state(*y), _patient(shapes, tree, p), t)
        return tuple(found[name] for name in outputs)

    names = [(f"p{i}", shape) for i, shape in enumerate(shapes)]
    parameters = [name for name, shape in names if not shape]
    tables = [(name, shape[0]) for name, shape in names if shape]
    library = lanes.library(lanes.program(rhs, seen, ode.states, parameters, tables), pair)
    return Code(library, shapes, tree) if library else None
