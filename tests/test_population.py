import itertools
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from populations.attained import attained
from populations.population import Recipe, Variable, build, references
from solvers.twin import Covariate, Parameter, Spread, log_normal
from solvers.twins.warfarin_inr import twin as warfarin

SEED = 20261122


def recipe(**rest):
    return Recipe(**{"reference": "us-adults", "sampling": "sobol", "seed": SEED, **rest})


def parameter(name="drift", unit="L", typical=1.0, **rest):
    return Parameter(name, unit, typical, "a test", "assumed", **rest)


def twin_with(*parameters, covariates=()):
    """A twin of these parameters and covariates; nothing here asks it to live."""
    return warfarin._replace(parameters=parameters, covariates=covariates)


def variable(population, name) -> Variable:
    return next(one for one in population.variables if one.name == name)


def same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


POPULATIONS = {sampling: build(warfarin, recipe(sampling=sampling)) for sampling in ("random", "sobol", "halton")}


@pytest.mark.parametrize("sampling", POPULATIONS)
@settings(derandomize=True, deadline=None, max_examples=15)
@given(
    cuts=st.lists(st.integers(0, 2500), min_size=2, max_size=5).map(sorted),
    draw=st.integers(0, 2),
)
def test_any_split_of_the_range_gives_identical_bits(sampling, cuts, draw):
    population = POPULATIONS[sampling]
    whole = population.draw(cuts[0], cuts[-1], draw)
    parts = [population.draw(a, b, draw) for a, b in itertools.pairwise(cuts)]
    same(whole, {name: np.concatenate([part[name] for part in parts]) for name in whole})


def test_more_patients_never_change_the_first_ones():
    population = POPULATIONS["sobol"]
    few, many = population.draw(0, 100), population.draw(0, 5000)
    same(few, {name: values[:100] for name, values in many.items()})


@pytest.mark.parametrize("draw", [0, 3])
def test_patients_do_not_depend_on_what_was_drawn_before(draw):
    first = POPULATIONS["sobol"].draw(1000, 1100, draw)
    again = build(warfarin, recipe(seed=SEED + 1))
    again.draw(0, 3000)
    same(pickle.loads(pickle.dumps(build(warfarin, recipe()))).draw(1000, 1100, draw), first)


def test_what_is_drawn_belongs_to_the_caller():
    population = POPULATIONS["sobol"]
    first = population.draw(0, 10)
    first["age"][:] = -1.0
    assert population.draw(0, 10)["age"].min() >= 18.0


def test_every_variable_is_drawn_as_one_finite_float_a_patient():
    population = POPULATIONS["sobol"]
    drawn = population.draw(5, 1500)
    assert list(drawn) == [one.name for one in population.variables]
    for name, values in drawn.items():
        assert values.dtype == np.float64, name
        assert values.shape == (1495,), name
        assert np.all(np.isfinite(values)), name


def test_the_twin_gets_all_that_it_needs():
    assert warfarin.typical().keys() <= POPULATIONS["sobol"].draw(0, 1).keys()


def test_an_empty_range_is_empty():
    assert {values.shape for values in POPULATIONS["sobol"].draw(7, 7).values()} == {(0,)}


@pytest.mark.parametrize(("start", "stop", "draw"), [(-1, 5, 0), (5, 4, 0), (0, 5, -1)])
def test_a_range_that_is_none_is_refused(start, stop, draw):
    with pytest.raises(ValueError, match="are no range"):
        POPULATIONS["sobol"].draw(start, stop, draw)


def test_parameters_attain_their_published_distributions():
    drawn = POPULATIONS["sobol"].draw(0, 8192)
    # Hamberg 2007: clearance 0.314 L/h, CV 31 %; a scrambled Sobol panel integrates smooth functions to about 1e-4.
    log = np.log(drawn["clearance"])
    assert np.exp(log.mean()) == pytest.approx(0.314, rel=1e-3)
    assert log.std() == pytest.approx(np.sqrt(np.log(1 + 0.31**2)), rel=5e-3)
    assert np.unique(drawn["steepness"]).tolist() == [0.424]


def test_frequencies_of_the_twin_are_attained():
    drawn = POPULATIONS["sobol"].draw(0, 10240)
    shares = np.bincount(drawn["cyp2c9"].astype(int), minlength=6) / 10240
    # Each panel is balanced to one point in 1,024.
    np.testing.assert_allclose(shares, [0.587, 0.173, 0.167, 0.033, 0.027, 0.013], atol=1e-3)


def test_covariates_and_parameters_are_not_correlated_by_accident():
    drawn = POPULATIONS["sobol"].draw(0, 10240)
    for one in ("clearance", "ec50", "cyp2c9"):
        assert abs(stats.spearmanr(drawn["age"], drawn[one]).statistic) < 0.02


def test_rank_correlations_of_a_study_are_attained():
    wanted = {"clearance ~ central_volume": "0.6", "clearance ~ ec50": "-30 %"}
    drawn = build(warfarin, recipe(correlations=wanted)).draw(0, 10240)
    assert stats.spearmanr(drawn["clearance"], drawn["central_volume"]).statistic == pytest.approx(0.6, abs=0.01)
    assert stats.spearmanr(drawn["clearance"], drawn["ec50"]).statistic == pytest.approx(-0.3, abs=0.01)
    assert stats.spearmanr(drawn["ec50"], drawn["transit_time1"]).statistic == pytest.approx(0.0, abs=0.02)
    # Joining leaves each variable its own distribution.
    assert np.log(drawn["ec50"]).std() == pytest.approx(np.sqrt(np.log(1 + 0.409**2)), rel=0.01)


def test_a_parameter_can_be_told_otherwise():
    changes = {
        "clearance": {"typical": "10 mL/min", "cv": "10 %"},
        "ec50": {"distribution": "uniform", "lower": "2 mg/L", "upper": "3 mg/L"},
        "steepness": {"typical": "0.5"},
        "central_volume": {"cv": "0 %"},
        "base": {"typical": "1.1", "cv": "5 %"},
    }
    population = build(warfarin, recipe(parameters=changes))
    drawn = population.draw(0, 4096)
    assert np.median(drawn["clearance"]) == pytest.approx(0.6, rel=0.01)
    assert drawn["clearance"].std() / drawn["clearance"].mean() == pytest.approx(0.1, rel=0.02)
    assert (drawn["ec50"].min(), drawn["ec50"].max()) == pytest.approx((2.0, 3.0), abs=0.01)
    assert set(drawn["steepness"]) == {0.5}
    assert set(drawn["central_volume"]) == {13.8}
    assert drawn["base"].std() == pytest.approx(0.055, rel=0.02)
    assert variable(population, "clearance").evidence == "assumed"
    assert variable(population, "clearance").description == "log-normal, median 0.6 L/h, CV 10 %"
    assert variable(population, "peripheral_volume").evidence == "published"


def test_each_kind_of_spread_is_drawn_around_its_typical_value():
    twin = twin_with(
        parameter("a", typical=-2.0, spread=Spread("normal", 0.5)),
        parameter("b", unit="1", typical=0.9, spread=Spread("logit-normal", 0.8)),
        parameter("c", typical=3.0, spread=log_normal(sd=0.2)),
        parameter("d", spread=Spread("normal", 0.0)),
    )
    drawn = build(twin, recipe()).draw(0, 4096)
    logit = np.log(drawn["b"] / (1.0 - drawn["b"]))
    assert (drawn["a"].mean(), drawn["a"].std()) == pytest.approx((-2.0, 0.5), rel=0.01)
    assert (logit.mean(), logit.std()) == pytest.approx((np.log(9.0), 0.8), rel=0.01)
    assert (np.log(drawn["c"]).mean(), np.log(drawn["c"]).std()) == pytest.approx((np.log(3.0), 0.2), rel=0.01)
    assert set(drawn["d"]) == {1.0}


def test_covariates_come_in_the_units_and_levels_of_the_twin():
    covariates = (
        Covariate("weight", "g", 7e4, "a test", "assumed"),
        Covariate("sex", "1", "male", "a test", "assumed", levels=("male", "female")),
    )
    population = build(twin_with(parameter(), covariates=covariates), recipe())
    drawn, reference = population.draw(0, 500), build(None, recipe()).draw(0, 500)
    assert variable(population, "weight").unit == "g"
    assert variable(population, "sex").levels == ("male", "female")
    np.testing.assert_allclose(drawn["weight"], 1000.0 * reference["weight"], rtol=1e-12)
    np.testing.assert_array_equal(drawn["sex"], 1.0 - reference["sex"])


def test_a_parameter_takes_the_place_of_a_covariate_of_its_name():
    twin = twin_with(parameter("heart_rate", "1/min", 70.0, spread=log_normal(cv=0.1)))
    population = build(twin, recipe())
    assert [one.kind for one in population.variables if one.name == "heart_rate"] == ["parameter"]
    assert np.median(population.draw(0, 1024)["heart_rate"]) == pytest.approx(70.0, rel=1e-3)
    assert not any("heart_rate" in row.name for row in attained(population, 100))


def test_a_covariate_that_only_the_study_knows_comes_along():
    own = {
        "ejection_fraction": {"distribution": "beta", "a": "8", "b": "4", "lower": "10 %", "upper": "80 %"},
        "height_of_home": {"distribution": "uniform", "lower": "0 m", "upper": "4 km"},
        "smoking": {"never": "60 %", "ever": "40 %"},
    }
    population = build(None, recipe(covariates=own, correlations={"ejection_fraction ~ height_of_home": "0.5"}))
    drawn = population.draw(0, 2048)
    assert variable(population, "height_of_home").unit == "m"
    assert drawn["height_of_home"].max() == pytest.approx(4000.0, rel=0.01)
    assert variable(population, "smoking").levels == ("never", "ever")
    assert drawn["smoking"].mean() == pytest.approx(0.4, abs=0.002)
    assert stats.spearmanr(drawn["ejection_fraction"], drawn["height_of_home"]).statistic == pytest.approx(
        0.5, abs=0.02
    )


def test_genotype_shares_of_a_study_replace_the_published_ones():
    population = build(warfarin, recipe(covariates={"cyp2c9": {"*1*3": "100 %"}}))
    assert set(population.draw(0, 100)["cyp2c9"]) == {2.0}
    assert variable(population, "cyp2c9").evidence == "assumed"


def test_fingerprint_knows_all_that_the_patients_depend_on():
    recipes = [
        recipe(),
        recipe(seed=1),
        recipe(sampling="random"),
        recipe(covariates={"age": {"distribution": "normal", "mean": "60 years", "sd": "9 years"}}),
        recipe(covariates={"cyp2c9": {"*1*1": "100 %"}}),
        recipe(parameters={"clearance": {"cv": "20 %"}}),
        recipe(parameters={"clearance": {"subjects": "40"}}),
        recipe(parameters={"steepness": {"relative_se": "4 %"}}),
        recipe(correlations={"clearance ~ ec50": "0.2"}),
        recipe(correlations={"clearance ~ ec50": "0.3"}),
    ]
    prints = [build(warfarin, one).fingerprint() for one in recipes]
    assert len(set(prints)) == len(recipes)
    assert build(warfarin, recipe()).fingerprint() == prints[0]
    assert json.loads(prints[0])["seed"] == SEED


def test_the_library_offers_us_adults():
    assert "us-adults" in references()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reference": "us-adult"}, "reference 'us-adult' is not known; write one of: type-1-adults, us-adults"),
        ({"sampling": "sobool"}, "sampling 'sobool' is not known"),
        ({"seed": -3}, "seed -3 is no whole number"),
        ({"columns": {"age": "age"}}, "columns and weight are of records"),
        ({"parameters": {"clearence": {"cv": "3 %"}}}, "parameter 'clearence' is not known; write one of: absorption"),
        ({"parameters": {"clearance": {"cw": "3 %"}}}, "parameter 'clearance': 'cw' is not known; write typical, cv"),
        ({"parameters": {"clearance": {"typical": "3"}}}, "parameter 'clearance': typical: '3' has no unit"),
        ({"parameters": {"clearance": {"typical": "-3 L/h"}}}, "parameter 'clearance': median is -3"),
        ({"parameters": {"clearance": {"cv": "-3 %"}}}, "parameter 'clearance': cv is -3 %"),
        ({"parameters": {"clearance": {"cv": "3 %", "sd": "1"}}}, "both cv and sd"),
        ({"parameters": {"clearance": {"subjects": "1"}}}, "subjects: '1' is no number of people"),
        ({"parameters": {"clearance": {"relative_se": "-1 %"}}}, "relative_se is -0.01"),
        ({"covariates": {"clearance": {"cv": "3 %"}}}, "covariate 'clearance' is a parameter of the twin"),
        ({"covariates": {"age": {"mean": "3 years"}}}, "covariate 'age': a number without a distribution"),
        ({"covariates": {"sex": {"woman": "100 %"}}}, "covariate 'sex': level 'woman' is not known"),
        (
            {"covariates": {"vkorc1": {"distribution": "normal"}}},
            "covariate 'vkorc1': a distribution, but it has levels",
        ),
        (
            {"covariates": {"bmi": {"distribution": "uniform", "lower": "1 kg/m^2", "upper": "2 kg/m^2"}}},
            "replace those",
        ),
        ({"correlations": {"clearance": "0.3"}}, "correlation 'clearance' joins no two variables"),
        ({"correlations": {"clearance ~ ec50": "1.3"}}, "between -1 and 1"),
        ({"correlations": {"clearance ~ ec50": "0.1", "ec50 ~ clearance": "0.1"}}, "is there twice"),
        ({"correlations": {"clearance ~ height": "0.3"}}, "'height' comes from us-adults"),
        ({"correlations": {"clearance ~ steepness": "0.3"}}, "'steepness' is the same for all patients"),
        ({"correlations": {"clearance ~ vkorc1": "0.3"}}, "'vkorc1' is categorical"),
        ({"correlations": {"clearance ~ volume": "0.3"}}, "'volume' is not known; those that can be correlated are"),
        (
            {
                "correlations": {
                    "clearance ~ ec50": "0.9",
                    "ec50 ~ transit_time1": "0.9",
                    "clearance ~ transit_time1": "-0.9",
                }
            },
            "contradict each other",
        ),
    ],
)
def test_a_recipe_that_does_not_fit_says_why(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        build(warfarin, recipe(**changes))


def test_a_covariate_that_nobody_gives_is_refused_by_name():
    covariates = (Covariate("ejection_fraction", "%", 60.0, "a test", "assumed"),)
    with pytest.raises(
        ValueError, match=r"covariate 'ejection_fraction' \[%\], which the twin needs, is not in us-adults"
    ):
        build(twin_with(parameter(), covariates=covariates), recipe())


def test_levels_that_the_reference_lacks_are_refused():
    covariates = (Covariate("sex", "1", "f", "a test", "assumed", levels=("f", "m")),)
    with pytest.raises(ValueError, match="covariate 'sex' has levels female, male, and the twin's are f, m"):
        build(twin_with(parameter(), covariates=covariates), recipe())
