"""Hybrid closed loop: background insulin by model-predictive control to a zone; meals are announced.

The model is known of the patient a priori: in five-minute steps, u beyond basal [U] moves glucose y by

    y / u = g z^-3 / ((1 - p1 z^-1) (1 - p2 z^-1)^2),   g = -60 F (1800 / daily insulin) (1 - p1) (1 - p2)^2

with p1 = 0.98, p2 = 0.965, F = 1.5 (van Heusden 2012, IEEE Trans Biomed Eng 59:1839). Announced carbohydrate acts like
the insulin that covers it, with the other sign and faster, pm = 0.93 for p2 (assumed). What neither explains is a drift
that an observer learns and that fades. Each tick minimises over the next half hour of u

    sum over two hours of (how far predicted glucose leaves the zone)^2 + 7000 u^2 above basal, 100 u^2 below

within u >= -basal and u <= what insulin on board leaves of a correction, by accelerated projected gradient steps, and
gives the first. Zone, asymmetry and limit after Gondhalekar 2016, Automatica 71:237, and Ellingsen 2009, J Diabetes Sci
Technol 3:536; horizons and observer are assumed.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from trials.insulin import Algorithm, Clinic, Now, Number, pump

P1, P2, PM, SAFETY = 0.98, 0.965, 0.93, 1.5
FADE = 0.97  # of the drift in a tick
SETPOINT = 110.0  # mg/dL, that the model moves from
AHEAD, FREE = 24, 6  # ticks: predicted, and of those with insulin to choose
ABOVE, BELOW = 7000.0, 100.0
ITERATIONS = 20
TRUST, LEARN = 0.4, 0.03  # of what a reading adds: to glucose, to the drift

# One tick of [u1, u2, m1, m2, y] for a gain of 1; insulin and meals enter u1 and m1 before it.
MEAL = ((1.0 - PM) / (1.0 - P2)) ** 2
STEP = np.array([[P2, 0, 0, 0, 0], [1, P2, 0, 0, 0], [0, 0, PM, 0, 0], [0, 0, 1, PM, 0], [0, 1, 0, -MEAL, P1]])


def _ahead() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Glucose in the next ticks: from the states for a gain of 1, (tick, 5), the drift, (tick,), and insulin now and in
    the ticks after, (tick, choice)."""
    rows = np.array([np.linalg.matrix_power(STEP, k)[4] for k in range(1, AHEAD + 1)])
    drift = [sum(P1 ** (k - j) * FADE**j for j in range(k + 1)) for k in range(AHEAD)]
    columns = [np.concatenate([np.zeros(j), rows[: AHEAD - j, 0]]) for j in range(FREE)]
    return rows, np.array(drift), np.stack(columns, 1)


FROM_STATE, FROM_DRIFT, FROM_INSULIN = _ahead()
LARGEST = float(np.linalg.norm(FROM_INSULIN, 2) ** 2)


class Memory(NamedTuple):
    insulin1: Any  # U
    insulin2: Any
    meal1: Any  # U that cover it
    meal2: Any
    glucose: Any  # deviation [mg/dL]
    drift: Any  # mg/dL in a tick


def begin(clinic: Clinic, s: Mapping[str, Any]) -> Memory:
    nothing = jnp.zeros(())
    return Memory(nothing, nothing, nothing, nothing, jnp.full((), jnp.nan), nothing)


def give(now: Now, clinic: Clinic, memory: Memory, s: Mapping[str, Any]) -> tuple[Any, Memory]:
    seen = now.glucose - SETPOINT
    surprise = jnp.where(jnp.isnan(memory.glucose), 0.0, seen - memory.glucose)
    glucose = jnp.where(jnp.isnan(memory.glucose), seen, memory.glucose + TRUST * surprise)
    drift = memory.drift + LEARN * surprise
    meal1 = memory.meal1 + now.told / clinic.ratio
    memory = Memory(memory.insulin1, memory.insulin2, meal1, memory.meal2, glucose, drift)

    gain = gain_of(clinic)
    moves = gain * ((memory.insulin1 + now.bolus) * FROM_STATE[:, 0] + memory.insulin2 * FROM_STATE[:, 1])
    moves += gain * (memory.meal1 * FROM_STATE[:, 2] + memory.meal2 * FROM_STATE[:, 3])
    free = moves + glucose * FROM_STATE[:, 4] + drift * FROM_DRIFT + SETPOINT
    room = jnp.maximum((now.glucose - s["correct to"]) / clinic.factor - now.on_board, 0.0)
    most = jnp.minimum(room, s["most"] * clinic.basal)
    u = best(free, gain, clinic.basal, most, s["zone low"], s["zone high"])
    background = jnp.where(now.glucose < s["stop below"], 0.0, clinic.basal + u)
    return background, memory


def best(free: Any, gain: Any, basal: Any, most: Any, low: Any, high: Any) -> Any:
    """The first of the moves beyond basal [U] that minimise the cost. free: glucose without them [mg/dL], (AHEAD,)."""
    # More and less insulin are moves of their own, each with a pace that its own weight allows.
    weights = jnp.array([[ABOVE], [BELOW]])
    signs, limits = jnp.array([[1.0], [-1.0]]), jnp.stack([most, basal])[:, None]
    pace = 0.5 / (2.0 * gain * gain * LARGEST + weights)

    def step(_: Any, carry: tuple) -> tuple:
        moves, ahead, momentum = carry
        y = free + gain * (FROM_INSULIN @ (ahead[0] - ahead[1]))
        off = jnp.maximum(y - high, 0.0) - jnp.maximum(low - y, 0.0)
        slope = 2.0 * (signs * gain * (off @ FROM_INSULIN) + weights * ahead)
        after = jnp.clip(ahead - pace * slope, 0.0, limits)
        heavier = (1.0 + jnp.sqrt(1.0 + 4.0 * momentum * momentum)) / 2.0
        return after, after + (momentum - 1.0) / heavier * (after - moves), heavier

    start = jnp.zeros((2, FREE))
    more, less = jax.lax.fori_loop(0, ITERATIONS, step, (start, start, jnp.ones(())))[0][:, 0]
    return more - less


def gain_of(clinic: Clinic) -> Any:
    """g: mg/dL from a unit in the model's second insulin state, in one tick."""
    return -60.0 * SAFETY * (1800.0 / clinic.daily) * (1.0 - P1) * (1.0 - P2) ** 2


def gave(given: Any, clinic: Clinic, memory: Memory) -> Memory:
    u1 = memory.insulin1 + (given - clinic.basal)
    gain = gain_of(clinic)
    return Memory(
        P2 * u1,
        u1 + P2 * memory.insulin2,
        PM * memory.meal1,
        memory.meal1 + PM * memory.meal2,
        P1 * memory.glucose + gain * (memory.insulin2 - MEAL * memory.meal2) + memory.drift,
        FADE * memory.drift,
    )


NUMBERS = {
    "zone low": Number("lower end of the zone", "mg/dL", "80 mg/dL", (60.0, 110.0)),
    "zone high": Number("upper end of the zone", "mg/dL", "140 mg/dL", (110.0, 200.0)),
    "most": Number("most beyond basal in a tick, in basal amounts", "1", "8", (0.0, 20.0)),
    "stop below": Number("glucose below which no background insulin is given", "mg/dL", "70 mg/dL", (0.0, 100.0)),
}
form = pump(
    "model-predictive background insulin, meals announced", "hybrid-closed-loop", Algorithm(begin, give, gave), NUMBERS
)
