"""Hazards in pieces against what can be written down, quadrature, and regression of counts."""

import numpy as np
import pytest
from scipy import optimize, stats

from analysis.statistics.counts.regression import fit_counts
from analysis.statistics.piecewise import cumulative_hazard, draw_times, piecewise_rate_ratio, piecewise_rates
from analysis.statistics.trouble import Trouble

CUTS, RATES = (1.0, 2.5), (0.3, 0.05, 0.6)


def lives(subjects=400, seed=1, ratio=0.6):
    rng = np.random.default_rng(seed)
    arms = rng.integers(0, 2, subjects)
    times = draw_times(rng, subjects, RATES, CUTS)
    times = np.where(arms == 1, draw_times(rng, subjects, ratio * np.array(RATES), CUTS), times)
    censored = rng.uniform(1.0, 5.0, subjects)
    return np.minimum(times, censored), times <= censored, arms


def test_times_that_are_drawn_follow_their_hazards():
    times = draw_times(np.random.default_rng(7), 20_000, RATES, CUTS)
    law = stats.kstest(times, lambda t: -np.expm1(-cumulative_hazard(t, RATES, CUTS)))
    assert law.pvalue > 0.01
    np.testing.assert_array_equal(times, draw_times(np.random.default_rng(7), 20_000, RATES, CUTS))
    np.testing.assert_allclose(cumulative_hazard([0.5, 2.0, 3.0], RATES, CUTS), [0.15, 0.35, 0.675], rtol=1e-12)


def test_nothing_happens_where_the_hazard_is_0():
    times = draw_times(np.random.default_rng(7), 5000, (0.5, 0.0, 0.5, 0.0), (1.0, 2.0, 3.0))
    assert not ((times > 1.0) & (times <= 2.0)).any()
    assert (times[times > 3.0] == np.inf).all()
    assert np.isinf(times).mean() == pytest.approx(np.exp(-1.0), abs=4 * np.sqrt(0.368 * 0.632 / 5000))


def test_rates_are_events_over_time_at_risk():
    found = piecewise_rates([0.5, 1.0, 2.0, 3.0, np.nan], [1, 1, 0, 1, 1], (1.0, 2.5))
    np.testing.assert_array_equal(found.events, [2, 0, 1])
    np.testing.assert_allclose(found.exposure, [3.5, 2.5, 0.5])
    np.testing.assert_allclose(found.rates, [2 / 3.5, 0.0, 2.0])
    z = stats.norm.isf(0.025)
    np.testing.assert_allclose(found.upper[[0, 2]], [2 / 3.5 * np.exp(z / np.sqrt(2)), 2 * np.exp(z)])
    exact = piecewise_rates([0.5, 1.0, 2.0, 3.0], [1, 1, 0, 1], (1.0, 2.5), limits="exact")
    # Garwood: the mean of a Poisson law that leaves 2.5 % at what was seen or beyond.
    assert stats.poisson.cdf(2, exact.upper[0] * 3.5) == pytest.approx(0.025)
    assert stats.poisson.sf(1, exact.lower[0] * 3.5) == pytest.approx(0.025)
    assert exact.lower[1] == 0.0
    assert stats.poisson.cdf(0, exact.upper[1] * 2.5) == pytest.approx(0.025)


def test_ratio_is_that_of_poisson_regression_on_pieces():
    times, events, arms = lives()
    rows = []
    for arm in (0, 1):
        of = piecewise_rates(times[arms == arm], events[arms == arm], CUTS)
        rows += [(d, e, arm, j == 1, j == 2) for j, (d, e) in enumerate(zip(of.events, of.exposure, strict=True))]
    d, e, *x = np.array(rows).T
    fit = fit_counts(d, np.column_stack(x), e, law="poisson")
    estimate = piecewise_rate_ratio(times, events, arms, (1, 0), CUTS)
    assert np.log(estimate.value) == pytest.approx(fit.coefficients[1], rel=1e-10)
    assert estimate.se == pytest.approx(fit.se[1], rel=1e-8)


def test_ratio_is_the_most_likely():
    times, events, arms = lives()
    parts = [piecewise_rates(times[arms == arm], events[arms == arm], CUTS) for arm in (1, 0)]

    def worse(log_ratio):
        hazards = (parts[0].events + parts[1].events) / (np.exp(log_ratio) * parts[0].exposure + parts[1].exposure)
        return -(parts[0].events.sum() * log_ratio + (parts[0].events + parts[1].events) @ np.log(hazards))

    best = optimize.minimize_scalar(worse, (-2, 1), tol=1e-12)
    assert np.log(piecewise_rate_ratio(times, events, arms, (1, 0), CUTS).value) == pytest.approx(best.x, abs=1e-7)


def test_one_piece_is_the_ratio_of_exponential_rates():
    times, events, arms = lives()
    estimate = piecewise_rate_ratio(times, events, arms, (1, 0))
    (a, ta), (b, tb) = ((events[arms == arm].sum(), times[arms == arm].sum()) for arm in (1, 0))
    assert estimate.value == pytest.approx(a / ta / (b / tb), rel=1e-12)
    assert estimate.se == pytest.approx(np.sqrt(1 / a + 1 / b), rel=1e-12)


def test_many_replicates_give_what_each_gives_alone_and_trouble_stays_with_its_own():
    drawn = [lives(60, seed) for seed in range(5)]
    times, events, arms = (np.array(each) for each in zip(*drawn, strict=True))
    events[1] = False
    events[2, arms[2] == 1] = False
    times[3, arms[3] == 0] = np.nan
    found = piecewise_rate_ratio(times, events, arms, (1, 0), CUTS)
    trouble = [Trouble.NONE, Trouble.NO_EVENTS, Trouble.SEPARATED, Trouble.EMPTY_ARM, Trouble.NONE]
    np.testing.assert_array_equal(found.trouble, trouble)
    np.testing.assert_array_equal(np.isnan(found.value), found.trouble != 0)
    for r in (0, 4):
        alone = piecewise_rate_ratio(times[r], events[r], arms[r], (1, 0), CUTS)
        np.testing.assert_allclose([each[r] for each in found], alone, rtol=1e-12)
    rates = piecewise_rates(times, events, CUTS)
    np.testing.assert_array_equal(rates.exposure[4], piecewise_rates(times[4], events[4], CUTS).exposure)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cuts": (2.0, 1.0)}, "increasing times"),
        ({"cuts": (0.0,)}, "increasing times"),
        ({"times": [1, -1]}, "count times from 0"),
        ({"events": [1, 2]}, "neither true nor false"),
        ({"limits": "wald"}, "write one of: log, exact"),
    ],
)
def test_what_is_no_follow_up_is_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        piecewise_rates(**({"times": [1, 2], "events": [1, 0]} | change))


def test_rates_are_one_a_piece():
    with pytest.raises(ValueError, match="give 2 of 0 or more"):
        draw_times(np.random.default_rng(1), 3, (0.1,), (1.0,))
