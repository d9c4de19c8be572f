"""log, pow, cos and sin in float64 without branches: XLA's own on a processor are not, and so several times slower.

XLA's exp and tanh are as fast as they could be here, so they are not here. Arguments and results below 2.2e-308 count
as 0, as in all that XLA compiles for a processor. Errors are in units in the last place (ulp) of the result.

Coefficients are Chebyshev interpolants in 60 digits, rounded; tests/test_elementary.py derives them again:

    LOG:   sum 2/(2k+3) z^k, 0 <= z <= 0.0295        SINE:    sum (-1)^(k+1)/(2k+3)! z^k, 0 <= z <= 0.617
    POWER: sum 2/(2k+5) z^k, 0 <= z <= 0.0295        COSINE:  sum (-1)^k/(2k+4)! z^k, 0 <= z <= 0.617
    EXP:   sum r^k/(k+2)!, |r| <= 0.347
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

LOG = (
    0.666666666666667,
    0.3999999999989819,
    0.28571428626570206,
    0.2222221103781659,
    0.18182896183483085,
    0.15331487235865734,
    0.14619343453512615,
)
POWER = (
    0.4,
    0.2857142857142938,
    0.2222222222164882,
    0.1818181833699257,
    0.15384594791762352,
    0.13334813971292003,
    0.11705988156500907,
    0.11725771221811145,
)
SINE = (
    -0.16666666666666666,
    0.008333333333330946,
    -0.000198412698367542,
    2.7557316100283695e-06,
    -2.5051131372218632e-08,
    1.5918095236696272e-10,
)
COSINE = (
    0.041666666666666664,
    -0.0013888888888887395,
    2.480158729876295e-05,
    -2.755731727031051e-07,
    2.087614597263508e-09,
    -1.1382611119025631e-11,
)
EXP = (
    0.5,
    0.1666666666666667,
    0.04166666666666667,
    0.00833333333332607,
    0.0013888888888883703,
    0.00019841269875048905,
    2.480158732571076e-05,
    2.755725511097889e-06,
    2.755727343657049e-07,
    2.510533724466521e-08,
    2.091477283224809e-09,
)
# Parts of 33 bits: a whole number below 2^20 times a part is exact.
HALF_PI = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32)
LN2 = (0.6931471804855391, 7.440617110012397e-11)
TWO_THIRDS = (0.6666666567325592, 9.934107462565104e-09)

LEAST = 2.0**-1022  # smaller ones are 0 to the processor as XLA sets it
NEAR = 1e5
# Added to a number up to 2^51 it rounds it to a whole one, which its lowest bits then hold.
WHOLE = 1.5 * 2.0**52
BITS_OF_WHOLE = 0x4338000000000000


def log(x: Any) -> jax.Array:
    """Natural logarithm, within 1 ulp; -inf at 0, nan below.

    With x = 2^k m, m from sqrt(1/2) to sqrt(2), f = m - 1 and s = f / (2 + f):  log m = f - s (f - R(s^2)).
    """
    return _log(jnp.asarray(x, float))


def pow(x: Any, y: Any) -> jax.Array:
    """x^y, within 2 ulp, as C has it at 0, infinity and nan; exact where y is 0 or 1.

    exp(y log x), with the logarithm and the product to 64 bits in two parts, as in Sun's fdlibm, e_pow.c.
    """
    return _pow(*jnp.broadcast_arrays(jnp.asarray(x, float), jnp.asarray(y, float)))


def cos(x: Any) -> jax.Array:
    """Cosine of an angle [rad], within 2 ulp; 1 at 0."""
    return _cos(jnp.asarray(x, float))


def sin(x: Any) -> jax.Array:
    """Sine of an angle [rad], within 2 ulp; 0 at 0, with its sign."""
    return _sin(jnp.asarray(x, float))


@jax.custom_jvp
def _log(x: jax.Array) -> jax.Array:
    k, m = _parted(x)
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    half = 0.5 * f * f
    finite = k * LN2[0] - ((half - (s * (half + z * _polynomial(LOG, z)) + k * LN2[1])) - f)
    # Infinity and nan go through as they are.
    positive = jnp.where(x < jnp.inf, finite, x)
    return jnp.where(x >= LEAST, positive, jnp.where(x > -LEAST, -jnp.inf, jnp.nan))


@_log.defjvp
def _log_jvp(primals: tuple, tangents: tuple) -> tuple:
    (x,), (dx,) = primals, tangents
    return _log(x), dx / x


@jax.custom_jvp
def _pow(x: jax.Array, y: jax.Array) -> jax.Array:
    size = jnp.abs(x)
    high, low = _log_in_two(size)
    # Beyond 2^66 the power of any other number than 1 is 0 or infinite.
    clipped = jnp.clip(y, -(2.0**66), 2.0**66)
    head = _head(clipped)
    rest = (clipped - head) * high + clipped * low
    result = _exp(jnp.clip(head * high, -760.0, 760.0), jnp.clip(rest, -1.0, 1.0))
    result = jnp.where(size < LEAST, jnp.where(y > 0.0, 0.0, jnp.inf), result)
    result = jnp.where(size == jnp.inf, jnp.where(y > 0.0, jnp.inf, 0.0), result)
    whole = jnp.floor(y) == y
    odd = whole & (jnp.floor(0.5 * y) != 0.5 * y)
    result = jnp.where((_bits(x) < 0) & odd, -result, result)
    result = jnp.where((x <= -LEAST) & (x > -jnp.inf) & ~whole, jnp.nan, result)
    result = jnp.where(jnp.isnan(x) | jnp.isnan(y), jnp.nan, result)
    return jnp.where((y == 0.0) | (x == 1.0), 1.0, jnp.where(y == 1.0, x, result))


def _pow_jvp(primals: tuple, tangents: tuple) -> tuple:
    (x, y), (dx, dy) = primals, tangents
    result = _pow(x, y)
    slope = jnp.zeros_like(result)
    # One that is constant adds nothing, not even 0 times the logarithm of a negative number.
    if not isinstance(dx, SymbolicZero):
        slope += jnp.where(y == 0.0, 0.0, y * _pow(x, y - 1.0)) * dx
    if not isinstance(dy, SymbolicZero):
        slope += jnp.where(x == 0.0, jnp.where(y > 0.0, 0.0, -jnp.inf), result * _log(x)) * dy
    return result, slope


_pow.defjvp(_pow_jvp, symbolic_zeros=True)


@jax.custom_jvp
def _cos(x: jax.Array) -> jax.Array:
    return _turned(x, 1, jnp.cos)


@_cos.defjvp
def _cos_jvp(primals: tuple, tangents: tuple) -> tuple:
    (x,), (dx,) = primals, tangents
    return _cos(x), -_sin(x) * dx


@jax.custom_jvp
def _sin(x: jax.Array) -> jax.Array:
    return _turned(x, 0, jnp.sin)


@_sin.defjvp
def _sin_jvp(primals: tuple, tangents: tuple) -> tuple:
    (x,), (dx,) = primals, tangents
    return _sin(x), _cos(x) * dx


def _turned(x: Any, quarters: int, far: Callable[[Any], Any]) -> jax.Array:
    """The sine of x and some quarters of a turn; `far` beyond NEAR."""
    turned = x * (2.0 / math.pi) + WHOLE
    n = turned - WHOLE
    first = x - n * HALF_PI[0]
    second = first - n * HALF_PI[1]
    lost = (first - second) - n * HALF_PI[1]
    r = (second + (lost - n * HALF_PI[2])) - n * HALF_PI[3]
    z = r * r
    sine = jnp.where(x == 0.0, x, r + r * (z * _polynomial(SINE, z)))
    cosine = 1.0 - (0.5 * z - z * z * _polynomial(COSINE, z))
    turn = _bits(turned) + quarters
    size = jnp.where(turn & 1 == 1, cosine, sine)
    near = jnp.where(turn & 2 == 2, -size, size)
    return _beyond(x, near, far)


def _beyond(x: jax.Array, near: jax.Array, far: Callable[[Any], Any]) -> jax.Array:
    """`near`, but far(x) beyond NEAR.

    A select would compute both for every lane. This loop runs not at all where every lane is near, and a lane that is
    near keeps its bits where another is not; its body takes what the loop changes, or XLA would hoist it.
    """
    todo = ~(jnp.abs(x) <= NEAR)

    def body(now: tuple) -> tuple:
        todo, value = now
        return jnp.zeros_like(todo), jnp.where(todo, far(value), value)

    return jax.lax.while_loop(lambda now: jnp.any(now[0]), body, (todo, jnp.where(todo, x, near)))[1]


def _bits(x: Any) -> jax.Array:
    return jax.lax.bitcast_convert_type(x, jnp.int64)


def _number(bits: Any) -> jax.Array:
    return jax.lax.bitcast_convert_type(bits, jnp.float64)


def _parted(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """k, a whole number, and m from sqrt(1/2) to sqrt(2), with x = 2^k m, for a positive normal x."""
    bits = _bits(x)
    # The bits of sqrt(1/2) are taken off, so that what is left of 2^52 counts from there.
    off = bits - 0x3FE6A09E667F3BCD
    k = off >> 52
    # Through 32 bits, for which every processor has vector instructions.
    return k.astype(jnp.int32).astype(float), _number(bits - (k << 52))


def _polynomial(coefficients: tuple[float, ...], z: jax.Array) -> jax.Array:
    total = jnp.full_like(z, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * z + coefficient
    return total


def _head(x: jax.Array) -> jax.Array:
    """x to 26 bits, so that a product of two heads is exact and a fused addition changes nothing."""
    return _number(_bits(x) & -(1 << 27))


def _log_in_two(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """log x as a head and what it lacks, for a positive normal x.

        log m = s (2 + 2/3 z + z^2 W(z)),  z = s^2,  s = (m - 1) / (m + 1)

    s, z and the first two terms are heads and rests too.
    """
    k, m = _parted(x)
    f, t = m - 1.0, m + 1.0
    inverse = 1.0 / t
    s, t = _head(f * inverse), _head(t)
    s_rest = ((f - s * t) - s * (m - (t - 1.0))) * inverse
    square, square_rest = s * s, s_rest * (2.0 * s + s_rest)
    z = _head(square)
    z_rest = (square - z) + square_rest
    whole = z + z_rest
    term = z * TWO_THIRDS[0]
    term_rest = z_rest * (2.0 / 3.0) + z * TWO_THIRDS[1]
    u = _head(2.0 + term)
    u_rest = (term - (u - 2.0)) + (term_rest + whole * whole * _polynomial(POWER, whole))
    v = s * u
    v_rest = s_rest * u + (s + s_rest) * u_rest
    big = k * LN2[0]
    high = _head(big + (v + v_rest))
    return high, (v - (high - big)) + (k * LN2[1] + v_rest)


def _exp(x: jax.Array, low: jax.Array) -> jax.Array:
    """exp(x + low) for |x| up to 760; halves of the power of two, so that neither overflows before the result."""
    shifted = x * (1.0 / math.log(2.0)) + WHOLE
    n = shifted - WHOLE
    r = (x - n * LN2[0]) + (low - n * LN2[1])
    value = 1.0 + (r + r * r * _polynomial(EXP, r))
    whole = _bits(shifted) - BITS_OF_WHOLE
    half = whole >> 1
    return (value * _number((half + 1023) << 52)) * _number((whole - half + 1023) << 52)


_OURS: dict[str, Callable[..., jax.Array]] = {"log": log, "pow": pow, "cos": cos, "sin": sin}
_INSIDE = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "custom_jvp_call": "call_jaxpr"}


def fast(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, with these in the place of XLA's log, pow, cos and sin of float64 wherever it calls them."""

    def replaced(*arguments: Any) -> Any:
        program, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        found = _evaluated(program.jaxpr, program.consts, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shape), found)

    return replaced


def _evaluated(program: Any, constants: Any, arguments: Any) -> list[Any]:
    values = dict(zip([*program.constvars, *program.invars], [*constants, *arguments], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if hasattr(atom, "val") else values[atom]

    for step in program.eqns:
        given, name = [read(atom) for atom in step.invars], step.primitive.name
        if name in _INSIDE:
            inner = step.params[_INSIDE[name]]
            found = _evaluated(inner.jaxpr, inner.consts, given)
        elif name in _OURS and all(jnp.result_type(each) == jnp.float64 for each in given):
            found = [_OURS[name](*given)]
        else:
            bound = step.primitive.bind(*given, **step.params)
            found = bound if step.primitive.multiple_results else [bound]
        values.update(zip(step.outvars, found, strict=True))
    return [read(atom) for atom in program.outvars]
