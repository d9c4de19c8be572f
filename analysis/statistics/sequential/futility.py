"""Bounds of futility that spend the error of the second kind, and the drift that has the power asked for."""

from collections.abc import Callable

import numpy as np
from scipy import stats

from analysis.statistics.sequential import walk
from analysis.statistics.sequential.exits import inside, leave, onward
from analysis.statistics.sequential.roots import beyond, root


def drift_for(
    times: np.ndarray,
    upper: np.ndarray,
    futility: np.ndarray,
    alpha: np.ndarray,
    beta: np.ndarray,
    sided: int,
    both: bool,
) -> np.ndarray:
    """Drift at which the bounds have power 1 - beta, (design,). alpha: of one side. both: either side counts."""

    def short(drift: np.ndarray, i: np.ndarray) -> np.ndarray:
        left = leave(times[i], upper[i], futility[i], drift, sided)
        return beta[i] - (1.0 - left.upper.sum(-1) - both * left.lower.sum(-1))

    return _solve(short, alpha, beta, both)


def spend_beta(
    times: np.ndarray,
    upper: np.ndarray,
    alpha_steps: np.ndarray | None,
    beta_steps: np.ndarray,
    alpha: np.ndarray,
    sided: int,
    both: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds of efficacy and of futility, and the drift at which both meet at the last look.

        P_drift(not stopped before, Z_k < f_k) = spent(t_k) - spent(t_(k-1)),   f_K = u_K

    upper: bounds of efficacy that hold whether or not futility is heeded; where alpha_steps are given they are
    sought again with futility that binds. Tables (design, look); alpha: of one side, (design,). With two sides
    futility is |Z_k| < f_k. Raises ValueError where futility reaches efficacy before the last look.
    Pampallona, Tsiatis & Kim 2001, Drug Inf J 35:1113.
    """

    def at(drift: np.ndarray, i: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        own = None if alpha_steps is None else alpha_steps[i]
        return march(times[i], upper[i], own, beta_steps[i], drift, sided, both)

    beta = beta_steps.sum(-1)
    drift = _solve(lambda x, i: at(x, i)[2] - (1.0 - beta[i]), alpha, beta, both)
    top, bottom, _ = at(drift, np.arange(len(times)))
    crossed = top[:, :-1] - bottom[:, :-1] < 1e-6  # the root comes as near as this where both would cross
    if crossed.any():
        look = int(np.argwhere(crossed)[0, 1]) + 1
        raise ValueError(
            f"the futility bound reaches that of efficacy at look {look}; spend beta later, or take fewer looks"
        )
    return top, bottom, drift


def march(
    times: np.ndarray,
    upper: np.ndarray,
    alpha_steps: np.ndarray | None,
    beta_steps: np.ndarray,
    drift: np.ndarray,
    sided: int,
    both: bool = False,
    ends: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds of efficacy and futility, look by look, and the probability of efficacy, at a drift.

    As `spend_beta`, which finds the drift. ends: whether the last look ends the trial, so that all is futile there
    that is not efficacy.
    """
    rows, still, power = len(times), np.zeros(len(times)), np.zeros(len(times))
    here, there = walk.start(rows), walk.start(rows)
    tops, bottoms = [], []
    for k in range(times.shape[1]):
        t = times[:, k]
        u = upper[:, k] if alpha_steps is None else walk.upper_point(here, t, still, alpha_steps[:, k])
        power = power + walk.above(there, t, drift, u)
        if both:
            power = power + walk.below(there, t, drift, -u)
        last = k == times.shape[1] - 1
        f = u if last and ends else np.minimum(_futile(there, t, drift, beta_steps[:, k], sided), u)
        tops.append(u)
        bottoms.append(f)
        if not last:
            there = onward(there, t, drift, times[:, k + 1], u, f, sided)
            if alpha_steps is not None:
                here = onward(here, t, still, times[:, k + 1], u, f, sided)
    return np.stack(tops, -1), np.stack(bottoms, -1), power


def _futile(at: walk.Walk, time: np.ndarray, drift: np.ndarray, target: np.ndarray, sided: int) -> np.ndarray:
    """Bound below which a look stops with probability `target`."""
    if sided == 1:
        return walk.lower_point(at, time, drift, target)

    def excess(f: np.ndarray, i: np.ndarray) -> np.ndarray:
        part = walk.Walk(*(each[i] for each in at))
        return inside(part, time[i], drift[i], f, sided) - target[i]

    none = np.zeros(len(target))
    high = np.full(len(target), 40.0)
    # Where less than the target is left, everything is futile, up to the bound of efficacy.
    found = root(excess, none, np.where(target > 0.0, high, none))
    return np.where(target > 0.0, np.where(np.isnan(found), high, found), none)


def _solve(
    short: Callable[[np.ndarray, np.ndarray], np.ndarray], alpha: np.ndarray, beta: np.ndarray, both: bool
) -> np.ndarray:
    # No test of that level can do with less than the one look of Neyman and Pearson.
    least = stats.norm.isf(alpha) + stats.norm.isf(beta)
    low = np.zeros_like(least) if both else least - 0.01
    high = beyond(short, low, np.maximum(0.1, 0.2 * least))
    drift = root(short, low, high)
    if np.isnan(drift).any():
        raise ValueError("no drift has the power asked for with these bounds; ask for less power, or let more go on")
    return drift
