"""What a sensitivity analysis has kept with a run, as tables: indices, regressions, worth of knowing."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from analysis import kept
from dashboards.results import Results
from dashboards.written import scale, unit
from trials import schema, store

FREE = "regression"  # of the stored patients: no experiment
REGRESSION = f"{schema.SENSITIVITY}/patients/{FREE}"
WORDS = {
    "S1": "S1: by itself",
    "ST": "ST: with all its interactions",
    "mu_star": "μ*: mean size of its effect",
    "mu": "μ: mean effect",
    "sigma": "σ: spread of its effect",
    "median": "median distance of distributions",
    "maximum": "largest distance of distributions",
    "delta": "δ: shift of the distribution",
    "prcc": "partial rank correlation",
    "srrc": "standardised rank coefficient",
    "elasticity": "elasticity: % per 1 %",
    "per 1 %": "change per 1 %",
    "ST at most": "upper bound of ST",
}
OF_VARIANCE = ("S1", "ST")
WITH_UNIT = ("mu_star", "mu", "sigma", "per 1 %")  # all others have no dimension
INPUTS = {
    "patients": "Traits of patients",
    "population": "Unknowns of the population",
}


def group(results: Results, name: str) -> xr.Dataset:
    """A kept group, read again when it was written again. Raises ValueError where it is not there."""
    if not has(results, name):
        raise ValueError(f"{results.folder} has no '{name}'; make it with: trialtwin sensitivity {results.folder}")
    path = results.folder / store.COHORT / name / "zarr.json"
    return _group(results.folder, name, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _group(folder: Path, name: str, written: int) -> xr.Dataset:
    return store.open_group(folder, name).load()


def version(results: Results, name: str) -> str:
    """Another text whenever a group is written again."""
    return str(group(results, name).attrs.get("made_from", "")) + str(
        (results.folder / store.COHORT / name / "zarr.json").stat().st_mtime_ns
    )


def has(results: Results, name: str) -> bool:
    """Whether a group is kept and is of the study as it is now."""
    return kept.has(results.folder, name)


def methods(results: Results, of: str) -> list[str]:
    """Names of the methods whose indices are kept for a set of inputs, but for the regression on stored patients."""
    opening = f"{schema.SENSITIVITY}/{of}/"
    found = [name.removeprefix(opening) for name in kept.indices(results.folder) if name.startswith(opening)]
    return [name for name in found if name != FREE]


def titled(results: Results, of: str, method: str) -> str:
    """A method in words."""
    said = _data(results, of, method).attrs
    return "; ".join([str(said.get("title", method)), *grouping(said)])


def grouping(said: Mapping[str, Any]) -> list[str]:
    """What was varied together, in words, by the attributes of kept indices."""
    groups = json.loads(said.get("groups", "{}"))
    return [f"{name} = {', '.join(map(short, members))}" for name, members in groups.items()]


def knows(results: Results, name: str, output: str) -> bool:
    """Whether a kept group has an output."""
    return has(results, name) and output in group(results, name)["output"].values


def measures(results: Results, of: str, method: str) -> list[str]:
    return [str(name) for name in _data(results, of, method)["measure"].values]


def _data(results: Results, of: str, method: str) -> xr.Dataset:
    return group(results, f"{schema.SENSITIVITY}/{of}/{method}")


def first_output(results: Results, of: str, method: str) -> str:
    return str(_data(results, of, method)["output"].values[0])


def outputs(data: xr.Dataset, endpoint: str) -> list[str]:
    """Outputs of an endpoint: under each arm, and the contrast."""
    return [name for name in map(str, data["output"].values) if name.rpartition(": ")[0] == endpoint]


class Facts(NamedTuple):
    """converged: None where the method does not tell."""

    title: str
    source: str
    leading: str
    converged: bool | None
    verdict: str
    effort: str


def facts(results: Results, of: str, method: str, output: str) -> Facts:
    """What is to be known of indices: how they were made, and whether to believe them."""
    data = _data(results, of, method)
    one = data.sel(output=output)
    said = data.attrs
    effort = [
        f"{int(said[name]):,} {what}" for name, what in (("lives", "lives"), ("used", "rows used")) if name in said
    ]
    if int(said.get("dropped", 0)):
        effort.append(f"{int(said['dropped']):,} not ({said.get('handled', '')})")
    if "size" in said:
        effort.append(f"size {said['size']}")
    return Facts(
        titled(results, of, method),
        str(said.get("source", "")),
        str(said.get("leading", data["measure"].values[0])),
        bool(one["converged"]) if "converged" in one else None,
        str(one["verdict"].item()) if "verdict" in one else "",
        ", ".join(effort),
    )


def short(name: str) -> str:
    return name.replace("_", " ")


def titles_of(data: xr.Dataset) -> dict[str, str]:
    """What each input of a kept group is, in words."""
    names = [str(name) for name in data["input"].values]
    titles = data["title"].values if "title" in data.coords else names
    return dict(zip(names, map(str, titles), strict=True))


def _shown(results: Results, output: str, measure: str) -> tuple[float, str]:
    """Factor and unit of a measure of an output."""
    if measure not in WITH_UNIT:
        return 1.0, ""
    by = scale(results.endpoint(output.rpartition(": ")[0]))
    return by.factor, by.difference


def indices(results: Results, of: str, method: str, output: str) -> pd.DataFrame:
    """Every measure of every input with its 95 % interval, the leading input first."""
    data = _data(results, of, method)
    one, titles = data.sel(output=output), titles_of(data)
    lines = []
    for measure in map(str, data["measure"].values):
        factor, written = _shown(results, output, measure)
        here = one.sel(measure=measure)
        for name, title in titles.items():
            ends = [float(here[each].sel(input=name)) * factor for each in ("value", "lower", "upper")]
            lines.append([name, title, measure, *ends, written])
    table = pd.DataFrame(lines, columns=["input", "title", "measure", "value", "lower", "upper", "unit"])
    leading = facts(results, of, method, output).leading
    rank = table[table["measure"] == leading].set_index("input")["value"].abs()
    order = rank.sort_values(ascending=False, kind="stable").index.tolist()
    place = {name: i for i, name in enumerate(order)}
    return table.sort_values("input", key=lambda names: names.map(place), kind="stable").reset_index(drop=True)


def ranked(results: Results, of: str, method: str, output: str) -> list[str]:
    """Inputs by the leading measure, the strongest first; those without a value last."""
    return list(dict.fromkeys(indices(results, of, method, output)["input"]))


def pairs(results: Results, of: str, method: str, output: str) -> pd.DataFrame:
    """Second-order indices of every pair of inputs, with their 95 % intervals."""
    data = _data(results, of, method).sel(output=output)
    names = [str(name) for name in data["input"].values]
    lines = []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            here = data.sel(input=first, input_2=second)
            lines.append([first, second, *(float(here[f"second_{each}"]) for each in ("value", "lower", "upper"))])
    return pd.DataFrame(lines, columns=["input", "with", "value", "lower", "upper"])


def has_pairs(results: Results, of: str, method: str, output: str) -> bool:
    data = _data(results, of, method)
    return "second_value" in data and bool(np.isfinite(data["second_value"].sel(output=output)).any())


def has_curve(results: Results, of: str, method: str) -> bool:
    data = _data(results, of, method)
    return "by_size" in data and data.sizes["size"] > 1


def convergence(results: Results, of: str, method: str, output: str) -> pd.DataFrame:
    """The leading measure of every input by the size of the analysis; the interval is that of the whole."""
    data = _data(results, of, method)
    leading = facts(results, of, method, output).leading
    factor, written = _shown(results, output, leading)
    one = data.sel(output=output, measure=leading)
    parts = []
    for name in ranked(results, of, method, output):
        here = one.sel(input=name)
        part = pd.DataFrame({"input": name, "size": data["size"].values, "value": here["by_size"].values * factor})
        for end in ("lower", "upper"):
            part[end] = np.where(np.arange(len(part)) == len(part) - 1, float(here[end]) * factor, np.nan)
        parts.append(part.assign(unit=written))
    return pd.concat(parts, ignore_index=True)


def traces(results: Results, of: str, method: str) -> list[str]:
    """What there are indices of over time, such as `inr: fixed`."""
    data = _data(results, of, method)
    return [str(name) for name in data["trace"].values] if "time_value" in data else []


def _over_time(data: xr.Dataset) -> tuple[str, list[str]]:
    """Name of the dimension of measures over time, and those."""
    dimension = str(data["time_value"].dims[1])
    return dimension, [str(name) for name in data[dimension].values]


def time_measures(results: Results, of: str, method: str) -> list[str]:
    return _over_time(_data(results, of, method))[1]


def over_time(results: Results, of: str, method: str, trace: str, measure: str) -> pd.DataFrame:
    """A measure of every input at every time, the input with the largest mean first; no intervals."""
    data = _data(results, of, method)
    values = data["time_value"].sel({"trace": trace, _over_time(data)[0]: measure})
    shown = ""
    if measure in WITH_UNIT and "trace_unit" in data:
        shown = unit(str(data["trace_unit"].sel(trace=trace).item()))
    mean = np.nan_to_num(np.abs(values)).mean(axis=1)
    names = [str(data["input"].values[i]) for i in np.argsort(-mean, kind="stable")]
    return pd.concat(
        [
            pd.DataFrame({"input": name, "time [days]": data[schema.TIME].values, "value": values.sel(input=name)})
            for name in names
        ],
        ignore_index=True,
    ).assign(unit=shown)


def has_regression(results: Results, output: str) -> bool:
    return knows(results, REGRESSION, output)


def tornado(results: Results, output: str) -> pd.DataFrame:
    """Mean of an output in the tenth where an input is lowest, in that where it is highest, and at each level.

    The input whose groups differ most comes first, each group weighed by its patients.
    """
    data = group(results, REGRESSION).sel(output=output)
    by, titles = scale(results.endpoint(output.rpartition(": ")[0])), titles_of(data)
    table = pd.DataFrame(
        {
            "input": data["bar_input"].values.astype(str),
            "part": data["bar_label"].values.astype(str),
            "lowest": data["bar_lowest"].values,
            "highest": data["bar_highest"].values,
            "mean": data["bar_mean"].values * by.factor,
            "se": data["bar_se"].values * by.factor,
            "patients": data["bar_patients"].values,
        }
    ).assign(unit=by.difference if output.endswith(f": {results.contrast}") else by.unit)
    table.insert(1, "title", table["input"].map(titles))
    spread = {}
    for name, bars in table.dropna(subset="mean").groupby("input"):
        middle = np.average(bars["mean"], weights=bars["patients"])
        spread[name] = float(np.average((bars["mean"] - middle) ** 2, weights=bars["patients"]))
    return table.sort_values(
        "input", key=lambda names: -names.map(spread).fillna(-1.0), kind="stable", ignore_index=True
    )


def ranks(results: Results, output: str) -> pd.DataFrame:
    """Rank regression on the stored patients: partial correlations and standardised coefficients, with intervals."""
    return indices(results, "patients", FREE, output)


def explained(results: Results, output: str) -> float:
    """Share of the variance of ranks that the regression explains."""
    return float(group(results, REGRESSION)["r2"].sel(output=output))


def has_information(results: Results, output: str) -> tuple[bool, bool]:
    """Whether there is a split of uncertainty of an output, and the worth of knowing."""
    if not knows(results, schema.INFORMATION, output):
        return False, False
    data = group(results, schema.INFORMATION)
    return "share" in data, "evppi" in data


def parts(results: Results, output: str) -> pd.DataFrame:
    """Shares of a trial estimate's variance by where they come from."""
    data = group(results, schema.INFORMATION).sel(output=output)
    names = [str(name) for name in data["part"].values]
    total = float(np.nansum(data["variance"]))
    errors = data["variance_se"].values / total * 100.0 if total > 0 else np.full(len(names), np.nan)
    return pd.DataFrame({"part": names, "share": data["share"].values * 100.0, "se": errors, "unit": "%"})


def worth(results: Results, output: str) -> pd.DataFrame:
    """What it would be worth to know each unknown, and how much variance that would take away; the most first."""
    data = group(results, schema.INFORMATION).sel(output=output)
    by = scale(results.endpoint(output.rpartition(": ")[0]))
    names = [str(name) for name in data["unknown"].values]
    table = pd.DataFrame({"unknown": names})
    for name, factor in (("evppi", by.factor), ("reduction", 100.0)):
        for column in (name, f"{name}_se"):
            table[column] = np.round(data[column].values * factor, 9)  # what rounding left is nothing
    table = table.assign(evpi=float(data["evpi"]) * by.factor, **{"unit of evppi": by.difference})
    order = np.argsort(-table["evppi"].fillna(-1.0).to_numpy(), kind="stable")
    return table.iloc[order].reset_index(drop=True)
