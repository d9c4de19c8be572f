"""Tables of what happened to patients: quantiles over time, means by arm, one life; shares in per cent."""

from typing import NamedTuple

import pandas as pd
import xarray as xr

from analysis import endpoints as analysed
from dashboards.results import Results, named, question, scaled
from dashboards.written import scale, unit
from solvers.status import REASONS, Status
from trials import schema


def trajectory(results: Results, outcome: str) -> pd.DataFrame:
    """Quantiles of an outcome over patients: arm, time [days], one column per quantile, unit."""
    data = results.bands[outcome]
    parts = []
    for arm in (arm.name for arm in results.study.arms):
        values = data.sel({schema.ARM: arm})
        columns = {f"{float(q):.0%}".replace("%", " %"): values.sel(quantile=q).values for q in data["quantile"].values}
        parts.append(
            pd.DataFrame(
                {"arm": arm, "time [days]": data[schema.TIME].values, **columns, "unit": unit(data.attrs["units"])}
            )
        )
    return pd.concat(parts, ignore_index=True)


def arm_means(results: Results, *endpoints: str) -> pd.DataFrame:
    """True mean of each endpoint under each arm with its 95 % interval."""
    found = []
    for name in endpoints:
        endpoint = results.endpoint(name)
        by = scale(endpoint)
        for arm in results.study.arms:
            row = results.row(f"{name}: mean, truth", arm.name)
            found.append([name, question(results.study, endpoint), arm.name, *scaled(row, by.factor), by.unit])
    return pd.DataFrame(found, columns=["endpoint", "title", "arm", "value", "lower", "upper", "unit"])


class Patient(NamedTuple):
    """One patient under every arm. lives: (arm, time) and (arm, visit); who: covariates and parameters in words."""

    number: int
    lives: xr.Dataset
    who: pd.DataFrame
    outcome: pd.DataFrame


def patient(results: Results, number: int) -> Patient:
    """One candidate's slice of the store, and nothing else of it. Raises ValueError for one that there is not."""
    study, cohort = results.study, results.cohort
    if not 0 <= number < study.size:
        raise ValueError(f"there is no patient {number}; give a number from 0 to {study.size - 1}")
    wanted = [*study.plan.outcomes, *(fold.name for fold in study.plan.folds), schema.STATUS, schema.ELIGIBLE]
    wanted += [outcome + schema.MEASURED for outcome in study.plan.outcomes if outcome + schema.MEASURED in cohort]
    variables = study.population.variables
    one = cohort[[*wanted, *(variable.name for variable in variables)]].isel({schema.PATIENT: [number]}).load()
    lines = []
    for variable in variables:
        value = float(one[variable.name].values[0])
        written = variable.levels[int(value)] if variable.levels else f"{value:.4g}"
        lines.append([variable.kind, variable.name, variable.title or variable.name, written, unit(variable.unit)])
    who = pd.DataFrame(lines, columns=["kind", "name", "title", "value", "unit"])
    endpoints = named(study)
    found = []
    for endpoint in study.endpoints:
        by = scale(endpoint)
        for i, arm in enumerate(study.arms):
            value = analysed.true(endpoint, one, endpoints)[i, 0] * by.factor
            status = REASONS[Status(int(one[schema.STATUS].values[i, 0]))]
            found.append([endpoint.name, question(study, endpoint), arm.name, value, by.unit, status])
    outcome = pd.DataFrame(found, columns=["endpoint", "title", "arm", "value", "unit", "status"])
    return Patient(number, one.isel({schema.PATIENT: 0}), who, outcome)


def life(results: Results, number: int) -> pd.DataFrame:
    """What was recorded and what measured of a patient, a row each time of each outcome under each arm."""
    study, one = results.study, patient(results, number)
    parts = []
    for arm in (arm.name for arm in study.arms):
        lives = one.lives.sel({schema.ARM: arm})
        for outcome in study.plan.outcomes:
            for name, what in ((outcome, "recorded"), (outcome + schema.MEASURED, "measured")):
                if name in lives:
                    values = lives[name]
                    days = lives[str(values.dims[0])].values
                    parts.append(
                        pd.DataFrame(
                            {
                                "arm": arm,
                                "outcome": outcome,
                                "kind": what,
                                "time [days]": days,
                                "value": values.values,
                                "unit": unit(values.attrs["units"]),
                            }
                        )
                    )
    return pd.concat(parts, ignore_index=True)


def examples(results: Results, endpoint: str) -> dict[float, int]:
    """Patients of the pool whose own effect is at a quantile: quantile -> number; none where no effect is known."""
    found = results.group(schema.RESPONSES)["example"].sel(endpoint=endpoint)
    return {float(place): int(found.sel(place=place)) for place in found["place"].values if found.sel(place=place) >= 0}


def ordinary(results: Results, endpoint: str) -> int:
    """The patient of the pool whose own effect is the median one; of several the first."""
    return examples(results, endpoint).get(0.5, 0)
