"""How a twin is solved: steps from pilots, an error estimate for everyone, finer steps for those who need them."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from solvers import engine as engines
from solvers.engine import LEAST, Engine, check_tolerance
from solvers.explicit import march, steps
from solvers.ode import ode_twin
from solvers.pairs import BOGACKI_SHAMPINE, TSITOURAS
from solvers.pilots import PILOTS, choose
from solvers.policy import Policy
from solvers.solve import Plan, solver
from solvers.status import Status
from solvers.twin import Action, Output, Parameter, log_normal
from solvers.twins import warfarin_inr
from trials import engines as chosen
from trials.study import read

INR = warfarin_inr.twin
TICKS = 60
DAILY = Policy("daily", lambda p, s: (), lambda time, seen, memory, s: ({"dose": 5.0}, memory))
PLAN = Plan(24.0, TICKS, tuple(range(TICKS + 1)), (0, TICKS), ("inr", "concentration"))


def varied(count, seed=3):
    """Patients over the whole range of parameters, ages and genotypes."""
    rng = np.random.default_rng(seed)
    values = {name: np.full(count, value) for name, value in INR.typical().items()}
    for parameter in INR.parameters:
        if parameter.spread:
            values[parameter.name] = values[parameter.name] * np.exp(parameter.spread.sd * rng.standard_normal(count))
    values["age"] = rng.uniform(50, 80, count)
    values["cyp2c9"] = rng.integers(0, 6, count).astype(float)
    values["vkorc1"] = rng.integers(0, 3, count).astype(float)
    return values


@pytest.fixture(scope="module")
def engine():
    return choose(INR, DAILY, PLAN, 1, np.arange(PILOTS), varied(PILOTS))


def off(lives, truth):
    """Largest error of any outcome at any record, (patient,), on the scale of a tolerance."""
    found = []
    for name, exact in truth.recorded.items():
        scale = np.abs(exact) + 1e-3 * np.abs(exact).max(1, keepdims=True)
        found.append(np.divide(np.abs(lives.recorded[name] - exact), scale, out=np.zeros_like(exact), where=scale > 0))
    return np.max(found, axis=(0, 2))


def test_lives_are_those_of_diffrax_within_the_error_that_they_tell(engine):
    count = 128
    fresh = varied(count, seed=9)
    lives = solver(INR, DAILY, PLAN, 1, engine, count)(np.arange(count), fresh)
    truth = solver(INR, DAILY, PLAN, 1, Engine("own", 1e-9), count)(np.arange(count), fresh)
    assert (lives.status == Status.OK).all() and (truth.status == Status.OK).all()
    assert float(truth.recorded["inr"].max()) > 5.0
    true = off(lives, truth)
    assert true.max() <= engine.tolerance
    assert (lives.error <= engine.tolerance).all()
    assert (true <= lives.error).mean() >= 0.99
    assert (true <= 3 * lives.error).all()


def test_a_smaller_tolerance_takes_more_steps_and_is_kept():
    small = choose(INR, DAILY, PLAN, 1, np.arange(4), varied(4), 1e-6)
    large = choose(INR, DAILY, PLAN, 1, np.arange(4), varied(4), 1e-3)
    assert sum(small.counts) > 2 * sum(large.counts)
    given = varied(8, seed=5)
    truth = solver(INR, DAILY, PLAN, 1, Engine("own", 1e-9), 8)(np.arange(8), given)
    for one in (small, large):
        lives = solver(INR, DAILY, PLAN, 1, one, 8)(np.arange(8), given)
        assert off(lives, truth).max() <= max(one.tolerance, 2e-8)  # the truth itself is not better


def test_who_needs_finer_steps_gets_them_and_spares_his_neighbours(engine):
    count = 8
    coarse = choose(INR, DAILY, PLAN, 1, np.arange(PILOTS), varied(PILOTS), 1e-2)._replace(tolerance=1e-5)
    given = varied(count)
    alone = solver(INR, DAILY, PLAN, 1, engine, count)(np.arange(count), given)
    finer = solver(INR, DAILY, PLAN, 1, coarse, count)(np.arange(count), given)
    truth = solver(INR, DAILY, PLAN, 1, Engine("own", 1e-9), count)(np.arange(count), given)
    helped = finer.status == Status.OK
    assert helped.any()
    assert off(finer, truth)[helped].max() <= engine.tolerance
    assert (finer.error[helped] <= engine.tolerance).all()
    # Absorption a hundred times as fast: off the pilots' mesh.
    fast = {name: value.copy() for name, value in given.items()}
    fast["absorption_rate"][3] = 4.0
    fast["transit_time1"][3] /= 40.0
    mixed = solver(INR, DAILY, PLAN, 1, engine, count)(np.arange(count), fast)
    others = np.arange(count) != 3
    for name, recorded in mixed.recorded.items():
        assert np.array_equal(recorded[others], alone.recorded[name][others])
    assert mixed.error[3] <= engine.tolerance or mixed.status[3] != Status.OK


def test_what_no_steps_can_solve_is_a_status(engine):
    hopeless = engine._replace(tolerance=1e-300)
    lives = solver(INR, DAILY, PLAN, 1, hopeless, 2)(np.arange(2), varied(2))
    assert (lives.status == Status.INACCURATE).all()


def test_the_choice_does_not_change(engine):
    again = choose(INR, DAILY, PLAN, 1, np.arange(PILOTS), varied(PILOTS))
    assert again == engine and engine.tier == "explicit"
    assert engines.read(engine.written()) == engine
    with pytest.raises(ValueError, match="describes no engine; run the study again"):
        engines.read("{}")


def test_a_larger_study_has_the_same_engine(tmp_path, small_text):
    found = []
    for size in (1000, 3000):
        path = tmp_path / f"{size}.yaml"
        path.write_text(small_text.replace("size: 1000", f"size: {size}"), encoding="utf-8")
        study = read(path)
        assert study.size == size
        found.append({chosen.named(study, arm) for arm in study.arms})
    assert found[0] == found[1]


@pytest.mark.parametrize("tolerance", [0.0, -1.0, LEAST / 2, 1.0, math.nan])
def test_a_tolerance_that_is_none_is_refused(tolerance):
    with pytest.raises(ValueError, match=r"tolerance is .*; write a number from 1e-12 to below 1"):
        check_tolerance(tolerance)


def test_a_study_may_ask_for_a_tolerance(tmp_path, small_text):
    path = tmp_path / "study.yaml"
    path.write_text(small_text + "tolerance: 1e-4\n", encoding="utf-8")
    assert read(path).tolerance == 1e-4
    path.write_text(small_text + "tolerance: 1e-14\n", encoding="utf-8")
    with pytest.raises(ValueError, match="'1e-14' is no tolerance; write a number from 1e-12"):
        read(path)


def decay(rhs=None, **changes):
    """x' = -k x with a dose into x."""
    parts = {
        "name": "decay",
        "title": "Decay",
        "source": "a test",
        "states": ("x",),
        "parameters": (Parameter("k", "1/h", 0.5, "a test", "assumed", spread=log_normal(cv=0.3)),),
        "actions": (Action("dose", "mg"),),
        "outputs": (Output("x", "mg", "a test"),),
        "initial": lambda p: {"x": 0.0},
        "act": lambda y, action, p: {"x": y.x + action.dose},
        "observe": lambda y, p, time: {"x": y.x},
    }
    return ode_twin(rhs or (lambda t, y, p: {"x": -p.k * y.x}), **(parts | changes))


def test_a_derivative_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="twin 'decay': rhs must give each of x; look at x"):
        plan = Plan(1.0, 2, (0, 2), (0, 2), ("x",))
        choose(decay(lambda t, y, p: {}), DAILY, plan, 1, np.arange(2), {"k": np.full(2, 0.5)})
    with pytest.raises(ValueError, match=r"rhs gives x the shape \(2,\); a state is one number"):
        choose(decay(lambda t, y, p: {"x": jnp.ones(2)}), DAILY, plan, 1, np.arange(2), {"k": np.full(2, 0.5)})


def test_a_twin_that_is_too_stiff_is_refused_in_words():
    plan = Plan(24.0, 2, (0, 2), (0, 2), ("x",))
    stiff = decay()
    with pytest.raises(
        ValueError, match="the 2 pilot patients of twin 'decay' cannot be solved to a tolerance of 1e-05"
    ):
        choose(stiff, DAILY, plan, 1, np.arange(2), {"k": np.full(2, 1e7)})


def test_exponential_decay_is_exact_to_the_tolerance():
    plan = Plan(1.0, 12, tuple(range(13)), (0, 12), ("x",))
    once = Policy("once", lambda p, s: (), lambda t, seen, m, s: ({"dose": jnp.where(t == 0, 100.0, 0.0)}, m))
    values = {"k": np.linspace(0.1, 2.0, 32)}
    twin = decay()
    engine = choose(twin, once, plan, 1, np.arange(32), values)
    lives = solver(twin, once, plan, 1, engine, 32)(np.arange(32), values)
    exact = 100.0 * np.exp(-values["k"][:, None] * np.arange(13))
    exact[:, 0] = 0.0  # seen before the dose of its tick
    scale = np.abs(exact) + 1e-3 * 100.0
    off = (np.abs(lives.recorded["x"] - exact) / scale).max(1)
    # Nothing is left to integrate: what is told is rounding.
    assert engine.tier == "exact" and (off <= lives.error).all() and lives.error.max() < 1e-11


def test_what_neither_is_linear_nor_driven_is_solved_explicitly():
    plan = Plan(1.0, 4, tuple(range(5)), (0, 4), ("x",))
    values = {"k": np.linspace(0.1, 2.0, 8)}
    found = choose(decay(lambda t, y, p: {"x": -p.k * y.x / (1.0 + y.x)}), DAILY, plan, 1, np.arange(8), values)
    assert found.tier == "explicit"
    assert choose(decay(), DAILY, plan, 1, np.arange(8), values, exactly=False).tier == "explicit"


def test_where_stability_sets_the_steps_a_pair_of_lower_order_does_with_less_work():
    plan = Plan(1.0, 24, tuple(range(25)), (0, 24), ("x",))
    once = Policy("once", lambda p, s: (), lambda t, seen, m, s: ({"dose": jnp.where(t == 0, 100.0, 0.0)}, m))
    values = {"k": np.linspace(5.0, 10.0, 16)}
    twin = decay(lambda t, y, p: {"x": p.k * (5.0 + jnp.sin(t / 4.0) - y.x) / (1.0 + 0.001 * y.x)})
    rough, fine = (choose(twin, once, plan, 1, np.arange(16), values, at, False) for at in (1e-3, 1e-5))
    assert (rough.pair, fine.pair) == (BOGACKI_SHAMPINE.name, TSITOURAS.name)
    lives = solver(twin, once, plan, 1, rough, 16)(np.arange(16), values)
    truth = solver(twin, once, plan, 1, Engine("own", 1e-9), 16)(np.arange(16), values)
    assert (lives.status == Status.OK).all()
    assert (off(lives, truth) <= np.minimum(lives.error, rough.tolerance)).all()


def test_without_a_compiler_the_same_tier_is_taken(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    plan = Plan(1.0, 4, tuple(range(5)), (0, 4), ("x",))
    driven = decay(lambda t, y, p: {"x": jnp.sin(t) - p.k * y.x}, name="driven")
    values = {"k": np.linspace(0.1, 2.0, 8)}
    engine = choose(driven, DAILY, plan, 1, np.arange(8), values, exactly=True)
    assert (engine.tier, engine.code) == ("exact", "jax")
    lives = solver(driven, DAILY, plan, 1, engine, 8)(np.arange(8), values)
    truth = solver(driven, DAILY, plan, 1, Engine("own", 1e-9), 8)(np.arange(8), values)
    assert (off(lives, truth) <= lives.error).all() and lives.error.max() <= engine.tolerance


@pytest.mark.parametrize(("count", "halvings"), [(1, 0), (3, 0), (1, 4), (5, 7)])
def test_steps_fill_their_interval(count, halvings):
    found = np.array([float(steps(12.0, count, halvings, i)) for i in range(count + halvings)])
    assert found.sum() == pytest.approx(12.0, rel=1e-14)
    assert found.max() == 12.0 / count if halvings == 0 or count > 1 else 12.0 / 2
    assert found[0] == 12.0 / count / 2.0**halvings


def test_the_pair_has_its_order_and_an_error_of_one_less():
    def field(t, y, p):
        return (y[1], -y[0] + 0.0 * t)

    def error(count):
        (x, v), gathered = march(TSITOURAS, field, (jnp.asarray(1.0), jnp.asarray(0.0)), (), 0.0, 2.0, count, 0, (1, 1))
        return max(abs(float(x) - math.cos(2.0)), abs(float(v) + math.sin(2.0))), float(gathered)

    counts = np.array([4, 8, 16, 32])
    true, gathered = np.array([error(int(count)) for count in counts]).T
    assert np.polyfit(np.log(counts), np.log(true), 1)[0] == pytest.approx(-TSITOURAS.order, abs=0.5)
    # Each step's error is of order five, so that their sum is of order four.
    assert np.polyfit(np.log(counts), np.log(gathered), 1)[0] == pytest.approx(1 - TSITOURAS.order, abs=0.3)
    assert TSITOURAS.evaluations == 6
    for row, node in zip(TSITOURAS.a, TSITOURAS.c[1:], strict=True):
        assert sum(row) == pytest.approx(node, abs=1e-14)
    assert sum(TSITOURAS.b) == pytest.approx(1.0) and sum(TSITOURAS.e) == pytest.approx(0.0, abs=1e-14)
