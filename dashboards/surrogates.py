"""Polynomials in place of lives that are kept with a run: their values as tables, on the scale of physical inputs."""

import json
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from analysis import kept, whatif
from analysis.sensitivity.surrogate import Surrogate
from dashboards import drivers
from dashboards.results import Results, question
from dashboards.written import number, scale, unit
from trials import schema


class Surface(NamedTuple):
    """A surrogate of an output, and what its inputs are in physical units."""

    surrogate: Surrogate
    place: int
    q2: float
    rmse: float
    data: xr.Dataset
    levels: dict[str, list[str]]
    factor: float
    unit: str
    difference: str
    title: str


def methods(results: Results, of: str, output: str) -> list[str]:
    """Methods whose surrogates of a set of inputs have an output, the one with the smallest error first."""
    there = kept.surrogates(results.folder, of)
    return whatif.ranked({name: drivers.group(results, group_of(of, name)) for name in there}, output)


def group_of(of: str, method: str) -> str:
    return f"{schema.SURROGATES}/{of}/{method}"


def titled(results: Results, of: str, method: str, output: str) -> str:
    """A surrogate in words, with its error."""
    one = surface_of(results, of, method, output)
    said = one.data.attrs
    written = f"{number(one.rmse)} {one.difference}".strip()
    return f"{said.get('title', method)}: error {written}, {said.get('error', '')}".rstrip(", ")


def surface_of(results: Results, of: str, method: str, output: str) -> Surface:
    """The surrogate of an output by a method."""
    data = drivers.group(results, group_of(of, method))
    names = [str(name) for name in data["output"].values]
    if output not in names:
        raise ValueError(f"there is no surrogate of '{output}'; write one of: {', '.join(names)}")
    place = names.index(output)
    levels = json.loads(data.attrs["levels"])
    name, _, who = output.rpartition(": ")
    endpoint = results.endpoint(name)
    by = scale(endpoint)
    contrast = who == results.contrast
    return Surface(
        Surrogate.from_dataset(data),
        place,
        float(data["q2"].values[place]),
        float(data["rmse"].values[place]) * by.factor,
        data,
        levels,
        by.factor,
        by.difference if contrast else by.unit,
        by.difference,
        f"{who.replace(' - ', ' − ') if contrast else who}, {question(results.study, endpoint)}",
    )


class Axis(NamedTuple):
    """What an input of a surrogate can be: quantiles (place,), and its values [unit] there, in numbers and words."""

    name: str
    title: str
    unit: str
    quantiles: np.ndarray
    values: np.ndarray
    labels: tuple[str, ...]
    kind: Literal["number", "levels"]


def axis_of(one: Surface, name: str) -> Axis:
    """An input of a surrogate on its physical scale."""
    quantile, column = one.data["quantile"].values, one.data.sel(column=name)
    values, title, written = (
        column["physical"].values,
        str(column["title"].item()),
        unit(str(column["column_unit"].item())),
    )
    if name not in one.levels:
        labels = tuple(f"{number(value)} {written}".strip() for value in values)
        return Axis(name, title, written, quantile, values, labels, "number")
    codes = [code for code in range(len(one.levels[name])) if (np.round(values) == code).any()]
    middles = np.array([float(np.median(quantile[np.round(values) == code])) for code in codes])
    order = np.argsort(middles)
    words = tuple(one.levels[name][codes[i]] for i in order)
    return Axis(name, title, "", middles[order], np.array(codes, float)[order], words, "levels")


def moving(one: Surface) -> list[str]:
    """Inputs that a surrogate has, by how much it moves with each alone, the most first."""
    names = list(one.surrogate.columns)
    moves = []
    for name in names:
        quantiles = axis_of(one, name).quantiles
        moves.append(np.ptp(predicted(one, {name: quantiles})))
    return [names[i] for i in np.argsort(-np.array(moves), kind="stable")]


def predicted(one: Surface, quantiles: dict[str, np.ndarray]) -> np.ndarray:
    """The surrogate's values where some inputs are at given quantiles, arrays of one shape, and all others at 0.5."""
    shape = np.shape(next(iter(quantiles.values())))
    points = np.full((int(np.prod(shape)), len(one.surrogate.columns)), 0.5)
    for name, each in quantiles.items():
        points[:, one.surrogate.columns.index(name)] = np.ravel(each)
    values = one.surrogate.predict(points)
    return (values[:, one.place] if values.ndim == 2 else values).reshape(shape) * one.factor


def _coarse(axis: Axis, most: int = 41) -> tuple[np.ndarray, np.ndarray]:
    """Places and quantiles of an axis, at most so many."""
    chosen = np.unique(np.linspace(0, len(axis.quantiles) - 1, min(most, len(axis.quantiles))).round().astype(int))
    return chosen, axis.quantiles[chosen]


def surface(results: Results, of: str, method: str, output: str, x: str, y: str) -> pd.DataFrame:
    """A surrogate over two inputs, all others in their middle."""
    one = surface_of(results, of, method, output)
    across, up = axis_of(one, x), axis_of(one, y)
    (i, first), (j, second) = _coarse(across), _coarse(up)
    grid_x, grid_y = np.meshgrid(first, second)
    values = predicted(one, {x: grid_x, y: grid_y})
    columns = {
        f"quantile of {x}": grid_x.ravel(),
        x: np.array(across.labels)[np.tile(i, len(j))]
        if across.kind == "levels"
        else np.tile(across.values[i], len(j)),
        f"quantile of {y}": grid_y.ravel(),
        y: np.array(up.labels)[np.repeat(j, len(i))] if up.kind == "levels" else np.repeat(up.values[j], len(i)),
        "predicted": values.ravel(),
    }
    return pd.DataFrame(columns).assign(rmse=one.rmse, q2=one.q2, unit=one.unit)


def at(changes: tuple[str | float, ...]) -> dict[str, float]:
    """Names and quantiles in turn, by name."""
    return {str(name): float(value) for name, value in zip(changes[::2], changes[1::2], strict=True)}


def what_if(results: Results, of: str, method: str, output: str, *changes: str | float) -> tuple[float, float]:
    """A surrogate's prediction and its root mean squared error, some inputs at quantiles, all others in the middle."""
    one = surface_of(results, of, method, output)
    quantiles = {name: np.array(value) for name, value in at(changes).items()} or {
        one.surrogate.columns[0]: np.array(0.5)
    }
    return float(predicted(one, quantiles)), one.rmse


def profiles(results: Results, of: str, method: str, output: str, *changes: str | float) -> pd.DataFrame:
    """A surrogate along each of its leading inputs, all others where the changes put them. changes: as `what_if`."""
    one = surface_of(results, of, method, output)
    fixed = at(changes)
    parts = []
    for name in moving(one)[:6]:
        axis = axis_of(one, name)
        chosen, quantiles = _coarse(axis)
        others = {other: np.full(len(chosen), value) for other, value in fixed.items() if other != name}
        values = predicted(one, {name: quantiles, **others})
        labels = [axis.labels[i] for i in chosen]
        part = pd.DataFrame({"input": name, "title": axis.title, "quantile": quantiles, "value": axis.values[chosen]})
        parts.append(part.assign(label=labels, predicted=values, rmse=one.rmse, unit=one.unit))
    return pd.concat(parts, ignore_index=True)
