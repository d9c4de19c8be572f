"""Machine code of a twin's equations, where there is a C compiler and they can be written in C."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from solvers import lanes
from solvers.explicit import stretch
from solvers.pairs import Pair
from solvers.twin import Ode, Twin


class Code(NamedTuple):
    """library: of lanes. given: names of p's fields, in the order of the library's parameters."""

    library: lanes.Library
    given: tuple[str, ...]

    def parameters(self, p: Any) -> tuple:
        """The library's parameters from what the twin's functions take."""
        return tuple(getattr(p, name) for name in self.given)


def code(twin: Twin, pair: Pair, stretched: bool = False) -> Code | None:
    """The code of a twin for one pair, compiled once; None where there can be none.

    stretched: of `stretch`ed equations without outputs, with two more parameters: the begin and the length of the time.
    """
    if twin.ode is None or twin.ode.triggers:
        return None  # steps that stop within are JAX's
    names = tuple(variable.name for variable in twin.variables)
    shapes = jax.eval_shape(twin.namespace, dict.fromkeys(names, 0.0))
    if any(leaf.shape for leaf in jax.tree.leaves(shapes)):
        return None  # a table in p is no lane
    outputs = tuple(item.name for item in twin.outputs)
    given: Any = type(shapes)
    return _code(twin.ode, twin.observe, () if stretched else outputs, given, pair, stretched)


@functools.lru_cache(maxsize=16)
def _code(
    ode: Ode, observe: Callable, outputs: tuple[str, ...], given: Any, pair: Pair, stretched: bool
) -> Code | None:
    state = ode.state

    def rhs(t: Any, y: tuple, p: tuple) -> tuple:
        if stretched:
            return tuple(stretch(ode.field)(t, state(*y), (given(*p[:-2]), *p[-2:])))
        return tuple(ode.field(t, state(*y), given(*p)))

    def seen(t: Any, y: tuple, p: tuple) -> tuple:
        found = observe(state(*y), given(*p), t) if outputs else {}
        return tuple(found[name] for name in outputs)

    parameters = (*given._fields, "begin", "length") if stretched else given._fields
    library = lanes.library(lanes.program(rhs, seen, ode.states, parameters), pair)
    return Code(library, given._fields) if library else None
