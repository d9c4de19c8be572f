"""Group sequential designs."""

from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.sequential import spending
from analysis.statistics.sequential.boundaries import KINDS, Rule, boundary, rule_of
from analysis.statistics.sequential.exits import floor
from analysis.statistics.sequential.futility import drift_for, spend_beta
from analysis.statistics.sequential.looks import number, rates_of, rows, sides


class Design(NamedTuple):
    """A design, or many; arrays are (..., look) and (...).

    rates: information. upper: bounds of efficacy on the scale of Z, on either side of zero with two sides. futility:
    below which (in absolute value, with two sides) the trial stops without efficacy; -infinite, or 0, where it does
    not; at the last look what is not efficacy. drift: mean of the last Z at which the power is 1 - beta. binding:
    whether upper relies on futility being heeded. efficacy, spends: the rules of both; spends is None where futility
    was given or absent. both: whether rejection on either side counts as power.
    """

    rates: np.ndarray
    upper: np.ndarray
    futility: np.ndarray
    drift: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    sided: int
    binding: bool
    efficacy: Rule
    spends: Rule | None
    both: bool

    @property
    def heeded(self) -> np.ndarray:
        """The futility that error rates may rely on: none unless it binds, (..., look)."""
        return self.futility if self.binding else np.full_like(self.futility, -np.inf if self.sided == 1 else 0.0)


def design(
    looks: Any = 3,
    efficacy: Rule | str = "obrien-fleming-spending",
    alpha: Any = 0.025,
    beta: Any = 0.1,
    sided: int = 1,
    futility: Any = None,
    binding: bool = False,
    both: bool = False,
) -> Design:
    """A group sequential design of error rates alpha and beta.

    looks: their number, or information rates (..., look) that end at 1. efficacy: a Rule or its kind. futility: None;
    bounds on the scale of Z, (..., look - 1); or a Rule of spending (or its kind) that spends beta. binding: whether
    the trial is sure to stop there, so that efficacy may ask for less. alpha, beta: (...). sided: with 2, half of
    alpha is for each side, and power is that of the side where the drift is, unless `both`. Leading dimensions
    broadcast. Raises ValueError for bad looks, levels and rules, and for futility above efficacy.
    Jennison & Turnbull 2000, chapters 2 to 5 and 7.
    """
    rates = rates_of(looks)
    rule = rule_of(efficacy, KINDS, "the rule of efficacy")
    a, b = number(alpha, "alpha", 0.0, 1.0, "0.025"), number(beta, "beta", 0.0, 1.0, "0.1")
    if np.any(a / sides(sided) + b >= 1.0):
        raise ValueError(
            f"alpha and beta make {np.max(a / sided + b):g} together; give less than 1, such as 0.025 and 0.1"
        )
    if isinstance(futility, str | Rule):
        return _spending(rates, rule, a, b, sided, rule_of(futility, spending.KINDS, "futility"), binding, both)
    bottom = floor(futility, rates.shape[-1], sided)
    upper = boundary(rates, rule, a, sided, bottom if binding else None)
    lead, (t, u, f, side, miss) = rows((rates, True), (upper, True), (bottom, True), (a / sided, False), (b, False))
    if np.any(f[:, :-1] >= u[:, :-1]):
        raise ValueError("a futility bound is not below that of efficacy; lower it, or leave it out")
    drift = drift_for(t, u, f, side, miss, sided, both)
    f = np.concatenate([f[:, :-1], u[:, -1:]], -1)
    return _made(lead, t, u, f, drift, side * sided, miss, sided, binding, rule, None, both)


def _spending(
    rates: np.ndarray,
    rule: Rule,
    alpha: np.ndarray,
    beta: np.ndarray,
    sided: int,
    spends: Rule,
    binding: bool,
    both: bool,
) -> Design:
    steps = None
    if binding:
        if rule.kind not in spending.KINDS:
            raise ValueError(
                f"'{rule.kind}' spends no alpha, and cannot rely on futility that spends beta; give a rule of efficacy "
                "that spends, or binding=False"
            )
        given = None if rule.given is None else np.asarray(rule.given, dtype=float) / sided
        steps = np.diff(spending.spent(rule.kind, alpha / sided, rates, rule.parameter, given), prepend=0.0, axis=-1)
    upper = boundary(rates, rule, alpha, sided)
    lost = np.diff(spending.spent(spends.kind, beta, rates, spends.parameter, spends.given), prepend=0.0, axis=-1)
    lead, (t, u, s, lose, side, miss) = rows(
        (rates, True),
        (upper, True),
        (upper if steps is None else np.maximum(steps, 0.0), True),
        (np.maximum(lost, 0.0), True),
        (alpha / sided, False),
        (beta, False),
    )
    u, f, drift = spend_beta(t, u, s if binding else None, lose, side, sided, both)
    return _made(lead, t, u, f, drift, side * sided, miss, sided, binding, rule, spends, both)


def _made(
    lead: tuple[int, ...],
    rates: np.ndarray,
    upper: np.ndarray,
    futility: np.ndarray,
    drift: np.ndarray,
    alpha: np.ndarray,
    beta: np.ndarray,
    *rest: Any,
) -> Design:
    tables = [each.reshape(*lead, each.shape[-1]).copy() for each in (rates, upper, futility)]
    columns = [each.reshape(lead).copy() for each in (drift, alpha, beta)]
    return Design(*tables, *columns, *rest)  # type: ignore[arg-type]
