"""What to say when a trial has stopped: p-value, interval and estimate by stage-wise ordering."""

from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.sequential.exits import bounds, floor, leave
from analysis.statistics.sequential.looks import increasing, number, observed, rows, sides
from analysis.statistics.sequential.roots import beyond, root


class Final(NamedTuple):
    """p: of no effect, one- or two-sided as the design is. value: median-unbiased estimate. lower, upper: limits of
    level 1 - alpha, or 1 - 2 alpha of a one-sided design. All (...)."""

    p: np.ndarray
    value: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def stagewise_p(
    z: Any, look: Any, rates: Any, upper: Any, drift: Any = 0.0, futility: Any = None, sided: int = 1
) -> np.ndarray:
    """Probability of ending at least as high, in stage-wise order, where Z = z at the look that stopped, (...).

        sum over j < k of P(efficacy at j) + P(not stopped before k, Z_k >= z)

    High is: efficacy early, then late, then Z at the same look, then futility late, then early. z, look (from 1 on),
    drift: (...); NaN for a z of NaN. rates, upper, futility: (..., look); futility that does not bind is left out. p is
    one-sided also with two sides. Raises ValueError for a look that the design has not.
    Tsiatis, Rosner & Mehta 1984, Biometrics 40:797; Jennison & Turnbull 2000, section 8.4.
    """
    lead, (stat, k, t, u, f, mean) = _table(z, look, rates, upper, drift, futility, sided)
    p = _extreme(np.nan_to_num(stat), k, t, u, f, mean[:, None] * np.ones_like(t), sided)
    return np.where(np.isnan(stat), np.nan, p).reshape(lead)


def final(
    z: Any,
    look: Any,
    rates: Any,
    upper: Any,
    alpha: Any = 0.025,
    sided: int = 1,
    futility: Any = None,
    information: Any = 1.0,
    means: Any = None,
) -> Final:
    """p-value, median-unbiased estimate and interval of theta after the trial.

    At the estimate `stagewise_p` is 1/2; at the limits alpha and 1 - alpha, of which two sides take half.
    information: at rate 1, the inverse of the variance of theta's estimate, (...); with 1 the results are drifts.
    means: mean of Z at each look where theta is 1, (..., look), in place of sqrt(information rates) where the parts of
    the trial weigh otherwise than they inform, as in a combination test. The other arguments as in `stagewise_p`.
    """
    level = number(alpha, "alpha", 0.0, 1.0, "0.025") / sides(sided)
    t = increasing(rates, "information rates")
    if means is None:
        means = np.sqrt(number(information, "information", 0.0, example="100")[..., None] * t)
    unit = number(means, "means", 0.0, example="the roots of the information")
    score = unit * np.sqrt(t)
    slope = np.diff(score, prepend=0.0, axis=-1) / np.diff(t, prepend=0.0, axis=-1)
    lead, (stat, k, t, u, f, still, share, unit, slope) = _table(
        z, look, rates, upper, 0.0, futility, sided, (level, False), (unit, True), (slope, True)
    )
    absent, stat = np.isnan(stat), np.nan_to_num(stat)
    p = _extreme(stat, k, t, u, f, still[:, None] * slope, sided)
    now = np.take_along_axis(unit, k[:, None].astype(int) - 1, -1)[:, 0]
    ends = []
    for target in (np.full_like(share, 0.5), share, 1.0 - share):

        def excess(theta: np.ndarray, i: np.ndarray, target: np.ndarray = target) -> np.ndarray:
            return _extreme(stat[i], k[i], t[i], u[i], f[i], theta[:, None] * slope[i], sided) - target[i]

        high = beyond(excess, stat / now, 4.0 / now)
        low = -beyond(lambda x, i, excess=excess: -excess(-x, i), -stat / now, 4.0 / now)  # type: ignore[misc]
        ends.append(root(excess, low, high))
    if sided == 2:
        p = 2.0 * np.minimum(p, 1.0 - p)
    return Final(*(np.where(absent, np.nan, each).reshape(lead) for each in (p, *ends)))


def _extreme(
    z: np.ndarray,
    look: np.ndarray,
    times: np.ndarray,
    upper: np.ndarray,
    futility: np.ndarray,
    drift: np.ndarray,
    sided: int,
) -> np.ndarray:
    """`stagewise_p` of tables: the trial that ends at its look, with z for its bound."""
    found = np.empty(len(z))
    for k in np.unique(look).astype(int):
        i = look == k
        top = np.concatenate([upper[i, : k - 1], z[i, None]], -1)
        found[i] = leave(times[i, :k], top, futility[i, :k], drift[i, :k], sided).upper.sum(-1)
    return found


def _table(
    z: Any, look: Any, rates: Any, upper: Any, drift: Any, futility: Any, sided: int, *more: tuple[Any, bool]
) -> tuple[tuple[int, ...], list[np.ndarray]]:
    t = increasing(rates, "information rates")
    looks = t.shape[-1]
    which = np.asarray(look)
    if not (np.issubdtype(which.dtype, np.integer) and np.all((which >= 1) & (which <= looks))):
        raise ValueError(f"look is {look} of {looks}; give whole numbers from 1 to {looks}")
    return rows(
        (observed(z, "z"), False),
        (which, False),
        (t, True),
        (bounds(upper, "upper", looks), True),
        (floor(futility, looks, sides(sided)), True),
        (number(drift, "drift"), False),
        *more,
    )
