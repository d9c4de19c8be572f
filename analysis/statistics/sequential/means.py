"""Sample sizes and power of group sequential comparisons of two means."""

from typing import Any, NamedTuple

import numpy as np
from scipy import special, stats

from analysis.statistics.sequential.characteristics import Power, power
from analysis.statistics.sequential.design import Design
from analysis.statistics.sequential.looks import number
from analysis.statistics.sequential.roots import beyond, root


class Sizes(NamedTuple):
    """Subjects that a design needs, both arms together; not rounded.

    fixed: with one look, (...). most: at the last look, (...). looks: at each, (..., look). expected_alternative,
    expected_between, expected_null: on average at the effect, half of its drift, and none, (...). critical: the
    effect that is just significant at each look, (..., look); NaN where no effect is.
    """

    fixed: np.ndarray
    most: np.ndarray
    looks: np.ndarray
    expected_alternative: np.ndarray
    expected_between: np.ndarray
    expected_null: np.ndarray
    critical: np.ndarray


def sizes(plan: Design, fixed: np.ndarray, inflation: np.ndarray, critical: np.ndarray) -> Sizes:
    """Sizes of a design from that of one look, and its inflation."""
    most = fixed * inflation
    there, between, none = (most * power(plan, share * plan.drift).expected for share in (1.0, 0.5, 0.0))
    return Sizes(fixed, most, most[..., None] * plan.rates, there, between, none, critical)


def means_size(
    plan: Design, difference: Any, sd: Any = 1.0, ratio: Any = 1.0, margin: Any = 0.0, normal: bool = True
) -> Sizes:
    """Subjects for a difference of means.

        n = (z_a + z_b)^2 sd^2 (1 + r)^2 / (r (difference - margin)^2)

    for one look, times the inflation of the design; with normal=False n solves the power of the t-test with n - 2
    degrees of freedom, not central. difference: a - b, either sign; critical effects have the same. ratio r: n_a / n_b.
    margin: difference at the edge of the null hypothesis. All broadcast with the designs, (...). Raises ValueError
    where difference is margin, or sd or ratio not positive.
    Jennison & Turnbull 2000, section 3.1; Wassmer & Brannath 2016, section 4.1.
    """
    gap, spread, r, edge = _effect(difference, sd, ratio, margin)
    side = plan.alpha / plan.sided
    info = (special.ndtri(side) + special.ndtri(plan.beta)) ** 2
    per = spread**2 * (1.0 + r) ** 2 / r
    fixed = info * per / gap**2
    if not normal:
        fixed = _t_size(side, plan.beta, np.abs(gap) / np.sqrt(per), fixed)
    counts = (fixed * plan.drift**2 / info)[..., None] * plan.rates
    z = plan.upper
    if not normal:
        df = np.maximum(counts - 2.0, 1e-3)
        z = stats.t.isf(special.ndtr(-z), df)
    with np.errstate(invalid="ignore"):
        critical = edge[..., None] + np.sign(gap)[..., None] * z * np.sqrt(per[..., None] / counts)
    return sizes(plan, fixed, plan.drift**2 / info, np.where(np.isfinite(critical), critical, np.nan))


def means_power(
    plan: Design,
    subjects: Any,
    difference: Any,
    sd: Any = 1.0,
    ratio: Any = 1.0,
    margin: Any = 0.0,
    normal: bool = True,
    above: bool = True,
) -> Power:
    """What the design does with so many subjects, both arms together, at a true difference of means.

    With normal=False the drift is that of a normal test with the power of one t-test. above: whether a is hoped to
    lie above b; the other arguments as in `means_size`.
    """
    gap, spread, r, _ = _effect(difference, sd, ratio, margin, zero=True)
    n = number(subjects, "subjects", 2.0, example="200")
    drift = gap * (1.0 if above else -1.0) * np.sqrt(n * r) / (spread * (1.0 + r))
    if not normal:
        side = plan.alpha / plan.sided
        df = n - 2.0
        reached = stats.nct.sf(stats.t.isf(side, df), df, drift)
        drift = special.ndtri(reached) - special.ndtri(side)
    return power(plan, drift)


def _t_size(side: np.ndarray, beta: np.ndarray, unit: np.ndarray, start: np.ndarray) -> np.ndarray:
    """n at which the t-test has power 1 - beta where its noncentrality is unit sqrt(n)."""
    shape = np.broadcast_shapes(np.shape(side), np.shape(beta), np.shape(unit))
    a, b, u, low = (np.broadcast_to(each, shape).reshape(-1) for each in (side, beta, unit, start))

    def gained(n: np.ndarray, i: np.ndarray) -> np.ndarray:
        df = n - 2.0
        return stats.nct.sf(stats.t.isf(a[i], df), df, u[i] * np.sqrt(n)) - (1.0 - b[i])

    # The t-test needs more than the normal one; fewer than one degree of freedom is no test.
    low = np.maximum(low, 2.001)
    enough = gained(low, np.arange(len(low))) >= 0.0
    high = beyond(gained, low, np.full_like(low, 4.0))
    return np.where(enough, low, root(gained, low, np.where(enough, low, high))).reshape(shape)


def _effect(
    difference: Any, sd: Any, ratio: Any, margin: Any, zero: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    spread, r = number(sd, "sd", 0.0, example="1"), number(ratio, "ratio", 0.0, example="1")
    edge = number(margin, "margin", example="0")
    gap = number(difference, "difference", example="0.4") - edge
    if not zero and np.any(gap == 0.0):
        raise ValueError("the difference is the margin, which no number of subjects tells apart; give another")
    return gap, spread, r, edge
