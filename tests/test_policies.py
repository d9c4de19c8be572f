"""The contract of policies: their numbers are settings, which move a therapy without another program."""

import numpy as np
import pytest

from solvers import twins
from solvers.engine import Engine
from solvers.ode import ode_twin
from solvers.solve import Plan, free_solver, solver
from solvers.status import Status
from solvers.twin import Action, Output, Parameter
from trials import policies

TICK = 12.0
TWIN = twins.load("warfarin-inr")
DRIP = ode_twin(
    lambda t, y, p: {"x": -p.k * y.x},
    name="drip",
    title="Drip",
    source="a test",
    states=("x",),
    parameters=(Parameter("k", "1/h", 0.05, "a test", "assumed"),),
    actions=(Action("dose", "mg", infused=True),),
    outputs=(Output("x", "mg", "a test"),),
    initial=lambda p: {"x": 0.0},
    act=lambda y, action, p: {"x": y.x + action.dose},
    observe=lambda y, p, time: {"x": y.x},
)
TWINS = {"fixed-infusion": DRIP}  # others on TWIN
PLAN = Plan(TICK, 28, tuple(range(29)), (0, 6, 10, 14, 28), ("inr", "dose"), taken=0.9)
WRITTEN = {
    "fixed-infusion": {"dose": "5 mg", "every": "24 h", "over": "90 min"},
    "fixed-oral": {"dose": "5 mg", "every": "24 h", "from": "1 day", "doses": "6"},
    "titrated-oral": {
        "start": "genotype",
        "every": "24 h",
        "target": "2.0 to 3.0",
        "titrate after": "2 days",
        "rules": ["below 1.5: +30 %", "below 2.0: +15 %", "above 3.5: skip, -15 %", "above 4.5: skip, -30 %"],
    },
}


@pytest.fixture(params=policies.names())
def policy(request):
    """A policy as one may be written; one that is not listed is written with its defaults."""
    form = policies.load(request.param)
    options = {"policy": request.param, **form.defaults, **WRITTEN.get(request.param, {})}
    return policies.read(options, _twin(request.param), TICK)


def _twin(name):
    return TWINS.get(name, TWIN)


def _solved(policy):
    """The twin of a policy, a plan, and fine steps whatever a setting does."""
    twin = _twin(policy.name)
    states = len(twin.ode.states)
    engine = Engine("explicit", 1e-5, counts=(32,) * PLAN.ticks, halvings=(6,) * PLAN.ticks, floors=(1.0,) * states)
    return twin, PLAN._replace(outcomes=(twin.outputs[0].name, "dose")), engine


@pytest.fixture
def standard():
    """Titration around 2.0 to 3.0 by the default rules."""
    options = {"policy": "titrated-oral", "start": "5 mg", "every": "24 h", "target": "2.0 to 3.0"}
    return policies.read({**policies.load("titrated-oral").defaults, **options}, TWIN, TICK)


def lives(policy, *changes):
    """Lives of typical patients of the same number, one for each set of changed settings."""
    settings = [policy.changed(each) for each in changes]
    count = len(settings)
    twin, plan, engine = _solved(policy)
    values = {name: np.full(count, value) for name, value in twin.typical().items()}
    numbers = {name: np.array([each[name] for each in settings]) for name in policy.settings}
    return free_solver(twin, policy, plan, 7, engine)(np.full(count, 3), values, numbers)


def test_settings_lie_within_their_bounds_and_on_their_steps(policy):
    assert policy.settings
    for setting in policy.settings.values():
        low, high = setting.bounds
        assert low <= setting.value <= high and low < high
        assert setting.title and setting.unit
        if setting.step:
            for number in (setting.value, high):
                steps = (number - low) / setting.step
                assert steps == pytest.approx(round(steps))


def test_the_settings_as_written_give_the_lives_of_a_run(policy):
    count = 4
    twin, plan, engine = _solved(policy)
    values = {name: np.full(count, value) for name, value in twin.typical().items()}
    run = solver(twin, policy, plan, 7, engine, count)(np.arange(count), values)
    numbers = {name: np.full(count, value) for name, value in policy.numbers.items()}
    free = free_solver(twin, policy, plan, 7, engine)(np.arange(count), values, numbers)
    assert run.status.tolist() == free.status.tolist() == [Status.OK] * count
    for name, recorded in run.recorded.items():
        np.testing.assert_allclose(free.recorded[name], recorded, rtol=1e-10, atol=1e-12)  # rounding of two programs


def test_every_setting_can_go_to_its_bounds(policy):
    ends = [{name: end} for name, setting in policy.settings.items() for end in setting.bounds]
    moved = lives(policy, {}, *ends)
    assert (moved.status == Status.OK).all()
    first = moved.recorded["dose"]
    assert np.isfinite(first).all() and (first >= 0).all()
    seen = np.concatenate(list(moved.recorded.values()), 1)
    changed = (seen[1:] != seen[0]).any(1)
    # Rules far from the typical patient's INR need not act; most settings must.
    assert changed.mean() > 0.4, [each for each, moves in zip(ends, changed, strict=True) if not moves]


def test_a_target_that_moves_takes_the_default_rules_with_it(standard):
    given = lives(standard, {}, {"target low": 1.1}).recorded["dose"]
    # The first INRs lie below 2.0, which raises the dose, and above 1.1, which keeps it.
    assert given[1].sum() < given[0].sum()


def test_a_start_that_is_doubled_doubles_the_first_dose(policy):
    name = "start" if "start" in policy.settings else "dose"
    given = lives(policy, {}, {name: 2.0 * policy.settings[name].value}).recorded["dose"]
    taken = np.argmax(given[0] > 0)
    assert given[1, taken] == pytest.approx(2.0 * given[0, taken])


def test_a_setting_that_there_is_not_is_refused(standard):
    with pytest.raises(ValueError, match="has no setting 'dose'; write one of: start, every"):
        standard.changed({"dose": 5.0})


def test_a_setting_out_of_bounds_is_refused(standard):
    with pytest.raises(ValueError, match="setting 'start' is 500; write a number from 0 to 20 mg"):
        standard.changed({"start": 500.0})


def test_an_infusion_is_refused_where_it_cannot_be():
    options = {**policies.load("fixed-infusion").defaults, "policy": "fixed-infusion", **WRITTEN["fixed-infusion"]}
    with pytest.raises(ValueError, match="'warfarin-inr' has no action that can be infused; give doses by mouth"):
        policies.read(options, TWIN, TICK)
    for over, sentence in (("0 h", "is no length of time"), ("5 mg", "does not measure"), ("1", "has no unit")):
        with pytest.raises(ValueError, match=sentence):
            policies.read(options | {"over": over}, DRIP, TICK)
