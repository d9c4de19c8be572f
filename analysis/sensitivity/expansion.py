"""Polynomial chaos by least squares: which terms an output needs, and their coefficients."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lars_path

from analysis.sensitivity import basis
from analysis.sensitivity.problem import Problem

ROWS_A_TERM = 2
CANDIDATES = 2000  # terms that the sparse method chooses from
CHOSEN = 128  # terms that it chooses at most
ENOUGH = 1e-8  # share of the variance below which an error needs no more terms
COMPONENTS = 4  # of outputs that belong together
TOLD = 0.99  # share of their variance beyond which more components tell nothing
PATIENCE = 2  # degrees that may do worse before the search ends


class Fit(NamedTuple):
    """The expansion of one output. selected: (term,), numbers of candidate terms, the constant first. coefficients:
    (term,). residual, leverage: (row,). inverse: (term, row), coefficients = inverse @ output. left_out: (row,), errors
    of predicting each row from the others."""

    selected: np.ndarray
    coefficients: np.ndarray
    residual: np.ndarray
    leverage: np.ndarray
    inverse: np.ndarray

    @property
    def left_out(self) -> np.ndarray:
        return self.residual / np.maximum(1.0 - self.leverage, 1e-10)


def candidates(problem: Problem, rows: int, sparse: bool) -> tuple[np.ndarray, np.ndarray]:
    """Terms that so many rows allow, (term, column), and their degrees, (term,), rising.

    Raises ValueError where the rows do not allow straight lines in every column.
    """
    most = CANDIDATES if sparse else rows // ROWS_A_TERM
    numbers, norm = basis.terms(problem, 1)
    if len(norm) > rows // ROWS_A_TERM:
        raise ValueError(
            f"{rows} lives are too few for {len(norm)} terms of degree 1 in {len(problem.columns)} columns; "
            f"use {ROWS_A_TERM * len(norm)} or more"
        )
    for degree in range(2, basis.DEGREES + 1):
        more, more_norm = basis.terms(problem, degree)
        fits = len(more_norm) <= most
        if not fits:
            # as many whole shells of equal degree as there is room for
            inside = more_norm < more_norm[most] - 1e-9
            more, more_norm = more[inside], more_norm[inside]
        if len(more_norm) > len(norm):
            numbers, norm = more, more_norm
        if not fits:
            break
    return numbers, norm


class Triangle(NamedTuple):
    """QR of terms at the rows that an output has, serving all sets that are a beginning of them.

    kept: columns of the matrix that are no combination of those before. q: (row, term). inverse: (term, term), of R.
    leverage: (row, term), with the terms up to each.
    """

    kept: np.ndarray
    q: np.ndarray
    inverse: np.ndarray
    leverage: np.ndarray


def triangle(matrix: np.ndarray) -> Triangle:
    """QR of terms at points, (row, term)."""
    rows = len(matrix)
    kept = np.arange(matrix.shape[1])
    q, r = np.linalg.qr(matrix)
    # A level that no row takes makes terms that are combinations of others.
    independent = np.abs(np.diag(r)) > 1e-7 * rows**0.5
    if not independent.all():
        kept = kept[independent]
        q, r = np.linalg.qr(matrix[:, kept])
    inverse = solve_triangular(r, np.eye(len(kept)))
    return Triangle(kept, q, inverse, np.cumsum(q**2, axis=1))


def errors(shape: Triangle, y: np.ndarray) -> np.ndarray:
    """Mean squared leave-one-out error with the first 1, 2, .. terms, (term,), in closed form.

    Blatman & Sudret 2011, J Comput Phys 230:2345, equation 29.
    """
    residual = y[:, None] - np.cumsum(shape.q * (shape.q.T @ y), axis=1)
    return ((residual / np.maximum(1.0 - shape.leverage, 1e-10)) ** 2).mean(0)


def solve(shape: Triangle, outputs: np.ndarray, counts: Sequence[int], order: np.ndarray | None = None) -> list[Fit]:
    """Least squares of each of several outputs, (row, output), on so many first terms.

    Outputs that take the same number share what is costly. order: (term,), numbers of the matrix's columns; else
    0, 1, ..
    """
    inverses = {count: shape.inverse[:count, :count] @ shape.q[:, :count].T for count in set(counts)}
    fits = []
    for y, count in zip(outputs.T, counts, strict=True):
        q, inverse = shape.q[:, :count], inverses[count]
        selected = shape.kept[:count] if order is None else order[shape.kept[:count]]
        fits.append(Fit(selected, inverse @ y, y - q @ (q.T @ y), shape.leverage[:, count - 1], inverse))
    return fits


def dense(matrix: np.ndarray, norm: np.ndarray, outputs: np.ndarray) -> list[Fit]:
    """All terms, (row, term), up to the degree that leaves the smallest leave-one-out error of each output,
    (row, output)."""
    shape = triangle(matrix)
    norm = norm[shape.kept]
    ends = np.flatnonzero(np.append(np.diff(norm) > 1e-9, True)) + 1
    return solve(shape, outputs, [int(ends[np.argmin(errors(shape, y)[ends - 1])]) for y in outputs.T])


def picked(candidates: int) -> float:
    """What a term picked from so many must gain, in shares of the error a row, beyond a term given beforehand.

    The best of n terms without effect gains about 2 log n where one alone gains 1 and the leave-one-out error asks for
    2. Foster & George 1994, Ann Statist 22:1947 (risk inflation).
    """
    return max(2.0 * float(np.log(candidates)) - 2.0, 0.0)


def sparse(matrix: np.ndarray, norm: np.ndarray, outputs: np.ndarray) -> list[Fit]:
    """Few terms of each output, (row, output): those that least-angle regression meets first.

    Their number and degree are those of the smallest leave-one-out error.

    matrix: (row, term). Blatman & Sudret 2011, J Comput Phys 230:2345, section 4; their penalty on that error is for
    few rows alone, and lets noise in where candidates are many: `picked` takes its place.
    """
    centred = matrix - matrix.mean(0)
    length = np.sqrt((centred**2).sum(0))
    length[length < 1e-7 * len(matrix) ** 0.5] = np.inf  # a level that no row takes
    centred /= length
    gram = centred.T @ centred
    return [_sparse(matrix, norm, centred, np.isfinite(length), gram, y) for y in outputs.T]


def _sparse(
    matrix: np.ndarray, norm: np.ndarray, centred: np.ndarray, taken: np.ndarray, gram: np.ndarray, y: np.ndarray
) -> Fit:
    rows = len(matrix)
    y_centred = y - y.mean()
    covariance = centred.T @ y_centred
    best: tuple[float, Fit | None] = (np.inf, None)
    worse = 0
    for degree in range(1, int(np.ceil(norm[-1] - 1e-9)) + 1):
        allowed = np.flatnonzero((norm <= degree + 1e-9) & taken)
        with warnings.catch_warnings():
            # The path ends early where terms are combinations of others: what is left of it is what is wanted.
            warnings.simplefilter("ignore", ConvergenceWarning)
            _, met, _ = lars_path(
                centred[:, allowed],
                y_centred,
                Xy=covariance[allowed],
                Gram=gram[np.ix_(allowed, allowed)],
                method="lar",
                max_iter=min(rows // ROWS_A_TERM - 1, CHOSEN, len(allowed)),
                return_path=False,
            )
        order = np.concatenate([[0], allowed[list(met)]]).astype(int)
        shape = triangle(matrix[:, order])
        error = errors(shape, y) * np.exp(np.arange(len(shape.kept)) * picked(len(allowed)) / rows)
        count = int(np.argmin(error)) + 1
        if error[count - 1] < best[0]:
            best, worse = (float(error[count - 1]), solve(shape, y[:, None], [count], order)[0]), 0
        else:
            worse += 1
        if worse >= PATIENCE or best[0] < ENOUGH * y.var():
            break
    assert best[1] is not None
    return best[1]


def together(matrix: np.ndarray, norm: np.ndarray, outputs: np.ndarray) -> list[Fit]:
    """Least squares of outputs that belong together, (row, output), on one set of few terms, (row, term).

    The terms are those that `sparse` chooses for the leading principal components of the standardised outputs, none of
    which may be constant. Blatman & Sudret 2013, Proc. 11th Int. Conf. Structural Safety & Reliability, New York.
    """
    standard = (outputs - outputs.mean(0)) / outputs.std(0)
    scores, sizes, _ = np.linalg.svd(standard, full_matrices=False)
    shares = np.cumsum(sizes**2) / (sizes**2).sum()
    leading = min(int(np.searchsorted(shares, TOLD)) + 1, COMPONENTS, len(sizes))
    chosen = [one.selected for one in sparse(matrix, norm, scores[:, :leading] * len(matrix) ** 0.5)]
    order = np.unique(np.concatenate(chosen))
    # Of two rows a term at least the first are kept, those of low degree.
    order = order[: max(1, len(matrix) // ROWS_A_TERM)]
    shape = triangle(matrix[:, order])
    return solve(shape, outputs, [len(shape.kept)] * outputs.shape[1], order)
