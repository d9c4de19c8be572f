"""The trial's estimates, one per endpoint and replicate."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr

from analysis.endpoints import Observed, observed
from analysis.statistics import two_means
from analysis.statistics.binary import difference
from analysis.statistics.estimate import Estimate
from analysis.statistics.survival.restricted_mean import restricted_mean_difference
from trials import schema
from trials.conduct import conduct, observe
from trials.endpoints import Endpoint
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
    named = {endpoint.name: endpoint for endpoint in study.endpoints}
    measured = measurements(study, cohort)
    days = cohort[schema.VISIT].values
    parts: dict[str, list[Estimate]] = {name: [] for name in named}
    enrolled = []
    for start in range(0, study.trial.replicates, BATCH):
        batch = range(start, min(start + BATCH, study.trial.replicates))
        trial = conduct(study, np.flatnonzero(pool), batch)
        enrolled.append(trial.enrolled[:, -1])
        seen = {outcome: observe(trial, each, days) for outcome, each in measured.items()}
        for name, endpoint in named.items():
            parts[name].append(estimate(study, endpoint, observed(endpoint, seen, days, named), trial.arm))
        if progress:
            progress(batch.stop, study.trial.replicates)
    joined = {
        name: Estimate(*(np.concatenate(columns) for columns in zip(*batches, strict=True)))
        for name, batches in parts.items()
    }
    return Replicates(joined, np.concatenate(enrolled))


def measurements(study: Study, cohort: xr.Dataset) -> dict[str, np.ndarray]:
    """What visits measure of every outcome that an endpoint asks about, each (arm, patient, visit).

    Of a worn device, by the name of its fold, what it has gathered at the end, where the endpoint's time is up.
    """
    asked = [endpoint for endpoint in study.endpoints if endpoint.kind != "responder"]
    outcomes = sorted({endpoint.outcome for endpoint in asked if not endpoint.worn})
    found = {outcome: cohort[outcome + schema.MEASURED].values for outcome in outcomes}
    for endpoint in asked:
        if endpoint.worn:
            over = cohort[schema.VISIT].values >= endpoint.until / 24.0 - 1e-9
            found[str(endpoint.fold)] = np.where(over, cohort[str(endpoint.fold)].values[..., None], np.nan)
    return found


def estimate(study: Study, endpoint: Endpoint, seen: Observed, arms: np.ndarray) -> Estimate:
    """The study's contrast of an endpoint as trials report it, each array (replicate,).

    seen, arms: (replicate, subject).
    """
    names = {arm.name: i for i, arm in enumerate(study.arms)}
    contrast = (names[study.contrast[0]], names[study.contrast[1]])
    alpha, sided = study.analysis.alpha, int(study.analysis.sided)
    if endpoint.numeric:
        pooled = study.analysis.method == "pooled t-test"
        return two_means.t_test(seen.values, arms, contrast, alpha, sided, pooled)
    if endpoint.kind == "first":
        return restricted_mean_difference(seen.values, seen.events, arms, contrast, endpoint.until / 24.0, alpha, sided)
    return difference.risk_difference(seen.values, arms, contrast, alpha, sided)
