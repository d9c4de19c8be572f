"""The exact tier: what it takes for linear, and its lives against curves that were computed elsewhere."""

import functools
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from solvers import code, exact
from solvers.twins import warfarin_inr, warfarin_pca

# The dosing-driven task: absorption, two compartments, and a response whose loss is inhibited.
TYPICAL = np.array([1.0, 5.0, 40.0, 10.0, 100.0, 10.0, 0.2, 0.5])
SPREAD = np.array([0.3, 0.3, 0.2, 0.3, 0.3, 0.2, 0.3, 0.3])
HOURS = 168
HALVINGS = np.where(np.arange(HOURS) % 12 == 0, 4, 0)
NORM = 8.0  # above that of any of these patients' linear block
TOLERANCE = 2.7e-6  # the largest error of the peers that the task is held against

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


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
    return jnp.stack([0 * p[0], 0 * p[0], 0 * p[0], p[5] / p[6]])


def distance(found, right):
    """(patient,): the largest relative error, as `march` estimates it."""
    return (np.abs(found - right) / (np.abs(right) + 1e-3 * np.abs(right).max(axis=0))).max(axis=(0, 1))


LAYOUT = exact.structure(rhs, 4, 8)


@functools.cache
def stepper():
    return exact.Stepper(LAYOUT, rhs, outputs)


def march(p, halvings=HALVINGS, doses=100.0, times=1, **options):
    """Fourteen doses, each [amount, (patient,) or one for all], by machine code."""
    dose = np.zeros((4, p.shape[1]))
    dose[0] = doses
    jumps = [dose if hour % 12 == 0 else None for hour in range(HOURS)]
    machine = exact.machine(stepper())
    return machine.march(0.0, 1.0, start(p), p, np.full(HOURS, times), halvings, NORM, jumps, **options)


def fine(p):
    """Equal steps as short as the first after a dose; the reference file agrees."""
    return march(p, np.zeros(HOURS, int), times=64)


def solved(rhs, y, p, ticks, tick=1.0, count=1, halvings=0, norm=4.0, jumps=None):
    """Patients of any model through equal ticks by JAX: states after each, (tick, state, n), and errors (n,)."""
    layout = exact.structure(rhs, len(y), len(p))
    by = exact.Stepper(layout, rhs, amounts)

    def life(y, p, jumps):
        table = exact.prepare(by, tuple(p), tick, exact.depth([count], [halvings]), norm)
        y = tuple(y[i] for i in range(len(y)))
        track = exact.begin(by, table.patient, 0.0, y, norm)

        def step(carry, now):
            y, track = carry
            time, jump = now
            y = tuple(a + b for a, b in zip(y, jump, strict=True))
            y, track = exact.advance(by, table, time, count, halvings, y, track)
            return (y, track), jnp.stack(y)

        (y, track), seen = jax.lax.scan(step, (y, track), (tick * np.arange(ticks), jumps))
        return seen, exact.error(by, y, track)

    jumps = np.zeros((ticks, len(y))) if jumps is None else jumps
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(life, (1, 1, None), (2, 0)))(np.array(y), np.array(p), jumps))


def bateman(t, y, p):
    return -p[0] * y[0], p[0] * y[0] - p[1] * y[1]


def amounts(t, y, p):
    return y


def test_linear_block_and_response_are_found():
    layout = LAYOUT
    assert layout is not None and layout.linear == (0, 1, 2)
    assert layout.entries == {(0, 0), (1, 0), (1, 1), (1, 2), (2, 1), (2, 2)}
    assert not layout.shifted
    assert layout.driven == (exact.Driven(3, frozenset(), frozenset({1})),)


def test_one_compartment_is_linear_as_a_whole():
    found = exact.structure(bateman, 2, 2)
    assert found is not None
    assert found.linear == (0, 1) and not found.driven and not found.shifted


def test_warfarin_is_a_linear_block_that_drives_two_chains():
    known = code.exactly(warfarin_inr.twin)
    assert known is not None
    found = known.stepper.structure
    assert found.linear == (0, 1, 2)
    # depot, central, peripheral, six of chain 1, chain 2: both chains start from the central compartment
    assert [(each.state, set(each.source), set(each.rate)) for each in found.driven] == [
        (3, {1}, set()),
        (9, {1}, set()),
        *((state, {state - 1}, set()) for state in range(4, 9)),
    ]
    # all of chain 1 has one rate
    assert [known.stepper.twins[state] for state in range(3, 10)] == [3] * 6 + [9]


def test_a_turnover_is_driven_by_what_is_linear():
    known = code.exactly(warfarin_pca.twin)
    assert known is not None
    assert known.stepper.structure.linear == (0, 1, 2)
    assert [each.state for each in known.stepper.structure.driven] == [3]


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


@needs_compiler
def test_lives_are_those_of_the_reference(shared):
    p = draw(200)[:, :64]
    right = np.load(shared / "reference/solver/reference.npz")["t1"]
    found = march(p)
    assert found.outputs.shape == right.shape == (169, 2, 64)
    # the reference itself is good to 2e-9
    assert distance(found.outputs, right).max() < TOLERANCE
    assert distance(fine(p).outputs, right).max() < 1e-8


@needs_compiler
def test_the_gathered_error_bounds_the_true_one():
    p = draw(500, seed=99)
    found = march(p)
    true = distance(found.outputs, fine(p).outputs)
    assert np.isfinite(found.error).all()
    # that of a rule of lower order: far above it, and of its kind
    assert (true <= found.error).all()
    assert np.corrcoef(np.log(true), np.log(found.error))[0, 1] > 0.5


@needs_compiler
def test_a_patient_beyond_the_norm_has_no_error_to_tell():
    p = draw(8, seed=4)
    p[0, 5] = 20.0
    found = march(p)
    assert np.isinf(found.error[5]) and np.isfinite(np.delete(found.error, 5)).all()


@pytest.mark.parametrize(("ka", "k"), [(0.3, 0.3), (1e3, 0.1), (0.0, 0.1), (0.5, 0.0), (0.0, 0.0), (0.3, 0.3 + 1e-9)])
def test_absorption_and_elimination_at_any_rates(ka, k):
    seen, error = solved(bateman, [[10.0], [2.0]], [[ka], [k]], 27, 0.5, norm=4e3)
    t, gap = 0.5 * np.arange(1, 28), abs(ka - k)
    # Bateman's function; SciPy's expm is off by 3e-9 where the rates are 1e-9 apart
    share = np.where(gap * t > 0, -np.expm1(-gap * t) / np.where(gap * t > 0, gap * t, 1.0), 1.0)
    gained = 10.0 * ka * t * np.exp(-min(ka, k) * t) * share
    right = np.stack([10.0 * np.exp(-ka * t), 2.0 * np.exp(-k * t) + gained], axis=1)
    bound = exact.rounding(4e3, 0.5, [1] * 27, [0] * 27)
    assert bound < 1e-9 and error[0] == 0.0
    scale = np.abs(right) + 1e-3 * np.abs(right).max(0)
    assert (np.abs(seen[..., 0] - right) <= bound * scale).all()


def test_rounding_stays_below_its_bound_over_many_ticks():
    ticks, rates = 2000, np.array([[0.05, 3.0, 40.0], [0.01, 2.0, 39.0]])
    seen, _ = solved(bateman, np.array([[1.0] * 3, [0.0] * 3]), rates, ticks, 0.01, norm=80.0)
    t = 0.01 * np.arange(1, ticks + 1)[:, None]
    ka, k = rates
    right = np.stack([np.exp(-ka * t), ka * np.exp(-k * t) * -np.expm1(-(ka - k) * t) / (ka - k)], axis=1)
    off = np.abs(seen - right) / (np.abs(right) + 1e-3 * np.abs(right).max(0))
    assert off.max() <= exact.rounding(80.0, 0.01, [1] * ticks, [0] * ticks)


def test_what_is_infused_comes_in_exactly():
    def infused(t, y, p):
        return p[1] - p[0] * y[0], p[0] * y[0]

    found = exact.structure(infused, 2, 2)
    assert found is not None and found.shifted == {0}
    seen, _ = solved(infused, np.zeros((2, 1)), [[0.7], [5.0]], 1, 3.0)
    kept = 5.0 / 0.7 * -np.expm1(-2.1)
    np.testing.assert_allclose(seen[0, :, 0], [kept, 15.0 - kept], rtol=1e-14)


def test_doses_superpose():
    def life(doses):
        jumps = np.zeros((6, 2))
        for when, amount in doses:
            jumps[when, 0] = amount
        return solved(bateman, np.zeros((2, 1)), [[1.2], [0.2]], 6, 2.0, jumps=jumps)[0]

    both, one, other = life([(0, 10.0), (3, 4.0)]), life([(0, 10.0)]), life([(3, 4.0)])
    np.testing.assert_allclose(both, one + other, rtol=1e-14)
    assert other[2].max() == 0.0
    assert other[3].min() > 0.0


def test_a_driven_chain_agrees_with_scipy():
    def chain(t, y, p):
        c, first, second = y
        return -p[0] * c, c / (1.0 + c) + 0.1 * jnp.sin(t) - p[1] * first, first - (p[1] + c) * second

    found = exact.structure(chain, 3, 2)
    assert found is not None and [each.state for each in found.driven] == [1, 2]
    p = np.array([[0.5, 1.0, 2.0], [0.3, 0.6, 0.1]])
    y = np.array([[5.0] * 3, [0.0] * 3, [1.0] * 3])
    seen, error = solved(chain, y, p, 10, 0.7, count=8)
    off = np.zeros(3)
    for i in range(3):
        right = solve_ivp(
            lambda t, y, i=i: chain(t, y, p[:, i]), (0, 7), y[:, i], rtol=1e-12, atol=1e-14, t_eval=0.7 * np.arange(11)
        ).y.T[1:]
        off[i] = (np.abs(seen[..., i] - right) / np.abs(right)).max()
    assert off.max() < 1e-7 and (off <= error).all()


def test_a_stiff_response_is_followed():
    def fast(t, y, p):
        return -p[0] * y[0], p[1] * (y[0] / (1.0 + y[0]) - y[1])

    y, p = np.array([[1.0], [0.0]]), np.array([[0.5], [200.0]])
    seen, error = solved(fast, y, p, 4, 1.0, count=64)
    right = solve_ivp(lambda t, y: fast(t, y, p[:, 0]), (0, 4), y[:, 0], "Radau", np.arange(5), rtol=1e-10, atol=1e-12)
    off = np.abs(seen[..., 0] / right.y.T[1:] - 1.0).max()
    assert off < 1e-6 and off <= error[0]


@needs_compiler
def test_bits_do_not_depend_on_company():
    p = draw(300, seed=5)
    whole = march(p)
    for lanes in ([0], [299], [63, 64, 65], [200, 3, 111, 12, 200]):
        for a, b in zip(whole, march(p[:, lanes]), strict=True):
            assert np.array_equal(a[..., lanes], b)


@needs_compiler
def test_a_sick_patient_stays_alone():
    p = draw(70, seed=6)
    sick = p.copy()
    sick[1, 65] = np.nan
    well, ill = march(p), march(sick)
    assert np.isnan(ill.outputs[-1, :, 65]).all() and np.isnan(ill.error[65]) and np.isnan(ill.ranges[..., 65]).all()
    others = np.delete(np.arange(70), 65)
    for a, b in zip(well, ill, strict=True):
        assert np.array_equal(a[..., others], b[..., others])


@needs_compiler
def test_only_what_is_asked_for_is_kept():
    p = draw(3, seed=8)
    whole = march(p)
    assert np.array_equal(whole.ranges, [whole.outputs.min(0), whole.outputs.max(0)])
    for points in ([0, 12, 168], [5], [167], range(1, 169)):
        some = march(p, record=np.isin(np.arange(169), points))
        assert np.array_equal(some.outputs, whole.outputs[list(points)])
        assert np.array_equal(some.y, whole.y) and np.array_equal(some.error, whole.error)


def by_jax(p, mesh):
    """(states, errors, outputs) of T1's lives as the loop over ticks has them. mesh: counts and halvings."""
    by, deepest = stepper(), exact.depth(*mesh)

    def life(y, p):
        table = exact.prepare(by, tuple(p), 1.0, deepest, NORM)
        y = tuple(y)
        track = exact.begin(by, table.patient, 0.0, y, NORM)

        def tick(carry, now):
            y, track = carry
            hour, count, halvings = now
            y = (y[0] + jnp.where(hour % 12 == 0, 100.0, 0.0), *y[1:])
            y, track = exact.advance(by, table, hour, count, halvings, y, track)
            return (y, track), jnp.stack(outputs(0.0, y, p))

        (y, track), seen = jax.lax.scan(tick, (y, track), (np.arange(float(len(mesh[0]))), *mesh))
        return jnp.stack(y), exact.error(by, y, track), seen

    return jax.jit(jax.vmap(life, (1, 1), (1, 0, 2)))(start(p), p)


@needs_compiler
def test_machine_code_does_what_jax_does():
    p = draw(21, seed=12)
    found, right = march(p, HALVINGS, times=2), by_jax(p, (np.full(HOURS, 2), HALVINGS))
    np.testing.assert_allclose(found.y, right[0], rtol=1e-12)
    # a difference of two rules, each good to rounding
    np.testing.assert_allclose(found.error, right[1], rtol=1e-6)
    np.testing.assert_allclose(found.outputs[1:], right[2], rtol=1e-12, atol=1e-14)


def test_without_a_compiler_there_is_none(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    assert exact.machine(exact.Stepper(LAYOUT, rhs, outputs)) is None


@needs_compiler
def test_amounts_may_differ_between_patients():
    found = march(np.repeat(draw(1, seed=9), 2, axis=1), doses=[100.0, 50.0]).outputs[:, 0]
    np.testing.assert_allclose(found[:, 1], 0.5 * found[:, 0], rtol=1e-13)


@needs_compiler
def test_wrong_use_is_refused():
    p, machine = draw(2), exact.machine(stepper())
    with pytest.raises(ValueError, match=r"p has the shape \(7, 2\); give \(8, 2\)"):
        machine.march(0.0, 1.0, start(p), p[:7], [1], [0], NORM)
    with pytest.raises(ValueError, match="there are 2 jumps for 1 ticks"):
        machine.march(0.0, 1.0, start(p), p, [1], [0], NORM, [None, None])
    with pytest.raises(ValueError, match="a tick has 3 to 3 steps; give powers of two"):
        machine.march(0.0, 1.0, start(p), p, [3], [0], NORM)


def test_forward_derivative_is_that_of_differences():
    at = jnp.asarray(TYPICAL)
    mesh = np.ones(3, int), np.array([3, 0, 0])

    @jax.jit
    def life(p):
        return jnp.asarray(by_jax(p[:, None], mesh)[2])[..., 0]

    slopes = jax.jit(jax.jacfwd(life))(at)
    for i in range(8):
        step = 1e-5 * at[i]
        by = jnp.zeros(8).at[i].set(step)
        difference = (life(at + by) - life(at - by)) / (2 * step)
        # central differences: the square of the step, and rounding over the step
        np.testing.assert_allclose(slopes[..., i], difference, rtol=1e-6, atol=1e-7)


def test_linear_coefficients_are_exact_where_the_state_cancels():
    # a slope at 0 as large as this would drown the coefficient in a difference
    def slope(t, y, p):
        return (1e12 * p[0] - p[1] * y[0],)

    patient = exact.Stepper(exact.structure(slope, 1, 2), slope, amounts).patient(
        (jnp.ones(()), jnp.asarray(1.0 / 3.0))
    )
    assert patient.powers[0][0, 0] == -1.0 / 3.0
