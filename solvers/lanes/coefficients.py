"""Where the polynomials of elementary.h come from: `python -m solvers.lanes.coefficients` prints them.

Each interpolates a power series at the Chebyshev nodes of its range, in exact rational arithmetic: within a small
factor of the minimax polynomial of its degree. Powell, Approximation Theory and Methods, 1981, section 4.4.
"""

import math
from collections.abc import Callable
from fractions import Fraction

TERMS = 40  # of a series: past 1e-40 on all ranges below


def interpolated(series: Callable[[int], Fraction], low: float, high: float, degree: int) -> list[float]:
    """Coefficients, constant first, of the polynomial through sum series(k) x^k at degree + 1 nodes in [low, high]."""
    nodes = [
        Fraction((low + high) / 2 + (high - low) / 2 * math.cos((2 * i + 1) * math.pi / (2 * degree + 2)))
        for i in range(degree + 1)
    ]
    # divided differences, then Newton's form multiplied out
    differences = [sum(series(k) * x**k for k in range(TERMS)) for x in nodes]
    for level in range(1, degree + 1):
        for i in range(degree, level - 1, -1):
            differences[i] = (differences[i] - differences[i - 1]) / (nodes[i] - nodes[i - level])
    polynomial = [Fraction(0)]
    for i in range(degree, -1, -1):
        shifted = [Fraction(0), *polynomial]
        polynomial = [a - nodes[i] * b for a, b in zip(shifted, [*polynomial, Fraction(0)], strict=True)]
        polynomial[0] += differences[i]
    return [float(c) for c in polynomial[: degree + 1]]


# series, range, degree
POLYNOMIALS: dict[str, tuple[Callable[[int], Fraction], float, float, int]] = {
    # (exp(r) - 1 - r) / r^2 on |r| <= log(2)/2
    "EXP": (lambda k: Fraction(1, math.factorial(k + 2)), -0.34658, 0.34658, 9),
    # (log((1 + s)/(1 - s)) - 2 s) / s^3 as a polynomial of z = s^2, 0 <= s <= 3 - sqrt(8)
    "LOG": (lambda k: Fraction(2, 2 * k + 3), 0.0, 0.02945, 6),
    # (sin(r) - r) / r^3 as a polynomial of z = r^2, 0 <= r <= pi/2
    "SIN": (lambda k: Fraction((-1) ** (k + 1), math.factorial(2 * k + 3)), 0.0, 2.4675, 7),
}

if __name__ == "__main__":
    for name, polynomial in POLYNOMIALS.items():
        print(name, *interpolated(*polynomial))
