"""Bounds at the information that there really was, more or less than was planned."""

from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.sequential import spending
from analysis.statistics.sequential.boundaries import spend
from analysis.statistics.sequential.design import Design
from analysis.statistics.sequential.futility import march
from analysis.statistics.sequential.looks import increasing, number, rows

FUNCTIONS = tuple(kind for kind in spending.KINDS if kind != "given-spending")


class Monitored(NamedTuple):
    """Bounds at the looks held so far, (..., look). rates: their information, over the planned. upper: of efficacy.
    futility: below which to stop; -infinite where there is none. spent: alpha by each look."""

    rates: np.ndarray
    upper: np.ndarray
    futility: np.ndarray
    spent: np.ndarray


def monitor(plan: Design, information: Any, maximum: Any, last: bool = False) -> Monitored:
    """Bounds at looks that were held with `information`, of a design that plans for `maximum` at its end.

        P_0(not stopped before, Z_k >= u_k) = spent(I_k / I_max) - spent(I_(k-1) / I_max)

    information: so far, (..., look), increasing, in the units of maximum, (...): subjects, events or 1 / variance. More
    than the maximum spends nothing beyond alpha. last: whether the last of them ends the trial, so that it spends what
    is left even where less information than planned is there. Futility that spends beta does so at the drift that the
    design has with the maximum. Leading dimensions broadcast with the designs. Raises ValueError for a design that
    does not spend by a function, or whose futility was given as bounds.
    Lan & DeMets 1983, Biometrika 70:659; Jennison & Turnbull 2000, section 7.3.
    """
    rule, spends = plan.efficacy, plan.spends
    if rule.kind not in FUNCTIONS or (spends is not None and spends.kind not in FUNCTIONS):
        raise ValueError(
            "the design spends by no function of information; give one that does, of efficacy and futility"
        )
    if spends is None and np.any(plan.futility[..., :-1] > (-np.inf if plan.sided == 1 else 0.0)):
        raise ValueError("the futility of the design was given as bounds; give a rule that spends beta, or none")
    found = increasing(information, "information")
    share = found / number(maximum, "maximum", 0.0, example="300")[..., None]
    times = np.minimum(share, 1.0)
    if last:
        times[..., -1] = 1.0
    alpha = spending.spent(rule.kind, plan.alpha / plan.sided, times, rule.parameter)
    lost = np.zeros_like(alpha)
    if spends is not None:
        lost = spending.spent(spends.kind, plan.beta, times, spends.parameter)
    lead, (t, a, b, drift) = rows((share, True), (_steps(alpha), True), (_steps(lost), True), (plan.drift, False))
    none = np.full_like(t, -np.inf if plan.sided == 1 else 0.0)
    upper, futility = spend(t, a, none, plan.sided), none
    if spends is not None:
        upper, futility, _ = march(t, upper, a if plan.binding else None, b, drift, plan.sided, plan.both, last)
    shape = (*lead, t.shape[-1])
    used = np.broadcast_to(plan.sided * alpha, shape)
    return Monitored(t.reshape(shape), upper.reshape(shape), futility.reshape(shape), used)


def _steps(spent: np.ndarray) -> np.ndarray:
    return np.maximum(np.diff(spent, prepend=0.0, axis=-1), 0.0)
