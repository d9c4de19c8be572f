"""Of how many patches each wall is, and the names that follow: of states, of what is seen of a beat, of constants."""

import collections
import functools
from typing import Any, NamedTuple

from solvers.twins.virtual_heart.parameters import Bed, Control, Muscle, Pericardium, Pump, Tube, Valve

CAVITIES = ("aorta", "veins", "lung_artery", "lung_veins", "LA", "RA", "LV", "RV")
TUBES, CHAMBERS = CAVITIES[:4], CAVITIES[4:]
VALVES = ("caval", "tricuspid", "pulmonic", "lung_inlet", "mitral", "aortic")
WALLS = ("L", "S", "R", "LA", "RA")
PATCH = ("Am_ref", "Vw", "Sf_act", "Sf_pas", "t")
GROUPS: dict[str, Any] = {
    **dict.fromkeys(("ventricle", "atrium"), Muscle),
    **dict.fromkeys(TUBES, Tube),
    **dict.fromkeys(("systemic", "pulmonary"), Bed),
    **dict.fromkeys(VALVES, Valve),
    "pericardium": Pericardium,
    "pump": Pump,
    "control": Control,
}


class Patch(NamedTuple):
    """Am_ref [m2], Vw [m3], Sf_act [Pa/um], Sf_pas [Pa] of a patch; t: its activation after the right atrium's [s]."""

    Am_ref: Any
    Vw: Any
    Sf_act: Any
    Sf_pas: Any
    t: Any


class Layout(NamedTuple):
    """Patches of the left free wall, the septum and the right free wall; an atrium is one."""

    free: int = 12
    septum: int = 6
    right: int = 1

    @property
    def walls(self) -> dict[str, tuple[str, ...]]:
        """Names of the patches of each wall."""
        many = {"L": self.free, "S": self.septum, "R": self.right}
        named = {wall: tuple(f"{wall}{k + 1}" for k in range(count)) for wall, count in many.items()}
        return named | {"LA": ("LA",), "RA": ("RA",)}

    @property
    def patches(self) -> tuple[str, ...]:
        """Names of all, wall by wall."""
        return tuple(name for names in self.walls.values() for name in names)


def _each(symbols: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{symbol}_{name}" for symbol in symbols for name in names)


@functools.cache
def _type(kind: str, names: tuple[str, ...]) -> Any:
    return collections.namedtuple(kind, names)


def state_type(layout: Layout) -> Any:
    """State, the class: what the next step starts from.

    V_: volumes [m3]. q_: flows through valves [m3/s]. V_S, Y: the junction of the ventricles. By patch: l_si_ [um],
    C_, and their slopes at the step before, dl_si_ and dC_; Am_: area then [m2]. By wall, T_: tension then [N/m]; p_LV,
    p_RV: pressure then [Pa]. p0: of the systemic bed [Pa]; fac: of the homeostat; x_b: of the baroreflex; cycle: length
    of this beat [s].
    """
    names = (*_each(("V",), CAVITIES), *_each(("q",), VALVES), "V_S", "Y")
    names += (*_each(("l_si", "C", "dl_si", "dC", "Am"), layout.patches), *_each(("T",), WALLS))
    return _type("State", (*names, "p_LV", "p_RV", "p0", "fac", "x_b", "cycle"))


def constants_type(layout: Layout) -> Any:
    """Constants, the class: what one step reads of a patient, in the units of `parameters`.

    Am_ref_, Vw_, Sf_act_, Sf_pas_, t_ by patch; the fields of each group, as aorta_A0; cycle and onset [s]: length of
    a beat without reflex, and the first activation of a ventricle after the right atrium's; left, right: half the
    volumes of the two walls about a ventricle; all_walls: volume of all walls [m3].
    """
    names = tuple(f"{group}_{field}" for group, kind in GROUPS.items() for field in kind._fields)
    extra = ("mitral_shut", "cycle", "onset", "left", "right", "all_walls")
    return _type("Constants", (*_each(PATCH, layout.patches), *names, *extra))


@functools.cache
def seen_start(layout: Layout) -> Any:
    """A Seen, of nothing yet: the number that each field has before the first step of a beat."""
    many = 1e30  # more than any value
    start: dict[str, float] = {}
    start |= dict.fromkeys(_each(("V_max", "p_max"), CHAMBERS), -many)
    start |= dict.fromkeys(_each(("V_min",), CHAMBERS), many)
    start |= {"p_max_aorta": -many, "p_min_aorta": many, "p_max_trunk": -many, "p_min_trunk": many}
    start |= {"p_max_peri": -many, "rise_LV": -many, "fall_LV": many, "rise_RV": -many, "fall_RV": many}
    start |= dict.fromkeys(_each(("V_onset", "p_onset"), CHAMBERS), 0.0)
    start |= dict.fromkeys(_each(("T_onset",), WALLS), 0.0)
    start |= dict.fromkeys(("p_sum_aorta", "p_sum_trunk", "p_sum_LA", "p_sum_RA"), 0.0)
    start |= dict.fromkeys(("q_sum_mitral", "q_sum_aortic", "q_sum_tricuspid", "q_sum_pulmonic"), 0.0)
    start |= dict.fromkeys(("q_back_mitral", "q_back_aortic", "q_sum_systemic", "q_sum_pump"), 0.0)
    start |= dict.fromkeys(("work_LV", "work_RV"), 0.0)
    start |= dict.fromkeys(_each(("open_sum", "gradient_sum", "gradient_max"), ("mitral", "aortic")), 0.0)
    start |= {"early_mitral": 0.0, "atrial_mitral": 0.0}
    start |= dict.fromkeys(("t_shut_mitral", "t_open_aortic", "t_shut_aortic", "t_open_mitral"), many)
    start |= {"p_end_LV": 0.0, "V_end_LV": 0.0}
    start |= {"length_min_L": many, "length_min_S": many, "length_min_LS": many, "length_early_S": many}
    start |= {"rebound_S": 0.0, "clamped": 0.0}
    start |= dict.fromkeys(_each(("ls_min",), layout.patches), many)
    start |= dict.fromkeys(_each(("ls_onset", "work", "stress"), layout.patches), 0.0)
    return _type("Seen", tuple(start))(**start)
