"""What a patient's own state sets off: against closed forms, diffrax and finite differences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solvers.engine import Engine
from solvers.ode import ode_twin
from solvers.pilots import choose
from solvers.policy import Policy
from solvers.solve import Plan, life, solver
from solvers.status import Status
from solvers.twin import Action, Output, Parameter, Trigger

NOTHING = Policy("nothing", lambda p, s: (), lambda time, seen, memory, s: ({}, memory))
GRAVITY = 9.81


def parameter(name, typical):
    return Parameter(name, "1", typical, "a test", "assumed")


def ball(**parts):
    given = {
        "name": "ball",
        "title": "A ball that bounces",
        "source": "a test",
        "states": ("height", "speed"),
        "parameters": (parameter("height", 1.0), parameter("kept", 0.8)),
        "actions": (Action("push", "m/s"),),
        "outputs": (Output("height", "m", "a test"), Output("speed", "m/s", "a test")),
        "initial": lambda p: {"height": p.height, "speed": 0.0},
        "act": lambda y, action, p: {"speed": y.speed + action.push},
        "observe": lambda y, p, time: {"height": y.height, "speed": y.speed},
        "triggers": (
            Trigger("bounce", lambda y, p: -y.height, lambda y, p: {"height": 0.0, "speed": -p.kept * y.speed}),
        ),
    }
    return ode_twin(lambda t, y, p: {"height": y.speed, "speed": -GRAVITY}, **(given | parts))


PLAN = Plan(0.2, 8, tuple(range(9)), (0,), ("height", "speed"))


def bounced(height, kept, times):
    """Height and speed in closed form, between bounces a parabola."""
    seen = []
    for time in times:
        begin, speed = -np.sqrt(2 * height / GRAVITY), np.sqrt(2 * GRAVITY * height)
        while begin + 2 * speed / GRAVITY <= time:
            begin, speed = begin + 2 * speed / GRAVITY, kept * speed
        since = time - begin
        seen.append((speed * since - GRAVITY / 2 * since**2, speed - GRAVITY * since))
    return np.array(seen).T


@functools.cache
def chosen():
    values = {"height": np.linspace(0.8, 1.5, 16), "kept": np.linspace(0.7, 0.9, 16)}
    return choose(ball(), NOTHING, PLAN, 1, np.arange(16), values, 1e-6)


@pytest.mark.parametrize("tier", ["explicit", "own"])
def test_a_ball_bounces_as_in_its_closed_form(tier):
    values = {"height": np.array([0.83, 1.0, 1.41]), "kept": np.array([0.88, 0.8, 0.71])}
    by = chosen() if tier == "explicit" else Engine("own", 1e-9)
    assert chosen().code == "jax"
    lives = solver(ball(), NOTHING, PLAN, 1, by, 3)(np.arange(3), values)
    assert (lives.status == Status.OK).all() and (lives.error <= by.tolerance).all() | (tier == "own")
    for i in range(3):
        exact = bounced(values["height"][i], values["kept"][i], 0.2 * np.arange(9))
        np.testing.assert_allclose(lives.recorded["height"][i], exact[0], atol=1e-8)
        np.testing.assert_allclose(lives.recorded["speed"][i], exact[1], atol=1e-8)


def test_a_ball_bounces_as_it_does_among_others():
    count = 8
    values = {"height": np.linspace(0.8, 1.5, count), "kept": np.linspace(0.7, 0.9, count)}
    solve = solver(ball(), NOTHING, PLAN, 1, chosen(), count)
    whole = solve(np.arange(count), values)
    others = {name: np.where(np.arange(count) == 5, each, each[::-1]) for name, each in values.items()}
    others["kept"][2] = np.nan
    found = solve(np.arange(count), others)
    assert found.status[2] != Status.OK
    assert np.array_equal(found.recorded["height"][5], whole.recorded["height"][5])


@pytest.mark.parametrize("tier", ["explicit", "own"])
def test_derivatives_pass_through_a_bounce(tier):
    engine = chosen() if tier == "explicit" else Engine("own", 1e-9)

    def end(height, kept):
        found = life(ball(), NOTHING, PLAN, 1, engine, 0, {"height": height, "kept": kept}, {})
        return jnp.stack([found[0][name][-1] for name in ("height", "speed")])

    slopes = jax.jit(jax.jacfwd(end, (0, 1)))(1.1, 0.8)
    for i, slope in enumerate(slopes):
        ends = [bounced(1.1 + s * 1e-6 * (i == 0), 0.8 + s * 1e-6 * (i == 1), [1.6])[:, 0] for s in (1, -1)]
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


def pump(**parts):
    """A store that runs dry at a constant rate, is filled as it falls to a limit, and counts how often."""
    given = {
        "name": "pump",
        "title": "A pump",
        "source": "a test",
        "states": ("store", "body", "filled"),
        "parameters": (parameter("rate", 1.0), parameter("k", 0.3), parameter("limit", 2.0)),
        "actions": (Action("draw", "mg"),),
        "outputs": (Output("store", "mg", "a test"), Output("body", "mg", "a test"), Output("filled", "1", "a test")),
        "initial": lambda p: {"store": 10.0, "body": 0.0, "filled": 0.0},
        "act": lambda y, action, p: {"store": y.store - action.draw},
        "observe": lambda y, p, time: {"store": y.store, "body": y.body, "filled": y.filled},
        "triggers": (
            Trigger(
                "fill", lambda y, p: p.limit - y.store, lambda y, p: {"store": y.store + 8.0, "filled": y.filled + 1}
            ),
        ),
    }
    return ode_twin(lambda t, y, p: {"store": -p.rate, "body": p.rate - p.k * y.body, "filled": 0.0}, **(given | parts))


def test_a_pump_is_filled_as_it_runs_low_and_as_it_is_drawn_from():
    plan = Plan(3.0, 10, tuple(range(11)), (0,), ("store", "body", "filled"))
    values = {"rate": np.array([0.7, 1.0, 1.3]), "k": np.full(3, 0.3), "limit": np.full(3, 2.0)}
    engine = choose(pump(), NOTHING, plan, 1, np.arange(3), values)
    lives = solver(pump(), NOTHING, plan, 1, engine, 3)(np.arange(3), values)
    times = 3.0 * np.arange(11)
    for i, rate in enumerate(values["rate"]):
        filled = np.floor(rate * times / 8.0 + 1e-9)
        near = np.abs(rate * times / 8.0 - np.round(rate * times / 8.0)) < 1e-9  # filled at the very end of a tick
        np.testing.assert_allclose(
            lives.recorded["store"][i][~near], (10.0 - rate * times + 8.0 * filled)[~near], atol=1e-8
        )
        np.testing.assert_array_equal(lives.recorded["filled"][i][~near], filled[~near])
        np.testing.assert_allclose(
            lives.recorded["body"][i], rate / 0.3 * -np.expm1(-0.3 * times), rtol=1e-5, atol=1e-9
        )
    draw = Policy("draw", lambda p, s: (), lambda t, seen, m, s: ({"draw": jnp.where(t == 3.0, 7.0, 0.0)}, m))
    drawn = solver(pump(), draw, plan, 1, engine, 3)(np.arange(3), values)
    np.testing.assert_allclose(drawn.recorded["store"][:, 2], 10.0 - 6.0 * values["rate"] - 7.0 + 8.0, atol=1e-8)
    assert (drawn.recorded["filled"][:, 2] == 1).all()


def test_a_trigger_may_change_a_parameter_and_not_what_sets_it_off():
    of = ode_twin(
        lambda t, y, p: {"x": p.speed},
        name="switch",
        title="Slower beyond a limit",
        source="a test",
        states=("x",),
        parameters=(parameter("speed", 1.0), parameter("limit", 2.5)),
        actions=(Action("dose", "mg"),),
        outputs=(Output("x", "mg", "a test"),),
        initial=lambda p: {"x": 0.0},
        act=lambda y, action, p: {"x": y.x + action.dose},
        observe=lambda y, p, time: {"x": y.x},
        changes=("speed",),
        triggers=(Trigger("slow", lambda y, p: y.x - p.limit, lambda y, p: {"speed": 0.5 * p.speed}),),
    )
    plan = Plan(1.0, 6, tuple(range(7)), (0,), ("x",))
    values = {"speed": np.array([1.0, 0.9, 1.7]), "limit": np.full(3, 2.5)}
    for by in (choose(of, NOTHING, plan, 1, np.arange(3), values), Engine("own", 1e-9)):
        lives = solver(of, NOTHING, plan, 1, by, 3)(np.arange(3), values)
        free = values["speed"][:, None] * np.arange(7.0)
        np.testing.assert_allclose(lives.recorded["x"], np.where(free > 2.5, 2.5 + (free - 2.5) / 2, free), atol=1e-8)


def test_too_many_events_in_a_step_are_a_status():
    plan = PLAN._replace(ticks=20, records=(0, 20))
    mesh = chosen()._replace(counts=(1,) * 20, halvings=(0,) * 20)
    lives = solver(ball(), NOTHING, plan, 1, mesh, 2)(
        np.arange(2), {"height": np.array([1.0, 1.0]), "kept": np.array([0.8, 0.1])}
    )
    # The second comes to rest by ever smaller bounces, which no step can part.
    assert lives.status[0] == Status.OK and lives.status[1] != Status.OK
