"""Several strategies in order of cost: which are dominated, and what each of the others costs more per effect."""

from enum import IntEnum
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.arrays import plain


class Standing(IntEnum):
    """On the frontier; dominated by one strategy (costs no less, does no more); or by a mix of two (extended)."""

    FRONTIER = 0
    DOMINATED = 1
    EXTENDED = 2


class Frontier(NamedTuple):
    """standing: codes of Standing. ratio: cost per unit of effect against the one before it on the frontier, NaN for
    the cheapest and the dominated; both (strategy,). order: those on the frontier, from the cheapest."""

    standing: np.ndarray
    ratio: np.ndarray
    order: np.ndarray


def frontier(costs: Any, effects: Any) -> Frontier:
    """The efficiency frontier. costs, effects: (strategy,). Of strategies that are the same the first stays.

    Drummond et al. 2015, Methods for the Economic Evaluation of Health Care Programmes, 4th ed., chapter 4.
    """
    cost, effect = plain(costs, "costs", "strategy"), plain(effects, "effects", "strategy")
    if cost.ndim != 1 or cost.shape != effect.shape or np.isnan(cost).any() or np.isnan(effect).any():
        raise ValueError(f"costs {cost.shape} and effects {effect.shape}; give one number a strategy of both")
    standing = np.full(len(cost), int(Standing.DOMINATED))
    order: list[int] = []
    # By cost, and of equal costs the most effective first.
    for each in np.lexsort((-effect, cost)):
        if order and not effect[each] > max(effect[kept] for kept in order):
            continue
        # A ratio that falls shows that the one before was bought too dear.
        while len(order) > 1 and _ratio(cost, effect, order[-2], order[-1]) >= _ratio(cost, effect, order[-1], each):
            standing[order.pop()] = Standing.EXTENDED
        order.append(int(each))
    ratio = np.full(len(cost), np.nan)
    for before, after in pairwise(order):
        ratio[after] = _ratio(cost, effect, before, after)
    standing[order] = Standing.FRONTIER
    return Frontier(standing, ratio, np.array(order))


def _ratio(cost: np.ndarray, effect: np.ndarray, before: int, after: int) -> float:
    return float((cost[after] - cost[before]) / (effect[after] - effect[before]))
