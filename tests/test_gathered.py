"""What is gathered at every tick for endpoints, against numpy by hand on given traces."""

import numpy as np
import pytest

from analysis.endpoints import observed
from solvers import twins
from solvers.engine import Engine
from solvers.policy import Policy
from solvers.solve import Plan, solver
from trials.endpoints import Endpoint, endpoint, fold

NAN = float("nan")
TICK = 1.0 / 12.0
TWIN = twins.load("glucose")


OUTCOMES = ("glucose", "sensor")


def opening(kind, **entry):
    """An endpoint whose first key is `kind`, of the sensor."""
    return endpoint("asked", {kind: "sensor", "until": "4 h", **entry}, {}, TWIN, OUTCOMES)


def gathered(each, trace):
    """What the fold of an endpoint makes of a trace with a value a tick."""
    of = fold(each)
    total = of.initial if isinstance(of.initial, tuple) else np.asarray(of.initial)
    total = tuple(np.asarray(part) for part in total) if isinstance(total, tuple) else total
    for number in range(len(trace) - 1):
        ends = ({"sensor": np.asarray(float(value))} for value in trace[number : number + 2])
        total = of.step(total, *ends, number * TICK, TICK)
    return float(of.result(total))


@pytest.fixture
def trace():
    """Six hours of which four count."""
    rng = np.random.default_rng(3)
    return 120.0 + np.cumsum(rng.normal(0.0, 9.0, 73))


def counted(trace):
    return trace[:49]


def trapezoids(values):
    return float(np.sum((values[:-1] + values[1:]) / 2.0))


def test_a_mean_and_an_area_are_of_trapezoids_between_ticks(trace):
    values = counted(trace)
    assert gathered(opening("worn mean"), trace) == pytest.approx(trapezoids(values) / 48, rel=1e-12)
    assert gathered(opening("worn area"), trace) == pytest.approx(trapezoids(values) / 12, rel=1e-12)
    assert opening("worn area").unit == "mg/dL*h"
    assert opening("worn mean").unit == "mg/dL"


def test_highest_and_lowest_are_of_ticks(trace):
    assert gathered(opening("worn highest"), trace) == counted(trace).max()
    assert gathered(opening("worn lowest"), trace) == counted(trace).min()


def test_variation_is_the_sd_in_time_over_the_mean(trace):
    values = counted(trace)
    mean = trapezoids(values) / 48
    sd = (trapezoids(values**2) / 48 - mean**2) ** 0.5
    assert gathered(opening("worn variation"), trace) == pytest.approx(sd / mean, rel=1e-9)
    assert gathered(opening("worn variation"), np.full(73, 100.0)) == pytest.approx(0.0, abs=1e-6)


def test_gmi_and_risks_are_those_of_their_papers(trace):
    values = counted(trace)
    gmi = 3.31 + 0.02392 * trapezoids(values) / 48  # Bergenstal 2018
    assert gathered(opening("worn mean", **{"as": "gmi"}), trace) == pytest.approx(gmi, rel=1e-12)
    f = 1.509 * (np.log(values) ** 1.084 - 5.381)  # Kovatchev 2006
    low, high = 10.0 * np.minimum(f, 0.0) ** 2, 10.0 * np.maximum(f, 0.0) ** 2
    assert gathered(opening("worn mean", **{"as": "lbgi"}), trace) == pytest.approx(trapezoids(low) / 48, rel=1e-12)
    assert gathered(opening("worn mean", **{"as": "hbgi"}), trace) == pytest.approx(trapezoids(high) / 48, rel=1e-12)
    # No risk at 112.5 mg/dL.
    assert 10.0 * (1.509 * (np.log(112.5) ** 1.084 - 5.381)) ** 2 == pytest.approx(0.0, abs=1e-3)


def test_a_share_is_of_the_time_and_not_of_the_readings():
    # 60 to 80 in a tick is half a tick at or above 70.
    trace = np.array([60.0, 80.0] + [100.0] * 47)
    share = gathered(opening("worn time in range", between="70 to 180 mg/dL"), trace)
    assert share == pytest.approx(47.5 / 48)


@pytest.mark.parametrize(
    ("low", "episodes"),
    [
        ([], 0),
        ([3, 4, 5], 0),  # ten minutes
        ([3, 4, 5, 6], 1),  # fifteen
        ([3, 4, 5, 6, 7, 8, 20, 21, 22, 23, 24], 2),
        ([3, 4, 5, 6, 9, 10, 11, 12], 1),  # five minutes between them at or above: the same
        ([3, 4, 5, 6, 11, 12, 13, 14], 2),  # fifteen minutes
        ([3, 4, 6, 7, 9, 10], 0),  # never long enough
        (range(40, 73), 1),
        (range(46, 73), 0),  # ten minutes of what counts
    ],
)
def test_an_episode_lasts_and_a_new_one_comes_after_as_long_at_or_above(low, episodes):
    trace = np.full(73, 54.0)  # at the limit is not below
    trace[list(low)] = 53.0
    assert gathered(opening("worn episodes", below="54 mg/dL", lasting="15 min"), trace) == episodes


def test_the_solve_loop_gathers_the_same():
    twin = twins.load("warfarin-inr")
    kinds = ("mean", "area", "highest", "lowest")
    asked = [endpoint(kind, {kind: "inr", "until": "5 days"}, {}, twin, ("inr",)) for kind in kinds]
    plan = Plan(12.0, 14, tuple(range(15)), (0, 10, 14), ("inr",), tuple(fold(each) for each in asked))
    policy = Policy("still", lambda p, s: (), lambda time, seen, memory, s: ({"dose": 5.0}, memory))
    engine = Engine("explicit", 1e-5, counts=(16,) * 14, halvings=(4,) * 14, floors=(1.0,) * 10)
    values = {name: np.full(3, value) for name, value in twin.typical().items()}
    lives = solver(twin, policy, plan, 1, engine, 4)(np.arange(3), values)
    inr = lives.recorded["inr"][:, :11]
    found = {each.kind: lives.folds[each.fold] for each in asked}
    area = 12.0 * ((inr[:, :-1] + inr[:, 1:]) / 2.0).sum(1)
    np.testing.assert_allclose(found["area"], area, rtol=1e-12)
    np.testing.assert_allclose(found["mean"], area / 120.0, rtol=1e-12)
    assert np.array_equal(found["highest"], inr.max(1)) and np.array_equal(found["lowest"], inr.min(1))
    assert asked[1].unit == "h"


DAYS = np.array([0.0, 1.0, 3.0, 7.0])


def seen_as(kind, *values):
    each = Endpoint("asked", kind, "glucose", (NAN, NAN), NAN, 168.0, of="mg/dL")
    return float(observed(each, {"glucose": np.array(values)}, DAYS, {}).values)


def test_visits_tell_a_mean_of_the_time_that_was_observed():
    # 1 day at 110, 2 at 115, 4 at 105 on average
    assert seen_as("mean", 100.0, 120.0, 110.0, 100.0) == pytest.approx((110 + 2 * 115 + 4 * 105) / 7)
    assert seen_as("mean", 100.0, 120.0, 110.0, NAN) == pytest.approx((110 + 2 * 115) / 3)
    assert np.isnan(seen_as("mean", 100.0, NAN, NAN, NAN))


def test_visits_tell_area_and_extremes_of_those_observed_to_the_end():
    assert seen_as("area", 100.0, 120.0, 110.0, 100.0) == pytest.approx(24.0 * (110 + 2 * 115 + 4 * 105))
    assert seen_as("highest", 100.0, 120.0, NAN, 100.0) == 120.0
    assert seen_as("lowest", 100.0, 120.0, 90.0, 100.0) == 90.0
    for kind in ("area", "highest", "lowest"):
        assert np.isnan(seen_as(kind, 100.0, 120.0, 110.0, NAN))


def test_what_no_device_shows_is_not_worn():
    with pytest.raises(ValueError, match="no device shows 'glucose'; write one of: sensor, announced"):
        endpoint("asked", {"worn mean": "glucose", "until": "1 day"}, {}, TWIN, OUTCOMES)
    with pytest.raises(ValueError, match="as 'gmi' is of glucose in mg/dL"):
        endpoint("asked", {"mean": "announced", "as": "gmi", "until": "1 day"}, {}, TWIN, ("announced",))
    with pytest.raises(ValueError, match="lacks 'below'; add it"):
        opening("worn episodes", lasting="15 min")
