"""What it would be worth to know: expected value of perfect and of partial perfect information."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from scipy import stats

from analysis.operating import Figure
from analysis.sensitivity.threads import one_thread

DEGREES = 6
ROWS_A_TERM = 10


class Partial(NamedTuple):
    """Worth of knowing one unknown. evppi: in the units of the benefit, per decision. reduction: share of the variance
    of the benefit that would be gone on average, 0 where noise cannot be told from an effect. degree: of the
    polynomial that was chosen; 0 means that the unknown tells nothing."""

    name: str
    evppi: Figure
    reduction: Figure
    degree: int


class Information(NamedTuple):
    """evpi: expected value of perfect information on all unknowns, in the units of the benefit, per decision. partials:
    one per unknown. mean: of the incremental net benefit. draws: how many were used."""

    evpi: Figure
    partials: tuple[Partial, ...]
    mean: Figure
    draws: int


@one_thread
def information(
    benefit: np.ndarray, unknowns: Mapping[str, np.ndarray], seed: int, resamples: int = 200
) -> Information:
    """Worth of information for a decision between two, from draws of its incremental net benefit.

        EVPI = E max(B, 0) - max(E B, 0),   EVPPI = E max(E[B | X], 0) - max(E B, 0)

    E[B | X] by regression on polynomials of the unknown's normal scores, the degree chosen by the leave-one-out error.
    benefit: (draw,). unknowns: name -> (draw,) or (draw, k), k columns that are learnt together. Standard errors by
    resampling draws and fitting again. Draws that are not finite are left out. Raises ValueError for fewer than 20.
    Strong, Oakley & Brennan 2014, Med Decis Making 34:311.
    """
    benefit = np.asarray(benefit, dtype=float)
    if benefit.ndim != 1:
        raise ValueError(f"the benefit has {benefit.shape=}; give one number a draw")
    tables = {}
    for name, values in unknowns.items():
        table = np.asarray(values, dtype=float)
        tables[name] = table[:, None] if table.ndim == 1 else table
        if tables[name].ndim != 2 or len(table) != len(benefit):
            raise ValueError(f"unknown '{name}' has {table.shape=} and the benefit {benefit.shape=}; give a row a draw")
    known = np.isfinite(benefit) & np.all([np.isfinite(table).all(1) for table in tables.values()], axis=0)
    y = benefit[known]
    if len(y) < 2 * ROWS_A_TERM:
        raise ValueError(f"{len(y)} draws are too few to tell what knowing is worth; use {2 * ROWS_A_TERM} or more")
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(y), size=(resamples, len(y)))
    partials = []
    for name, table in tables.items():
        scores = _scores(table[known])
        fitted, reduction, degree = _conditional(scores, y)
        again = np.array(
            [_figures(*_conditional(scores[rows], y[rows], max(degree, 1))[:2], y[rows]) for rows in drawn]
        )
        error = again.std(0, ddof=1) if resamples > 1 else np.full(2, np.nan)
        value = _figures(fitted, reduction, y)
        partials.append(Partial(name, Figure(value[0], float(error[0])), Figure(value[1], float(error[1])), degree))
    worth = np.array([_gain(y[rows]) for rows in drawn])
    evpi = Figure(_gain(y), float(worth.std(ddof=1)) if resamples > 1 else float("nan"))
    return Information(evpi, tuple(partials), Figure(float(y.mean()), float(y.std(ddof=1) / len(y) ** 0.5)), len(y))


def perfect_information(benefits: np.ndarray) -> float:
    """Expected value of perfect information on a choice: E max_k B_k - max_k E B_k. benefits: (draw, strategy)."""
    worth = float(benefits.max(1).mean() - benefits.mean(0).max())
    # A decision that never changes is worth nothing, but for rounding.
    return worth if abs(worth) > 1e-12 * float(np.abs(benefits).max(initial=0.0)) else 0.0


def _gain(benefit: np.ndarray) -> float:
    """Of the choice between two, from draws of the first's benefit over the second's, (draw,)."""
    return perfect_information(np.stack([benefit, np.zeros_like(benefit)], axis=1))


def _figures(fitted: np.ndarray, reduction: float, y: np.ndarray) -> tuple[float, float]:
    return max(_gain(fitted), 0.0), reduction


def _scores(table: np.ndarray) -> np.ndarray:
    """Normal scores of each column that varies, divided by 3 so that they lie about in -1..1."""
    ranks = stats.rankdata(table, axis=0)
    scores = stats.norm.ppf((ranks - 0.5) / len(table)) / 3.0
    return scores[:, np.ptp(table, axis=0) > 0]


def _terms(scores: np.ndarray, degree: int) -> np.ndarray:
    """Chebyshev polynomials of each column, and products of two first-degree ones from degree 2, (draw, term)."""
    parts = [np.ones((len(scores), 1))]
    if degree > 0:
        for column in scores.T:
            parts.append(chebyshev.chebvander(column, degree)[:, 1:])
    if degree > 1:
        i, j = np.triu_indices(scores.shape[1], 1)
        parts.append(scores[:, i] * scores[:, j])
    return np.concatenate(parts, axis=1)


def _conditional(scores: np.ndarray, y: np.ndarray, degree: int | None = None) -> tuple[np.ndarray, float, int]:
    """Fitted E[y | scores], (draw,); share of the variance that is predicted leave-one-out, from 0; the degree."""
    variance = y.var(ddof=1)
    best = (np.full(len(y), y.mean()), 0.0, 0, 1.0)
    if variance <= 1e-24 * max(float(np.abs(y).max()), 1e-300) ** 2 or not scores.shape[1] or degree == 0:
        return best[:3]
    base = ((y - y.mean()) ** 2).sum() / len(y) * (len(y) / (len(y) - 1)) ** 2  # leave-one-out of the mean
    for tried in [degree] if degree else range(1, DEGREES + 1):
        terms = _terms(scores, tried)
        if len(y) < ROWS_A_TERM * terms.shape[1] and not degree:
            break
        u, s, _ = np.linalg.svd(terms, full_matrices=False)
        q = u[:, s > 1e-10 * s[0]]
        fitted = q @ (q.T @ y)
        left_out = (y - fitted) / np.maximum(1.0 - (q**2).sum(1), 1e-10)
        error = float((left_out**2).mean() / base)
        if error < best[3] or degree:
            best = (fitted, max(1.0 - error, 0.0), tried, error)
    return best[:3]
