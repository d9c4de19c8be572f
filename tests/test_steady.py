"""Steady states: against closed forms and long lives, and what has none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solvers import twins
from solvers.engine import Engine
from solvers.ode import ode_twin
from solvers.pilots import choose
from solvers.policy import Policy
from solvers.solve import Plan, solver
from solvers.status import Status
from solvers.steady import Regimen, steady, unsettled
from solvers.twin import Action, Output, Parameter, log_normal
from trials.study import read

NOTHING = Policy("nothing", lambda p, s: (), lambda time, seen, memory, s: ({}, memory))


def parameter(name, typical):
    return Parameter(name, "1", typical, "a test", "assumed", spread=log_normal(cv=0.3))


def twin(rhs=None, states=("x",), **parts):
    given = {
        "parameters": (parameter("k", 0.05), parameter("delay", 0.7)),
        "actions": (Action("dose", "mg", infused=True, lag="delay"),),
        "initial": lambda p: dict.fromkeys(states, 0.0),
        "act": lambda y, action, p: {"x": y.x + action.dose},
    }
    return ode_twin(
        rhs or (lambda t, y, p: {"x": -p.k * y.x}),
        name="one",
        title="One compartment",
        source="a test",
        states=states,
        outputs=(Output("x", "mg", "a test"),),
        observe=lambda y, p, time: {"x": y.x},
        **(given | parts),
    )


def engine(of):
    return Engine("explicit", 1e-5, floors=(1.0,) * len(of.ode.states))


def found(of, regimen, values, tick=2.0):
    """Of patients side by side."""
    find = steady(of, regimen, tick, engine(of))
    return jax.jit(jax.vmap(lambda p: find(of.namespace(p), 32, 4)))(
        {name: np.asarray(v) for name, v in values.items()}
    )


@pytest.mark.parametrize("over", [0.0, 1.5, 7.0])
def test_one_compartment_is_its_closed_form(over):
    k, delay = np.array([0.02, 0.05, 0.3]), np.array([0.0, 0.4, 1.0])
    whole = found(twin(), Regimen("dose", 10.0, 8.0, over), {"k": k, "delay": delay})
    assert np.asarray(whole.settled).all()
    # Superposed doses, the last of them `every` hours ago: Rowland & Tozer, Clinical Pharmacokinetics, 4th ed.
    gone = 8.0 - delay
    one = np.exp(-k * gone) if over == 0.0 else np.expm1(k * over) * np.exp(-k * gone) / (k * over)
    np.testing.assert_allclose(whole.y.x, 10.0 * one / -np.expm1(-k * 8.0), rtol=1e-9)


def test_an_infusion_without_end_is_a_level():
    without = twin(actions=(Action("dose", "mg", infused=True),))
    whole = found(without, Regimen("dose", 10.0, 8.0, 8.0), {"k": np.array([0.02, 0.3]), "delay": np.zeros(2)})
    assert np.asarray(whole.settled).all()
    np.testing.assert_allclose(whole.y.x, 10.0 / 8.0 / np.array([0.02, 0.3]), rtol=1e-9)


def test_a_nonlinear_twin_is_its_long_life():
    of = twin(
        lambda t, y, p: {"x": -p.most * y.x / (3.0 + y.x), "effect": 0.1 * (y.x / (1.0 + y.x) - y.effect)},
        states=("x", "effect"),
        parameters=(parameter("most", 2.0),),
        actions=(Action("dose", "mg"),),
    )
    most = np.array([1.6, 2.0, 3.0])  # on average 1.25 a h comes
    whole = found(of, Regimen("dose", 10.0, 8.0), {"most": most})
    assert np.asarray(whole.settled).all()

    every = Policy("all", lambda p, s: (), lambda t, seen, m, s: ({"dose": jnp.where(t % 8.0 == 0, 10.0, 0.0)}, m))
    plan = Plan(2.0, 1600, (1600,), (0,), ("x",))
    mesh = engine(of)._replace(counts=(32,) * plan.ticks, halvings=(4,) * plan.ticks)
    lives = solver(of, every, plan, 1, mesh, 3)(np.arange(3), {"most": most})
    np.testing.assert_allclose(whole.y.x, lives.recorded["x"][:, 0], rtol=1e-7)


def test_who_has_none_is_told_and_spares_his_neighbours():
    of = twin(
        lambda t, y, p: {"x": -p.most * y.x / (3.0 + y.x)},
        parameters=(parameter("most", 2.0),),
        actions=(Action("dose", "mg"),),
    )
    regimen, plan = Regimen("dose", 10.0, 8.0), Plan(2.0, 4, (0, 4), (0,), ("x",), before=Regimen("dose", 10.0, 8.0))
    values = {"most": np.array([2.0, 1.0, 3.0])}  # 1.25 a h comes, and the second loses 1.0 at most
    assert np.asarray(found(of, regimen, values).settled).tolist() == [True, False, True]
    chosen = choose(of, NOTHING, plan, 1, np.arange(2), {"most": np.array([2.0, 3.0])})
    lives = solver(of, NOTHING, plan, 1, chosen, 3)(np.arange(3), values)
    alone = solver(of, NOTHING, plan, 1, chosen, 3)(np.arange(1), {"most": np.array([2.0])})
    assert lives.status.tolist() == [Status.OK, Status.UNSETTLED, Status.OK]
    assert lives.recorded["x"][0, 0] == alone.recorded["x"][0, 0]


def test_what_grows_with_every_dose_is_named():
    summed = twin(lambda t, y, p: {"x": -p.k * y.x, "exposure": y.x}, states=("x", "exposure"))
    sentence = "twin 'one' has no steady state under 10 of 'dose' every 8 h: exposure changes with every dose"
    assert unsettled(summed, Regimen("dose", 10.0, 8.0), 2.0) == sentence
    constant = twin(lambda t, y, p: {"x": -p.k * y.x, "still": 0.0 * y.x}, states=("x", "still"))
    assert unsettled(constant, Regimen("dose", 10.0, 8.0), 2.0) == ""
    harmed = twin(act=lambda y, action, p: {"x": y.x + action.dose, "k": p.k * 0.9}, changes=("k",))
    assert "k changes with every dose" in unsettled(harmed, Regimen("dose", 10.0, 8.0), 2.0)
    daily = twin(lambda t, y, p: {"x": 1.0 + jnp.sin(2.0 * jnp.pi * t / 24.0) - p.k * y.x})
    assert "comes to no steady state" in unsettled(daily, Regimen("dose", 10.0, 8.0), 2.0)
    assert unsettled(daily, Regimen("dose", 10.0, 24.0), 2.0) == ""
    assert "comes to no steady state" in unsettled(twin(), Regimen("dose", 10.0, 8.0, 7.9), 2.0)  # and the lag
    with pytest.raises(ValueError, match="a dose every 5 h falls between ticks of 2 h"):
        unsettled(twin(), Regimen("dose", 10.0, 5.0), 2.0)


@pytest.mark.parametrize("name", ["theophylline", "warfarin-inr"])
def test_a_patient_enters_as_a_long_therapy_left_him(name):
    of = twins.load(name)
    amount = 300.0 if name == "theophylline" else 4.0
    plan = Plan(12.0, 4, tuple(range(5)), (0, 4), (of.outputs[0].name,), before=Regimen("dose", amount, 24.0))
    daily = Policy("daily", lambda p, s: (), lambda t, seen, m, s: ({"dose": jnp.where(t % 24 == 0, amount, 0.0)}, m))
    values = {key: np.full(3, value) for key, value in of.typical().items()}
    values["clearance" if name == "theophylline" else of.parameters[0].name] *= np.array([0.8, 1.0, 1.2])
    chosen = choose(of, daily, plan, 1, np.arange(3), values)
    lives = solver(of, daily, plan, 1, chosen, 3)(np.arange(3), values)
    assert (lives.status == Status.OK).all()
    entered = lives.recorded[of.outputs[0].name]
    np.testing.assert_allclose(entered[:, 4], entered[:, 0], rtol=1e-5)
    np.testing.assert_allclose(entered[:, 2], entered[:, 0], rtol=1e-5)
    long = Plan(12.0, 400, (396, 397, 398, 399, 400), (0,), plan.outcomes)
    truth = solver(of, daily, long, 1, Engine("own", 1e-9), 3)(np.arange(3), values)
    np.testing.assert_allclose(entered, truth.recorded[of.outputs[0].name], rtol=2e-5)


def test_a_study_may_begin_under_a_therapy(tmp_path, small_text):
    path = tmp_path / "study.yaml"
    path.write_text(small_text.replace("adherence:", "before: {dose: 4 mg, every: 24 h}\nadherence:"), encoding="utf-8")
    study = read(path)
    assert study.plan.before == Regimen("dose", 4.0, 24.0)
    path.write_text(study.text, encoding="utf-8")
    assert read(path).plan.before == study.plan.before
