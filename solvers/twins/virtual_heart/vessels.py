"""Great vessels, capillary beds, pericardium and pump (Arts 2012; Lumens 2009)."""

from typing import Any

import jax.numpy as jnp

from solvers.twins.virtual_heart.parameters import RHO


def power(x: Any, k: Any) -> Any:
    """x^k for x > 0."""
    return jnp.exp(k * jnp.log(x))


def tube(V: Any, of: Any) -> tuple[Any, Any]:
    """Pressure [Pa] and wave impedance [Pa s/m3] at the volume V [m3].

    p = p0 ((A_w + 2 A) / (A_w + 2 A0))^k,  Z = rho c / A,  c^2 = (A / rho) dp/dA,  A = V / l
    """
    A = V / of.l
    wide = of.A_w + 2.0 * A
    p = of.p0 * power(wide / (of.A_w + 2.0 * of.A0), of.k)
    return p, jnp.sqrt(2.0 * RHO * of.k * p / (wide * A))


def bed(dp: Any, p0: Any, of: Any) -> Any:
    """Flow [m3/s] under the pressure difference dp [Pa]: q0 sign(dp) (|dp| / p0)^k."""
    q = of.q0 * power(jnp.maximum(jnp.abs(dp) / p0, 1e-12), of.k)
    return jnp.where(dp < 0.0, -q, q)


def pericardium(V: Any, of: Any) -> Any:
    """Pressure [Pa] around chambers and walls of volume V [m3] together: p_ref (V / V_ref)^k."""
    return of.p_ref * power(V / of.V_ref, of.k)


def pump(p_from: Any, p_to: Any, Z: Any, of: Any) -> Any:
    """Flow [m3/s] by the pump's head, H = H0 speed^2 - R q, never backwards; p_to without it [Pa], Z: impedance there.

    The head falls with flow along a straight line, and with the square of the speed, as pumps' affinity laws have it.
    """
    head = of.H0 * of.speed * of.speed - (p_to - p_from)
    return jnp.where(of.speed > 0.0, jnp.maximum(head / (of.R + Z), 0.0), 0.0)
