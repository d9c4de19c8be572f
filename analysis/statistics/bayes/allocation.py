"""Allocation that follows the arms that do well."""

from typing import Any

import numpy as np

from analysis.statistics.probability import probabilities

ENOUGH = 1.5e-8


def reallocated(
    best: Any,
    fixed: Any = None,
    least: Any = None,
    most: Any = None,
    *,
    power: float = 1.0,
    matched: int | None = None,
) -> np.ndarray:
    """Shares of the next patients by each arm's probability to be the best, within limits, (arm,).

    Each arm has its fixed share, or its part of what the fixed ones leave, in proportion to best^power; an arm beyond
    its least or most is put there and the others share again. Where limits cannot sum to 1 all are scaled.
    best: (arm,). fixed, least, most: (arm,), NaN for none. power: 0, for equal shares, to 1. matched: an arm (the
    control) that gets as much as the best other. Raises ValueError for shares outside 0 to 1, or fixed with a limit.
    The rules are those of adaptr, Granholm et al. 2022, J Open Source Softw 7:4284; power: Thall & Wathen 2007, Eur J
    Cancer 43:859.
    """
    chances = probabilities(best, "best", "arm").copy()
    if chances.ndim != 1:
        raise ValueError(f"best has shape {chances.shape}; give one number an arm")
    if not 0.0 <= power <= 1.0:
        raise ValueError(f"power is {power}; give a number from 0 to 1")
    arms = len(chances)
    share, low, high = (
        _limits(each, name, arms) for each, name in ((fixed, "fixed"), (least, "least"), (most, "most"))
    )
    if (~np.isnan(share) & ~(np.isnan(low) & np.isnan(high))).any() or (low > high).any():
        raise ValueError("an arm has a fixed share and a limit, or its least above its most; give one of them")
    if np.nansum(share) > 1.0 + ENOUGH or np.nansum(low) > 1.0 + ENOUGH:
        raise ValueError("the fixed or least shares sum to more than 1; give smaller ones")
    if matched is not None and arms > 1:
        if not 0 <= matched < arms:
            raise ValueError(f"matched is {matched}; give an arm of 0 to {arms - 1}")
        chances[matched] = np.delete(chances, matched).max()
        chances = _scaled(chances)
    if np.isnan(share).all() and np.isnan(low).all() and np.isnan(high).all():
        return _scaled(chances**power)
    final = share
    while np.isnan(final).any():
        free = np.isnan(final)
        left = max(1.0 - float(np.nansum(final)), 0.0)
        tried = np.where(free, 0.0, final)
        tried[free] = left * _scaled(_scaled(chances[free]) ** power)
        below, above = free & (tried < low), free & (tried > high)
        if not (below | above).any():
            final = tried
        else:
            final = np.where(below, low, np.where(above, high, final))
    return final if abs(final.sum() - 1.0) <= ENOUGH else _scaled(final)


def _limits(values: Any, name: str, arms: int) -> np.ndarray:
    if values is None:
        return np.full(arms, np.nan)
    found = probabilities(values, name, "arm", missing=True)
    if found.shape != (arms,):
        raise ValueError(f"{name} has shape {found.shape} for {arms} arms; give one number an arm, NaN for none")
    return found


def _scaled(shares: np.ndarray) -> np.ndarray:
    total = shares.sum()
    return shares / total if total > 0 else np.full(len(shares), 1.0 / len(shares))
