"""Orthonormal functions of the columns, and the products of them that an expansion is made of."""

import functools
from typing import NamedTuple

import chaospy
import numpy as np
from scipy.special import ndtri

from analysis.sensitivity.problem import Problem

TRUNCATION = 0.75  # the q of the q-norm: interactions count for more than their degrees' sum
DEGREES = 14


class Basis(NamedTuple):
    """One-dimensional functions of every column, as arrays.

    laws: per column. alpha, root_beta: (column, degree), coefficients of the recurrence of orthonormal polynomials

        root_beta[k+1] p[k+1](x) = (x - alpha[k]) p[k](x) - root_beta[k] p[k-1](x)

    edges: (column, level), upper ends in u of the levels but the last, 1 where a column has fewer. table: (column,
    function, level), orthonormal functions of the levels, 0 for columns that have none.
    Gautschi 2004, Orthogonal Polynomials, section 1.3.
    """

    laws: tuple[str, ...]
    alpha: np.ndarray
    root_beta: np.ndarray
    edges: np.ndarray
    table: np.ndarray

    def functions(self, points: np.ndarray, degree: int) -> np.ndarray:
        """Functions of number 0..degree at points, (row, column): (column, function, row)."""
        laws = np.array(self.laws)
        x = 2.0 * points.T - 1.0
        normal, categorical = laws == "normal", np.flatnonzero(laws == "levels")
        if normal.any():
            x[normal] = ndtri(points.T[normal])
        values = np.empty((len(laws), degree + 1, len(points)))
        values[:, 0] = 1.0
        before = np.zeros_like(x)
        for k in range(degree):
            alpha, here, after = self.alpha[:, k, None], self.root_beta[:, k, None], self.root_beta[:, k + 1, None]
            values[:, k + 1] = ((x - alpha) * values[:, k] - here * before) / after
            before = values[:, k]
        for column in categorical:
            level = np.searchsorted(self.edges[column], points[:, column], side="right")
            values[column] = self.table[column][: degree + 1, level]
        return values


def basis(problem: Problem) -> Basis:
    """Legendre polynomials of u, Hermite polynomials of its normal quantile, step functions of levels made orthonormal.

    Recurrences by chaospy; for levels Gram-Schmidt (by QR) on 1 and the indicators "level k or a later one".
    """
    columns = len(problem.columns)
    most = max([2, *(len(column.shares) for column in problem.columns)])
    alpha, root_beta = np.zeros((columns, DEGREES + 1)), np.ones((columns, DEGREES + 1))
    edges, table = np.ones((columns, most - 1)), np.zeros((columns, max(most, DEGREES + 1), most))
    for i, column in enumerate(problem.columns):
        if column.law == "levels":
            count = len(column.shares)
            weight = np.sqrt(column.shares)
            steps = np.tril(np.ones((count, count)))
            orthonormal, triangle = np.linalg.qr(steps * weight[:, None])
            functions = orthonormal * np.sign(np.diag(triangle)) / weight[:, None]
            table[i, :count, :count] = functions.T
            # u beyond the last edge by rounding belongs to the last level
            edges[i, : count - 1] = np.cumsum(column.shares)[:-1]
            edges[i, count - 1 :] = np.inf
        elif column.law in ("uniform", "normal"):
            alpha[i], root_beta[i] = _recurrence(column.law)
        else:
            raise ValueError(
                f"column '{column.name}' has law '{column.law}', on which outputs are not smooth; leave it out"
            )
    return Basis(tuple(column.law for column in problem.columns), alpha, root_beta, edges, table)


@functools.lru_cache
def _recurrence(law: str) -> tuple[np.ndarray, np.ndarray]:
    distribution = chaospy.Uniform(-1, 1) if law == "uniform" else chaospy.Normal(0, 1)
    (coefficients,) = chaospy.construct_recurrence_coefficients(DEGREES, distribution)
    return coefficients[0], np.sqrt(coefficients[1])


def terms(problem: Problem, degree: int, truncation: float = TRUNCATION) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the functions in each term, (term, column), and the degree of each term, (term,), rising.

    Terms have (sum of degree^q)^(1/q) up to `degree`, q the truncation. Every function of levels has degree 1: the
    order of categories means nothing. The first term is the constant.
    Blatman & Sudret 2011, J Comput Phys 230:2345, section 3.1.
    """
    exponents = chaospy.glexindex(0, degree + 1, dimensions=len(problem.columns), cross_truncation=truncation)
    exponents = exponents.reshape(-1, len(problem.columns))
    norm = (exponents**truncation).sum(1) ** (1.0 / truncation)
    for i, column in enumerate(problem.columns):
        if column.law == "levels":
            plain, first = exponents[:, i] == 0, exponents[:, i] == 1
            parts, norms = [exponents[plain]], [norm[plain]]
            for function in range(1, len(column.shares)):
                part = exponents[first].copy()
                part[:, i] = function
                parts.append(part)
                norms.append(norm[first])
            exponents, norm = np.concatenate(parts), np.concatenate(norms)
    order = np.argsort(norm, kind="stable")
    return exponents[order].astype(int), norm[order]


def products(functions: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Terms at the points, (term, row), from functions, (column, function, row), and terms, (term, column)."""
    values = np.ones((len(numbers), functions.shape[2]))
    for column in range(numbers.shape[1]):
        if numbers[:, column].any():
            values *= functions[column, numbers[:, column]]
    return values
