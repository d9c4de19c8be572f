"""The steps of one patient through one tick, in JAX: what machine code is held against, and its derivative."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers.exact import exponential
from solvers.exact.step import Carry, Known, Patient, States, Stepper


class Track(NamedTuple):
    """What of a life's error goes from tick to tick; the fields are those of `Carry`."""

    error: States
    largest: list
    worst: tuple[Any, Any]


class Table(NamedTuple):
    """What is found once a patient. known: of steps of a tick halved 0, 1, 2 ... times, on a leading axis."""

    patient: Patient
    known: Known


def depth(counts: Sequence[int], halvings: Sequence[int]) -> int:
    """How often a tick is halved for its shortest step. Raises ValueError for a count that is no power of two."""
    steps = np.asarray(counts, int)
    if (steps < 1).any() or (steps & (steps - 1)).any():
        raise ValueError(f"a tick has {steps.min()} to {steps.max()} steps; give powers of two")
    return int(np.max(np.round(np.log2(steps)).astype(int) + np.asarray(halvings, int), initial=0))


def prepare(stepper: Stepper, p: tuple, tick: float, deepest: int, norm: float) -> Table:
    """The table of one patient. p: scalars. norm: the largest of a linear block [per h] that is good to rounding."""
    patient = stepper.patient(tuple(jnp.asarray(each, float) for each in p))
    times = exponential.squarings(norm, tick)
    # Short steps from the polynomial, others by squaring: a square doubles the relative error.
    last = min(deepest, times)

    def of(length: Any, matrices: list[dict]) -> Known:
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, float), stepper.finished(patient, length, matrices))

    def small(length: Any, share: float = 1.0) -> list[dict]:
        return jax.tree.map(lambda entry: jnp.asarray(entry, float), stepper.small(patient, length, share))

    def direct(_: Any, length: Any) -> tuple:
        return (), of(length, small(length))

    def twice(matrices: list[dict], length: Any) -> tuple:
        return stepper.squared(matrices), of(length, matrices)

    # Loops, though their lengths are known: XLA would write each square out again for every entry of the next.
    lengths = tick * 0.5 ** jnp.arange(deepest + 1.0)
    start = small(lengths[last], 0.5 ** (times - last))
    start = jax.lax.fori_loop(0, times - last, lambda _, each: stepper.squared(each), start)
    long: Any
    short: Any
    _, long = jax.lax.scan(twice, start, lengths[: last + 1], reverse=True)
    _, short = jax.lax.scan(direct, (), lengths[last + 1 :])
    known = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), long, short)
    return Table(patient, known)


def begin(stepper: Stepper, patient: Patient, t: Any, y: tuple, norm: float) -> Track:
    """At the start of a life."""
    carry, _ = stepper.start(patient, t, dict(enumerate(y)), norm)
    return Track(carry.error, carry.largest, carry.worst)


def advance(
    stepper: Stepper, table: Table, t: Any, count: Any, halvings: Any, y: tuple, track: Track
) -> tuple[tuple, Track]:
    """After a tick of `count` steps, a power of two, the first of them halved `halvings` times towards its start."""
    patient, states = table.patient, {i: jnp.asarray(value, float) for i, value in enumerate(y)}
    begun = jnp.asarray(t, float)
    base = jnp.round(jnp.log2(count)).astype(int)

    def step(i: Any, carry: tuple) -> tuple:
        t, life = carry
        level = base + jnp.maximum(halvings - jnp.maximum(i - 1, 0), 0).astype(int)
        known = jax.tree.map(lambda leaf: leaf[level], table.known)
        life, _ = stepper.whole(patient, known, t, life)
        return t + known.length, life

    carry = Carry(states, track.error, stepper.begin(patient, begun, states), track.largest, track.worst)
    steps = (count + halvings).astype(int) if hasattr(count, "astype") else int(count + halvings)
    _, carry = jax.lax.fori_loop(0, steps, step, (begun, carry))
    return tuple(carry.states[i] for i in range(len(y))), Track(carry.error, carry.largest, carry.worst)


def error(stepper: Stepper, y: tuple, track: Track) -> Any:
    """Of a life: its largest, relative, of the driven states alone."""
    return stepper.error(Carry(dict(enumerate(y)), track.error, {}, track.largest, track.worst))


def rounding(norm: float, tick: float, counts: Sequence[int], halvings: Sequence[int]) -> float:
    """A bound, relative, of what rounding does to linear states in ticks of so many steps.

    A square doubles the relative error of a matrix: exp(A tick) has about eps (1 + norm tick). Every step adds its own.
    """
    return 8.0 * math.ulp(1.0) * (sum(counts) + sum(halvings) + len(counts) * norm * tick)
