"""Hazard ratio of two arms, over any number of replicates at once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.survival.cox import cox
from analysis.statistics.survival.follow_up import contrasted, follow_up
from analysis.statistics.trouble import Trouble, troubled


def hazard_ratio(
    times: Any,
    events: Any,
    arms: Any,
    contrast: tuple[int, int],
    covariates: Mapping[str, Any] | None = None,
    alpha: float = 0.05,
    sided: int = 2,
    *,
    entry: Any = None,
    strata: Any = None,
    weights: Any = None,
    clusters: Any = None,
    robust: bool = False,
    ties: str = "efron",
) -> Estimate:
    """Logarithm of the hazard ratio of a against b by Cox's regression, with Wald's test and interval; each (...,).

    Other arms are left out. For a one-sided test that treatment averts events name the control first in the contrast.
    Its exponential and those of its limits are the ratio and its interval. Data and options as in `cox`.
    """
    level(alpha, sided)
    if "arm" in (covariates or {}):
        raise ValueError("covariates name one 'arm', as the arms themselves are; give it another name")
    arms = follow_up(times, events, None, {"arms": arms}).others["arms"]
    a, b = contrasted(arms, np.isfinite(arms), contrast)
    found = cox(
        times,
        events,
        {"arm": np.where(a | b, a.astype(float), np.nan), **(covariates or {})},
        entry=entry,
        strata=strata,
        weights=weights,
        clusters=clusters,
        robust=robust,
        ties=ties,
    )
    se = np.sqrt(found.covariance[..., 0, 0])
    there = follow_up(times, events, entry).used
    empty = [(~(there & each).any(-1), Trouble.EMPTY_ARM) for each in (a, b)]
    trouble = troubled(se.shape, *empty)
    trouble = np.where(trouble == Trouble.NONE, found.trouble, trouble)
    value, z = found.coefficient[..., 0], found.z[..., 0]
    return interval(value, se, stats.norm, z, alpha, sided, found.subjects, trouble=trouble)
