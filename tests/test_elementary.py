"""Elementary functions: errors against numpy's long double (64 bits), special values, slopes, lanes."""

import math
from decimal import Decimal, getcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solvers import elementary
from solvers.elementary import cos, log, pow, sin

LEAST = 2.0**-1022
SPECIAL = np.array(
    [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 1e300, -1e300, 2.0**53, np.inf, -np.inf, np.nan]
)

pytestmark = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="long double has no more digits than double here"
)


def ulps(got, want):
    """The largest error in units in the last place of what is wanted, where that is a normal number."""
    got = np.asarray(got, np.longdouble)
    normal = (np.abs(want) >= LEAST) & (np.abs(want) <= np.finfo(float).max)
    assert normal.sum() > len(want) // 3
    _, exponent = np.frexp(want[normal])
    return float(np.max(np.abs(got[normal] - want[normal]) / np.ldexp(np.longdouble(1), exponent - 53)))


def random():
    return np.random.default_rng(7)


def positive():
    """Numbers over the whole range, and many about 1."""
    rng = random()
    near = 10 ** rng.uniform(-15.9, -1, 20_000)
    return np.concatenate(
        [np.logspace(-307.6, 308.2, 50_001), 10 ** rng.uniform(-307.6, 308.2, 50_000), 1 + near, 1 - near]
    )


def test_log_is_within_1_ulp_over_its_range():
    x = positive()
    assert ulps(jax.jit(log)(x), np.log(x.astype(np.longdouble))) < 1.0


def test_pow_is_within_2_ulp_where_it_neither_overflows_nor_vanishes():
    rng, count = random(), 100_000
    near = 1 + 10 ** rng.uniform(-15.5, -1, count) * rng.choice([-1, 1], count)
    pairs = [
        (10 ** rng.uniform(-300, 300, count), rng.uniform(-2, 2, count)),
        (rng.uniform(0.7, 1.45, count), rng.uniform(-2000, 2000, count)),
        (10 ** rng.uniform(-2, 2, count), rng.uniform(-150, 150, count)),
        (rng.uniform(0, 20, count), rng.uniform(-5, 5, count)),
        (near, rng.uniform(-700, 700, count) / np.log(near)),
    ]
    for x, y in pairs:
        with np.errstate(over="ignore", under="ignore"):
            want = np.power(x.astype(np.longdouble), y.astype(np.longdouble))
        assert ulps(jax.jit(pow)(x, y), want) < 2.0


@pytest.mark.parametrize(("function", "reference"), [(cos, np.cos), (sin, np.sin)])
def test_cos_and_sin_are_within_2_ulp_at_any_angle(function, reference):
    rng = random()
    quarters = np.arange(1, 63_000).astype(np.longdouble)
    angles = [
        np.linspace(-10, 10, 50_001),
        rng.uniform(-1e5, 1e5, 100_000),
        # The numbers next to a multiple of pi/2, of which hardly anything is left.
        (quarters * np.longdouble("1.57079632679489661923")).astype(float),
        10 ** rng.uniform(-300, 300, 50_000),
    ]
    for x in angles:
        assert ulps(jax.jit(function)(x), reference(x.astype(np.longdouble))) < 2.0


def test_functions_are_exact_where_the_result_is_plain():
    x = np.concatenate([positive(), -positive()])
    assert np.array_equal(pow(x, 1.0), x)
    assert np.array_equal(pow(x, 0.0), np.ones_like(x))
    assert float(log(1.0)) == 0.0
    assert float(cos(0.0)) == float(cos(-0.0)) == 1.0
    assert math.copysign(1.0, float(sin(-0.0))) == -1.0 and float(sin(0.0)) == 0.0
    assert float(pow(2.0, 10.0)) == 1024.0 and float(pow(-3.0, 3.0)) == -27.0


def test_pow_at_special_values_is_what_c_has():
    x, y = np.meshgrid(SPECIAL, SPECIAL)
    with np.errstate(all="ignore"):
        want = np.power(x, y)
    got = np.asarray(jax.jit(pow)(x, y))
    finite = np.isfinite(want) & (want != 0)
    np.testing.assert_allclose(got[finite], want[finite], rtol=2.3e-16)  # an ulp
    np.testing.assert_array_equal(got[~finite], want[~finite])
    np.testing.assert_array_equal(np.signbit(got[~np.isnan(want)]), np.signbit(want[~np.isnan(want)]))


def test_log_cos_and_sin_at_special_values():
    x = np.array([0.0, -0.0, -1.0, np.inf, -np.inf, np.nan, LEAST])
    want = np.array([-np.inf, -np.inf, np.nan, np.inf, np.nan, np.nan, np.log(LEAST)])
    np.testing.assert_array_equal(jax.jit(log)(x), want)
    np.testing.assert_array_equal(log(np.array([5e-324, 1e-310, -5e-324])), -np.inf)  # count as 0
    for function in (cos, sin):
        assert np.all(np.isnan(jax.jit(function)(np.array([np.inf, -np.inf, np.nan]))))


def test_log_and_pow_rise_where_they_should():
    x = np.sort(positive())
    assert np.all(np.diff(jax.jit(log)(x)) >= 0)
    base = np.linspace(1e-3, 50, 100_001)
    for exponent in (0.424, 1.5, 3.61):
        assert np.all(np.diff(jax.jit(pow)(base, exponent)) > 0)
    assert np.all(np.diff(jax.jit(pow)(1.7, np.linspace(-50, 50, 100_001))) > 0)


@pytest.mark.parametrize("transform", [jax.grad, lambda f: lambda x: jax.jvp(f, (x,), (1.0,))[1]])
def test_slopes_are_those_of_analysis(transform):
    for x in (0.03, 0.9, 7.0, 2e5):
        assert float(transform(log)(x)) == pytest.approx(1 / x, rel=1e-15)
        assert float(transform(cos)(x)) == pytest.approx(-math.sin(x), rel=1e-14)
        assert float(transform(sin)(x)) == pytest.approx(math.cos(x), rel=1e-14)
        assert float(transform(lambda x: pow(x, 3.61))(x)) == pytest.approx(3.61 * x**2.61, rel=1e-14)
        assert float(transform(lambda y, x=x: pow(x, y))(2.5)) == pytest.approx(x**2.5 * math.log(x), rel=1e-14)
    # A constant exponent asks for no logarithm, and a whole one takes any base.
    assert float(transform(lambda x: pow(x, 2))(-3.0)) == -6.0
    assert float(transform(lambda x: pow(x, 2))(0.0)) == 0.0
    assert float(transform(lambda x: pow(x, 0))(0.0)) == 0.0
    assert float(transform(lambda y: pow(0.0, y))(2.0)) == 0.0


def test_second_slopes_are_those_of_analysis():
    assert float(jax.grad(jax.grad(cos))(0.7)) == pytest.approx(-math.cos(0.7), rel=1e-14)
    assert float(jax.grad(jax.grad(lambda x: pow(x, 3.5)))(2.0)) == pytest.approx(3.5 * 2.5 * 2.0**1.5, rel=1e-14)


def test_a_lane_keeps_its_bits_whoever_is_beside_it():
    x = random().uniform(0.1, 1e4, 64)

    def scanned(x):
        def step(y, _):
            return y + 0.1 * cos(y) * pow(x, 0.3) - sin(log(y)), y

        return jax.lax.scan(step, x, None, length=5)[1]

    alone = jax.jit(jax.vmap(scanned))(x)
    for odd in (np.nan, np.inf, 1e22, -1.0, 0.0):
        beside = jax.jit(jax.vmap(scanned))(np.where(np.arange(64) % 3 == 0, odd, x))
        kept = np.arange(64) % 3 != 0
        np.testing.assert_array_equal(np.asarray(beside)[kept], np.asarray(alone)[kept])


def test_coefficients_are_the_interpolants_that_they_are_said_to_be():
    getcontext().prec = 60

    def interpolant(term, low, high, count):
        """Coefficients of the polynomial through sum term(k) z^k at Chebyshev's points."""

        def value(z):
            return sum((term(k) * z**k for k in range(60)), Decimal(0))

        half, middle = (high - low) / 2, (high + low) / 2
        nodes = [middle + half * Decimal(math.cos(math.pi * (2 * k + 1) / (2 * count))) for k in range(count)]
        divided = [value(node) for node in nodes]
        for j in range(1, count):
            for i in range(count - 1, j - 1, -1):
                divided[i] = (divided[i] - divided[i - 1]) / (nodes[i] - nodes[i - j])
        found = [Decimal(0)]
        for node, difference in zip(reversed(nodes), reversed(divided), strict=True):
            found = [a - node * b for a, b in zip([Decimal(0), *found], [*found, Decimal(0)], strict=True)]
            found[0] += difference
        return [float(each) for each in found[:count]]

    def one_over_factorial(k):
        return 1 / Decimal(math.factorial(k))

    cases = {
        "LOG": (lambda k: Decimal(2) / (2 * k + 3), "0", "0.0295", 7),
        "POWER": (lambda k: Decimal(2) / (2 * k + 5), "0", "0.0295", 8),
        "SINE": (lambda k: (-1) ** (k + 1) * one_over_factorial(2 * k + 3), "0", "0.617", 6),
        "COSINE": (lambda k: (-1) ** k * one_over_factorial(2 * k + 4), "0", "0.617", 6),
        "EXP": (lambda k: one_over_factorial(k + 2), "-0.347", "0.347", 11),
    }
    for name, (term, low, high, count) in cases.items():
        # The points are those of math.cos, to 16 digits: the last digits of a coefficient move by that.
        want = interpolant(term, Decimal(low), Decimal(high), count)
        np.testing.assert_allclose(getattr(elementary, name), want, rtol=1e-12)


def test_constants_in_parts_add_up():
    getcontext().prec = 60
    pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
    for parts, whole, digits in (
        (elementary.HALF_PI, pi / 2, 45),
        (elementary.LN2, Decimal(2).ln(), 26),
        (elementary.TWO_THIRDS, Decimal(2) / 3, 24),
    ):
        assert abs(sum(map(Decimal, parts), Decimal(0)) - whole) < Decimal(10) ** -digits


def test_arguments_may_be_whole_numbers_and_of_different_shapes():
    assert pow(np.array([[1], [2]]), np.array([2, 3])).tolist() == [[1.0, 1.0], [4.0, 8.0]]
    assert log(1).dtype == jnp.float64


def test_a_function_is_the_same_with_our_own_inside():
    def theirs(x, y):
        inner = jax.jit(lambda z: jnp.cos(z) + jnp.log(x))
        return {"a": inner(y) * jnp.sin(x), "b": jnp.where(x > 1.0, x**y, jnp.exp(y))}

    ours = elementary.fast(theirs)
    assert "cos" not in {each.primitive.name for each in jax.make_jaxpr(ours)(2.0, 0.5).eqns}
    x, y = jnp.linspace(0.1, 5.0, 200), jnp.linspace(-3.0, 3.0, 200)
    found, expected = jax.jit(jax.vmap(ours))(x, y), jax.vmap(theirs)(x, y)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-14, atol=1e-15)
    slope, other = (jax.grad(lambda x, f=f: f(x, 0.5)["b"])(2.0) for f in (ours, theirs))
    assert float(slope) == pytest.approx(float(other), rel=1e-14)
