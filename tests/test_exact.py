"""The exact tier: what it takes for linear, and its lives against curves that were computed elsewhere."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from solvers import exact
from solvers.exact.step import Stepper
from solvers.twins import warfarin_inr

# The dosing-driven task: absorption, two compartments, and a response whose loss is inhibited.
TYPICAL = np.array([1.0, 5.0, 40.0, 10.0, 100.0, 10.0, 0.2, 0.5])
SPREAD = np.array([0.3, 0.3, 0.2, 0.3, 0.3, 0.2, 0.3, 0.3])
HOURS = np.ones(168)
DOSES = np.zeros((168, 4, 1))
DOSES[::12, 0] = 100.0
TOLERANCE = 2.7e-6  # the largest error of the peers that the task is held against


def draw(count, seed=1):
    return TYPICAL[:, None] * np.exp(SPREAD[:, None] * np.random.default_rng(seed).standard_normal((8, count)))


def rhs(t, y, p):
    a1, a2, a3, r = y
    ka, cl, v2, q, v3, kin, kout, ec50 = p
    c = a2 / v2
    return -ka * a1, ka * a1 - (cl + q) * c + q * a3 / v3, q * c - q * a3 / v3, kin - kout * (1 - c / (ec50 + c)) * r


def outputs(t, y, p):
    return y[1] / p[2], y[3]


def start(p):
    return np.stack([0 * p[0], 0 * p[0], 0 * p[0], p[5] / p[6]])


def distance(found, right):
    """(patient,): the largest relative error, as `march` estimates it."""
    return (np.abs(found - right) / (np.abs(right) + 1e-3 * np.abs(right).max(axis=0))).max(axis=(0, 1))


@pytest.fixture(scope="module")
def layout():
    found = exact.structure(rhs, 4, 8)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def rule(layout):
    pilots = draw(64, seed=7)
    return exact.choose(layout, rhs, outputs, start(pilots), pilots, HOURS, DOSES, TOLERANCE)


@pytest.fixture(scope="module")
def march(layout, rule):
    return exact.solver(layout, rhs, outputs, rule).march


@pytest.fixture(scope="module")
def fine(layout, rule):
    """The same at a far finer setting, which the reference file agrees with."""
    mesh = tuple((4 * count, halvings + 3) for count, halvings in rule.mesh)
    return exact.solver(layout, rhs, outputs, rule._replace(nodes=4, mesh=mesh, tolerance=np.inf)).march


def bateman(t, y, p):
    return -p[0] * y[0], p[0] * y[0] - p[1] * y[1]


def amounts(t, y, p):
    return y


def plain(structure, length, norm=4.0, count=1):
    """A rule for a model with nothing driven."""
    tick = (1, 0)
    return exact.Rule(3, (tick,) * count, tick, norm, length, ((),) * count, 1.0, np.inf)


def twin_rhs(twin):
    """The right-hand side, the states' number and one patient's parameters of a twin, flat."""
    p = twin.namespace(twin.typical())
    state, given = type(twin.initial(p)), type(p)

    def flat(t, y, q):
        return tuple(twin.ode.field(t, state(*y), given(*q)))

    return flat, len(state._fields), tuple(p)


def test_linear_block_and_response_are_found(layout):
    assert layout.linear == (0, 1, 2)
    assert layout.entries == {(0, 0), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)}
    assert not layout.shifted
    assert layout.driven == (exact.Driven(3, frozenset(), frozenset({1})),)


def test_one_compartment_is_linear_as_a_whole():
    found = exact.structure(bateman, 2, 2)
    assert found is not None
    assert found.linear == (0, 1) and not found.driven and not found.shifted


def test_warfarin_is_a_linear_block_that_drives_two_chains():
    field, states, p = twin_rhs(warfarin_inr.twin)
    found = exact.structure(field, states, len(p))
    assert found is not None
    assert found.linear == (0, 1, 2)
    # depot, central, peripheral, six of chain 1, chain 2: both chains start from the central compartment
    assert [(each.state, set(each.source), set(each.rate)) for each in found.driven] == [
        (3, {1}, set()),
        (9, {1}, set()),
        *((state, {state - 1}, set()) for state in range(4, 9)),
    ]


@pytest.mark.parametrize(
    "slope",
    [
        pytest.param(lambda t, y, p: (-p[0] * y[0] / (p[1] + y[0]),), id="Michaelis-Menten"),
        pytest.param(lambda t, y, p: (-p[0] * jnp.maximum(y[0], p[1]),), id="a bound on a state"),
        pytest.param(lambda t, y, p: (jnp.where(y[0] > 1.0, -y[0], p[0]),), id="a switch on itself"),
        pytest.param(lambda t, y, p: ((1.0 + y[0]) ** 2 - y[0] * y[0],), id="linear only once it is expanded"),
    ],
)
def test_what_is_not_linear_is_refused(slope):
    assert exact.structure(slope, 1, 2) is None


def test_two_states_that_drive_each_other_are_refused():
    assert exact.structure(lambda t, y, p: (-y[0] * y[1], y[0] - y[1]), 2, 0) is None


def test_a_switch_on_a_parameter_is_linear():
    found = exact.structure(lambda t, y, p: (jnp.where(p[0] > 0, -p[0] * y[0], p[1]),), 1, 2)
    assert found is not None and found.linear == (0,) and found.shifted == {0}


def test_time_makes_a_state_driven():
    found = exact.structure(lambda t, y, p: (jnp.sin(t) - p[0] * y[0],), 1, 1)
    assert found is not None
    assert found.driven == (exact.Driven(0, frozenset({-1}), frozenset()),)


def test_lives_are_those_of_the_reference(shared, march):
    p = draw(200)[:, :64]
    right = np.load(shared / "reference/solver/reference.npz")["t1"]
    found = march(0.0, start(p), p, HOURS, DOSES)
    assert found.outputs.shape == right.shape == (169, 2, 64)
    # the reference itself is good to 2e-9
    assert distance(found.outputs, right).max() < TOLERANCE


def test_estimate_bounds_the_true_error(shared, march, fine):
    known = draw(200)[:, :64]
    right = np.load(shared / "reference/solver/reference.npz")["t1"]
    assert distance(fine(0.0, start(known), known, HOURS, DOSES).outputs, right).max() < 1e-8
    p = draw(500, seed=99)
    found = march(0.0, start(p), p, HOURS, DOSES)
    true = distance(found.outputs, fine(0.0, start(p), p, HOURS, DOSES).outputs)
    assert np.isfinite(found.error).all() and found.error.max() <= TOLERANCE
    assert (true <= found.error + 1e-9).mean() >= 0.99
    assert np.median(found.error / true) < 100  # and it says something


def test_a_patient_over_the_tolerance_is_solved_again(layout, rule, march, fine):
    p = draw(8, seed=4)
    # fast absorption and elimination, a response at a tiny EC50: far from the pilots
    p[0, 5], p[1, 5], p[7, 5] = 20.0, 60.0, 0.02
    once = exact.solver(layout, rhs, outputs, rule._replace(tolerance=np.inf)).march
    first = once(0.0, start(p), p, HOURS, DOSES)
    assert first.error[5] > TOLERANCE
    found = march(0.0, start(p), p, HOURS, DOSES)
    right = fine(0.0, start(p), p, HOURS, DOSES).outputs
    assert found.error[5] <= TOLERANCE
    assert np.array_equal(np.delete(found.outputs, 5, axis=2), np.delete(first.outputs, 5, axis=2))
    assert distance(found.outputs, right)[5] <= TOLERANCE


@pytest.mark.parametrize(("ka", "k"), [(0.3, 0.3), (1e3, 0.1), (0.0, 0.1), (0.5, 0.0), (0.0, 0.0), (0.3, 0.3 + 1e-9)])
def test_absorption_and_elimination_at_any_rates(ka, k):
    found = exact.structure(bateman, 2, 2)
    lengths = np.array([0.5, 1.0, 12.0])
    solve = exact.solver(found, bateman, amounts, plain(found, 12.0, norm=4e3, count=3))
    end = solve.march(0.0, np.array([[10.0], [2.0]]), np.array([[ka], [k]]), lengths)
    t, gap = np.array([0.0, 0.5, 1.5, 13.5]), abs(ka - k)
    # Bateman's function; SciPy's expm is off by 3e-9 where the rates are 1e-9 apart
    share = np.where(gap * t > 0, -np.expm1(-gap * t) / np.where(gap * t > 0, gap * t, 1.0), 1.0)
    gained = 10.0 * ka * t * np.exp(-min(ka, k) * t) * share
    right = np.stack([10.0 * np.exp(-ka * t), 2.0 * np.exp(-k * t) + gained], axis=1)
    # squaring doubles a relative error each time: 1e3 per hour over 12 h takes 17 of them, 2^17 eps = 3e-11
    np.testing.assert_allclose(end.outputs[..., 0], right, rtol=1e-10, atol=1e-14)
    assert end.error[0] == 0.0


def test_what_is_infused_comes_in_exactly():
    def infused(t, y, p):
        return p[1] - p[0] * y[0], p[0] * y[0]

    found = exact.structure(infused, 2, 2)
    assert found is not None and found.shifted == {0}
    solve = exact.solver(found, infused, amounts, plain(found, 3.0))
    end = solve.march(0.0, np.zeros((2, 1)), np.array([[0.7], [5.0]]), np.array([3.0])).y[:, 0]
    kept = 5.0 / 0.7 * -np.expm1(-2.1)
    np.testing.assert_allclose(end, [kept, 15.0 - kept], rtol=1e-14)


def test_doses_superpose():
    found = exact.structure(bateman, 2, 2)
    p = np.array([[1.2], [0.2]])
    times = 6

    def life(doses):
        jumps = np.zeros((times, 2, 1))
        for when, amount in doses:
            jumps[when, 0] = amount
        rule = plain(found, 2.0, count=times)._replace(jumps=((0,),) * times)
        return exact.solver(found, bateman, amounts, rule).march(0.0, np.zeros((2, 1)), p, np.full(times, 2.0), jumps)

    both, one, other = life([(0, 10.0), (3, 4.0)]), life([(0, 10.0)]), life([(3, 4.0)])
    np.testing.assert_allclose(both.outputs, one.outputs + other.outputs, rtol=1e-14)
    assert other.outputs[3].max() == 0.0  # seen before the dose
    assert other.outputs[4].min() > 0.0


def test_a_driven_chain_agrees_with_scipy():
    def chain(t, y, p):
        c, first, second = y
        return -p[0] * c, c / (1.0 + c) + 0.1 * jnp.sin(t) - p[1] * first, first - (p[1] + c) * second

    found = exact.structure(chain, 3, 2)
    assert found is not None and [each.state for each in found.driven] == [1, 2]
    p = np.array([[0.5, 1.0, 2.0], [0.3, 0.6, 0.1]])
    y = np.array([[5.0] * 3, [0.0] * 3, [1.0] * 3])
    lengths = np.full(10, 0.7)
    rule = exact.choose(found, chain, amounts, y, p, lengths, None, 1e-8)
    got = exact.solver(found, chain, amounts, rule).march(0.0, y, p, lengths)
    for i in range(3):
        right = solve_ivp(
            lambda t, y, i=i: chain(t, y, p[:, i]), (0, 7), y[:, i], rtol=1e-12, atol=1e-14, t_eval=0.7 * np.arange(11)
        )
        np.testing.assert_allclose(got.outputs[..., i], right.y.T, rtol=2e-8)
    assert got.error.max() <= 1e-8


def test_a_stiff_response_is_refined_by_the_choice():
    def fast(t, y, p):
        return -p[0] * y[0], p[1] * (y[0] / (1.0 + y[0]) - y[1])

    found = exact.structure(fast, 2, 2)
    y, p, lengths = np.array([[1.0], [0.0]]), np.array([[0.5], [200.0]]), np.full(4, 1.0)
    rule = exact.choose(found, fast, amounts, y, p, lengths, None, 1e-6)
    got = exact.solver(found, fast, amounts, rule).march(0.0, y, p, lengths).outputs
    right = solve_ivp(lambda t, y: fast(t, y, p[:, 0]), (0, 4), y[:, 0], "Radau", np.arange(5), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(got[..., 0], right.y.T, rtol=1e-6)


@pytest.mark.parametrize("code", [None, "jax"])
def test_bits_do_not_depend_on_company(layout, rule, code):
    march = exact.solver(layout, rhs, outputs, rule, code).march
    p = draw(1300, seed=5)  # more than a call of JAX takes
    whole = march(0.0, start(p), p, HOURS, DOSES)
    for lanes in ([0], [1299], [63, 64, 65], [700, 3, 1111, 12, 700]):
        some = march(0.0, start(p[:, lanes]), p[:, lanes], HOURS, DOSES)
        for a, b in zip(whole, some, strict=True):
            assert np.array_equal(a[..., lanes], b)


def test_a_sick_patient_stays_alone(march):
    p = draw(70, seed=6)
    sick = p.copy()
    sick[1, 65] = np.nan
    well, ill = march(0.0, start(p), p, HOURS, DOSES), march(0.0, start(p), sick, HOURS, DOSES)
    assert np.isnan(ill.outputs[-1, :, 65]).all() and np.isnan(ill.error[65])
    others = np.delete(np.arange(70), 65)
    for a, b in zip(well, ill, strict=True):
        assert np.array_equal(a[..., others], b[..., others])


def test_only_what_is_asked_for_is_kept(march):
    p = draw(3, seed=8)
    whole = march(0.0, start(p), p, HOURS, DOSES)
    for points in ([0, 12, 168], [5], [167], range(1, 169)):
        record = np.isin(np.arange(169), points)
        some = march(0.0, start(p), p, HOURS, DOSES, record)
        assert some.outputs.shape == (len(points), 2, 3)
        # another program: equal but for rounding
        np.testing.assert_allclose(some.outputs, whole.outputs[record], rtol=1e-12)
        np.testing.assert_allclose(some.y, whole.y, rtol=1e-12)


def test_machine_code_does_what_jax_does(layout, rule):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    p = draw(21, seed=12)
    free = rule._replace(tolerance=np.inf)
    c, jax = (exact.solver(layout, rhs, outputs, free, code) for code in ("c", "jax"))
    assert (c.code, jax.code) == ("c", "jax")
    a, b = (each.march(3.0, start(p), p, HOURS, DOSES) for each in (c, jax))
    np.testing.assert_allclose(a.outputs, b.outputs, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(a.y, b.y, rtol=1e-12)
    # a difference of two rules, each good to rounding
    np.testing.assert_allclose(a.error, b.error, rtol=1e-6)


def test_without_a_compiler_there_is_jax(layout, rule, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    assert exact.solver(layout, rhs, outputs, rule).code == "jax"
    with pytest.raises(ValueError, match="no C compiler"):
        exact.solver(layout, rhs, outputs, rule, "c")


def test_amounts_may_differ_between_patients(march):
    p = np.repeat(draw(1, seed=9), 2, axis=1)
    doses = np.repeat(DOSES, 2, axis=2) * np.array([1.0, 0.5])
    found = march(0.0, start(p), p, HOURS, doses).outputs[:, 0]
    np.testing.assert_allclose(found[:, 1], 0.5 * found[:, 0], rtol=1e-13)


def test_a_dose_without_a_place_is_refused(march):
    p = draw(2)
    with pytest.raises(ValueError, match="no place"):
        march(0.0, start(p), p, HOURS, np.roll(DOSES, 1, axis=0))
    with pytest.raises(ValueError, match="168 intervals"):
        march(0.0, start(p), p, HOURS[:5])


def test_a_rule_survives_json(rule):
    assert exact.read(json.loads(json.dumps(rule))) == rule
    with pytest.raises(ValueError, match="no rule"):
        exact.read([3, 4])


def test_advance_goes_where_march_goes(layout, rule, march):
    advance = exact.solver(layout, rhs, outputs, rule).advance
    p = draw(4, seed=10)
    y = start(p) + np.array([100.0, 0, 0, 0])[:, None]
    ends, errors = jax.jit(jax.vmap(advance, in_axes=(None, None, 0, 0)))(0.0, 1.0, tuple(y), tuple(p))
    right = march(0.0, start(p), p, HOURS, DOSES, np.isin(np.arange(169), [1])).outputs[0]
    # the linear part is exact; the response by another mesh than march's
    np.testing.assert_allclose(ends[1] / p[2], right[0], rtol=1e-13)
    np.testing.assert_allclose(ends[3], right[1], rtol=TOLERANCE)
    assert errors.shape == (4,) and np.isfinite(errors).all()


def test_forward_derivative_is_that_of_differences(layout, rule):
    advance = exact.solver(layout, rhs, outputs, rule).advance
    y, p = jnp.array([100.0, 5.0, 3.0, 40.0]), jnp.asarray(TYPICAL)

    def life(values):
        def tick(carry, _):
            after, _ = advance(0.0, 1.0, tuple(carry), tuple(values[4:]))
            return jnp.stack(after), None

        return jax.lax.scan(tick, values[:4], None, length=3)[0]

    at = jnp.concatenate([y, p])
    life = jax.jit(life)
    slopes = jax.jit(jax.jacfwd(life))(at)
    for i in range(12):
        step = 1e-5 * at[i]
        by = jnp.zeros(12).at[i].set(step)
        difference = (life(at + by) - life(at - by)) / (2 * step)
        # central differences: the square of the step, and rounding over the step
        np.testing.assert_allclose(slopes[:, i], difference, rtol=1e-6, atol=1e-7)


def test_linear_coefficients_are_exact_where_the_state_cancels():
    # a slope at 0 as large as this would drown the coefficient in a difference
    def slope(t, y, p):
        return (1e12 * p[0] - p[1] * y[0],)

    found = exact.structure(slope, 1, 2)
    stepper = Stepper(found, slope, amounts, 3, lanes=False)
    patient = stepper.patient((jnp.ones(()), jnp.asarray(1.0 / 3.0)))
    assert patient.powers[0][0, 0] == -1.0 / 3.0
