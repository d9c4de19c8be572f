"""Restricted mean survival time, over any number of replicates at once."""

import numpy as np
from scipy import stats

from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.trouble import Trouble, troubled


def restricted_mean(
    times: np.ndarray, events: np.ndarray, used: np.ndarray, grid: np.ndarray, until: float
) -> tuple[np.ndarray, np.ndarray]:
    """Area under Kaplan-Meier's curve up to `until`, and its variance by Greenwood; each (replicate,).

        S(t) = prod (1 - d_j/n_j),   area = integral of S,
        var = sum A_j^2 d_j / (n_j (n_j - d_j)),   A_j = area after t_j

    times: of event or censoring, (replicate, subject); events: bool; used: which subjects count. grid: every time at
    which an event can happen, increasing, (time,). Censoring at a time comes after the events of that time.
    Klein & Moeschberger, Survival Analysis, 2nd ed., section 4.5.
    """
    grid = grid[grid <= until]
    ends = np.append(grid, until)
    survival = np.ones(times.shape[:-1])
    areas, hazards, area = [], [], np.zeros(times.shape[:-1])
    area = area + (grid[0] if len(grid) else until)
    with np.errstate(divide="ignore", invalid="ignore"):
        for j, time in enumerate(grid):
            at_risk = (used & (times >= time)).sum(-1).astype(float)
            failed = (used & events & (times == time)).sum(-1).astype(float)
            survival = survival * np.where(at_risk > 0, 1.0 - failed / at_risk, 1.0)
            left = at_risk - failed
            hazards.append(np.where(left > 0, failed / (at_risk * left), 0.0))
            piece = survival * (ends[j + 1] - time)
            areas.append(piece)
            area = area + piece
    variance = np.zeros_like(area)
    after = np.zeros_like(area)
    for piece, hazard in zip(areas[::-1], hazards[::-1], strict=True):
        after = after + piece
        variance = variance + after**2 * hazard
    return area, variance


def restricted_mean_difference(
    times: np.ndarray,
    events: np.ndarray,
    arms: np.ndarray,
    contrast: tuple[int, int],
    grid: np.ndarray,
    until: float,
    alpha: float,
    sided: int,
) -> Estimate:
    """Difference of restricted means between two arms, by the normal distribution. Times of NaN are left out."""
    known = ~np.isnan(times)
    (a, var_a), (b, var_b) = (restricted_mean(times, events, known & (arms == arm), grid, until) for arm in contrast)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(var_a + var_b)
        statistic = (a - b) / se
    subjects = (known & np.isin(arms, contrast)).sum(-1).astype(float)
    empty = ~np.stack([(known & (arms == arm)).any(-1) for arm in contrast]).all(0)
    trouble = troubled(se.shape, (empty, Trouble.EMPTY_ARM), (~(se > 0), Trouble.NO_EVENTS))
    return interval(a - b, se, stats.norm(), statistic, alpha, sided, subjects, trouble=trouble)
