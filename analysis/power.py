"""How the power of the study's trial changes with its size, and with the effect that is there to be found."""

import dataclasses

import numpy as np
import xarray as xr

from analysis.endpoints import Observed, observed
from analysis.operating import Figure, share
from analysis.replicates import estimate, measurements
from analysis.statistics.estimate import Estimate
from trials import schema
from trials.conduct import Trial, conduct, observe
from trials.study import Study

FACTORS = (0.25, 0.4, 0.6, 0.8, 1.0, 1.25, 1.6, 2.0)  # sizes, as multiples of the study's own
SHARE = 5  # one in so many replicates is conducted at the other sizes
LEAST = 100  # replicates, where the study has as many
BATCH = 100  # replicates held in memory at a time
POINTS = 61  # effects


def power(
    study: Study, cohort: xr.Dataset, pool: np.ndarray, estimates: dict[str, Estimate], truths: dict[str, float]
) -> xr.Dataset:
    """Power by size (endpoint, subjects) and by effect (endpoint, point), each with its Monte-Carlo standard error.

    pool: who may enter, (patient,) bool. estimates, truths: of the contrast, by endpoint, from the trials of the
    study's own size.
    """
    numbers = sizes(study, int(pool.sum()))
    count = min(study.trial.replicates, max(LEAST, study.trial.replicates // SHARE))
    cut = by_size(study, cohort, pool, numbers, count)
    names = [endpoint.name for endpoint in study.endpoints]
    for name in names:  # at the study's own size every trial is there already
        cut[name][numbers.index(study.trial.subjects)] = _power(estimates[name], study.analysis.alpha)
    moved = {name: by_effect(estimates[name], truths[name], int(study.analysis.sided)) for name in names}
    replicates = [study.trial.replicates if n == study.trial.subjects else count for n in numbers]
    return xr.Dataset(
        {
            "by_size": (("endpoint", "subjects"), [[each.value for each in cut[name]] for name in names]),
            "by_size_mcse": (("endpoint", "subjects"), [[each.mcse for each in cut[name]] for name in names]),
            "replicates": (("subjects",), replicates),
            "effect": (("endpoint", "point"), np.stack([moved[name][0] for name in names])),
            "by_effect": (("endpoint", "point"), [[each.value for each in moved[name][1]] for name in names]),
            "by_effect_mcse": (("endpoint", "point"), [[each.mcse for each in moved[name][1]] for name in names]),
        },
        coords={"endpoint": names, "subjects": numbers},
    )


def sizes(study: Study, pool: int) -> list[int]:
    """Numbers of subjects around the study's own, in whole blocks, rising.

    None but the study's own is more than half the pool: near the whole of it trials are each other's copies.
    """
    own, block = study.trial.subjects, study.trial.block
    around = {block * max(1, round(factor * own / block)) for factor in FACTORS if factor != 1.0}
    return sorted({own, *(each for each in around if each <= pool // 2)})


def by_size(
    study: Study, cohort: xr.Dataset, pool: np.ndarray, numbers: list[int], replicates: int
) -> dict[str, list[Figure]]:
    """Power at each number of subjects, by endpoint.

    Each replicate is conducted once, at the largest size; its first subjects, in the order of enrolment, are a
    smaller trial.
    """
    largest = dataclasses.replace(study, trial=study.trial.model_copy(update={"subjects": max(numbers)}))
    named = {endpoint.name: endpoint for endpoint in study.endpoints}
    measured, days = measurements(study, cohort), cohort[schema.VISIT].values
    parts: dict[tuple[str, int], list[Estimate]] = {(name, n): [] for name in named for n in numbers}
    for start in range(0, replicates, BATCH):
        trial: Trial = conduct(largest, np.flatnonzero(pool), range(start, min(start + BATCH, replicates)))
        seen = {outcome: observe(trial, each, days) for outcome, each in measured.items()}
        for name, endpoint in named.items():
            values, events = observed(endpoint, seen, days, named)
            for n in numbers:
                first = Observed(values[:, :n], events[:, :n])
                parts[name, n].append(estimate(study, endpoint, first, trial.arm[:, :n]))
    joined = {key: Estimate(*map(np.concatenate, zip(*batches, strict=True))) for key, batches in parts.items()}
    return {name: [_power(joined[name, n], study.analysis.alpha) for n in numbers] for name in named}


def by_effect(estimates: Estimate, truth: float, sided: int) -> tuple[np.ndarray, list[Figure]]:
    """Effects around none, (point,), and the power that the study's own trials would have were the truth so large.

    Every trial's estimate is moved by the difference to the truth, and its interval stays as wide as it is:

        rejected where |value + effect - truth| > (upper - lower) / 2

    without the bars where the test is one-sided. At the truth itself this is the power of the trials, up to the
    asymmetry of the intervals of shares.
    """
    sound = np.isfinite(estimates.value) & np.isfinite(estimates.lower) & np.isfinite(estimates.upper)
    if not sound.any():
        return np.zeros(POINTS), [Figure(float("nan"), float("nan"))] * POINTS
    value, half = estimates.value[sound], (estimates.upper - estimates.lower)[sound] / 2
    wide = max(1.3 * abs(truth), 2.0 * float(half.mean())) or 1.0
    effects = np.linspace(-wide, wide, POINTS)
    moved = value + effects[:, None] - truth
    rejected = (np.abs(moved) if sided == 2 else moved) > half
    return effects, [share(hits) for hits in rejected]


def _power(estimates: Estimate, alpha: float) -> Figure:
    sound = np.isfinite(estimates.value) & np.isfinite(estimates.se)
    return share(estimates.p[sound] < alpha) if sound.any() else Figure(float("nan"), float("nan"))
