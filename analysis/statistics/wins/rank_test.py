"""Test of a hierarchy of outcomes by the ranks of all subjects."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.trouble import Trouble, troubled
from analysis.statistics.wins.hierarchy import read
from analysis.statistics.wins.outcome import Outcome
from analysis.statistics.wins.pairs import compare, gathered


class RankTest(NamedTuple):
    """Sum of the scores of arm a, its variance, the normal statistic and its p-value; arrays (...)."""

    score: np.ndarray
    variance: np.ndarray
    statistic: np.ndarray
    p: np.ndarray
    subjects: np.ndarray
    trouble: np.ndarray


def finkelstein_schoenfeld(
    outcomes: Sequence[Outcome],
    arms: Any,
    contrast: tuple[int, int],
    strata: Any = None,
    sided: int = 2,
) -> RankTest:
    """Test that two arms are alike over a hierarchy of outcomes.

        U_i = subjects of both arms that i beats, less those that beat i
        T = sum of U_i over arm a,   V = n_a n_b / (n (n - 1)) sum of U_i^2,   z = T / sqrt(V)

    with T and V summed over strata, in which alone subjects are compared. V is the variance of T over all allocations
    of the arms. Data as those of `win_statistics`; one-sided, the test is for arm a being better.
    Finkelstein & Schoenfeld 1999, Stat Med 18:1341.
    """
    if sided not in (1, 2):
        raise ValueError(f"sided is {sided}; give 1 or 2")
    data = read(outcomes, arms, contrast, strata)
    shape = data.a.shape[:1]
    score, variance = np.zeros((2, *shape))
    used = np.zeros(shape, dtype=int)
    for label in data.labels:
        a, b = (each & (data.strata == label) for each in (data.a, data.b))
        na, nb = a.sum(-1), b.sum(-1)
        n = na + nb
        found = compare(data.levels, a | b, a | b)
        scores = (found.row_wins - found.row_losses).astype(float)
        order, _ = gathered(a | b)
        score += np.where(np.take_along_axis(a, order, -1), scores, 0.0).sum(-1)
        variance += na * nb / np.maximum(n * (n - 1.0), 1.0) * (scores**2).sum(-1)
        used += np.where((na > 0) & (nb > 0), n, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = score / np.sqrt(variance)
    trouble = troubled(shape, (used == 0, Trouble.EMPTY_ARM), (~(variance > 0), Trouble.CONSTANT))
    p = 2 * stats.norm.sf(np.abs(statistic)) if sided == 2 else stats.norm.sf(statistic)
    return RankTest(*map(data.shaped, (score, variance, statistic, p, used, trouble)))
