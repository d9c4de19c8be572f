"""Type-1 diabetes: the UVA/Padova model S2008 with meals, a sensor, and days that differ.

`subject` is the body, `meal` what is eaten, `sensor` what is seen, `day` how sensitivity changes, `adults` the
published patients of whom new ones are made. Insulin comes as pulses under the skin, as pumps give it.

What is chance in a patient's life (meals, counting, the sensor's error, his days) comes from random numbers of his own,
keyed by the bits of his parameter `chance`: the same under every arm.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from solvers.ode import ode_twin
from solvers.twin import Action, Covariate, Output, Parameter, Spread, log_normal, named
from solvers.twins.glucose import day, meal, sensor, subject
from solvers.twins.glucose.adults import MEANS, NAMES, OPEN, SDS, WEIGHTS

SOURCE = "Dalla Man 2007, IEEE Trans Biomed Eng 54:1740; Kovatchev 2009, J Diabetes Sci Technol 3:44"
ADULTS = "synthetic: log-normal fit to the 10 adults of simglucose 0.2.11 (populations/type1.py)"
SUBJECTS = 10

KNOWN = ("weight", "total_daily_insulin", "basal_rate", "carbohydrate_ratio", "correction_factor")
LOGITS = ("b", "d")
FARTHEST = 2.26  # SDs from the mean: where the farthest of the ten lies; they show nothing beyond

# symbol: name, unit, title
FITTED = {
    "Gb": ("basal_glucose", "mg/dL", "glucose at the basal rate, fasting"),
    "EGPb": ("basal_production", "mg/kg/min", "glucose production at the basal rate"),
    "kabs": ("gut_rate", "1/min", "absorption of glucose from the gut"),
    "kmax": ("emptying_fast", "1/min", "emptying of the stomach, fastest"),
    "kmin": ("emptying_slow", "1/min", "emptying of the stomach, slowest"),
    "Vg": ("glucose_volume", "dL/kg", "volume of glucose in plasma"),
    "Vi": ("insulin_volume", "L/kg", "volume of insulin in plasma"),
    "Vmx": ("uptake_slope", "mg*L/kg/min/pmol", "glucose uptake by insulin"),
    "Km0": ("uptake_half", "mg/kg", "tissue glucose at half the uptake"),
    "k2": ("tissue_return", "1/min", "glucose from tissue to plasma"),
    "k1": ("tissue_transfer", "1/min", "glucose from plasma to tissue"),
    "p2u": ("action_rate", "1/min", "onset of insulin action on uptake"),
    "m1": ("liver_release", "1/min", "insulin from liver to plasma"),
    "m2": ("liver_uptake", "1/min", "insulin from plasma to liver"),
    "ki": ("signal_rate", "1/min", "onset of insulin action on production"),
    "kp2": ("production_by_glucose", "1/min", "suppression of production by glucose"),
    "kp3": ("production_by_insulin", "mg*L/kg/min/pmol", "suppression of production by insulin"),
    "kd": ("depot_transfer", "1/min", "insulin between the depots under the skin"),
    "ksc": ("interstitial_rate", "1/min", "glucose from plasma to the sensor's place"),
    "ka1": ("depot1_rate", "1/min", "insulin from the first depot to plasma"),
    "ka2": ("depot2_rate", "1/min", "insulin from the second depot to plasma"),
    "b": ("slowing_share", "1", "share of a meal left where emptying slows"),
    "d": ("quickening_share", "1", "share of a meal left where emptying quickens"),
}


def _typical(i: int) -> float:
    return 1.0 / (1.0 + math.exp(-MEANS[i])) if NAMES[i] in LOGITS else math.exp(MEANS[i])


def _fitted(i: int) -> Parameter:
    name, unit, title = FITTED[NAMES[i]]
    logit = NAMES[i] in LOGITS
    sd = OPEN[i] * SDS[i]
    return Parameter(
        name,
        unit,
        _typical(i),
        ADULTS,
        "fitted",
        spread=Spread("logit-normal", sd) if logit else log_normal(sd=sd),
        bounds=(0.0, 1.0 if logit else math.inf),
        subjects=SUBJECTS,
        title=f"{title}, but for what goes with the numbers before",
    )


def _assumed(name: str, unit: str, typical: float, source: str, title: str, **rest: Any) -> Parameter:
    return Parameter(name, unit, typical, source, "assumed", title=title, **({"bounds": (0.0, math.inf)} | rest))


PARAMETERS = (
    *(_fitted(i) for i in range(len(NAMES)) if NAMES[i] in FITTED),
    _assumed(
        "carbohydrate",
        "g",
        220.0,
        "five meals of 45/70/15/80/10 g of the reference day of simglucose; its spread is assumed",
        "carbohydrate of a day",
        spread=log_normal(cv=0.2),
    ),
    _assumed("meal_size_sd", "1", 0.35, "assumed", "SD of the logarithm of a meal's size"),
    _assumed("meal_time_sd", "h", 0.5, "assumed", "SD of a meal's time, cut at 0.75 h"),
    _assumed(
        "counting_sd",
        "1",
        0.34,
        "assumed within CV 20-35 % (Brazeau 2013, Diabetes Res Clin Pract 99:e19: mean error 21 %)",
        "SD of the logarithm of counted over eaten carbohydrate",
    ),
    _assumed("counting_bias", "1", 0.0, "assumed", "mean of that logarithm", bounds=(-2.0, 2.0)),
    _assumed("missed_bolus", "1", 0.1, "assumed within 5-10 % of meals", "share of meals not told", bounds=(0.0, 1.0)),
    _assumed(
        "sensitivity",
        "1",
        1.0,
        "assumed; a study calibrates it",
        "insulin sensitivity of these weeks, relative to when the pump was set",
        spread=log_normal(cv=0.05),
    ),
    _assumed("sensitivity_sd", "1", 0.29, "assumed within CV 20-30 %", "SD of the logarithm of daily sensitivity"),
    _assumed(
        "dawn",
        "1",
        0.15,
        "assumed; Visentin 2015, Diabetes Technol Ther 17:1: sensitivity lower in the morning",
        "amplitude of the daily wave of the logarithm of sensitivity",
    ),
    _assumed("dawn_sd", "h", 1.5, "assumed", "SD of the time of lowest sensitivity"),
    Parameter(
        "chance",
        "1",
        0.0,
        "key of the patient's own random numbers, no property",
        "assumed",
        spread=Spread("normal", 1.0),
        title="chance in meals, counting, sensor and days",
    ),
)

_KNOWN = {
    "weight": ("kg", "body weight", (10.0, 300.0)),
    "total_daily_insulin": ("U/day", "insulin of a day", (2.0, 300.0)),
    "basal_rate": ("U/h", "basal rate that keeps fasting glucose steady", (0.05, 10.0)),
    "carbohydrate_ratio": ("g/U", "carbohydrate that a unit of insulin covers", (1.0, 100.0)),
    "correction_factor": ("mg/dL/U", "fall of glucose from a unit of insulin", (1.0, 400.0)),
}

COVARIATES = tuple(
    Covariate(name, unit, _typical(NAMES.index(name)), ADULTS, "fitted", bounds=bounds, title=title)
    for name, (unit, title, bounds) in _KNOWN.items()
)


IN_LOGITS = np.flatnonzero(np.isin(NAMES, LOGITS))

# (score, score before it); what a clinic knows is as it is
ON_OTHERS = np.zeros((len(NAMES), len(NAMES)))
for _i, _name in enumerate(NAMES):
    if _name in FITTED:
        ON_OTHERS[_i, :_i] = WEIGHTS[_i]


def symbols(p: Any) -> dict[str, Any]:
    """The symbols of the model that vary between patients.

    Each score is what those before it let expect, z_i = sum_j w_ij z_j, and what the patient has beyond that.
    """
    # All in one array: each logarithm by itself would be a loop of its own to compile.
    values = jnp.stack([getattr(p, name if name in _KNOWN else FITTED[name][0]) for name in NAMES])
    written = jnp.log(values.at[IN_LOGITS].set(values[IN_LOGITS] / (1.0 - values[IN_LOGITS])))
    means, sds = (jnp.reshape(jnp.array(each), (-1, *[1] * (written.ndim - 1))) for each in (MEANS, SDS))
    own = (written - means) / sds

    def score(i: Any, scores: Any) -> Any:
        return scores.at[i].set(jnp.clip(own[i] + jnp.dot(jnp.asarray(ON_OTHERS)[i], scores), -FARTHEST, FARTHEST))

    scores = means + sds * jax.lax.fori_loop(0, len(NAMES), score, jnp.zeros_like(own))
    found = jnp.exp(scores).at[IN_LOGITS].set(jax.nn.sigmoid(scores[IN_LOGITS]))
    return {name: found[i] for i, name in enumerate(NAMES) if name in FITTED}


def parameters_of(values: Mapping[str, float]) -> dict[str, float]:
    """The parameters at which `symbols` gives these symbols, in a patient of whom a clinic knows these numbers.

    Raises ValueError for one that lies farther from the mean than any that is drawn.
    """
    written = np.array([values[name] for name in NAMES])
    logit = np.isin(NAMES, LOGITS)
    z = (np.log(np.divide(written, 1.0 - written, out=written.copy(), where=logit)) - np.array(MEANS)) / np.array(SDS)
    if (np.abs(z) > FARTHEST).any():
        raise ValueError(f"{NAMES[int(np.argmax(np.abs(z)))]} lies {np.abs(z).max():.1f} SDs from the mean; write less")
    own = np.exp(np.array(MEANS) + np.array(SDS) * (z - ON_OTHERS @ z))
    found = np.divide(own, 1.0 + own, out=own.copy(), where=logit)
    return {FITTED[name][0]: float(found[i]) for i, name in enumerate(NAMES) if name in FITTED}


def derive(p: Any) -> dict[str, Any]:
    values = symbols(p)
    given = named("Subject", [*values, "weight", "basal_rate"])(**values, weight=p.weight, basal_rate=p.basal_rate)
    # As a key, each value of `chance` is as good as any other.
    bits = jax.lax.bitcast_convert_type(p.chance, jnp.uint32)
    own = jax.random.wrap_key_data(bits, impl="threefry2x32")
    eaten, seen, days = _drawn(own, meal.CHANCES, sensor.CHANCES, day.CHANCES)
    return {
        **values,
        **subject.basal(given),
        "meals": meal.meals(eaten, p),
        "sensor_error": sensor.errors(seen),
        "sensitivities": day.sensitivities(days, p),
    }


def _drawn(key: Any, *shapes: tuple[int, ...]) -> list[jax.Array]:
    """Standard normals in several shapes, all from one draw."""
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes))
    drawn = jnp.split(jax.random.normal(key, (ends[-1],)), ends[:-1])
    return [some.reshape(shape) for some, shape in zip(drawn, shapes, strict=True)]


def initial(p: Any) -> dict[str, Any]:
    return subject.at_rest(p) | {"emptied_even": 0.0, "emptied_odd": 0.0}


def rhs(t: Any, y: Any, p: Any) -> dict[str, Any]:
    p = subject.hourly(p)
    eaten = meal.now(t, p.meals)
    even, odd = eaten.even, 1.0 - eaten.even
    q = y.stomach_solid + y.stomach_liquid
    kgut = even * subject.emptying(y, q + y.emptied_even, p) + odd * subject.emptying(y, q + y.emptied_odd, p)
    found = subject.slopes(y, eaten.rate, 0.0, kgut, day.at(t, p.sensitivities), p)
    leaves = kgut * y.stomach_liquid
    return found | {
        "emptied_even": even * leaves - odd * meal.FALL * y.emptied_even,
        "emptied_odd": odd * leaves - even * meal.FALL * y.emptied_odd,
    }


def act(y: Any, action: Any, p: Any) -> dict[str, Any]:
    return {
        "depot1": y.depot1 + subject.PMOL * action.insulin / p.weight,
        # Glucose that is drunk is soon past the stomach.
        "gut": y.gut + 1000.0 * action.glucose_drink,
    }


def observe(y: Any, p: Any, time: Any) -> dict[str, Any]:
    return {
        "glucose": y.plasma_glucose / p.Vg,
        "sensor": sensor.reading(y.interstitial_glucose / p.Vg, time, p.sensor_error),
        "announced": meal.now(time, p.meals).counted,
    }


twin = ode_twin(
    rhs,
    name="glucose",
    title="Type-1 diabetes: UVA/Padova S2008 with meals, sensor and days that differ",
    source=SOURCE,
    states=(*subject.STATES, "emptied_even", "emptied_odd"),
    parameters=PARAMETERS,
    covariates=COVARIATES,
    actions=(
        Action("insulin", "U", "insulin under the skin, at once", bounds=(0.0, 30.0)),
        Action("glucose_drink", "g", "glucose against a low, by mouth", bounds=(0.0, 100.0)),
    ),
    outputs=(
        Output("glucose", "mg/dL", SOURCE, "glucose in plasma", bounds=(0.0, 2000.0)),
        Output(
            "sensor",
            "mg/dL",
            "Breton & Kovatchev 2008, J Diabetes Sci Technol 2:853",
            "glucose as the sensor shows it",
            bounds=(sensor.LOWEST, sensor.HIGHEST),
            device=True,
        ),
        Output("announced", "g", "assumed", "carbohydrate told to the pump so far", bounds=(0.0, 1e7), device=True),
    ),
    derive=derive,
    initial=initial,
    act=act,
    observe=observe,
)
