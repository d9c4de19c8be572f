"""An insulin pump with a sensor: what all its algorithms share.

Every tick of 5 min the algorithm says how much background insulin the pump gives. To it come, whatever the algorithm,
the bolus for announced carbohydrate with the correction of a bolus calculator,

    bolus = carbohydrate / ratio + max(0, (G - target) / factor - insulin on board) where G > limit,

and what the patient himself does about a low: glucose to drink. Insulin on board is what was given beyond the basal
rate and has not acted, two compartments of equal rate of which a tenth is left after its duration. The pump gives steps
of 0.05 U, at most 30 U at once, and carries what is less than a step.

What an algorithm knows is what a clinic knows: weight, daily insulin, basal rate, carbohydrate ratio. The correction
factor follows the 1800 rule, 1800 / daily insulin (Davidson 2008, Endocr Pract 14:1095), unless the clinic's own is
asked for.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from solvers.policy import Policy, Seen, Setting
from solvers.quantity import quantity
from solvers.twin import Twin
from trials.dosing import OptionError, text
from trials.policies import Form

TICK = 1.0 / 12.0  # h
STEP = 0.05  # U
MOST = 30.0  # U
LEFT = 3.88972  # (1 + x) e^-x = 0.1
AGAIN = 0.3  # h between two drinks, at least
CHANNELS = ("sensor", "announced")
ACTIONS = ("insulin", "glucose_drink")
COVARIATES = ("weight", "total_daily_insulin", "basal_rate", "carbohydrate_ratio", "correction_factor")


class Number(NamedTuple):
    """A number that a study may write: its unit, what stands where it is left out, and the bounds that make sense."""

    title: str
    unit: str
    default: str
    bounds: tuple[float, float]


BASAL = {"basal": Number("share of the clinic's basal rate", "1", "100 %", (0.0, 2.0))}
SHARED = {
    "bolus": Number("share of the bolus for a meal", "1", "100 %", (0.0, 2.0)),
    "correct above": Number("glucose from which a bolus corrects", "mg/dL", "150 mg/dL", (100.0, 400.0)),
    "correct to": Number("glucose to which it corrects", "mg/dL", "120 mg/dL", (80.0, 200.0)),
    "insulin lasts": Number("time after which a tenth of a bolus is left", "h", "4 h", (2.0, 8.0)),
    "treat below": Number("glucose at which the patient drinks", "mg/dL", "70 mg/dL", (0.0, 100.0)),
    "treat with": Number("glucose that he drinks", "g", "16 g", (0.0, 60.0)),
}


class Clinic(NamedTuple):
    """What is known of a patient: basal [U/tick], ratio [g/U], factor [mg/dL/U], daily [U/day], weight [kg]."""

    basal: Any
    ratio: Any
    factor: Any
    daily: Any
    weight: Any


class Now(NamedTuple):
    """A tick as an algorithm sees it: time [h]; glucose [mg/dL]; on_board [U]; bolus: given now [U]; told: now [g]."""

    time: Any
    glucose: Any
    on_board: Any
    bolus: Any
    told: Any


class Memory(NamedTuple):
    clinic: Clinic
    told: Any  # so far [g]
    early: Any  # insulin on board, by compartment [U]
    late: Any
    carried: Any  # U
    drank: Any  # time of the last drink [h]
    own: Any


class Algorithm(NamedTuple):
    """begin(clinic, settings) -> its memory. give(now, clinic, memory, settings) -> (background insulin of this tick
    [U], memory). gave(given [U] in all, clinic, memory) -> memory, once the pump has."""

    begin: Callable[[Clinic, Mapping[str, Any]], Any]
    give: Callable[[Now, Clinic, Any, Mapping[str, Any]], tuple[Any, Any]]
    gave: Callable[[Any, Clinic, Any], Any] = lambda given, clinic, memory: memory


def pump(title: str, name: str, algorithm: Algorithm, numbers: Mapping[str, Number]) -> Form:
    """How a study file writes a pump with this algorithm; `numbers` are the algorithm's own."""
    all_numbers = {**SHARED, **numbers}

    def build(options: Mapping[str, Any], twin: Twin, tick: float) -> Policy:
        _check(twin, tick)
        settings = {key: _setting(key, text(options, key), number) for key, number in all_numbers.items()}
        rule = text(options, "correction")
        if rule not in ("1800 rule", "clinic"):
            raise OptionError("correction", f"correction '{rule}' is unknown; write 1800 rule or clinic")
        return _policy(name, algorithm, settings, rule)

    return Form(
        title=title,
        keys={key: f"{number.title}, such as {number.default}" for key, number in all_numbers.items()}
        | {"correction": "correction factor by the 1800 rule, or the clinic's: 1800 rule, clinic"},
        defaults={key: number.default for key, number in all_numbers.items()} | {"correction": "1800 rule"},
        build=build,
    )


def _check(twin: Twin, tick: float) -> None:
    has = {item.name for item in twin.outcomes} | {item.name for item in twin.covariates}
    for name in (*CHANNELS, *ACTIONS, *COVARIATES):
        if name not in has:
            raise OptionError("policy", f"an insulin pump needs '{name}', which twin '{twin.name}' lacks")
    if abs(tick - TICK) > 1e-9:
        raise OptionError("policy", f"a pump acts every 5 min, and a tick is {60 * tick:g} min; write tick: 5 min")


def _setting(key: str, written: str, number: Number) -> Setting:
    try:
        value = quantity(written, number.unit)
    except ValueError as error:
        raise OptionError(key, f"{key} {error}") from error
    low, high = number.bounds
    if not low <= value <= high:
        raise OptionError(key, f"{key} '{written}' makes no sense; write {low:g} to {high:g} {number.unit}")
    return Setting(number.title, number.unit, value, number.bounds)


def _policy(name: str, algorithm: Algorithm, settings: Mapping[str, Setting], rule: str) -> Policy:
    def begin(p: Any, s: Mapping[str, Any]) -> Memory:
        factor = 1800.0 / p.total_daily_insulin if rule == "1800 rule" else p.correction_factor
        clinic = Clinic(p.basal_rate * TICK, p.carbohydrate_ratio, factor, p.total_daily_insulin, p.weight)
        nothing = jnp.zeros(())
        return Memory(clinic, nothing, nothing, nothing, nothing, nothing - 24.0, algorithm.begin(clinic, s))

    def decide(time: Any, seen: Seen, memory: Memory, s: Mapping[str, Any]) -> tuple[Mapping[str, Any], Memory]:
        clinic = memory.clinic
        glucose = seen.measured["sensor"]
        so_far = seen.measured["announced"]
        told = so_far - memory.told
        rate = LEFT / s["insulin lasts"] * TICK
        early = memory.early * jnp.exp(-rate)
        late = (memory.late + memory.early * rate) * jnp.exp(-rate)
        on_board = jnp.maximum(early + late, 0.0)
        correction = jnp.maximum((glucose - s["correct to"]) / clinic.factor - on_board, 0.0)
        correction = jnp.where(glucose > s["correct above"], correction, 0.0)
        bolus = jnp.where(told > 0.0, s["bolus"] * told / clinic.ratio + correction, 0.0)
        background, own = algorithm.give(Now(time, glucose, on_board, bolus, told), clinic, memory.own, s)
        wanted = bolus + jnp.maximum(background, 0.0) + memory.carried
        # What is a step but for rounding is a step.
        given = jnp.minimum(jnp.floor(wanted / STEP + 1e-9) * STEP, MOST)
        own = algorithm.gave(given, clinic, own)
        low = (glucose < s["treat below"]) & (time - memory.drank > AGAIN)
        amounts = {"insulin": given, "glucose_drink": jnp.where(low, s["treat with"], 0.0)}
        carried = jnp.clip(wanted - given, 0.0, STEP)
        drank = jnp.where(low, time, memory.drank)
        return amounts, Memory(clinic, so_far, early + given - clinic.basal, late, carried, drank, own)

    return Policy(name, begin, decide, by_patient=False, settings=settings)
