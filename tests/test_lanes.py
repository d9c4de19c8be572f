"""Machine code over lanes against JAX, against extended precision, and against itself in other company."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solvers import explicit, lanes, twins
from solvers.code import code, equations
from solvers.lanes.coefficients import POLYNOMIALS, interpolated
from solvers.pairs import BOGACKI_SHAMPINE, TSITOURAS

EXTENDED = np.longdouble
PK_STATES = ("depot", "central", "peripheral", "response")
PK_TYPICAL = np.array([1.0, 5.0, 40.0, 10.0, 100.0, 10.0, 0.2, 0.5])
PK_PARAMETERS = ("KA", "CL", "V2", "Q", "V3", "KIN", "KOUT", "EC50")


def pk_slopes(t, y, p):
    """Depot, two compartments, inhibition of loss."""
    depot, central, peripheral, response = y
    KA, CL, V2, Q, V3, KIN, KOUT, EC50 = p
    c = central / V2
    back = Q * peripheral / V3
    return -KA * depot, KA * depot - (CL + Q) * c + back, Q * c - back, KIN - KOUT * (1 - c / (EC50 + c)) * response


def pk_outputs(t, y, p):
    return y[1] / p[2], y[3]


def pk_patients(n):
    p = PK_TYPICAL[:, None] * np.exp(0.3 * np.random.default_rng(1).standard_normal((8, n)))
    return np.stack([np.zeros(n), np.zeros(n), np.zeros(n), p[5] / p[6]]), p


def heart_slopes(t, y, p):
    """Ventricle that beats, valve that opens and shuts, aorta with inertia, arterioles that regulate."""
    phase, volume, aorta, flow, valve, resistance = y
    stiffness, compliance, inertia, peripheral, gain = p
    active = jnp.exp(4.0 * (jnp.cos(2 * jnp.pi * (phase - 0.19)) - 1.0))
    pressure = (0.06 + (stiffness - 0.06) * active) * (volume - 8.0)
    arterial = aorta / compliance
    opening = jax.nn.sigmoid(pressure - arterial)
    out = valve * (pressure - arterial) / 0.006
    filling = jnp.where(pressure < 8.0, (8.0 - pressure) / 0.02, 0.0)
    return (
        jnp.asarray(1.15),
        filling - out,
        out - flow,
        (arterial - peripheral * resistance * flow) / inertia,
        (opening - valve) / 0.006,
        jnp.clip(1.0 - gain * (arterial - 92.0), 0.2, 3.0) - resistance,
    )


HEART_STATES = ("phase", "volume", "aorta", "flow", "valve", "resistance")
HEART_PARAMETERS = ("stiffness", "compliance", "inertia", "peripheral", "gain")
HEART_TYPICAL = np.array([2.5, 1.4, 0.05, 1.0, 0.012])
HEART_START = np.array([0.0, 120.0, 120.0, 80.0, 0.1, 1.0])


def heart_patients(n):
    p = HEART_TYPICAL[:, None] * np.exp(0.1 * np.random.default_rng(2).standard_normal((5, n)))
    return np.repeat(HEART_START[:, None], n, 1), p


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIALTWIN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def made(slopes, outputs, states, parameters, pair=TSITOURAS):
    program = lanes.program(slopes, outputs, states, parameters)
    library = lanes.library(program, pair)
    assert library is not None, lanes.reason(program, pair)
    return library


def pk(pair=TSITOURAS):
    return made(pk_slopes, pk_outputs, PK_STATES, PK_PARAMETERS, pair)


def heart(pair=TSITOURAS):
    return made(heart_slopes, lambda t, y, p: (y[2] / p[1],), HEART_STATES, HEART_PARAMETERS, pair)


def reference(pair, slopes, y, p, length, counts, halvings, floors, jumps=None):
    """Every interval by explicit.march; y, p: (rows, n). Returns states after each interval, and the whole error."""

    def one(y, p, t, count, halving):
        return explicit.march(pair, slopes, tuple(y), tuple(p), t, length, count, halving, floors)

    advance = jax.jit(jax.vmap(one, (1, 1, None, None, None)))
    states, error = [], 0.0
    for k, (count, halving) in enumerate(zip(counts, halvings, strict=True)):
        y = y if jumps is None or jumps[k] is None else y + jumps[k]
        after, gone = advance(y, p, k * length, count, halving)
        y, error = np.stack(after), error + np.asarray(gone)
        states.append(y)
    return np.stack(states), error


@pytest.mark.parametrize("pair", [TSITOURAS, BOGACKI_SHAMPINE], ids=lambda pair: pair.name)
def test_a_day_of_doses_equals_jax(pair):
    y, p = pk_patients(37)
    dose = np.zeros_like(y)
    dose[0] = 100.0
    counts, halvings = np.full(24, 3), np.where(np.arange(24) % 12 == 0, 4, 0)
    jumps = [dose if k % 12 == 0 else None for k in range(24)]
    floors = (1.0, 0.5, 0.25, 2.0)
    states, error = reference(pair, pk_slopes, y, p, 1.0, counts, halvings, floors, jumps)
    got = pk(pair).march(0.0, y, p, counts, halvings, np.ones(24), floors, jumps, np.ones(25, bool))
    np.testing.assert_allclose(got.y, states[-1], rtol=1e-12)
    np.testing.assert_allclose(got.outputs[1:], np.stack([states[:, 1] / p[2], states[:, 3]], 1), rtol=1e-12)
    np.testing.assert_allclose(got.outputs[0], [y[1] / p[2], y[3]], rtol=1e-12)
    np.testing.assert_array_equal(got.ranges, [got.outputs.min(0), got.outputs.max(0)])
    # the error is a difference of nearly equal stages, so its own last digits go first
    np.testing.assert_allclose(got.error, error, rtol=1e-9)


@pytest.mark.parametrize("pair", [TSITOURAS, BOGACKI_SHAMPINE], ids=lambda pair: pair.name)
def test_half_a_second_of_heartbeat_equals_jax(pair):
    y, p = heart_patients(19)
    counts, halvings, floors = np.full(50, 10), np.zeros(50, int), (1.0,) * 6
    states, error = reference(pair, heart_slopes, y, p, 0.01, counts, halvings, floors)
    got = heart(pair).march(0.0, y, p, counts, halvings, np.full(50, 0.01), floors)
    np.testing.assert_allclose(got.y, states[-1], rtol=1e-12)
    # the rounding of a volume of 100 mL
    np.testing.assert_allclose(got.error, error, rtol=1e-9, atol=1e-12)
    assert got.outputs.shape == (0, 1, 19)


def test_time_dependent_slopes_meet_their_integral():
    library = made(lambda t, y, p: (p[0] * jnp.cos(t),), lambda t, y, p: (t,), ["y"], ["p"])
    got = library.march(2.0, [[0.0]], [[3.0]], [40, 40], [3, 0], [0.5, 0.7], [1.0], record=[True, True, True])
    np.testing.assert_allclose(got.y, [[3.0 * (np.sin(3.2) - np.sin(2.0))]], rtol=1e-10)
    np.testing.assert_allclose(got.outputs[:, 0, 0], [2.0, 2.5, 3.2], rtol=1e-15)


def test_a_pair_whose_last_stage_is_not_kept_gives_the_same():
    y, p = pk_patients(20)
    given = (0.0, y, p, [3, 2], [2, 0], [1.0, 1.0], (1.0,) * 4)
    kept, fresh = (pk(pair).march(*given) for pair in (TSITOURAS, TSITOURAS._replace(fsal=False)))
    np.testing.assert_allclose(fresh.y, kept.y, rtol=1e-13)
    np.testing.assert_allclose(fresh.error, kept.error, rtol=1e-9)


def test_many_equations_equal_jax():
    names = [f"y{i}" for i in range(24)]

    def ring(t, y, p):
        left = [*y[-1:], *y[:-1]]
        return tuple(
            p[0] * jnp.tanh(a - b) / (1 + b * b) - jnp.sin(c) for a, b, c in zip(left, y, y[::-1], strict=True)
        )

    y, p = np.random.default_rng(6).standard_normal((24, 21)), np.linspace(0.5, 2.0, 21)[None]
    states, error = reference(TSITOURAS, ring, y, p, 0.1, [4], [0], (1.0,) * 24)
    got = made(ring, lambda t, y, p: (), names, ["p"]).march(0.0, y, p, [4], [0], [0.1], (1.0,) * 24)
    np.testing.assert_allclose(got.y, states[-1], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(got.error, error, atol=1e-15)


def pk_march(y, p, **changes):
    dose = np.zeros_like(y)
    dose[0] = 100.0
    given = {"jumps": [dose, None, dose], "record": [True, False, True, True]} | changes
    return pk().march(0.0, y, p, [4, 1, 3], [2, 0, 1], [1.0, 0.5, 2.0], (1.0,) * 4, **given)


def test_bits_of_a_patient_do_not_depend_on_company():
    y, p = pk_patients(1000)
    whole = pk_march(y, p)
    for i in (0, 1, 7, 8, 15, 16, 500, 999):
        alone = pk_march(y[:, [i]], p[:, [i]])
        for name in whole._fields:
            np.testing.assert_array_equal(getattr(alone, name)[..., 0], getattr(whole, name)[..., i])
    order = np.random.default_rng(3).permutation(1000)[:333]
    some = pk_march(y[:, order], p[:, order])
    for name in whole._fields:
        np.testing.assert_array_equal(getattr(some, name), getattr(whole, name)[..., order])


def test_a_jump_of_zeros_is_no_jump():
    y, p = pk_patients(20)
    nothing = np.zeros((3, *y.shape))
    for a, b in zip(pk_march(y, p, jumps=nothing), pk_march(y, p, jumps=None), strict=True):
        np.testing.assert_array_equal(a, b)


def test_outputs_are_seen_before_the_jump():
    y, p = pk_patients(3)
    library = made(pk_slopes, lambda t, y, p: (y[0],), PK_STATES, PK_PARAMETERS)
    dose = np.zeros_like(y)
    dose[0] = 100.0
    got = library.march(0.0, y, p, [1], [0], [0.0], (1.0,) * 4, [dose], [True, True])
    np.testing.assert_array_equal(got.outputs[:, 0], [[0.0] * 3, [100.0] * 3])


def test_a_nan_stays_in_its_lane():
    y, p = pk_patients(21)
    whole, sick = pk_march(y, p), p.copy()
    sick[1, 9] = np.nan
    got, others = pk_march(y, sick), np.arange(21) != 9
    assert np.isnan(got.error[9]) and np.isnan(got.y[1, 9]) and np.isfinite(whole.error).all()
    np.testing.assert_array_equal(got.y[:, others], whole.y[:, others])
    np.testing.assert_array_equal(got.error[others], whole.error[others])


# Functions, the ranges they are tried on, and the units in the last place that they may miss.
FUNCTIONS = [
    ("exp", jnp.exp, np.exp, [(-708.0, 709.7), (-1.0, 1.0)], 2),
    ("exp2", jnp.exp2, np.exp2, [(-1022.0, 1023.9), (-1.0, 1.0)], 2),
    ("expm1", jnp.expm1, np.expm1, [(-40.0, 709.0), (-1.0, 1.0), (-1e-8, 1e-8)], 2),
    ("log", jnp.log, np.log, ["magnitudes", (0.5, 2.0)], 2),
    ("log1p", jnp.log1p, np.log1p, ["magnitudes", (-0.999, 2.0), (-1e-9, 1e-9)], 2),
    ("tanh", jnp.tanh, np.tanh, [(-1.0, 1.0), (-25.0, 25.0), (-1e-8, 1e-8)], 2),
    ("logistic", jax.nn.sigmoid, lambda x: 1 / (1 + np.exp(-x)), [(-700.0, 40.0), (-3.0, 3.0)], 3),
    ("sin", jnp.sin, np.sin, [(-1e5, 1e5), (-3.2, 3.2), (-1e12, 1e12)], 3),
    ("cos", jnp.cos, np.cos, [(-1e5, 1e5), (-3.2, 3.2), (-1e12, 1e12)], 3),
    ("tan", jnp.tan, np.tan, [(-1e5, 1e5), (-2.0, 2.0)], 4),
]


def of_x(function):
    """The function as the output of a program, so that it is compiled like any other."""
    library = made(lambda t, y, p: (0.0 * y[0],), lambda t, y, p: (function(*p),), ["y"], ["x", "z"], BOGACKI_SHAMPINE)

    def call(x, z=1.0):
        x, z = np.broadcast_arrays(np.asarray(x, float), z)
        state = np.zeros((1, x.size))
        got = library.march(0.0, state, np.stack([x, z]), [1], [0], [1.0], [1.0], record=[True, False])
        return got.outputs[0, 0]

    return call


def units(got, exact):
    """Distance in units of the last place of the exact value, given in extended precision."""
    return float(np.max(np.abs(got.astype(EXTENDED) - exact) / np.spacing(np.abs(exact.astype(float)))))


@pytest.mark.skipif(np.finfo(EXTENDED).nmant < 60, reason="needs a longer float to compare with")
@pytest.mark.parametrize(("name", "function", "exact", "ranges", "allowed"), FUNCTIONS, ids=lambda v: str(v)[:8])
def test_elementary_functions_over_their_range(name, function, exact, ranges, allowed):
    compiled, rng = of_x(lambda x, z: function(x)), np.random.default_rng(4)
    for values in ranges:
        x = 10 ** rng.uniform(-300, 300, 50_000) if values == "magnitudes" else rng.uniform(*values, 50_000)
        assert units(compiled(x), exact(x.astype(EXTENDED))) <= allowed, values


@pytest.mark.parametrize(("name", "function", "exact", "ranges", "allowed"), FUNCTIONS, ids=lambda v: str(v)[:8])
def test_elementary_functions_at_their_ends(name, function, exact, ranges, allowed):
    x = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 800.0, -800.0, -1.0, 5e-324, 1e-310, 1e308, -746.0, 3.0])
    if name in ("sin", "cos", "tan"):
        x = x[np.abs(x) != 1e308]  # nan, see below
    with np.errstate(all="ignore"):
        expected = exact(x)
    np.testing.assert_allclose(of_x(lambda x, z: function(x))(x), expected, rtol=1e-14, atol=1e-300)


def test_a_phase_without_digits_is_nan():
    assert np.isnan(of_x(lambda x, z: jnp.sin(x))([1e14, -1e300])).all()


@pytest.mark.skipif(np.finfo(EXTENDED).nmant < 60, reason="needs a longer float to compare with")
def test_power_over_its_range_and_at_its_ends():
    power, rng = of_x(lambda x, z: x**z), np.random.default_rng(5)
    x, z = 10 ** rng.uniform(-3, 3, 50_000), rng.uniform(-100, 100, 50_000)
    exact = x.astype(EXTENDED) ** z.astype(EXTENDED)
    usual = np.abs(z * np.log(x)) < 50
    assert units(power(x, z)[usual], exact[usual]) <= 4
    assert units(power(x, z)[~usual], exact[~usual]) <= 8
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -2.0, -2.0, -2.0, 1.0, 0.0, -8.0, -0.0, 2.0, 2.0, np.nan, 0.5])
    z = np.array([2.0, -3.0, -1.0, 3.0, 0.0, 3.0, 2.0, 0.5, np.nan, 0.0, 1 / 3, 3.0, np.inf, 2000.0, 1.0, 2000.0])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(power(x, z), x**z)


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_coefficients_are_those_of_the_script(name):
    text = Path(lanes.__file__).with_name("elementary.h").read_text(encoding="utf-8")
    for coefficient in interpolated(*POLYNOMIALS[name]):
        assert repr(coefficient) in text


OPERATIONS = {
    "arithmetic": lambda x, z: (x + z) * (x - z) / (z * z + 1.0) - x / 3.0,
    "minimum": lambda x, z: jnp.minimum(x, z),
    "maximum": lambda x, z: jnp.maximum(x, z),
    "clip": lambda x, z: jnp.clip(x, -0.5, z),
    "abs": lambda x, z: jnp.abs(x) - jnp.sign(z),
    "root": lambda x, z: jnp.sqrt(jnp.abs(x)) + jax.lax.rsqrt(z * z + 1.0),
    "rounding": lambda x, z: jnp.floor(x) + 10 * jnp.ceil(z) + 100 * jnp.round(x) + 1000 * jnp.trunc(z),
    "powers": lambda x, z: x**3 + z**-2 + jnp.square(x) + jnp.abs(z) ** 0.5 + x**0,
    "where": lambda x, z: jnp.where((x > 0) & ~(z >= 0.5) | (x == z), x, 2.0 * z),
    "logic": lambda x, z: jnp.where(jnp.logical_xor(x < z, x != -z), 1.0, jnp.isfinite(x) * 2.0),
    "flags": lambda x, z: jnp.where(jnp.where(x > 0, z > 0, z < -1), x, z) + (x > z),
    "integers": lambda x, z: (3 * x).astype(int) * 2.0 + z,
    "softplus": lambda x, z: jax.nn.softplus(x) + jax.nn.relu(z) + jax.lax.stop_gradient(x),
    "bool constant": lambda x, z: jnp.where(jnp.asarray(True), x, z),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_equal_jax(name):
    x = np.array([-2.5, -1.0, -0.5, 0.0, 0.3, 0.5, 1.5, 2.5, 1e17, np.nan, np.inf, 7.0, 0.3])
    z = np.array([0.3, 1.0, -0.5, 0.2, 0.3, -2.5, 1.5, -1e300, 2.5, 1.0, 2.0, np.nan, -0.3])
    if name == "integers":
        x = np.where(np.abs(x) < 1e10, x, 0.5)
    expected = jax.vmap(OPERATIONS[name])(x, z)
    np.testing.assert_allclose(of_x(OPERATIONS[name])(x, z), expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("slope", "named"),
    [
        (lambda t, y, p: (jnp.asarray([1.0, 2.0, 3.0])[y[0].astype(int)],), "shape (3,)"),
        (lambda t, y, p: (jax.lax.fori_loop(0, 3, lambda i, v: v * 2.0, y[0]),), "scan"),
        (lambda t, y, p: (jax.lax.while_loop(lambda v: v < 3.0, lambda v: v + 1.0, y[0]),), "while"),
        (lambda t, y, p: (jax.scipy.special.gammaln(y[0]),), "lgamma"),
        (lambda t, y, p: (y[0].astype(jnp.float32),), "float32"),
    ],
)
def test_what_has_no_c_gives_a_reason(slope, named):
    program = lanes.program(slope, lambda t, y, p: (), ["y"], [])
    assert lanes.library(program, TSITOURAS) is None
    assert named in lanes.reason(program, TSITOURAS)


def test_no_compiler_gives_a_reason(monkeypatch, tmp_path):
    program = lanes.program(lambda t, y, p: (y[0] * 1.25,), lambda t, y, p: (), ["y"], [])
    monkeypatch.setenv("TRIALTWIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lanes.library(program, TSITOURAS) is None
    assert "no C compiler" in lanes.reason(program, TSITOURAS)
    monkeypatch.undo()
    assert lanes.library(program, TSITOURAS) is not None
    assert lanes.reason(program, TSITOURAS) == ""


def test_a_compiler_that_fails_gives_a_reason(monkeypatch, tmp_path):
    program = lanes.program(lambda t, y, p: (y[0] * 1.5,), lambda t, y, p: (), ["y"], [])
    monkeypatch.setenv("TRIALTWIN_CACHE", str(tmp_path))
    monkeypatch.setenv("CC", "false")
    assert lanes.library(program, TSITOURAS) is None
    assert "refused" in lanes.reason(program, TSITOURAS)


def test_an_unwritable_cache_is_replaced(monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.write_text("no folder")
    monkeypatch.setenv("TRIALTWIN_CACHE", str(file / "cache"))
    assert made(lambda t, y, p: (y[0] * 1.75,), lambda t, y, p: (), ["y"], []).march(
        0.0, [[1.0]], np.empty((0, 1)), [100], [0], [1.0], [1.0]
    ).y == pytest.approx(np.exp(1.75), rel=1e-9)


BUILD = """
import numpy as np
from solvers import lanes
from solvers.pairs import TSITOURAS
program = lanes.program(lambda t, y, p: (y[0] * 2.5,), lambda t, y, p: (), ["y"], [])
got = lanes.library(program, TSITOURAS).march(0.0, [[1.0]], np.empty((0, 1)), [8], [0], [1.0], [1.0])
print(got.y[0, 0].hex())
"""


def test_two_processes_may_build_at_once(tmp_path):
    root = Path(__file__).parents[1]
    environment = os.environ | {"TRIALTWIN_CACHE": str(tmp_path), "PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"}
    both = [
        subprocess.Popen([sys.executable, "-c", BUILD], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1] and float.fromhex(said[0]) == pytest.approx(np.exp(2.5), rel=1e-4)
    assert len(list(tmp_path.glob("*.so"))) == 1 and not list(tmp_path.glob("build-*"))


def test_wrong_shapes_are_refused():
    y, p = pk_patients(3)
    with pytest.raises(ValueError, match="p has the shape"):
        pk().march(0.0, y, p[:5], [1], [0], [1.0], (1.0,) * 4)
    with pytest.raises(ValueError, match="no step"):
        pk().march(0.0, y, p, [0], [0], [1.0], (1.0,) * 4)
    with pytest.raises(ValueError, match="2 jumps for 1"):
        pk().march(0.0, y, p, [1], [0], [1.0], (1.0,) * 4, [None, None])
    with pytest.raises(ValueError, match="slopes for"):
        lanes.program(lambda t, y, p: (y[0], y[0]), lambda t, y, p: (), ["y"], [])
    with pytest.raises(ValueError, match="floors"):
        pk().advance(0.0, 1.0, 1, 0, tuple(y[:, 0]), tuple(p[:, 0]), (1.0,))


def test_inside_xla_equals_march_bit_for_bit():
    library, (y, p) = heart(), heart_patients(45)
    counts, halvings, length = jnp.asarray([5, 3, 8]), jnp.asarray([0, 2, 1]), 0.01
    floors = (1.0, 0.5, 2.0, 1.0, 3.0, 1.0)

    def life(y, p):
        def interval(carry, now):
            y, error = carry
            number, count, halving = now
            y, gone = library.advance(number * length, length, count, halving, y, tuple(p), floors)
            return (y, error + gone), y[2] / p[1]

        return jax.lax.scan(interval, (tuple(y), 0.0), (jnp.arange(3.0), counts, halvings))

    (after, error), _ = jax.jit(jax.vmap(life, 1))(jnp.asarray(y), jnp.asarray(p))
    got = library.march(0.0, y, p, counts, halvings, np.full(3, length), floors)
    np.testing.assert_array_equal(np.stack(after), got.y)
    np.testing.assert_allclose(error, got.error, rtol=1e-14)  # summed by interval there, by step here
    alone, gone = jax.jit(library.advance, static_argnums=6)(0.0, length, 5, 0, tuple(y[:, 4]), tuple(p[:, 4]), floors)
    first = library.march(0.0, y, p, [5], [0], [length], floors)
    np.testing.assert_array_equal(np.stack(alone), first.y[:, 4])
    np.testing.assert_array_equal(gone, first.error[4])


def test_two_names_of_one_program_share_code():
    a, b = (made(lambda t, y, p: (-3.0 * y[0],), lambda t, y, p: (), [name], []) for name in "ab")
    results = [library.advance(0.0, 1.0, 2, 0, (1.0,), (), (1.0,)) for library in (a, b)]
    assert results[0] == results[1]


def test_lanes_with_meshes_of_their_own_get_them():
    library, (y, p) = pk(), pk_patients(20)
    counts = np.repeat([1, 2, 5], [9, 1, 10])
    after, error = jax.vmap(
        lambda count, y, p: library.advance(0.0, 1.0, count, 0, tuple(y), tuple(p), (1.0,) * 4), (0, 1, 1)
    )(counts, y, p)
    for count in (1, 2, 5):
        one = library.march(0.0, y, p, [count], [0], [1.0], (1.0,) * 4)
        np.testing.assert_array_equal(np.stack(after)[:, counts == count], one.y[:, counts == count])
        np.testing.assert_array_equal(np.asarray(error)[counts == count], one.error[counts == count])


def test_forward_derivative_equals_finite_differences():
    library, (y, p) = pk(), pk_patients(6)
    y[0] = 100.0

    def fallback(t, length, count, halving, y, p, floors):
        return explicit.march(TSITOURAS, pk_slopes, y, p, t, length, count, halving, floors)

    def central(clearance, y, p):
        given = (p[0], clearance, *p[2:])
        return library.advance(0.0, 6.0, 12, 2, tuple(y), given, (1.0,) * 4, fallback=fallback)[0][1]

    at = jnp.asarray(p[1])
    value, slope = jax.jit(
        lambda at: jax.jvp(lambda at: jax.vmap(central, (0, 1, 1))(at, y, p), (at,), (jnp.ones_like(at),))
    )(at)
    step = 1e-5
    higher, lower = (jax.vmap(central, (0, 1, 1))(at + d, y, p) for d in (step, -step))
    np.testing.assert_array_equal(value, jax.vmap(central, (0, 1, 1))(at, y, p))
    # a central difference of 1e-5 leaves 1e-10 of curvature, and 1e-11 of rounding
    np.testing.assert_allclose(slope, (higher - lower) / (2 * step), rtol=1e-7)


@pytest.mark.parametrize("name", twins.names())
def test_every_twin_that_has_equations_has_machine_code(name):
    twin = twins.load(name)
    if twin.ode is None:
        assert code(twin, TSITOURAS) is None
        return
    found = equations(twin)
    assert found is not None
    assert code(twin, TSITOURAS) is not None, "a compiler is there and refuses it, or an operation has no C"
