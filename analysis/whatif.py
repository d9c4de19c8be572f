"""What if: a surrogate, kept with a run, answers for lives that were not simulated."""

import json
from collections.abc import Mapping, Sequence
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
    """Predictions: by which method each is, names and units of the outputs, (output,) each. rmse: what one life, or
    one population, that the surrogate has not seen differs from it by; q2: share of the variance that is predicted."""

    methods: tuple[str, ...]
    names: tuple[str, ...]
    units: tuple[str, ...]
    values: np.ndarray
    rmse: np.ndarray
    q2: np.ndarray


class Unseen(NamedTuple):
    """Lives that a surrogate is held against: points of its columns, (row, column), and outputs, (row, output)."""

    points: np.ndarray
    values: np.ndarray


def made(
    study: Study, asked: Asked, method: Method, size: int, points: np.ndarray, scalars: Outputs, unseen: Unseen | None
) -> xr.Dataset | None:
    """The surrogate of all outputs that differ between rows, as it is stored; None where there is none to make.

    unseen: lives of all outputs that tell its error where its own do not.
    """
    fitting = [i for i in range(len(scalars.names)) if _fits(asked, scalars.values[:, i])]
    if method.fit is None or not fitting:
        return None
    try:
        fitted = method.fit(asked.problem, points, scalars.values[:, fitting], size=size)
    except ValueError:
        return None
    error = f"leave-one-out over {len(points):,}"
    if unseen is not None:
        fitted = _held(fitted, Unseen(unseen.points, unseen.values[:, fitting]))
        error = f"over {len(unseen.points):,} others"
    data = fitted.to_dataset()
    quantile = (np.arange(GRID) + 0.5) / GRID
    physical, units, levels = _physical(study, asked, quantile)
    columns = [column.name for column in asked.problem.columns]
    of = asked.experiment.of
    data = data.assign_coords(
        {
            "output": [scalars.names[i] for i in fitting],
            "unit": ("output", [scalars.units[i] for i in fitting]),
            "column_unit": ("column", units),
            "title": ("column", [asked.columns.get(name, name) for name in columns]),
            "quantile": ("grid", quantile),
        }
    )
    data["physical"] = (("column", "grid"), physical)
    said = f"polynomial chaos of {len(points):,} {of if of == 'patients' else 'populations'}; not simulated"
    return data.assign_attrs(
        method=method.name, title=method.title, of=of, levels=json.dumps(levels), said=said, error=error
    )


def _held(one: Surrogate, unseen: Unseen) -> Surrogate:
    """A surrogate with its error over lives that it has not seen, the failed of which are left out."""
    predicted = one.predict(unseen.points)
    q2, rmse = np.full((2, predicted.shape[1]), np.nan)
    for i, values in enumerate(unseen.values.T):
        lived = ~np.isnan(values)
        if lived.any():
            squared = ((predicted[lived, i] - values[lived]) ** 2).mean()
            rmse[i] = squared**0.5
            if not constant(values[lived]):
                q2[i] = 1.0 - squared / values[lived].var()
    return one._replace(q2=q2, rmse=rmse)


def _fits(asked: Asked, values: np.ndarray) -> bool:
    """Whether an output tells enough for a surrogate: it differs, and enough of its lives are sound."""
    known = values[~np.isnan(values)]
    if len(known) == 0 or constant(known):
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


def stored(folder: Path, of: Of, methods: Sequence[str] = ()) -> dict[str, xr.Dataset]:
    """The surrogates of a run by method, of those methods alone where any are named. Raises ValueError where there are
    none."""
    there = kept.surrogates(folder, of)
    for name in methods:
        if there and name not in there:
            raise ValueError(f"{folder} has no surrogate by '{name}'; write one of: {', '.join(there)}")
    found = {name: kept.read(folder, f"{schema.SURROGATES}/{of}/{name}") for name in methods or there}
    whole = {name: data for name, data in found.items() if data is not None}
    if not whole:
        raise ValueError(
            f"{folder} has no surrogate of its {of}, or one of another version of the study; "
            f"make one with: trialtwin sensitivity {folder} --of {of} --method chaos-sparse"
        )
    return whole


def ranked(surrogates: Mapping[str, xr.Dataset], output: str) -> list[str]:
    """Methods whose surrogates have an output, the one with the smallest error first."""
    errors = {
        name: float(data["rmse"].sel(output=output))
        for name, data in surrogates.items()
        if output in data["output"].values
    }
    return sorted(errors, key=lambda name: (np.isnan(errors[name]), errors[name], name))


def answer(surrogates: Mapping[str, xr.Dataset], asked: Mapping[str, str | float]) -> Answer:
    """Of every output the prediction of the surrogate with the smallest error. surrogates: by method.

    Raises ValueError for an unknown input, or a value that was not among those simulated.
    """
    names = list(dict.fromkeys(str(name) for data in surrogates.values() for name in data["output"].values))
    methods = tuple(ranked(surrogates, name)[0] for name in names)
    values = {name: _predicted(surrogates[name], asked) for name in dict.fromkeys(methods)}
    chosen = [surrogates[method].sel(output=name) for method, name in zip(methods, names, strict=True)]
    return Answer(
        methods,
        tuple(names),
        tuple(str(one["unit"].item()) for one in chosen),
        np.array([float(values[method].sel(output=name)) for method, name in zip(methods, names, strict=True)]),
        np.array([float(one["rmse"]) for one in chosen]),
        np.array([float(one["q2"]) for one in chosen]),
    )


def _predicted(data: xr.Dataset, asked: Mapping[str, str | float]) -> xr.DataArray:
    """Predictions, (output,): some inputs have the values asked for, by unit or level, all others are in the middle."""
    columns = [str(name) for name in data["column"].values]
    levels = json.loads(data.attrs["levels"])
    point = np.full((1, len(columns)), 0.5)
    for name, value in asked.items():
        if name not in columns:
            raise ValueError(f"what if '{name}': there is no such input; write one of: {', '.join(columns)}")
        i = columns.index(name)
        point[0, i] = _quantile(data, i, name, value, levels.get(name, []))
    values = Surrogate.from_dataset(data).predict(point)[0]
    return xr.DataArray(values, {"output": data["output"].values}, ("output",))


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
