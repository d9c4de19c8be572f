"""Bounds of efficacy: what the statistic has to reach at each look."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.sequential import spending, walk
from analysis.statistics.sequential.exits import floor, leave, onward
from analysis.statistics.sequential.looks import increasing, number, rates_of, rows, sides
from analysis.statistics.sequential.roots import root

SHAPES = ("obrien-fleming", "pocock", "wang-tsiatis")
KINDS = (*SHAPES, "haybittle-peto", *spending.KINDS)


class Rule(NamedTuple):
    """How an error rate is shared out among looks.

    kind: one of `boundaries.KINDS`, or for futility of `spending.KINDS`. parameter: Delta of Wang and Tsiatis, gamma
    of Hwang, Shih and DeCani, rho of Kim and DeMets, or the bound of Haybittle and Peto (3 unless it says otherwise).
    given: what is spent by each look, (..., look), of given-spending.
    """

    kind: str
    parameter: Any = None
    given: Any = None


def rule_of(rule: Rule | str, kinds: tuple[str, ...], name: str) -> Rule:
    """The rule, of which a string is the kind. Raises ValueError for a kind that is not among these."""
    found = Rule(rule) if isinstance(rule, str) else Rule(*rule)
    if found.kind not in kinds:
        raise ValueError(f"{name} is '{found.kind}', which is not known; write one of: {', '.join(kinds)}")
    return found


def boundary(
    looks: Any,
    rule: Rule | str = "obrien-fleming-spending",
    alpha: Any = 0.025,
    sided: int = 1,
    futility: Any = None,
    times: Any = None,
) -> np.ndarray:
    """Bounds of efficacy on the scale of Z, (..., look), at which the error rate is alpha in all.

        obrien-fleming   c t_k^(-1/2)
        pocock           c
        wang-tsiatis     c t_k^(Delta - 1/2)
        haybittle-peto   3 at each look but the last
        spending         P_0(not stopped before, Z_k >= u_k) = spent(t_k) - spent(t_(k-1))

    looks: their number, or information rates (..., look), that end at 1. alpha: (...); with two sides half of it on
    each. futility: binding bounds (..., look or look - 1); leave out those that do not bind. times: what spending
    reads in place of the rates, (..., look), such as calendar time. Infinite where a look has nothing to spend.
    Raises ValueError for bad looks, levels and rules, and where nothing is left for the last look.
    Wang & Tsiatis 1987, Biometrics 43:193; Lan & DeMets 1983, Biometrika 70:659; Jennison & Turnbull 2000, ch. 2, 7.
    """
    rates = rates_of(looks)
    rule = rule_of(rule, KINDS, "the rule of efficacy")
    side = number(alpha, "alpha", 0.0, 1.0, "0.025") / sides(sided)
    bottom = floor(futility, rates.shape[-1], sided)
    if rule.kind in spending.KINDS:
        given = None if rule.given is None else np.asarray(rule.given, dtype=float) / sided
        read = rates if times is None else increasing(times, "times of spending")
        target = np.diff(spending.spent(rule.kind, side, read, rule.parameter, given), prepend=0.0, axis=-1)
        lead, (t, f, steps) = rows((rates, True), (bottom, True), (np.maximum(target, 0.0), True))
        upper = spend(t, steps, f, sided)
    elif rule.kind == "haybittle-peto":
        level = number(3.0 if rule.parameter is None else rule.parameter, "the bound of Haybittle and Peto", 0.0)
        lead, (t, f, a, early) = rows((rates, True), (bottom, True), (side, False), (level, False))
        upper = _haybittle_peto(t, f, a, early, sided)
    else:
        power = {"obrien-fleming": 0.0, "pocock": 0.5}.get(rule.kind, rule.parameter)
        if power is None:
            raise ValueError("wang-tsiatis has no parameter; give Delta, such as 0.25")
        delta = number(power, "Delta of Wang and Tsiatis", -10.0, 10.0, "0.25")
        lead, (t, f, a, d) = rows((rates, True), (bottom, True), (side, False), (delta, False))
        upper = _scaled(t, f, a, d, sided)
    if np.any(upper == -np.inf) or np.any((f > (-np.inf if sided == 1 else 0.0)) & (f >= upper)):
        raise ValueError("a futility bound is not below that of efficacy; lower it, or leave it out")
    return upper.reshape(*lead, rates.shape[-1])


def spend(times: np.ndarray, steps: np.ndarray, futility: np.ndarray, sided: int) -> np.ndarray:
    """Bounds at which each look spends its step of one side's error rate; tables (design, look)."""
    still, at, found = np.zeros(len(times)), walk.start(len(times)), []
    for k in range(times.shape[1]):
        found.append(walk.upper_point(at, times[:, k], still, steps[:, k]))
        if k < times.shape[1] - 1:
            at = onward(at, times[:, k], still, times[:, k + 1], found[k], futility[:, k], sided)
    return np.stack(found, -1)


def _scaled(times: np.ndarray, futility: np.ndarray, alpha: np.ndarray, delta: np.ndarray, sided: int) -> np.ndarray:
    """The bounds c t^(delta - 1/2)."""
    shape = times ** (delta[:, None] - 0.5)
    still = np.zeros(len(times))

    def excess(c: np.ndarray, i: np.ndarray) -> np.ndarray:
        left = leave(times[i], c[:, None] * shape[i], futility[i], still[i], sided)
        return np.log(alpha[i]) - np.log(left.upper.sum(-1))

    # The last look alone would ask for z(alpha); a share of alpha for each look is always enough. Futility that binds
    # makes room for less than both.
    binds = np.any(futility > (-np.inf if sided == 1 else 0.0), axis=-1)
    low = np.where(binds, -8.0, stats.norm.isf(alpha)) - 0.01
    high = stats.norm.isf(alpha / times.shape[1]) * np.maximum(1.0, 1.0 / shape.min(-1)) + 0.01
    return root(excess, low, high)[:, None] * shape


def _haybittle_peto(
    times: np.ndarray, futility: np.ndarray, alpha: np.ndarray, level: np.ndarray, sided: int
) -> np.ndarray:
    upper = np.broadcast_to(level[:, None], times.shape).copy()
    early = leave(times, upper, futility, np.zeros(len(times)), sided).upper[:, :-1].sum(-1)
    if np.any(early >= alpha):
        raise ValueError(
            f"looks before the last spend {early.max():g} with the bound {level.min():g}, of {alpha.min():g} on each "
            "side; raise the bound"
        )
    steps = leave(times, upper, futility, np.zeros(len(times)), sided).upper
    steps[:, -1] = alpha - early
    upper[:, -1] = spend(times, steps, futility, sided)[:, -1]
    return upper
