"""How patients respond: each endpoint under each arm, the effect on each patient, and both by who he is."""

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from analysis.endpoints import true
from analysis.histogram import counts, edges
from analysis.slabs import column
from analysis.statistics.binary.proportion import wilson
from populations.population import Variable
from trials import schema
from trials.endpoints import Endpoint
from trials.study import Study

RANKS = np.linspace(0.0, 1.0, 201)
EXAMPLES = (0.05, 0.25, 0.5, 0.75, 0.95)
SIGNS = ("lower", "equal", "higher")
BANDS = 10  # a number is split at its tenths


class Cells(NamedTuple):
    """A variable's levels, or bands from its tenths. code: of each patient, (patient,). low, high: NaN for levels."""

    variable: Variable
    labels: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    middle: np.ndarray
    code: np.ndarray


def responses(study: Study, cohort: xr.Dataset, inside: np.ndarray) -> xr.Dataset:
    """The group `responses`, of the patients `inside`, (patient,) bool; effect = the study's contrast in one patient.

    By `endpoint`: edges, count (arm, bar), effect_edges, effect_count (bar), effect_quantiles (rank), effect_mean,
    effect_sd, signs (sign): patients whose effect is below, equal to or above 0, example (place): number of the patient
    whose effect is nearest to a quantile, of several the first. By `cell` (level or tenth of a variable) too: mean
    (arm) and effect with their 95 % intervals, cell_patients: those whose effect is known.
    """
    arms = [arm.name for arm in study.arms]
    pair = (arms.index(study.contrast[0]), arms.index(study.contrast[1]))
    named = {endpoint.name: endpoint for endpoint in study.endpoints}
    numbers = np.flatnonzero(inside)
    values = {name: true(endpoint, cohort, named)[:, inside] for name, endpoint in named.items()}
    parts = [_of_endpoint(values[name], pair, numbers) for name in named]
    cells = []
    same = {constant.name for constant in study.population.constants}
    for variable in study.population.variables:
        if variable.name in same:
            continue
        split = _cells(variable, column(cohort, variable.name)[inside])
        if split is not None:
            cells.append(_by_cell(split, named, values, pair))
    coordinates = {
        "endpoint": list(named),
        schema.ARM: cohort[schema.ARM].values,
        "rank": RANKS,
        "place": list(EXAMPLES),
        "sign": list(SIGNS),
    }
    whole = xr.concat(parts, "endpoint")
    if cells:
        whole = whole.merge(xr.concat(cells, "cell"))
    return whole.assign_coords(coordinates).assign_attrs(contrast=" - ".join(study.contrast))


def _of_endpoint(values: np.ndarray, pair: tuple[int, int], numbers: np.ndarray) -> xr.Dataset:
    """values: (arm, patient). numbers: of those patients."""
    effect = values[pair[0]] - values[pair[1]]
    who = np.flatnonzero(np.isfinite(effect))
    known = effect[who]
    edge = edges(values[np.isfinite(values)])
    effect_edge = edges(known, zero=True)
    found = len(known) > 0
    quantiles = np.quantile(known, RANKS) if found else np.full(len(RANKS), np.nan)
    at = np.quantile(known, EXAMPLES) if found else []
    return xr.Dataset(
        {
            "edges": ("edge", edge),
            "count": ((schema.ARM, "bar"), [counts(each[np.isfinite(each)], edge) for each in values]),
            "effect_edges": ("edge", effect_edge),
            "effect_count": ("bar", counts(known, effect_edge)),
            "effect_quantiles": ("rank", quantiles),
            "effect_mean": ((), known.mean() if found else np.nan),
            "effect_sd": ((), known.std(ddof=1) if len(known) > 1 else np.nan),
            "signs": ("sign", np.array([(known < 0).sum(), (known == 0).sum(), (known > 0).sum()], np.int64)),
            "example": (
                "place",
                np.array([numbers[who[np.argmin(np.abs(known - each))]] for each in at], np.int64)
                if found
                else np.full(len(EXAMPLES), -1),
            ),
        }
    )


def _cells(variable: Variable, values: np.ndarray) -> Cells | None:
    """The split of patients by a variable; None where it is the same in all of them."""
    if variable.levels:
        code = values.astype(int)
        absent = np.full(len(variable.levels), np.nan)
        return Cells(variable, variable.levels, absent, absent, absent, code)
    if not len(values) or values.min() == values.max():
        return None
    # Many equal values fill several tenths; those are one band.
    limits = np.unique(np.quantile(values, np.linspace(0.0, 1.0, BANDS + 1)))
    code = np.clip(np.searchsorted(limits, values, side="right") - 1, 0, len(limits) - 2)
    count = np.bincount(code, minlength=len(limits) - 1)
    with np.errstate(invalid="ignore"):
        middle = np.bincount(code, values, len(limits) - 1) / count
    labels = tuple(f"{low:.4g} to {high:.4g}" for low, high in itertools.pairwise(limits))
    return Cells(variable, labels, limits[:-1], limits[1:], middle, code)


def _by_cell(
    cells: Cells, named: Mapping[str, Endpoint], values: Mapping[str, np.ndarray], pair: tuple[int, int]
) -> xr.Dataset:
    size, shape = len(cells.labels), (len(named), len(next(iter(values.values()))), len(cells.labels))
    means = {end: np.empty(shape) for end in ("mean", "mean_lower", "mean_upper")}
    effects = {end: np.empty((shape[0], size)) for end in ("effect", "effect_lower", "effect_upper")}
    patients = np.empty((shape[0], size), np.int64)
    for i, (name, endpoint) in enumerate(named.items()):
        share = endpoint.kind in ("responder", "ever")
        for arm, each in enumerate(values[name]):
            for array, found in zip(means.values(), _means(each, cells.code, size, share)[1:], strict=True):
                array[i, arm] = found
        effect = values[name][pair[0]] - values[name][pair[1]]
        patients[i], *of_effect = _means(effect, cells.code, size, False)
        for ends, one in zip(effects.values(), of_effect, strict=True):
            ends[i] = one
    return xr.Dataset(
        {name: (("endpoint", schema.ARM, "cell"), array) for name, array in means.items()}
        | {name: (("endpoint", "cell"), array) for name, array in effects.items()}
        | {"cell_patients": (("endpoint", "cell"), patients)},
        coords={
            "cell_variable": ("cell", [cells.variable.name] * size),
            "cell_label": ("cell", list(cells.labels)),
            "cell_low": ("cell", cells.low),
            "cell_high": ("cell", cells.high),
            "cell_middle": ("cell", cells.middle),
        },
    )


def _means(values: np.ndarray, code: np.ndarray, size: int, share: bool) -> tuple[np.ndarray, ...]:
    """Patients, mean and 95 % interval in each cell, each (cell,): by the t distribution, of a share by Wilson.

    NaN where a cell has no patients, or none that differ.
    """
    known = np.isfinite(values)
    values, code = values[known], code[known]
    count = np.bincount(code, minlength=size)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.bincount(code, values, size) / count
        if share:
            return count, mean, *wilson(mean, count)
        variance = np.bincount(code, (values - mean[code]) ** 2, size) / (count - 1)
        half = stats.t.isf(0.025, count - 1) * np.sqrt(variance / count)
    half = np.where(half > 0, half, np.nan)
    return count, mean, mean - half, mean + half
