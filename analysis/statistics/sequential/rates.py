"""Sample sizes and power of group sequential comparisons of two rates."""

from typing import Any

import numpy as np
from scipy import special

from analysis.statistics.sequential.characteristics import Power, power
from analysis.statistics.sequential.design import Design
from analysis.statistics.sequential.looks import number
from analysis.statistics.sequential.means import Sizes, sizes
from analysis.statistics.sequential.roots import root


def rates_size(plan: Design, a: Any, b: Any, ratio: Any = 1.0, margin: Any = 0.0) -> Sizes:
    """Subjects for a difference of rates, a - b.

        n_b = (z_alpha sqrt(V_0) + z_beta sqrt(V_1))^2 / (a - b - margin)^2,   n = (1 + r) n_b
        V_1 = a (1 - a) / r + b (1 - b),   V_0 the same at the rates of Farrington and Manning

    for one look, times the inflation of the design. Under a margin of zero the rates of V_0 are the pooled one. The
    rates a, b: above 0 and below 1. ratio r: n_a / n_b. All broadcast with the designs, (...). critical effects are
    differences a - b at the rate b. Raises ValueError for rates outside of 0 to 1, and where a - b is the margin.
    Farrington & Manning 1990, Stat Med 9:1447.
    """
    x, y, r, edge = _rates(a, b, ratio, margin)
    gap = x - y - edge
    if np.any(gap == 0.0):
        raise ValueError("the rates differ by the margin, which no number of subjects tells apart; give others")
    side = plan.alpha / plan.sided
    za, zb = -special.ndtri(side), -special.ndtri(plan.beta)
    alternative = x * (1.0 - x) / r + y * (1.0 - y)
    fixed = (1.0 + r) * (za * np.sqrt(null_variance(x, y, r, edge)) + zb * np.sqrt(alternative)) ** 2 / gap**2
    inflation = plan.drift**2 / (za + zb) ** 2
    counts = (fixed * inflation)[..., None] * plan.rates
    return sizes(plan, fixed, inflation, _critical(plan.upper, counts, y, r, edge, np.sign(gap)))


def rates_power(
    plan: Design, subjects: Any, a: Any, b: Any, ratio: Any = 1.0, margin: Any = 0.0, above: bool = True
) -> Power:
    """What the design does with so many subjects, both arms together, at true rates a and b.

    The drift has the power of one look: z_alpha + (d sqrt(n_b) - z_alpha sqrt(V_0)) / sqrt(V_1), with d = a - b -
    margin, or its opposite where a is hoped to lie below b (above=False).
    """
    x, y, r, edge = _rates(a, b, ratio, margin)
    n = number(subjects, "subjects", 0.0, example="400")
    za = -special.ndtri(plan.alpha / plan.sided)
    alternative = x * (1.0 - x) / r + y * (1.0 - y)
    d = (x - y - edge) * (1.0 if above else -1.0)
    drift = za + (d * np.sqrt(n / (1.0 + r)) - za * np.sqrt(null_variance(x, y, r, edge))) / np.sqrt(alternative)
    return power(plan, drift)


def null_variance(a: np.ndarray, b: np.ndarray, ratio: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Variance of sqrt(n_b) times the difference of rates, at the most likely rates that differ by the margin."""
    x, y = restricted(a, b, ratio, margin)
    return x * (1.0 - x) / ratio + y * (1.0 - y)


def restricted(a: Any, b: Any, ratio: Any, margin: Any) -> tuple[np.ndarray, np.ndarray]:
    """The most likely rates that differ by the margin, where a and b were observed with n_a = ratio n_b.

    Root of the cubic of the likelihood; the pooled rate for both where the margin is 0.
    Farrington & Manning 1990, Stat Med 9:1447, appendix.
    """
    x, y, r, d = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in (a, b, ratio, margin)))
    theta = 1.0 / r
    high = 1.0 + theta
    second = -(1.0 + theta + x + theta * y + d * (theta + 2.0))
    third = d**2 + d * (2.0 * x + theta + 1.0) + x + theta * y
    last = -x * d * (1.0 + d)
    v = second**3 / (27.0 * high**3) - second * third / (6.0 * high**2) + last / (2.0 * high)
    inner = np.maximum(second**2 / (9.0 * high**2) - third / (3.0 * high), 0.0)
    u = np.where(v < 0.0, -1.0, 1.0) * np.sqrt(inner)
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = np.clip(np.where(u == 0.0, 0.0, v / u**3), -1.0, 1.0)
    found = 2.0 * u * np.cos((np.pi + np.arccos(turn)) / 3.0) - second / (3.0 * high)
    found = np.clip(found, np.maximum(0.0, d), np.minimum(1.0, 1.0 + d))
    pooled = (r * x + y) / (r + 1.0)
    return np.where(d == 0.0, pooled, found), np.where(d == 0.0, pooled, found - d)


def _critical(
    upper: np.ndarray, counts: np.ndarray, b: np.ndarray, ratio: np.ndarray, margin: np.ndarray, sign: np.ndarray
) -> np.ndarray:
    """Difference at which the score statistic meets each bound, (..., look), with b as it is; NaN where none does."""
    found = np.broadcast_arrays(upper, counts, *(each[..., None] for each in (b, ratio, margin, sign)))
    u, n, y, r, edge, s = (each.reshape(-1) for each in found)

    def reached(x: np.ndarray, i: np.ndarray) -> np.ndarray:
        se = np.sqrt(null_variance(x, y[i], r[i], edge[i]) * (1.0 + r[i]) / n[i])
        return s[i] * (x - y[i] - edge[i]) - u[i] * se

    start, end = np.clip(y + edge, 1e-12, 1.0 - 1e-12), np.where(s > 0, 1.0 - 1e-12, 1e-12)
    return (root(reached, start, end) - y).reshape(found[0].shape)


def _rates(a: Any, b: Any, ratio: Any, margin: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return tuple(  # type: ignore[return-value]
        np.broadcast_arrays(
            number(a, "the rate a", 0.0, 1.0, "0.4"),
            number(b, "the rate b", 0.0, 1.0, "0.25"),
            number(ratio, "ratio", 0.0, example="1"),
            number(margin, "margin", -1.0, 1.0, "0"),
        )
    )
