"""Comparisons of several arms with one control, by Dunnett."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, stats

from analysis.statistics.arrays import level, plain, together
from analysis.statistics.multiplicity.normal import beyond
from analysis.statistics.probability import positive
from analysis.statistics.trouble import Trouble, troubled


class Dunnett(NamedTuple):
    """Comparisons with control; value, se, statistic, p, stepdown_p, lower, upper: (..., comparison).

    p, lower, upper: single-step, simultaneous; lower or upper alone is to be read where sided was 1. stepdown_p: of the
    step-down test, never larger than p. df, critical, trouble: (...). critical: limit of the statistics.
    """

    value: np.ndarray
    se: np.ndarray
    statistic: np.ndarray
    p: np.ndarray
    stepdown_p: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    df: np.ndarray
    critical: np.ndarray
    trouble: np.ndarray


def critical_value(sizes: Any, df: float, alpha: float = 0.05, sided: int = 2) -> float:
    """Limit that the largest of the statistics passes with probability alpha under the null hypothesis.

    sizes: subjects of the control and of each other arm, or any numbers in proportion, (1 + comparison,). df: of the
    pooled variance, infinite for a known one. With two sides the largest |t|. Dunnett 1964, Biometrics 20:482.
    """
    level(alpha, sided)
    factors = _factors(sizes)
    law = stats.t(_freedom(df)) if np.isfinite(df) else stats.norm()
    k = len(factors)
    # One comparison alone, and Bonferroni's for all, are the bounds.
    lower, upper = law.isf(alpha / sided), law.isf(alpha / sided / k)
    if k == 1:
        return float(lower)

    def excess(limit: float) -> float:
        return float(beyond(np.full(k, limit), factors, df, sided)) - alpha

    return float(optimize.brentq(excess, lower - 1e-6, upper + 1e-6, xtol=1e-12, rtol=1e-12))


def p_values(statistics: Any, sizes: Any, df: float, sided: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Single-step and step-down p-values, both (..., comparison) as the statistics.

        single-step: P(max T >= t_i), step-down: P(max over those with t_j <= t_i of T >= t_i), made monotone

    sizes, df as in `critical_value`. NaN gives NaN. Dunnett & Tamhane 1991, Stat Med 10:939.
    """
    level(0.5, sided)
    factors = _factors(sizes)
    t = plain(statistics, "statistics", "comparison")
    if t.shape[-1] != len(factors):
        raise ValueError(f"{t.shape[-1]} statistics for {len(factors)} comparisons; give one each")
    df = _freedom(df)
    flat = (np.abs(t) if sided == 2 else t).reshape(-1, len(factors))
    single, down = np.full(flat.shape, np.nan), np.full(flat.shape, np.nan)
    for row, each in enumerate(flat):
        if np.isnan(each).any():
            continue
        single[row] = beyond(np.repeat(each[:, None], len(each), axis=1), factors, df, sided)
        left, passed = list(np.argsort(-each, kind="stable")), 0.0
        while left:
            passed = max(passed, float(beyond(np.full(len(left), each[left[0]]), factors[left], df, sided)))
            down[row, left.pop(0)] = passed
    return single.reshape(t.shape), down.reshape(t.shape)


def dunnett(
    values: Any,
    arms: Any,
    control: int,
    treatments: Sequence[int] | None = None,
    *,
    alpha: float = 0.05,
    sided: int = 2,
) -> Dunnett:
    """Mean of each treatment against the control, with the variance pooled over all of these arms.

        t_i = (mean_i - mean_0) / (s sqrt(1/n_i + 1/n_0)),   df = N - 1 - comparisons
        mean_i - mean_0 +- c s sqrt(1/n_i + 1/n_0),   c = critical_value

    values, arms: (..., subject); NaN is left out. treatments: codes of arms, all but the control where None. One-sided:
    for means above the control's. Any sizes of arms; error of p below 1e-9.
    Raises ValueError for arms that are not there. Dunnett 1955, J Am Stat Assoc 50:1096.
    """
    level(alpha, sided)
    y, arm = together(values=plain(values, "values"), arms=plain(arms, "arms"))
    codes = [int(each) for each in np.unique(arm[~np.isnan(arm)])]
    chosen = [each for each in codes if each != control] if treatments is None else [int(each) for each in treatments]
    absent = [each for each in (control, *chosen) if each not in codes]
    if absent or not chosen or control in chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"control {control} and treatments {chosen} are no arms apart; the data have {codes}")
    inside = np.stack([(arm == code) & ~np.isnan(y) for code in (control, *chosen)], axis=-2)
    n = inside.sum(-1).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(inside, y[..., None, :], 0.0).sum(-1) / n
        squares = np.where(inside, (y[..., None, :] - mean[..., None]) ** 2, 0.0).sum((-1, -2))
        df = n.sum(-1) - n.shape[-1]
        value = mean[..., 1:] - mean[..., :1]
        # Rounding of a mean leaves a variance to values that are all equal.
        flat = squares <= 1e-28 * n.sum(-1) * np.nanmax(np.abs(np.where(inside, y[..., None, :], 0.0)), (-1, -2)) ** 2
        empty = (n == 0).any(-1)
        sound = ~empty & (df > 0) & ~flat
        se = np.where(sound[..., None], np.sqrt((squares / df)[..., None] * (1 / n[..., 1:] + 1 / n[..., :1])), np.nan)
        t = value / se
    critical = np.full(df.shape, np.nan)
    single, down = np.full(t.shape, np.nan), np.full(t.shape, np.nan)
    known: dict[tuple, float] = {}
    for index in np.argwhere(sound):
        at = tuple(index)
        key = tuple(n[at])
        if key not in known:
            known[key] = critical_value(n[at], float(df[at]), alpha, sided)
        critical[at] = known[key]
        single[at], down[at] = p_values(t[at], n[at], float(df[at]), sided)
    trouble = troubled(df.shape, (empty, Trouble.EMPTY_ARM), (df <= 0, Trouble.TOO_FEW), (flat, Trouble.CONSTANT))
    half = critical[..., None] * se
    return Dunnett(value, se, t, single, down, value - half, value + half, df, critical, trouble)


def _factors(sizes: Any) -> np.ndarray:
    found = positive(sizes, "sizes")
    if found.ndim != 1 or len(found) < 2:
        raise ValueError(f"sizes have {found.shape=}; give that of the control, then one for each other arm")
    return np.sqrt(found[1:] / (found[1:] + found[0]))


def _freedom(df: float) -> float:
    if not df > 0:
        raise ValueError(f"df is {df}; give degrees of freedom above 0, infinite for a known variance")
    return float(df)
