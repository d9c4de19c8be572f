"""What is on its way to a patient: doses that come later, and the ends of infusions. All for one patient."""

from typing import Any, NamedTuple

import jax.numpy as jnp


class Pending(NamedTuple):
    """time [h]: when each event is due, (slot,), infinite where the slot is free. values: what it adds, (slot, value).
    lost: whether an event found no free slot."""

    time: Any
    values: Any
    lost: Any


def empty(slots: int, values: int) -> Pending:
    """Nothing on its way, and room for `slots` events."""
    return Pending(jnp.full(slots, jnp.inf), jnp.zeros((slots, values)), jnp.zeros((), bool))


def added(pending: Pending, time: Any, values: Any, wanted: Any) -> Pending:
    """With one more event, where it is wanted. time [h]; values: (value,)."""
    free = jnp.isinf(pending.time)
    here = wanted & (jnp.arange(len(free)) == jnp.argmax(free)) & free
    return Pending(
        jnp.where(here, time, pending.time),
        jnp.where(here[:, None], values, pending.values),
        pending.lost | (wanted & ~jnp.any(free)),
    )


def taken(pending: Pending, time: Any) -> tuple[Any, Pending]:
    """The sum of all that is due by `time` [h], (value,), and what is left."""
    due = pending.time <= time
    total = jnp.sum(jnp.where(due[:, None], pending.values, 0.0), axis=0)
    return total, pending._replace(time=jnp.where(due, jnp.inf, pending.time))


def following(pending: Pending) -> Any:
    """When the next event is due [h]; infinite where there is none."""
    return jnp.min(pending.time)
