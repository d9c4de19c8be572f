"""Events of a patient's own: lags, infusions, late doses, changed parameters. Against closed forms and SciPy."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from solvers import pending, twins
from solvers.course import course
from solvers.delivery import MOST, room
from solvers.engine import Engine
from solvers.luck import Purpose
from solvers.ode import ode_twin
from solvers.pilots import choose
from solvers.policy import Infusion, Policy
from solvers.solve import Plan, free_solver, life, solver
from solvers.status import Status
from solvers.twin import Action, Output, Parameter, Spread, log_normal

TICK, TICKS, EVERY, OVER, DOSE = 1.0, 36, 6.0, 2.5, 10.0
PLAN = Plan(TICK, TICKS, tuple(range(TICKS + 1)), (0,), ("x", "dose"))
TIMES = TICK * np.arange(TICKS + 1)


def parameter(name, typical, **parts):
    return Parameter(name, "1", typical, "a test", "assumed", **parts)


def drip(rhs=None, **parts):
    """x' = -k x, with a dose into x."""
    given = {
        "name": "drip",
        "title": "Drip",
        "source": "a test",
        "states": ("x",),
        "parameters": (
            parameter("k", 0.2, spread=log_normal(cv=0.3)),
            parameter("delay", 0.7, spread=log_normal(cv=0.2)),
            parameter("share", 0.8),
        ),
        "actions": (Action("dose", "mg", infused=True, lag="delay", bioavailability="share"),),
        "outputs": (Output("x", "mg", "a test"),),
        "initial": lambda p: {"x": 0.0},
        "act": lambda y, action, p: {"x": y.x + action.dose},
        "observe": lambda y, p, time: {"x": y.x},
    }
    return ode_twin(rhs or (lambda t, y, p: {"x": -p.k * y.x}), **(given | parts))


def regimen(over=OVER, dose=DOSE, every=EVERY, by_patient=True):
    """A dose every so often; by infusion where it takes a time."""

    def decide(time, seen, memory, s):
        now = jnp.abs(time / every - jnp.round(time / every)) < 1e-6
        amount = jnp.where(now, dose, 0.0)
        return {"dose": Infusion(amount, over) if over else amount}, memory

    return Policy("regimen", lambda p, s: (), decide, by_patient=by_patient, longest=over)


def drawn(count, seed=0):
    rng = np.random.default_rng(seed)
    k, delay = 0.2 * np.exp(0.3 * rng.standard_normal(count)), 0.7 * np.exp(0.2 * rng.standard_normal(count))
    return {"k": k, "delay": delay, "share": np.full(count, 0.8)}


def response(since, k, over):
    """x after a unit dose over a time, (...) of hours since it began."""
    since = np.clip(since, 0.0, None)
    if over == 0.0:
        return np.where(since > 0, np.exp(-k * since), 0.0)
    on = np.minimum(since, over)
    return -np.expm1(-k * on) * np.exp(-k * (since - on)) / (k * over)


def off(found, exact):
    scale = np.abs(exact) + 1e-3 * np.abs(exact).max(-1, keepdims=True)
    return float((np.abs(found - exact) / scale).max())


@functools.cache
def chosen(over=OVER):
    return choose(drip(), regimen(over), PLAN, 1, np.arange(32), drawn(32))


@pytest.mark.parametrize("over", [0.0, OVER, 8.0])  # whole, within and beyond the next dose
@pytest.mark.parametrize("tier", ["own", "c", "jax"])
def test_lagged_doses_and_infusions_are_their_closed_form(over, tier):
    values, count = drawn(8, seed=2), 8
    engine = chosen(over)
    by = Engine("own", 1e-9) if tier == "own" else engine._replace(code=tier)
    if tier == "c" and engine.code != "c":
        pytest.skip("there is no C compiler here")
    lives = solver(drip(), regimen(over), PLAN, 1, by, count)(np.arange(count), values)
    exact = np.zeros((count, len(TIMES)))
    for begin in np.arange(0.0, TIMES[-1], EVERY):
        since = TIMES - begin - values["delay"][:, None]
        exact += DOSE * values["share"][:, None] * response(since, values["k"][:, None], over)
    assert (lives.status == Status.OK).all()
    assert off(lives.recorded["x"], exact) <= (1e-9 if tier == "own" else engine.tolerance)
    assert (lives.recorded["dose"].sum(1) == 60.0).all()  # as given, whatever reaches the blood


def test_a_patient_keeps_his_bits_in_any_company():
    values = drawn(16, seed=4)
    solve = solver(drip(), regimen(), PLAN, 1, chosen(), 16)
    whole = solve(np.arange(16), values)
    for who in (np.array([5]), np.array([15, 0, 7])):
        some = solve(who, {name: each[who] for name, each in values.items()})
        assert np.array_equal(some.recorded["x"], whole.recorded["x"][who])
    sick = {name: each.copy() for name, each in values.items()}
    sick["delay"][3] = np.nan
    found = solve(np.arange(16), sick)
    others = np.arange(16) != 3
    assert found.status[3] != Status.OK and (found.status[others] == Status.OK).all()
    assert np.array_equal(found.recorded["x"][others], whole.recorded["x"][others])


def test_two_infusions_and_a_nonlinear_twin_are_those_of_scipy():
    def rhs(t, y, p):
        loss = p.most * y.x / (p.half + y.x)
        return {"x": -loss, "effect": 0.3 * y.x - 0.2 * y.effect + 0.01 * jnp.cos(t)}

    twin = drip(
        rhs,
        states=("x", "effect"),
        parameters=(parameter("most", 3.0), parameter("half", 2.0), parameter("delay", 0.65)),
        actions=(Action("dose", "mg", infused=True, lag="delay"), Action("boost", "mg", infused=True)),
        initial=lambda p: {"x": 1.0, "effect": 0.0},
        act=lambda y, action, p: {"x": y.x + action.dose, "effect": y.effect + 2.0 * action.boost},
        outputs=(Output("x", "mg", "a test"), Output("effect", "1", "a test")),
        observe=lambda y, p, time: {"x": y.x, "effect": y.effect},
    )

    def decide(time, seen, memory, s):
        dose = jnp.where(jnp.isin(time, jnp.asarray([0.0, 6.0])), 10.0, 0.0)
        boost = jnp.where(time == 3.0, 4.0, 0.0)
        return {"dose": Infusion(dose, 1.75), "boost": Infusion(boost, 4.5)}, memory

    policy = Policy("two", lambda p, s: (), decide, longest=4.5)
    plan = PLAN._replace(ticks=12, records=tuple(range(13)), outcomes=("x", "effect"))
    values = {"most": np.full(4, 3.0), "half": np.full(4, 2.0), "delay": np.array([0.1, 0.65, 1.0, 2.3])}
    found = solver(twin, policy, plan, 1, choose(twin, policy, plan, 1, np.arange(4), values), 4)(np.arange(4), values)

    for i, delay in enumerate(values["delay"]):
        drips = [(delay, delay + 1.75, 10.0 / 1.75, 0.0), (6 + delay, 7.75 + delay, 10.0 / 1.75, 0.0)]
        drips += [(3.0, 7.5, 0.0, 8.0 / 4.5)]
        stops = sorted({0.0, *np.arange(13.0), *(end for each in drips for end in each[:2] if end < 12.0)})
        y, seen = np.array([1.0, 0.0]), [[1.0, 0.0]]
        for begin, end in itertools.pairwise(stops):
            middle = (begin + end) / 2
            rates = np.sum([each[2:] for each in drips if each[0] < middle < each[1]], axis=0) + np.zeros(2)

            def slopes(t, y, rates=rates):
                return [rates[0] - 3.0 * y[0] / (2.0 + y[0]), rates[1] + 0.3 * y[0] - 0.2 * y[1] + 0.01 * np.cos(t)]

            y = solve_ivp(slopes, (begin, end), y, method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
            if end == round(end):
                seen.append(y)
        for j, name in enumerate(("x", "effect")):
            assert off(found.recorded[name][i], np.array(seen)[:, j]) <= 1e-5


def test_an_action_may_change_a_parameter_and_what_is_derived_of_it():
    twin = drip(
        lambda t, y, p: {"x": -p.speed * y.x},
        parameters=(parameter("k", 0.2, spread=log_normal(cv=0.3)), parameter("size", 2.0)),
        actions=(Action("procedure", "1"),),
        derive=lambda p: {"speed": p.k / p.size},
        initial=lambda p: {"x": 1.0},
        act=lambda y, action, p: {"k": p.k * (1.0 + action.procedure)},
        observe=lambda y, p, time: {"x": y.x, "k": p.k},
        outputs=(Output("x", "mg", "a test"), Output("k", "1/h", "a test")),
        changes=("k",),
    )
    plan = PLAN._replace(ticks=8, records=tuple(range(9)), outcomes=("x", "k"))
    twice = Policy("twice", lambda p, s: (), lambda t, seen, m, s: ({"procedure": jnp.isin(t, jnp.array([2, 5]))}, m))
    values = {"k": np.linspace(0.1, 0.4, 5), "size": np.full(5, 2.0)}
    engine = choose(twin, twice, plan, 1, np.arange(5), values)
    assert not room(twin, twice, 1.0, 0.0)
    times = np.arange(9.0)
    turned = np.clip(times, 0, 2) + 2 * np.clip(times - 2, 0, 3) + 4 * np.clip(times - 5, 0, None)
    for by in (engine, Engine("own", 1e-9)):
        found = solver(twin, twice, plan, 1, by, 5)(np.arange(5), values)
        assert off(found.recorded["x"], np.exp(-values["k"][:, None] / 2.0 * turned)) <= 1e-5
        np.testing.assert_allclose(found.recorded["k"][:, [2, 3, 5, 6]] / values["k"][:, None], [[1, 2, 2, 4]] * 5)


def test_late_doses_come_late_by_the_patients_own_luck_and_all_of_them():
    values, count = drawn(8, seed=3), 8
    plan = PLAN._replace(late=1.5)
    once = regimen(0.0, every=1000.0)
    engine = choose(drip(), once, plan, 1, np.arange(8), values)
    found = solver(drip(), once, plan, 1, engine, count)(np.arange(count), values)
    x, k = found.recorded["x"], values["k"][:, None]
    with np.errstate(divide="ignore"):
        came = (TIMES + np.log(x / (DOSE * 0.8)) / k)[:, -1] - values["delay"]
    # The lateness that a patient draws for his dose of tick 0.
    own = [jax.random.fold_in(jax.random.key(1, impl="threefry2x32"), i) for i in range(count)]
    late = [float(jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, Purpose.TIMING), 0))) for key in own]
    np.testing.assert_allclose(came, 1.5 * np.abs(late), atol=1e-4)
    # What is not by the patient's own hand is not late.
    clinic = once._replace(by_patient=False)
    prompt = solver(drip(), clinic, plan, 1, engine, count)(np.arange(count), values)
    punctual = solver(drip(), once, plan._replace(late=0.0), 1, engine, count)(np.arange(count), values)
    assert np.array_equal(prompt.recorded["x"], punctual.recorded["x"])


def test_a_twin_with_its_own_advance_takes_late_doses():
    twin = twins.load("theophylline")
    plan = Plan(2.0, 12, tuple(range(13)), (0,), ("concentration", "dose"), late=1.0)
    values = {name: np.full(6, value) for name, value in twin.typical().items()}
    found = solver(twin, regimen(0.0, 300.0, 8.0), plan, 1, Engine("own", 1e-5), 6)(np.arange(6), values)
    key = jax.random.key(1, impl="threefry2x32")
    p = twin.namespace(twin.typical())
    for i in range(6):
        own = jax.random.fold_in(jax.random.fold_in(key, i), Purpose.TIMING)
        exact = np.zeros(13)
        for tick in (0, 4, 8):
            due = 2.0 * tick + abs(float(jax.random.normal(jax.random.fold_in(own, tick))))
            since = np.clip(2.0 * np.arange(13) - due, 0.0, None)
            ka, k = float(p.absorption_rate), float(p.k)
            exact += 300.0 / float(p.V) * ka / (ka - k) * (np.exp(-k * since) - np.exp(-ka * since))
        np.testing.assert_allclose(found.recorded["concentration"][i], exact, rtol=1e-9, atol=1e-12)
    with pytest.raises(
        ValueError, match="'dose' of twin 'theophylline', which is solved by its own advance, cannot be"
    ):
        infused = twin._replace(actions=(Action("dose", "mg", infused=True),))
        solver(infused, regimen(), plan, 1, Engine("own", 1e-5), 6)(np.arange(6), values)


def test_what_finds_no_room_is_a_status():
    values = drawn(3)
    values["delay"][1] = 500.0  # far beyond what the parameter's spread makes likely: doses pile up
    found = solver(drip(), regimen(0.0, every=1.0), PLAN, 1, chosen(0.0), 3)(np.arange(3), values)
    assert found.status.tolist() == [Status.OK, Status.OVERFLOW, Status.OK]


def test_a_course_takes_infusions_and_lags():
    values = drawn(8, seed=6)
    amounts = np.where(np.arange(TICKS) % 6 == 0, DOSE, 0.0)
    solve, engine = course(drip(), TICK, {"dose": amounts}, drawn(32), over={"dose": np.full(TICKS, OVER)})
    found = solve(values)
    lives = solver(drip(), regimen(), PLAN, 1, engine, 8)(np.arange(8), values)
    np.testing.assert_allclose(found.outputs["x"].T, lives.recorded["x"], rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match="'drug' is infused over"):
        course(drip(), TICK, {"dose": amounts}, drawn(4), over={"drug": np.ones(TICKS)})


def test_a_therapy_stays_free():
    values = drawn(4, seed=8)
    engine = chosen()
    lives = solver(drip(), regimen(), PLAN, 1, engine, 4)(np.arange(4), values)
    free = free_solver(drip(), regimen(), PLAN, 1, engine)(np.arange(4), values, {})
    np.testing.assert_allclose(free.recorded["x"], lives.recorded["x"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("code", ["c", "jax"])
def test_forward_derivatives_pass_through_event_times(code):
    engine = chosen()._replace(code=code)
    if chosen().code != code == "c":
        pytest.skip("there is no C compiler here")
    plan = PLAN._replace(ticks=9, records=(9,))
    engine = engine._replace(counts=engine.counts[:9], halvings=engine.halvings[:9])

    def end(delay, k):
        values = {"k": k, "delay": delay, "share": jnp.asarray(0.8)}
        return life(drip(), regimen(), plan, 1, engine, 0, values, {})[0]["x"][0]

    at = jnp.asarray(0.7), jnp.asarray(0.2)
    for which in (0, 1):
        slope = jax.jacfwd(end, which)(*at)
        moved = [tuple(a + s * 1e-4 * (i == which) for i, a in enumerate(at)) for s in (1, -1)]
        assert float(slope) == pytest.approx(float(end(*moved[0]) - end(*moved[1])) / 2e-4, rel=1e-5)


def test_wrong_events_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match="lag 'latency' of action 'dose' is no parameter; write one of: k, delay"):
        drip(actions=(Action("dose", "mg", lag="latency"),))
    with pytest.raises(ValueError, match="'speed' of changes is no parameter"):
        drip(changes=("speed",))
    with pytest.raises(ValueError, match="has two states 'dose_rate'"):
        drip(states=("dose_rate",))
    whole = drip(actions=(Action("dose", "mg"), Action("other", "mg", infused=True)))
    with pytest.raises(ValueError, match="infuses 'dose', which twin 'drip' only takes whole"):
        solver(whole, regimen(), PLAN, 1, chosen(), 2)(np.arange(2), drawn(2))
    with pytest.raises(ValueError, match="tells no longest infusion"):
        solver(whole, regimen()._replace(longest=0.0), PLAN, 1, chosen(), 2)(np.arange(2), drawn(2))


events = st.lists(st.tuples(st.floats(0.0, 20.0, allow_subnormal=False), st.floats(0.1, 9.0)), max_size=12)


@settings(deadline=None, max_examples=60)
@given(events, st.integers(1, 12))
def test_what_is_on_its_way_comes_once_in_order_or_is_told_to_be_lost(ordered, slots):
    waiting = pending.empty(slots, 1)
    for time, amount in ordered:
        waiting = pending.added(waiting, time, jnp.asarray([amount]), amount > 0)
    assert bool(waiting.lost) == (len(ordered) > slots)
    kept, came = sorted(ordered[:slots]), []
    while np.isfinite(now := float(pending.following(waiting))):
        assert not came or now > came[-1][0]
        total, waiting = pending.taken(waiting, now)
        came.append((now, float(total[0])))
    assert [time for time, _ in came] == sorted({time for time, _ in kept})
    for time, total in came:
        assert total == pytest.approx(sum(amount for when, amount in kept if when == time), rel=1e-12)
    assert sum(total for _, total in came) == pytest.approx(sum(amount for _, amount in kept), rel=1e-12)


def test_room_is_kept_for_what_may_wait():
    assert room(drip(actions=(Action("dose", "mg"),)), regimen(0.0), 1.0, 0.0) == 0
    assert room(drip(), regimen(0.0), 1.0, 0.0) > 0.7 * np.exp(6 * 0.2)
    assert room(drip(actions=(Action("dose", "mg"),)), regimen(0.0), 1.0, 1.0) == 7
    assert room(drip(actions=(Action("dose", "mg"),)), regimen(0.0, by_patient=False), 1.0, 1.0) == 0
    assert room(drip(), regimen(1e6), 1.0, 0.0) <= 2 * MOST + 2
    share = parameter("delay", 0.5, spread=Spread("logit-normal", 1.0))
    assert room(drip(parameters=(parameter("k", 0.2), share, parameter("share", 1.0))), regimen(0.0), 1.0, 0.0) == 2
