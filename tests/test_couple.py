"""Composed twins: against closed forms, twins written by hand as one, and their parts alone."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dashboards import credibility, report
from dashboards.results import read as results_of
from solvers import code, twins
from solvers.couple import Coupling, composed
from solvers.coupling import CouplingError
from solvers.derivative import slopes
from solvers.engine import Engine
from solvers.ode import ode_twin
from solvers.pairs import TSITOURAS
from solvers.parts import effect
from solvers.pilots import choose
from solvers.policy import Infusion, Policy
from solvers.solve import Plan, solver
from solvers.status import Status
from solvers.steady import Regimen, unsettled
from solvers.twin import Action, Covariate, Output, Parameter, Trigger, Twin, log_normal
from trials import document, key
from trials.run import cohort, run
from trials.study import read, study

TICK, TICKS, DOSE = 1.0, 24, 100.0
TIMES = TICK * np.arange(TICKS + 1)


def parameter(name, typical, unit="1", **parts):
    return Parameter(name, unit, typical, "a test", "assumed", **parts)


PHARMACOKINETICS = {
    "title": "One compartment",
    "source": "a test",
    "parameters": (
        parameter("clearance", 4.0, "L/h", spread=log_normal(cv=0.3)),
        parameter("volume", 20.0, "L", spread=log_normal(cv=0.2)),
    ),
    "outputs": (Output("concentration", "mg/L", "a test"),),
}


def drug(**parts):
    """central' = -clearance/volume central."""
    given = PHARMACOKINETICS | {
        "name": "drug",
        "states": ("central",),
        "actions": (Action("dose", "mg"),),
        "initial": lambda p: {"central": 0.0},
        "act": lambda y, action, p: {"central": y.central + action.dose},
        "observe": lambda y, p, time: {"concentration": y.central / p.volume},
    }
    return ode_twin(lambda t, y, p: {"central": -p.clearance / p.volume * y.central}, **(given | parts))


def closed():
    """The same, advanced in closed form, its amount being its state."""
    return Twin(
        name="closed",
        covariates=(),
        actions=(Action("dose", "mg"),),
        derive=lambda p: {"k": p.clearance / p.volume},
        initial=lambda p: jnp.zeros(()),
        advance=lambda y, p, action, time, tick: (y + action.dose) * jnp.exp(-p.k * tick),
        observe=lambda y, p, time: {"concentration": y / p.volume},
        method="closed form",
        **PHARMACOKINETICS,
    )


RESPONSE = {
    "title": "Turnover",
    "source": "a test",
    "states": ("response",),
    "parameters": (parameter("kin", 0.0, "1/h"), parameter("kout", 0.1, "1/h", bounds=(0.0, 5.0))),
    "actions": (),
    "outputs": (Output("response", "1", "a test"),),
    "initial": lambda p: {"response": 1.0},
    "act": lambda y, action, p: {},
    "observe": lambda y, p, time: {"response": y.response},
}


def target(**parts):
    """response' = kin - kout response."""
    given = RESPONSE | {"name": "target"} | parts
    return ode_twin(lambda t, y, p: {"response": p.kin - p.kout * y.response}, **given)


def coupling(**parts):
    given = {
        "giver": "drug",
        "output": "concentration",
        "taker": "body",
        "parameter": "kout",
        "emax": 1.5,
        "ec50": 2.0,
        "unit": "mg/L",
        "hill": 1.0,
        "source": "a test",
        "evidence": "assumed",
    }
    return Coupling(**(given | parts))


def both(giver=None, taker=None, *couplings):
    return composed("both", {"body": taker or target(), "drug": giver or drug()}, couplings or (coupling(),))


def at_start(amount=DOSE, over=0.0):
    def decide(time, seen, memory, s):
        given = jnp.where(time < 1e-6, amount, 0.0)
        return {"dose": Infusion(given, over) if over else given}, memory

    return Policy("at start", lambda p, s: (), decide, longest=over)


def plan(twin, ticks=TICKS, tick=TICK):
    return Plan(tick, ticks, tuple(range(ticks + 1)), (0,), tuple(item.name for item in twin.outputs))


def drawn(twin, count, seed=0):
    rng, values = np.random.default_rng(seed), {}
    for name, typical in twin.typical().items():
        spread = {item.name: item.spread for item in twin.parameters}.get(name)
        values[name] = typical * np.exp((spread.sd if spread else 0.0) * rng.standard_normal(count))
    return values


@functools.cache
def chosen(make=both):
    twin = make()
    return choose(twin, at_start(), plan(twin), 1, np.arange(16), drawn(twin, 16))


def lives(twin, values, engine, policy=None, ticks=TICKS, tick=TICK):
    count = len(next(iter(values.values())))
    return solver(twin, policy or at_start(), plan(twin, ticks, tick), 1, engine, count)(np.arange(count), values)


def response(times, clearance, volume, kout, emax, ec50):
    """With k = clearance/volume and C = C0 e^(-k t), the integral of C/(EC50 + C) is log((EC50 + C0)/(EC50 + C))/k."""
    k, c0 = clearance / volume, DOSE / volume
    fallen = (ec50 + c0 * jnp.exp(-k * times)) / (ec50 + c0)
    return jnp.exp(-kout * times) * fallen ** (kout * emax / k)


def off(found, exact):
    return float((np.abs(found - exact) / (np.abs(exact) + 1e-3 * np.abs(exact).max())).max())


@pytest.mark.parametrize("tier", ["own", "c", "jax"])
def test_a_response_to_a_falling_concentration_is_its_closed_form(tier):
    twin, engine = both(), chosen()
    if tier == "c" and engine.code != "c":
        pytest.skip("there is no C compiler here")
    assert engine.tier == "explicit"
    by = Engine("own", 1e-9) if tier == "own" else engine._replace(code=tier)
    values = drawn(twin, 8, seed=2)
    found = lives(twin, values, by)
    assert (found.status == Status.OK).all()
    for i in range(8):
        exact = response(TIMES, values["clearance"][i], values["volume"][i], 0.1, 1.5, 2.0)
        assert off(found.recorded["response"][i], exact) <= (1e-8 if tier == "own" else engine.tolerance)


def test_the_exact_tier_takes_a_response_that_a_linear_drug_drives():
    twin = both()
    found = code.exactly(twin)
    assert found is not None and len(found.stepper.structure.driven) == 1
    engine = choose(twin, at_start(), plan(twin), 1, np.arange(16), drawn(twin, 16), exactly=True)
    assert engine.tier == "exact"
    values = drawn(twin, 4, seed=3)
    by = lives(twin, values, engine)
    for i in range(4):
        exact = response(TIMES, values["clearance"][i], values["volume"][i], 0.1, 1.5, 2.0)
        assert off(by.recorded["response"][i], exact) <= engine.tolerance


@pytest.mark.parametrize("giver", [drug, closed])
@pytest.mark.parametrize(("amount", "share"), [(40.0, 0.5), (1e12, 1.0)])  # at EC50, and far above it
def test_a_constant_concentration_gives_the_turnover_of_a_constant_parameter(giver, amount, share):
    twin = both(giver(), target(), coupling(emax=-0.4))
    values = drawn(twin, 1) | {"clearance": np.zeros(1), "volume": np.full(1, 20.0), "kin": np.full(1, 0.2)}
    found = lives(twin, values, Engine("own", 1e-9), at_start(amount))
    kout = 0.1 * (1.0 - 0.4 * share)
    # In turn, the parameter of a tick is that of its end, which here is that of all of it.
    exact = 0.2 / kout + (1.0 - 0.2 / kout) * np.exp(-kout * TIMES)
    np.testing.assert_allclose(found.recorded["response"][0], exact, rtol=1e-8)


def test_effect_is_the_emax_model_at_its_ends_too():
    grid = np.geomspace(1e-3, 1e3, 13)
    for hill in (0.4, 1.0, 2.5):
        np.testing.assert_allclose(
            effect(grid, 0.7, 5.0, hill), 0.7 * grid**hill / (5.0**hill + grid**hill), rtol=1e-13
        )
    assert effect(0.0, 0.7, 5.0, 1.0) < 1e-99 and effect(-1e-9, 0.7, 5.0, 1.0) < 1e-99
    assert float(effect(1e300, 0.7, 5.0, 10.0)) == 0.7
    ends = [jax.grad(effect, argnums=i)(c, 0.7, 5.0, h) for i in range(4) for c in (0.0, 1e300) for h in (0.5, 8.0)]
    assert np.isfinite(ends).all()


def test_who_has_had_no_drug_lives_as_without_the_coupling():
    twin = both(drug(), target(), coupling(hill=0.5))
    untreated = lives(twin, drawn(twin, 1), Engine("own", 1e-9), at_start(0.0))
    np.testing.assert_allclose(untreated.recorded["response"][0], np.exp(-0.1 * TIMES), rtol=1e-9)


def test_a_drug_solved_in_turn_converges_to_the_coupled_equations_as_ticks_shorten():
    values = drawn(both(), 4, seed=5)
    exact = np.stack([response(TIMES, values["clearance"][i], values["volume"][i], 0.1, 1.5, 2.0) for i in range(4)])
    errors = []
    for parts in (1, 2, 4):
        twin = both(closed())
        policy = at_start()
        found = lives(twin, values, Engine("own", 1e-9), policy, TICKS * parts, TICK / parts)
        errors.append(np.abs(found.recorded["response"][:, ::parts] - exact).max())
    assert errors[0] < 0.02
    # Of first order: each halving of the tick halves the error, but for its square.
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(2.0, rel=0.05)


def balance():
    """A pressure that is always in balance with its parameters, advanced by itself."""
    return Twin(
        name="balance",
        title="A pressure in balance",
        source="a test",
        parameters=(parameter("resistance", 20.0), parameter("flow", 5.0)),
        covariates=(),
        actions=(),
        outputs=(Output("pressure", "1", "a test"),),
        derive=lambda p: {},
        initial=lambda p: p.resistance * p.flow,
        advance=lambda y, p, action, time, tick: p.resistance * p.flow,
        observe=lambda y, p, time: {"pressure": y},
        method="at once",
    )


def infused(over, delay, share):
    """Concentration of the typical patient during and after an infusion, and after a dose [mg/L]."""
    since = np.clip(TIMES - delay, 0.0, None)
    if not over:
        return share * DOSE / 20.0 * np.exp(-0.2 * since)
    on = np.minimum(since, over)
    return share * DOSE / (20.0 * 0.2 * over) * -np.expm1(-0.2 * on) * np.exp(-0.2 * (since - on))


@pytest.mark.parametrize(("over", "delay"), [(0.0, 0.0), (3.5, 0.7)])
def test_a_part_in_balance_with_its_parameter_is_exact_in_turn(over, delay):
    for giver in (rich_drug(), closed()) if over == 0.0 else (rich_drug(),):
        twin = both(giver, balance(), coupling(parameter="resistance", emax=-0.3, hill=2.0))
        values = {
            name: np.full(1, value)
            for name, value in (twin.typical() | {"delay": delay, "share": 0.8 if over else 1.0}).items()
        }
        values = {item.name: values[item.name] for item in twin.variables}
        found = lives(twin, values, Engine("own", 1e-9), at_start(over=over))
        c = infused(over, delay, 0.8 if over else 1.0)
        exact = 100.0 * (1.0 - 0.3 * c**2 / (4.0 + c**2))
        exact[0] = 100.0  # before the dose
        np.testing.assert_allclose(found.recorded["pressure"][0], exact, rtol=1e-8)


def by_hand(**parts):
    """Drug and target as one twin; the drug is slowed by the response, which comes back to half at a limit."""

    def effects(y, p):
        c = y.central / p.volume
        power = jnp.exp(p.hill * jnp.log(jnp.maximum(c, 1e-30) / p.ec50))  # ** would take a minute to compile
        faster = 1.0 + p.emax * power / (1.0 + power)
        return faster, 1.0 - 0.5 * y.response / (0.8 + y.response)

    def rhs(t, y, p):
        faster, slower = effects(y, p)
        return {
            "central": -slower * p.clearance / p.volume * y.central,
            "response": faster * p.kin - p.kout * y.response,
        }

    given = {
        "name": "by-hand",
        "title": "As one",
        "source": "a test",
        "states": ("central", "response"),
        "parameters": (
            *rich_drug().parameters,
            *(parameter(name, value) for name, value in (("kin", 0.6), ("kout", 0.3))),
            *(parameter(name, value) for name, value in (("emax", 1.5), ("ec50", 2.0), ("hill", 1.3))),
        ),
        "actions": DRIP,
        "outputs": (Output("concentration", "mg/L", "a test"), Output("response", "1", "a test")),
        "initial": lambda p: {"central": 0.0, "response": 1.0},
        "act": lambda y, action, p: {"central": y.central + action.dose},
        "observe": lambda y, p, time: {"concentration": y.central / p.volume, "response": y.response},
        "triggers": HALVED,
    }
    return ode_twin(rhs, **(given | parts))


DRIP = (Action("dose", "mg", infused=True, lag="delay", bioavailability="share"),)
HALVED = (Trigger("halved", lambda y, p: y.response - 2.0, lambda y, p: {"response": y.response / 2.0}),)


def rich_drug():
    own = (parameter("delay", 0.7, "h"), parameter("share", 0.8, bounds=(0.0, 1.0)))
    return drug(parameters=(*PHARMACOKINETICS["parameters"], *own), actions=DRIP)


def rich(triggers=HALVED):
    """The same, composed: each acts on the other."""
    body = target(parameters=(parameter("kin", 0.6), parameter("kout", 0.3)), triggers=triggers)
    back = coupling(giver="body", output="response", unit="1", taker="drug", parameter="clearance", emax=-0.5, ec50=0.8)
    return both(rich_drug(), body, coupling(parameter="kin", hill=1.3), back)


def given_to(two, values):
    more = {"drug_on_kin_emax": 1.5, "drug_on_kin_ec50": 2.0, "drug_on_kin_hill": 1.3}
    more |= {"body_on_clearance_emax": -0.5, "body_on_clearance_ec50": 0.8, "body_on_clearance_hill": 1.0}
    return {name: values.get(name, np.full(3, more.get(name, np.nan))) for name in two.typical()}


@pytest.mark.parametrize("over", [0.0, 3.5])
def test_lags_infusions_and_bioavailability_are_those_of_one_twin_by_hand(over):
    one, two, ticks = by_hand(triggers=()), rich(()), 6
    policy, values = at_start(over=over), drawn(one, 3, seed=7)
    given = given_to(two, values)
    right = lives(one, values, Engine("own", 1e-9), policy, ticks)
    engine = choose(two, policy, plan(two, ticks), 1, np.arange(3), given)
    assert (right.recorded["response"].max(1) > 1.7).all()
    for by in (Engine("own", 1e-9), engine):
        found = lives(two, given, by, policy, ticks)
        assert (found.status == Status.OK).all()
        for name, exact in right.recorded.items():
            # 1e-7: two adaptive solutions at 1e-9; the engine keeps its tolerance
            assert off(found.recorded[name], exact) <= (1e-7 if by.tier == "own" else engine.tolerance)


def test_triggers_are_those_of_one_twin_by_hand():
    one, two, ticks = by_hand(), rich(), 6
    policy, values = at_start(over=3.5), drawn(one, 3, seed=7)
    mesh = {"counts": (16,) * ticks, "halvings": (2,) * ticks, "floors": (1.0,) * 3}
    engine = Engine("explicit", 1.0, **mesh)
    right = lives(one, values, engine, policy, ticks).recorded
    found = lives(two, given_to(two, values), engine, policy, ticks).recorded
    assert (np.diff(right["response"]).min(1) < -0.3).all()  # it was halved
    for name, exact in right.items():
        # The same steps; an event is found within 1e-10 of one.
        assert off(found[name], exact) <= 1e-8


def test_a_concentration_that_jumps_sets_off_a_trigger_of_the_other_part_once():
    body = ode_twin(
        lambda t, y, p: {"response": p.kin - p.kout * y.response, "times": 0.0},
        **(
            RESPONSE
            | {
                "name": "counted",
                "states": ("response", "times"),
                "initial": lambda p: {"response": 1.0, "times": 0.0},
                "observe": lambda y, p, time: {"response": y.times},
                "triggers": (Trigger("fast", lambda y, p: p.kout - 0.15, lambda y, p: {"times": y.times + 1.0}),),
            }
        ),
    )
    twin = both(drug(), body)
    p = twin.namespace(twin.typical())
    y = twin.ode.jump(twin.initial(p), twin.action(dose=DOSE), p)
    assert float(y.times) == 1.0
    assert float(twin.ode.jump(y, twin.action(dose=DOSE), p).times) == 1.0  # it was above before
    assert float(twin.ode.jump(twin.initial(p), twin.action(dose=1.0), p).times) == 0.0


def test_without_couplings_the_parts_live_as_alone():
    parts = {"body": target(), "drug": drug()}
    twin = composed("apart", parts, ())
    values = drawn(twin, 4, seed=1)

    def on(which, states):
        mesh = {"counts": (6,) * TICKS, "halvings": (2,) * TICKS, "floors": (np.inf,) * states}
        return lives(which, {item.name: values[item.name] for item in which.variables}, Engine("explicit", 1.0, **mesh))

    def nothing(name):
        return Policy("nothing", lambda p, s: (), lambda *_: ({}, ()))

    together = on(twin, 2)
    np.testing.assert_allclose(together.recorded["concentration"], on(drug(), 1).recorded["concentration"], rtol=1e-12)
    alone = {"kin": values["kin"], "kout": values["kout"]}
    still = lives(target(), alone, Engine("own", 1e-9), nothing("body"))
    np.testing.assert_allclose(together.recorded["response"], still.recorded["response"], rtol=1e-8)
    in_turn = composed("in turn", {"body": target(), "drug": closed()}, ())
    found = lives(in_turn, {item.name: values[item.name] for item in in_turn.variables}, Engine("own", 1e-9))
    assert np.array_equal(found.recorded["response"], still.recorded["response"])


def test_a_patient_keeps_his_bits_in_any_company():
    for twin, engine in ((both(), chosen()), (both(closed()), Engine("own", 1e-5))):
        values = drawn(twin, 16, seed=4)
        solve = solver(twin, at_start(), plan(twin), 1, engine, 16)
        whole = solve(np.arange(16), values)
        some = solve(np.array([5, 11]), {name: each[[5, 11]] for name, each in values.items()})
        sick = {name: each.copy() for name, each in values.items()}
        sick["drug_on_kout_ec50"][3] = np.nan
        found, others = solve(np.arange(16), sick), np.arange(16) != 3
        assert found.status[3] == Status.BAD_PARAMETER and (found.status[others] == Status.OK).all()
        for name, recorded in whole.recorded.items():
            assert np.array_equal(some.recorded[name], recorded[[5, 11]])
            assert np.array_equal(found.recorded[name][others], recorded[others])


def test_derivatives_through_the_coupling_are_those_of_the_closed_form():
    twin, names = both(), ("clearance", "kout", "drug_on_kout_emax", "drug_on_kout_ec50")
    values = drawn(twin, 3, seed=6)
    found = slopes(twin, at_start(), plan(twin), 1, chosen(), names)(np.arange(3), values)
    for i in range(3):
        numbers = [float(values[name][i]) for name in ("clearance", "volume", "kout")] + [1.5, 2.0]
        exact = jax.jacfwd(lambda *each: response(TIMES, *each), argnums=(0, 2, 3, 4))(*numbers)
        for j in range(len(names)):
            scale = np.abs(exact[j]).max()
            np.testing.assert_allclose(found.recorded["response"][i, :, j], exact[j], rtol=1e-4, atol=1e-4 * scale)


def test_what_does_not_change_is_derived_once_whatever_it_is():
    inr, pca = twins.load("warfarin-inr"), twins.load("warfarin-pca")
    one = coupling(taker="inr", parameter="clearance", emax=-0.3)
    twin = composed("warfarin-inr+warfarin-pca", {"inr": inr, "drug": pca}, [one])
    values = twin.typical() | {"cyp2c9": 2.0, "age": 60.0}
    p = twin.namespace(values)
    y = twin.ode.jump(twin.initial(p), twin.action(inr_dose=7.0, drug_dose=20.0), p)
    y = y._replace(drug_central=15.0, inr_central=2.0)
    c = 15.0 / values["volume"]
    own = {name: values.get(name, values.get(f"inr_{name}")) for name in inr.typical()}
    slowed = inr.namespace(own | {"clearance": own["clearance"] * (1.0 - 0.3 * c / (2.0 + c))})
    names = [f"inr_{name}" if name in ("depot", "central") else name for name in inr.ode.states]
    right = inr.ode.field(0.0, inr.ode.state(*(getattr(y, name) for name in names)), slowed)
    found = twin.ode.field(0.0, y, p)
    np.testing.assert_allclose([getattr(found, name) for name in names], right, rtol=1e-13)
    # A genotype's place in a table would have no machine code; found once a patient, it needs none.
    assert code.code(inr, TSITOURAS) is None or code.code(twin, TSITOURAS) is not None
    assert twin.starts.keys() == {"genotype"} and twin.started == {"genotype": "inr_dose"}
    started = inr.starts["genotype"](inr.namespace(own), 2.5, 24.0)
    assert float(twin.starts["genotype"](p, 2.5, 24.0)) == pytest.approx(float(started), rel=1e-12)


def test_names_units_sources_and_spread_are_those_of_the_parts():
    parts = {"body": target(parameters=(*RESPONSE["parameters"], parameter("volume", 3.0))), "drug": rich_drug()}
    twin = composed("both", parts, (coupling(ec50=2000.0, unit="ug/L"),))
    by_name = {item.name: item for item in twin.parameters}
    assert by_name["drug_volume"].spread == log_normal(cv=0.2) and by_name["body_volume"].typical == 3.0
    assert "volume" not in by_name and by_name["clearance"].unit == "L/h"
    ec50 = by_name["drug_on_kout_ec50"]
    assert (ec50.unit, ec50.evidence, ec50.source) == ("mg/L", "assumed", "a test")
    assert ec50.typical == pytest.approx(2.0, rel=1e-12)
    assert twin.actions == DRIP and twin.couplings == ("drug.concentration on body.kout",)
    two = composed("two", {"a": drug(), "b": rich_drug()}, ())
    assert [(item.name, item.lag, item.bioavailability) for item in two.actions] == [
        ("a_dose", "", ""),
        ("b_dose", "delay", "share"),
    ]
    assert two.action()._fields == ("a_dose", "b_dose", "b_dose_rate")


def test_covariates_of_one_name_are_shared():
    def aged(twin, **parts):
        given = {"name": "age", "unit": "year", "typical": 50.0, "source": "a test", "evidence": "assumed"}
        return twin._replace(covariates=(Covariate(**(given | parts)),))

    parts = {"body": aged(target(), bounds=(18.0, 120.0)), "drug": aged(drug(), bounds=(0.0, 90.0))}
    assert [(item.name, item.bounds) for item in composed("both", parts, ()).covariates] == [("age", (18.0, 90.0))]
    with pytest.raises(ValueError, match="covariate 'age' of part 'drug' has unit month, and elsewhere year"):
        composed("both", parts | {"drug": aged(drug(), unit="month")}, ())
    levels = {"typical": "young", "levels": ("young", "old")}
    with pytest.raises(ValueError, match="has levels young, old, and elsewhere none"):
        composed("both", parts | {"drug": aged(drug(), **levels)}, ())


def test_a_life_whose_parameter_leaves_its_bounds_is_no_success():
    body = target(parameters=(parameter("kin", 0.0), parameter("kout", 0.1, bounds=(0.0, 0.26))))
    twin = both(drug(), body)
    values = drawn(twin, 2) | {"kout": np.array([0.1, 0.2])}
    found = lives(twin, values, Engine("own", 1e-9))
    assert found.status[0] == Status.OK and found.status[1] == Status.NOT_FINITE


def test_who_is_composed_comes_to_a_steady_state_by_part():
    body = target(parameters=(parameter("kin", 0.1), parameter("kout", 0.1)))
    for giver in (rich_drug(), closed()):
        assert unsettled(both(giver, body), Regimen("dose", 10.0, 6.0), 1.0) == ""
    piles = closed()._replace(derive=lambda p: {"k": 0.0 * p.clearance})
    told = unsettled(composed("piling", {"body": body, "drug": piles}, ()), Regimen("dose", 10.0, 6.0), 1.0)
    assert "no steady state under 10 of 'dose' every 6 h: drug changes" in told


REFUSED = [
    ({"giver": "drgu"}, "from", "there is no part 'drgu'; write one of: body, drug"),
    ({"output": "level"}, "from", "part 'drug' (drug) has no output 'level'; write one of: concentration"),
    ({"taker": "bdoy"}, "to", "there is no part 'bdoy'"),
    ({"parameter": "kuot"}, "to", "part 'body' (target) has no parameter 'kuot'; write one of: kin, kout"),
    ({"taker": "drug", "parameter": "delay"}, "to", "'drug.delay' is the lag of an action"),
    ({"emax": -1.2}, "emax", "emax is -1.2; write a relative change of at least -100 %"),
    ({"emax": 80.0}, "emax", "emax takes kout to 8.1, outside 0 to 5; write less"),
    ({"ec50": 0.0}, "ec50", "ec50 is 0 mg/L; write a number above 0"),
    ({"unit": "h"}, "ec50", "unit 'h' does not measure what 'mg/L' measures"),
    ({"hill": 0.0}, "hill", "hill is 0; write a number above 0"),
    ({"source": " "}, "source", "has no source"),
    ({"evidence": "known"}, "evidence", "evidence 'known' is none of"),
]


@pytest.mark.parametrize(("parts", "key", "sentence"), REFUSED)
def test_a_coupling_that_cannot_be_is_refused(parts, key, sentence):
    with pytest.raises(CouplingError, match=re.escape(sentence)) as caught:
        both(rich_drug(), target(), coupling(**parts))
    assert caught.value.key == key


def test_couplings_that_go_together_badly_are_refused():
    with pytest.raises(CouplingError, match=r"'drug.concentration on body.kout' stands twice") as caught:
        both(drug(), target(), coupling(), coupling(emax=0.5))
    assert caught.value.number == 1
    back = coupling(giver="body", output="response", unit="1", taker="drug", parameter="clearance", emax=-0.5)
    both(drug(), target(), coupling(), back)  # states lie between
    with pytest.raises(CouplingError, match="act on each other in a ring"):
        both(closed(), target(), coupling(), back)
    scaled = target(observe=lambda y, p, time: {"response": y.response * p.kout})
    loop = coupling(giver="body", output="response", unit="1", taker="drug", parameter="volume", emax=-0.5)
    with pytest.raises(CouplingError, match="each needs the other at once"):
        both(drug(), scaled, coupling(), loop)
    clock = drug(observe=lambda y, p, time: {"concentration": y.central * time})
    with pytest.raises(CouplingError, match=r"'drug.concentration' changes by itself with time"):
        both(clock, target(), coupling())
    held = target(changes=("kout",))
    with pytest.raises(CouplingError, match=r"'body.kout' is changed by actions or triggers of its own"):
        both(drug(), held, coupling())
    infused = closed()._replace(actions=DRIP)
    with pytest.raises(ValueError, match="which is solved by its own advance, cannot be infused"):
        both(infused, target(), coupling())
    with pytest.raises(ValueError, match="part 'my drug' is no short name"):
        composed("both", {"my drug": drug()}, ())


def test_two_effects_on_one_parameter_multiply():
    second = drug(outputs=(*PHARMACOKINETICS["outputs"], Output("amount", "mg", "a test")), name="two")._replace(
        observe=lambda y, p, time: {"concentration": y.central / p.volume, "amount": y.central}
    )
    twin = both(second, target(), coupling(), coupling(output="amount", unit="mg", ec50=50.0, emax=-0.2))
    p = twin.namespace(twin.typical())
    y = twin.initial(p)._replace(central=40.0)
    slope = twin.ode.field(0.0, y, p).response
    assert float(slope) == pytest.approx(-0.1 * (1.0 + 1.5 * 2.0 / 4.0) * (1.0 - 0.2 * 40.0 / 90.0), rel=1e-13)
    assert "drug_amount_on_kout_emax" in twin.typical()


STUDY = """
study: together
title: Two drugs in one body
twin:
  body: warfarin-pca
  drug: warfarin-pca
  couple:
  - {from: drug.concentration, to: body.activity0, emax: -30 %, ec50: 1000 ug/L, hill: 1, source: us, evidence: assumed}
population:
  reference: us-adults
  size: 96
  seed: 3
  parameters:
    drug_on_body_activity0_ec50: {cv: 30 %}
    # Absorption as fast as the twins spread it would need shorter steps than a test should take.
    body_transit_rate: {cv: 10 %}
    body_absorption_rate: {cv: 10 %}
    drug_transit_rate: {cv: 10 %}
    drug_absorption_rate: {cv: 10 %}
eligibility: []
tick: 1 h
record: every 1 day
visits: 0, 1, 3 days
arms:
  none: {policy: fixed-oral, gives: drug_dose, dose: 0 mg, every: 24 h}
  some: {policy: fixed-oral, gives: drug_dose, dose: 10 mg, every: 24 h}
outcomes: [body_activity, drug_concentration, drug_dose]
endpoints:
  primary: {time in range: body_activity, between: 70 to 130 percent, until: 3 days}
trial: {replicates: 20, subjects: 20}
analysis: {contrast: none - some}
"""


def parsed(text, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return read(path)


def test_a_study_file_tells_what_acts_on_what(tmp_path):
    found = parsed(STUDY, tmp_path)
    assert found.twin.name == "warfarin-pca+warfarin-pca"
    typical = found.twin.typical()
    assert typical["drug_on_body_activity0_ec50"] == pytest.approx(1.0)  # mg/L
    assert typical["drug_on_body_activity0_emax"] == pytest.approx(-0.3)
    assert [arm.policy.name for arm in found.arms] == ["fixed-oral", "fixed-oral"]
    again = study(document.parse(found.text, "again.yaml"), tmp_path)
    assert again.text == found.text and "ec50: 1000 ug/L" in found.text
    assert again.twin.ode is found.twin.ode  # what was compiled is found again
    made = key.engine()
    assert key.arm_key(found, found.arms[0], made, "") == key.arm_key(again, again.arms[0], made, "")
    other = parsed(STUDY.replace("to: body.activity0", "to: body.kout").replace("_activity0_", "_kout_"), tmp_path)
    assert key.arm_key(found, found.arms[0], made, "") != key.arm_key(other, other.arms[0], made, "")


WRONG = [
    ("  drug: warfarin-pca", "  drug: warfarin", 6, "twin 'warfarin' is unknown"),
    ("  drug: warfarin-pca", "  drug: [warfarin-pca]", 6, "part 'drug' is of the wrong form"),
    ("  drug: warfarin-pca\n", "", 4, "twin has 1 parts; write two or more"),
    ("  couple:", "  cuople:", 7, "part 'cuople' is of the wrong form"),
    ("from: drug.concentration", "from: drgu.concentration", 8, "there is no part 'drgu'; write one of: body, drug"),
    ("from: drug.concentration", "from: drug.level", 8, "part 'drug' (warfarin-pca) has no output 'level'"),
    ("from: drug.concentration", "from: concentration", 8, "from 'concentration' is none; write PART.OUTPUT"),
    ("to: body.activity0", "to: body.strength", 8, "part 'body' (warfarin-pca) has no parameter 'strength'"),
    ("emax: -30 %, ", "", 8, "couple: 'emax' is missing; add it"),
    ("emax: -30 %", "emax: -30 mg", 8, "couple: emax unit 'mg' does not measure"),
    ("emax: -30 %", "emax: -130 %", 8, "at least -100 %"),
    ("ec50: 1000 ug/L", "ec50: 1000", 8, "couple: ec50 '1000' has no unit; write it after the number, such as mg/L"),
    ("ec50: 1000 ug/L", "ec50: 3 h", 8, "couple: ec50 unit 'h' does not measure what 'mg/L' measures"),
    ("hill: 1", "hill: -1", 8, "hill is -1; write a number above 0"),
    (", source: us", "", 8, "couple: 'source' is missing"),
    (", evidence: assumed", "", 8, "couple: 'evidence' is missing; write evidence: assumed where nothing was measured"),
    ("evidence: assumed", "evidence: guessed", 8, "evidence 'guessed' is none of: fitted, published, assumed"),
    ("evidence: assumed", "evidence: assumed, delay: 1 h", 8, "couple: unknown key 'delay'"),
    ("gives: drug_dose, dose: 0", "gives: dose, dose: 0", 25, "gives 'dose', which twin 'warfarin-pca+warfarin-pca'"),
    ("outcomes: [body_activity", "outcomes: [activity", 27, "outcome 'activity' is unknown; write one of"),
]


@pytest.mark.parametrize(("old", "new", "line", "sentence"), WRONG)
def test_a_study_file_is_refused_with_its_line(old, new, line, sentence, tmp_path):
    assert old in STUDY
    with pytest.raises(ValueError) as caught:
        parsed(STUDY.replace(old, new, 1), tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/study.yaml:{line}: "), caught.value
    assert sentence in str(caught.value)


def test_a_coupling_that_stands_twice_is_refused_at_the_second(tmp_path):
    line = STUDY.splitlines()[7]
    with pytest.raises(ValueError, match=r":9: couple: 'drug.concentration on body.activity0' stands twice"):
        parsed(STUDY.replace(line, f"{line}\n{line}"), tmp_path)


def test_a_rule_for_one_action_is_not_for_another(tmp_path):
    text = STUDY.replace("body: warfarin-pca", "body: warfarin-inr").replace("activity0", "clearance")
    text = re.sub(r"  parameters:.*?(?=eligibility)", "", text, flags=re.S).replace("body_activity", "inr")
    text = text.replace("between: 70 to 130 percent", "between: 2.0 to 3.0")
    rule = "{policy: titrated-oral, reads: inr, gives: drug_dose, start: genotype, every: 24 h, target: 2.0 to 3.0}"
    old = "{policy: fixed-oral, gives: drug_dose, dose: 10 mg, every: 24 h}"
    with pytest.raises(ValueError, match="start 'genotype' is a rule for 'body_dose' and not for 'drug_dose'"):
        parsed(text.replace(old, rule), tmp_path)
    parsed(text.replace(old, rule.replace("gives: drug_dose", "gives: body_dose")), tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("couple")
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    run(read(folder / "study.yaml"), folder / "run")
    return folder / "run"


def test_a_study_of_a_composed_twin_runs_and_goes_on(finished):
    _, data = cohort(finished)
    assert (data["status"].values == Status.OK).all()
    some = data.sel(arm="some").isel(time=-1)
    untreated = data.sel(arm="none").body_activity.values
    np.testing.assert_allclose(untreated, untreated[:, :1] * np.ones_like(untreated), rtol=1e-6)
    # Turnover takes days to follow; at the end activity has fallen, to no less than its largest effect allows.
    ratio = some.body_activity.values / untreated[:, -1]
    assert (ratio < 0.99).all() and (ratio > 0.7).all()
    assert data["drug_on_body_activity0_ec50"].values.std() > 0.1
    before = {path.name: path.stat().st_mtime_ns for path in (finished / "markers").rglob("*")}
    run(read(finished / "study.yaml"), finished)
    assert {path.name: path.stat().st_mtime_ns for path in (finished / "markers").rglob("*")} == before


def test_the_report_lists_the_couplings_numbers_as_assumed(finished):
    from analysis.summary import summarise

    summarise(finished)
    results = results_of(finished)
    said = " ".join(credibility.not_validated(results))
    assert "That drug.concentration on body.activity0 acts as a sigmoid Emax model" in said
    assumed = next(line for line in credibility.not_validated(results) if line.startswith("Assumed"))
    for number in ("emax", "ec50", "hill"):
        assert f"drug_on_body_activity0_{number}" in assumed
    told = credibility.described(results.study.twin)
    assert "Racemic warfarin" in told and "drug.concentration on body.activity0" in told
    assert "drug_on_body_activity0_ec50" in report.write(finished).read_text(encoding="utf-8")
