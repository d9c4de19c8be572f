"""Racemic warfarin and prothrombin complex activity after a dose (32 subjects).

depot'   = -ktr depot
transit' = ktr depot - ka transit
central' = ka transit - CL C,   C = central / V
E'       = kin (1 - Emax C / (EC50 + C)) - kout E,   kin = E0 kout,   E(0) = E0
"""

import math
from typing import Any

from solvers.ode import ode_twin
from solvers.twin import Action, Output, Parameter, Spread, log_normal

SOURCE = "Warfarin data of O'Reilly 1963 and 1968 (32 subjects), population estimates with transit absorption"
SUBJECTS = 32

# Absorption beyond it is none that a person has, and needs ever shorter steps.
FASTEST = 100.0


def _varying(name: str, unit: str, typical: float, title: str, sd: float, upper: float = math.inf) -> Parameter:
    return Parameter(
        name,
        unit,
        typical,
        SOURCE,
        "published",
        spread=log_normal(sd=sd),
        bounds=(0.0, upper),
        subjects=SUBJECTS,
        title=title,
    )


PARAMETERS = (
    _varying("transit_rate", "1/h", 1.112, "rate constant ktr from depot to transit", 1.05, FASTEST),
    _varying("absorption_rate", "1/h", 0.917, "absorption rate constant ka", 0.906, FASTEST),
    _varying("clearance", "L/h", 0.1313, "clearance CL", 0.281),
    _varying("volume", "L", 7.93, "volume V", 0.229),
    Parameter(
        "emax",
        "1",
        0.968,
        SOURCE,
        "published",
        spread=Spread("logit-normal", 0.509),
        bounds=(0.0, 1.0),
        subjects=SUBJECTS,
        title="largest inhibition of synthesis",
    ),
    _varying("ec50", "mg/L", 1.007, "concentration of half the largest inhibition", 0.519),
    _varying("kout", "1/h", 0.0550, "loss of activity", 0.127),
    _varying("activity0", "percent", 96.5, "activity before treatment E0", 0.0708),
)


def initial(p: Any) -> dict[str, Any]:
    return {"depot": 0.0, "transit": 0.0, "central": 0.0, "activity": p.activity0}


def rhs(t: Any, y: Any, p: Any) -> dict[str, Any]:
    concentration = y.central / p.volume
    released, absorbed = p.transit_rate * y.depot, p.absorption_rate * y.transit
    synthesis = 1.0 - p.emax * concentration / (p.ec50 + concentration)
    return {
        "depot": -released,
        "transit": released - absorbed,
        "central": absorbed - p.clearance * concentration,
        "activity": p.kout * (p.activity0 * synthesis - y.activity),
    }


def act(y: Any, action: Any, p: Any) -> dict[str, Any]:
    return {"depot": y.depot + action.dose}


def observe(y: Any, p: Any, time: Any) -> dict[str, Any]:
    return {"concentration": y.central / p.volume, "activity": y.activity}


twin = ode_twin(
    rhs,
    name="warfarin-pca",
    title="Racemic warfarin and prothrombin complex activity",
    source=SOURCE,
    states=("depot", "transit", "central", "activity"),
    parameters=PARAMETERS,
    actions=(Action("dose", "mg", "racemic warfarin by mouth", bounds=(0.0, 500.0)),),
    outputs=(
        Output(
            "concentration",
            "mg/L",
            SOURCE,
            "warfarin in plasma",
            additive_error=0.144,
            proportional_error=0.15,
            bounds=(-1e-6, 1e4),
        ),
        Output(
            "activity", "percent", SOURCE, "prothrombin complex activity", additive_error=3.91, bounds=(-1e-6, 300.0)
        ),
    ),
    initial=initial,
    act=act,
    observe=observe,
)
