"""Estimators against SciPy and published data; operating characteristics against known laws."""

import numpy as np
import pytest
from scipy import stats

from analysis import operating
from analysis.statistics import two_means
from analysis.statistics.estimate import Estimate, interval
from analysis.uncertainty import ignorance


def samples(replicates=40, subjects=60, missing=0.05):
    rng = np.random.default_rng(11)
    arms = (rng.random((replicates, subjects)) < 0.4).astype(int)
    values = rng.normal(1.0 + 0.3 * arms, 1.0 + 0.5 * arms)
    values[rng.random(values.shape) < missing] = np.nan
    return values, arms


@pytest.mark.parametrize("pooled", [False, True])
def test_t_test_is_that_of_scipy_in_every_replicate(pooled):
    values, arms = samples()
    estimate = two_means.t_test(values, arms, (1, 0), 0.05, 2, pooled)
    for r in range(len(values)):
        a, b = (values[r][(arms[r] == arm) & ~np.isnan(values[r])] for arm in (1, 0))
        expected = stats.ttest_ind(a, b, equal_var=pooled)
        interval = expected.confidence_interval(0.95)
        assert estimate.value[r] == pytest.approx(a.mean() - b.mean(), rel=1e-12)
        assert estimate.p[r] == pytest.approx(expected.pvalue, rel=1e-10)
        assert (estimate.lower[r], estimate.upper[r]) == pytest.approx((interval.low, interval.high), rel=1e-10)
        assert estimate.subjects[r] == len(a) + len(b)


def test_a_one_sided_test_looks_above_zero():
    values, arms = samples()
    two, one = (two_means.t_test(values, arms, (1, 0), 0.05, sided) for sided in (2, 1))
    above = one.value > 0
    np.testing.assert_allclose(one.p[above], two.p[above] / 2, rtol=1e-12)
    assert (one.p[~above] > 0.5).all()


def test_an_arm_without_two_values_has_no_estimate_and_harms_no_other():
    values, arms = samples(missing=0.0)
    values[3, arms[3] == 1] = np.nan
    estimate = two_means.t_test(values, arms, (1, 0), 0.05, 2)
    assert np.isnan(estimate.value[3]) and np.isnan(estimate.p[3])
    assert np.isfinite(np.delete(estimate.p, 3)).all()


def test_characteristics_of_a_known_law():
    rng = np.random.default_rng(2)
    n, se = 4000, 0.5
    value = rng.normal(1.2, se, n)
    z = 1.959963984540054
    estimate = interval(value, se, stats.norm(), value / se, 0.05, 2, 100.0)
    figures = operating.characteristics(estimate, 1.2, 0.05)
    power = stats.norm.sf(z - 1.2 / se) + stats.norm.cdf(-z - 1.2 / se)
    for figure, expected in (
        (figures.power, power),
        (figures.coverage, 0.95),
        (figures.bias, 0.0),
        (figures.mean, 1.2),
        (figures.empirical_se, se),
    ):
        assert 0 < figure.mcse < 0.02
        assert abs(figure.value - expected) < 4 * figure.mcse
    assert figures.replicates == n


def test_trials_that_cannot_be_estimated_are_counted_out():
    value = np.array([1.0, np.nan, 2.0, 3.0])
    estimate = interval(value, 1.0, stats.norm(), value, 0.05, 2, 1.0)
    estimate = estimate._replace(lower=value - 2, upper=value + 2, p=np.array([0.01, np.nan, 0.2, 0.04]))
    figures = operating.characteristics(estimate, 2.0, 0.05)
    assert figures.replicates == 3
    assert figures.power.value == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="1 of 1 trials could be estimated"):
        operating.characteristics(Estimate(*(column[:1] for column in estimate)), 2.0, 0.05)


def test_ignorance_is_told_apart_from_the_patients_of_a_draw():
    rng = np.random.default_rng(8)
    draws, patients, known = 400, 60, 0.05
    own = rng.normal(0, 1.0, patients)
    interaction = rng.normal(0, 0.5, (draws, patients))  # adds 0.5/sqrt(60) = 0.065 to the raw spread
    effects = 0.3 + rng.normal(0, known, draws)[:, None] + own + interaction
    spread = ignorance(effects, 0.3)
    assert spread.raw_sd == pytest.approx((known**2 + 0.25 / patients) ** 0.5, rel=0.15)
    assert abs(spread.sd.value - known) < 4 * spread.sd.mcse
    assert spread.sd.mcse < 0.01
    assert spread.upper - spread.lower == pytest.approx(2 * 1.96 * spread.sd.value, rel=1e-3)


def test_ignorance_of_nothing_is_zero_within_its_error():
    rng = np.random.default_rng(9)
    effects = rng.normal(0, 1, 50) + rng.normal(0, 0.5, (200, 50))
    spread = ignorance(effects, 0.0)
    assert spread.sd.value <= 2 * spread.sd.mcse
    assert spread.least == 0.0 < spread.most
    assert spread.lower < 0.0 < spread.upper  # not knowing is no certainty
