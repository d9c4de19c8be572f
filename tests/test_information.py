"""Value of information against closed forms for normal benefits."""

import numpy as np
import pytest
from scipy import stats

from analysis.information import information

MEAN, SLOPES = 0.5, {"strong": 1.0, "weak": 0.4, "idle": 0.0}


def draws(count=4000, seed=3, noise=0.6):
    rng = np.random.default_rng(seed)
    unknowns = {name: rng.normal(0, 1, count) for name in SLOPES}
    benefit = MEAN + sum(slope * unknowns[name] for name, slope in SLOPES.items()) + rng.normal(0, noise, count)
    return benefit, unknowns


def worth(sd, mean=MEAN):
    """E max(B, 0) - max(E B, 0) of B normal. Raiffa & Schlaifer 1961: sd phi(m / sd) - |m| Phi(-|m| / sd)."""
    return sd * stats.norm.pdf(mean / sd) - abs(mean) * stats.norm.cdf(-abs(mean) / sd)


VARIANCE = 1.0 + 0.16 + 0.36


def test_worth_of_knowing_is_that_of_the_normal_law():
    found = information(*draws(), seed=1)
    assert abs(found.evpi.value - worth(VARIANCE**0.5)) < 3 * found.evpi.mcse < 0.1
    strong, weak, idle = found.partials
    assert [partial.name for partial in found.partials] == ["strong", "weak", "idle"]
    assert abs(strong.evppi.value - worth(1.0)) < 3 * strong.evppi.mcse < 0.1
    assert abs(weak.evppi.value - worth(0.4)) < 3 * weak.evppi.mcse < 0.05
    assert idle.evppi.value < 0.005
    for partial, slope in zip(found.partials, SLOPES.values(), strict=True):
        assert abs(partial.reduction.value - slope**2 / VARIANCE) < 3 * partial.reduction.mcse + 0.002
    assert found.mean.value == pytest.approx(MEAN, abs=4 * found.mean.mcse)
    assert found.draws == 4000


def test_standard_errors_are_the_spread_over_repetitions():
    found = [information(*draws(500, seed), seed=1, resamples=50) for seed in range(60)]
    values = np.array([[one.evpi.value, one.partials[0].evppi.value] for one in found])
    errors = np.array([[one.evpi.mcse, one.partials[0].evppi.mcse] for one in found])
    # 60 repetitions tell a standard deviation within 10 %
    np.testing.assert_allclose(errors.mean(0), values.std(0, ddof=1), rtol=0.3)
    np.testing.assert_allclose(values.mean(0), [worth(VARIANCE**0.5), worth(1.0)], atol=0.02)


def test_noise_is_no_information():
    rng = np.random.default_rng(5)
    reductions = []
    for seed in range(40):
        benefit = np.random.default_rng(seed).normal(0, 1, 50)
        (partial,) = information(benefit, {"idle": rng.normal(0, 1, 50)}, seed=1, resamples=2).partials
        reductions.append(partial.reduction.value)
    assert np.mean(reductions) < 0.02  # plain R2 of a line is 0.02, of the six degrees searched 0.12
    assert np.median(reductions) == 0.0


def test_a_curve_is_followed_and_a_line_is_not_enough():
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, 4000)
    found = information(x**2 - 1.2 + rng.normal(0, 0.5, 4000), {"x": x}, seed=1)
    # E max(x^2 - 1.2, 0), m = 1.2^0.5: 2 (m phi(m) + (1 - 1.2) Phi(-m)); the decision without it is to stay
    m = 1.2**0.5
    expected = 2 * (m * stats.norm.pdf(m) - 0.2 * stats.norm.cdf(-m))
    (partial,) = found.partials
    assert partial.degree >= 2
    assert abs(partial.evppi.value - expected) < 3 * partial.evppi.mcse < 0.1
    assert partial.reduction.value == pytest.approx(2 / 2.25, abs=0.02)


def test_unknowns_that_are_learnt_together_are_worth_more():
    benefit, unknowns = draws()
    pair = np.stack([unknowns["strong"], unknowns["weak"]], axis=1)
    found = information(benefit, {"pair": pair, "strong": unknowns["strong"]}, seed=1)
    assert abs(found.partials[0].evppi.value - worth(1.16**0.5)) < 3 * found.partials[0].evppi.mcse
    assert found.evpi.value > found.partials[0].evppi.value > found.partials[1].evppi.value


def test_where_the_decision_is_sure_nothing_is_worth_knowing():
    benefit, unknowns = draws()
    found = information(benefit + 100, unknowns, seed=1, resamples=20)
    assert found.evpi.value == 0.0
    assert all(partial.evppi.value == 0.0 for partial in found.partials)
    assert found.partials[0].reduction.value > 0.6


def test_the_same_seed_gives_the_same_bits():
    assert information(*draws(200), seed=4) == information(*draws(200), seed=4)


def test_a_benefit_that_is_constant_leaves_nothing_to_learn():
    found = information(np.full(100, 2.0), {"x": np.arange(100.0), "still": np.ones(100)}, seed=1, resamples=10)
    assert found.evpi == (0.0, 0.0)
    assert all(partial.evppi.value == 0.0 and partial.reduction.value == 0.0 for partial in found.partials)


def test_draws_that_failed_are_left_out():
    benefit, unknowns = draws(300)
    benefit[:4] = np.nan
    unknowns["weak"][4] = np.inf
    kept = {name: values[5:] for name, values in unknowns.items()}
    assert information(benefit, unknowns, seed=1, resamples=10) == information(benefit[5:], kept, seed=1, resamples=10)


def test_what_is_no_table_of_draws_is_refused():
    benefit, _ = draws(30)
    with pytest.raises(ValueError, match=r"unknown 'x' has table.shape=\(3,\)"):
        information(benefit, {"x": np.ones(3)}, seed=1)
    with pytest.raises(ValueError, match=r"10 draws are too few .*use 20 or more"):
        information(benefit[:10], {}, seed=1)
    assert information(benefit, {}, seed=1).partials == ()
