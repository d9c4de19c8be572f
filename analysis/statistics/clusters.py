"""Arms compared where subjects come in clusters, with errors that allow for it and hold with few of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics import design, linear_model
from analysis.statistics.arrays import level
from analysis.statistics.design import ARM, estimable
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.trouble import Trouble, troubled

KINDS = ("CR0", "CR1", "CR2")
CLUSTER = "cluster"


def clustered(
    values: Any,
    arms: Any,
    clusters: Any,
    contrast: tuple[int, int],
    covariates: Mapping[str, Any] | None = None,
    factors: Mapping[str, Any] | None = None,
    alpha: float = 0.05,
    sided: int = 2,
    kind: str = "CR2",
    satterthwaite: bool = True,
) -> Estimate:
    """Difference of least-squares means of two arms, by least squares with cluster-robust errors.

        var = l'C (sum_g X_g' A_g e_g e_g' A_g X_g) C l,   C = (X'X)^-
        A_g = 1 (CR0), sqrt(G / (G - 1)) (CR1), (I - X_g C X_g')^-1/2 (CR2, unbiased where errors are independent)
        df = (tr Q)^2 / tr Q^2,   Q_gh = u_g' (I - H)_gh u_h,   u_g = A_g X_g C l

    or df = G - 1 where not `satterthwaite`. values, arms, clusters: (..., subject); clusters are codes, and may hold
    one arm or several. The results are (...,). Two clusters at least.
    Bell & McCaffrey 2002, Survey Methodology 28:169. Pustejovsky & Tipton 2018, J Bus Econ Stat 36:672.
    """
    level(alpha, sided)
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; give one of {', '.join(KINDS)}")
    y, of, numbers = design.read(values, arms, {**(factors or {}), CLUSTER: clusters}, covariates)
    codes = of.pop(CLUSTER)
    a, b = design.chosen(contrast, of[ARM])
    used = ~np.isnan(y) & ~np.isnan(codes)
    for each in (*of.values(), *numbers.values()):
        used = used & ~np.isnan(each)
    made = design.build(used, of, numbers, [(), *((name,) for name in [*of, *numbers])])
    fit = linear_model.fit(y, used, made)
    rows = design.mean(made, {ARM: a}) - design.mean(made, {ARM: b})
    residual = np.where(used, y, 0.0) - (made.matrix @ fit.coefficient[..., None])[..., 0]
    lead = y.shape[:-1]
    variance, df, number = np.full(lead, np.nan), np.full(lead, np.nan), np.zeros(lead)
    for one in np.ndindex(lead):
        groups = [used[one] & (codes[one] == code) for code in np.unique(codes[one][used[one]])]
        number[one] = len(groups)
        if len(groups) > 1:
            parts = [(made.matrix[one][group], residual[one][group]) for group in groups]
            variance[one], df[one] = _robust(parts, fit.inverse[one], rows[one], kind)
    empty = design.empty(made, (a, b))
    known = ~empty & estimable(rows[..., None, :], fit.inverse, fit.gram)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(known, (rows * fit.coefficient).sum(-1), np.nan)
        se = np.where(known & (fit.trouble == 0) & (variance > 0), np.sqrt(variance), np.nan)
        df = np.where(np.isnan(se), np.nan, df if satterthwaite else number - 1)
        statistic = value / se
    trouble = troubled(
        value.shape,
        (empty, Trouble.EMPTY_ARM),
        (number < 2, Trouble.TOO_FEW),
        (fit.trouble > 0, Trouble.CONSTANT),
        (~known, Trouble.SINGULAR),
        (np.isnan(se), Trouble.TOO_FEW),
    )
    return interval(value, se, stats.t(df), statistic, alpha, sided, fit.subjects, df, trouble)


def _robust(
    parts: list[tuple[np.ndarray, np.ndarray]], solved: np.ndarray, row: np.ndarray, kind: str
) -> tuple[float, float]:
    """Variance of a linear function and its degrees of freedom. parts: design and residuals of each cluster."""
    scores, own, shared, weight = [], [], [], 0.0
    for x, e in parts:
        u = x @ solved @ row
        weight += u @ u
        if kind == "CR1":
            u = u * np.sqrt(len(parts) / (len(parts) - 1))
        elif kind == "CR2":
            # By the columns' space alone: what lies outside of it is left as it is.
            roots, vectors = np.linalg.eigh(np.eye(len(x)) - x @ solved @ x.T)
            u = vectors @ (np.where(roots > 1e-10, 1 / np.sqrt(np.maximum(roots, 1e-10)), 0.0) * (vectors.T @ u))
        scores.append(u @ e)
        own.append(u @ u)
        shared.append(x.T @ u)
    spread = np.diag(own) - np.stack(shared) @ solved @ np.stack(shared).T
    # Clusters that are fitted exactly tell nothing.
    if np.trace(spread) <= 1e-10 * weight:
        return np.nan, np.nan
    return float(np.square(scores).sum()), float(np.trace(spread) ** 2 / (spread**2).sum())
