"""Background insulin by proportion, integral and derivative of glucose, with insulin feedback.

    rate = (1 + gamma) PID - gamma Ip,   PID = Kp (e + TD dG/dt) + integral of Kp e / TI,   e = G - target

Ip is the delivered rate after two compartments of 55 min, so that at rest rate = PID. The integral starts at the basal
rate and stays between 0 and three times it; the rate stays below its own limit. Boluses for announced meals are given.
Steil 2006, Diabetes 55:3344; Steil 2011, J Clin Endocrinol Metab 96:1402 (insulin feedback). Kp in proportion to daily
insulin is theirs, its value and gamma are assumed.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from trials.insulin import TICK, Algorithm, Clinic, Now, Number, pump

LAG = 55.0 / 60.0  # h


class Memory(NamedTuple):
    integral: Any  # U/h
    before: Any  # readings 5, 10 and 15 min ago [mg/dL], (3,)
    under: Any  # delivered rate after the first and the second compartment [U/h]
    plasma: Any


def begin(clinic: Clinic, s: Mapping[str, Any]) -> Memory:
    basal = clinic.basal / TICK
    return Memory(basal, jnp.full(3, jnp.nan), basal, basal)


def give(now: Now, clinic: Clinic, memory: Memory, s: Mapping[str, Any]) -> tuple[Any, Memory]:
    basal = clinic.basal / TICK
    gain = s["gain"] * clinic.daily / 1000.0
    error = now.glucose - s["target"]
    slope = jnp.dot(jnp.array([0.3, 0.1, -0.1, -0.3]), jnp.append(now.glucose, memory.before)) / TICK
    slope = jnp.where(jnp.isnan(slope), 0.0, slope)
    integral = jnp.clip(memory.integral + gain * error / s["integral time"] * TICK, 0.0, 3.0 * basal)
    pid = gain * (error + s["derivative time"] * slope) + integral
    rate = (1.0 + s["feedback"]) * pid - s["feedback"] * memory.plasma
    rate = jnp.clip(rate, 0.0, s["most"] * basal)
    return rate * TICK, memory._replace(integral=integral, before=jnp.append(now.glucose, memory.before[:2]))


def gave(given: Any, clinic: Clinic, memory: Memory) -> Memory:
    share = 1.0 - jnp.exp(-TICK / LAG)
    under = memory.under + share * (given / TICK - memory.under)
    return memory._replace(under=under, plasma=memory.plasma + share * (under - memory.plasma))


NUMBERS = {
    "target": Number("glucose that it keeps", "mg/dL", "120 mg/dL", (80.0, 200.0)),
    "gain": Number("U/h for each mg/dL, of a thousandth of daily insulin", "1", "0.5", (0.0, 3.0)),
    "integral time": Number("integral time TI", "h", "450 min", (1.0, 24.0)),
    "derivative time": Number("derivative time TD", "h", "66 min", (0.0, 4.0)),
    "feedback": Number("insulin feedback gamma", "1", "0.5", (0.0, 2.0)),
    "most": Number("highest rate, in basal rates", "1", "4", (1.0, 10.0)),
}
form = pump("background insulin by PID with insulin feedback", "pid", Algorithm(begin, give, gave), NUMBERS)
