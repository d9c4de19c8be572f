"""Where the uncertainty of a trial's estimate comes from: its patients, their measurement, our ignorance of people."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from analysis.endpoints import true
from analysis.operating import Figure
from trials import schema
from trials.conduct import conduct
from trials.study import Study

BATCH = 200  # replicates held in memory at a time
RESAMPLES = 500
PARTS = ("patients", "measurement", "ignorance")


class Decomposition(NamedTuple):
    """Variance of one trial's estimate by PARTS, each with its standard error, (part,).

    patients: who was enrolled and to which arm; measurement: errors, visits and loss to follow-up, below 0 where they
    offset who was enrolled; ignorance: of the population, NaN where it is not known.
    """

    variance: np.ndarray
    se: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """Shares of the total variance, (part,)."""
        total = np.nansum(self.variance)
        return self.variance / total if total > 0 else np.full(len(PARTS), np.nan)


def decomposition(
    study: Study, cohort: xr.Dataset, pool: np.ndarray, reported: np.ndarray, name: str, ignorance: Figure
) -> Decomposition:
    """Splits the variance of the estimates of one endpoint.

        Var(reported) = Cov(exact, reported) + Cov(reported - exact, reported)

    where `exact` is the same trial's difference of means had everyone's true value been seen. reported: (replicate,),
    of the study's trial on `cohort`; pool: (patient,) bool; ignorance: SD of the truth over the population's draws.
    """
    endpoint = next(each for each in study.endpoints if each.name == name)
    values = true(endpoint, cohort, {each.name: each for each in study.endpoints})
    exact = _exact(study, values, np.flatnonzero(pool), len(reported))
    sound = np.isfinite(reported) & np.isfinite(exact)
    exact, reported = exact[sound], reported[sound]
    rng = np.random.default_rng([study.seed, 9])
    resampled = rng.integers(len(reported), size=(RESAMPLES, len(reported)))
    spread = np.stack([_split(exact[rows], reported[rows]) for rows in resampled]).std(axis=0, ddof=1)
    return Decomposition(
        np.append(_split(exact, reported), ignorance.value**2),
        np.append(spread, 2.0 * ignorance.value * ignorance.mcse),
    )


def _split(exact: np.ndarray, reported: np.ndarray) -> np.ndarray:
    centred = reported - reported.mean()
    n = len(reported) - 1
    return np.array([(exact * centred).sum() / n, ((reported - exact) * centred).sum() / n])


def _exact(study: Study, values: np.ndarray, pool: np.ndarray, replicates: int) -> np.ndarray:
    """Difference of the arms' means of true values among those enrolled, (replicate,)."""
    names = [arm.name for arm in study.arms]
    first, second = (names.index(arm) for arm in study.contrast)
    parts = []
    for start in range(0, replicates, BATCH):
        trial = conduct(study, pool, range(start, min(start + BATCH, replicates)))
        seen = values[trial.arm, trial.patient]
        means = [np.nanmean(np.where(trial.arm == arm, seen, np.nan), axis=1) for arm in (first, second)]
        parts.append(means[0] - means[1])
    return np.concatenate(parts)


def effects(study: Study, lives: xr.Dataset, pool: np.ndarray, name: str, rows: int) -> np.ndarray:
    """Individual effects in each draw of the population, (row, patient), NaN outside the pool.

    lives: whole draws one after another.
    """
    endpoint = next(each for each in study.endpoints if each.name == name)
    values = true(endpoint, lives, {each.name: each for each in study.endpoints})
    arms = list(lives[schema.ARM].values)
    first, second = (arms.index(arm) for arm in study.contrast)
    return np.where(pool, values[first] - values[second], np.nan).reshape(rows, -1)
