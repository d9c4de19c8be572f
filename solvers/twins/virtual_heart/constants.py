"""What one step reads of a patient, and where his first beat starts."""

from typing import Any

import jax
import jax.numpy as jnp

from solvers.twins.virtual_heart import layout as names
from solvers.twins.virtual_heart.layout import Layout
from solvers.twins.virtual_heart.parameters import L_S_REF, ML, Heart
from solvers.twins.virtual_heart.triseg import Junction, caps

LATER = 0.020 / 0.85  # the left atrium after the right one, of a beat


def constants(heart: Heart, times: Any, delay: Any, layout: Layout) -> Any:
    """Constants of a patient. times: activation of the ventricular patches after the first of the ventricles' [s],
    (patch,), in the order of `layout`; delay: that one's after the right atrium's [s]."""
    walls = (heart.free, heart.septum, heart.right, heart.left_atrium, heart.right_atrium)
    given: dict[str, Any] = {}
    later = iter([*(delay + times[k] for k in range(len(layout.patches) - 2)), LATER * heart.cycle, 0.0])
    for wall, patches in zip(walls, layout.walls.values(), strict=True):
        count = len(patches)
        active, passive = (jnp.broadcast_to(value, (count,)) for value in (wall.Sf_act, wall.Sf_pas))
        for k, name in enumerate(patches):
            values = (wall.Am_ref / count, wall.Vw / count, active[k], passive[k], next(later))
            given |= {f"{symbol}_{name}": value for symbol, value in zip(names.PATCH, values, strict=True)}
    for group, kind in names.GROUPS.items():
        given |= {f"{group}_{field}": getattr(getattr(heart, group), field) for field in kind._fields}
    given |= {"mitral_shut": heart.mitral_shut, "cycle": heart.cycle, "onset": delay}
    given["left"] = 0.5 * (heart.free.Vw + heart.septum.Vw)
    given["right"] = 0.5 * (heart.right.Vw + heart.septum.Vw)
    given["all_walls"] = sum(wall.Vw for wall in walls)
    return jax.tree.map(lambda value: jnp.asarray(value, float), names.constants_type(layout)(**given))


def initial(c: Any, layout: Layout) -> Any:
    """State before the first beat: the published volumes and junction, muscle at rest at the length that these give."""
    volumes = (193.9, 197.6, 90.3, 98.3, 34.6, 22.8, 102.0, 85.2)
    state: dict[str, Any] = {f"V_{cavity}": volume * ML for cavity, volume in zip(names.CAVITIES, volumes, strict=True)}
    state |= {f"q_{valve}": 0.0 for valve in names.VALVES} | {"V_S": 18.0 * ML, "Y": 29.0e-3}
    slack = type("Slack", (), {"A0": 0.0, "D": 1.0})
    round_ = caps(state["V_LV"], state["V_RV"], Junction(18.0 * ML, 29.0e-3), c, (slack, slack, slack))
    areas = dict(zip(("L", "S", "R"), (cap.Am for cap in round_), strict=True))
    for atrium in ("LA", "RA"):
        V = state[f"V_{atrium}"] + 0.5 * getattr(c, f"Vw_{atrium}")
        areas[atrium] = (36.0 * jnp.pi) ** (1 / 3) * V ** (2 / 3)
    for wall, patches in layout.walls.items():
        total = sum(getattr(c, f"Am_ref_{name}") for name in patches)
        for name in patches:
            state |= {f"l_si_{name}": L_S_REF * jnp.sqrt(areas[wall] / total), f"C_{name}": 0.0}
            state |= {f"dl_si_{name}": 0.0, f"dC_{name}": 0.0}
            state[f"Am_{name}"] = areas[wall] * getattr(c, f"Am_ref_{name}") / total
        state[f"T_{wall}"] = 0.0
    state |= {"p_LV": 0.0, "p_RV": 0.0, "p0": c.systemic_p0, "fac": 1.0, "x_b": 0.0, "cycle": c.cycle}
    return jax.tree.map(lambda value: jnp.asarray(value, float), names.state_type(layout)(**state))


def group(c: Any, name: str) -> Any:
    """The fields of a group of `layout.GROUPS`."""
    kind = names.GROUPS[name]
    return kind(*(getattr(c, f"{name}_{field}") for field in kind._fields))


def patch(c: Any, name: str) -> names.Patch:
    """What is of one patch."""
    return names.Patch(*(getattr(c, f"{symbol}_{name}") for symbol in names.PATCH))
