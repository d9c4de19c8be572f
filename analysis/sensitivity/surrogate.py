"""A polynomial in place of a life: fitted once, evaluated in well under a millisecond."""

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
import xarray as xr

from analysis.sensitivity import basis, expansion
from analysis.sensitivity.basis import Basis
from analysis.sensitivity.expansion import Fit
from analysis.sensitivity.indices import constant
from analysis.sensitivity.problem import Problem
from analysis.sensitivity.threads import one_thread


class Surrogate(NamedTuple):
    """An expansion as arrays.

    columns: names. basis: functions of each. terms: (term, column), numbers of the functions in each product.
    coefficients: (term,), or (term, output). q2: share of the output's variance that is predicted from the other rows,
    1 - mean squared error / variance, leave-one-out; rmse: root of that mean squared error, in units of the output;
    both () or (output,).
    """

    columns: tuple[str, ...]
    basis: Basis
    terms: np.ndarray
    coefficients: np.ndarray
    q2: np.ndarray
    rmse: np.ndarray

    def predict(self, points: np.ndarray) -> np.ndarray:
        """Outputs at points of the unit cube, (row, column): (row,), or (row, output)."""
        functions = self.basis.functions(points, int(self.terms.max(initial=0)))
        return basis.products(functions, self.terms).T @ self.coefficients

    def to_dataset(self) -> xr.Dataset:
        """The surrogate as xarray writes it to Zarr."""
        output = ("output",)[: self.q2.ndim]
        return xr.Dataset(
            {
                "terms": (("term", "column"), self.terms),
                "coefficients": (("term", *output), self.coefficients),
                "q2": (output, self.q2),
                "rmse": (output, self.rmse),
                "alpha": (("column", "degree"), self.basis.alpha),
                "root_beta": (("column", "degree"), self.basis.root_beta),
                "edges": (("column", "edge"), self.basis.edges),
                "table": (("column", "function", "level"), self.basis.table),
                "law": (("column",), list(self.basis.laws)),
            },
            {"column": list(self.columns)},
        )

    @classmethod
    def from_dataset(cls, data: xr.Dataset) -> Self:
        """The surrogate that `to_dataset` wrote."""
        laws = tuple(str(law) for law in data["law"].values)
        parts = (data[name].values for name in ("alpha", "root_beta", "edges", "table"))
        columns = tuple(str(name) for name in data["column"].values)
        rest = (data[name].values for name in ("terms", "coefficients", "q2", "rmse"))
        return cls(columns, Basis(laws, *parts), *rest)


def fit(problem: Problem, points: np.ndarray, outputs: np.ndarray, sparse: bool = False) -> Surrogate:
    """The surrogate of outputs, (row,) or (row, output), at points, (row, column). Failed lives, NaN, are left out.

    Raises ValueError where the rows that are left are fewer than 2 a term of degree 1, or an output tells nothing.
    """
    each = np.asarray(outputs, dtype=float).reshape(len(points), -1)
    for column in each.T:
        if np.isfinite(column).any() and constant(column[np.isfinite(column)]):
            raise ValueError("an output is the same for all lives; a surrogate of it is that number")
    numbers, fits = fit_all(problem, points, each, expansion.sparse if sparse else expansion.dense)
    needed = np.unique(np.concatenate([one.selected for one in fits]))
    coefficients = np.zeros((len(needed), len(fits)))
    error, variance = np.empty(len(fits)), np.empty(len(fits))
    for i, one in enumerate(fits):
        coefficients[np.searchsorted(needed, one.selected), i] = one.coefficients
        error[i] = (one.left_out**2).mean()
        variance[i] = each[np.isfinite(each[:, i]), i].var()
    q2, rmse = 1.0 - error / variance, np.sqrt(error)
    if np.ndim(outputs) == 1:
        coefficients, q2, rmse = coefficients[:, 0], q2[0], rmse[0]
    names = tuple(column.name for column in problem.columns)
    return Surrogate(names, basis.basis(problem), numbers[needed], coefficients, np.asarray(q2), np.asarray(rmse))


# (terms at the rows, (row, term), their degrees, (term,), outputs, (row, output)) -> the fit of each output
Fitting = Callable[[np.ndarray, np.ndarray, np.ndarray], list[Fit]]


@one_thread
def fit_all(
    problem: Problem, points: np.ndarray, outputs: np.ndarray, fitting: Fitting
) -> tuple[np.ndarray, list[Fit]]:
    """Candidate terms, (term, column), and the fit of each output, (row, output), on the rows that it has.

    fitting: one of `expansion`, given all outputs that have the same rows. Raises ValueError where an output has too
    few rows.
    """
    known = np.isfinite(outputs)
    numbers, norm = expansion.candidates(problem, int(known.sum(0).min()), fitting is not expansion.dense)
    functions = basis.basis(problem).functions(points, int(numbers.max(initial=0)))
    matrix = basis.products(functions, numbers).T
    fits: dict[int, Fit] = {}
    for alike in same_rows(known):
        rows = known[:, alike[0]]
        fits |= zip(alike, fitting(matrix[rows], norm, outputs[np.ix_(rows, alike)]), strict=True)
    return numbers, [fits[i] for i in range(outputs.shape[1])]


def same_rows(known: np.ndarray) -> list[list[int]]:
    """Numbers of the outputs that have the same rows. known: (row, output)."""
    found: dict[bytes, list[int]] = {}
    for i, rows in enumerate(known.T):
        found.setdefault(rows.tobytes(), []).append(i)
    return list(found.values())
