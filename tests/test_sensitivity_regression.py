"""Rank regression and tornado on a cohort, against independent computations."""

import numpy as np
import pytest
from scipy import stats

from analysis.sensitivity.regression import rank_regression, tornado

LEVELS = {"genotype": ("*1/*1", "*1/*2", "*2/*2")}
EFFECT = np.array([0.0, 1.0, 3.0])


def cohort(n=2000, seed=1):
    """Correlated age and weight, a genotype, an input without effect; the output is curved and monotone."""
    rng = np.random.default_rng(seed)
    age, shared = rng.normal(60, 10, n), rng.normal(0, 1, n)
    weight = 80 + 0.6 * (age - 60) + 8 * shared
    genotype = rng.choice(3, n, p=(0.7, 0.2, 0.1)).astype(float)
    inputs = {"age": age, "weight": weight, "genotype": genotype, "idle": rng.normal(0, 1, n)}
    return inputs, np.exp((age - 60) / 20) * 2 + EFFECT[genotype.astype(int)] + rng.normal(0, 0.3, n)


def standard(values):
    return (values - values.mean()) / values.std()


def test_coefficients_are_those_of_least_squares_on_ranks():
    inputs, y = cohort()
    found = rank_regression(inputs, y, LEVELS)
    ranks = {name: standard(stats.rankdata(inputs[name])) for name in ("age", "weight", "idle")}
    g = inputs["genotype"]
    design = np.stack([np.ones(2000), ranks["age"], ranks["weight"], g == 1, g == 2, ranks["idle"]], axis=1)
    target = standard(stats.rankdata(y))
    b, residual, _, _ = np.linalg.lstsq(design, target)
    np.testing.assert_allclose(found.srrc[[0, 1, 3]], b[[1, 2, 5]], rtol=1e-9)
    assert found.srrc[2] == pytest.approx((design[:, 3:5] @ b[3:5]).std(), rel=1e-9)
    assert found.r2 == pytest.approx(1 - residual[0] / 2000, rel=1e-9)
    assert found.inputs == ("age", "weight", "genotype", "idle")
    assert (found.used, found.dropped) == (2000, 0)


def test_partial_correlations_are_those_of_residuals():
    inputs, y = cohort()
    found = rank_regression(inputs, y, LEVELS)
    g = inputs["genotype"]
    ranks = {name: stats.rankdata(inputs[name]) for name in ("age", "weight", "idle")}
    for i, name in ((0, "age"), (1, "weight"), (3, "idle")):
        others = np.stack([np.ones(2000), g == 1, g == 2, *(ranks[o] for o in ranks if o != name)], axis=1)
        parts = [v - others @ np.linalg.lstsq(others, v)[0] for v in (ranks[name], stats.rankdata(y))]
        expected = stats.pearsonr(*parts)
        assert found.prcc[i] == pytest.approx(expected.statistic, rel=1e-8)
        # the same F test that scipy's t test is, on 4 degrees of freedom less
        t = found.prcc[i] * ((2000 - 6) / (1 - found.prcc[i] ** 2)) ** 0.5
        assert found.p[i] == pytest.approx(2 * stats.t(2000 - 6).sf(abs(t)), rel=1e-6)


def test_what_has_no_effect_of_its_own_is_told_apart_from_what_is_correlated():
    inputs, y = cohort()
    found = rank_regression(inputs, y, LEVELS)
    assert stats.spearmanr(inputs["weight"], y).statistic > 0.3
    for i in (1, 3):
        assert found.prcc_lower[i] < 0 < found.prcc_upper[i]
        assert found.srrc_lower[i] < 0 < found.srrc_upper[i]
        assert found.p[i] > 0.01
    for i in (0, 2):
        assert found.prcc_lower[i] > 0.5 and found.srrc_lower[i] > 0.3
        assert found.p[i] < 1e-12
    assert 0.8 < found.r2 < 1.0


def test_intervals_cover_what_a_large_cohort_tells():
    truth = rank_regression(*cohort(100_000, 9), LEVELS, resamples=0)
    inside = np.zeros((2, 4))
    for seed in range(60):
        found = rank_regression(*cohort(300, 100 + seed), LEVELS, resamples=150)
        inside[0] += (found.srrc_lower <= truth.srrc) & (truth.srrc <= found.srrc_upper)
        inside[1] += (found.prcc_lower <= truth.prcc) & (truth.prcc <= found.prcc_upper)
    # 57 of 60 expected; fewer than 51 has a chance of 0.2 % per interval
    assert (inside >= 51).all(), inside


def test_patients_without_all_values_are_left_out():
    inputs, y = cohort()
    whole = rank_regression({name: values[5:] for name, values in inputs.items()}, y[5:], LEVELS)
    y[:3] = np.nan
    inputs["age"][3:5] = np.nan
    found = rank_regression(inputs, y, LEVELS)
    assert (found.used, found.dropped) == (1995, 5)
    np.testing.assert_allclose(found.srrc, whole.srrc, rtol=1e-12)


def test_an_output_that_is_constant_has_no_coefficients():
    inputs, y = cohort()
    found = rank_regression(inputs, np.ones_like(y), LEVELS)
    assert np.isnan(found.srrc).all() and np.isnan(found.prcc).all() and np.isnan(found.r2)


def test_an_event_of_one_patient_has_intervals_from_the_resamples_that_have_it():
    inputs, _ = cohort(200)
    y = np.zeros(200)
    y[np.argmax(inputs["age"])] = 1.0
    found = rank_regression(inputs, y, LEVELS)  # a third of the resamples, 1 / e, lack him
    for values in (found.srrc_lower, found.srrc_upper, found.prcc_lower, found.prcc_upper):
        assert np.isfinite(values).all()
    assert (found.prcc_lower <= found.prcc_upper).all()
    assert found.srrc[0] > 0 and found.prcc_upper[0] > found.prcc[0] > 0


def test_the_tornado_holds_the_means_of_tenths_and_levels():
    inputs, y = cohort()
    bars = tornado(inputs, y, LEVELS)
    assert [(bar.input, bar.label) for bar in bars] == [
        *[("age", "lowest tenth"), ("age", "highest tenth"), ("weight", "lowest tenth"), ("weight", "highest tenth")],
        *[("genotype", label) for label in LEVELS["genotype"]],
        *[("idle", "lowest tenth"), ("idle", "highest tenth")],
    ]
    lowest = y[np.argsort(inputs["age"])[:200]]
    assert bars[0].patients == 200
    assert bars[0].mean == pytest.approx(lowest.mean(), rel=1e-12)
    assert bars[0].se == pytest.approx(stats.sem(lowest), rel=1e-12)
    assert bars[0].highest == np.sort(inputs["age"])[199]
    assert bars[6].mean == pytest.approx(y[inputs["genotype"] == 2].mean(), rel=1e-12)
    assert sum(bar.patients for bar in bars[4:7]) == 2000


def test_a_level_that_nobody_has_is_a_bar_without_a_mean():
    inputs, y = cohort(200)
    inputs["genotype"] = np.minimum(inputs["genotype"], 1)
    bar = tornado(inputs, y, LEVELS)[6]
    assert bar.patients == 0 and np.isnan(bar.mean) and np.isnan(bar.se)
    assert np.isfinite(rank_regression(inputs, y, LEVELS).srrc).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"twice": "age"}, "input 'twice' is a combination of those before it"),
        ({"same": 3.0}, "input 'same' is the same for all patients; leave it out"),
        ({"short": None}, r"input 'short' has values.shape=\(3,\)"),
    ],
)
def test_what_is_no_regression_is_refused(change, sentence):
    inputs, y = cohort(200)
    ((name, what),) = change.items()
    inputs[name] = np.ones(3) if what is None else inputs[what] * 2 if isinstance(what, str) else np.full(200, what)
    with pytest.raises(ValueError, match=sentence):
        rank_regression(inputs, y, LEVELS)


def test_too_few_patients_are_refused_with_the_number_that_is_enough():
    inputs, y = cohort(40)
    with pytest.raises(ValueError, match="40 patients are too few for a regression on 5 columns; use 60 or more"):
        rank_regression(inputs, y, LEVELS)
    with pytest.raises(ValueError, match="levels are given for 'sex', which is no input"):
        rank_regression(inputs, y, {"sex": ("f", "m")})
