"""MaxCombo: the largest of several weighted log-rank tests, with their joint law."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.arrays import level
from analysis.statistics.survival.exceedance import exceedance
from analysis.statistics.survival.logrank import contrast_terms, empty_arms, scores, weight_of
from analysis.statistics.trouble import Trouble, troubled

FOUR = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))


class MaxCombo(NamedTuple):
    """z: of each component, (..., component); correlation: (..., component, component); statistic, p: of the largest,
    (...,); subjects, trouble: (...,).
    """

    z: np.ndarray
    correlation: np.ndarray
    statistic: np.ndarray
    p: np.ndarray
    subjects: np.ndarray
    trouble: np.ndarray


def maxcombo(
    times: Any,
    events: Any,
    arms: Any,
    contrast: tuple[int, int],
    sided: int = 2,
    *,
    weights: Sequence[tuple[float, float]] = FOUR,
    strata: Any = None,
    entry: Any = None,
) -> MaxCombo:
    """The largest of Fleming-Harrington's log-rank statistics of those (rho, gamma), and its p-value; each (...,).

        cov(U_j, U_k) = sum of w_j w_k (n_a n_b / n^2) (n - d) / (n - 1)
        p = 1 - P(all |Z| < max |z|),   or, one-sided, 1 - P(all Z < max z),   Z normal of that correlation

    z is above 0 where more of a have events than were expected, as in `logrank`: for a one-sided test that treatment
    averts events name the control first in the contrast. The p-value is found to about six digits.
    times, events, arms, strata, entry: (..., subject), NaN is left out.
    Lee 2007, Stat Med 26:5061. Lin et al. 2020, Stat Biopharm Res 12:187.
    """
    level(0.5, sided)
    if not weights:
        raise ValueError("weights is empty; give one or more pairs of rho and gamma, such as (0, 1)")
    pairs = [weight_of(*each) for each in weights]
    found, data = contrast_terms(times, events, arms, contrast, strata, entry, weighted=True)
    score, covariance = scores(found, pairs)
    variance = np.einsum("...ii->...i", covariance)
    # Where survival has not fallen before the last event a late weight is 0: then the test has no p-value.
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(variance > 0, 1.0 / np.sqrt(variance), np.nan)
    z = score * scale
    correlation = covariance * scale[..., :, None] * scale[..., None, :]
    statistic = np.max(np.abs(z) if sided == 2 else z, -1)
    p = np.full(statistic.shape, np.nan)
    for place in np.ndindex(statistic.shape):
        if np.isfinite(statistic[place]):
            p[place] = exceedance(correlation[place], float(statistic[place]), sided)
    trouble = troubled(p.shape, *empty_arms(data, contrast), (~np.isfinite(statistic), Trouble.NO_EVENTS))
    return MaxCombo(z, correlation, statistic, p, data.used.sum(-1).astype(float), trouble)
