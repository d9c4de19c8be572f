import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from populations import copula


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(2, 8).flatmap(lambda n: st.lists(st.floats(-1, 1), min_size=n * n, max_size=n * n)))
def test_nearest_correlation_is_positive_definite_with_unit_diagonal(numbers):
    n = int(np.sqrt(len(numbers)))
    matrix = np.array(numbers).reshape(n, n)
    matrix = (matrix + matrix.T) / 2.0
    np.fill_diagonal(matrix, 1.0)
    repaired = copula.nearest_correlation(matrix)
    np.testing.assert_allclose(np.diag(repaired), 1.0, atol=1e-12)
    np.testing.assert_array_equal(repaired, repaired.T)
    np.linalg.cholesky(repaired)


def test_nearest_correlation_is_highams():
    # Higham 2002, section 4: the matrix nearest to (1 1 0; 1 1 1; 0 1 1).
    repaired = copula.nearest_correlation(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]))
    expected = [[1.0, 0.7607, 0.1573], [0.7607, 1.0, 0.7607], [0.1573, 0.7607, 1.0]]
    np.testing.assert_allclose(repaired, expected, atol=2e-4)


def test_a_correlation_matrix_is_its_own_nearest():
    matrix = np.array([[1.0, 0.3], [0.3, 1.0]])
    np.testing.assert_array_equal(copula.nearest_correlation(matrix), matrix)


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.0, 0.5, 0.95])
def test_scores_attain_the_rank_correlation(rho):
    z = np.random.default_rng(1).standard_normal((2, 100_000))
    cholesky = copula.factor(["a", "b"], np.array([[1.0, rho], [rho, 1.0]]))
    first, second = copula.correlate(cholesky, list(z))
    # Standard error of a rank correlation of 100,000 pairs: 0.003.
    assert stats.spearmanr(first, second).statistic == pytest.approx(rho, abs=0.012)


def test_contradicting_correlations_are_refused_by_their_pairs():
    spearman = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    with pytest.raises(ValueError, match=r"a ~ b: 0.9; a ~ c: -0.9; b ~ c: 0.9 contradict each other"):
        copula.factor(["a", "b", "c"], spearman)
