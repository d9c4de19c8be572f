"""Valves and inlets: a mass of blood in a channel that closes (Lumens 2009; Arts 2012).

L dq/dt = dp - B q |q|        L = 1.5 rho (l / A + 1 / sqrt(A_open))       B = rho / 2 |1 / A^2 - 1 / A_ext^2|
"""

from typing import Any

import jax.numpy as jnp

from solvers.twins.virtual_heart.parameters import CM2, RHO

FORWARD, SHARP = 5e-6, 1e-6  # m3/s; without this offset a closed valve chatters open near no flow, and leaks
BACKWARD = 40.0  # Pa


def area(q: Any, dp: Any, of: Any) -> Any:
    """Open area [m2]: closed only where flow q [m3/s] is not clearly forward and the gradient dp [Pa] is backward."""
    shut = 0.25 * (1.0 - jnp.tanh((q - FORWARD) * (1.0 / SHARP))) * (1.0 - jnp.tanh(dp * (1.0 / BACKWARD)))
    return of.A_leak + (of.A_open - of.A_leak) * (1.0 - shut)


def flow(q: Any, dp: Any, A: Any, of: Any, dt: Any) -> Any:
    """Flow a time dt [s] later through the area A [m2], linearly implicit: (q + dt dp / L) / (1 + dt B |q| / L)."""
    per = 1.0 / A
    outside = of.A_open + jnp.maximum(1.1 * of.A_open, 5.0 * CM2)
    B = 0.5 * RHO * jnp.abs(per * per - 1.0 / (outside * outside))
    dt_L = dt / (1.5 * RHO * (of.l * per + 1.0 / jnp.sqrt(of.A_open)))
    return (q + dt_L * dp) / (1.0 + dt_L * B * jnp.abs(q))
