"""The contract of policies: their numbers are settings, which move a therapy without another program."""

from typing import NamedTuple

import numpy as np
import pytest

from solvers import twins
from solvers.code import code
from solvers.engine import Engine
from solvers.ode import ode_twin
from solvers.pairs import TSITOURAS
from solvers.solve import Plan, free_solver, solver
from solvers.status import Status
from solvers.twin import Action, Output, Parameter, Twin
from trials import policies

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


class Setup(NamedTuple):
    """Where a policy is tried. given: what it gives. counts, halvings: of steps, fine whatever a setting does."""

    twin: Twin
    plan: Plan
    given: str
    counts: int
    halvings: int

    @property
    def engine(self):
        ticks, floors = self.plan.ticks, (1.0,) * len(self.twin.ode.states)
        by = "c" if code(self.twin, TSITOURAS) else "jax"
        mesh = {"counts": (self.counts,) * ticks, "halvings": (self.halvings,) * ticks, "floors": floors}
        return Engine("explicit", 1e-5, code=by, **mesh)


ORAL = Setup(
    twins.load("warfarin-inr"),
    Plan(12.0, 28, tuple(range(29)), (0, 6, 10, 14, 28), ("inr", "dose"), taken=0.9),
    "dose",
    32,
    6,
)
# From midnight to an hour after the first meal.
PUMPED = Setup(
    twins.load("glucose"), Plan(1 / 12, 96, tuple(range(97)), (0, 96), ("glucose", "insulin")), "insulin", 4, 0
)
INFUSED = Setup(DRIP, ORAL.plan._replace(outcomes=("x", "dose")), "dose", 32, 6)
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
def tried(request):
    """A policy as one may be written, and where it is tried; one that is not listed is written with its defaults."""
    form = policies.load(request.param)
    options = {"policy": request.param, **form.defaults, **WRITTEN.get(request.param, {})}
    setup = PUMPED if "correct above" in form.keys else INFUSED if "over" in form.keys else ORAL
    return policies.read(options, setup.twin, setup.plan.tick), setup


@pytest.fixture
def policy(tried):
    return tried[0]


@pytest.fixture
def standard():
    """Titration around 2.0 to 3.0 by the default rules."""
    return oral("titrated-oral", start="5 mg", every="24 h", target="2.0 to 3.0")


def oral(name, **options):
    return policies.read({"policy": name, **policies.load(name).defaults, **options}, ORAL.twin, ORAL.plan.tick)


def lives(policy, setup, *changes):
    """Lives of typical patients of the same number, one for each set of changed settings."""
    settings = [policy.changed(each) for each in changes]
    count = len(settings)
    # Who tells his pump of every meal: what is set for boluses matters.
    told = {"missed_bolus": 0.0} if setup is PUMPED else {}
    values = {name: np.full(count, value) for name, value in (setup.twin.typical() | told).items()}
    numbers = {name: np.array([each[name] for each in settings]) for name in policy.settings}
    return free_solver(setup.twin, policy, setup.plan, 7, setup.engine)(np.full(count, 3), values, numbers)


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


def test_the_settings_as_written_give_the_lives_of_a_run(tried):
    policy, setup = tried
    count = 4
    values = {name: np.full(count, value) for name, value in setup.twin.typical().items()}
    run = solver(setup.twin, policy, setup.plan, 7, setup.engine, count)(np.arange(count), values)
    numbers = {name: np.full(count, value) for name, value in policy.numbers.items()}
    free = free_solver(setup.twin, policy, setup.plan, 7, setup.engine)(np.arange(count), values, numbers)
    assert run.status.tolist() == free.status.tolist() == [Status.OK] * count
    for name, recorded in run.recorded.items():
        np.testing.assert_allclose(free.recorded[name], recorded, rtol=1e-10, atol=1e-12)  # rounding of two programs


def test_every_setting_can_go_to_its_bounds(tried):
    policy, setup = tried
    ends = [{name: end} for name, setting in policy.settings.items() for end in setting.bounds]
    moved = lives(policy, setup, {}, *ends)
    assert (moved.status == Status.OK).all()
    first = moved.recorded[setup.given]
    assert np.isfinite(first).all() and (first >= 0).all()
    seen = np.concatenate(list(moved.recorded.values()), 1)
    changed = (seen[1:] != seen[0]).any(1)
    # Rules far from the typical patient's INR need not act; most settings must.
    assert changed.mean() > 0.4, [each for each, moves in zip(ends, changed, strict=True) if not moves]


def test_a_target_that_moves_takes_the_default_rules_with_it(standard):
    given = lives(standard, ORAL, {}, {"target low": 1.1}).recorded["dose"]
    # The first INRs lie below 2.0, which raises the dose, and above 1.1, which keeps it.
    assert given[1].sum() < given[0].sum()


@pytest.mark.parametrize("name", ["fixed-oral", "titrated-oral"])
def test_a_start_that_is_doubled_doubles_the_first_dose(name):
    policy = oral(name, **WRITTEN[name])
    name = "start" if "start" in policy.settings else "dose"
    given = lives(policy, ORAL, {}, {name: 2.0 * policy.settings[name].value}).recorded["dose"]
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
        policies.read(options, ORAL.twin, ORAL.plan.tick)
    for over, sentence in (("0 h", "is no length of time"), ("5 mg", "does not measure"), ("1", "has no unit")):
        with pytest.raises(ValueError, match=sentence):
            policies.read(options | {"over": over}, DRIP, ORAL.plan.tick)
