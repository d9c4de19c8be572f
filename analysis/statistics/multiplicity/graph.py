"""Graphs of hypotheses that hand on their share of alpha, and the sequentially rejective test by Bonferroni."""

from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.arrays import level, plain
from analysis.statistics.multiplicity.adjustment import HYPOTHESIS
from analysis.statistics.probability import probabilities

# Sums of weights such as 1/3, and p / weight against alpha, are told equal where they differ by rounding alone.
ROUNDING = 1e-12


class Graph(NamedTuple):
    """weights: share of alpha of each hypothesis, (hypothesis,), in sum at most 1. transitions: what share
    of its weight a rejected hypothesis hands to each other, (hypothesis, hypothesis), rows in sum at most 1."""

    weights: np.ndarray
    transitions: np.ndarray


class Step(NamedTuple):
    """One rejection: of which hypothesis (from 0), and the graph that it leaves; what was rejected has weight 0."""

    rejected: int
    graph: Graph


class Shortcut(NamedTuple):
    """adjusted_p and rejected: (..., hypothesis). order: which hypothesis goes first, second ..., (..., hypothesis),
    whether or not it is rejected at this alpha."""

    adjusted_p: np.ndarray
    rejected: np.ndarray
    order: np.ndarray


def graph(weights: Any, transitions: Any) -> Graph:
    """A graph of these weights and transitions. Raises ValueError where they break its rules.

    Bretz, Maurer, Brannath & Posch 2009, Stat Med 28:586.
    """
    weight = probabilities(weights, "weights", HYPOTHESIS)
    if weight.ndim != 1:
        raise ValueError(f"weights have {weight.shape=}; give one number a hypothesis")
    edges = probabilities(transitions, "transitions", HYPOTHESIS, "receiver")
    if edges.shape != (len(weight), len(weight)):
        raise ValueError(
            f"transitions have shape {edges.shape} for {len(weight)} hypotheses; give a row and a column each"
        )
    if weight.sum() > 1.0 + ROUNDING:
        raise ValueError(f"the weights sum to {weight.sum():.6g}; give shares of alpha that sum to 1 at most")
    rows = edges.sum(1)
    if (rows > 1.0 + ROUNDING).any():
        worst = int(rows.argmax())
        raise ValueError(
            f"transitions from hypothesis {worst} sum to {rows[worst]:.6g}; give shares that sum to 1 at most"
        )
    if np.diagonal(edges).any():
        own = int(np.diagonal(edges).argmax())
        raise ValueError(f"hypothesis {own} hands {edges[own, own]:g} to itself; write 0 on the diagonal")
    return Graph(weight, edges)


def holm(weights: Any) -> Graph:
    """The weighted procedure of Holm: who is rejected leaves its weight to the others, in proportion to theirs.

    Equal weights give Holm's own. weights: (hypothesis,). Raises ValueError as `graph`.
    """
    weight = plain(weights, "weights", HYPOTHESIS)
    others = np.broadcast_to(weight, (weight.shape[-1],) * 2) * (1.0 - np.eye(weight.shape[-1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        edges = np.where(others.sum(1, keepdims=True) > 0, others / others.sum(1, keepdims=True), 0.0)
    return graph(weight, edges)


def fixed_sequence(hypotheses: int) -> Graph:
    """All of alpha for the first, and to the next when it is rejected. Maurer, Hothorn & Lehmacher 1995."""
    return fallback([1.0] + [0.0] * (hypotheses - 1))


def fallback(weights: Any) -> Graph:
    """Each in turn at its own share, and at what those just before it have left.

    weights: (hypothesis,), in the order of testing. Raises ValueError as `graph`. Wiens 2003, Pharm Stat 2:211.
    """
    weight = plain(weights, "weights", HYPOTHESIS)
    return graph(weight, np.eye(weight.shape[-1], k=1))


def without(current: Graph, hypothesis: int) -> Graph:
    """The graph when that hypothesis has gone: its weight handed on, its edges closed.

        w_l <- w_l + w_j g_jl,   g_lk <- (g_lk + g_lj g_jk) / (1 - g_lj g_jl),   0 where g_lj g_jl = 1

    Bretz et al. 2009, algorithm 1. The graph may have leading axes.
    """
    weights, edges = current
    out, into = edges[..., hypothesis, :], edges[..., hypothesis]
    weights = weights + weights[..., [hypothesis]] * out
    loop = 1.0 - (into * out)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        edges = np.where(loop > ROUNDING, (edges + into[..., :, None] * out[..., None, :]) / loop, 0.0)
    left = np.arange(weights.shape[-1]) != hypothesis
    both = left[:, None] & left & ~np.eye(len(left), dtype=bool)
    return Graph(np.where(left, weights, 0.0), np.where(both, edges, 0.0))


def shortcut(plan: Graph, p: Any, alpha: float = 0.05) -> Shortcut:
    """Sequentially rejective test: again and again reject one with p_j <= w_j alpha, and hand its weight on.

    The adjusted p-value is the largest p_j / w_j that had to be passed, 1 at most. p: (..., hypothesis), one p-value a
    hypothesis, of as many sides as alpha. Raises ValueError for p outside 0 to 1.
    Bretz, Maurer, Brannath & Posch 2009, Stat Med 28:586, algorithm 2.
    """
    level(alpha, 1)
    values = _fitting(plan, p)
    flat = values.reshape(-1, values.shape[-1])
    rows, m = flat.shape
    adjusted, order = np.empty_like(flat), np.empty(flat.shape, dtype=int)
    weights = np.broadcast_to(plan.weights, (rows, m)).copy()
    edges = np.broadcast_to(plan.transitions, (rows, m, m)).copy()
    passed, left = np.zeros(rows), np.ones((rows, m), dtype=bool)
    for step in range(m):
        first = np.where(left, ratio(flat, weights), np.inf)
        # Of those that could never be rejected the first stays first.
        first = np.where(left, np.minimum(first, np.finfo(float).max), np.inf)
        chosen = first.argmin(1)
        passed = np.maximum(passed, first[np.arange(rows), chosen])
        adjusted[np.arange(rows), chosen] = np.minimum(passed, 1.0)
        order[:, step] = chosen
        for j in np.unique(chosen):
            these = chosen == j
            weights[these], edges[these] = without(Graph(weights[these], edges[these]), int(j))
        left[np.arange(rows), chosen] = False
    adjusted = adjusted.reshape(values.shape)
    return Shortcut(adjusted, adjusted <= alpha * (1.0 + ROUNDING), order.reshape(values.shape))


def path(plan: Graph, p: Any, alpha: float = 0.05) -> tuple[Step, ...]:
    """The rejections of `shortcut` one by one, each with the graph that it leaves. p: (hypothesis,)."""
    found = shortcut(plan, p, alpha)
    if found.order.ndim != 1:
        raise ValueError(f"p has shape {found.order.shape}; give the p-values of one trial, (hypothesis,)")
    steps = []
    for hypothesis in found.order[: int(found.rejected.sum())]:
        plan = without(plan, int(hypothesis))
        steps.append(Step(int(hypothesis), plan))
    return tuple(steps)


def ratio(p: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """p / weight; infinite where the weight is 0, also for a p-value of 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(weights > 0, p / weights, np.inf)


def _fitting(plan: Graph, p: Any) -> np.ndarray:
    values = probabilities(p, "p", HYPOTHESIS)
    if values.shape[-1] != len(plan.weights):
        raise ValueError(f"{values.shape[-1]} p-values for {len(plan.weights)} hypotheses; give one each")
    return values
