"""The independent inputs of a population, and what is not known of it, at chosen points."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from populations.inputs import Quantiles, points_of
from populations.population import Recipe, build
from solvers import twins

WARFARIN = twins.load("warfarin-inr")
RECIPE = Recipe("us-adults", "sobol", 5)


def test_the_points_of_patients_give_the_same_patients():
    population = build(WARFARIN, RECIPE)
    drawn = population.draw(1000, 1100)  # across a panel's end
    at = population.patients(population.points(1000, 1100))
    assert list(at) == list(drawn)
    for name, values in drawn.items():
        np.testing.assert_array_equal(at[name], values)


def test_every_input_is_a_coordinate_of_the_points():
    population = build(WARFARIN, RECIPE)
    assert population.points(0, 10).shape == (10, len(population.inputs))
    names = [one.name for one in population.inputs]
    assert len(set(names)) == len(names)
    assert {"sex", "age", "cyp2c9", "vkorc1", "ec50"} <= set(names)
    assert "steepness" not in names  # a parameter that all share is no input
    for one in population.inputs:
        assert (one.law == "levels") == bool(one.levels)
        if one.levels:
            assert sum(one.shares) == pytest.approx(1.0, abs=1e-6)


def test_an_input_of_correlated_parameters_says_given_what():
    recipe = dataclasses.replace(RECIPE, correlations={"clearance ~ ec50": "0.5"})
    titles = {one.name: one.title for one in build(WARFARIN, recipe).inputs}
    assert titles["clearance"] == "clearance"
    assert titles["ec50"] == "ec50, given clearance"


def test_points_of_another_length_are_refused():
    population = build(WARFARIN, RECIPE)
    with pytest.raises(ValueError, match="give one column for each"):
        population.patients(np.full((3, 2), 0.5))
    with pytest.raises(ValueError, match="give one number for each"):
        population.patients(population.points(0, 3), unknown=np.full(2, 0.5))


def test_the_middle_of_what_is_not_known_is_the_point_estimate():
    population = build(WARFARIN, RECIPE)
    points = population.points(0, 200)
    estimate = population.patients(points)
    middle = population.patients(points, unknown=np.full(len(population.unknowns), 0.5))
    for name in ("clearance", "ec50", "transit_time2"):
        np.testing.assert_allclose(middle[name], estimate[name], rtol=1e-9)


def test_what_is_not_known_has_the_spread_that_the_draws_have():
    population = build(WARFARIN, RECIPE)
    rng = np.random.default_rng(3)
    at = [population.learned(point) for point in rng.random((400, len(population.unknowns)))]
    drawn = [population.learned(draw) for draw in range(1, 401)]
    for name in ("ec50", "cyp2c9"):
        mine, theirs = (np.stack([one[name] for one in each]) for each in (at, drawn))
        # Two samples of 400 of the same law: Kolmogorov-Smirnov at a level of 1 in 10,000.
        for column in range(mine.shape[1]):
            assert stats.ks_2samp(mine[:, column], theirs[:, column]).pvalue > 1e-4
    location = np.stack([one["ec50"] for one in at])[:, 0]
    assert location.std() == pytest.approx(1 / np.sqrt(150), rel=0.15)  # Hamberg 2007 had 150 patients


def test_only_its_own_coordinates_move_an_unknown():
    population = build(WARFARIN, RECIPE)
    names = [one.name for one in population.unknowns]
    middle = np.full(len(names), 0.5)
    moved = middle.copy()
    moved[names.index("ec50: location")] = 0.9
    before, after = population.learned(middle), population.learned(moved)
    assert after["ec50"][0] > before["ec50"][0]
    for name in before:
        if name != "ec50":
            np.testing.assert_array_equal(after[name], before[name])


@settings(derandomize=True, deadline=None)
@given(st.lists(st.floats(1e-6, 1 - 1e-6), min_size=4, max_size=4), st.floats(0.1, 50))
def test_quantiles_are_those_of_the_distributions(points, shape):
    numbers = Quantiles(np.array(points))
    normal = numbers.standard_normal(2)
    np.testing.assert_allclose(normal, stats.norm.ppf(points[:2]), rtol=1e-9, atol=1e-12)
    gammas = numbers.standard_gamma(np.array([shape, 0.0]))
    assert gammas[0] == pytest.approx(stats.gamma.ppf(points[2], shape), rel=1e-6)
    assert gammas[1] == 0.0
    assert numbers.taken == 4
    with pytest.raises(ValueError, match="5 points are needed, got 4"):
        numbers.standard_normal()


@settings(derandomize=True, deadline=None)
@given(st.floats(-40, 40))
def test_points_of_scores_lie_inside_the_cube(score):
    point = points_of(np.array([score]))[0]
    assert 0.0 < point < 1.0
