"""Designs: what their points promise, and what is refused."""

import numpy as np
import pytest
from SALib.sample import sobol

from analysis.sensitivity import basis
from analysis.sensitivity.designs import DESIGNS, design
from analysis.sensitivity.problem import Column, Problem, check, levels
from analysis.sensitivity.quadrature import nodes

SIZES = {"saltelli": 64, "trajectories": 20, "curves": 200, "sample": 64, "quadrature": 2}
MIXED = Problem(
    (
        Column("a", "a", "uniform"),
        Column("b", "b", "normal"),
        Column("g", "g", "levels", (0.2, 0.5, 0.3)),
        Column("c", "c", "uniform"),
    )
)
GROUPED = Problem((Column("a", "ab", "normal"), Column("b", "ab", "normal"), Column("c", "c", "uniform")))
LUCKY = Problem((*GROUPED.columns, Column("chance", "chance", "chance")))


@pytest.mark.parametrize("name", DESIGNS)
def test_points_are_inside_the_cube_and_hang_on_the_seed_alone(name):
    one, two, other = (design(name, MIXED, SIZES[name], seed) for seed in (3, 3, 4))
    assert one.points.shape == (len(one.luck), 4)
    assert ((one.points > 0) & (one.points < 1)).all()
    np.testing.assert_array_equal(one.points, two.points)
    np.testing.assert_array_equal(one.luck, two.luck)
    assert name == "quadrature" or (one.points != other.points).any()


@pytest.mark.parametrize("problem", [MIXED, GROUPED, LUCKY])
def test_saltelli_of_half_the_size_is_its_first_half(problem):
    half, whole = (design("saltelli", problem, size, 7).points for size in (64, 128))
    assert len(half) == 64 * (2 * len(problem.inputs) + 2)
    np.testing.assert_array_equal(half, whole[: len(half)])


def test_saltelli_is_that_of_salib():
    expected = sobol.sample(GROUPED.salib(), 32, calc_second_order=True, seed=5)
    np.testing.assert_allclose(design("saltelli", GROUPED, 32, 5).points, expected, atol=1e-9)


def test_chance_as_an_input_differs_between_a_and_b_and_is_shared_by_rows_that_differ_elsewhere():
    points, luck = design("saltelli", LUCKY, 16, 1)
    assert luck is None
    chance = points.reshape(16, 8, 4)[:, :, 3]
    a, ab, ba, b = chance[:, 0], chance[:, 1:4], chance[:, 4:7], chance[:, 7]
    assert (a != b).all()
    assert (ab[:, :2] == a[:, None]).all() and (ab[:, 2] == b).all()
    assert (ba[:, :2] == b[:, None]).all() and (ba[:, 2] == a).all()


def test_a_sample_of_half_the_size_is_its_first_half():
    half, whole = (design("sample", MIXED, size, 7) for size in (64, 128))
    np.testing.assert_array_equal(half.points, whole.points[:64])
    assert (whole.luck == np.arange(128)).all()


def test_a_trajectory_moves_one_input_at_a_time_by_half_of_its_range():
    points, luck = design("trajectories", GROUPED, 20, 1)
    walks = points.reshape(20, 3, 3)
    assert set(np.unique(points)) == {0.125, 0.375, 0.625, 0.875}
    moved = np.abs(np.diff(walks, axis=1))
    assert set(np.unique(moved)) == {0.0, 0.5}
    assert (moved[:, :, 0] == moved[:, :, 1]).all()  # a group moves together
    assert (moved[:, :, 1:].astype(bool).sum(1) == 1).all()
    assert (luck == np.repeat(np.arange(20), 3)).all()


def test_a_curve_has_one_luck_and_repeats_have_other_phases():
    points, luck = design("curves", MIXED, 257, 1)
    assert len(points) == 4 * 4 * 257
    assert (luck == np.repeat(np.arange(16), 257)).all()
    repeats = points.reshape(4, 4, 257, 4)
    assert (repeats[0] != repeats[1]).any()
    # uniform along a curve, as the arcsine of a sine is
    np.testing.assert_allclose(repeats.mean(2), 0.5, atol=0.03)


def test_quadrature_is_exact_for_products_of_its_polynomials():
    rule = nodes(MIXED, 3)
    numbers, _ = basis.terms(Problem(tuple(c for c in MIXED.columns if c.law != "levels")), 3, truncation=1.0)
    numbers = np.concatenate([np.insert(numbers, 2, function, axis=1) for function in range(3)])
    values = basis.products(basis.basis(MIXED).functions(rule.points, 3), numbers)
    assert len(values) == 20 * 3
    np.testing.assert_allclose(values * rule.weights @ values.T, np.eye(60), atol=1e-12)
    shares = [rule.weights[levels(MIXED.columns[2], rule.points[:, 2]) == level].sum() for level in range(3)]
    np.testing.assert_allclose(shares, [0.2, 0.5, 0.3], rtol=1e-12)
    assert (design("quadrature", MIXED, 3, 0).luck == 0).all()


def test_quadrature_of_categories_alone_is_all_their_combinations():
    both = Problem((Column("g", "g", "levels", (0.2, 0.8)), Column("h", "h", "levels", (0.1, 0.2, 0.7))))
    rule = nodes(both, 1)
    assert len(rule.points) == 6
    np.testing.assert_allclose(rule.weights, [0.02, 0.04, 0.14, 0.08, 0.16, 0.56])


def many(count):
    return Problem(tuple(Column(f"x{i}", f"x{i}", "normal") for i in range(count)))


@pytest.mark.parametrize(
    ("name", "problem", "size", "sentence"),
    [
        ("saltelli", MIXED, 100, "saltelli of size 100 loses its balance.*use 64 or 128"),
        ("sample", MIXED, 0, "sample of size 0 .* use 8 or 16"),
        ("saltelli", many(1), 64, "got only 'x0'; vary two or more"),
        ("trajectories", MIXED, 1, "trajectories of size 1 tell no spread"),
        ("curves", MIXED, 64, "curves of 64 rows are too short for 4 harmonics; use 65 or more"),
        ("curves", many(10), 257, "have 4 slow frequencies for 9 other inputs.*use 577 or more"),
        ("curves", GROUPED, 257, "input 'ab' has 2 of them"),
        ("quadrature", many(40), 3, "needs more than 79040 nodes, 20000 are the most; use a lower level"),
        ("quadrature", MIXED, 15, "level 15 is not offered; use a level from 1 to 14"),
        ("sample", LUCKY, 64, "cannot vary chance as an input; leave that column out"),
        ("grid", MIXED, 64, "design 'grid' is unknown; write one of: saltelli"),
    ],
)
def test_what_does_not_suit_a_design_is_refused(name, problem, size, sentence):
    with pytest.raises(ValueError, match=sentence):
        design(name, problem, size, 1)


def test_the_smallest_curves_that_are_told_are_enough():
    assert len(design("curves", many(10), 577, 1).points) == 4 * 10 * 577


@pytest.mark.parametrize("seed", [-1, 0.5, True, None])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ValueError, match="is no whole number from 0"):
        design("sample", MIXED, 64, seed)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ((), "no columns"),
        ((Column("a", "a", "uniform"), Column("a", "b", "uniform")), "column 'a' is there 2 times"),
        ((Column("a", "a", "log"),), "law 'log'; write one of: uniform"),
        ((Column("a", "a", "levels", (0.5, 0.6)),), "shares .* sum to 1"),
        ((Column("a", "a", "levels"),), "two or more"),
    ],
)
def test_a_problem_that_is_none_is_refused(columns, sentence):
    with pytest.raises(ValueError, match=sentence):
        check(Problem(columns))
