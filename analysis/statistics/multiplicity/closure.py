"""Closed tests of graphs: every intersection at the weights that the graph gives it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level
from analysis.statistics.multiplicity import normal
from analysis.statistics.multiplicity.adjustment import HYPOTHESIS
from analysis.statistics.multiplicity.graph import ROUNDING, Graph, ratio, without
from analysis.statistics.probability import probabilities

TESTS = ("bonferroni", "simes", "hochberg", "parametric")
MOST = 16


class Closed(NamedTuple):
    """adjusted_p and rejected: (..., hypothesis). intersections: which hypotheses each holds, weights: theirs
    in it, both (intersection, hypothesis). intersection_p: (..., intersection)."""

    adjusted_p: np.ndarray
    rejected: np.ndarray
    intersections: np.ndarray
    weights: np.ndarray
    intersection_p: np.ndarray


def intersection_weights(plan: Graph) -> tuple[np.ndarray, np.ndarray]:
    """Every intersection of hypotheses, from that of all, and its weights; both (intersection, hypothesis).

    Raises ValueError for more than 16 hypotheses. Bretz et al. 2011, Biometrical J 53:894, algorithm 1.
    """
    m = len(plan.weights)
    if m > MOST:
        raise ValueError(f"{m} hypotheses have {2**m - 1} intersections; use the shortcut for more than {MOST}")
    graphs = {(1 << m) - 1: plan}
    for code in range((1 << m) - 2, 0, -1):
        # The order in which hypotheses go does not matter, so one step from a larger set will do.
        gone = next(j for j in range(m) if not code >> (m - 1 - j) & 1)
        graphs[code] = without(graphs[code | 1 << (m - 1 - gone)], gone)
    members = np.array([[bool(code >> (m - 1 - j) & 1) for j in range(m)] for code in graphs])
    return members, np.array([each.weights for each in graphs.values()])


def closed_test(
    plan: Graph,
    p: Any,
    alpha: float = 0.05,
    tests: str | Sequence[str] = "bonferroni",
    groups: Sequence[Sequence[int]] | None = None,
    correlation: Any = None,
    df: float = np.inf,
) -> Closed:
    """Closed test: a hypothesis is rejected where every intersection that holds it is; its p is the largest of theirs.

    In an intersection J with weights w each group of hypotheses has its test, and J the least of their p-values:
        bonferroni   min p_j / w_j
        simes        min p_j / (sum of w_i with p_i <= p_j)
        hochberg     min (1 + number with p_i > p_j) p_j / (sum of w), where the weights are equal
        parametric   P(any P_j <= q w_j) / (sum of w), q = min p_j / w_j, of normal or t statistics with the correlation
    tests: one name, or one a group. groups: of hypotheses (from 0), each in one; all in one where None. correlation:
    (hypothesis, hypothesis), NaN between groups. p: one-sided where a test is parametric, (..., hypothesis).
    Raises ValueError for what does not fit. simes and hochberg need statistics that are positively dependent.
    Bretz et al. 2011, Biometrical J 53:894; Lu 2016, Stat Med 35:4041; Xi et al. 2017, Biometrical J 59:918; Xi &
    Bretz 2019, Stat Med 38:5268.
    """
    level(alpha, 1)
    m = len(plan.weights)
    values = probabilities(p, "p", HYPOTHESIS)
    if values.shape[-1] != m:
        raise ValueError(f"{values.shape[-1]} p-values for {m} hypotheses; give one each")
    parts = _groups(groups, m)
    names = [tests] * len(parts) if isinstance(tests, str) else list(tests)
    matrix = _checked(names, parts, correlation, m)
    members, weights = intersection_weights(plan)
    flat = values.reshape(-1, m)
    found = np.full((len(flat), len(members)), np.inf)
    for column, (inside, weight) in enumerate(zip(members, weights, strict=True)):
        for name, part in zip(names, parts, strict=True):
            these = [j for j in part if inside[j]]
            if not these or not weight[these].sum() > 0:
                continue
            if name == "parametric":
                worst = _parametric(flat[:, these], weight[these], matrix[np.ix_(these, these)], df)
            else:
                worst = {"bonferroni": _bonferroni, "simes": _simes, "hochberg": _hochberg}[name](
                    flat[:, these], weight[these]
                )
            found[:, column] = np.minimum(found[:, column], worst)
    found = np.minimum(found, 1.0)
    adjusted = np.where(members, found[..., None], 0.0).max(1).reshape(values.shape)
    rejected = adjusted <= alpha * (1.0 + ROUNDING)
    return Closed(adjusted, rejected, members, weights, found.reshape(*values.shape[:-1], len(members)))


def _groups(groups: Sequence[Sequence[int]] | None, m: int) -> list[list[int]]:
    parts = [list(range(m))] if groups is None else [list(each) for each in groups]
    if sorted(j for part in parts for j in part) != list(range(m)):
        raise ValueError(f"the groups are {parts}; put each of the hypotheses 0 to {m - 1} into one of them")
    return parts


def _checked(names: list[str], parts: list[list[int]], correlation: Any, m: int) -> np.ndarray:
    if len(names) != len(parts):
        raise ValueError(f"{len(names)} tests for {len(parts)} groups; give one each")
    for name in names:
        if name not in TESTS:
            raise ValueError(f"'{name}' is no test of an intersection; write one of: {', '.join(TESTS)}")
    if "parametric" not in names:
        return np.eye(m)
    if correlation is None:
        raise ValueError("a parametric test needs the correlation of its statistics; give (hypothesis, hypothesis)")
    matrix = normal.correlation(correlation, m)
    for name, part in zip(names, parts, strict=True):
        if name == "parametric" and np.isnan(matrix[np.ix_(part, part)]).any():
            raise ValueError(
                f"the correlation of hypotheses {part} has a gap; give all of those that are tested together"
            )
    return matrix


def _bonferroni(p: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return ratio(p, weights).min(1)


def _simes(p: np.ndarray, weights: np.ndarray) -> np.ndarray:
    shares = ((p[:, None, :] <= p[..., None]) * weights).sum(-1)
    return ratio(p, shares).min(1)


def _hochberg(p: np.ndarray, weights: np.ndarray) -> np.ndarray:
    if np.ptp(weights) > 1e-9:
        raise ValueError("hochberg needs equal weights in every intersection; use simes for this graph")
    below = (p[:, None, :] <= p[..., None]).sum(-1)
    return (p * (p.shape[1] - below + 1)).min(1) / weights.sum()


def _parametric(p: np.ndarray, weights: np.ndarray, matrix: np.ndarray, df: float) -> np.ndarray:
    some = weights > 0
    shares = weights[some]
    law = stats.t(df) if np.isfinite(df) else stats.norm()
    least = ratio(p[:, some], shares).min(1)
    limits = law.isf(np.minimum(least[:, None] * shares, 1.0))
    chances = [normal.any_beyond(row, matrix[np.ix_(some, some)], df) for row in limits]
    return np.array(chances) / shares.sum()
