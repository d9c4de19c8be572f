"""Collocation for one scalar equation r' = u - v r over a step, solved in closed form.

With nodes c_i, the integration matrix A (row i integrates the interpolating polynomial from 0 to c_i), z_i = h v_i:

    (I + A Z) R = r_0 1 + h A u,   r(1) = r_0 + b.(h u - Z R)

By Cramer's rule every R_i and r(1) is a quotient of polynomials that are linear in each z_i, whose coefficients are
minors of A; they are found once, by number. Hairer & Wanner, Solving Ordinary Differential Equations II, 2nd ed.,
section IV.5.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Polynomial = tuple[tuple[tuple[int, ...], float], ...]  # (numbers of the z's multiplied, coefficient)


class Tableau(NamedTuple):
    """A collocation rule on nodes of [0, 1]. rows: the nodes' own, then that of the end."""

    nodes: tuple[float, ...]
    denominator: Polynomial
    starts: tuple[Polynomial, ...]  # a row each: what multiplies r_0
    sources: tuple[tuple[Polynomial, ...], ...]  # a row each, a node each: what multiplies h u_i


@functools.cache
def tableau(nodes: tuple[float, ...]) -> Tableau:
    c = np.asarray(nodes)
    size = len(c)
    power = np.arange(1, size + 1)
    back = np.linalg.inv(np.vander(c, size, increasing=True))
    a, b = (c[:, None] ** power / power) @ back, (1.0 / power) @ back
    rows = [*a, b]

    def minor(matrix: np.ndarray) -> float:
        return float(np.linalg.det(matrix)) if len(matrix) else 1.0

    subsets = [t for k in range(size + 1) for t in itertools.combinations(range(size), k)]

    def polynomial(coefficient: Any) -> Polynomial:
        found = [(t, coefficient(t)) for t in subsets]
        return tuple((t, value) for t, value in found if abs(value) > 1e-14)

    def bordered(row: np.ndarray, j: int, t: tuple[int, ...]) -> float:
        if j in t:
            return 0.0
        inside = [*t, j]
        return minor(np.vstack([a[np.ix_(t, inside)], row[inside]]))

    return Tableau(
        nodes,
        polynomial(lambda t: minor(a[np.ix_(t, t)])),
        tuple(polynomial(lambda t, row=row: minor(a[np.ix_(t, t)] - row[list(t)])) for row in rows),
        tuple(tuple(polynomial(lambda t, row=row, j=j: bordered(row, j, t)) for j in range(size)) for row in rows),
    )


@functools.cache
def gauss(count: int) -> tuple[float, ...]:
    """Nodes of order 2 `count`."""
    return tuple(float(x) for x in (np.polynomial.legendre.leggauss(count)[0] + 1.0) / 2.0)


class Transfer(NamedTuple):
    """r_i = (start_i r_0 + h sum_j source_ij u_j) / denominator."""

    denominator: Any
    starts: tuple[Any, ...]
    sources: tuple[tuple[Any, ...], ...]


def transfer(rule: Tableau, z: Sequence[Any], rows: Sequence[int]) -> Transfer:
    """The closed form for the rows that are asked for, by number; -1 is the end."""
    monomials = _Monomials(z)
    return Transfer(
        monomials.sum(rule.denominator),
        tuple(monomials.sum(rule.starts[row]) for row in rows),
        tuple(tuple(monomials.sum(each) for each in rule.sources[row]) for row in rows),
    )


def constant_transfer(rule: Tableau, z: Sequence[Any], rows: Sequence[int]) -> Transfer:
    """The same where u is constant: one source a row."""
    monomials = _Monomials(z)
    return Transfer(
        monomials.sum(rule.denominator),
        tuple(monomials.sum(rule.starts[row]) for row in rows),
        tuple((monomials.sum(_total(rule.sources[row])),) for row in rows),
    )


@functools.cache
def _total(polynomials: tuple[Polynomial, ...]) -> Polynomial:
    total: dict[tuple[int, ...], float] = {}
    for polynomial in polynomials:
        for t, value in polynomial:
            total[t] = total.get(t, 0.0) + value
    return tuple((t, value) for t, value in sorted(total.items()) if abs(value) > 1e-14)


class _Monomials:
    """Products of the z's, each formed once."""

    def __init__(self, z: Sequence[Any]) -> None:
        self.z = z
        self.formed: dict[tuple[int, ...], Any] = {}

    def of(self, t: tuple[int, ...]) -> Any:
        if len(t) == 1:
            return self.z[t[0]]
        if t not in self.formed:
            self.formed[t] = self.of(t[:-1]) * self.z[t[-1]]
        return self.formed[t]

    def sum(self, polynomial: Polynomial) -> Any:
        total: Any = 0.0
        for t, value in polynomial:
            term = value * self.of(t) if t else value
            total = total + term if not isinstance(total, float) or total else term
        return total
