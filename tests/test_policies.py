"""The contract of policies: their numbers are settings, which move a therapy without another program."""

from typing import NamedTuple

import jax.numpy as jnp
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

# What is done lasts for a tick; a drug slows the heart and lowers its pressure, and pacing has a best delay.
CARE = ode_twin(
    lambda t, y, p: dict.fromkeys(y._fields, 0.0),
    name="care",
    title="Care",
    source="a test",
    states=("drug", "mode", "av", "vv"),
    parameters=(Parameter("best", "ms", 140.0, "a test", "assumed"),),
    actions=(
        Action("beta_blocker", "1", bounds=(0.0, 2.0)),
        Action("pacing_mode", "1", bounds=(0.0, 6.0), lasting=True, step=1.0),
        Action("av_delay", "ms", bounds=(0.0, 400.0), lasting=True),
        Action("vv_delay", "ms", bounds=(-100.0, 100.0), lasting=True),
    ),
    outputs=(
        Output("heart_rate", "1/min", "a test"),
        Output("systolic_pressure", "mmHg", "a test"),
        Output("dp_dt_max", "mmHg/s", "a test", proportional_error=0.02),
    ),
    initial=lambda p: {"drug": 0.0, "mode": 0.0, "av": 0.0, "vv": 0.0},
    act=lambda y, action, p: {
        "drug": action.beta_blocker,
        "mode": action.pacing_mode,
        "av": action.av_delay,
        "vv": action.vv_delay,
    },
    observe=lambda y, p, time: {
        "heart_rate": 85.0 - 25.0 * y.drug,
        "systolic_pressure": 125.0 - 20.0 * y.drug,
        "dp_dt_max": 700.0
        + 200.0 * (y.mode > 0.5) * jnp.exp(-(((y.av - p.best) / 30.0) ** 2) - ((y.vv + 20.0) / 20.0) ** 2),
    },
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
CARED = Setup(
    CARE,
    Plan(24.0, 40, tuple(range(41)), tuple(range(41)), ("dp_dt_max", "beta_blocker", "pacing_mode")),
    "dp_dt_max",
    4,
    0,
)
INFUSED = Setup(DRIP, ORAL.plan._replace(outcomes=("x", "dose")), "dose", 32, 6)
WRITTEN = {
    "beta-blocker-titration": {"start": "0.25", "rest": "2 days", "with": ["pacing_mode 2 from 3 days to 30 days"]},
    "constant-levels": {
        "levels": [
            "beta_blocker 0.5",
            "beta_blocker 1 from 7 days",
            "pacing_mode 2 from 3 days to 5 days",
            "av_delay 120 ms",
        ]
    },
    "pacing-optimised": {"with": ["pacing_mode 2", "beta_blocker 0.5 from 1 day"]},
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
    setup = CARED if {"levels", "with"} & set(form.keys) else setup
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
    with pytest.raises(ValueError, match=r"'warfarin-inr' has no action that can be infused; give doses by mouth"):
        policies.read(options, ORAL.twin, ORAL.plan.tick)
    for over, sentence in (("0 h", "is no length of time"), ("5 mg", "does not measure"), ("1", "has no unit")):
        with pytest.raises(ValueError, match=sentence):
            policies.read(options | {"over": over}, DRIP, ORAL.plan.tick)


def cared(name, **options):
    options = {"policy": name, **policies.load(name).defaults, **options}
    return policies.read(options, CARE, CARED.plan.tick)


def care(policy, outcomes, taken=1.0, count=1):
    """What is recorded at the end of each tick, by outcome; an action is the amount given in it."""
    plan = CARED.plan._replace(outcomes=outcomes, taken=taken)
    values = {name: np.full(count, value) for name, value in CARE.typical().items()}
    setup = CARED._replace(plan=plan)
    run = solver(CARE, policy, plan, 7, setup.engine, count)(np.arange(count), values)
    assert (run.status == Status.OK).all()
    return {name: recorded[:, 1:] for name, recorded in run.recorded.items()}


def test_levels_come_and_go_at_their_times_and_the_last_that_applies_counts():
    policy = cared("constant-levels", levels=WRITTEN["constant-levels"]["levels"])
    given = care(policy, ("beta_blocker", "pacing_mode", "av_delay"))
    assert given["beta_blocker"][0].tolist() == [0.5] * 7 + [1.0] * 33
    assert given["pacing_mode"][0].tolist() == [0.0] * 3 + [2.0] * 2 + [0.0] * 35
    assert given["av_delay"][0].tolist() == [120.0] * 40


def test_drugs_are_missed_and_settings_of_a_device_are_not():
    policy = cared("constant-levels", levels=["beta_blocker 0.5", "pacing_mode 2"])
    given = care(policy, ("beta_blocker", "pacing_mode"), taken=0.7, count=64)
    assert (given["pacing_mode"] == 2.0).all()
    # 64 x 40 ticks: the share's standard error is 0.009.
    assert (given["beta_blocker"] > 0.0).mean() == pytest.approx(0.7, abs=0.04)


def test_titration_doubles_to_the_target_while_the_limits_allow():
    given = care(cared("beta-blocker-titration", rest="7 days"), ("beta_blocker",))["beta_blocker"][0]
    # Heart rate 85 - 25 d and pressure 125 - 20 d stay at 60 and 105 or more up to d = 1.
    assert given.tolist() == [0.125] * 7 + [0.25] * 7 + [0.5] * 7 + [1.0] * 19


def test_titration_holds_between_its_limits():
    policy = cared("beta-blocker-titration", rest="7 days", **{"raise from heart rate": "75 beats/min"})
    given = care(policy, ("beta_blocker",))["beta_blocker"][0]
    # At 0.5 heart rate is 72.5: below 75, above 50.
    assert given.tolist() == [0.125] * 7 + [0.25] * 7 + [0.5] * 26


def test_titration_steps_back_from_what_is_not_borne_and_tries_it_no_more():
    policy = cared("beta-blocker-titration", rest="7 days", target="2")
    given = care(policy, ("beta_blocker",))["beta_blocker"][0]
    # At 2 heart rate is 35.
    assert given.tolist() == [0.125] * 7 + [0.25] * 7 + [0.5] * 7 + [1.0] * 7 + [2.0] * 7 + [1.0] * 5


def test_optimised_pacing_tries_every_delay_and_keeps_the_best():
    policy = cared("pacing-optimised", **{"with": "pacing_mode 2", "readings": "3", "from": "2 days"})
    given = care(policy, ("av_delay", "vv_delay", "pacing_mode"))
    assert given["pacing_mode"][0].tolist() == [0.0] * 2 + [2.0] * 38
    tried = [delay for delay in (100.0, 120.0, 140.0, 160.0, 180.0) for _ in range(3)]
    assert given["av_delay"][0].tolist() == [0.0] * 2 + tried + [140.0] * 23
    assert given["vv_delay"][0].tolist() == [0.0] * 17 + [-40.0] * 3 + [-20.0] * 3 + [0.0] * 3 + [-20.0] * 14


def test_optimised_pacing_can_look_for_the_lowest_and_at_one_delay_alone():
    options = {"with": "pacing_mode 2", "best": "lowest", "vv settings": "0", "readings": "4"}
    given = care(cared("pacing-optimised", **options), ("av_delay", "vv_delay"))
    assert given["av_delay"][0, -1] in (100.0, 180.0)
    assert (given["vv_delay"] == 0.0).all()


def test_fewer_readings_find_the_best_less_often():
    found = []
    for readings in ("1", "8"):
        options = {"with": "pacing_mode 2", "av delays": "130 to 150 ms", "av settings": "3", "vv settings": "0"}
        given = care(cared("pacing-optimised", readings=readings, **options), ("av_delay",), count=256)
        found.append((given["av_delay"][:, -1] == 140.0).mean())
    # 4 mmHg/s between neighbours, an error of 15 in a reading: chance is a third.
    assert 1 / 3 < found[0] < found[1] < 0.9


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("constant-levels", {"levels": ["aspirin 1"]}, "has no action 'aspirin'; write one of: beta_blocker, pacing_m"),
        ("constant-levels", {"levels": ["beta_blocker"]}, "is no level; write an action and a number"),
        ("constant-levels", {"levels": ["beta_blocker 3"]}, "'3' is not possible; write an amount from 0 to 2$"),
        ("constant-levels", {"levels": ["pacing_mode 1.5"]}, "'1.5' lies between steps; write 0, 1, ..."),
        ("constant-levels", {"levels": ["av_delay 120"]}, "'120' has no unit"),
        ("constant-levels", {"levels": ["av_delay 120 ms from 5 h"]}, "falls between ticks"),
        ("constant-levels", {"levels": ["beta_blocker 1 from 5 days to 2 days"]}, "ends before it starts"),
        ("beta-blocker-titration", {"with": ["beta_blocker 1"]}, "the policy sets 'beta_blocker' itself"),
        ("beta-blocker-titration", {"start": "1.5"}, "start 1.5 is not between 0 and the target 1"),
        ("beta-blocker-titration", {"lower below pressure": "120 mmHg"}, "120 is above 100, from which the dose"),
        ("beta-blocker-titration", {"lower below pressure": "120 mL"}, "does not measure"),
        ("pacing-optimised", {"with": "none"}, "sets no pacing_mode"),
        (
            "pacing-optimised",
            {"with": "pacing_mode 2", "reads": "mood"},
            "twin 'care' has no output 'mood'; write one of",
        ),
        ("pacing-optimised", {"with": "pacing_mode 2", "best": "fair"}, "best 'fair' is unknown; write highest or low"),
        ("pacing-optimised", {"with": "pacing_mode 2", "readings": "0"}, "write a whole number from 1 to 50"),
        ("pacing-optimised", {"with": "pacing_mode 2", "av delays": "100 to 500 ms"}, "write delays from 0 to 400 ms"),
    ],
)
def test_what_cannot_be_is_refused(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        cared(name, **options)


def test_a_twin_that_has_not_what_a_policy_sets_or_reads_is_refused():
    for name, options in (("beta-blocker-titration", {}), ("pacing-optimised", {"with": "none"})):
        with pytest.raises(ValueError, match=r"'warfarin-inr' has no action '(beta_blocker|av_delay)'"):
            oral(name, **options)
