"""Test that groups have the same cumulative incidence of a cause."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.arrays import plain, together
from analysis.statistics.competing_risks.follow_up import OF_INTEREST, FollowUp, counts, event_times, follow_up
from analysis.statistics.trouble import Trouble


class Gray(NamedTuple):
    """Chi-squared statistic, degrees of freedom, p-value, (...); scores of the groups in the order of their codes,
    (..., group), and their variance, (..., group, group)."""

    statistic: np.ndarray
    df: np.ndarray
    p: np.ndarray
    scores: np.ndarray
    variance: np.ndarray
    subjects: np.ndarray
    trouble: np.ndarray


def gray(times: Any, causes: Any, groups: Any, cause: int = 1, rho: float = 0.0, strata: Any = None) -> Gray:
    """Gray's test of K groups, as in R's cmprsk.

        z_i = sum over t_j of W_j (d_ij - d_j R_ij / R_j),   R_ij = n_ij (1 - F_i(t_j-)) / S_i(t_j-),
        W_j = (1 - F(t_j-))^rho,   F(t) = sum of d_j / (sum over i of n_ij / S_i(t_j-))

    and z' V^-1 z over K - 1 groups, with scores and variances summed over strata. times, causes, groups, strata:
    (..., subject); NaN is left out. Causes other than `cause` compete; 0 is censored.
    The trouble is EMPTY_ARM where a group that others have is empty, NO_EVENTS without an event of the cause, SINGULAR
    where the variance has no inverse. Gray 1988, Ann Stat 16:1141.
    """
    observed = follow_up(times, causes, cause)
    codes = plain(groups, "groups")
    labels = plain(strata, "strata") if strata is not None else np.zeros(observed.times.shape)
    everything = together(**observed._asdict(), groups=codes, strata=labels)
    leading = everything[0].shape[:-1]
    known = everything[2] & ~np.isnan(everything[3]) & ~np.isnan(everything[4])
    levels = np.unique(codes[~np.isnan(codes)])
    if len(levels) < 2:
        raise ValueError(f"groups holds {len(levels)} code; give two groups or more")
    if not np.isfinite(rho):
        raise ValueError(f"rho is {rho}; give a power of the weights, such as 0")
    found = []
    for index in np.ndindex(leading):
        set_times, kinds, inside, own, label = (each[index][known[index]] for each in everything)
        found.append(_test(FollowUp(set_times, kinds, inside), own, label, levels, rho))
    return Gray(*(np.array(each).reshape((*leading, *np.shape(each[0]))) for each in zip(*found, strict=True)))


def _test(observed: FollowUp, codes: np.ndarray, labels: np.ndarray, levels: np.ndarray, rho: float) -> tuple:
    """What a `Gray` holds, of one set of data."""
    k = len(levels)
    scores, variance = np.zeros(k), np.zeros((k, k))
    for label in np.unique(labels):
        inside = labels == label
        part = FollowUp(*(each[inside] for each in observed))
        score, spread = _stratum(part, codes[inside] == levels[:, None], rho)
        scores, variance = scores + score, variance + spread
    free = variance[:-1, :-1]
    trouble = Trouble.NONE
    if not all((codes == each).any() for each in levels):
        trouble = Trouble.EMPTY_ARM
    elif not (observed.kinds == OF_INTEREST).any():
        trouble = Trouble.NO_EVENTS
    elif np.linalg.matrix_rank(free, hermitian=True) < k - 1:
        trouble = Trouble.SINGULAR
    statistic = np.nan if trouble else scores[:-1] @ np.linalg.solve(free, scores[:-1])
    return statistic, float(k - 1), stats.chi2.sf(statistic, k - 1), scores, variance, float(len(codes)), int(trouble)


def _stratum(observed: FollowUp, members: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores of all groups and their variance; members: bool, (group, subject)."""
    grid = event_times(observed)
    parts = [counts(FollowUp(*(each[inside] for each in observed)), grid) for inside in members]
    n, d, c = (np.array(each) for each in zip(*parts, strict=True))  # (group, time)
    here = n > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        # Once a group is empty its curves stay as they are, and count for nothing.
        survival = np.cumprod(np.where(here, 1.0 - (d + c) / n, 1.0), axis=1)
        before = np.hstack([np.ones((len(n), 1)), survival[:, :-1]])
        curve = np.cumsum(np.where(here, before * d / n, 0.0), axis=1)
        own = np.hstack([np.zeros((len(n), 1)), curve[:, :-1]])
        h = np.where(here, n / before, 0.0)
        r = h * (1.0 - own)
        total, events = h.sum(0), d.sum(0)
        pooled = np.cumsum(events / total)
        weight = (1.0 - np.append(0.0, pooled[:-1])) ** rho
        scores = (weight * (d - events * r / r.sum(0))).sum(1)
        # a[i, k]: weight of the hazard of group k in score i; later[i, k]: what of it is still to come.
        share = h / total
        a = weight * h[:, None] * (np.eye(len(n))[:, :, None] - share[None])
        hazard = events / (total * (1.0 - np.append(0.0, pooled[:-1])))
        c_sum = np.cumsum(a * hazard, axis=2)
        later = c_sum[:, :, -1:] - c_sum if len(grid) else c_sum
        left = np.where(survival > 0, (1.0 - pooled) / survival, 0.0)
        tied = np.where(events > 1, 1.0 - (events - 1.0) / (total * before - 1.0), 1.0)
        of_interest = np.where(here, tied * before * events / (total * n), 0.0)
        tied = np.where(c > 1, 1.0 - (c - 1.0) / (n - 1.0), 1.0)
        competing = np.where(here & (survival > 0), tied * before**2 * c / n**2, 0.0)
    first = a + (1.0 - left) * later
    second = left * later
    variance = np.einsum("ikt,jkt,kt->ij", first, first, of_interest)
    return scores, variance + np.einsum("ikt,jkt,kt->ij", second, second, competing)
