"""Tables of how patients respond: each endpoint under each arm, one patient's effect, and both by who he is.

Shares are in per cent, their differences in percentage points.
"""

import numpy as np
import pandas as pd
import xarray as xr

from dashboards import people
from dashboards.results import Results, named, question
from dashboards.written import scale, unit
from trials import schema

BINARY = ("responder", "ever")


def binary(results: Results, endpoint: str) -> bool:
    """Whether an endpoint is told by yes or no."""
    return results.endpoint(endpoint).kind in BINARY


def values(results: Results, endpoint: str) -> pd.DataFrame:
    """How many patients of the pool have an endpoint from - to, under each arm."""
    found, by = _of(results, endpoint), scale(results.endpoint(endpoint))
    low, high = _bars(found["edges"], by.factor)
    parts = []
    for arm in found[schema.ARM].values:
        count = found["count"].sel({schema.ARM: arm}).values[: len(low)]
        share = 100 * count / max(count.sum(), 1)
        parts.append(
            pd.DataFrame(
                {"arm": str(arm), "from": low, "to": high, "unit": by.unit, "patients": count, "share [%]": share}
            )
        )
    return pd.concat(parts, ignore_index=True)


def histogram(results: Results, endpoint: str) -> pd.DataFrame:
    """How many patients have an own effect from - to."""
    found, by = _of(results, endpoint), scale(results.endpoint(endpoint))
    low, high = _bars(found["effect_edges"], by.factor)
    count = found["effect_count"].values[: len(low)]
    share = 100 * count / max(count.sum(), 1)
    return pd.DataFrame({"from": low, "to": high, "unit": by.difference, "patients": count, "share [%]": share})


def waterfall(results: Results, endpoint: str) -> pd.DataFrame:
    """The own effects of patients from the lowest to the highest: share of patients below, and effect."""
    found, by = _of(results, endpoint), scale(results.endpoint(endpoint))
    share, effect = 100 * found["rank"].values, by.factor * found["effect_quantiles"].values
    return pd.DataFrame({"patients below [%]": share, "effect": effect, "unit": by.difference})


def signs(results: Results, *endpoints: str) -> pd.DataFrame:
    """How many patients have more, the same and less of each endpoint under the first arm of the contrast."""
    study = results.study
    first, second = study.contrast
    words = {"higher": f"higher under {first}", "equal": "the same under both", "lower": f"higher under {second}"}
    lines = []
    for name in endpoints or named(study):
        found = _of(results, name)["signs"]
        total = max(int(found.sum()), 1)
        for sign, word in words.items():
            patients = int(found.sel(sign=sign))
            lines.append([name, question(study, results.endpoint(name)), word, patients, 100 * patients / total])
    return pd.DataFrame(lines, columns=["endpoint", "title", "effect", "patients", "share [%]"])


def by_variable(results: Results, endpoint: str, variable: str) -> pd.DataFrame:
    """Mean of an endpoint under each arm, and of its effect, in each level or tenth of a covariate or parameter.

    who: an arm, or the contrast. middle: mean of the variable there; NaN for levels.
    """
    found, by = _of(results, endpoint), scale(results.endpoint(endpoint))
    of = people.variable(results, variable)
    cells = found.isel(cell=found["cell_variable"].values == variable)
    shared = {
        "variable": variable,
        "group": [str(label) for label in cells["cell_label"].values],
        "from": cells["cell_low"].values,
        "to": cells["cell_high"].values,
        "middle": cells["cell_middle"].values,
        "variable unit": unit(of.unit),
        "patients": cells["cell_patients"].values,
    }
    parts = []
    for arm in cells[schema.ARM].values:
        here = cells.sel({schema.ARM: arm})
        ends = {end: by.factor * here[name].values for end, name in _ends("mean").items()}
        parts.append(pd.DataFrame({"who": str(arm), **shared, **ends, "unit": by.unit}))
    ends = {end: by.factor * cells[name].values for end, name in _ends("effect").items()}
    parts.append(pd.DataFrame({"who": results.contrast, **shared, **ends, "unit": by.difference}))
    return pd.concat(parts, ignore_index=True)


def modifiers(results: Results, endpoint: str) -> pd.DataFrame:
    """How far the mean effect reaches over the levels or tenths of each variable; what moves it most comes first.

    spread: standard deviation of the mean effect between groups, weighted by patients, less what chance alone gives.
    """
    found, by = _of(results, endpoint), scale(results.endpoint(endpoint))
    lines = []
    for one in people.varying(results):
        cells = found.isel(cell=(found["cell_variable"].values == one.name) & (found["cell_patients"].values > 1))
        if cells.sizes["cell"] < 2:
            continue
        weights, effect = cells["cell_patients"].values, by.factor * cells["effect"].values
        error = by.factor * np.nan_to_num(cells["effect_upper"].values - cells["effect"].values) / 1.96
        mean = np.average(effect, weights=weights)
        between = np.average((effect - mean) ** 2, weights=weights)
        chance = np.average(error**2, weights=weights) * (1 - 1 / len(weights))
        spread = max(between - chance, 0.0) ** 0.5
        lines.append([one.name, one.kind, effect.min(), mean, effect.max(), spread, by.difference])
    table = pd.DataFrame(lines, columns=["variable", "kind", "lowest", "mean", "highest", "spread", "unit"])
    return table.sort_values("spread", ascending=False, kind="stable").reset_index(drop=True)


def _of(results: Results, endpoint: str) -> xr.Dataset:
    return results.group(schema.RESPONSES).sel(endpoint=results.endpoint(endpoint).name)


def _ends(what: str) -> dict[str, str]:
    return {"value": what, "lower": f"{what}_lower", "upper": f"{what}_upper"}


def _bars(edges: xr.DataArray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    known = factor * edges.values[np.isfinite(edges.values)]
    return known[:-1], known[1:]
