"""Three walls that meet in a circle: left free wall, septum and right free wall as spherical caps (Lumens 2009).

V: signed volume between a cap and the plane of the circle [m3]; Y: radius of the circle [m]; x: height of a cap [m].

    V = pi/6 x (x^2 + 3 Y^2)         Am = pi (x^2 + Y^2)          C = 2 x / (x^2 + Y^2)          T = (Am - A0) / D
    sum of T cos a = 0 and of T sin a = 0,   cos a = (Y^2 - x^2) / (x^2 + Y^2),   sin a = 2 x Y / (x^2 + Y^2)
"""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp

STEPS = 2  # of Newton's method a time step, from the solution of the last one
FARTHEST_V, FARTHEST_Y = 10e-6, 3e-3  # of one of them [m3; m]
LEAST_Y = 5e-3


class Junction(NamedTuple):
    """V_S: volume of the septal cap [m3]. Y: radius of the circle [m]."""

    V_S: Any
    Y: Any


class Cap(NamedTuple):
    """T: tension [N/m]. p: pressure across the wall, from within its curvature [Pa]."""

    x: Any
    r2: Any
    Am: Any
    T: Any
    p: Any


def cap(V: Any, Y: Any, law: Any) -> Cap:
    """The cap of volume V on the circle, with a wall of that law."""
    Y2 = Y * Y
    v = (3.0 / jnp.pi) * jnp.abs(V)
    Q = jnp.exp(jnp.log(v + jnp.sqrt(v * v + Y2 * Y2 * Y2)) * (1.0 / 3.0))  # a cube root
    height = Q - Y2 / Q
    x = jnp.where(V < 0.0, -height, height)
    r2 = x * x + Y2
    Am = jnp.pi * r2
    T = (Am - law.A0) / law.D
    return Cap(x, r2, Am, T, 4.0 * x * T / r2)


def caps(V_LV: Any, V_RV: Any, at: Junction, walls: Any, laws: tuple[Any, Any, Any]) -> tuple[Cap, Cap, Cap]:
    """Free wall, septum, right wall. walls: volumes `left` = (Vw_L + Vw_S) / 2 and `right` = (Vw_R + Vw_S) / 2 [m3]."""
    volumes = (at.V_S - V_LV - walls.left, at.V_S, at.V_S + V_RV + walls.right)
    free, septum, right = (cap(V, at.Y, law) for V, law in zip(volumes, laws, strict=True))
    return free, septum, right


def unbalance(of: tuple[Cap, Cap, Cap], Y: Any, laws: tuple[Any, Any, Any]) -> tuple[tuple, tuple]:
    """Sums of T cos a and T sin a [N/m], and their slopes ((Fx_V, Fx_Y), (Fy_V, Fy_Y)) to V_S and Y."""
    Fx = Fy = Fx_V = Fx_Y = Fy_V = Fy_Y = 0.0
    for c, law in zip(of, laws, strict=True):
        per = 1.0 / c.r2
        cos, sin = (Y * Y - c.x * c.x) * per, 2.0 * c.x * Y * per
        x_V, x_Y = (2.0 / jnp.pi) * per, -sin
        stiff = 2.0 * jnp.pi / law.D
        T_V, T_Y = stiff * c.x * x_V, stiff * (c.x * x_Y + Y)
        a_V, a_Y = 2.0 * per * Y * x_V, 2.0 * per * (Y * x_Y - c.x)
        Tc, Ts = c.T * cos, c.T * sin
        Fx, Fy = Fx + Tc, Fy + Ts
        Fx_V, Fx_Y = Fx_V + (cos * T_V - Ts * a_V), Fx_Y + (cos * T_Y - Ts * a_Y)
        Fy_V, Fy_Y = Fy_V + (sin * T_V + Tc * a_V), Fy_Y + (sin * T_Y + Tc * a_Y)
    return (Fx, Fy), ((Fx_V, Fx_Y), (Fy_V, Fy_Y))


def newton(V_LV: Any, V_RV: Any, at: Junction, walls: Any, laws: tuple[Any, Any, Any]) -> Junction:
    """One step of Newton's method towards balance, clipped."""
    of = caps(V_LV, V_RV, at, walls, laws)
    (Fx, Fy), ((Fx_V, Fx_Y), (Fy_V, Fy_Y)) = unbalance(of, at.Y, laws)
    per = 1.0 / (Fx_V * Fy_Y - Fx_Y * Fy_V)
    dV, dY = (Fx_Y * Fy - Fy_Y * Fx) * per, (Fy_V * Fx - Fx_V * Fy) * per
    V_S = at.V_S + jnp.clip(dV, -FARTHEST_V, FARTHEST_V)
    return Junction(V_S, jnp.maximum(at.Y + jnp.clip(dY, -FARTHEST_Y, FARTHEST_Y), LEAST_Y))


def solve(
    V_LV: Any, V_RV: Any, at: Junction, walls: Any, laws: tuple[Any, Any, Any]
) -> tuple[Junction, tuple[Cap, Cap, Cap]]:
    """Where the walls balance, STEPS steps on from `at`, and the caps there."""
    step = functools.partial(newton, V_LV, V_RV, walls=walls, laws=laws)
    for _ in range(STEPS):
        at = step(at)
    return at, caps(V_LV, V_RV, at, walls, laws)


def sphere(V: Any, law: Any) -> tuple[Any, Any]:
    """Tension [N/m] and pressure [Pa] of a closed sphere of midwall volume V [m3], an atrium; slack where T would be
    negative."""
    R = jnp.exp(jnp.log((0.75 / jnp.pi) * V) * (1.0 / 3.0))
    T = jnp.maximum((4.0 * jnp.pi * R * R - law.A0) / law.D, 0.0)
    return T, 2.0 * T / R
