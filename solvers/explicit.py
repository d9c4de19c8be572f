"""Explicit integration on a given mesh: an embedded Runge-Kutta pair, with its error gathered step by step."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from solvers.pairs import Pair
from solvers.triggers import Jump, through

Field = Callable[[Any, Any, Any], Any]


def steps(length: Any, count: Any, halvings: Any, i: Any) -> Any:
    """Step `i` of an interval [its unit of time]: `count` equal ones, the first halved towards its start.

    halvings k cut the first step s into s/2^k, s/2^k, s/2^(k-1), ..., s/2: a dose makes the solution start like a
    broken power of time, and equal steps would lose the order there. There are count + halvings steps.
    """
    return length / count * 0.5 ** jnp.maximum(halvings - jnp.maximum(i - 1, 0), 0)


def stretch(field: Field) -> Field:
    """The field of the same solution in a time from 0 to 1, of p, when it begins and how long that time is."""

    def stretched(t: Any, y: Any, p: Any) -> Any:
        own, begin, length = p
        return jax.tree.map(lambda slope: length * slope, field(begin + length * t, y, own))

    return stretched


def march(
    pair: Pair,
    field: Field,
    y: Any,
    p: Any,
    time: Any,
    length: Any,
    count: Any,
    halvings: Any,
    floors: Any,
    triggers: tuple[Jump, ...] = (),
) -> tuple[Any, Any]:
    """State after an interval, and the sum over its steps of the largest error of a step, relative to its state.

    field(t, y, p) -> d/dt of y; y: a tuple of scalars. count, halvings: whole numbers, see `steps`. floors: one a
    state. The error of a step is h |sum e_i k_i|: that of the lower order, which the step itself does not have.
    triggers: what the state itself sets off.
    Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I, 2nd ed., section II.4.
    """

    def part(t: Any, y: Any, first: Any, h: Any, p: Any) -> tuple:
        stages = [first]
        for row, node in zip(pair.a, pair.c[1:], strict=True):
            stages.append(field(t + node * h, _moved(y, stages, row, h), p))
        gone = _moved(None, stages, pair.e, h)
        y = _moved(y, stages, pair.b, h)
        worst = jnp.max(
            jnp.stack([jnp.abs(e) / (jnp.abs(a) + least) for e, a, least in zip(gone, y, floors, strict=True)])
        )
        return y, stages[-1] if pair.fsal else field(t + h, y, p), worst

    def step(i: Any, carry: tuple) -> tuple:
        t, y, first, error = carry
        h = steps(length, count, halvings, i)
        y, last, worst = through(triggers, part, field, t, y, first, h, p) if triggers else part(t, y, first, h, p)
        return t + h, y, last, error + worst

    begin = jnp.asarray(time, float)
    carry = (begin, y, field(begin, y, p), jnp.zeros(()))
    _, y, _, error = jax.lax.fori_loop(0, count + halvings, step, carry)
    return y, error


def _moved(y: Any, stages: list[Any], weights: Sequence[float], h: Any) -> Any:
    """y + h sum w_i k_i; the sum alone where y is None."""
    used = [(w, k) for w, k in zip(weights, stages, strict=True) if w]

    def one(*parts: Any) -> Any:
        total = used[0][0] * parts[0]
        for (w, _), k in zip(used[1:], parts[1:], strict=True):
            total = total + w * k
        return h * total

    by = jax.tree.map(one, *(k for _, k in used))
    return by if y is None else jax.tree.map(jnp.add, y, by)
