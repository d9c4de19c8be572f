"""How fast activation travels from one part of the ventricles to another: a graph of 21 nodes and its shortest paths.

Nodes 0-17 are the left ventricle: rings basal, mid, apical of six segments each, in the order anterior, anteroseptal,
inferoseptal, inferior, inferolateral, anterolateral (anatomy.SEGMENTS); nodes 18-20 the free wall of the right one:
basal, mid, apical. The left ventricle is a truncated spheroid, at midwall.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

RING, RINGS = 6, 3
LEFT = RING * RINGS
NODES = LEFT + RINGS
SEPTAL = (1, 2)  # segments of a ring
TAPER = (1.0, 0.92, 0.58)  # radius of each ring over that of the basal one
SPACING = 1 / 3.3  # between rings, over the length
HALF_WIDTH = 0.030  # m, of the right ventricle: half a turn of this radius leads from its free wall to the septum
SQUARINGS = 5  # 2^5 edges and more than 20 of 21 nodes
ABSENT = 10.0  # s: the delay of an edge that is none; finite, so that derivatives are
SCAR_SLOWING = 0.7


class Conduction(NamedTuple):
    """Size and speeds of one patient's ventricles. Speeds of healthy tissue [m/s] after Durrer 1970 and Caldwell 2009.

    Activation along the wall is faster than in the tissue, by a multiplier: `purkinje` for what leaves the Purkinje
    system, `myocardium` for what a lead or the other ventricle started, which only finds it on its way. Both are fitted
    to the left ventricle's total activation time (35-45 ms; 87 ms, SD 21, in LBBB).
    """

    radius: Any  # m, of the basal ring
    length: Any  # m, base to apex
    thickness: Any  # m, of the septum
    purkinje: Any = 3.0
    myocardium: Any = 1.8
    c_f: Any = 0.60  # around the ring, along the fibres of midwall
    c_l: Any = 0.45  # from ring to ring
    c_t: Any = 0.30  # through the wall
    c_RV: Any = 0.70  # in the right ventricle
    slow: Any = 1.0  # factor of all speeds: fibrosis, potassium, sodium-channel block
    scar: Any = np.zeros(LEFT)  # share of each left-ventricular segment; takes up to 0.7 of its speed


# The two hearts of the reference times. Spheroids of these sizes are assumed; see anatomy for a patient's own.
HEALTHY = Conduction(radius=0.033, length=0.085, thickness=0.010)
DILATED = Conduction(radius=0.040, length=0.098, thickness=0.009, myocardium=1.45)


def _left(ring: int, segment: int) -> int:
    return RING * ring + segment % RING


def _along() -> tuple[np.ndarray, np.ndarray]:
    """Edges along a wall, (edge, 2), and which of `_delays` each has."""
    found: list[tuple[int, int, int]] = []
    for ring in range(RINGS):
        found += [(_left(ring, k), _left(ring, k + 1), ring) for k in range(RING)]
    for ring in range(RINGS - 1):
        for k in range(RING):
            found.append((_left(ring, k), _left(ring + 1, k), 3 + ring))
            found += [(_left(ring, k), _left(ring + 1, k + side), 5 + ring) for side in (-1, 1)]
        found.append((LEFT + ring, LEFT + ring + 1, 8))
    found += [(_left(2, k), _left(2, k + 3), 7) for k in range(3)]
    table = np.array(found)
    return table[:, :2], table[:, 2]


def _inserted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges (left node, right node), and how much of the way round the right ventricle and through the wall each is."""
    septal = [(_left(ring, k), LEFT + ring, 0.5 if ring == 2 else 1.0, 1.0) for ring in range(RINGS) for k in SEPTAL]
    beside = [(_left(ring, k), LEFT + ring, 2.0, 0.5) for ring in range(RINGS) for k in (0, 3)]
    table = np.array(septal + beside)
    return table[:, :2].astype(int), table[:, 2], table[:, 3]


ALONG, KIND = _along()
DIAGONAL = (5, 6, 7)  # kinds, that across the apex with them
INSERTED, ROUND, THROUGH = _inserted()


def resistance(c: Conduction) -> Any:
    """Delay over that of healthy tissue, (node,)."""
    left = 1.0 / (c.slow * (1.0 - SCAR_SLOWING * jnp.asarray(c.scar)))
    return jnp.concatenate([left, jnp.ones(RINGS) / c.slow])


def insertion(c: Conduction) -> Any:
    """Delay from the middle of the right free wall to where it meets the septum [s]."""
    return 0.5 * jnp.pi * HALF_WIDTH / (c.c_RV * c.slow)


def transseptal(c: Conduction) -> Any:
    """Delay through the wall at each node [s], (node,)."""
    return c.thickness / c.c_t * resistance(c)


def _delays(c: Conduction, multiplier: Any) -> Any:
    """Delays along the wall [s]: 3 rings, 2 steps from ring to ring, 2 diagonal ones, across the apex, right."""
    c_f, c_l = c.c_f * multiplier, c.c_l * multiplier
    radii = c.radius * np.array(TAPER)
    arcs = 2.0 * jnp.pi * radii / RING
    steps = jnp.hypot(c.length * SPACING, radii[:-1] - radii[1:]) / c_l
    diagonal = jnp.hypot(steps, 0.5 * (arcs[:-1] + arcs[1:]) / c_f)
    rest = jnp.stack([2.0 * radii[2] / c_l, c.length * SPACING / c.c_RV])
    return jnp.concatenate([arcs / c_f, steps, diagonal, rest])


def edges(c: Conduction, multiplier: Any) -> jax.Array:
    """Delay of every edge [s], (node, node), symmetric; ABSENT where there is none. An edge is half in each segment."""
    slowed = resistance(c)
    along = _delays(c, multiplier)[KIND] * 0.5 * (slowed[ALONG[:, 0]] + slowed[ALONG[:, 1]])
    inserted = ROUND * insertion(c) + THROUGH * transseptal(c)[INSERTED[:, 0]]
    ends, delays = np.concatenate([ALONG, INSERTED]), jnp.concatenate([along, inserted])
    matrix = jnp.full((NODES, NODES), ABSENT)
    return matrix.at[ends[:, 0], ends[:, 1]].set(delays).at[ends[:, 1], ends[:, 0]].set(delays)


def least(values: Any, axis: int, softness: float | None) -> Any:
    """The minimum along an axis; with a softness [s], -softness log sum exp(-values / softness), which has a slope."""
    low = jnp.min(values, axis=axis)
    if softness is None:
        return low
    low = jax.lax.stop_gradient(low)
    rest = jnp.sum(jnp.exp((jnp.expand_dims(low, axis) - values) / softness), axis=axis)
    return low - softness * jnp.log(rest)


def shortest(delays: jax.Array, softness: float | None = None) -> jax.Array:
    """Delay of the shortest path between any two nodes [s], from the delays of edges, both (node, node).

    Repeated squaring in the (min, +) algebra. With a softness every walk of fewer than 32 edges counts, once:
    S <- S + W S and W <- W W, with W the walks of 1, 2, 4 ... edges and S those of fewer. (Squaring I + W instead would
    count a walk of n edges C(32, n) times: 4 edges would take 10 ms less at a softness of 1 ms.) Choose it well below
    the delay of an edge.
    """

    def after(a: jax.Array, b: jax.Array) -> jax.Array:
        return least(a[:, :, None] + b[None, :, :], 1, softness)

    here = jnp.where(np.eye(NODES, dtype=bool), 0.0, ABSENT)
    if softness is None:
        return jax.lax.fori_loop(0, SQUARINGS, lambda _, closed: after(closed, closed), jnp.minimum(delays, here))

    def grow(_: Any, both: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        closed, walks = both
        longer = least(jnp.stack([closed, after(walks, closed)]), 0, softness)
        return longer, after(walks, walks)

    return jax.lax.fori_loop(0, SQUARINGS, grow, (here, delays))[0]
