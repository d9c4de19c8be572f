"""Who the patients are: distributions, correlations, what the population was to attain, and who was left out why."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from scipy import stats

from analysis.histogram import BARS, counts, edges
from analysis.slabs import column
from populations import attained
from populations.reference import Reference
from solvers.status import REASONS, Status
from trials import schema
from trials.study import Study

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
FIRST = 10_240  # candidates whose correlations and attained statistics are taken: ten panels of the sampling
WHO = ("candidates", "eligible", "pool")


def people(study: Study, cohort: xr.Dataset, inside: np.ndarray) -> xr.Dataset:
    """The group `people`. inside: who may enter the trial, (patient,) bool. One variable is in memory at a time.

    By `number` (what varies and has no levels) and `who`: count (bar) between the shared edge, mean, sd, quantiles.
    By `category` (each level of each variable with levels) and `who`: level_count. correlation (who, number, other):
    Spearman's, of candidates and eligible among the first FIRST. criterion: how many candidates meet it alone, and
    it and all before it. failed (arm, status). statistic: target and attained, of the first FIRST.
    """
    eligible = cohort[schema.ELIGIBLE].values
    groups = (np.ones(len(eligible), bool), eligible, inside)
    distributions, first = _distributions(study, cohort, groups)
    return xr.merge(
        [
            distributions,
            _levels(study, cohort, groups),
            _correlations(first, groups),
            _funnel(study, cohort, groups),
            _attained(study),
        ]
    ).assign_attrs(first=min(FIRST, len(eligible)))


def _distributions(
    study: Study, cohort: xr.Dataset, groups: Sequence[np.ndarray]
) -> tuple[xr.Dataset, dict[str, np.ndarray]]:
    """Of the variables without levels that are not the same in everyone; and the first FIRST values of each."""
    same = {constant.name for constant in study.population.constants}
    first, edge, count, mean, sd, quantile = {}, [], [], [], [], []
    for variable in study.population.variables:
        if variable.levels or variable.name in same:
            continue
        values = column(cohort, variable.name)
        if values.min() == values.max():
            continue
        first[variable.name] = values[:FIRST].copy()
        edge.append(edges(values))
        for group in groups:
            chosen = values[group]
            n = len(chosen)
            count.append(counts(chosen, edge[-1]))
            mean.append(chosen.mean() if n else np.nan)
            sd.append(chosen.std(ddof=1) if n > 1 else np.nan)
            quantile.append(np.quantile(chosen, QUANTILES) if n else np.full(len(QUANTILES), np.nan))
    by, shape = ("number", "who"), (len(first), len(WHO))
    return xr.Dataset(
        {
            "edges": (("number", "edge"), np.array(edge).reshape(len(first), BARS + 1)),
            "count": ((*by, "bar"), np.array(count, np.int64).reshape(*shape, BARS)),
            "mean": (by, np.array(mean, float).reshape(shape)),
            "sd": (by, np.array(sd, float).reshape(shape)),
            "quantiles": ((*by, "quantile"), np.array(quantile).reshape(*shape, len(QUANTILES))),
        },
        coords={"number": np.array(list(first), str), "who": list(WHO), "quantile": list(QUANTILES)},
    ), first


def _levels(study: Study, cohort: xr.Dataset, groups: Sequence[np.ndarray]) -> xr.Dataset:
    names, levels, rows = [], [], []
    for variable in study.population.variables:
        if variable.levels:
            codes = column(cohort, variable.name).astype(int)
            by_level = [np.bincount(codes[group], minlength=len(variable.levels)) for group in groups]
            for code, level in enumerate(variable.levels):
                names.append(variable.name)
                levels.append(level)
                rows.append([each[code] for each in by_level])
    return xr.Dataset(
        {"level_count": (("category", "who"), np.array(rows, np.int64).reshape(len(rows), len(WHO)))},
        coords={
            "category_variable": ("category", np.array(names, str)),
            "category_level": ("category", np.array(levels, str)),
            "who": list(WHO),
        },
    )


def _correlations(first: Mapping[str, np.ndarray], groups: Sequence[np.ndarray]) -> xr.Dataset:
    """Spearman's rank correlations; NaN of what does not vary in a group. first: name -> (patient,)."""
    numbers = list(first)
    found = np.full((2, len(numbers), len(numbers)), np.nan)
    for j, group in enumerate(groups[:2]):
        ranks = np.array([stats.rankdata(values[group[:FIRST]]) for values in first.values()]).reshape(len(numbers), -1)
        if len(numbers) and ranks.shape[1] > 2:
            with np.errstate(divide="ignore", invalid="ignore"):
                found[j] = np.clip(np.corrcoef(ranks), -1.0, 1.0)
    return xr.Dataset(
        {"correlation": (("among", "number", "other"), found)},
        coords={"among": list(WHO[:2]), "number": np.array(numbers, str), "other": np.array(numbers, str)},
    )


def _funnel(study: Study, cohort: xr.Dataset, groups: Sequence[np.ndarray]) -> xr.Dataset:
    left = np.ones(len(groups[0]), bool)
    alone, remaining = [], []
    for criterion in study.criteria:
        met = criterion.met({criterion.covariate: column(cohort, criterion.covariate)})
        left &= met
        alone.append(int(met.sum()))
        remaining.append(int(left.sum()))
    failed = np.zeros((len(study.arms), len(Status)), np.int64)
    for arm in range(len(study.arms)):
        lives = cohort[schema.STATUS].isel({schema.ARM: arm}).values
        failed[arm] = np.bincount(lives, minlength=len(Status))
    return xr.Dataset(
        {
            "alone": ("criterion", np.array(alone, np.int64)),
            "remaining": ("criterion", np.array(remaining, np.int64)),
            "patients": ("who", np.array([group.sum() for group in groups], np.int64)),
            "lives": ((schema.ARM, "status"), failed),
        },
        coords={
            "criterion": np.array([criterion.text for criterion in study.criteria], str),
            "who": list(WHO),
            schema.ARM: cohort[schema.ARM].values,
            "status": [REASONS[status] for status in Status],
        },
    )


def _attained(study: Study) -> xr.Dataset:
    """What the reference was to attain beside what it does; nothing where the patients are records of the user's."""
    population = study.population
    rows = (
        attained.attained(population, max(min(study.size, FIRST), 2))
        if isinstance(population.people, Reference)
        else []
    )
    return xr.Dataset(
        {
            "target": ("statistic", np.array([row.target for row in rows], float)),
            "attained": ("statistic", np.array([row.attained for row in rows], float)),
        },
        coords={
            "statistic_of": ("statistic", np.array([row.name for row in rows], str)),
            "statistic_name": ("statistic", np.array([row.statistic for row in rows], str)),
            "statistic_unit": ("statistic", np.array([row.unit for row in rows], str)),
        },
    )
