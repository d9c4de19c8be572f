"""What a finished run holds, as tables for figures, reports and downloads; shares in per cent."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from analysis import endpoints as analysed
from analysis import summary, truth
from analysis.summary import Row
from dashboards.written import scale, unit
from solvers.status import REASONS, Status
from trials import run, schema, store
from trials.endpoints import Endpoint
from trials.study import Study

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


class Results(NamedTuple):
    """A run: its rows, the aggregates `bands` (arm, quantile, time) and `trials` (endpoint, replicate), the cohort "
    "lazily."""

    folder: Path
    study: Study
    cohort: xr.Dataset
    rows: Mapping[tuple[str, str], Row]
    bands: xr.Dataset
    trials: xr.Dataset
    made_by: Mapping[str, Any]

    @property
    def contrast(self) -> str:
        return " - ".join(self.study.contrast)

    def row(self, name: str, who: str) -> Row:
        """The row of an arm or contrast. Raises ValueError where the summary lacks it."""
        if (name, who) not in self.rows:
            raise ValueError(f"{self.folder} has no '{name}' of {who}; analyse it again with: {again(self.folder)}")
        return self.rows[name, who]

    def count(self, name: str) -> int:
        return int(self.row(name, "all").value or 0)

    @property
    def source(self) -> str:
        """The line below a figure: study, how many, version."""
        trial = self.study.trial
        return (
            f"{self.study.name}: {self.count(POOL):,} virtual patients, {trial.replicates:,} trials of "
            f"{trial.subjects:,} subjects; trialtwin {self.made_by.get('trialtwin', '')}"
        )


POOL = "in the trial's pool"


def again(folder: Path) -> str:
    """The command that finishes a run."""
    return f"trialtwin run {folder / store.STUDY} --out {folder}"


def read(folder: Path) -> Results:
    """The results of a run, aggregates loaded. Raises ValueError where it is none, unfinished or not analysed."""
    study, cohort = run.cohort(folder)
    rows = {(row.name, row.arm or row.contrast or ""): row for row in summary.read(folder)}
    path = folder / store.COHORT
    for name in (schema.BANDS, schema.TRIALS):
        if not (path / name / "zarr.json").exists():
            raise ValueError(f"{folder} is not analysed; finish it with: {again(folder)}")
    bands, trials = (store.open_group(folder, name).load() for name in (schema.BANDS, schema.TRIALS))
    made_by = json.loads(str(store.open_group(folder, "").attrs["engine"]))
    missing = {endpoint.name for endpoint in study.endpoints} - set(trials["endpoint"].values.tolist())
    if missing or set(study.plan.outcomes) - set(bands.data_vars):
        raise ValueError(f"{folder} was analysed before its study was changed; do it again with: {again(folder)}")
    return Results(folder, study, cohort, rows, bands, trials, made_by)


def named(study: Study) -> dict[str, Endpoint]:
    return {endpoint.name: endpoint for endpoint in study.endpoints}


def question(study: Study, endpoint: Endpoint) -> str:
    """What an endpoint measures, in words."""
    outcome, low, high = range_of(study, endpoint)
    output = next(output for output in study.twin.outputs if output.name == outcome)
    title, of, days = output.title or outcome, unit(output.unit), f"{endpoint.until / 24:g} days"
    within = f"{title} in {low:g} to {high:g} {of}".strip()
    if endpoint.kind == "first":
        return f"days to the first visit with {within}, within {days}"
    if endpoint.kind == "ever":
        return f"{title} of {low:g} {of}".strip() + f" or more at any time in {days}"
    if endpoint.kind == "responder":
        return f"{within} for at least {100 * endpoint.at_least:g} % of {days}"
    return f"share of {days} with {within}"


def range_of(study: Study, endpoint: Endpoint) -> tuple[str, float, float]:
    """Outcome and the range of it that an endpoint asks about; an open end is infinite."""
    if endpoint.kind == "responder":
        endpoint = named(study)[endpoint.outcome]
    if endpoint.kind == "ever":
        return endpoint.outcome, endpoint.at_least, float("inf")
    return endpoint.outcome, *endpoint.between


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


def arm_means(results: Results, endpoints: Iterable[Endpoint]) -> pd.DataFrame:
    """True mean of each endpoint under each arm with its 95 % interval."""
    found = []
    for endpoint in endpoints:
        by = scale(endpoint)
        for arm in results.study.arms:
            row = results.row(f"{endpoint.name}: mean, truth", arm.name)
            found.append(
                [endpoint.name, question(results.study, endpoint), arm.name, *_scaled(row, by.factor), by.unit]
            )
    return pd.DataFrame(found, columns=["endpoint", "title", "arm", "value", "lower", "upper", "unit"])


def estimates(results: Results, endpoint: Endpoint) -> pd.DataFrame:
    """Estimate and interval of each trial that could be estimated, and whether the interval holds the truth."""
    by = scale(endpoint)
    target = results.row(f"{endpoint.name}: difference, truth", results.contrast).value
    data = results.trials.sel(endpoint=endpoint.name)
    table = pd.DataFrame({name: data[name].values for name in ("value", "lower", "upper", "p", "subjects")})
    table.insert(0, "trial", data[schema.REPLICATE].values + 1)
    table["holds the truth"] = (table["lower"] <= target) & (table["upper"] >= target)
    table[["value", "lower", "upper"]] *= by.factor
    table["unit"] = by.difference
    return table[np.isfinite(table["value"]) & np.isfinite(table["lower"])].reset_index(drop=True)


def subgroups(results: Results, endpoint: Endpoint) -> pd.DataFrame:
    """True difference in everyone and in each subgroup, with its 95 % interval, patients, and mean under each arm."""
    study, by, contrast = results.study, scale(endpoint), results.contrast
    units = {variable.name: variable.unit for variable in study.population.variables}
    arms = [arm.name for arm in study.arms]

    def line(covariate: str, label: str, difference: Row, mean: str, patients: float | None) -> list[Any]:
        means = [(results.row(mean, arm).value or 0.0) * by.factor for arm in arms]
        return [covariate, label, int(patients or 0), *means, *_scaled(difference, by.factor), by.difference]

    whole = results.row(f"{endpoint.name}: difference, truth", contrast)
    lines = [line("", "everyone", whole, f"{endpoint.name}: mean, truth", results.count(POOL))]
    opening = f"{endpoint.name}: difference in "
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
        patients = results.row(f"{endpoint.name}: patients in {where}", contrast).value
        lines.append(line(covariate, label, row, f"{endpoint.name}: mean in {where}", patients))
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


def spread(results: Results, endpoint: Endpoint) -> pd.DataFrame:
    """Standard deviations of the contrast by where they come from, with their standard errors."""
    by = scale(endpoint)
    lines = []
    for name, source in SOURCES:
        row = results.rows.get((f"{endpoint.name}: {name}", results.contrast))
        if row is not None and row.value is not None:
            error = row.se if row.se is not None else row.mcse
            lines.append([source, row.value * by.factor, (error or 0.0) * by.factor, by.difference])
    return pd.DataFrame(lines, columns=["source", "sd", "se", "unit"])


def _scaled(row: Row, factor: float) -> list[float]:
    return [float("nan") if each is None else each * factor for each in (row.value, row.lower, row.upper)]


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


def life(study: Study, one: Patient) -> pd.DataFrame:
    """What was recorded and what measured of a patient, a row each time of each outcome under each arm."""
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


def pool(results: Results) -> np.ndarray:
    """Numbers of those who may enter the trial, (patient,)."""
    return np.flatnonzero(truth.pool(results.cohort))


def ordinary(results: Results, endpoint: Endpoint) -> int:
    """The patient of the pool whose own effect is the median one; of several the first."""
    study, cohort, inside = results.study, results.cohort, pool(results)
    arms = [arm.name for arm in study.arms]
    values = analysed.true(endpoint, cohort, named(study))
    effect = (values[arms.index(study.contrast[0])] - values[arms.index(study.contrast[1])])[inside]
    return int(inside[np.nanargmin(np.abs(effect - np.nanmedian(effect)))])


def asked(arguments: Sequence[str], environment: Mapping[str, str]) -> Path | None:
    """The run to show: the last argument, else TRIALTWIN_RUN, else None."""
    named = arguments[-1] if arguments else environment.get("TRIALTWIN_RUN", "")
    return Path(named) if named else None
