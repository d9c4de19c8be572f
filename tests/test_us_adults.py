from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from populations import fit, reference
from populations.attained import attained, population_of
from populations.population import Recipe, build

NHANES = Path(__file__).parents[2] / "shared" / "data" / "nhanes_core_2009_2016.csv"
needs_nhanes = pytest.mark.skipif(not NHANES.exists(), reason=f"the survey is not at {NHANES}")

SEEDS = (1, 20261122)


def us_adults(seed=20261122, **rest):
    return build(None, Recipe("us-adults", "sobol", seed, **rest))


@pytest.mark.parametrize("seed", SEEDS)
def test_means_are_within_two_per_cent_of_the_target(seed):
    rows = [row for row in attained(us_adults(seed), 10_000) if row.statistic == "mean"]
    assert len(rows) == 12
    for row in rows:
        assert abs(row.difference) < 0.02 * abs(row.target), row


@pytest.mark.parametrize("seed", SEEDS)
def test_rank_correlations_are_within_three_hundredths_of_the_target(seed):
    rows = [row for row in attained(us_adults(seed), 10_000) if row.statistic == "rank correlation"]
    assert len(rows) == 66
    for row in rows:
        assert abs(row.difference) < 0.03, row


def test_spreads_and_quantiles_hold_too():
    for row in attained(us_adults(), 10_000):
        if row.statistic == "sd":
            # The rare high values of HbA1c make its SD the noisiest.
            assert abs(row.difference) < 0.04 * row.target, row
        if row.statistic.endswith("%"):
            assert abs(row.difference) < 0.02 * row.target, row


@needs_nhanes
def test_means_and_rank_correlations_are_those_of_the_survey():
    survey = pd.read_csv(NHANES)
    drawn = population_of("us-adults", 10_000)
    headers = {column.name: column.header for column in fit.COLUMNS} | {"age": "age_years", "bmi": "bmi_kg_m2"}
    for name, header in headers.items():
        rows = survey[[header, "weight_mec"]].dropna()
        mean = np.average(rows[header], weights=rows["weight_mec"])
        assert drawn[name].mean() == pytest.approx(mean, rel=0.02), name
    names = list(headers)
    for i, first in enumerate(names):
        for second in names[:i]:
            rows = survey[[headers[first], headers[second], "weight_mec"]].dropna().to_numpy(float)
            target = fit.rank_correlation(*rows.T)
            got = stats.spearmanr(drawn[first], drawn[second]).statistic
            assert got == pytest.approx(target, abs=0.03), (first, second)


@needs_nhanes
def test_the_library_file_is_what_fit_derives():
    assert fit.fit(NHANES) == (reference.LIBRARY / "us-adults.yaml").read_text(encoding="utf-8")


def test_ages_are_completed_years_with_the_survey_shares():
    drawn = population_of("us-adults", 10_240)
    assert (drawn["age"].min(), drawn["age"].max()) == (18.0, 80.0)
    np.testing.assert_array_equal(drawn["age"], np.floor(drawn["age"]))
    # Weighted share of 80 and older among US adults 2009-2016: 5.3 % of women, 3.5 % of men.
    assert np.mean(drawn["age"][drawn["sex"] == 0.0] == 80.0) == pytest.approx(0.0527, abs=0.003)
    assert np.mean(drawn["age"][drawn["sex"] == 1.0] == 80.0) == pytest.approx(0.0347, abs=0.003)


def test_sexes_differ_as_they_do():
    drawn = population_of("us-adults", 10_240)
    male = drawn["sex"] == 1.0
    # NHANES 2011-2014, adults from 20: 175.7 cm and 161.8 cm (NCHS, Vital Health Stat 3(39), tables 10 and 12).
    assert drawn["height"][male].mean() == pytest.approx(175.7, abs=1.0)
    assert drawn["height"][~male].mean() == pytest.approx(161.8, abs=1.0)


def test_trends_with_age_survive_within_a_band():
    drawn = population_of("us-adults", 40_960)
    band = (drawn["age"] >= 60) & (drawn["age"] < 70)
    slope = np.polyfit(drawn["age"][band], drawn["egfr"][band], 1)[0]
    # The filtration rate falls by about 1 mL/min a year at that age.
    assert -1.5 < slope < -0.5


def test_bmi_follows_from_height_and_weight():
    drawn = population_of("us-adults", 1000)
    np.testing.assert_allclose(drawn["bmi"], drawn["weight"] / (drawn["height"] / 100.0) ** 2, rtol=1e-12)


def test_a_replaced_age_brings_the_covariates_of_that_age():
    older = {"age": {"distribution": "uniform", "lower": "70 years", "upper": "79 years"}}
    drawn = us_adults(covariates=older).draw(0, 10_240)
    everyone = population_of("us-adults", 40_960)
    seventies = (everyone["age"] >= 70) & (everyone["age"] < 79)
    assert drawn["age"].min() >= 70.0
    assert drawn["egfr"].mean() == pytest.approx(everyone["egfr"][seventies].mean(), rel=0.02)
    assert drawn["systolic_pressure"].mean() == pytest.approx(everyone["systolic_pressure"][seventies].mean(), rel=0.01)


def test_ages_beyond_the_survey_take_the_nearest_cell():
    beyond = {"age": {"distribution": "uniform", "lower": "5 years", "upper": "110 years"}}
    drawn = us_adults(covariates=beyond).draw(0, 4096)
    assert all(np.all(np.isfinite(values)) for values in drawn.values())
    old = drawn["age"] > 90.0
    everyone = population_of("us-adults", 40_960)
    assert drawn["egfr"][old].mean() == pytest.approx(everyone["egfr"][everyone["age"] == 80.0].mean(), rel=0.03)


def test_a_replaced_sex_brings_its_covariates():
    drawn = us_adults(covariates={"sex": {"female": "100 %"}}).draw(0, 2048)
    assert set(drawn["sex"]) == {0.0}
    assert drawn["height"].mean() == pytest.approx(161.8, abs=1.0)


def test_a_replaced_weight_keeps_its_rank():
    given = {"weight": {"distribution": "uniform", "lower": "60 kg", "upper": "90 kg"}}
    drawn = us_adults(covariates=given).draw(0, 10_240)
    assert (drawn["weight"].min(), drawn["weight"].max()) == pytest.approx((60.0, 90.0), abs=0.1)
    assert stats.spearmanr(drawn["weight"], drawn["waist"]).statistic > 0.7


def test_effective_n_is_kishs():
    assert fit.effective_n(np.ones(50)) == pytest.approx(50.0)
    assert fit.effective_n(np.array([3.0, 1.0])) == pytest.approx(1.6)


def test_weighted_rank_correlation_is_spearmans_of_repeated_rows():
    rng = np.random.default_rng(3)
    first = rng.integers(0, 20, 200).astype(float)
    second = first + rng.integers(0, 30, 200)
    weights = rng.integers(1, 5, 200)
    repeated = stats.spearmanr(np.repeat(first, weights), np.repeat(second, weights)).statistic
    assert fit.rank_correlation(first, second, weights.astype(float)) == pytest.approx(repeated, abs=1e-12)


def test_weighted_quantiles_of_many_equal_weights_are_numpys():
    values = np.random.default_rng(4).normal(size=20_001)
    p = np.array([0.05, 0.5, 0.95])
    np.testing.assert_allclose(fit.quantiles(values, np.ones(20_001), p), np.quantile(values, p), atol=1e-3)


def test_fit_refuses_a_file_of_other_columns(tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"other\.csv:1: no column cycle, weight_mec"):
        fit.fit(other)
    with pytest.raises(ValueError, match="cannot be read as CSV"):
        fit.fit(tmp_path / "none.csv")


def test_only_library_references_have_targets(tmp_path):
    file = tmp_path / "patients.csv"
    file.write_text("age [year]\n60\n", encoding="utf-8")
    with pytest.raises(ValueError, match="records have no targets"):
        attained(build(None, Recipe(str(file), "random", 1)), 10)
    with pytest.raises(ValueError, match="draw at least 2"):
        attained(us_adults(), 1)
