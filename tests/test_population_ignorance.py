"""Uncertainty draws: the same points through distributions that may as well be so."""

import numpy as np
import pytest

from populations.population import Recipe, build
from solvers.twin import Parameter
from solvers.twins.warfarin_inr import twin as warfarin

DRAWS = range(1, 301)
# Relative standard error of a standard deviation over 300 draws is 1 / sqrt(600) = 4 %; tests allow three of them.
THREE_SE = 0.125


def population(reference="us-adults", twin=warfarin, **rest):
    return build(twin, Recipe(reference, "sobol", 11, **rest))


def over_draws(people, name, statistic, size=1024):
    return np.array([statistic(people.draw(0, size, draw)[name]) for draw in DRAWS])


@pytest.fixture(scope="module")
def people():
    return population()


def test_location_of_a_parameter_spreads_as_its_sd_over_root_n(people):
    sd = np.sqrt(np.log(1 + 0.31**2))
    means = over_draws(people, "clearance", lambda x: np.log(x).mean())
    assert means.std() == pytest.approx(sd / np.sqrt(150), rel=THREE_SE)
    assert means.mean() == pytest.approx(np.log(0.314), abs=3 * sd / np.sqrt(150 * 300))


def test_spread_of_a_parameter_is_as_uncertain_as_n_people_leave_it(people):
    log_sds = over_draws(people, "clearance", lambda x: np.log(np.log(x).std()))
    assert log_sds.std() == pytest.approx(1 / np.sqrt(2 * 149), rel=THREE_SE)


def test_shares_spread_as_dirichlet(people):
    shares = over_draws(people, "cyp2c9", lambda x: np.mean(x == 0.0))
    assert shares.std() == pytest.approx(np.sqrt(0.587 * 0.413 / 151), rel=THREE_SE)


def test_reference_means_spread_as_their_effective_n(people):
    # 13,397 people by weight, 10.14 cm; drawing by cells takes the part between sexes and ages from shares.
    means = over_draws(people, "height", np.mean)
    assert means.std() == pytest.approx(10.14 / np.sqrt(13_397 * 0.94), rel=2 * THREE_SE)
    shares = over_draws(people, "sex", np.mean)
    assert shares.std() == pytest.approx(np.sqrt(0.25 / 13_397), rel=2 * THREE_SE)


def test_published_relative_standard_errors_are_used():
    given = {
        "steepness": {"relative_se": "8 %"},
        "clearance": {"relative_se": "5 %"},
        "age_slope": {"typical": "-0.01 1/year", "relative_se": "10 %"},
    }
    people = population(parameters=given)
    steepness = over_draws(people, "steepness", lambda x: np.log(x[0]), 1)
    clearance = over_draws(people, "clearance", lambda x: np.log(x).mean())
    slope = over_draws(people, "age_slope", lambda x: x[0], 1)
    assert steepness.std() == pytest.approx(np.sqrt(np.log(1 + 0.08**2)), rel=THREE_SE)
    assert clearance.std() == pytest.approx(np.sqrt(np.log(1 + 0.05**2)), rel=THREE_SE)
    assert slope.std() == pytest.approx(0.001, rel=THREE_SE)


def test_a_fixed_parameter_without_standard_error_is_known(people):
    assert {people.draw(0, 1, draw)["steepness"][0] for draw in (0, 1, 2)} == {0.424}


def test_a_study_may_say_how_many_people_it_knows():
    covariates = {
        "vkorc1": {"GG": "50 %", "GA": "50 %", "subjects": "40"},
        "age": {"distribution": "normal", "mean": "60 years", "sd": "10 years", "subjects": "25"},
        "weight": {"distribution": "normal", "mean": "80 kg", "sd": "10 kg"},
    }
    people = population(covariates=covariates)
    assert over_draws(people, "age", np.mean).std() == pytest.approx(10 / 5, rel=THREE_SE)
    assert over_draws(people, "vkorc1", np.mean).std() == pytest.approx(np.sqrt(0.25 / 41), rel=THREE_SE)
    # Nothing said: nothing unknown, but for what the reference leaves open of its rank.
    assert over_draws(people, "weight", np.mean).std() < 0.3


def test_draw_zero_is_the_point_estimate_and_the_others_share_its_points(people):
    point, first = (people.draw(0, 1024, draw) for draw in (0, 1))
    assert not np.array_equal(point["clearance"], first["clearance"])
    # Common random numbers: the order of the patients stays, only the scale moves.
    np.testing.assert_array_equal(np.argsort(point["clearance"]), np.argsort(first["clearance"]))


def test_uncertainty_draws_differ(people):
    assert len({float(people.draw(0, 1, draw)["clearance"][0]) for draw in range(50)}) == 50


def test_rows_of_records_are_resampled_by_the_bayesian_bootstrap(tmp_path):
    ages = np.random.default_rng(5).normal(60, 10, 100)
    file = tmp_path / "patients.csv"
    file.write_text("age [year]\n" + "\n".join(f"{age:.6f}" for age in ages) + "\n", encoding="utf-8")
    people = population(str(file))
    # A share of Dirichlet(1, ..., 1) over n rows: the mean has variance s^2 / (n + 1).
    assert over_draws(people, "age", np.mean).std() == pytest.approx(ages.std() / np.sqrt(101), rel=THREE_SE)


def test_records_are_resampled_apart_from_the_parameters(tmp_path):
    clearances = []
    for rows in (10, 50):
        file = tmp_path / f"{rows}.csv"
        file.write_text("age [year]\n" + "60\n" * rows, encoding="utf-8")
        clearances.append(population(str(file)).draw(0, 100, 4)["clearance"])
    np.testing.assert_array_equal(*clearances)


def test_a_single_person_leaves_finite_patients():
    lonely = Parameter("a", "L", 1.0, "a test", "assumed", spread=warfarin.parameters[1].spread, subjects=1)
    drawn = population(twin=warfarin._replace(parameters=(lonely,), covariates=())).draw(0, 100, 2)
    assert np.all(np.isfinite(drawn["a"]))
