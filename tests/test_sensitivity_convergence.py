"""The verdict: when an analysis had enough points, and what it says."""

import numpy as np
import pytest

from analysis.sensitivity.convergence import larger, order_kept, verdict
from analysis.sensitivity.resampling import interval, resampled_means

INPUTS = ("ec50", "cyp2c9", "age", "weight")
VALUE = np.array([0.2, 0.5, 0.1, 0.0])


def resampled(sd, value=VALUE, resamples=2000):
    return value + np.random.default_rng(1).normal(0, 1, (resamples, len(value))) * sd


def test_narrow_and_ordered_is_converged():
    found = verdict(INPUTS, "ST", VALUE, resampled(0.01), 1024)
    assert found.converged
    assert found.text.startswith(
        "converged: ranking of the first three (cyp2c9, ec50, age) is the same in 100 % of resamples; ST of "
    )
    assert "within ±0.0" in found.text


def test_wide_is_not_converged_and_names_a_size_by_the_square_root_law():
    draws = resampled(0.0)
    draws[:, 1] += np.linspace(-0.1, 0.1, 2000)  # 95 % of it within 0.095
    found = verdict(INPUTS, "ST", VALUE, draws, 512)
    assert not found.converged
    # 1.9 times too wide: 3.6 * 512 points, as a power of two
    assert found.text == "not converged: ST of cyp2c9 0.5 within ±0.095 (wanted ±0.05); use --size 2048"


def test_an_order_that_changes_is_not_converged_though_every_index_is_narrow():
    value = np.array([0.30, 0.24, 0.10, 0.0])
    draws = resampled(0.0, value)
    draws[:200, :2] = 0.27, 0.28  # one resample in ten puts the second first
    found = verdict(INPUTS, "ST", value, draws, 256)
    assert not found.converged
    assert "(ec50, cyp2c9, age) is the same in 90 % of resamples (wanted 95 %)" in found.text
    assert "use --size 512" in found.text


def test_inputs_nearer_than_the_tolerance_are_tied():
    value = np.array([0.30, 0.28, 0.10, 0.0])
    draws = resampled(0.0, value)
    draws[:1000, :2] = 0.28, 0.30
    first = np.array([0, 1, 2])
    assert order_kept(value, draws, first, 0.05) == 1.0
    assert order_kept(value, draws, first, 0.01) == 0.5


def test_a_fourth_that_overtakes_the_third_counts():
    draws = resampled(0.0)
    draws[:500, 3] = 0.15
    assert order_kept(VALUE, draws, np.array([1, 0, 2]), 0.05) == 0.75


def test_a_relative_tolerance_is_of_the_largest():
    value = 100 * VALUE
    assert verdict(INPUTS, "mu_star", value, resampled(1.0, value), 64, 0.1, relative=True).converged
    assert not verdict(INPUTS, "mu_star", value, resampled(4.0, value), 64, 0.1, relative=True).converged


def test_without_resamples_nothing_is_judged():
    found = verdict(INPUTS, "ST", VALUE, np.empty((0, 4)), 64, remark="9 terms")
    assert found == (False, "not judged: no resamples were drawn; ask for 300 or more; 9 terms")


@pytest.mark.parametrize(("count", "words"), [(1, "the first (ec50)"), (2, "the first two (cyp2c9, ec50)")])
def test_fewer_than_three_inputs_are_called_by_their_number(count, words):
    found = verdict(INPUTS[:count], "ST", VALUE[:count], resampled(0.001)[:, :count], 64)
    assert words in found.text and found.converged


@pytest.mark.parametrize(
    ("size", "ratio", "expected"), [(64, 1.0, 128), (64, 1.3, 128), (64, 2.1, 512), (257, 0.5, 512)]
)
def test_a_larger_size_is_a_power_of_two_that_is_enough(size, ratio, expected):
    assert larger(size, ratio) == expected


@pytest.mark.parametrize(("size", "ratio"), [(64, 2**16.0), (64, 46.0), (2**17, 2.1)])
def test_no_size_is_advised_that_nobody_can_live(size, ratio):
    assert larger(size, ratio) is None


def test_the_largest_size_that_is_advised_is_two_to_the_seventeenth_or_the_next():
    assert larger(64, 45.0) == 2**17  # 45^2 * 64 = 129 600
    assert larger(2**17, 1.2) == 2**18


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        ("ST", "so few lives differ that indices of variance do not help; look at another endpoint, or use pawn"),
        ("median", "no size would do; look at another endpoint"),
    ],
)
def test_an_interval_beyond_any_size_is_advised_on_in_words(measure, words):
    value = np.array([1.93, 0.5, 0.1, 0.0])
    draws = resampled(0.0, value)
    draws[:, 0] = np.linspace(0.0, 7371.0, 2000)
    found = verdict(INPUTS, measure, value, draws, 64)
    assert not found.converged
    assert found.text.endswith(f"; {words}") and "--size" not in found.text


def test_inputs_that_no_resample_tells_of_are_named():
    draws = resampled(0.01)
    draws[:, [0, 3]] = np.nan
    found = verdict(INPUTS, "ST", VALUE, draws, 64)
    assert found == (False, "not converged: ST of ec50, weight cannot be told; look at another endpoint")


def test_an_interval_of_resamples_without_any_value_is_unknown():
    low, high = interval(np.full((500, 2, 3), np.nan), (2, 3))
    assert np.isnan(low).all() and np.isnan(high).all()
    some = np.full((500, 2), np.nan)
    some[:, 1] = np.linspace(0.0, 1.0, 500)
    low, high = interval(some, (2,))
    assert np.isnan([low[0], high[0]]).all()
    np.testing.assert_allclose([low[1], high[1]], [0.025, 0.975], rtol=1e-12)


def test_the_bootstrap_of_a_mean_has_its_standard_error_and_is_the_same_in_chunks(monkeypatch):
    values = np.random.default_rng(2).normal(3, 2, (400, 2))
    means = resampled_means(values, 4000, 7)
    np.testing.assert_allclose(means.std(0), values.std(0) / 20, rtol=0.05)  # 4000 resamples tell 1 %
    low, high = interval(means, (2,))
    np.testing.assert_allclose(high - low, 2 * 1.96 * values.std(0) / 20, rtol=0.06)
    np.testing.assert_allclose(resampled_means(values[:, :1], 4000, 7)[:, 0], means[:, 0], rtol=1e-12)
    monkeypatch.setattr("analysis.sensitivity.resampling.CHUNK", 4000)
    np.testing.assert_allclose(resampled_means(values, 4000, 7), means, rtol=1e-12)
