"""Theophylline by mouth: one compartment, first-order absorption, advanced in closed form.

    depot'   = -ka depot
    central' = ka depot - (CL/V) central,   C = central / V

over a tick of length h, with k = CL/V (Bateman function; doses add by superposition):

    depot(h)   = depot e^(-ka h)
    central(h) = central e^(-k h) + depot ka h e^(-k h) phi((ka - k) h),   phi(x) = (1 - e^(-x)) / x
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from solvers.twin import Action, Covariate, Output, Parameter, Twin, log_normal

NLME = "R nlme 3.1, maximum likelihood on the 12 subjects of R Theoph, log-likelihood -177.02"
SUBJECTS = 12


class State(NamedTuple):
    depot: jax.Array  # mg
    central: jax.Array  # mg


def derive(p: Any) -> dict[str, jax.Array]:
    return {"V": p.volume * p.weight, "k": p.clearance / p.volume}


def initial(p: Any) -> State:
    return State(jnp.zeros(()), jnp.zeros(()))


def phi(x: jax.Array) -> jax.Array:
    """(1 - e^(-x)) / x, and 1 at 0."""
    near = jnp.abs(x) < 1e-5
    safe = jnp.where(near, 1.0, x)
    # Below 1e-5 three terms of the series are exact to rounding: the next one is x^3/24 < 5e-17.
    return jnp.where(near, 1.0 - x / 2.0 + x * x / 6.0, -jnp.expm1(-safe) / safe)


def advance(y: State, p: Any, action: Any, time: Any, tick: float) -> State:
    depot = y.depot + action.dose
    ka, k = p.absorption_rate, p.k
    # phi of a large negative number overflows where ka is far below k: take the smaller rate out of the bracket.
    slow, fast = jnp.minimum(ka, k), jnp.maximum(ka, k)
    gained = depot * ka * tick * jnp.exp(-slow * tick) * phi((fast - slow) * tick)
    return State(depot * jnp.exp(-ka * tick), y.central * jnp.exp(-k * tick) + gained)


def observe(y: State, p: Any, time: Any) -> dict[str, jax.Array]:
    return {"concentration": y.central / p.V}


twin = Twin(
    name="theophylline",
    title="Theophylline by mouth, one compartment",
    source=NLME,
    parameters=(
        Parameter(
            "absorption_rate",
            "1/h",
            1.593,
            NLME,
            "fitted",
            spread=log_normal(sd=0.644),
            bounds=(0.0, math.inf),
            subjects=SUBJECTS,
            title="absorption rate constant ka",
        ),
        Parameter(
            "clearance",
            "L/h/kg",
            0.0397,
            NLME,
            "fitted",
            spread=log_normal(sd=0.167),
            bounds=(0.0, math.inf),
            subjects=SUBJECTS,
            title="clearance per body weight",
        ),
        Parameter("volume", "L/kg", 0.462, NLME, "fitted", bounds=(0.01, 10.0), title="volume per body weight"),
    ),
    covariates=(
        Covariate(
            "weight",
            "kg",
            69.6,
            "mean of the 12 subjects of R Theoph",
            "published",
            bounds=(20.0, 400.0),
            title="weight",
        ),
    ),
    actions=(Action("dose", "mg", "theophylline by mouth", bounds=(0.0, 10_000.0)),),
    outputs=(
        Output("concentration", "mg/L", NLME, "theophylline in plasma", additive_error=0.709, bounds=(-1e-9, 10_000.0)),
    ),
    derive=derive,
    initial=initial,
    advance=advance,
    observe=observe,
    method="closed form (Bateman function)",
)
