"""stub until merged"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from solvers.twin import Action
from solvers.twins.virtual_heart.pacing import Pacing


class Treated(NamedTuple):
    heart: Any
    volume: Any


ACTIONS = (Action("vasodilator", "1", bounds=(0.0, 2.0)), Action("pacing_mode", "1"), Action("av_delay", "ms"))
EFFECTS = ()


def treated(heart, action, p):
    return Treated(
        heart._replace(systemic=heart.systemic._replace(p0=heart.systemic.p0 * (1 - 0.2 * action.vasodilator))), 1.0
    )


def paced(action, p):
    on = action.pacing_mode > 0.5
    return Pacing(jnp.where(on, 1e-3 * action.av_delay, jnp.inf), right=jnp.where(on, 2, -1), left=jnp.where(on, 4, -1))
