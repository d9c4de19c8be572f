"""How sure the choice of a strategy is: acceptability curves, their frontier, and what perfect information is worth."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.information import perfect_information
from analysis.statistics.arrays import plain
from analysis.statistics.probability import positive


class Acceptability(NamedTuple):
    """By willingness: benefit: mean net benefit, acceptable: share of draws in which a strategy is the best, both
    (willingness, strategy). best: of the highest mean, frontier: its share, evpi: each (willingness,)."""

    willingness: np.ndarray
    benefit: np.ndarray
    acceptable: np.ndarray
    best: np.ndarray
    frontier: np.ndarray
    evpi: np.ndarray


class NormalChoice(NamedTuple):
    """Of two strategies, by willingness, (willingness,): benefit: mean incremental net benefit; sd: of it; acceptable:
    P(it is above 0); evpi."""

    benefit: np.ndarray
    sd: np.ndarray
    acceptable: np.ndarray
    evpi: np.ndarray


def acceptability(costs: Any, effects: Any, willingness: Any) -> Acceptability:
    """Which of several strategies to choose, from draws of their costs and effects.

    costs, effects: (draw, strategy); of two strategies known by their difference alone the second has zeros.
    willingness: (willingness,). Fenwick, Claxton & Sculpher 2001, Health Econ 10:779.
    """
    cost, effect = plain(costs, "costs", "draw", "strategy"), plain(effects, "effects", "draw", "strategy")
    if cost.ndim != 2 or cost.shape != effect.shape or not len(cost):
        raise ValueError(f"costs have shape {cost.shape} and effects {effect.shape}; give (draw, strategy) of both")
    if np.isnan(cost).any() or np.isnan(effect).any():
        raise ValueError("a cost or an effect is missing; give a number for each draw and strategy")
    willing = _willing(willingness)
    benefits = [each * effect - cost for each in willing]
    benefit = np.array([each.mean(0) for each in benefits])
    strategies = np.arange(cost.shape[1])
    acceptable = np.array([(each.argmax(1)[:, None] == strategies).mean(0) for each in benefits])
    best = benefit.argmax(1)
    evpi = np.array([perfect_information(each) for each in benefits])
    return Acceptability(willing, benefit, acceptable, best, acceptable[np.arange(len(willing)), best], evpi)


def normal_choice(
    effect: float, effect_sd: float, cost: float, cost_sd: float, correlation: float, willingness: Any
) -> NormalChoice:
    """The same of two strategies whose differences in cost and effect are bivariate normal, in closed form.

    b = W e - c,   s^2 = W^2 sd_e^2 + sd_c^2 - 2 W r sd_e sd_c
    P(b > 0) = Phi(b / s),   EVPI = s phi(b / s) - |b| Phi(-|b| / s)
    """
    willing = _willing(willingness)
    if not -1.0 <= correlation <= 1.0:
        raise ValueError(f"the correlation is {correlation}; give a number from -1 to 1")
    sd_e, sd_c = float(positive(effect_sd, "effect_sd")), float(positive(cost_sd, "cost_sd"))
    benefit = willing * effect - cost
    sd = np.sqrt(willing**2 * sd_e**2 + sd_c**2 - 2 * willing * correlation * sd_e * sd_c)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(sd > 0, benefit / sd, np.sign(benefit) * np.inf)
    evpi = sd * stats.norm.pdf(score) - np.abs(benefit) * stats.norm.sf(np.abs(score))
    return NormalChoice(benefit, sd, stats.norm.cdf(score), evpi)


def _willing(willingness: Any) -> np.ndarray:
    found = np.atleast_1d(plain(willingness, "willingness")) if np.ndim(willingness) else np.array([float(willingness)])
    if found.ndim != 1 or not (found >= 0).all():
        raise ValueError("willingness is below 0 or no list; give what a unit of effect may cost")
    return found
