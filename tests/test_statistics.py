"""Estimators against SciPy and published data; operating characteristics against known laws."""

import numpy as np
import pytest
from scipy import stats

from analysis import operating
from analysis.statistics import proportions, two_means
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


# Newcombe 1998, table II (a), to more digits by R 4.2.2: x1, n1, x2, n2, difference, interval of Wald, of method 10
NEWCOMBE = [
    (56, 70, 48, 80, 0.2, (0.0575048991490372, 0.342495100850963), (0.0524314724023649, 0.333872654036906)),
    (
        15,
        35,
        5,
        34,
        0.281512605042017,
        (0.0789024101488351, 0.484122799935199),
        (0.0672611329600294, 0.464100821488869),
    ),
]


@pytest.mark.parametrize("case", NEWCOMBE)
def test_risk_difference_is_newcombes(case):
    x1, n1, x2, n2, difference, wald, newcombe = case
    arms = np.array([[1] * n1 + [0] * n2])
    values = np.array([[1.0] * x1 + [0.0] * (n1 - x1) + [1.0] * x2 + [0.0] * (n2 - x2)])
    estimate = proportions.risk_difference(values, arms, (1, 0), 0.05, 2)
    assert estimate.value[0] == pytest.approx(difference, rel=1e-12)
    assert estimate.se[0] == pytest.approx((wald[1] - wald[0]) / 2 / 1.959963984540054, rel=1e-9)
    assert (estimate.lower[0], estimate.upper[0]) == pytest.approx(newcombe, rel=1e-9)
    assert estimate.p[0] == pytest.approx(2 * stats.norm.sf(difference / estimate.se[0]), rel=1e-9)


def test_a_trial_without_an_event_is_not_certain():
    estimate = proportions.risk_difference(np.zeros((1, 40)), np.arange(40)[None] % 2, (1, 0), 0.05, 2)
    assert (estimate.value[0], estimate.p[0]) == (0.0, 1.0)
    assert estimate.lower[0] < -0.1 and estimate.upper[0] > 0.1


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (3, 10), (56, 70)])
def test_interval_of_a_share_is_that_of_scipy(successes, n):
    expected = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert proportions.wilson(successes / n, n) == pytest.approx((expected.low, expected.high), rel=1e-12, abs=1e-15)


def test_number_needed_to_treat_turns_the_interval_round():
    assert proportions.number_needed_to_treat(0.25, 0.125, 0.5) == (4.0, 2.0, 8.0)
    assert proportions.number_needed_to_treat(0.05, -0.01, 0.11)[1:] == (None, None)
    assert proportions.number_needed_to_treat(-0.1, -0.2, -0.05) == pytest.approx((-10, -20, -5))


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
