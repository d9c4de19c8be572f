"""What keeps pressure and flow: the homeostat, from beat to beat, and the baroreflex, in every step."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from solvers.twins.virtual_heart.vessels import power

# Of the baroreflex; design values, assumed.
RATE, RESISTANCE, FORCE, CAPACITY = 1.5, 0.8, 0.5, 0.3


class Reflex(NamedTuple):
    """Factors on active stress, systemic resistance and the veins' unstressed volume."""

    force: Any
    resistance: Any
    capacity: Any


def reflex(x_b: Any, c: Any) -> Reflex:
    """What the baroreflex does at the level x_b, which is positive where pressure has been high."""
    x = c.control_g * x_b
    return Reflex(1.0 - FORCE * x, 1.0 - RESISTANCE * x, 1.0 + CAPACITY * x)


def reflex_slope(p: Any, x_b: Any, c: Any) -> Any:
    """dx_b/dt [1/s] under the aortic pressure p [Pa]: ((p - MAP0) / MAP0 - x_b) / tau."""
    return ((p / c.control_MAP0 - 1.0) - x_b) / c.control_tau


def begun(state: Any, c: Any) -> Any:
    """The state with the length of the beat that begins, by the reflex on heart rate, and no blood lost or gained where
    the homeostat is off."""
    fac = jnp.where(c.control_e > 0.0, state.fac, 1.0)
    return state._replace(cycle=c.cycle / (1.0 - RATE * c.control_g * state.x_b), fac=fac)


def after(state: Any, seen: Any, c: Any, n_step: Any) -> Any:
    """The state after a beat, with the resistance and the balance of veins and arteries that the homeostat sets.

        fac = (MAP / MAP0)^e        r = exp(e (1 - q / q0))        p0 <- p0 / (r^(1/k) fac)

    In the next beat the systemic bed drains the aorta by q fac and fills the veins by q / fac. As CircAdapt controls
    pressure and flow; with e = 0 nothing changes.
    """
    MAP, q = seen.p_sum_aorta / n_step, seen.q_sum_systemic / n_step
    fac = power(MAP / c.control_MAP0, c.control_e)
    weaker = jnp.exp(c.control_e * (1.0 - q / c.control_q0) / c.systemic_k)
    return state._replace(fac=fac, p0=state.p0 / (weaker * fac))
