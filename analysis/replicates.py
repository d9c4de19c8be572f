"""The trial's estimates, one per endpoint and replicate."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr

from analysis import binary, continuous, survival
from analysis.continuous import Estimate
from analysis.endpoints import observed
from trials import schema
from trials.conduct import conduct, observe
from trials.study import Study

BATCH = 100  # replicates held in memory at a time


class Replicates(NamedTuple):
    """estimates: by endpoint. enrolled: day on which the last subject enrolled, (replicate,)."""

    estimates: dict[str, Estimate]
    enrolled: np.ndarray


def replicates(
    study: Study, cohort: xr.Dataset, pool: np.ndarray, progress: Callable[[int, int], None] | None = None
) -> Replicates:
    """Conducts all replicates; every endpoint's estimate of the study's contrast, each array (replicate,).

    pool: who may enter, (patient,) bool. Means by the study's method, shares by Newcombe, times by restricted means.
    """
    names = {arm.name: i for i, arm in enumerate(study.arms)}
    contrast = (names[study.contrast[0]], names[study.contrast[1]])
    named = {endpoint.name: endpoint for endpoint in study.endpoints}
    outcomes = sorted({endpoint.outcome for endpoint in study.endpoints if endpoint.kind != "responder"})
    measured = {outcome: cohort[outcome + schema.MEASURED].values for outcome in outcomes}
    days = cohort[schema.VISIT].values
    alpha, sided = study.analysis.alpha, int(study.analysis.sided)
    parts: dict[str, list[Estimate]] = {name: [] for name in named}
    enrolled = []
    for start in range(0, study.trial.replicates, BATCH):
        batch = range(start, min(start + BATCH, study.trial.replicates))
        trial = conduct(study, np.flatnonzero(pool), batch)
        enrolled.append(trial.enrolled[:, -1])
        seen = {outcome: observe(trial, measured[outcome], days) for outcome in outcomes}
        for name, endpoint in named.items():
            values, events = observed(endpoint, seen, days, named)
            if endpoint.kind == "share":
                pooled = study.analysis.method == "pooled t-test"
                estimate = continuous.t_test(values, trial.arm, contrast, alpha, sided, pooled)
            elif endpoint.kind == "first":
                estimate = survival.restricted_mean_difference(
                    values, events, trial.arm, contrast, days, endpoint.until / 24.0, alpha, sided
                )
            else:
                estimate = binary.risk_difference(values, trial.arm, contrast, alpha, sided)
            parts[name].append(estimate)
        if progress:
            progress(batch.stop, study.trial.replicates)
    joined = {
        name: Estimate(*(np.concatenate(columns) for columns in zip(*batches, strict=True)))
        for name, batches in parts.items()
    }
    return Replicates(joined, np.concatenate(enrolled))
