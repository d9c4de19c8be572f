"""Chance in a patient's life, keyed by patient, purpose and tick, never by arm: the same luck under every arm."""

import enum
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Purpose(enum.IntEnum):
    """What a patient's random numbers are for; each purpose has its own stream."""

    MEASUREMENT = 1
    ADHERENCE = 2
    TIMING = 3


class Luck(NamedTuple):
    """noise: standard normals, (visit, output, 2). taken: 1 where the action of a tick is, else 0, (tick,), None where
    all are. late [h]: how late each is taken, (tick,), None where nothing is."""

    noise: Any
    taken: Any
    late: Any


def luck(
    patient: Any, seed: int, *, ticks: int, visits: Sequence[int], outputs: int, taken: float, late: float
) -> Luck:
    """The luck of one patient.

    visits: tick numbers; what is drawn at one does not depend on the others. outputs: how many can be measured. taken:
    probability that an action is. late [h]: of how late it is, the scale of the half-normal.
    """
    own = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), patient)

    def drawn(purpose: Purpose, numbers: Any, draw: Any) -> Any:
        key = jax.random.fold_in(own, purpose)
        return jax.vmap(lambda number: draw(jax.random.fold_in(key, number)))(numbers)

    every = jnp.arange(ticks)
    return Luck(
        drawn(Purpose.MEASUREMENT, jnp.asarray(visits, int), lambda key: jax.random.normal(key, (outputs, 2))),
        (drawn(Purpose.ADHERENCE, every, jax.random.uniform) < taken).astype(float) if taken < 1.0 else None,
        late * jnp.abs(drawn(Purpose.TIMING, every, jax.random.normal)) if late > 0.0 else None,
    )
