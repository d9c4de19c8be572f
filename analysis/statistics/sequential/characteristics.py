"""What a design costs and gives: sample sizes against a fixed one, power, and the error spent at each look."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.sequential.design import Design
from analysis.statistics.sequential.exits import Exits, exits
from analysis.statistics.sequential.futility import drift_for


class Characteristics(NamedTuple):
    """Of a design; arrays are (...) or (..., look).

    fixed: (z_(1-alpha) + z_(1-beta))^2, the information of one look at effect 1. shift: drift^2, that of the design.
    inflation: shift / fixed, the largest sample size against that of one look. expected_alternative, expected_between,
    expected_null: average sample sizes against that of one look, at the drift, half of it, and none. power,
    alpha_spent: by each look, at the drift and at none. nominal_p: one-sided, at the bounds. information: by each look.
    """

    fixed: np.ndarray
    shift: np.ndarray
    inflation: np.ndarray
    expected_alternative: np.ndarray
    expected_between: np.ndarray
    expected_null: np.ndarray
    power: np.ndarray
    alpha_spent: np.ndarray
    nominal_p: np.ndarray
    information: np.ndarray


class Power(NamedTuple):
    """At some drift: the probabilities of stopping, (..., look), of rejecting, and the expected share of the full
    information, both (...)."""

    exits: Exits
    reject: np.ndarray
    expected: np.ndarray


def power(plan: Design, drift: Any) -> Power:
    """What a design does at a drift, which broadcasts with the designs; futility is heeded. With two sides and without
    `both`, what is rejected on the side away from the drift is no power."""
    left = exits(plan.rates, plan.upper, drift, plan.futility, plan.sided)
    reject = left.upper.sum(-1) + (left.lower.sum(-1) if plan.both else 0.0)
    return Power(left, reject, (left.any * plan.rates).sum(-1))


def characteristics(plan: Design) -> Characteristics:
    """What a design costs and gives.

    Alpha spent is that of the bounds of efficacy, without futility unless it binds.
    Jennison & Turnbull 2000, chapters 2 and 4.
    """
    side = plan.alpha / plan.sided
    one = stats.norm.isf(side) + stats.norm.isf(plan.beta)
    if plan.both and plan.sided == 2:
        alpha, beta = np.ravel(side), np.ravel(plan.beta)
        top = stats.norm.isf(alpha)[:, None]
        one = drift_for(np.ones_like(top), top, np.zeros_like(top), alpha, beta, 2, True).reshape(plan.drift.shape)
    fixed, shift = one**2, plan.drift**2
    inflation = shift / fixed
    there, between, none = (power(plan, share * plan.drift) for share in (1.0, 0.5, 0.0))
    null = exits(plan.rates, plan.upper, 0.0, plan.heeded, plan.sided)
    rejected = there.exits.upper + (there.exits.lower if plan.both else 0.0)
    return Characteristics(
        fixed,
        shift,
        inflation,
        inflation * there.expected,
        inflation * between.expected,
        inflation * none.expected,
        np.cumsum(rejected, -1),
        np.cumsum(null.upper + null.lower, -1),
        stats.norm.sf(plan.upper),
        shift[..., None] * plan.rates,
    )
