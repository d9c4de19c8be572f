"""Power by size and by effect: against formulas, and against the trials themselves."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis import power, truth
from analysis.operating import share
from analysis.replicates import replicates
from analysis.statistics.estimate import Estimate, interval
from trials import run, schema, store


@pytest.fixture(scope="module")
def opened(small_run: Path):
    plan, cohort = run.cohort(small_run)
    return plan, cohort, truth.pool(cohort)


def estimates(mean: float, se: float, n: int, sided: int) -> Estimate:
    """Normal estimates with a known standard error, tested at 5 %."""
    value = np.random.default_rng(1).normal(mean, se, n)
    return interval(value, se, stats.norm(), value / se, 0.05, sided, 100)


@pytest.mark.parametrize("sided", [1, 2])
def test_power_by_effect_is_that_of_the_normal_test(sided):
    effects, found = power.by_effect(estimates(1.0, 0.4, 20_000, sided), 1.0, sided)
    critical = stats.norm.isf(0.05 / sided)
    # P(|Z + effect / se| > critical), the textbook's formula
    expected = stats.norm.sf(critical - effects / 0.4)
    if sided == 2:
        expected = expected + stats.norm.cdf(-critical - effects / 0.4)
    assert np.allclose([each.value for each in found], expected, atol=4 * 0.5 / 20_000**0.5)
    assert min(effects) < -1.0 and max(effects) > 1.0


def test_power_at_the_true_effect_is_the_share_of_trials_that_reject():
    of = estimates(0.9, 0.4, 500, 2)
    effects, found = power.by_effect(of, 1.0, 2)
    at_truth = np.interp(1.0, effects, [each.value for each in found])
    assert at_truth == pytest.approx(share(of.p < 0.05).value, abs=0.03)  # between two points of the grid


def test_trials_that_tell_nothing_have_no_power_curve():
    of = estimates(0.0, 0.4, 10, 2)
    none = of._replace(value=np.full(10, np.nan))
    _, found = power.by_effect(none, 0.0, 2)
    assert all(np.isnan(each.value) for each in found)


def test_sizes_are_whole_blocks_around_the_studys_own_and_no_more_than_half_the_pool(opened):
    plan, _, _ = opened
    own = plan.trial.subjects
    for pool in (150, 400, 10_000):
        numbers = power.sizes(plan, pool)
        assert own in numbers and numbers == sorted(set(numbers))
        assert all(n % plan.trial.block == 0 and n <= pool // 2 for n in numbers if n != own)
    assert min(power.sizes(plan, 10_000)) == 24  # a quarter of 100, in blocks of 4
    assert max(power.sizes(plan, 10_000)) == 2 * own


def test_a_smaller_trial_has_the_power_of_one_conducted_at_its_size(opened):
    plan, cohort, inside = opened
    cut = power.by_size(plan, cohort, inside, [60, 140], 60)
    small = dataclasses.replace(plan, trial=plan.trial.model_copy(update={"subjects": 60}))
    alone = replicates(small, cohort, inside).estimates
    for endpoint in plan.endpoints:
        there = share(alone[endpoint.name].p < plan.analysis.alpha)
        here = cut[endpoint.name][0]
        # other draws of the same trials: within four standard errors, of at least one trial
        assert abs(here.value - there.value) <= 4 * np.hypot(max(here.mcse, 1 / 60), max(there.mcse, 1 / 60))


def test_it_is_kept_beside_the_trials(small_run):
    kept = store.open_group(small_run, schema.POWER)
    assert dict(kept.sizes)["endpoint"] == 4
    assert np.isfinite(kept["by_size"].values).all() and np.isfinite(kept["by_effect"].values).all()
    assert ((kept["by_size"] >= 0) & (kept["by_size"] <= 1)).all()
