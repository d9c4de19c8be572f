"""S-warfarin to INR with CYP2C9 and VKORC1 genotype, Hamberg et al. 2007.

Two compartments, half of the racemic dose is the S-enantiomer; its concentration inhibits the synthesis of clotting
factors, which two chains of transit compartments carry to the INR:

    CL        = clearance (1 - slope (age - 71)) ratio(CYP2C9)
    depot'    = -ka depot
    central'  = ka depot - (CL + Q) C + Q peripheral / V2,   C = central / V1
    I         = C^g / (EC50(VKORC1)^g + C^g)
    chain 1   : six compartments of mean time MTT1 each, input 1 - I
    chain 2   : one compartment of mean time MTT2, input 1 - I
    INR       = base + 20 (1 - A6 A7)^lambda
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from solvers.ode import ode_twin
from solvers.twin import Action, Covariate, Output, Parameter, log_normal

HAMBERG = "Hamberg 2007, Clin Pharmacol Ther 81:529, final model, n = 150"
SUBJECTS = 150

CYP2C9 = ("*1*1", "*1*2", "*1*3", "*2*2", "*2*3", "*3*3")
VKORC1 = ("GG", "GA", "AA")
CHAIN = ("chain1_1", "chain1_2", "chain1_3", "chain1_4", "chain1_5", "chain1_6")

# g < 1 makes the inhibition infinitely steep at C = 0: the concentration that acts is at least this [mg/L].
LEAST_CONCENTRATION = 1e-9


def _published(name: str, unit: str, typical: float, title: str, **rest: Any) -> Parameter:
    return Parameter(name, unit, typical, HAMBERG, "published", title=title, **rest)


def _varying(name: str, unit: str, typical: float, title: str, cv: float) -> Parameter:
    return _published(
        name, unit, typical, title, spread=log_normal(cv=cv), bounds=(0.0, float("inf")), subjects=SUBJECTS
    )


PARAMETERS = (
    _published("absorption_rate", "1/h", 2.0, "absorption rate constant ka (fixed)", bounds=(0.0, 4.0)),
    _varying("clearance", "L/h", 0.314, "clearance of S-warfarin at age 71, CYP2C9 *1*1", 0.31),
    _published("age_slope", "1/year", 0.0091, "fall of clearance with age, from 71"),
    _published("ratio_12", "1", 0.685, "clearance ratio of CYP2C9 *1*2"),
    _published("ratio_13", "1", 0.547, "clearance ratio of CYP2C9 *1*3"),
    _published("ratio_22", "1", 0.278, "clearance ratio of CYP2C9 *2*2"),
    _published("ratio_23", "1", 0.310, "clearance ratio of CYP2C9 *2*3"),
    _published("ratio_33", "1", 0.148, "clearance ratio of CYP2C9 *3*3"),
    _varying("central_volume", "L", 13.8, "central volume V1", 0.262),
    _published("distribution_clearance", "L/h", 0.131, "intercompartmental clearance Q"),
    _varying("peripheral_volume", "L", 6.59, "peripheral volume V2", 0.991),
    _published("steepness", "1", 0.424, "sigmoidicity g of the inhibition"),
    _varying("ec50", "mg/L", 4.61, "EC50 of S-warfarin, VKORC1 GG", 0.409),
    _published("ec50_ratio_ga", "1", 3.02 / 4.61, "EC50 ratio of VKORC1 GA (3.02 mg/L)"),
    _published("ec50_ratio_aa", "1", 2.20 / 4.61, "EC50 ratio of VKORC1 AA (2.20 mg/L)"),
    _varying("transit_time1", "h", 11.6, "mean time of each compartment of chain 1", 0.141),
    _varying("transit_time2", "h", 120.0, "mean time of chain 2", 1.02),
    Parameter("base", "1", 1.0, f"{HAMBERG}: about 1", "assumed", title="INR without warfarin", bounds=(0.5, 2.0)),
    _published("inr_span", "1", 20.0, "largest rise of the INR"),
    _published("inr_shape", "1", 3.61, "exponent lambda of the INR"),
)

COVARIATES = (
    Covariate("age", "year", 71.0, HAMBERG, "published", bounds=(18.0, 120.0), title="age"),
    Covariate(
        "cyp2c9",
        "1",
        "*1*1",
        HAMBERG,
        "published",
        levels=CYP2C9,
        frequencies=(0.587, 0.173, 0.167, 0.033, 0.027, 0.013),
        subjects=SUBJECTS,
        title="CYP2C9 genotype",
    ),
    Covariate(
        "vkorc1",
        "1",
        "GG",
        HAMBERG,
        "published",
        levels=VKORC1,
        frequencies=(0.39, 0.41, 0.20),
        subjects=SUBJECTS,
        title="VKORC1 genotype",
    ),
)


def derive(p: Any) -> dict[str, jax.Array]:
    ratio = jnp.stack([jnp.ones(()), p.ratio_12, p.ratio_13, p.ratio_22, p.ratio_23, p.ratio_33])
    ec50 = jnp.stack([jnp.ones(()), p.ec50_ratio_ga, p.ec50_ratio_aa])
    # A slope times an age beyond 180 would turn clearance negative; the bounds of age keep it positive.
    ageing = 1.0 - p.age_slope * (p.age - 71.0)
    return {
        "CL": p.clearance * ageing * ratio[p.cyp2c9.astype(int)],
        "EC50": p.ec50 * ec50[p.vkorc1.astype(int)],
    }


def initial(p: Any) -> dict[str, float]:
    return dict.fromkeys(("depot", "central", "peripheral"), 0.0) | dict.fromkeys((*CHAIN, "chain2"), 1.0)


def inhibition(concentration: Any, ec50: Any, steepness: Any) -> Any:
    """C^g / (EC50^g + C^g), of C and EC50 in mg/L."""
    # (C/EC50)^g by exp and log, which C kept above 0 allows.
    power = jnp.exp(steepness * jnp.log(jnp.maximum(concentration, LEAST_CONCENTRATION) / ec50))
    return power / (1.0 + power)


def rhs(t: Any, y: Any, p: Any) -> dict[str, Any]:
    concentration = y.central / p.central_volume
    absorbed = p.absorption_rate * y.depot
    exchange = p.distribution_clearance * (concentration - y.peripheral / p.peripheral_volume)
    synthesis = 1.0 - inhibition(concentration, p.EC50, p.steepness)
    slopes = {
        "depot": -absorbed,
        "central": absorbed - p.CL * concentration - exchange,
        "peripheral": exchange,
        "chain2": (synthesis - y.chain2) / p.transit_time2,
    }
    for before, here in zip((None, *CHAIN), CHAIN, strict=False):
        source = synthesis if before is None else getattr(y, before)
        slopes[here] = (source - getattr(y, here)) / p.transit_time1
    return slopes


def act(y: Any, action: Any, p: Any) -> dict[str, Any]:
    return {"depot": y.depot + 0.5 * action.dose}  # the S-enantiomer is half of the racemate


def observe(y: Any, p: Any, time: Any) -> dict[str, Any]:
    deficit = 1.0 - y.chain1_6 * y.chain2
    # Both chains stay in [0, 1]; rounding at the start may leave 1 by an ulp.
    inr = p.base + p.inr_span * jnp.exp(p.inr_shape * jnp.log(jnp.maximum(deficit, 1e-300)))
    return {"inr": inr, "concentration": y.central / p.central_volume}


def steady_state_dose(p: Any, target: float, every: float) -> jax.Array:
    """Racemic dose [mg] per `every` [h] that brings the patient `p` to INR `target` at steady state.

    The chains pass on the mean inhibition over a dosing interval, so the dose solves

        mean I(dose/2 u(t)) = 1 - sqrt(1 - ((target - base) / span)^(1/lambda))

    with u the concentration of a unit S-dose at steady state (two compartments, first-order absorption), by Newton
    steps in log(dose). Called with typical parameters it looks at covariates only.
    """
    rate = p.CL / p.central_volume
    k12, k21 = p.distribution_clearance / p.central_volume, p.distribution_clearance / p.peripheral_volume
    total = rate + k12 + k21
    root = jnp.sqrt(total * total - 4.0 * rate * k21)
    alpha, beta = (total + root) / 2.0, (total - root) / 2.0
    ka = p.absorption_rate
    nodes, shares = np.polynomial.legendre.leggauss(24)
    times, weights = jnp.asarray((nodes + 1.0) / 2.0 * every), jnp.asarray(shares / 2.0)

    def term(speed: Any, coefficient: Any) -> Any:
        return coefficient * jnp.exp(-speed * times) / (1.0 - jnp.exp(-speed * every))

    scale = ka / p.central_volume
    unit = scale * (
        term(alpha, (k21 - alpha) / ((ka - alpha) * (beta - alpha)))
        + term(beta, (k21 - beta) / ((ka - beta) * (alpha - beta)))
        + term(ka, (k21 - ka) / ((alpha - ka) * (beta - ka)))
    )
    wanted = 1.0 - jnp.sqrt(1.0 - ((target - p.base) / p.inr_span) ** (1.0 / p.inr_shape))

    def newton(_: Any, log_dose: Any) -> Any:
        each = inhibition(0.5 * jnp.exp(log_dose) * unit, p.EC50, p.steepness)
        slope = jnp.sum(weights * p.steepness * each * (1.0 - each))
        return log_dose - (jnp.sum(weights * each) - wanted) / slope

    mean_unit = jnp.sum(weights * unit)
    guess = jnp.log(2.0 * p.EC50 * (wanted / (1.0 - wanted)) ** (1.0 / p.steepness) / mean_unit)
    return jnp.exp(jax.lax.fori_loop(0, 8, newton, guess))


twin = ode_twin(
    rhs,
    name="warfarin-inr",
    title="S-warfarin to INR with CYP2C9 and VKORC1 genotype",
    source=HAMBERG,
    states=("depot", "central", "peripheral", *CHAIN, "chain2"),
    parameters=PARAMETERS,
    covariates=COVARIATES,
    actions=(Action("dose", "mg", "racemic warfarin by mouth", bounds=(0.0, 200.0)),),
    outputs=(
        Output("inr", "1", HAMBERG, "INR", log_error=0.0325, bounds=(0.0, 100.0)),
        Output("concentration", "mg/L", HAMBERG, "S-warfarin in plasma", log_error=0.301, bounds=(-1e-6, 1e3)),
    ),
    derive=derive,
    initial=initial,
    act=act,
    observe=observe,
    starts={"genotype": steady_state_dose},
)
