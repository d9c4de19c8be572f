"""Pumps and their algorithms: what they give for what they see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solvers import twins
from solvers.policy import Seen
from trials import policies
from trials.dosing import OptionError
from trials.insulin import STEP, TICK
from trials.policies import hybrid_closed_loop

TWIN = twins.load("glucose")
PUMPS = ("basal-bolus", "hybrid-closed-loop", "low-glucose-suspend", "pid")
P = TWIN.namespace(TWIN.typical())


def pump(name, **options):
    written = {key.replace("_", " "): value for key, value in options.items()}
    return policies.read({"policy": name, **policies.load(name).defaults, **written}, TWIN, TICK)


def shown(policy, glucose, announced=None, p=P):
    """Insulin [U] and glucose to drink [g] of every tick, for what the sensor shows and what is told so far."""
    glucose = jnp.asarray(glucose, float)
    told = jnp.zeros(len(glucose)) if announced is None else jnp.asarray(announced, float)

    def tick(memory, now):
        number, sensor, so_far = now
        seen = Seen(False, {"sensor": sensor, "announced": so_far, "glucose": jnp.nan})
        amounts, memory = policy.decide(number * TICK, seen, memory, policy.numbers)
        return memory, (amounts["insulin"], amounts["glucose_drink"])

    begun = policy.begin(p, policy.numbers)
    insulin, drink = jax.lax.scan(tick, begun, (jnp.arange(len(glucose), dtype=float), glucose, told))[1]
    return np.asarray(insulin), np.asarray(drink)


@pytest.mark.parametrize("name", PUMPS)
def test_a_pump_gives_whole_steps_within_its_limit(name):
    glucose = np.concatenate([np.linspace(120, 400, 60), np.linspace(400, 45, 90), np.full(60, 45.0)])
    announced = np.where(np.arange(210) >= 10, 2000.0, 0.0)  # an absurd meal
    insulin, _ = shown(pump(name), glucose, announced)
    assert insulin.min() >= 0.0 and insulin.max() == pytest.approx(30.0)
    assert np.abs(insulin / STEP - np.round(insulin / STEP)).max() < 1e-9


def test_the_basal_rate_is_given_on_the_whole():
    insulin, _ = shown(pump("basal-bolus"), np.full(1440, 120.0))
    assert insulin.sum() == pytest.approx(5 * 24 * float(P.basal_rate), abs=STEP)


def test_a_bolus_covers_what_is_told_and_corrects_above_the_limit():
    base = shown(pump("basal-bolus"), np.full(24, 120.0))[0].sum()
    told = np.where(np.arange(24) >= 6, 60.0, 0.0)
    meal = shown(pump("basal-bolus"), np.full(24, 120.0), told)[0].sum()
    assert meal - base == pytest.approx(60.0 / float(P.carbohydrate_ratio), abs=2 * STEP)
    high = shown(pump("basal-bolus"), np.full(24, 200.0), told)[0].sum()
    assert high - meal == pytest.approx((200.0 - 120.0) * float(P.total_daily_insulin) / 1800.0, abs=2 * STEP)
    own = shown(pump("basal-bolus", correction="clinic"), np.full(24, 200.0), told)[0].sum()
    assert own - meal == pytest.approx((200.0 - 120.0) / float(P.correction_factor), abs=2 * STEP)


def test_insulin_on_board_is_taken_from_a_correction():
    told = np.where(np.arange(24) >= 6, 60.0, 0.0) + np.where(np.arange(24) >= 9, 1.0, 0.0)
    insulin, _ = shown(pump("basal-bolus"), np.full(24, 200.0), told)
    assert insulin[6] > 5.0 and insulin[9] < 0.5  # 15 min later: only the gram


@pytest.mark.parametrize("name", PUMPS)
def test_a_low_is_treated_once_in_a_while(name):
    _, drink = shown(pump(name), np.full(24, 60.0))
    assert drink[0] == 16.0
    assert np.flatnonzero(drink).tolist() == [0, 4, 8, 12, 16, 20]  # every 20 min
    assert shown(pump(name), np.full(24, 90.0))[1].sum() == 0.0


def test_suspend_stops_before_a_low_and_goes_on_when_glucose_rises():
    falling = np.concatenate([np.full(6, 120.0), 120.0 - 3.0 * np.arange(1, 16), 75.0 + 4.0 * np.arange(1, 12)])
    insulin, _ = shown(pump("low-glucose-suspend"), falling)
    with_basal, _ = shown(pump("basal-bolus"), falling)
    # 3 mg/dL in 5 min: 18 in half an hour, so that it stops where the line falls below 98.
    stopped = insulin == 0.0
    assert not stopped[:6].all() and stopped[16:20].all()
    assert insulin[-3:].sum() > 0.0
    assert insulin.sum() < with_basal.sum()


def test_suspend_lasts_two_hours_at_most():
    insulin, _ = shown(pump("low-glucose-suspend"), np.full(60, 65.0))
    assert (insulin[:24] == 0.0).all()
    assert insulin[24:32].sum() > 0.0


def test_pid_gives_the_basal_rate_at_its_target_and_more_above():
    at_rest, _ = shown(pump("pid"), np.full(288, 120.0))
    assert at_rest.sum() == pytest.approx(24 * float(P.basal_rate), abs=STEP)
    high, _ = shown(pump("pid"), np.full(36, 180.0))
    low, _ = shown(pump("pid"), np.full(36, 90.0))
    assert high.sum() > 1.3 * 3 * float(P.basal_rate) > 3 * float(P.basal_rate) > low.sum()


def test_insulin_feedback_holds_back_after_a_bolus():
    told = np.where(np.arange(48) >= 6, 60.0, 0.0)
    glucose = np.full(48, 140.0)
    fed, _ = shown(pump("pid"), glucose, told)
    free, _ = shown(pump("pid", feedback="0"), glucose, told)
    assert fed[8:30].sum() < free[8:30].sum()


def test_the_loop_keeps_to_basal_inside_its_zone_and_leaves_it_outside():
    inside, _ = shown(pump("hybrid-closed-loop"), np.full(144, 110.0))
    assert inside.sum() == pytest.approx(12 * float(P.basal_rate), rel=0.1)
    high, _ = shown(pump("hybrid-closed-loop"), np.full(36, 220.0))
    falling, _ = shown(pump("hybrid-closed-loop"), 140.0 - 1.8 * np.arange(36))
    assert high.sum() > 1.3 * 3 * float(P.basal_rate) > 3 * float(P.basal_rate) > falling.sum()


@pytest.mark.parametrize("daily", [20.0, 50.0, 110.0])
def test_the_loop_finds_the_best_moves(daily):
    """Against projected gradient steps taken until nothing changes."""
    basal = daily / 2.0 / 288.0
    clinic = hybrid_closed_loop.Clinic(basal, 10.0, 36.0, daily, 80.0)
    gain = hybrid_closed_loop.gain_of(clinic)
    for level, most in ((60.0, 0.8), (85.0, 0.8), (180.0, 0.8), (260.0, 0.3), (320.0, 2.0)):
        free = level + 3.0 * np.arange(hybrid_closed_loop.AHEAD)
        effect = gain * hybrid_closed_loop.FROM_INSULIN
        u = np.zeros(hybrid_closed_loop.FREE)
        pace = 0.5 / (gain**2 * hybrid_closed_loop.LARGEST + hybrid_closed_loop.ABOVE)
        for _ in range(20_000):
            y = free + effect @ u
            off = np.maximum(y - 140.0, 0.0) - np.maximum(80.0 - y, 0.0)
            cost = np.where(u > 0, hybrid_closed_loop.ABOVE, hybrid_closed_loop.BELOW)
            u = np.clip(u - pace * 2.0 * (off @ effect + cost * u), -basal, most)
        found = hybrid_closed_loop.best(jnp.asarray(free), gain, jnp.asarray(basal), jnp.asarray(most), 80.0, 140.0)
        assert float(found) == pytest.approx(u[0], abs=0.01)  # a fifth of what the pump can step


def test_the_model_that_predicts_is_the_one_that_is_stepped():
    clinic = hybrid_closed_loop.Clinic(*(jnp.asarray(x, float) for x in (0.1, 10.0, 36.0, 50.0, 80.0)))
    memory = hybrid_closed_loop.Memory(*(jnp.asarray(x, float) for x in (1.0, 2.0, 0.5, 1.5, 30.0, 0.4)))
    gain = hybrid_closed_loop.gain_of(clinic)
    parts = hybrid_closed_loop.FROM_STATE[:, :4] * gain
    predicted = parts @ np.array([1.0, 2.0, 0.5, 1.5]) + 30.0 * hybrid_closed_loop.FROM_STATE[:, 4]
    predicted = predicted + 0.4 * hybrid_closed_loop.FROM_DRIFT + 0.3 * gain * hybrid_closed_loop.FROM_INSULIN[:, 0]
    for tick in range(hybrid_closed_loop.AHEAD):
        memory = hybrid_closed_loop.gave(clinic.basal + (0.3 if tick == 0 else 0.0), clinic, memory)
        assert float(memory.glucose) == pytest.approx(float(predicted[tick]), rel=1e-9)


@pytest.mark.parametrize("name", PUMPS)
def test_a_pump_needs_its_twin_and_its_tick(name):
    options = {"policy": name, **policies.load(name).defaults}
    with pytest.raises(OptionError, match="needs 'sensor', which twin 'warfarin-inr' lacks"):
        policies.read(options, twins.load("warfarin-inr"), TICK)
    with pytest.raises(OptionError, match="a tick is 15 min; write tick: 5 min"):
        policies.read(options, TWIN, 0.25)


def test_a_number_beyond_sense_is_refused():
    with pytest.raises(OptionError, match="treat below '300 mg/dL' makes no sense; write 0 to 100 mg/dL"):
        pump("pid", treat_below="300 mg/dL")
    with pytest.raises(OptionError, match="write 1800 rule or clinic"):
        pump("pid", correction="guess")
