"""What is kept of a beat while it runs: extremes, sums, and values at events, so that no waveform need be."""

from typing import Any

import jax.numpy as jnp

from solvers.twins.virtual_heart import layout as names
from solvers.twins.virtual_heart.triseg import LEAST_Y
from solvers.twins.virtual_heart.valves import FORWARD

NEVER = 1e29  # below what an event's time is before it happens


def watched(seen: Any, now: Any, t: Any, dt: Any, before: Any, after: Any, c: Any, layout: names.Layout) -> Any:
    """Seen after one more step, at the time t [s] of the beat, from the state `before` to `after`.

    Sums are of steps: times dt they are integrals. Values at the onset of ventricular activation are interpolated.
    """
    new: dict[str, Any] = {}
    p, q, V = now.p, now.q, now.V

    def extreme(name: str, value: Any) -> None:
        pick = jnp.minimum if "_min" in name or "fall" in name else jnp.maximum
        new[name] = pick(getattr(seen, name), value)

    def add(name: str, value: Any) -> None:
        new[name] = getattr(seen, name) + value

    onset = jnp.maximum(1.0 - jnp.abs(t - c.onset) / dt, 0.0)  # 1 there, 0 a step from there
    for name in names.CHAMBERS:
        extreme(f"V_max_{name}", V[name])
        extreme(f"V_min_{name}", V[name])
        extreme(f"p_max_{name}", p[name])
        add(f"V_onset_{name}", onset * V[name])
        add(f"p_onset_{name}", onset * p[name])
    for name in ("aorta", "trunk"):
        extreme(f"p_max_{name}", p[name])
        extreme(f"p_min_{name}", p[name])
    extreme("p_max_peri", p["peri"])
    for name in ("LV", "RV"):
        slope = (p[name] - getattr(before, f"p_{name}")) / dt
        extreme(f"rise_{name}", slope)
        extreme(f"fall_{name}", slope)
    for name in ("aorta", "trunk", "LA", "RA"):
        add(f"p_sum_{name}", p[name])
    for name in ("mitral", "aortic", "tricuspid", "pulmonic", "systemic", "pump"):
        add(f"q_sum_{name}", q[name])
    for name in ("mitral", "aortic"):
        add(f"q_back_{name}", jnp.minimum(q[name], 0.0))
    add("work_LV", p["LV"] * (q["aortic"] + q["pump"] - q["mitral"]))
    add("work_RV", p["RV"] * (q["pulmonic"] - q["tricuspid"]))

    for name, dp in (("mitral", p["LA"] - p["LV"]), ("aortic", p["LV"] - p["aorta"])):
        forward = q[name] > FORWARD
        add(f"open_sum_{name}", jnp.where(forward, 1.0, 0.0))
        add(f"gradient_sum_{name}", jnp.where(forward, dp, 0.0))
        extreme(f"gradient_max_{name}", jnp.where(forward, dp, 0.0))
    new |= _events(seen, now, t, dt, before, after)

    late = t - c.onset >= dt
    length = {wall: sum(now.ls[name] for name in layout.walls[wall]) for wall in ("L", "S")}
    length["LS"] = length["L"] + length["S"]
    for name, value in length.items():
        extreme(f"length_min_{name}", jnp.where(late, value, 10.0 * NEVER))
    unopened = seen.t_open_aortic > NEVER
    new["length_early_S"] = jnp.where(unopened, new["length_min_S"], seen.length_early_S)
    systole = late & (seen.t_shut_aortic > NEVER)
    new["rebound_S"] = jnp.where(
        systole, jnp.maximum(seen.rebound_S, length["S"] - new["length_min_S"]), seen.rebound_S
    )
    for wall, patches in layout.walls.items():
        T = now.T[wall]
        add(f"T_onset_{wall}", onset * T)
        mean = 0.5 * (T + getattr(before, f"T_{wall}"))
        for name in patches:
            extreme(f"ls_min_{name}", now.ls[name])
            add(f"ls_onset_{name}", onset * now.ls[name])
            add(f"work_{name}", mean * (getattr(before, f"Am_{name}") - now.Am[name]))
            add(f"stress_{name}", T * now.Am[name])
    add("clamped", jnp.where(now.at.Y <= LEAST_Y, 1.0, 0.0))
    return seen._replace(**new)


def _events(seen: Any, now: Any, t: Any, dt: Any, before: Any, after: Any) -> dict[str, Any]:
    """Openings and closures of the valves on the left, where flow passes what counts as clearly forward; early and
    atrial peaks of mitral flow; end systole."""
    moves = {}
    for name in ("mitral", "aortic"):
        old, new = getattr(before, f"q_{name}"), getattr(after, f"q_{name}")
        up, down = (old < FORWARD) & (new >= FORWARD), (old >= FORWARD) & (new < FORWARD)
        moves[name] = (up, down, t + dt * (FORWARD - old) / jnp.where(up | down, new - old, 1.0))
    (open_m, shut_m, at_m), (open_a, shut_a, at_a) = moves["mitral"], moves["aortic"]
    unopened = seen.t_open_aortic > NEVER
    ended = shut_a & ~unopened
    refilled = open_m & (seen.t_shut_aortic < NEVER) & (seen.t_open_mitral > NEVER)
    filling = now.q["mitral"]
    return {
        "t_shut_mitral": jnp.where(shut_m & unopened, at_m, seen.t_shut_mitral),
        "t_open_aortic": jnp.where(open_a & unopened, at_a, seen.t_open_aortic),
        "t_shut_aortic": jnp.where(ended, at_a, seen.t_shut_aortic),
        "t_open_mitral": jnp.where(refilled, at_m, seen.t_open_mitral),
        "p_end_LV": jnp.where(ended, now.p["LV"], seen.p_end_LV),
        "V_end_LV": jnp.where(ended, now.V["LV"], seen.V_end_LV),
        "early_mitral": jnp.where(unopened, seen.early_mitral, jnp.maximum(seen.early_mitral, filling)),
        "atrial_mitral": jnp.where(unopened, jnp.maximum(seen.atrial_mitral, filling), seen.atrial_mitral),
    }
