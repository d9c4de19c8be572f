"""Fisher's product of stage-wise p-values, with early decisions."""

from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import Polynomial
from scipy import optimize, stats

from analysis.statistics.arrays import plain
from analysis.statistics.sequential.looks import LOOK, number, shown

MOST = 6
WAYS = ("equal-alpha", "full-alpha")

Pieces = list[tuple[float, float, Polynomial]]  # from, to, and the polynomial there; 0 elsewhere


class Fisher(NamedTuple):
    """A product test, each (stage,).

    critical: reject where the product of the p-values so far is not above it. futility: stop where the p-value of a
    stage is not below it; 1 where nothing stops so. spent: alpha by each stage.
    """

    critical: np.ndarray
    futility: np.ndarray
    spent: np.ndarray


def fisher(stages: int = 2, alpha: float = 0.025, way: str = "equal-alpha", futility: Any = None) -> Fisher:
    """Critical values c_k of the products p_1 ... p_k, at which the error rate is alpha in all.

    way: `equal-alpha` gives each product the same level on its own, c_k = exp(-chi2_{2k}(1 - level) / 2); `full-alpha`
    gives the last one alpha, and those before it a level that they share, or the last critical value if that is more,
    as a product below it needs no further stage. futility: p-values of each stage but the
    last, from which on the trial stops for good, (stage - 1,); they bind. Raises ValueError for other ways, more than
    6 stages, and futility that is out of 0 to 1 or leaves no room for the last stage's alpha.
    Bauer & Koehne 1994, Biometrics 50:1029; Wassmer 1999, Biom J 41:279.
    """
    if way not in WAYS:
        raise ValueError(f"way is '{way}', which is not known; write one of: {', '.join(WAYS)}")
    if not 1 <= stages <= MOST:
        raise ValueError(f"stages is {stages}; give 1 to {MOST}")
    level = float(number(alpha, "alpha", 0.0, 1.0, "0.025"))
    bottom = np.ones(stages)
    if futility is not None:
        bottom[:-1] = _given(futility, stages)

    def critical(local: float) -> np.ndarray:
        levels = np.full(stages, local)
        if way == "full-alpha":
            levels[-1] = level
        c = np.exp(-stats.chi2.isf(levels, 2 * np.arange(1, stages + 1)) / 2.0)
        return np.maximum(c, c[-1])

    def excess(local: float) -> float:
        return float(rejections(critical(local), bottom).sum()) - level

    if stages == 1:
        c = np.array([level])
    else:
        least, most = level * 1e-12, level if way == "full-alpha" else max(level, float(bottom.min()) * 0.999999)
        if abs(excess(least)) < 1e-12 * level:
            c = critical(least)  # the last product has all of alpha, and the stages before stop early for nothing
        elif excess(least) > 0.0 or excess(most) < 0.0:
            raise ValueError(f"no levels of the stages make {level:g} together with {way}; take the other way")
        else:
            c = critical(optimize.brentq(excess, least, most, xtol=1e-16, rtol=1e-14))
    return Fisher(c, bottom, np.cumsum(rejections(c, bottom)))


def rejections(critical: Any, futility: Any) -> np.ndarray:
    """Probability of rejecting at each stage under the null hypothesis, (stage,).

    With y = -log p, s = y_1 + ... + y_k, a_k = -log futility_k and b_k = -log c_k: what goes on past stage k has at s
    the density exp(-s) P_k(s), where P_0 is the point 0 and

        P_k(s) = Q_k(s - a_k) for s < b_k,   Q_k(x) = integral of P_(k-1) up to x
        P(reject at k) = integral of exp(-s) Q_k(s) from b_k on

    so that all are polynomials between a few points, and nothing is approximate.
    """
    ends, starts = -np.log(np.asarray(critical, dtype=float)), -np.log(np.asarray(futility, dtype=float))
    found = []
    reached: Pieces = [(0.0, np.inf, Polynomial([1.0]))]
    for b, a in zip(ends, starts, strict=True):
        found.append(sum(_weighed(each, max(low, b), high) for low, high, each in reached if high > b))
        shift = Polynomial([-a, 1.0])
        on = [(low + a, min(high + a, b), each(shift)) for low, high, each in reached if low + a < b]
        reached = _integral(on)
    return np.array(found)


def fisher_test(p: Any, plan: Fisher) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Products of p-values, whether each rejects, both (..., stage), and the stage that stops, (...).

    Stages count from 1 on; 0 where none stops. p: one-sided, of each stage, (..., stage). Raises ValueError for what
    is no p-value, or too many.
    """
    each = plain(p, "p", LOOK)
    held = each.shape[-1]
    if held > len(plan.critical) or not np.all((each >= 0.0) & (each <= 1.0)):
        raise ValueError(f"p is {shown(each)}; give p-values of 0 to 1, for {len(plan.critical)} stages at most")
    product = np.cumprod(each, -1)
    over = product <= plan.critical[:held]
    ends = over | ((each >= plan.futility[:held]) & (plan.futility[:held] < 1.0))
    if held == len(plan.critical):
        ends[..., -1] = True
    return product, over, np.where(ends.any(-1), ends.argmax(-1) + 1, 0)


def _integral(pieces: Pieces) -> Pieces:
    """Integral from below, constant after the last piece."""
    found, sofar, end = [], 0.0, 0.0
    for low, high, each in pieces:
        whole = each.integ()
        whole = whole - whole(low) + sofar
        found.append((low, high, whole))
        sofar, end = float(whole(high)), high
    found.append((end, np.inf, Polynomial([sofar])))
    return found


def _weighed(each: Polynomial, low: float, high: float) -> float:
    """Integral of exp(-s) times the polynomial."""
    total, derivative = 0.0, each
    for _ in range(len(each.coef)):
        total += float(derivative(low)) * np.exp(-low)
        total -= float(derivative(high)) * np.exp(-high) if np.isfinite(high) else 0.0
        derivative = derivative.deriv()
    return total


def _given(futility: Any, stages: int) -> np.ndarray:
    found = np.asarray(futility, dtype=float)
    if found.shape != (stages - 1,) or not np.all((found > 0.0) & (found <= 1.0)):
        raise ValueError(f"futility is {shown(found)}; give a p-value above 0 and up to 1 for {stages - 1} stages")
    return found
