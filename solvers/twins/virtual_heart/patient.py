"""A patient of the virtual heart: the numbers that he has, and the heart that follows from them."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from solvers.twin import Covariate, Evidence, Parameter, Spread, log_normal
from solvers.twins.virtual_heart.activation import FREE_WALL_NODES, SEPTAL_NODES
from solvers.twins.virtual_heart.anatomy import SEGMENTS, Anatomy, Echo, anatomy, scar
from solvers.twins.virtual_heart.conduction import Conduction
from solvers.twins.virtual_heart.pacing import Intrinsic
from solvers.twins.virtual_heart.parameters import CM2, ML, MMHG, Control, Heart, Wall, reference

LANG = "Lang 2015, J Am Soc Echocardiogr 28:1, middle and width of normal"
VAN_OSTA = "Van Osta 2024, parameter set of CircAdapt, model file 2602"
DURRER = "Durrer 1970, Circulation 41:899; Caldwell 2009, Circ Arrhythm Electrophysiol 2:433"
ASSUMED = "design value of this twin, to be calibrated"
NORMAL, LBBB, RBBB = range(3)
USUAL_EDV = 118.8  # mL, of the published heart
LEAST_ROOM = 200 * ML  # for blood in the pericardium

# name: unit, typical, SD of the logarithm (0: alike in all), bounds, evidence, source, title
_NUMBERS: dict[str, tuple[str, float, float, tuple[float, float], Evidence, str, str]] = {
    "lvidd": ("cm", 5.0, 0.08, (2.5, 9.5), "published", LANG, "inner diameter of the left ventricle, end of diastole"),
    "ivsd": ("cm", 0.9, 0.12, (0.4, 2.5), "published", LANG, "thickness of the septum, end of diastole"),
    "pwtd": ("cm", 0.9, 0.12, (0.4, 2.5), "published", LANG, "thickness of the posterior wall, end of diastole"),
    "lv_length": ("cm", 8.5, 0.07, (5.0, 13.0), "published", LANG, "long axis of the left ventricle"),
    "rv_diameter": ("cm", 3.3, 0.05, (1.8, 7.0), "published", LANG, "basal diameter of the right ventricle"),
    "la_volume": ("mL", 47.5, 0.20, (15.0, 250.0), "published", LANG, "largest volume of the left atrium"),
    "body_surface": ("m^2", 1.9, 0.10, (1.0, 3.2), "assumed", ASSUMED, "body surface area"),
    "septal_share": ("1", 0.29, 0.05, (0.2, 0.36), "published", "AHA segments: 5 of 17", "share of the septum"),
    "lv_area": ("1", 1.04, 0.04, (0.6, 1.6), "assumed", ASSUMED, "factor on the left ventricle's reference area"),
    "rv_area": ("1", 1.06, 0.04, (0.6, 1.8), "assumed", ASSUMED, "factor on the right ventricle's reference area"),
    "contractility": ("kPa/um", 120.0, 0.12, (20.0, 300.0), "published", VAN_OSTA, "active stress, ventricles"),
    "rv_contractility": ("1", 1.0, 0.10, (0.3, 2.5), "assumed", ASSUMED, "right ventricle's active stress, relative"),
    "atrial_contractility": ("kPa/um", 84.0, 0.12, (10.0, 250.0), "published", VAN_OSTA, "active stress, atria"),
    "lv_stiffness": ("1", 1.0, 0.15, (0.2, 8.0), "assumed", ASSUMED, "passive stress of the left ventricle, relative"),
    "rise": ("1", 0.25, 0.05, (0.1, 0.5), "published", VAN_OSTA, "rise of a contraction, tr"),
    "decay": ("1", 0.25, 0.05, (0.1, 0.6), "published", VAN_OSTA, "decay of a contraction, td"),
    "resting_heart_rate": ("1/min", 70.6, 0.13, (40.0, 150.0), "published", VAN_OSTA, "heart rate at rest"),
    "mean_arterial_pressure": ("mmHg", 91.5, 0.09, (50.0, 150.0), "published", VAN_OSTA, "mean arterial pressure"),
    "resting_output": ("L/min", 5.1, 0.12, (2.0, 10.0), "published", VAN_OSTA, "cardiac output at rest"),
    "arterial_stiffness": ("1", 1.667, 0.15, (0.8, 5.0), "published", VAN_OSTA, "stiffness of the aorta, k"),
    "pulmonary_resistance": ("1", 1.0, 0.20, (0.2, 6.0), "published", VAN_OSTA, "pulmonary resistance, relative"),
    "systemic_resistance": ("1", 1.0, 0.0, (0.1, 5.0), "assumed", ASSUMED, "resistance, relative to the baseline's"),
    "pericardium": ("1", 1.0, 0.05, (0.6, 2.5), "assumed", ASSUMED, "room in the pericardium, relative"),
    "baroreflex_gain": ("1", 1.0, 0.20, (0.0, 3.0), "assumed", ASSUMED, "gain of the baroreflex"),
    "pr_interval": ("ms", 150.0, 0.12, (80.0, 350.0), "published", VAN_OSTA, "from the right atrium to the ventricles"),
    "conduction_speed": ("1", 1.0, 0.08, (0.4, 1.6), "assumed", ASSUMED, "factor on all speeds of conduction"),
    "purkinje_speed": ("1", 3.0, 0.10, (1.0, 6.0), "published", DURRER, "Purkinje system over tissue"),
    "tissue_speed": ("1", 1.8, 0.12, (1.0, 3.0), "published", DURRER, "tissue that was paced, over tissue alone"),
    "transseptal_speed": ("m/s", 0.30, 0.12, (0.1, 0.8), "published", DURRER, "through the wall"),
    "aortic_area": ("cm^2", 4.984, 0.0, (0.3, 8.0), "published", VAN_OSTA, "area of the open aortic valve"),
    "mitral_leak": ("cm^2", 1e-5, 0.0, (1e-6, 1.0), "published", VAN_OSTA, "leak of the shut mitral valve"),
}


def _parameter(name: str) -> Parameter:
    unit, typical, sd, bounds, evidence, source, title = _NUMBERS[name]
    spread: Spread | None = log_normal(sd=sd) if sd else None
    return Parameter(name, unit, typical, source, evidence, spread=spread, bounds=bounds, title=title)


SCARS = tuple(f"scar_{segment.ring}_{segment.position}" for segment in SEGMENTS)
PARAMETERS = (
    *(_parameter(name) for name in _NUMBERS),
    *(
        Parameter(name, "1", 0.0, "none unless given", "assumed", bounds=(0.0, 0.95), title=f"scar, {segment.name}")
        for name, segment in zip(SCARS, SEGMENTS, strict=True)
    ),
)
COVARIATES = (
    Covariate(
        "conduction",
        "1",
        "normal",
        "Bussink 2013, Eur Heart J 34:138, and design values of this twin",
        "assumed",
        levels=("normal", "LBBB", "RBBB"),
        frequencies=(0.98, 0.008, 0.012),
        title="conduction of the bundle branches",
    ),
)


class Body(NamedTuple):
    """A patient before any therapy. heart: with the homeostat on."""

    heart: Heart
    anatomy: Anatomy
    conduction: Conduction
    own: Intrinsic


def body(p: Any) -> Body:
    """From the parameters by name, for one patient.

    Active and passive stress are those of the published heart times its wall volume over the patient's, so that a
    thicker wall of the same heart carries as much (anatomy.stress). The pericardium has the published room, and more
    for the patient's walls, and twice what his left ventricle holds more (assumed: both ventricles). Scar: see anatomy.
    """
    echo = Echo(p.lvidd, p.lvidd, p.ivsd, p.pwtd, p.lv_length, p.body_surface, p.rv_diameter, p.la_volume)
    found = anatomy(echo, p.septal_share)
    healthy = reference()
    scars = jnp.stack([getattr(p, name) for name in SCARS])
    lost = scar(scars)
    active, passive = 1e3 * p.contractility * found.stress, p.lv_stiffness * found.stress

    def wall(size: Any, area: Any, active: Any, passive: Any) -> Wall:
        return Wall(size.area * area, size.volume, active, passive)

    free, inner = lost.active[FREE_WALL_NODES], lost.active[SEPTAL_NODES]
    free_stiff, inner_stiff = lost.passive[FREE_WALL_NODES], lost.passive[SEPTAL_NODES]
    walls = (found.left, found.septum, found.right, found.left_atrium, found.right_atrium)
    muscle = sum(size.volume for size in walls)
    usual = sum(each.Vw for each in (healthy.free, healthy.septum, healthy.right))
    usual += healthy.left_atrium.Vw + healthy.right_atrium.Vw
    room = healthy.pericardium.V_ref + (muscle - usual) + 2.0 * (found.edv - USUAL_EDV) * ML
    heart = healthy._replace(
        cycle=60.0 / p.resting_heart_rate,
        free=wall(found.left, p.lv_area, active * free, healthy.free.Sf_pas * passive * free_stiff),
        septum=wall(found.septum, p.lv_area, active * inner, healthy.septum.Sf_pas * passive * inner_stiff),
        right=wall(found.right, p.rv_area, 1e3 * p.contractility * p.rv_contractility, healthy.right.Sf_pas),
        left_atrium=wall(found.left_atrium, 1.0, 1e3 * p.atrial_contractility, healthy.left_atrium.Sf_pas),
        right_atrium=wall(found.right_atrium, 1.0, 1e3 * p.atrial_contractility, healthy.right_atrium.Sf_pas),
        ventricle=healthy.ventricle._replace(tr=p.rise, td=p.decay),
        aorta=healthy.aorta._replace(k=p.arterial_stiffness),
        pulmonary=healthy.pulmonary._replace(p0=healthy.pulmonary.p0 * p.pulmonary_resistance),
        mitral=healthy.mitral._replace(A_leak=p.mitral_leak * CM2),
        aortic=healthy.aortic._replace(A_open=p.aortic_area * CM2),
        pericardium=healthy.pericardium._replace(V_ref=p.pericardium * jnp.maximum(room, muscle + LEAST_ROOM)),
        control=Control(p.mean_arterial_pressure * MMHG, p.resting_output * 1e-3 / 60.0, 0.4, 0.0, 12.0),
    )
    conduction = Conduction(
        radius=found.radius,
        length=found.length,
        thickness=found.thickness,
        purkinje=p.purkinje_speed,
        myocardium=p.tissue_speed,
        c_t=p.transseptal_speed,
        slow=p.conduction_speed,
        scar=scars,
    )
    blocked = jnp.round(p.conduction)
    own = Intrinsic(1e-3 * p.pr_interval, jnp.where(blocked == LBBB, 0.0, 1.0), jnp.where(blocked == RBBB, 0.0, 1.0))
    return Body(heart, found, conduction, own)
