"""Twins that are too stiff for explicit steps: an implicit method, as tight as the pilots need it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from solvers import engine as engines
from solvers.derivative import slopes
from solvers.ode import ode_twin
from solvers.pilots import choose
from solvers.policy import Policy
from solvers.solve import Plan, solver
from solvers.status import Status
from solvers.twin import Action, Output, Parameter, log_normal

TICKS, COUNT = 6, 6
PLAN = Plan(50.0, TICKS, tuple(range(TICKS + 1)), (0, TICKS), ("a", "b", "c"))
ONCE = Policy("once", lambda p, s: (), lambda t, seen, m, s: ({"a": jnp.where(t == 100.0, 0.5, 0.0)}, m))


def slope(t, y, p):
    """Robertson 1966: rates from 0.04 to 3e7."""
    first, second = p.k1 * y.a - p.k3 * y.b * y.c, p.k2 * y.b * y.b
    return {"a": -first, "b": first - second, "c": second}


TWIN = ode_twin(
    slope,
    name="robertson",
    title="Robertson's reactions",
    source="Hairer & Wanner, Solving Ordinary Differential Equations II, section IV.1",
    states=("a", "b", "c"),
    parameters=tuple(
        Parameter(name, "1/h", typical, "Robertson 1966", "published", spread=log_normal(cv=0.2))
        for name, typical in (("k1", 0.04), ("k2", 3e7), ("k3", 1e4))
    ),
    actions=(Action("a", "mol"),),
    outputs=tuple(Output(name, "mol", "Robertson 1966") for name in "abc"),
    initial=lambda p: {"a": 1.0, "b": 0.0, "c": 0.0},
    act=lambda y, action, p: {"a": y.a + action.a},
    observe=lambda y, p, time: y._asdict(),
)


def varied(count, seed):
    rng = np.random.default_rng(seed)
    return {item.name: item.typical * np.exp(0.2 * rng.standard_normal(count)) for item in TWIN.parameters}


@pytest.fixture(scope="module")
def engine():
    return choose(TWIN, ONCE, PLAN, 1, np.arange(COUNT), varied(COUNT, 1), 1e-4)


def radau(values, i):
    """Every 50 h, (outcome, record), by another implicit method."""
    k1, k2, k3 = (values[name][i] for name in ("k1", "k2", "k3"))

    def field(t, y):
        first, second = k1 * y[0] - k3 * y[1] * y[2], k2 * y[1] ** 2
        return [-first, first - second, second]

    y, seen = np.array([1.0, 0.0, 0.0]), [[1.0, 0.0, 0.0]]
    for tick in range(TICKS):
        y = y + np.array([0.5 if tick == 2 else 0.0, 0.0, 0.0])
        y = solve_ivp(field, (0.0, 50.0), y, "Radau", rtol=1e-10, atol=1e-15).y[:, -1]
        seen.append(y)
    return np.array(seen).T


def test_a_stiff_twin_is_solved_within_the_error_that_it_tells(engine):
    assert engine.tier == "stiff" and engines.read(engine.written()) == engine
    fresh = varied(COUNT, 2)
    lives = solver(TWIN, ONCE, PLAN, 1, engine, COUNT)(np.arange(COUNT), fresh)
    assert (lives.status == Status.OK).all()
    assert (lives.error > 0).all() and (lives.error <= engine.tolerance).all()
    for i in range(COUNT):
        exact = radau(fresh, i)
        found = np.stack([lives.recorded[name][i] for name in "abc"])
        scale = np.abs(exact) + 1e-3 * np.abs(exact).max(1, keepdims=True)
        assert (np.abs(found - exact) / scale).max() <= lives.error[i] + 1e-8


def test_neighbours_do_not_matter(engine):
    solve, values = solver(TWIN, ONCE, PLAN, 1, engine, COUNT), varied(COUNT, 2)
    whole = solve(np.arange(COUNT), values)
    part = solve(np.arange(2, 4), {name: each[2:4] for name, each in values.items()})
    for name in "abc":
        assert np.array_equal(part.recorded[name], whole.recorded[name][2:4])


def test_who_cannot_be_solved_is_told(engine):
    hopeless = engine._replace(tolerance=1e-300)
    lives = solver(TWIN, ONCE, PLAN, 1, hopeless, 2)(np.arange(2), varied(2, 3))
    assert (lives.status == Status.INACCURATE).all()


def test_forward_derivatives_go_through(engine):
    values = varied(2, 4)
    found = slopes(TWIN, ONCE, PLAN, 1, engine, ["k1", "k3"])(np.arange(2), values)
    for column, name in enumerate(("k1", "k3")):
        h = 1e-3 * values[name]
        ends = [radau(values | {name: values[name] + sign * h}, 1)[0] for sign in (1, -1)]
        wanted = (ends[0] - ends[1]) / (2 * h[1])
        np.testing.assert_allclose(found.recorded["a"][1, :, column], wanted, rtol=2e-3, atol=1e-3 * abs(wanted).max())


def test_what_is_not_finite_is_refused_in_words():
    with pytest.raises(ValueError, match="the 2 pilot patients of twin 'robertson' cannot be solved to a tolerance"):
        choose(TWIN, ONCE, PLAN, 1, np.arange(2), {name: np.full(2, np.nan) for name in ("k1", "k2", "k3")}, 1e-4)
    assert jax.config.jax_enable_x64
