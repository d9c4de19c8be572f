"""The 12-lead electrocardiogram (QRS and T) of an activation: one dipole, seen by Dower's leads.

    H(t) = k sum_i w_i n_i g((t - t_i) / 7 ms) + T wave,  g(x) = exp(-x^2 / 2)

w_i is the muscle of a node, n_i the direction in which activation passes it: the unit vector of the gradient of t,
that over the graph along the wall and 1 / c_t outward where activation comes from the inside (Purkinje system,
trabeculae of the right ventricle). The septum has an inside on either side: a wave crosses it as far as one side waits
for the other. The T wave is the same of the times of repolarisation t_i + APD_i, with 40 ms, the gradient itself, and
the sign reversed. Repolarisation follows activation by 0.7 of its gradient, but runs from outside to inside across the
free walls (Franz 1987, Circulation 75:379): so a healthy T is upright and that of a late wall discordant.

Times are in ms after the first ventricular activation, potentials in mV; axes are Frank's: x left, y down, z back.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from solvers.twins.virtual_heart.activation import FREE_WALL_NODES, SEPTAL_NODES, Activation
from solvers.twins.virtual_heart.conduction import (
    ALONG,
    DIAGONAL,
    HALF_WIDTH,
    KIND,
    LEFT,
    NODES,
    RING,
    RINGS,
    SPACING,
    TAPER,
    Conduction,
    resistance,
)

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

# Dower, Machado & Osborne 1980, Clin Cardiol 3:87: a lead is its row times (x, y, z). Its pseudo-inverse is what
# Edenbrandt & Pahlm 1988, J Electrocardiol 21:361, give for the way back.
DOWER = np.array(
    [
        [0.632, -0.235, 0.059],  # I
        [0.235, 1.066, -0.132],  # II
        [-0.515, 0.157, -0.917],  # V1
        [0.044, 0.164, -1.387],  # V2
        [0.882, 0.098, -1.277],  # V3
        [1.213, 0.127, -0.601],  # V4
        [1.125, 0.127, -0.086],  # V5
        [0.831, 0.076, 0.230],  # V6
    ]
)

WIDTH, WIDTH_T = 7.0, 40.0  # ms
APD, APD_SLOPE = 280.0, -0.3  # ms, and per ms of activation after the mean
GAIN = 0.035  # mV/mL: a QRS vector of 1.5 mV at most for a normal echo
GAIN_T = 0.0035  # mV m/s/mL: a T of 0.3 mV; assumed
ACROSS = 2.0  # s/m, repolarisation across the wall: 20 ms earlier outside; assumed
CRESCENT = 2.0 / np.pi  # the right wall bends round half a turn: what its dipole counts in the middle direction
SHALLOW = 1e-3  # s/m: a gradient well below it has no direction

# Assumed lie of the heart, chosen for a normal axis: its apex points down by 40 degrees and from front to left by 30.
_DOWN, _LEFT = np.deg2rad((40.0, 30.0))
AXIS = np.array([np.cos(_DOWN) * np.sin(_LEFT), np.sin(_DOWN), -np.cos(_DOWN) * np.cos(_LEFT)])
TO_SEPTUM = np.array([-np.cos(_LEFT), 0.0, -np.sin(_LEFT)])
TO_ANTERIOR = np.cross(TO_SEPTUM, AXIS)

_ANGLES = 2.0 * np.pi / RING * np.arange(RING)
_AROUND = np.cos(_ANGLES)[:, None] * TO_ANTERIOR + np.sin(_ANGLES)[:, None] * TO_SEPTUM
_NEIGHBOURS = ALONG[~np.isin(KIND, DIAGONAL)]
_RIGHT = np.arange(NODES) >= LEFT
_SEPTAL = np.isin(np.arange(NODES), SEPTAL_NODES)
# Neighbours of a node over the dimensions in which they lie: a surface, a line.
_COUNT = np.bincount(_NEIGHBOURS.ravel(), minlength=NODES) / np.where(_RIGHT, 1.0, 2.0)
_OPPOSITE = np.where(_SEPTAL, LEFT + np.arange(NODES) // RING, np.arange(NODES))  # across the septum


class Shape(NamedTuple):
    """The graph in the body."""

    places: Any  # m, (node, xyz)
    normals: Any  # outward, of length 1, (node, xyz)
    thickness: Any  # m, of the septum
    slowness: Any  # s/m, across the wall, (node,)
    muscle: Any  # mL, (node,)


def shape(c: Conduction, left_volume: Any, septal_volume: Any, right_volume: Any) -> Shape:
    """Where the nodes are; volumes of the walls in m3. The spheroid closes a step beyond its apical ring."""
    spacing = c.length * SPACING
    radii = c.radius * jnp.array([*TAPER, 0.0])
    narrowing = jnp.stack([radii[0] - radii[1], 0.5 * (radii[0] - radii[2]), 0.5 * (radii[1] - radii[3])]) / spacing
    levels = (spacing * np.arange(RINGS)[:, None]) * AXIS
    left = radii[:RINGS, None, None] * _AROUND + levels[:, None]
    right = (radii[:RINGS] + HALF_WIDTH * np.array([1.0, 1.0, 0.5]))[:, None] * TO_SEPTUM + levels
    outward = (_AROUND + narrowing[:, None, None] * AXIS) / jnp.sqrt(1.0 + narrowing**2)[:, None, None]
    muscle = (
        jnp.zeros(NODES)
        .at[FREE_WALL_NODES]
        .set(left_volume / len(FREE_WALL_NODES))
        .at[SEPTAL_NODES]
        .set(septal_volume / len(SEPTAL_NODES))
        .at[LEFT:]
        .set(CRESCENT * right_volume / RINGS)
    )
    return Shape(
        jnp.concatenate([left.reshape(LEFT, 3), right]),
        jnp.concatenate([outward.reshape(LEFT, 3), np.tile(TO_SEPTUM, (RINGS, 1))]),
        c.thickness,
        resistance(c) / c.c_t,
        1e6 * muscle,
    )


def gradient(times: Any, places: Any) -> Any:
    """Gradient of times over the graph, (node, xyz) [unit of times / m]: from the differences to each neighbour."""
    one, other = _NEIGHBOURS.T
    way = places[other] - places[one]
    steep = ((times[other] - times[one]) / jnp.sum(way**2, axis=1))[:, None] * way
    total = jnp.zeros((NODES, 3)).at[one].add(steep).at[other].add(steep)
    return total / _COUNT[:, None]


def rotation(about: Any) -> Any:
    """Matrix of rotations [degrees] about x, then y, then z: how a patient's heart lies against the assumed lie."""
    (cx, cy, cz), (sx, sy, sz) = jnp.cos(jnp.deg2rad(about)), jnp.sin(jnp.deg2rad(about))
    x = jnp.array([[1.0, 0.0, 0.0], [0.0, cx, -sx], [0.0, sx, cx]])
    y = jnp.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    z = jnp.array([[cz, -sz, 0.0], [sz, cz, 0.0], [0.0, 0.0, 1.0]])
    return z @ y @ x


def heart_vector(activation: Activation, heart: Shape, times: Any, lie: Any = (0.0, 0.0, 0.0)) -> tuple[Any, Any]:
    """QRS and T part of the heart vector [mV], each (time, xyz).

    times: ms after the first ventricular activation, (time,). lie: rotation [degrees] about x, y, z.
    """
    after = activation.nodes - activation.onset  # s
    # The share of the septum that one wave crosses, 1 to the right: all where a side waits for the other.
    crossed = jnp.clip((after[_OPPOSITE] - after) / (heart.thickness * heart.slowness), -1.0, 1.0)[:, None]
    from_inside = jnp.where(_RIGHT, 1.0, jnp.where(_SEPTAL, 0.0, activation.purkinje))[:, None]
    along, across = gradient(after, heart.places), heart.slowness[:, None] * heart.normals
    passing = along + from_inside * across
    unit = passing / jnp.sqrt(jnp.sum(passing**2, axis=1, keepdims=True) + SHALLOW**2)
    activating = (1.0 - jnp.abs(crossed)) * unit + crossed * heart.normals
    outside = jnp.where(_SEPTAL, 0.0, ACROSS)[:, None] * heart.normals
    repolarising = (1.0 + APD_SLOPE) * (along + crossed * across) - outside
    depolarised = 1e3 * after
    repolarised = depolarised + APD + APD_SLOPE * (depolarised - jnp.mean(depolarised))

    def wave(centres: Any, width: float) -> Any:
        return jnp.exp(-0.5 * ((times[:, None] - centres) / width) ** 2)

    muscle = heart.muscle[:, None]
    turned = rotation(jnp.asarray(lie)).T
    qrs = wave(depolarised, WIDTH) @ (GAIN * muscle * activating)
    t = wave(repolarised, WIDTH_T) @ (-GAIN_T * muscle * repolarising)
    return qrs @ turned, t @ turned


def leads(vector: Any) -> Any:
    """12 leads [mV], (..., LEADS), of a heart vector [mV], (..., xyz): I, II and V by Dower, the others of I and II."""
    eight = vector @ DOWER.T
    one, two = eight[..., 0], eight[..., 1]
    limb = (one, two, two - one, -0.5 * (one + two), one - 0.5 * two, two - 0.5 * one)
    return jnp.concatenate([jnp.stack(limb, axis=-1), eight[..., 2:]], axis=-1)


def electrocardiogram(activation: Activation, heart: Shape, times: Any, lie: Any = (0.0, 0.0, 0.0)) -> Any:
    """12 leads [mV], (time, LEADS), at times [ms] after the first ventricular activation; lie as in heart_vector."""
    qrs, t = heart_vector(activation, heart, times, lie)
    return leads(qrs + t)


def duration(qrs: Any, times: Any, least: float = 0.05) -> Any:
    """How long the QRS part of the heart vector, (time, xyz), is above a share of its largest length [ms]."""
    length = jnp.sqrt(jnp.sum(qrs**2, axis=-1))
    above = length > least * jnp.max(length)
    return times[len(times) - 1 - jnp.argmax(above[::-1])] - times[jnp.argmax(above)]


def frontal_axis(qrs: Any) -> Any:
    """Frontal axis [degrees; 0 is left, 90 down] of the area of QRS in I and aVF. qrs: heart vector, (time, xyz)."""
    area = leads(jnp.sum(qrs, axis=0))
    left, down = area[LEADS.index("I")], area[LEADS.index("aVF")] * 2.0 / np.sqrt(3.0)  # aVF is short by that factor
    return jnp.rad2deg(jnp.arctan2(down, left))
