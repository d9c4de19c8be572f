"""Intervals and p-values that hold at every look, whether or not the trial goes on."""

from typing import Any

import numpy as np
from scipy import special

from analysis.statistics.sequential.boundaries import KINDS, Rule, boundary, rule_of
from analysis.statistics.sequential.exits import floor
from analysis.statistics.sequential.looks import number, observed, rates_of, rows, sides
from analysis.statistics.sequential.roots import root

LEAST = -230.0  # logit of 1e-100, the smallest level that is tried


def repeated_interval(value: Any, se: Any, upper: Any) -> tuple[np.ndarray, np.ndarray]:
    """Limits value -+ u_k se of the estimates at the looks, of any shapes that broadcast.

    All of them hold at once with level 1 - alpha, or 1 - 2 alpha of a one-sided design.
    Jennison & Turnbull 2000, section 9.2.
    """
    half = np.asarray(upper, dtype=float) * number(se, "se", 0.0, example="0.2")
    return value - half, value + half


def repeated_p(
    z: Any,
    looks: Any,
    rule: Rule | str = "obrien-fleming-spending",
    sided: int = 1,
    futility: Any = None,
    look: int | None = None,
) -> np.ndarray:
    """The level at which the design would just have rejected at each look.

    z: of each look held so far, (..., look), or with `look`, that look's alone, (...). looks: number or information
    rates of all. rule: of efficacy, of a shape or a spending function that has all levels; futility: binding bounds.
    With two sides p is two-sided. Levels below 1e-100 are 0; NaN for a z of NaN. Raises ValueError for a rule that is
    one level's alone.
    Jennison & Turnbull 2000, section 9.5.
    """
    rates = rates_of(looks)
    found = rule_of(rule, KINDS, "the rule of efficacy")
    if found.kind in ("given-spending", "haybittle-peto"):
        raise ValueError(f"'{found.kind}' is of one level alone and has no repeated p-value; give another rule")
    seen = observed(z, "z")
    if look is None:
        if seen.ndim == 0 or not 1 <= seen.shape[-1] <= rates.shape[-1]:
            raise ValueError(f"z has {seen.shape=} for {rates.shape[-1]} looks; give one for each look held so far")
        each = [repeated_p(seen[..., k], rates, rule, sided, futility, k + 1) for k in range(seen.shape[-1])]
        return np.stack(each, -1)
    if not 1 <= look <= rates.shape[-1]:
        raise ValueError(f"look is {look} of {rates.shape[-1]}; give one from 1 on")
    parameter = np.zeros(()) if found.parameter is None else np.asarray(found.parameter, dtype=float)
    lead, (t, f, value, extra) = rows(
        (rates, True), (floor(futility, rates.shape[-1], sides(sided)), True), (seen, False), (parameter, False)
    )
    absent, value = np.isnan(value), np.nan_to_num(np.abs(value) if sided == 2 else value)

    def above(x: np.ndarray, i: np.ndarray) -> np.ndarray:
        own = Rule(found.kind, None if found.parameter is None else extra[i])
        return boundary(t[i], own, special.expit(x), sided, f[i])[:, look - 1] - value[i]

    low, high = np.full(len(t), LEAST), np.full(len(t), 30.0)
    everyone = np.arange(len(t))
    p = special.expit(root(above, low, high))
    p = np.where(above(low, everyone) <= 0.0, 0.0, np.where(above(high, everyone) >= 0.0, 1.0, p))
    return np.where(absent, np.nan, p).reshape(lead)
