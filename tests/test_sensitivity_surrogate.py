"""Surrogates: exact where they can be, honest where they cannot, and fast."""

import warnings

import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtr, ndtri

from analysis.sensitivity import basis, load, surrogate
from analysis.sensitivity.designs import design
from analysis.sensitivity.problem import Column, Problem, levels
from analysis.sensitivity.surrogate import Surrogate

MIXED = Problem(
    (
        Column("dose", "dose", "uniform"),
        Column("clearance", "clearance", "normal"),
        Column("genotype", "genotype", "levels", (0.1, 0.6, 0.3)),
        Column("idle", "idle", "normal"),
    )
)
EFFECT = np.array([3.0, 0.0, -1.0])


def cubic(u):
    """A polynomial of degree 3 in the columns' own scales."""
    z, effect = ndtri(u[:, 1]), EFFECT[levels(MIXED.columns[2], u[:, 2])]
    return 2 + u[:, 0] ** 2 + 0.5 * z**3 - z * u[:, 0] + effect * (1 + z)


def smooth(u):
    return np.exp(0.4 * ndtri(u[:, 1]) + u[:, 0]) * (2 + EFFECT[levels(MIXED.columns[2], u[:, 2])])


FRESH = design("sample", MIXED, 512, 99).points


@pytest.mark.parametrize("sparse", [False, True])
def test_a_polynomial_is_found_exactly(sparse):
    points = design("sample", MIXED, 512, 1).points
    found = surrogate.fit(MIXED, points, cubic(points), sparse)
    np.testing.assert_allclose(found.predict(FRESH), cubic(FRESH), atol=1e-6)
    assert found.q2 == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("sparse", [False, True])
def test_its_own_error_is_that_on_fresh_points(sparse):
    points = design("sample", MIXED, 256, 1).points
    rng = np.random.default_rng(4)
    found = surrogate.fit(MIXED, points, smooth(points) + rng.normal(0, 0.5, 256), sparse)
    truth = smooth(FRESH) + rng.normal(0, 0.5, 512)
    error = ((found.predict(FRESH) - truth) ** 2).mean() ** 0.5
    # terms chosen for these rows look a little better than they are; 512 fresh points tell 4 %
    assert found.rmse == pytest.approx(error, rel=0.2)
    assert found.q2 == pytest.approx(1 - error**2 / truth.var(), abs=0.05)
    assert 0.5 < error < 0.8


def test_leave_one_out_is_leaving_out_one():
    points = design("sample", MIXED, 64, 2).points
    y = smooth(points)
    found = surrogate.fit(MIXED, points, y)
    functions = basis.basis(MIXED).functions(points, int(found.terms.max()))
    matrix = basis.products(functions, found.terms).T
    errors = []
    for row in range(64):
        others = np.arange(64) != row
        coefficients = np.linalg.lstsq(matrix[others], y[others])[0]
        errors.append(y[row] - matrix[row] @ coefficients)
    assert found.rmse == pytest.approx(np.mean(np.square(errors)) ** 0.5, rel=1e-9)


def test_functions_are_orthonormal():
    nodes, weights = np.polynomial.legendre.leggauss(60)
    points = np.zeros((60, 4)) + (nodes[:, None] + 1) / 2
    functions = basis.basis(MIXED).functions(points, 8)
    np.testing.assert_allclose(functions[0] * weights / 2 @ functions[0].T, np.eye(9), atol=1e-12)
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    points = np.full((20, 4), 0.5)
    points[:, 1] = ndtr(nodes)
    functions = basis.basis(MIXED).functions(points, 8)
    # u next to 1 holds few digits of a far node
    np.testing.assert_allclose(functions[1] * weights / weights.sum() @ functions[1].T, np.eye(9), atol=1e-7)
    middles = np.full((3, 4), 0.5)
    middles[:, 2] = [0.05, 0.4, 0.9]
    steps = basis.basis(MIXED).functions(middles, 2)[2]
    np.testing.assert_allclose(steps * [0.1, 0.6, 0.3] @ steps.T, np.eye(3), atol=1e-12)


def test_outputs_share_terms_and_keep_their_own_rows():
    points = design("sample", MIXED, 256, 1).points
    both = np.stack([cubic(points), smooth(points)], axis=1)
    both[5, 0] = np.nan
    found = surrogate.fit(MIXED, points, both)
    alone = surrogate.fit(MIXED, np.delete(points, 5, 0), np.delete(both[:, 0], 5))
    assert found.predict(FRESH).shape == (512, 2)
    assert found.q2.shape == found.rmse.shape == (2,)
    np.testing.assert_allclose(found.predict(FRESH)[:, 0], alone.predict(FRESH), atol=1e-9)


def test_a_projection_is_the_polynomial_itself_between_its_nodes():
    problem = Problem(
        (Column("a", "a", "normal"), Column("b", "b", "uniform"), Column("c", "c", "levels", (0.5, 0.3, 0.2)))
    )

    def truth(points: np.ndarray) -> np.ndarray:
        a, b, c = ndtri(points[:, 0]), points[:, 1], np.searchsorted([0.5, 0.8], points[:, 2], side="right")
        return 1.0 + a**2 - 3 * b * a + np.array([0.0, 2.0, -1.0])[c] * b

    nodes = design("quadrature", problem, 2, 0).points
    one = load("chaos-quadrature").fit(problem, nodes, truth(nodes)[:, None], size=2)
    points = np.random.default_rng(8).random((200, 3))
    np.testing.assert_allclose(one.predict(points)[:, 0], truth(points), atol=1e-9)
    assert np.isnan(one.rmse).all() and np.isnan(one.q2).all()


def test_it_comes_back_from_zarr_to_the_bit(tmp_path):
    points = design("sample", MIXED, 128, 1).points
    for outputs in (smooth(points), np.stack([cubic(points), smooth(points)], axis=1)):
        found = surrogate.fit(MIXED, points, outputs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a string coordinate's type is newer than Zarr's specification
            found.to_dataset().to_zarr(tmp_path / "s.zarr", mode="w", consolidated=False)
            again = Surrogate.from_dataset(xr.open_zarr(tmp_path / "s.zarr", consolidated=False).load())
        assert again.columns == ("dose", "clearance", "genotype", "idle")
        assert again.basis.laws == found.basis.laws
        np.testing.assert_array_equal(again.predict(FRESH), found.predict(FRESH))
        np.testing.assert_array_equal(again.q2, found.q2)


def test_prediction_needs_no_chaospy(monkeypatch):
    points = design("sample", MIXED, 128, 1).points
    found = surrogate.fit(MIXED, points, cubic(points))
    expected = found.predict(FRESH)
    monkeypatch.setattr(basis, "chaospy", None)
    np.testing.assert_array_equal(found.predict(FRESH), expected)
    assert found.predict(FRESH[:1]).shape == (1,)


def test_a_level_that_no_row_takes_adds_no_terms():
    rare = Problem((Column("x", "x", "uniform"), Column("g", "g", "levels", (0.001, 0.499, 0.5))))
    points = design("sample", rare, 64, 1).points
    assert (points[:, 1] > 0.001).all()
    y = points[:, 0] + levels(rare.columns[1], points[:, 1])
    for sparse in (False, True):
        found = surrogate.fit(rare, points, y, sparse)
        np.testing.assert_allclose(found.predict(points), y, atol=1e-6)
        assert np.abs(found.coefficients).max() < 10


def test_too_few_lives_are_refused_with_the_number_that_is_enough():
    points = design("sample", MIXED, 8, 1).points
    with pytest.raises(ValueError, match="8 lives are too few for 6 terms of degree 1 in 4 columns; use 12 or more"):
        surrogate.fit(MIXED, points, smooth(points))


@pytest.mark.parametrize("sparse", [False, True])
def test_a_constant_is_no_output_of_a_surrogate(sparse):
    with pytest.raises(ValueError, match="the same for all"):
        surrogate.fit(MIXED, FRESH, np.full(512, 0.1), sparse)


def test_a_column_of_luck_is_refused():
    lucky = Problem((Column("x", "x", "uniform"), Column("chance", "chance", "chance")))
    with pytest.raises(ValueError, match="on which outputs are not smooth"):
        surrogate.fit(lucky, np.full((64, 2), 0.5), np.arange(64.0))
