"""Families of hypotheses in a row, where a family is tested with what the one before it has left of alpha."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.arrays import level
from analysis.statistics.multiplicity.adjustment import HYPOTHESIS
from analysis.statistics.multiplicity.graph import ROUNDING
from analysis.statistics.probability import probabilities

STEPS = ("bonferroni", "holm", "hochberg")


class Gatekept(NamedTuple):
    """adjusted_p and rejected: (..., hypothesis). alphas: what each family is tested with, (..., family)."""

    adjusted_p: np.ndarray
    rejected: np.ndarray
    alphas: np.ndarray


def gatekeeping(
    p: Any,
    families: Sequence[Sequence[int]],
    alpha: float = 0.05,
    tests: str | Sequence[str] = "holm",
    truncation: Sequence[float] | None = None,
) -> Gatekept:
    """Parallel gatekeeping: a family is tested as soon as one hypothesis of the family before it is rejected.

    Family k of n hypotheses, at alpha_k, by a truncated test: rejected from the smallest p-value up (holm), or from the
    largest down (hochberg), where

        p_(i) <= (g / (n - i + 1) + (1 - g) / n) alpha_k
        alpha_(k+1) = alpha_k (1 - g - (1 - g) a / n) where a > 0 hypotheses of the family are kept, alpha_k where none

    truncation: g of each family, from 0 (Bonferroni's test, which leaves most to the next) to 1 (the whole test, which
    leaves nothing until all are rejected: serial gatekeeping); 0 for all but the last where None. The last family has
    g = 1 unless its test is bonferroni. tests: one name of bonferroni, holm, hochberg, or one a family; hochberg needs
    statistics that are positively dependent. p: (..., hypothesis). Raises ValueError for what does not fit.
    Dmitrienko, Offen & Westfall 2003, Stat Med 22:2387; Dmitrienko, Tamhane & Wiens 2008, Biometrical J 50:667.
    """
    level(alpha, 1)
    values = probabilities(p, "p", HYPOTHESIS)
    parts, names, shares = _plan(values.shape[-1], families, tests, truncation)
    flat = values.reshape(-1, values.shape[-1])
    # The larger alpha, the more is rejected: the least alpha at which a hypothesis goes is found by halving.
    low, high = np.zeros(flat.shape), np.ones(flat.shape)
    for _ in range(60):
        middle = (low + high) / 2
        for j in range(flat.shape[-1]):
            gone = _tested(flat, parts, names, shares, middle[:, j])[0][:, j]
            low[:, j], high[:, j] = np.where(gone, low[:, j], middle[:, j]), np.where(gone, middle[:, j], high[:, j])
    rejected, alphas = _tested(flat, parts, names, shares, np.full(len(flat), alpha))
    return Gatekept(
        high.reshape(values.shape),
        rejected.reshape(values.shape),
        alphas.reshape(*values.shape[:-1], len(parts)),
    )


def _plan(
    m: int, families: Sequence[Sequence[int]], tests: str | Sequence[str], truncation: Sequence[float] | None
) -> tuple[list[list[int]], list[str], list[float]]:
    parts = [list(each) for each in families]
    if sorted(j for part in parts for j in part) != list(range(m)) or not all(parts):
        raise ValueError(f"the families are {parts}; put each of the hypotheses 0 to {m - 1} into one of them")
    names = [tests] * len(parts) if isinstance(tests, str) else list(tests)
    shares = [0.0] * (len(parts) - 1) + [1.0] if truncation is None else [float(each) for each in truncation]
    if len(names) != len(parts) or len(shares) != len(parts):
        raise ValueError(f"{len(names)} tests and {len(shares)} truncations for {len(parts)} families; give one each")
    for name, share in zip(names, shares, strict=True):
        if name not in STEPS:
            raise ValueError(f"'{name}' is no test of a family; write one of: {', '.join(STEPS)}")
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"a truncation is {share:g}; give numbers from 0 to 1")
    return parts, names, [0.0 if name == "bonferroni" else share for name, share in zip(names, shares, strict=True)]


def _tested(
    p: np.ndarray, parts: list[list[int]], names: list[str], shares: list[float], alpha: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Who is rejected, (row, hypothesis), and what each family was tested with, (row, family). alpha: (row,)."""
    rejected, alphas = np.zeros(p.shape, dtype=bool), []
    for part, name, share in zip(parts, names, shares, strict=True):
        alphas.append(alpha)
        n = len(part)
        order = np.argsort(p[:, part], axis=1, kind="stable")
        critical = (share / np.arange(n, 0, -1) + (1.0 - share) / n) * alpha[:, None] * (1.0 + ROUNDING)
        small = (np.take_along_axis(p[:, part], order, axis=1) <= critical) & (alpha > 0)[:, None]
        if name == "hochberg":
            small = np.maximum.accumulate(small[:, ::-1], axis=1)[:, ::-1]
        elif name == "holm":
            small = np.minimum.accumulate(small, axis=1)
        here = np.zeros_like(small)
        np.put_along_axis(here, order, small, axis=1)
        rejected[:, part] = here
        kept = n - small.sum(1)
        left = (1.0 - share) * (1.0 - kept / n)
        alpha = alpha * np.where(kept > 0, left, 1.0)
    return rejected, np.stack(alphas, axis=1)
