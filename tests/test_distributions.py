import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from populations.distributions import (
    Beta,
    Categorical,
    Gamma,
    LogitNormal,
    LogNormal,
    Normal,
    Quantiles,
    Triangular,
    TruncatedNormal,
    Uniform,
    Weibull,
)
from populations.wording import KINDS, categorical, distribution

TAILS = np.array([1e-6, 1e-4, 0.01, 0.3, 0.5, 0.7, 0.99, 1.0 - 1e-4, 1.0 - 1e-6])

# Each beside the same distribution in scipy.
PEERS = [
    (Normal(60.0, 10.0), stats.norm(60.0, 10.0)),
    (LogNormal(0.314, 0.303), stats.lognorm(0.303, scale=0.314)),
    (Uniform(-2.0, 5.0), stats.uniform(-2.0, 7.0)),
    (Triangular(2.0, 3.0, 5.0), stats.triang(1.0 / 3.0, 2.0, 3.0)),
    (Triangular(2.0, 2.0, 5.0), stats.triang(0.0, 2.0, 3.0)),
    (Beta(2.0, 5.0, 1.0, 4.0), stats.beta(2.0, 5.0, 1.0, 3.0)),
    (Beta(0.5, 0.5, 0.0, 1.0), stats.beta(0.5, 0.5)),
    (Gamma(8.0, 4.0), stats.gamma(4.0, scale=2.0)),
    (Gamma(1.0, 3.0), stats.gamma(1.0 / 9.0, scale=9.0)),
    (Weibull(1.5, 3.0), stats.weibull_min(1.5, scale=3.0)),
    (TruncatedNormal(4.0, 2.0, 1.0, 8.0), stats.truncnorm(-1.5, 2.0, 4.0, 2.0)),
    (TruncatedNormal(0.0, 1.0, 5.0, 6.0), stats.truncnorm(5.0, 6.0)),
]

TEXTS = {
    "normal": {"mean": "60 years", "sd": "120 months"},
    "log-normal": {"median": "60 years", "cv": "25 %"},
    "uniform": {"lower": "50 years", "upper": "70 years"},
    "triangular": {"lower": "50 years", "mode": "55 years", "upper": "70 years"},
    "beta": {"a": "2", "b": "3", "lower": "50 years", "upper": "70 years"},
    "gamma": {"mean": "60 years", "sd": "10 years"},
    "weibull": {"shape": "2", "scale": "60 years"},
    "truncated-normal": {"mean": "60 years", "sd": "10 years", "lower": "50 years", "upper": "80 years"},
    "quantiles": {"0 %": "40 years", "50 %": "60 years", "100 %": "90 years"},
}


@pytest.mark.parametrize(("ours", "peer"), PEERS, ids=lambda one: type(one).__name__)
def test_inverse_agrees_with_scipy_in_both_tails(ours, peer):
    np.testing.assert_allclose(ours.ppf(TAILS), peer.ppf(TAILS), rtol=1e-10)


@pytest.mark.parametrize(("ours", "peer"), PEERS, ids=lambda one: type(one).__name__)
def test_moments_agree_with_scipy(ours, peer):
    # Closed forms on our side; scipy integrates some of them to about 1e-8.
    np.testing.assert_allclose((ours.mean, ours.sd), (peer.mean(), peer.std()), rtol=1e-7)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "logit-normal"])
def test_every_distribution_reads_rises_and_keeps_its_moments(kind):
    read = distribution({"distribution": kind, **TEXTS[kind]}, "year")
    u = (np.arange(200_000) + 0.5) / 200_000
    values = read.ppf(u)
    assert np.all(np.diff(values) >= 0.0)
    # The midpoint rule on 200,000 strips; the tails beyond the last one hold less than 1e-3 of any of these SDs.
    assert values.mean() == pytest.approx(read.mean, rel=1e-4)
    assert values.std() == pytest.approx(read.sd, rel=1e-3)
    assert read.median == pytest.approx(np.median(values), rel=1e-4)
    assert "year" in read.describe("year")


def test_logit_normal_moments_are_those_of_its_values():
    read = distribution({"distribution": "logit-normal", "typical": "80 %", "sd": "0.7"}, "1")
    values = read.ppf((np.arange(200_000) + 0.5) / 200_000)
    assert (read.mean, read.sd) == pytest.approx((values.mean(), values.std()), rel=1e-4)
    assert read.median == 0.8


# Extremes of any finite size would test the rounding of doubles, not the distributions.
ordinary = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
positive = st.floats(1e-3, 1e4)
u_pairs = st.tuples(st.floats(1e-9, 1 - 1e-9), st.floats(1e-9, 1 - 1e-9)).map(sorted)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.data(), u_pairs)
def test_any_distribution_rises_with_its_probability(data, pair):
    low, mode, high = sorted(data.draw(st.lists(ordinary, min_size=3, max_size=3, unique=True)))
    location, scale, shape = data.draw(ordinary), data.draw(positive), data.draw(st.floats(0.3, 20.0))
    made = data.draw(
        st.sampled_from(
            [
                Normal(location, scale),
                LogNormal(scale, min(shape, 3.0)),
                LogitNormal(0.3, shape),
                Uniform(low, high),
                Triangular(low, mode, high),
                Beta(shape, 1.0 + shape, low, high),
                Gamma(scale, scale * min(shape, 3.0)),
                Weibull(shape, scale),
                TruncatedNormal(mode, high - low, low, high),
                Quantiles((0.0, 0.4, 1.0), (low, mode, high)),
            ]
        )
    )
    first, second = made.ppf(np.array(pair))
    assert math.isfinite(first)
    assert math.isfinite(second)
    # Equal probabilities may differ in the last digits of an iterated inverse.
    assert first <= second + 1e-9 * abs(second)


def test_log_normal_reads_mean_and_sd_as_its_own():
    read = distribution({"distribution": "log-normal", "mean": "0.3 L/h", "sd": "0.1 L/h"}, "L/h")
    assert (read.mean, read.sd) == pytest.approx((0.3, 0.1), rel=1e-12)


def test_quantities_are_read_in_any_unit_of_their_kind():
    read = distribution({"distribution": "normal", "mean": "6 L/h", "sd": "10 mL/min"}, "mL/min")
    assert (read.mean, read.sd) == pytest.approx((100.0, 10.0), rel=1e-12)


def test_unknown_distribution_names_the_known_ones():
    with pytest.raises(ValueError, match="distribution 'norml' is not known; write one of: normal, log-normal"):
        distribution({"distribution": "norml"}, "1")


def test_unknown_key_names_the_known_ones():
    with pytest.raises(ValueError, match="distribution 'normal' has no 'sigma'; write only: mean, sd"):
        distribution({"distribution": "normal", "mean": "1", "sd": "1", "sigma": "2"}, "1")


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({"distribution": "normal", "mean": "60", "sd": "1 year"}, "mean: '60' has no unit"),
        ({"distribution": "normal", "mean": "60 kg", "sd": "1 year"}, "mean: unit 'kg' does not measure"),
        ({"distribution": "normal", "mean": "60 years"}, "lacks 'sd'"),
        ({"distribution": "normal", "mean": "60 years", "sd": "0 years"}, "sd is 0; write one above 0"),
        ({"distribution": "log-normal", "median": "-3 years", "cv": "10 %"}, "needs one above 0"),
        ({"distribution": "uniform", "lower": "9 years", "upper": "3 years"}, "write lower below upper"),
        ({"distribution": "beta", "a": "1", "b": "1"}, "lacks 'lower'"),
        ({"distribution": "quantiles", "10 %": "3 years", "100 %": "9 years"}, "begin with 0 %"),
        ({"distribution": "quantiles", "0 %": "3 years", "100 %": "1 years"}, "rising order"),
        ({"distribution": "quantiles", "low": "3 years"}, "'low' is no probability"),
    ],
)
def test_a_distribution_that_cannot_be_says_why(texts, sentence):
    with pytest.raises(ValueError, match=sentence):
        distribution(texts, "year")


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(list(KINDS)),
    texts=st.dictionaries(
        st.sampled_from(["mean", "sd", "median", "cv", "lower", "mode", "upper", "a", "b", "shape", "scale", "50 %"])
        | st.text(max_size=5),
        st.sampled_from(["0", "-1", "5 years", "1e308 years", "30 %", "1e-300", "nan", ""]) | st.text(max_size=8),
        max_size=5,
    ),
)
def test_whatever_is_written_is_a_distribution_or_a_value_error(kind, texts):
    try:
        read = distribution({**texts, "distribution": kind}, "year")
    except ValueError:
        return
    assert read.describe("year")


def test_categorical_draws_each_level_by_its_share():
    read = categorical({"GG": "39 %", "GA": "41 %", "AA": "20 %"})
    drawn = read.ppf((np.arange(1000) + 0.5) / 1000)
    np.testing.assert_array_equal(np.bincount(drawn.astype(int)), [390, 410, 200])


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=6), st.floats(1e-12, 1.0 - 1e-12))
def test_a_level_without_share_is_never_drawn(counts, u):
    assume(sum(counts) > 0)
    levels = tuple(f"level {i}" for i in range(len(counts)))
    shares = tuple(count / sum(counts) for count in counts)
    assert counts[int(Categorical(levels, shares).ppf(np.array([u]))[0])] > 0


def test_levels_left_out_have_no_share():
    assert categorical({"GA": "100 %"}, ("GG", "GA", "AA")).shares == (0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({"GG": "40 %", "GA": "40 %"}, "not 100 % in all"),
        ({"GG": "140 %", "GA": "-40 %"}, "write 0 to 100 %"),
        ({"GX": "100 %"}, "level 'GX' is not known; write one of: GG, GA"),
        ({"GG": "much"}, "GG: 'much' is no quantity"),
    ],
)
def test_shares_that_cannot_be_say_why(texts, sentence):
    with pytest.raises(ValueError, match=sentence):
        categorical(texts, ("GG", "GA"))
