"""Probability that one of several correlated normal or t statistics lies beyond its limit."""

from typing import Any

import numpy as np
from scipy import special, stats

from analysis.statistics.arrays import plain

TAIL = 9.5  # of the normal distribution; 1e-21 lies beyond
DENSE = 5  # dimensions that nested quadrature can bear


def correlation(matrix: Any, size: int) -> np.ndarray:
    """A matrix of correlations, (size, size). Raises ValueError where it is none."""
    found = plain(matrix, "correlation", "statistic", "other")
    if found.shape != (size, size):
        raise ValueError(f"the correlation has shape {found.shape} for {size} statistics; give a row and a column each")
    known = ~np.isnan(found)
    if not np.allclose(np.diagonal(found), 1.0, rtol=0, atol=1e-9) or (np.abs(found[known]) > 1.0 + 1e-9).any():
        raise ValueError("the correlation has numbers beyond 1, or another diagonal than 1; give correlations")
    if not np.allclose(found, found.T, rtol=0, atol=1e-9, equal_nan=True):
        raise ValueError("the correlation is not symmetric; give the same number on both sides of the diagonal")
    if known.all() and np.linalg.eigvalsh(found)[0] < -1e-8:
        raise ValueError("the correlation has a negative eigenvalue; no statistics can be so correlated")
    return found


def beyond(limits: Any, factors: Any, df: float = np.inf, sided: int = 1) -> np.ndarray:
    """P(any T_i > u_i), or P(any |T_i| > u_i) with two sides, where the correlation of i and j is b_i b_j.

        1 - int int prod_i Phi((u_i s - b_i z) / sqrt(1 - b_i^2)) phi(z) dz f(s) ds,   s^2 ~ chi2(df) / df

    Many comparisons with one control have such correlations, b_i = sqrt(n_i / (n_i + n_0)). limits: (..., comparison);
    factors b: (comparison,), between -1 and 1. Gauss-Legendre quadrature; error below 1e-10.
    Dunnett 1955, J Am Stat Assoc 50:1096.
    """
    u, b = np.asarray(limits, dtype=float), np.asarray(factors, dtype=float)
    c = np.sqrt(1.0 - b**2)
    # The narrower the steps of Phi in z, the more panels.
    z, weight = _panels(np.linspace(-TAIL, TAIL, int(np.ceil(10 * max(1.0, 0.5 / c.min()))) + 1))
    weight = weight * stats.norm.pdf(z)
    scale, mass = _scales(df)
    flat = u.reshape(-1, len(b))
    result = np.empty(len(flat))
    shift, size = b * z[:, None], scale[:, None, None]
    for i, row in enumerate(flat):
        upper = (row * size - shift) / c
        if sided == 2:
            lower = (-row * size - shift) / c
            inside = np.log1p(-np.minimum(special.ndtr(-upper) + special.ndtr(lower), 1.0 - 1e-16))
        else:
            inside = special.log_ndtr(upper)
        # 1 - prod as expm1 keeps the digits of small probabilities
        result[i] = mass @ (-np.expm1(inside.sum(-1)) @ weight)
    return np.clip(result.reshape(u.shape[:-1]), 0.0, 1.0)


def any_beyond(limits: np.ndarray, matrix: np.ndarray, df: float = np.inf) -> float:
    """P(any T_i > u_i) for any correlation. limits: (statistic,); matrix: (statistic, statistic).

    Of product form by `beyond`; else nested Gauss-Legendre quadrature to 5 statistics (error below 1e-8 where no
    correlation is near 1), and Genz' lattice rule with fixed points beyond (error about 1e-6). Genz & Bretz 2009.
    """
    limits, matrix = _distinct(limits, matrix)
    if len(limits) == 1:
        return float(stats.t.sf(limits[0], df) if np.isfinite(df) else stats.norm.sf(limits[0]))
    factors = _factors(matrix)
    if factors is not None:
        return float(beyond(limits, factors, df))
    scale, mass = _scales(df)
    inside = _nested if len(limits) <= DENSE else _lattice
    return float(np.clip(sum(m * (1.0 - inside(limits * s, matrix)) for s, m in zip(scale, mass, strict=True)), 0, 1))


def _panels(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss-Legendre's rule of 12 points on each panel."""
    node, weight = np.polynomial.legendre.leggauss(12)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + node)).ravel(), (half * weight).ravel()


def _scales(df: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of s = sqrt(chi2(df) / df) and their probabilities."""
    if not np.isfinite(df):
        return np.ones(1), np.ones(1)
    law = stats.chi(df, scale=df**-0.5)
    node, weight = _panels(np.append(law.ppf([1e-17, 1e-4, 0.05, 0.5]), law.isf([0.05, 1e-5, 1e-17])))
    mass = weight * law.pdf(node)
    return node, mass / mass.sum()


def _distinct(limits: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without limits at infinity, and of statistics that are the same the one with the lowest limit."""
    kept: list[int] = []
    for i in np.argsort(limits, kind="stable"):
        if limits[i] < np.inf and not any(matrix[i, j] > 1.0 - 1e-12 for j in kept):
            kept.append(int(i))
    kept = kept or [0]
    return limits[kept], matrix[np.ix_(kept, kept)]


def _factors(matrix: np.ndarray) -> np.ndarray | None:
    """b with b_i b_j = r_ij, where there is one."""
    n = len(matrix)
    if n == 2:
        r = matrix[0, 1]
        return np.array([abs(r) ** 0.5, np.sign(r) * abs(r) ** 0.5]) if abs(r) < 1.0 - 1e-9 else None
    if not np.all(matrix):
        off = matrix[~np.eye(n, dtype=bool)]
        return None if off.any() else np.zeros(n)
    square = matrix[0, 1] * matrix[0, 2] / matrix[1, 2]
    if not 0 < square < 1:
        return None
    first = square**0.5
    b = np.concatenate([[first], matrix[0, 1:] / first])
    product = np.outer(b, b)
    fits = np.abs(product - matrix)[~np.eye(n, dtype=bool)].max() < 1e-12 and (np.abs(b) < 1.0 - 1e-9).all()
    return b if fits else None


def _nested(limits: np.ndarray, matrix: np.ndarray) -> float:
    """P(all T_i < u_i), one normal after the other: each below what the earlier ones leave, the last in closed form."""
    n = len(limits)
    root = np.linalg.cholesky(matrix + 1e-14 * np.eye(n))
    node, weight = np.polynomial.legendre.leggauss({2: 200, 3: 96, 4: 48, 5: 28}[n])
    points, mass = np.zeros((1, 0)), np.ones(1)
    for i in range(n):
        bound = (limits[i] - points @ root[i, :i]) / root[i, i]
        if i == n - 1:
            return float(mass @ special.ndtr(bound))
        # What lies below -TAIL counts for nothing; above TAIL nothing is left to add.
        upper = np.clip(bound, -TAIL, TAIL)
        half = (upper + TAIL) / 2
        z = -TAIL + half[:, None] * (1 + node)
        mass = (mass[:, None] * half[:, None] * weight * stats.norm.pdf(z)).ravel()
        points = np.column_stack([np.repeat(points, len(node), axis=0), z.ravel()])
    raise AssertionError


def _lattice(limits: np.ndarray, matrix: np.ndarray) -> float:
    law = stats.multivariate_normal(
        cov=matrix, allow_singular=True, maxpts=200_000 * len(limits), abseps=1e-7, releps=0.0, seed=0
    )
    return float(law.cdf(np.clip(limits, -TAIL, TAIL)))
