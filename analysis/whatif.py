"""What if: a surrogate, kept with a run, answers for lives that were not simulated."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.special import ndtri

from analysis import kept
from analysis.experiments import Asked
from analysis.outputs import Outputs
from analysis.sensitivity import expansion
from analysis.sensitivity.indices import constant
from analysis.sensitivity.method import Method
from analysis.sensitivity.surrogate import Surrogate
from trials import schema
from trials.entrants import entrants
from trials.experiment import Of
from trials.study import Study

GRID = 201  # quantiles at which the physical value of an input is kept


class Answer(NamedTuple):
    """A surrogate's prediction: names and units of the outputs, (output,) each. rmse: leave-one-out, what one life, or
    one population, differs from it by; q2: share of the variance that is predicted."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: np.ndarray
    rmse: np.ndarray
    q2: np.ndarray


def made(study: Study, asked: Asked, method: Method, points: np.ndarray, scalars: Outputs) -> xr.Dataset | None:
    """The surrogate of all outputs that differ between rows, as it is stored; None where there is none to make."""
    if method.fit is None:
        return None
    fitting = [i for i in range(len(scalars.names)) if _fits(asked, method, points, scalars.values[:, i])]
    if not fitting:
        return None
    data = method.fit(asked.problem, points, scalars.values[:, fitting]).to_dataset()
    quantile = (np.arange(GRID) + 0.5) / GRID
    physical, units, levels = _physical(study, asked, quantile)
    columns = [column.name for column in asked.problem.columns]
    of = asked.experiment.of
    data = data.assign_coords(
        {
            "output": [scalars.names[i] for i in fitting],
            "unit": ("output", [scalars.units[i] for i in fitting]),
            "input": ("column", [column.group for column in asked.problem.columns]),
            "column_unit": ("column", units),
            "title": ("column", [asked.columns.get(name, name) for name in columns]),
            "quantile": ("grid", quantile),
        }
    )
    data["physical"] = (("column", "grid"), physical)
    said = f"polynomial chaos of {len(points):,} {of if of == 'patients' else 'populations'}; not simulated"
    return data.assign_attrs(method=method.name, of=of, levels=json.dumps(levels), said=said)


def _fits(asked: Asked, method: Method, points: np.ndarray, values: np.ndarray) -> bool:
    """Whether an output tells enough for a surrogate: it differs, and enough of its lives are sound."""
    known = values[~np.isnan(values)]
    if len(known) == 0 or constant(known) or method.fit is None:
        return False
    try:
        expansion.candidates(asked.problem, len(known), False)
    except ValueError:
        return False
    return True


def _physical(study: Study, asked: Asked, quantile: np.ndarray) -> tuple[np.ndarray, list[str], dict[str, list[str]]]:
    """Value of each column's variable at quantiles of the column, the others in their middle, (column, grid)."""
    columns = [column.name for column in asked.problem.columns]
    if asked.experiment.of == "population":
        return np.tile(ndtri(quantile), (len(columns), 1)), ["standard errors"] * len(columns), {}
    eligible = entrants(study)
    variables = {variable.name: variable for variable in study.population.variables}
    places = [one.name for one in eligible.inputs]
    rows, units, levels = [], [], {}
    for name in columns:
        points = np.full((len(quantile), len(places)), 0.5)
        points[:, places.index(name)] = quantile
        values = study.population.patients(eligible.points(points, len(study.population.inputs)))
        rows.append(values[name])
        units.append(variables[name].unit)
        if variables[name].levels:
            levels[name] = list(variables[name].levels)
    return np.stack(rows), units, levels


def stored(folder: Path, of: Of) -> xr.Dataset:
    """The surrogate of a run. Raises ValueError where there is none."""
    data = kept.read(folder, f"{schema.SURROGATES}/{of}")
    if data is None:
        raise ValueError(
            f"{folder} has no surrogate of its {of}, or one of another version of the study; "
            f"make one with: trialtwin sensitivity {folder} --of {of} --method chaos-sparse"
        )
    return data


def answer(data: xr.Dataset, asked: Mapping[str, str | float]) -> Answer:
    """Predictions where some inputs have the values asked for, in their units or by level, the others in the middle.

    Raises ValueError for an unknown input, or a value that was not among those simulated.
    """
    columns = [str(name) for name in data["column"].values]
    levels = json.loads(data.attrs["levels"])
    point = np.full((1, len(columns)), 0.5)
    for name, value in asked.items():
        if name not in columns:
            raise ValueError(f"what if '{name}': there is no such input; write one of: {', '.join(columns)}")
        i = columns.index(name)
        point[0, i] = _quantile(data, i, name, value, levels.get(name, []))
    names = tuple(str(name) for name in data["output"].values)
    units = tuple(str(unit) for unit in data["unit"].values)
    values = Surrogate.from_dataset(data).predict(point)[0]
    return Answer(names, units, values, data["rmse"].values, data["q2"].values)


def _quantile(data: xr.Dataset, i: int, name: str, value: str | float, levels: list[str]) -> float:
    physical, quantile = data["physical"].values[i], data["quantile"].values
    if levels:
        reached = [level for code, level in enumerate(levels) if (physical == code).any()]
        if value not in reached:
            raise ValueError(f"what if {name} is '{value}': no such level; write one of: {', '.join(reached)}")
        return float(quantile[physical == levels.index(str(value))].mean())
    try:
        number = float(value)
    except ValueError as error:
        raise ValueError(f"what if {name} is '{value}': no number; write one such as {physical[100]:.3g}") from error
    if not physical.min() <= number <= physical.max():
        unit = str(data["column_unit"].values[i])
        raise ValueError(
            f"what if {name} is {number:g}: the surrogate knows {physical.min():.3g} to {physical.max():.3g} {unit}; "
            "write one of those"
        )
    # Steps, such as completed years, are met in their middle.
    return float(np.interp(number, *_centred(physical, quantile)))


def _centred(physical: np.ndarray, quantile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, inverse = np.unique(physical, return_inverse=True)
    return values, np.bincount(inverse, weights=quantile) / np.bincount(inverse)
