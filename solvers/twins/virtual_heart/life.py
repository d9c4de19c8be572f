"""A heart from tick to tick: it settles under its therapy, and is looked at.

Pressures and flows settle within minutes, so that a tick of an hour or more ends in the steady beat under its therapy.
The baseline is kept at its mean pressure and flow by the homeostat; from then on the volume of blood and the resistance
are the patient's own, changed by therapy alone and by the baroreflex. Growth of the walls over months is not in it.
"""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp

from solvers.status import Status
from solvers.twins.virtual_heart.activation import Activation, activate
from solvers.twins.virtual_heart.beat import LEAST_V, Beat
from solvers.twins.virtual_heart.constants import constants, initial
from solvers.twins.virtual_heart.electrocardiogram import Shape, shape
from solvers.twins.virtual_heart.layout import CAVITIES, CHAMBERS, state_type
from solvers.twins.virtual_heart.observed import LARGEST, observed
from solvers.twins.virtual_heart.parameters import ML, Heart
from solvers.twins.virtual_heart.patient import Body, body
from solvers.twins.virtual_heart.settle import Settled, settle
from solvers.twins.virtual_heart.therapies import paced, treated

BEAT = Beat()
KIND = state_type(BEAT.layout)
RESISTANCE = KIND._fields.index("p0")
BLOOD = jnp.array([name.startswith("V_") and name.removeprefix("V_") in CAVITIES for name in KIND._fields], float)
AMPLIFICATION = 1.1  # of systolic pressure on its way to the arm; 1.08-1.12
LOST = 1e-9  # of all blood
BASELINE, TREATED = 300, 200  # beats at most


class State(NamedTuple):
    """row: state of the beat, (state,). blood: at the baseline [m3]. resistance: of the systemic bed at the baseline
    [Pa]. seen: outputs by name. trouble: a Status."""

    row: Any
    blood: Any
    resistance: Any
    seen: dict[str, Any]
    trouble: Any


def start(p: Any) -> State:
    """The baseline of a patient: his own conduction, no therapy, the homeostat on."""
    him = body(p)
    activation = activate(him.conduction, him.own)
    c = _constants(him.heart, activation)
    settled = settle(BEAT, initial(c, BEAT.layout), c, BASELINE)
    return State(settled.row, settled.row @ BLOOD, settled.state.p0, _seen(settled, c, activation), _trouble(settled))


def advance(y: State, p: Any, action: Any, time: Any, tick: Any) -> State:
    """The state under a therapy that lasts long enough to settle."""
    him = body(p)
    c, activation, volume = under(him, y, p, action)
    blood = volume * y.blood
    # What is given or taken is so everywhere; the beats to come share it out.
    row = y.row * jnp.where(BLOOD > 0.0, blood / (y.row @ BLOOD), 1.0)
    settled = settle(BEAT, KIND(*row.at[RESISTANCE].set(c.systemic_p0)), c, TREATED)
    status = _trouble(settled)
    # A cavity that runs empty is kept from it, by blood from nowhere.
    made = jnp.abs(settled.row @ BLOOD / blood - 1.0) > LOST
    status = jnp.where(made & (status <= Status.OK), int(Status.OUT_OF_SHAPE), status)
    found = State(settled.row, y.blood, y.resistance, _seen(settled, c, activation), status)
    return found._replace(trouble=jnp.maximum(found.trouble, y.trouble))


def under(him: Body, y: State, p: Any, action: Any) -> tuple[Any, Activation, Any]:
    """Constants of a beat under a therapy, its activation, and how much blood there is, of that at the baseline."""
    own = him.heart._replace(
        systemic=him.heart.systemic._replace(p0=y.resistance * p.systemic_resistance),
        control=him.heart.control._replace(e=0.0, g=p.baroreflex_gain),
    )
    therapy = treated(own, action, p)
    intrinsic = him.own._replace(delay=him.own.delay * therapy.delay)
    activation = activate(him.conduction, intrinsic, paced(action, p))
    return _constants(therapy.heart, activation), activation, therapy.volume


def probe(y: State, p: Any, action: Any) -> tuple[dict[str, Any], Activation, Shape]:
    """One beat in the state y under a therapy: its waves, as `Beat.probe` gives them, its activation, and what its
    electrocardiogram needs."""
    him = body(p)
    c, activation, _ = under(him, y, p, action)
    walls = (him.heart.free.Vw, him.heart.septum.Vw, him.heart.right.Vw)
    return BEAT.probe(KIND(*y.row), c), activation, shape(him.conduction, *walls)


def look(y: State, p: Any, time: Any) -> dict[str, Any]:
    """Outputs by name."""
    return y.seen


def trouble(y: State, p: Any) -> Any:
    """Status of the beat."""
    return y.trouble


def _constants(heart: Heart, activation: Activation) -> Any:
    times = jnp.concatenate([activation.left, activation.septum, activation.right[None]]) - activation.onset
    return constants(heart, times, activation.onset, BEAT.layout)


def _trouble(settled: Settled) -> Any:
    """What is wrong with a beat: the worst of it."""
    finite = jnp.isfinite(jnp.sum(jnp.abs(settled.row)))
    status = jnp.where(settled.converged, int(Status.OK), int(Status.UNSETTLED))
    status = jnp.where(settled.seen.V_max_LV > LARGEST, int(Status.OUT_OF_BOUNDS), status)
    least = functools.reduce(jnp.minimum, [getattr(settled.seen, f"V_min_{name}") for name in CHAMBERS])
    bound = (settled.seen.clamped > 0.0) | (least <= 1.001 * LEAST_V)
    status = jnp.where(bound, int(Status.OUT_OF_SHAPE), status)
    status = jnp.where(settled.reached, status, int(Status.UNREACHED))
    return jnp.where(finite, status, int(Status.NOT_FINITE))


def _seen(settled: Settled, c: Any, activation: Activation) -> dict[str, Any]:
    o = observed(settled.state, settled.seen, c, BEAT.layout, BEAT.steps(c))
    found = {name: o[symbol] for name, symbol in SYMBOLS.items()}
    joules = 133.322 * ML
    found |= {"oxygen_demand": o["PVA"] * joules * o["HR"], "external_work": o["LV_work"] * joules}
    found["cuff_systolic_pressure"] = AMPLIFICATION * o["SBP"]
    found |= {"qrs_duration": 1e3 * activation.qrs, "lv_activation_time": 1e3 * activation.left_total}
    # Times of a valve that never opens, and pressures of a heart that stands still, are the statuses' to tell.
    return {name: jnp.nan_to_num(value, nan=0.0) for name, value in found.items()}


SYMBOLS = {
    **{"end_diastolic_volume": "EDV", "end_systolic_volume": "ESV", "ejection_fraction": "EF", "stroke_volume": "SV"},
    **{"cardiac_output": "CO", "heart_rate": "HR", "lvedp": "LVEDP", "lv_peak_pressure": "LVPmax"},
    **{"dp_dt_max": "dPdtmax", "dp_dt_min": "dPdtmin", "systolic_pressure": "SBP", "diastolic_pressure": "DBP"},
    **{"mean_pressure": "MAP", "pulmonary_pressure": "mPAP", "pulmonary_systolic_pressure": "PASP"},
    **{"left_atrial_pressure": "mLAP", "right_atrial_pressure": "mRAP", "global_strain": "GSmin"},
    **{"septal_strain": "SepS", "lateral_strain": "LatS", "septal_flash": "flash", "septal_rebound": "rebound"},
    **{
        "aortic_gradient": "AVgrad_mean",
        "mitral_gradient": "MVgrad_mean",
        "mitral_regurgitation": "mitral_regurgitation",
    },
    **{"rv_end_diastolic_volume": "RVEDV", "rv_ejection_fraction": "RVEF", "left_atrial_volume": "LAVmax"},
    **{"e_wave": "E_wave", "a_wave": "A_wave", "isovolumic_contraction": "IVCT", "ejection_time": "ET"},
    **{"isovolumic_relaxation": "IVRT", "filling_time": "filling", "wall_stress": "LV_stress_mean"},
    **{"pump_flow": "pump_flow"},
}
