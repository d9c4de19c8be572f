"""exp(A h) of small matrices with known zeros, by scaling, a Taylor polynomial and squaring.

A matrix is a dict from (row, column) to an array over lanes, absent where an entry is 0. The polynomial has degree 12:
its remainder is below rounding where the scaled norm is at most 1/3 (1/3^13/13! = 1e-16), and below 2e-14 up to 1/2.
Nothing is divided by a difference of eigenvalues, so that equal ones need no care.
Higham, Functions of Matrices, 2008, section 10.3.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

Matrix = Mapping[tuple[int, int], Any]

DEGREE = 12
BLOCK = 4  # Paterson and Stockmeyer: powers up to this one are formed
LARGEST = 0.5  # of the scaled norm


def squarings(norm: float, length: float) -> int:
    """How often exp(A length / 2^k) must be squared for a norm of A up to `norm`."""
    return max(0, math.ceil(math.log2(max(norm * length, 1e-300) / LARGEST)))


def norm(a: Matrix) -> Any:
    """The largest column sum of absolute values."""
    columns = sorted({j for _, j in a})
    total = jnp.zeros(())
    for column in columns:
        parts = [jnp.abs(value) for (_, j), value in a.items() if j == column]
        total = jnp.maximum(total, sum(parts[1:], parts[0]))
    return total


def product(a: Matrix, b: Matrix) -> dict[tuple[int, int], Any]:
    total: dict[tuple[int, int], Any] = {}
    rows: dict[int, list[tuple[int, Any]]] = {}
    for (j, k), value in b.items():
        rows.setdefault(j, []).append((k, value))
    for (i, j), left in a.items():
        for k, right in rows.get(j, ()):
            term = left * right
            total[i, k] = total[i, k] + term if (i, k) in total else term
    return total


def powers(a: Matrix) -> list[Matrix]:
    """A, A^2, ... A^BLOCK."""
    found: list[Matrix] = [a]
    while len(found) < BLOCK:
        found.append(product(found[-1], a))
    return found


def polynomial(power: list[Matrix], h: Any, size: frozenset[int]) -> dict[tuple[int, int], Any]:
    """exp(A h) from the powers of A where h is so small that the Taylor polynomial will do. size: the rows there are.

    Paterson & Stockmeyer: sum_j (h A)^(BLOCK j) (block j of BLOCK coefficients), by Horner's rule.
    """
    result: dict[tuple[int, int], Any] = {}
    for first in reversed(range(0, DEGREE, BLOCK)):
        # The topmost block has the highest power as well.
        last = DEGREE if first + BLOCK == DEGREE else first + BLOCK - 1
        # Powers of A stand unscaled: the weights carry those of h.
        total = dict(product(power[BLOCK - 1], result))
        for k in range(first, last + 1):
            weight = h**k / math.factorial(k)
            terms = dict.fromkeys(((i, i) for i in size), weight) if k == first else power[k - first - 1]
            for at, value in terms.items():
                term = value if k == first else weight * value
                total[at] = total[at] + term if at in total else term
        result = total
    return result


def squared(a: Matrix) -> dict[tuple[int, int], Any]:
    return product(a, a)
