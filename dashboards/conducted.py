"""Tables of what the trial's replicates found, as figures and downloads show them; shares in per cent."""

from typing import Any

import numpy as np
import pandas as pd

from analysis.summary import Row
from analysis.truth import NORMAL_95
from dashboards.results import POOL, Results, question, scaled
from dashboards.written import decimals, number, scale, unit, with_error
from trials import schema

SOURCES = (
    ("spread of the effect between patients (SD)", "patients: one patient's effect against another's"),
    (
        "spread of the effect by measurement and visits, per patient (SD)",
        "measurement: one patient's effect as visits see it",
    ),
    ("standard deviation of the trials' differences", "trial: the estimate of one trial against another's"),
    (
        "spread of the truth over the population's own uncertainty (SD)",
        "ignorance: the true mean, were the population another",
    ),
)

CHARACTERISTICS = [
    "endpoint",
    "truth",
    "mean estimate",
    "bias",
    "SD of estimates",
    "mean reported SE",
    "power [%]",
    "coverage [%]",
    "trials",
]


def estimates(results: Results, endpoint: str, first: int | None = None) -> pd.DataFrame:
    """Estimate and interval of each trial that could be estimated, and whether the interval holds the truth.

    first: only so many of them.
    """
    by = scale(results.endpoint(endpoint))
    target = results.row(f"{endpoint}: difference, truth", results.contrast).value
    data = results.trials.sel(endpoint=endpoint)
    table = pd.DataFrame({name: data[name].values for name in ("value", "lower", "upper", "p", "subjects")})
    table.insert(0, "trial", data[schema.REPLICATE].values + 1)
    table["holds the truth"] = (table["lower"] <= target) & (table["upper"] >= target)
    table[["value", "lower", "upper"]] *= by.factor
    table["unit"] = by.difference
    return table[np.isfinite(table["value"]) & np.isfinite(table["lower"])].reset_index(drop=True)[:first]


def subgroups(results: Results, endpoint: str) -> pd.DataFrame:
    """True difference in everyone and in each subgroup, with its 95 % interval, patients, and mean under each arm."""
    study, by, contrast = results.study, scale(results.endpoint(endpoint)), results.contrast
    units = {variable.name: variable.unit for variable in study.population.variables}
    arms = [arm.name for arm in study.arms]

    def line(covariate: str, label: str, difference: Row, mean: str, patients: float | None) -> list[Any]:
        means = [(results.row(mean, arm).value or 0.0) * by.factor for arm in arms]
        return [covariate, label, int(patients or 0), *means, *scaled(difference, by.factor), by.difference]

    whole = results.row(f"{endpoint}: difference, truth", contrast)
    lines = [line("", "everyone", whole, f"{endpoint}: mean, truth", results.count(POOL))]
    opening = f"{endpoint}: difference in "
    for (name, who), row in results.rows.items():
        if not name.startswith(opening) or who != contrast:
            continue
        where = name.removeprefix(opening)
        # The longest name wins: one covariate's may begin another's.
        covariate = max((each for each, _ in study.subgroups if where.startswith(f"{each} ")), key=len, default="")
        label = where.removeprefix(covariate).strip()
        written = units.get(covariate, "1")
        if written != "1" and label.endswith(f" {written}"):
            label = f"{label.removesuffix(written)}{unit(written)}"
        patients = results.row(f"{endpoint}: patients in {where}", contrast).value
        lines.append(line(covariate, label, row, f"{endpoint}: mean in {where}", patients))
    columns = [
        "covariate",
        "subgroup",
        "patients",
        *(f"mean, {arm}" for arm in arms),
        "value",
        "lower",
        "upper",
        "unit",
    ]
    return pd.DataFrame(lines, columns=columns)


def spread(results: Results, endpoint: str) -> pd.DataFrame:
    """Standard deviations of the contrast by where they come from, with their standard errors."""
    by = scale(results.endpoint(endpoint))
    lines = []
    for name, source in SOURCES:
        row = results.rows.get((f"{endpoint}: {name}", results.contrast))
        if row is not None and row.value is not None:
            error = row.se if row.se is not None else row.mcse
            lines.append([source, row.value * by.factor, (error or 0.0) * by.factor, by.difference])
    return pd.DataFrame(lines, columns=["source", "sd", "se", "unit"])


def power_by_size(results: Results, endpoint: str) -> pd.DataFrame:
    """Share of trials that show a difference, by their number of subjects, with its 95 % Monte-Carlo interval."""
    curves = results.group(schema.POWER)
    one = curves.sel(endpoint=endpoint)
    subjects = curves["subjects"].values
    table = _power(one["by_size"].values, one["by_size_mcse"].values)
    table.insert(0, "subjects", subjects)
    table["trials"] = curves["replicates"].values
    table["study"] = subjects == results.study.trial.subjects
    return table


def power_by_effect(results: Results, endpoint: str) -> pd.DataFrame:
    """Share of trials that would show a difference, by how large it truly is, with its 95 % Monte-Carlo interval."""
    one, by = results.group(schema.POWER).sel(endpoint=endpoint), scale(results.endpoint(endpoint))
    table = _power(one["by_effect"].values, one["by_effect_mcse"].values)
    table.insert(0, "effect", one["effect"].values * by.factor)
    table["unit"] = by.difference
    return table


def _power(share: np.ndarray, mcse: np.ndarray) -> pd.DataFrame:
    lower, upper = (np.clip(share + sign * NORMAL_95 * mcse, 0.0, 1.0) for sign in (-1, 1))
    return pd.DataFrame({"power [%]": 100 * share, "lower": 100 * lower, "upper": 100 * upper})


def size_for(results: Results, endpoint: str, power: float) -> float | None:
    """Subjects with which a trial reaches a power [%], between the sizes that were tried.

    The smallest of them where that one does; None where none does.
    """
    table = power_by_size(results, endpoint)
    reached = table.index[table["power [%]"] >= power]
    if not len(reached):
        return None
    if reached[0] == 0:
        return float(table["subjects"].iloc[0])
    around = table.loc[[reached[0] - 1, reached[0]]]
    return float(np.interp(power, around["power [%]"], around["subjects"]))


def characteristics(results: Results) -> pd.DataFrame:
    """Operating characteristics of the trial, a row an endpoint, as text with Monte-Carlo standard errors."""
    study, label, rows = results.study, results.contrast, []
    for endpoint in study.endpoints:
        by = scale(endpoint)

        def shown(what: str, factor: float, name: str = endpoint.name) -> str:
            row = results.row(f"{name}: {what}", label)
            return with_error(*(None if each is None else each * factor for each in (row.value, row.mcse)))

        truth = results.row(f"{endpoint.name}: difference, truth", label)
        mean = results.row(f"{endpoint.name}: difference, mean of the trials", label)
        places = decimals((mean.mcse or 0) * by.factor)
        rows.append(
            [
                f"{endpoint.name}: {question(study, endpoint)} [{by.difference}]",
                number((truth.value or 0) * by.factor, places),
                shown("difference, mean of the trials", by.factor),
                shown("bias against the truth", by.factor),
                shown("standard deviation of the trials' differences", by.factor),
                number((mean.se or 0) * by.factor, places),
                shown("power", 100),
                shown("coverage", 100),
                number(float(mean.replicates or 0)),
            ]
        )
    return pd.DataFrame(rows, columns=CHARACTERISTICS)
