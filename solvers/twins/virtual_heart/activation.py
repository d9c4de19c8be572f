"""When each part of the ventricles is activated: the earliest of all sources over the shortest paths.

    t_i = min over sources s of t_s + D_si

with D of conduction. What a lead started and what the Purkinje system carries travel at different speeds, each on its
own graph; the earlier counts. (Assumed: Purkinje fibres conduct on where tissue was captured before.)
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers.twins.virtual_heart.conduction import LEFT, RING, SEPTAL, Conduction, edges, least, shortest
from solvers.twins.virtual_heart.pacing import OFF, Intrinsic, Pacing, Sources, sources

LOCAL = 0.025  # s, that a segment takes to depolarise
_IS_SEPTAL = np.isin(np.arange(LEFT) % RING, SEPTAL)
FREE_WALL_NODES = np.flatnonzero(~_IS_SEPTAL)  # patches of the free wall: segments 0, 3, 4, 5 of each ring
SEPTAL_NODES = np.flatnonzero(_IS_SEPTAL)
SLOWEST, FASTEST = 0.4, 1.6  # factor of conduction speed
HALVINGS = 30


class Activation(NamedTuple):
    """Times [s] after activation of the right atrium."""

    left: Any  # (12,) patches of the free wall
    septum: Any  # (6,)
    right: Any  # the right ventricle as one patch: mean of its nodes
    nodes: Any  # (21,)
    onset: Any  # of the first node
    left_total: Any  # duration: first to last of the left ventricle, septum included
    qrs: Any  # duration: first to last node and LOCAL
    purkinje: Any  # (21,) 1 where the Purkinje system was first, 0 where activation came through tissue


def times(c: Conduction, starts: Sources, softness: float | None = None) -> Activation:
    """Activation from given sources. softness [s]: None is exact; else minima are smooth, for derivatives (0.001)."""
    multipliers = jnp.stack([jnp.asarray(c.purkinje, float), jnp.asarray(c.myocardium, float)])
    paths = jax.vmap(lambda multiplier: shortest(edges(c, multiplier), softness))(multipliers)
    arrivals = jnp.stack([starts.purkinje, starts.myocardium])[:, :, None] + paths
    nodes = least(arrivals.reshape(-1, arrivals.shape[-1]), 0, softness)
    first = jnp.min(arrivals, axis=1)
    left = nodes[:LEFT]
    onset = least(nodes, 0, softness)
    return Activation(
        left=nodes[FREE_WALL_NODES],
        septum=nodes[SEPTAL_NODES],
        right=jnp.mean(nodes[LEFT:]),
        nodes=nodes,
        onset=onset,
        left_total=-least(-left, 0, softness) - least(left, 0, softness),
        qrs=-least(-nodes, 0, softness) - onset + LOCAL,
        purkinje=jnp.where(first[0] <= first[1], 1.0, 0.0),
    )


def activate(c: Conduction, own: Intrinsic, pacing: Pacing = OFF, softness: float | None = None) -> Activation:
    """Activation of a beat: the patient's own conduction and what the device adds."""
    return times(c, sources(c, own, pacing), softness)


def speed_from_qrs(qrs: Any, c: Conduction, own: Intrinsic, pacing: Pacing = OFF) -> Any:
    """The factor `slow` that gives a patient's QRS duration [s]; SLOWEST or FASTEST where none between does.

    QRS falls as conduction gets faster: halving, and one step of Newton that carries the derivative.
    """

    def duration(slow: Any) -> Any:
        return activate(c._replace(slow=slow), own, pacing).qrs

    def halve(_: Any, bounds: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = bounds
        middle = 0.5 * (low + high)
        too_slow = duration(middle) > qrs
        return jnp.where(too_slow, middle, low), jnp.where(too_slow, high, middle)

    bounds = (jnp.full(jnp.shape(qrs), SLOWEST), jnp.full(jnp.shape(qrs), FASTEST))
    low, high = jax.lax.stop_gradient(jax.lax.fori_loop(0, HALVINGS, halve, bounds))
    near = 0.5 * (low + high)
    slope = jax.lax.stop_gradient(jax.grad(duration)(near))
    inside = (near > SLOWEST + 1e-6) & (near < FASTEST - 1e-6)
    return jnp.where(inside, near - (duration(near) - qrs) / slope, near)
