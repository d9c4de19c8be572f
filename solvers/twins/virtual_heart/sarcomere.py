"""A patch of wall: its tension by length and activation, and how both change (Lumens 2009; Walmsley 2015).

l_si: length of the contractile element [um]; C: contractility [1]; Am: midwall area [m2]; T: tension [N/m].

    ls = 2 um sqrt(Am / Am_ref)          dl = l_si - 1.51 um          S_act = Sf_act C dl (ls - l_si) / l_se0
    S_pas = Sf_pas ((ls / l_s0)^10 - 1) + 0.01 Sf_act ((ls / l_s0)^(2 ls_ref / dl_s_pas) - 1)
    T = (S_act + S_pas) Vw / (2 Am)
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from solvers.twins.virtual_heart.parameters import DL_S_PAS, K1, L_S0, L_S_REF, L_SI0, TITIN

K_TITIN = 2.0 * L_S_REF / DL_S_PAS
SHORTEST = 1e-4  # of L = l_si / l_si0 - 1


class Law(NamedTuple):
    """Am = A0 + D T, near the length at which the series element is slack."""

    A0: Any
    D: Any


class Twitch(NamedTuple):
    """Of a kind of muscle at one length of beat: 1 / tR and 1 / tD [1/s], ADO t_act and LDAD t_act / l_si0 [s, s/um],
    cycle [s] and 1 / cycle."""

    rise: Any
    decay: Any
    begin: Any
    longer: Any
    cycle: Any
    often: Any


def twitch(muscle: Any, cycle: Any) -> Twitch:
    """Times of a contraction when a beat takes `cycle` [s]: tR = 0.55 tr t_act, tD = 0.33 td t_act."""
    t_act = muscle.t_fixed + muscle.t_share * cycle
    rise, decay = 1.0 / (0.55 * muscle.tr * t_act), 1.0 / (0.33 * muscle.td * t_act)
    return Twitch(rise, decay, muscle.ADO * t_act, muscle.LDAD * t_act / L_SI0, cycle, 1.0 / cycle)


def law(l_si: Any, C: Any, force: Any, patch: Any, muscle: Any) -> Law:
    """The wall law of a patch, linear in its tension. force: a factor on the active stress.

    patch: Am_ref, Vw, Sf_act, Sf_pas of it. Walmsley 2015, with a bound that keeps D positive.
    """
    x = l_si * (1.0 / L_S0)
    matrix, titin = patch.Sf_pas * x**K1, TITIN * patch.Sf_act * jnp.exp(K_TITIN * jnp.log(x))
    S0 = matrix + titin - (patch.Sf_pas + TITIN * patch.Sf_act)
    active = force * patch.Sf_act * C * _above(l_si) * (1.0 / muscle.l_se0)
    E = K1 * matrix + K_TITIN * titin + active * l_si
    # E (1 - a / sqrt(1 + a^2)) with a = 2 S0 / E
    twice = 2.0 * S0
    stiff = E * (1.0 - twice / jnp.sqrt(E * E + twice * twice))
    half = l_si * (1.0 / L_S_REF)
    Am = patch.Am_ref * half * half
    slope = Am / stiff
    return Law(Am - slope * twice, 4.0 * Am * slope / patch.Vw)


def _above(l_si: Any) -> Any:
    return jnp.maximum(l_si - L_SI0, SHORTEST * L_SI0)


def length(Am: Any, patch: Any) -> Any:
    """Of the sarcomeres [um]."""
    return L_S_REF * jnp.sqrt(jnp.maximum(Am / patch.Am_ref, 1e-2))


def slopes(l_si: Any, C: Any, ls: Any, t: Any, twitch: Twitch, muscle: Any) -> tuple[Any, Any]:
    """d l_si/dt [um/s] and dC/dt [1/s] at the length ls, a time t [s] after the activation; any number of beats."""
    dl = _above(l_si)
    tau = t - twitch.cycle * jnp.floor(t * twitch.often)
    tA = twitch.begin + twitch.longer * dl
    x = jnp.minimum(tau * twitch.rise, 8.0)
    left, y = 8.0 - x, x * x * x
    rise = 0.02 * y * left * left * jnp.exp(-x) * twitch.rise * jnp.tanh(muscle.LDCC * dl * dl)
    g = 0.5 + 0.5 * jnp.sin(jnp.clip((tau - tA) * twitch.decay, -0.5 * jnp.pi, 0.5 * jnp.pi))
    velocity = muscle.v_max * ((ls - l_si) * (1.0 / muscle.l_se0) - 1.0)
    return velocity, rise - C * g * twitch.decay
