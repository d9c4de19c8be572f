"""Where and when ventricular activation starts: the bundles, a device's leads, and their union.

All times are in seconds after activation of the right atrium. Every setting is a number, so that a policy can change it
inside compiled code: a site is a number of a node, -1 for none; a yes or no is 1 or 0.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from solvers.twins.virtual_heart.conduction import (
    LEFT,
    NODES,
    RING,
    RINGS,
    SEPTAL,
    Conduction,
    insertion,
    transseptal,
)

NEVER = np.inf
REFERENCE_CYCLE = 0.85  # s
ATRIAL_LATENCY = 0.050  # s, assumed: paced AV delays are programmed 50 ms longer than sensed ones
BASAL, MID, APEX = range(RINGS)  # sites of the right ventricle


def _at(times: dict[int, float]) -> np.ndarray:
    return np.array([times.get(node, NEVER) for node in range(NODES)])


# After the exit from the His bundle [s]. Three early places of the left ventricle: Durrer 1970, Circulation 41:899.
LEFT_BUNDLE = _at({RING + 1: 0.0, RING + 2: 0.0, RING + 0: 0.008, RING + 3: 0.008})
RIGHT_BUNDLE = _at({LEFT + MID: 0.010, LEFT + APEX: 0.006})
RIGHT_ALONE = _at({LEFT + MID: 0.005, LEFT + APEX: 0.0})
# What then lies beyond the septum.
BEYOND = _at({RING * ring + k: 0.0 for ring in (MID, APEX) for k in SEPTAL})
LEFT_AREA = _at({RING + 1: 0.0, RING + 2: 0.0, RING + 0: 0.010, RING + 3: 0.010})


class Sources(NamedTuple):
    """When activation starts at each node [s], (node,), infinite where it does not."""

    purkinje: Any  # what then spreads with the Purkinje system
    myocardium: Any  # what then spreads through tissue


class Intrinsic(NamedTuple):
    """The patient's own conduction. Both bundles blocked: none reaches the ventricles."""

    delay: Any  # s, right atrium to the first ventricular activation: PR interval
    left: Any = 1.0  # left bundle branch conducts
    right: Any = 1.0
    his: Any = 0.045  # s, His bundle to ventricle; assumed, normal 35-55 ms


class Pacing(NamedTuple):
    """What a device does in a beat. Leads of the right side: right, his, left_area; of the left: left, second."""

    av: Any = NEVER  # s, right atrium to the first ventricular stimulus; infinite: off
    vv: Any = 0.0  # s, left side after right side; negative: left first
    right: Any = -1  # BASAL (outflow), MID (septum), APEX
    left: Any = -1  # segment 0-17
    second: Any = -1  # segment of the second left lead (multipoint)
    between: Any = 0.0  # s, second left lead after the first
    his: Any = 0.0
    selective: Any = 1.0  # captures the His bundle and no tissue beside it
    corrected: Any = 0.0  # conducts through a left bundle that is blocked
    left_area: Any = 0.0


OFF = Pacing()


def right_ventricular(av: Any, site: Any = APEX) -> Pacing:
    """Pacing of the right ventricle."""
    return Pacing(av, right=site)


def biventricular(av: Any, site: Any, vv: Any = 0.0, right: Any = APEX) -> Pacing:
    """Pacing of both ventricles, the left one at segment `site`."""
    return Pacing(av, vv, right=right, left=site)


def multipoint(av: Any, site: Any, second: Any, vv: Any = 0.0, between: Any = 0.0, right: Any = APEX) -> Pacing:
    """Biventricular pacing with two sites on the left."""
    return Pacing(av, vv, right, site, second, between)


def left_ventricular(av: Any, site: Any) -> Pacing:
    """Pacing of the left ventricle alone, to meet the patient's own right bundle."""
    return Pacing(av, left=site)


def his(av: Any, corrected: Any, selective: Any = 1.0) -> Pacing:
    """Pacing of the His bundle. Left bundle branch block is corrected in about 3 of 4: a number of the patient."""
    return Pacing(av, his=1.0, selective=selective, corrected=corrected)


def left_bundle_area(av: Any) -> Pacing:
    """Pacing of the left bundle beyond its block."""
    return Pacing(av, left_area=1.0)


def check(pacing: Pacing) -> None:
    """Raises ValueError where a setting is none. For settings that are numbers already, outside compiled code."""
    sites = {name: np.asarray(getattr(pacing, name)) for name in ("right", "left", "second")}
    for name, below in (("right", RINGS), ("left", LEFT), ("second", LEFT)):
        if not np.isin(sites[name], np.arange(-1, below)).all():
            raise ValueError(
                f"pacing site '{name}' is {sites[name]}; write a whole number from 0 to {below - 1}, or -1 for none"
            )
    if np.any((sites["second"] >= 0) & (sites["left"] < 0)):
        raise ValueError("pacing has a second left lead and no first; write the segment of the first as 'left'")
    av = np.asarray(pacing.av)
    if not (av > 0).all():
        raise ValueError(f"AV delay is {av} s; write one above 0, or inf for no pacing")
    for name in ("vv", "between"):
        if not np.isfinite(getattr(pacing, name)).all():
            raise ValueError(f"pacing delay '{name}' is {getattr(pacing, name)} s; write a finite one")
    others = (np.asarray(pacing.his) > 0.5) | (np.asarray(pacing.left_area) > 0.5)
    if np.any(np.isfinite(av) & ~others & (sites["right"] < 0) & (sites["left"] < 0)):
        raise ValueError(f"AV delay is {av} s and there is no lead; name a site, or write inf for no pacing")


def intrinsic_delay(cycle: Any) -> Any:
    """Right atrium to ventricles at rest [s], for an unknown PR interval; cycle [s]. 0.15 at 0.85: Van Osta 2024."""
    return 0.15 / REFERENCE_CYCLE * cycle


def interatrial_delay(cycle: Any) -> Any:
    """Right to left atrium [s]; cycle [s]."""
    return 0.020 / REFERENCE_CYCLE * cycle


def stimulus_delay(programmed: Any, atrium_paced: Any) -> Any:
    """Right atrium's activation to first ventricular stimulus [s] of an AV delay as programmed.

    It runs from the sensed P wave, or from the atrial stimulus, which the atrium follows ATRIAL_LATENCY later.
    """
    return programmed - jnp.where(jnp.asarray(atrium_paced) > 0.5, ATRIAL_LATENCY, 0.0)


def _when(condition: Any, times: Any) -> Any:
    return jnp.where(condition, times, NEVER)


def _bundles(c: Conduction, exit: Any, left: Any, right: Any) -> Sources:
    """Sources from the bundle branches that conduct."""
    both, alone = left & right, right & ~left
    purkinje = jnp.minimum(_when(left, exit + LEFT_BUNDLE), _when(both, exit + RIGHT_BUNDLE))
    return Sources(purkinje, _when(alone, exit + jnp.minimum(RIGHT_ALONE, BEYOND + transseptal(c))))


def _site(node: Any, time: Any) -> Any:
    return _when(jnp.arange(NODES) == node, time)


def _right_site(c: Conduction, ring: Any, time: Any, reach: Any = 0.0) -> Any:
    """A lead of the right ventricle: free wall of its ring after `reach`, left side of the septum through it."""
    node = jnp.arange(NODES)
    septal = jnp.isin(node % RING, np.array(SEPTAL)) & (node // RING == ring) & (node < LEFT)
    there = jnp.where(ring >= 0, LEFT + ring, -1)
    return jnp.minimum(_site(there, time + reach), _when(septal, time + transseptal(c)))


def sources(c: Conduction, own: Intrinsic, pacing: Pacing = OFF) -> Sources:
    """All that starts activation in a beat: the patient's own conduction and every lead. The earliest at a node counts.

    So fusion, capture and their dependence on the AV delay need no rule.
    """
    conducts_left, conducts_right = jnp.asarray(own.left) > 0.5, jnp.asarray(own.right) > 0.5
    has_his, has_area = jnp.asarray(pacing.his) > 0.5, jnp.asarray(pacing.left_area) > 0.5
    right_side = has_his | has_area | (jnp.asarray(pacing.right) >= 0)
    left_side = (jnp.asarray(pacing.left) >= 0) | (jnp.asarray(pacing.second) >= 0)
    shift = jnp.where(right_side & left_side, pacing.vv, 0.0)
    t_right, t_left = pacing.av + jnp.maximum(-shift, 0.0), pacing.av + jnp.maximum(shift, 0.0)

    natural = _bundles(c, own.delay, conducts_left, conducts_right)
    by_his = _bundles(
        c, _when(has_his, t_right + own.his), conducts_left | (jnp.asarray(pacing.corrected) > 0.5), conducts_right
    )
    beside = has_his & (jnp.asarray(pacing.selective) <= 0.5)
    tissue = [
        _right_site(c, jnp.asarray(pacing.right), t_right),
        _right_site(c, jnp.where(beside, BASAL, -1), t_right, insertion(c)),  # basal septum beside the His bundle
        _site(pacing.left, t_left),
        _site(pacing.second, t_left + pacing.between),
    ]
    purkinje = [natural.purkinje, by_his.purkinje, _when(has_area, t_right + LEFT_AREA)]
    return Sources(
        jnp.min(jnp.stack(purkinje), axis=0),
        jnp.min(jnp.stack([natural.myocardium, by_his.myocardium, *tissue]), axis=0),
    )
