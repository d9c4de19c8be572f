"""Predictive low-glucose suspend: a pump with basal and boluses that stops the basal rate before a low.

A line through the last four readings tells glucose 30 min ahead. The pump stops where it is told to fall below 80
mg/dL, or lies below 70; it goes on where neither holds and glucose rises, and stops for at most 2 h within 2.5 h.
After the rules of Basal-IQ: Forlenza 2018, Diabetes Care 41:2155 (PROLOG).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from trials.insulin import BASAL, TICK, Algorithm, Clinic, Now, Number, pump

WINDOW = 30  # ticks, 2.5 h
LONGEST = 24  # ticks, 2 h


class Memory(NamedTuple):
    before: Any  # readings 5, 10 and 15 min ago [mg/dL], (3,)
    stopped: Any  # whether it was, by tick, the last first, (30,)


def begin(clinic: Clinic, s: Mapping[str, Any]) -> Memory:
    return Memory(jnp.full(3, jnp.nan), jnp.zeros(WINDOW))


def give(now: Now, clinic: Clinic, memory: Memory, s: Mapping[str, Any]) -> tuple[Any, Memory]:
    readings = jnp.append(now.glucose, memory.before)
    slope = jnp.dot(jnp.array([0.3, 0.1, -0.1, -0.3]), readings) / TICK  # of the least-squares line [mg/dL/h]
    line = jnp.mean(readings) + 1.5 * TICK * slope
    ahead = line + slope * s["ahead"]
    low = (ahead < s["suspend below"]) | (now.glucose < s["suspend at"])
    keeps = (memory.stopped[0] > 0.0) & (slope <= 0.0)
    stops = (low | keeps) & (jnp.sum(memory.stopped) < LONGEST)
    stopped = jnp.append(stops.astype(float), memory.stopped[:-1])
    return jnp.where(stops, 0.0, s["basal"] * clinic.basal), Memory(readings[:3], stopped)


NUMBERS = {
    **BASAL,
    "suspend below": Number("predicted glucose at which the pump stops", "mg/dL", "80 mg/dL", (50.0, 120.0)),
    "suspend at": Number("glucose at which the pump stops", "mg/dL", "70 mg/dL", (40.0, 110.0)),
    "ahead": Number("how far ahead is predicted", "h", "30 min", (0.0, 1.0)),
}
form = pump("a basal rate that stops before a low", "low-glucose-suspend", Algorithm(begin, give), NUMBERS)
