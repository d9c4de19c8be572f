"""What therapies do to a heart and how they pace it.

A drug's factor on a mechanism follows its dose d, a share of the target dose, with the size F at d = 1 and the dose of
half the greatest effect h:

    factor = 1 + Emax d / (d + h),  Emax = (F - 1) (1 + h)

and the factors of several drugs on one mechanism multiply. Exercise is proportional to its share. An ARNI contains the
blockade of angiotensin that an ACE inhibitor or receptor blocker is: given together that counts once, at the larger of
the two doses. All effects are those of the first days: that a beta blocker strengthens a failing heart over months, and
what any therapy does to growth, is not here.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from solvers.twins.virtual_heart.effects import ACTIONS, DRUGS, EFFECTS, MECHANISMS, MODES, SIZES
from solvers.twins.virtual_heart.pacing import APEX, NEVER, Pacing
from solvers.twins.virtual_heart.parameters import CM2, Heart

__all__ = ["ACTIONS", "EFFECTS", "MODES", "Treated", "factors", "paced", "treated"]

LEAKS = (1e-5, 0.05, 0.15)  # cm2 beside a new aortic valve, by grade; the first is that of a valve that shuts
REACHED = 0.781  # standard normal quantile of 18 of 23


class Treated(NamedTuple):
    """heart: with what is done to it. volume: stressed volume in force, delay: from the right atrium to the
    ventricles by the patient's own conduction, both as shares of those without therapy.

    A state of the beat carries the resistance and the blood: who lives on sets both.
    """

    heart: Heart
    volume: Any
    delay: Any


def factors(action: Any, p: Any) -> dict[str, Any]:
    """Factor of each mechanism, 1 without therapy. action: one number per action; p: has EFFECTS."""
    doses = {drug: getattr(action, drug) for drug in DRUGS}
    doses["ace_inhibitor"] = jnp.maximum(action.ace_inhibitor, action.arni)
    h = p.half_effect_dose
    shares = {drug: dose * (1.0 + h) / (dose + h) for drug, dose in doses.items()} | {"exercise": action.exercise}
    found: dict[str, Any] = dict.fromkeys(MECHANISMS, 1.0)
    for effect in SIZES:
        size = getattr(p, effect.name)
        found[effect.mechanism] *= 1.0 + (size - 1.0) * shares[effect.therapy]
    return found


def treated(heart: Heart, action: Any, p: Any) -> Treated:
    """The heart under therapies, of one patient; without any it is the same to the bit."""
    factor = factors(action, p)
    for name in ("free", "septum", "right"):
        wall = getattr(heart, name)
        heart = heart._replace(**{name: wall._replace(Sf_act=wall.Sf_act * factor["force"])})
    muscle, k = heart.ventricle, factor["contraction"]
    return Treated(
        heart._replace(
            cycle=heart.cycle / factor["rate"],
            ventricle=muscle._replace(t_fixed=muscle.t_fixed * k, t_share=muscle.t_share * k),
            aorta=heart.aorta._replace(k=heart.aorta.k * factor["stiffness"]),
            veins=heart.veins._replace(A0=heart.veins.A0 * factor["capacity"]),
            systemic=heart.systemic._replace(p0=heart.systemic.p0 * factor["resistance"]),
            pulmonary=heart.pulmonary._replace(p0=heart.pulmonary.p0 * factor["lung_resistance"]),
            control=heart.control._replace(MAP0=heart.control.MAP0 * factor["pressure"]),
            aortic=_replaced(heart.aortic, action.aortic_valve, p),
            mitral=_repaired(heart.mitral, action.mitral_repair, p),
            pump=heart.pump._replace(speed=heart.pump.speed + action.pump_speed),
        ),
        factor["volume"],
        factor["delay"],
    )


def _replaced(valve: Any, action: Any, p: Any) -> Any:
    leak = jnp.interp(p.valve_leak_grade, jnp.arange(float(len(LEAKS))), jnp.array(LEAKS))
    new = valve._replace(A_open=p.valve_area * CM2, A_leak=leak * CM2)
    return type(valve)(*(jnp.where(action > 0.5, after, before) for after, before in zip(new, valve, strict=True)))


def _repaired(valve: Any, action: Any, p: Any) -> Any:
    left = jnp.minimum(valve.A_leak, p.repair_residual * CM2)
    return valve._replace(A_leak=jnp.where(action > 0.5, left, valve.A_leak))


def paced(action: Any, p: Any) -> Pacing:
    """What the device does. Delays in s; leads on the right are at the apex, the His lead captures no tissue beside."""

    def mode(*names: str) -> Any:
        numbers = [float(MODES.index(name)) for name in names]
        return jnp.any(jnp.abs(action.pacing_mode - jnp.array(numbers)) < 0.5)

    def site(lead: Any, *names: str) -> Any:
        return jnp.where(mode(*names), jnp.round(lead), -1.0)

    left = ("both ventricles", "left ventricle", "multipoint")
    return Pacing(
        av=jnp.where(mode("off"), NEVER, action.av_delay / 1e3),
        vv=action.vv_delay / 1e3,
        right=jnp.where(mode("right ventricle", "both ventricles", "multipoint"), float(APEX), -1.0),
        left=site(action.lead_segment, *left),
        second=site(action.second_segment, "multipoint"),
        his=jnp.where(mode("His"), 1.0, 0.0),
        corrected=jnp.where(mode("His") & (p.his_block < REACHED), 1.0, 0.0),
        left_area=jnp.where(mode("left bundle area"), 1.0, 0.0),
    )
