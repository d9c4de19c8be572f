"""What each therapy does to which mechanism, and by how much: data.

An effect is a factor on a mechanism, 1 without the therapy. Its size is that at the full target dose; a published range
is taken as two standard deviations on either side of its geometric mean.
"""

import math
from typing import NamedTuple

from solvers.twin import Action, Parameter, Spread, log_normal

MECHANISMS = {
    "resistance": "systemic resistance",
    "lung_resistance": "pulmonary resistance",
    "capacity": "unstressed volume of the systemic veins",
    "volume": "stressed volume",
    "force": "active stress of both ventricles",
    "rate": "heart rate",
    "contraction": "duration of ventricular contraction",
    "stiffness": "stiffness of the arteries",
    "pressure": "pressure that the baroreflex keeps",
    "delay": "time from the right atrium to the ventricles, by the patient's own conduction",
}
DRUGS = {
    "ace_inhibitor": "ACE inhibitor or angiotensin receptor blocker",
    "arni": "angiotensin receptor-neprilysin inhibitor",
    "beta_blocker": "beta blocker",
    "mra": "mineralocorticoid receptor antagonist",
    "sglt2_inhibitor": "SGLT2 inhibitor",
    "vasodilator": "vasodilator",
    "inotrope": "inotrope",
    "diuretic": "diuretic",
    "ivabradine": "ivabradine",
}
MODES = ("off", "right ventricle", "both ventricles", "left ventricle", "His", "left bundle area", "multipoint")

_DOSE = "share of the target dose"
_SEGMENT = "segment 0-17 of the"
ACTIONS: tuple[Action, ...] = (
    *(Action(name, "1", f"{title}, {_DOSE}", (0.0, 2.0)) for name, title in DRUGS.items()),
    Action("aortic_valve", "1", "aortic valve replaced through a catheter", (0.0, 1.0), lasting=True, step=1.0),
    Action("mitral_repair", "1", "mitral valve repaired edge to edge", (0.0, 1.0), lasting=True, step=1.0),
    Action("pump_speed", "1", "assist pump, share of its reference speed", (0.0, 1.5), lasting=True),
    Action("exercise", "1", "exercise, share of the hardest", (0.0, 1.0), lasting=True),
    Action(
        "pacing_mode",
        "1",
        "pacing: " + ", ".join(f"{number} {mode}" for number, mode in enumerate(MODES)),
        (0.0, len(MODES) - 1.0),
        lasting=True,
        step=1.0,
    ),
    Action("av_delay", "ms", "right atrium to the first ventricular stimulus", (0.0, 400.0), lasting=True),
    Action("vv_delay", "ms", "left side paced after the right one", (-100.0, 100.0), lasting=True),
    Action("lead_segment", "1", f"{_SEGMENT} left lead", (0.0, 17.0), lasting=True, step=1.0),
    Action("second_segment", "1", f"{_SEGMENT} second left lead", (0.0, 17.0), lasting=True, step=1.0),
)


class Effect(NamedTuple):
    """Factor `size` of `mechanism` under the full dose of `therapy`. low, high: its range, where there is one."""

    therapy: str
    mechanism: str
    size: float
    source: str
    low: float | None = None
    high: float | None = None

    @property
    def name(self) -> str:
        return f"{self.therapy}_{self.mechanism}"

    @property
    def parameter(self) -> Parameter:
        """The size as a parameter of the patient."""
        spread = None if self.low is None or self.high is None else log_normal(sd=math.log(self.high / self.low) / 4.0)
        title = f"factor of {MECHANISMS[self.mechanism]}, full dose: {self.therapy.replace('_', ' ')}"
        return Parameter(self.name, "1", self.size, self.source, "assumed", spread, (0.35, 5.0), title=title)


def _ranged(therapy: str, mechanism: str, low: float, high: float, source: str) -> Effect:
    return Effect(therapy, mechanism, round(math.sqrt(low * high), 4), source, low, high)


_PRIOR = "assumed: the virtual heart's prior"
_ONLY_WAY = "assumed: the virtual heart's prior gives the direction alone"
_NOT_THERE = "assumed: no prior was given"
SIZES: tuple[Effect, ...] = (
    _ranged("ace_inhibitor", "resistance", 0.88, 0.92, f"{_PRIOR}, x0.88-0.92"),
    Effect("ace_inhibitor", "volume", 0.98, f"{_PRIOR}, venous volume -2 %"),
    _ranged("arni", "resistance", 0.95, 0.97, f"{_PRIOR}, a further x0.95-0.97"),
    _ranged("arni", "volume", 0.96, 0.98, f"{_PRIOR}, a further -2 to -4 %"),
    Effect(
        "arni",
        "stiffness",
        0.98,
        "assumed: impedance 1 % lower, which goes with the root of stiffness; a difference of that size was not"
        " significant in EVALUATE-HF (Desai 2019, JAMA 322:1077)",
    ),
    # -10 to -15 of 75 beats a minute.
    _ranged("beta_blocker", "rate", 0.80, 0.8667, f"{_PRIOR}, 10 to 15 beats a minute fewer"),
    _ranged("beta_blocker", "force", 0.88, 0.95, f"{_PRIOR}, x0.88-0.95 at first"),
    Effect("mra", "volume", 0.97, f"{_NOT_THERE}; less than a diuretic's"),
    Effect("sglt2_inhibitor", "resistance", 0.97, f"{_PRIOR}, x0.97"),
    _ranged("sglt2_inhibitor", "volume", 0.93, 0.96, f"{_PRIOR}, -4 to -7 %"),
    _ranged("vasodilator", "resistance", 0.70, 0.85, f"{_PRIOR}, x0.70-0.85: nitroprusside, hydralazine"),
    _ranged("vasodilator", "capacity", 1.05, 1.10, f"{_PRIOR}, x1.05-1.10: nitrate"),
    _ranged("inotrope", "force", 1.2, 1.5, f"{_PRIOR}, x1.2-1.5: dobutamine"),
    Effect("inotrope", "contraction", 0.9, f"{_PRIOR}, x0.9"),
    Effect("inotrope", "rate", 1.1, f"{_PRIOR}, +10 %"),
    Effect("inotrope", "resistance", 0.9, f"{_PRIOR}, x0.9"),
    _ranged("diuretic", "volume", 0.88, 0.95, f"{_PRIOR}, -5 to -12 %"),
    Effect("ivabradine", "rate", 0.8667, f"{_ONLY_WAY}; 10 of 75 beats a minute fewer, as the least of a beta blocker"),
    Effect("exercise", "rate", 1.9, f"{_ONLY_WAY}; hard exercise of a healthy adult"),
    Effect("exercise", "resistance", 0.5, f"{_ONLY_WAY}; half of that at rest"),
    _ranged("exercise", "pressure", 1.1, 1.2, f"{_PRIOR}, x1.1-1.2"),
    _ranged("exercise", "force", 1.2, 1.4, f"{_PRIOR}, x1.2-1.4"),
    Effect("exercise", "lung_resistance", 0.8, f"{_PRIOR}, x0.8"),
    Effect("exercise", "delay", 0.7, f"{_NOT_THERE}; the PR interval shortens as heart rate rises"),
    Effect("exercise", "volume", 1.25, f"{_NOT_THERE}; blood that splanchnic veins and working muscles give back"),
)
EFFECTS: tuple[Parameter, ...] = (
    *(effect.parameter for effect in SIZES),
    Parameter(
        "half_effect_dose",
        "1",
        0.5,
        "assumed: one for all drugs; twice the target dose does 1.2 times what that does",
        "assumed",
        bounds=(0.01, 100.0),
        title="dose of half the greatest effect, as a share of the target dose",
    ),
    Parameter(
        "valve_area",
        "cm^2",
        1.8,
        "assumed: 1.6 to 2.0 cm2 after replacement through a catheter",
        "assumed",
        Spread("normal", 0.1),
        (0.5, 5.0),
        title="opening of the new aortic valve",
    ),
    Parameter(
        "valve_leak_grade",
        "1",
        0.0,
        "assumed: none in the typical patient",
        "assumed",
        bounds=(0.0, 2.0),
        title="leak beside the new aortic valve: 0 none, 1 mild, 2 moderate",
    ),
    Parameter(
        "repair_residual",
        "cm^2",
        0.05,
        "assumed: what a mild leak of the other valve is",
        "assumed",
        bounds=(1e-5, 1.0),
        title="mitral leak that a repair leaves",
    ),
    Parameter(
        "his_block",
        "1",
        0.0,
        "assumed normal: a lead on the His bundle conducts beyond the left bundle's block in 18 of 23 patients",
        "assumed",
        Spread("normal", 1.0),
        title="how far the left bundle's block reaches from the His bundle, as a standard normal",
    ),
)
