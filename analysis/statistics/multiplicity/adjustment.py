"""Adjusted p-values that need no more than the p-values."""

from collections.abc import Callable
from typing import Any

import numpy as np

from analysis.statistics.probability import probabilities

HYPOTHESIS = "hypothesis"


def adjusted(p: Any, method: str) -> np.ndarray:
    """Adjusted p-values by one of METHODS, (..., hypothesis) as p; a hypothesis is rejected where its own is <= alpha.

    With p_(1) <= ... <= p_(m):
        bonferroni      m p_i
        sidak           1 - (1 - p_i)^m
        holm            max over j <= i of (m - j + 1) p_(j)
        hochberg        min over j >= i of (m - j + 1) p_(j)
        hommel          the closed test with Simes' test of every intersection
        fixed sequence  max over j <= i of p_j, in the order given
        bh              min over j >= i of m p_(j) / j; false discovery rate, independent or positively dependent
        by              bh times 1 + 1/2 + ... + 1/m; false discovery rate, any dependence

    The first six keep the familywise error rate; hochberg and hommel where Simes' inequality holds, sidak for
    independent statistics. NaN is left out, and m counts the others; in a fixed sequence it stops the sequence.
    Raises ValueError for another method and for p outside 0 to 1.
    Holm 1979, Scand J Stat 6:65; Hochberg 1988, Biometrika 75:800; Hommel 1988, Biometrika 75:383; Benjamini &
    Hochberg 1995, JRSS B 57:289; Benjamini & Yekutieli 2001, Ann Stat 29:1165.
    """
    if method not in METHODS:
        raise ValueError(f"'{method}' is no way to adjust p-values; write one of: {', '.join(METHODS)}")
    values = probabilities(p, "p", HYPOTHESIS, missing=True)
    if method == "fixed sequence":
        # A maximum with NaN is NaN: what comes after a hypothesis without a p-value is not tested.
        return METHODS[method](values)
    flat = values.reshape(-1, values.shape[-1])
    order = np.argsort(flat, axis=-1, kind="stable")  # NaN comes last
    ordered = np.take_along_axis(flat, order, axis=-1)
    known = (~np.isnan(flat)).sum(-1)
    result = np.full(flat.shape, np.nan)
    for m in np.unique(known[known > 0]):
        rows = known == m
        result[rows, :m] = np.minimum(METHODS[method](ordered[rows, :m]), 1.0)
    back = np.empty_like(result)
    np.put_along_axis(back, order, result, axis=-1)
    return back.reshape(values.shape)


def _bonferroni(p: np.ndarray) -> np.ndarray:
    return p * p.shape[-1]


def _sidak(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return -np.expm1(p.shape[-1] * np.log1p(-p))


def _holm(p: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(p * _left(p), axis=-1)


def _hochberg(p: np.ndarray) -> np.ndarray:
    return _up(p * _left(p))


def _hommel(p: np.ndarray) -> np.ndarray:
    """An intersection of k is worst at the largest p-values; the answer is the largest of Simes' p over all k."""
    m = p.shape[-1]
    result = p.copy()
    for k in range(2, m + 1):
        largest = p[:, m - k + 1 :]
        upper = (k * largest / np.arange(2, k + 1)).min(-1, keepdims=True)
        simes = np.minimum(k * p[:, : m - k + 1], upper)
        rest = np.broadcast_to(simes[:, -1:], largest.shape)
        result = np.maximum(result, np.concatenate([simes, rest], axis=-1))
    return result


def _benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    m = p.shape[-1]
    return _up(p * (m / np.arange(1, m + 1)))


def _benjamini_yekutieli(p: np.ndarray) -> np.ndarray:
    m = p.shape[-1]
    return _up(p * ((1.0 / np.arange(1, m + 1)).sum() * m / np.arange(1, m + 1)))


def _left(p: np.ndarray) -> np.ndarray:
    return np.arange(p.shape[-1], 0, -1)


def _up(steps: np.ndarray) -> np.ndarray:
    return np.minimum.accumulate(steps[:, ::-1], axis=-1)[:, ::-1]


METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bonferroni": _bonferroni,
    "sidak": _sidak,
    "holm": _holm,
    "hochberg": _hochberg,
    "hommel": _hommel,
    "fixed sequence": lambda p: np.maximum.accumulate(p, axis=-1),
    "bh": _benjamini_hochberg,
    "by": _benjamini_yekutieli,
}
