"""What an experiment's lives give: one number per row and output, and what happened over time."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from analysis.endpoints import true
from solvers.status import Status
from trials import schema
from trials.experiment import Experiment
from trials.study import Study


class Outputs(NamedTuple):
    """names: such as 'primary: fixed' and 'primary: genotype - fixed'. values: (row, output), NaN for a failed life."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: np.ndarray


def endpoints(study: Study, experiment: Experiment, lives: xr.Dataset) -> Outputs:
    """The true value of every endpoint under each arm, and the contrast of the arms: what drives the effect.

    Of patients each life's own; of populations the mean over those of their patients who may enter the trial.
    """
    named = {endpoint.name: endpoint for endpoint in study.endpoints}
    sound = lives[schema.STATUS].values == Status.OK
    names, units, columns = [], [], []
    for endpoint in study.endpoints:
        by_arm = _rows(experiment, np.where(sound, true(endpoint, lives, named), np.nan))
        for who, values in _by_arm(study, by_arm):
            names.append(f"{endpoint.name}: {who}")
            units.append(endpoint.unit)
            columns.append(values)
    return Outputs(tuple(names), tuple(units), np.stack(columns, axis=1))


class Traces(NamedTuple):
    """names: such as 'inr: fixed'. days: (time,). values: (row, trace, time), NaN for a failed life."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    days: np.ndarray
    values: np.ndarray


def traces(study: Study, experiment: Experiment, lives: xr.Dataset, most: int) -> Traces:
    """Every recorded outcome under each arm and their contrast, at no more than `most` times."""
    days = lives[schema.TIME].values
    places = np.unique(np.linspace(0, len(days) - 1, min(most, len(days))).round().astype(int))
    sound = (lives[schema.STATUS].values == Status.OK)[:, :, None]
    units = {item.name: item.unit for item in study.twin.outcomes}
    names, of, columns = [], [], []
    for outcome in study.plan.outcomes:
        recorded = np.where(sound, lives[outcome].isel({schema.TIME: places}).values, np.nan)
        for who, values in _by_arm(study, _rows(experiment, recorded)):
            names.append(f"{outcome}: {who}")
            of.append(units[outcome])
            columns.append(values)
    return Traces(tuple(names), tuple(of), days[places], np.stack(columns, axis=1))


def _by_arm(study: Study, values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Each arm's values, then the contrast's. values: (arm, ...)."""
    arms = [arm.name for arm in study.arms]
    first, second = (arms.index(name) for name in study.contrast)
    return [*zip(arms, values, strict=True), (" - ".join(study.contrast), values[first] - values[second])]


def _rows(experiment: Experiment, values: np.ndarray) -> np.ndarray:
    """(arm, row, ...) from (arm, life, ...): means over the patients of a population who live soundly in every arm."""
    if experiment.of == "patients":
        return values
    each = values.reshape(len(values), len(experiment.points), experiment.patients, *values.shape[2:])
    there = ~np.isnan(each).any(axis=0)
    count = there.sum(axis=1)
    total = np.where(there, each, 0.0).sum(axis=2)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
