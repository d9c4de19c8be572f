"""Gaussian copula: rank correlations turned into correlated standard normal scores."""

import math
from collections.abc import Sequence

import numpy as np

# Smallest eigenvalue that a repaired correlation matrix keeps, so that its Cholesky factor exists.
LEAST_EIGENVALUE = 1e-6


def pearson_of_spearman(rho: np.ndarray) -> np.ndarray:
    """Correlation of the normal scores whose rank correlation is `rho`.

        r = 2 sin(pi rho / 6)

    Exact for the Gaussian copula. Kruskal 1958, J Am Stat Assoc 53:814.
    """
    return 2.0 * np.sin(math.pi / 6.0 * np.asarray(rho, float))


def nearest_correlation(matrix: np.ndarray, iterations: int = 200) -> np.ndarray:
    """The positive definite correlation matrix nearest to a symmetric `matrix`, (n, n).

    Alternating projections with Dykstra's correction; the last step bounds the eigenvalues from below.
    Higham 2002, IMA J Numer Anal 22:329, algorithm 3.3.
    """
    current = np.array(matrix, float)
    if np.linalg.eigvalsh(current)[0] >= LEAST_EIGENVALUE:
        return current
    correction = np.zeros_like(current)
    for _ in range(iterations):
        shifted = current - correction
        projected = _eigenvalues_at_least(shifted, LEAST_EIGENVALUE)
        correction = projected - shifted
        step = projected.copy()
        np.fill_diagonal(step, 1.0)
        if np.max(np.abs(step - current)) < 1e-10:
            break
        current = step
    # The unit diagonal was restored last: project once more and scale, which keeps the matrix definite.
    current = _eigenvalues_at_least(current, LEAST_EIGENVALUE)
    scale = 1.0 / np.sqrt(np.diag(current))
    scaled = current * scale[:, None] * scale[None, :]
    return (scaled + scaled.T) / 2.0


def _eigenvalues_at_least(matrix: np.ndarray, least: float) -> np.ndarray:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2.0)
    return (vectors * np.maximum(values, least)) @ vectors.T


def factor(names: Sequence[str], spearman: np.ndarray) -> np.ndarray:
    """Lower Cholesky factor (n, n) of the normal scores with these rank correlations.

    Raises ValueError, naming the pairs, where no joint distribution has them.
    """
    pearson = pearson_of_spearman(spearman)
    np.fill_diagonal(pearson, 1.0)
    least = np.linalg.eigvalsh(pearson)[0]
    if least < LEAST_EIGENVALUE:
        pairs = [
            f"{names[i]} ~ {names[j]}: {spearman[i, j]:g}"
            for i in range(len(names))
            for j in range(i + 1, len(names))
            if spearman[i, j] != 0.0
        ]
        raise ValueError(
            f"the correlations {'; '.join(pairs)} contradict each other (smallest eigenvalue {least:.3g}); "
            "bring them nearer to 0, or give the pairs that are left out"
        )
    return np.linalg.cholesky(pearson)


def correlate(cholesky: np.ndarray, scores: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Independent standard normal `scores`, n of (patient,), correlated by `cholesky`.

    cholesky: (n, n), or (n, n, patient) where each patient has one.
    """
    # Sums in a fixed order rather than BLAS, whose bits depend on the number of patients.
    correlated = []
    for i in range(len(scores)):
        total = cholesky[i, 0] * scores[0]
        for j in range(1, i + 1):
            total = total + cholesky[i, j] * scores[j]
        correlated.append(total)
    return correlated
