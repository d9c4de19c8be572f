"""What a finished run holds: its study, the rows of its summary, and the arrays that pictures are drawn from."""

import dataclasses
import functools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from analysis import summary
from analysis.summary import Row
from dashboards.written import unit
from trials import document, run, schema, store
from trials import study as studies
from trials.endpoints import Endpoint
from trials.study import Study

POOL = "in the trial's pool"


@dataclasses.dataclass(frozen=True)
class Results:
    """A run. cohort: its lives, opened lazily; rows: by name and by arm or contrast."""

    folder: Path
    study: Study
    cohort: xr.Dataset
    rows: Mapping[tuple[str, str], Row]
    made_by: Mapping[str, Any]

    @property
    def contrast(self) -> str:
        return " - ".join(self.study.contrast)

    @property
    def bands(self) -> xr.Dataset:
        """Quantiles of outcomes over patients, (arm, quantile, time)."""
        return self.group(schema.BANDS)

    @property
    def trials(self) -> xr.Dataset:
        """The trials' estimates, (endpoint, replicate)."""
        return self.group(schema.TRIALS)

    def group(self, name: str) -> xr.Dataset:
        """A group of the store that an analysis has made, loaded once. Raises ValueError where it is not there."""
        if name not in self._groups:
            if not self.has(name):
                raise ValueError(f"{self.folder} has no '{name}'; analyse it again with: {again(self.folder)}")
            self._groups[name] = store.open_group(self.folder, name).load()
        return self._groups[name]

    def has(self, name: str) -> bool:
        """Whether an analysis has made a group of the store."""
        return (self.folder / store.COHORT / name / "zarr.json").exists()

    @functools.cached_property
    def _groups(self) -> dict[str, xr.Dataset]:
        return {}

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint of a name. Raises ValueError where the study has none such."""
        known = named(self.study)
        if name not in known:
            raise ValueError(f"endpoint '{name}' is not of {self.study.name}; write one of: {', '.join(known)}")
        return known[name]

    def row(self, name: str, who: str) -> Row:
        """The row of an arm or contrast. Raises ValueError where the summary lacks it."""
        if (name, who) not in self.rows:
            raise ValueError(f"{self.folder} has no '{name}' of {who}; analyse it again with: {again(self.folder)}")
        return self.rows[name, who]

    def count(self, name: str) -> int:
        return int(self.row(name, "all").value or 0)

    @property
    def made_from(self) -> str:
        """What the analysis was made from: another fingerprint, other numbers; empty where there is none."""
        return "" if not self.rows else str(self.trials.attrs.get("made_from", ""))

    @property
    def source(self) -> str:
        """The line below a figure: study, how many, version."""
        trial = self.study.trial
        return (
            f"{self.study.name}: {self.count(POOL):,} virtual patients, {trial.replicates:,} trials of "
            f"{trial.subjects:,} subjects; trialtwin {self.made_by.get('trialtwin', '')}"
        )


def again(folder: Path) -> str:
    """The command that finishes a run."""
    return f"trialtwin run {folder / store.STUDY} --out {folder}"


def read(folder: Path) -> Results:
    """The results of a run. Raises ValueError where it is none, unfinished or not analysed."""
    study, cohort = run.cohort(folder)
    rows = {(row.name, row.arm or row.contrast or ""): row for row in summary.read(folder)}
    made_by = json.loads(str(store.open_group(folder, "").attrs["engine"]))
    results = Results(folder, study, cohort, rows, made_by)
    if not all(results.has(name) for name in (*schema.AGGREGATES, schema.TRIALS)):
        raise ValueError(f"{folder} is not analysed; finish it with: {again(folder)}")
    missing = {endpoint.name for endpoint in study.endpoints} - set(results.trials["endpoint"].values.tolist())
    if missing or set(study.plan.outcomes) - set(results.bands.data_vars):
        raise ValueError(f"{folder} was analysed before its study was changed; do it again with: {again(folder)}")
    return results


def planned(folder: Path) -> Results:
    """The study of a folder, as results without lives or rows: what needs no more can be drawn before a run ends."""
    path = folder / store.STUDY
    if not path.exists():
        raise ValueError(f"{folder} holds no run; make one with: trialtwin run STUDY --out {folder}")
    return Results(folder, studies.study(document.read(path), folder), xr.Dataset(), {}, {})


def named(study: Study) -> dict[str, Endpoint]:
    return {endpoint.name: endpoint for endpoint in study.endpoints}


TOLD = {"gmi": "glucose management indicator of ", "lbgi": "risk of lows by ", "hbgi": "risk of highs by "}
OF_ALL = {
    "mean": "mean",
    "area": "area under the curve",
    "highest": "highest value",
    "lowest": "lowest value",
    "variation": "coefficient of variation",
}


def question(study: Study, endpoint: Endpoint) -> str:
    """What an endpoint measures, in words."""
    outcome, low, high = range_of(study, endpoint)
    output = next(output for output in study.twin.outputs if output.name == outcome)
    title, of, days = output.title or outcome, unit(output.unit), f"{endpoint.until / 24:g} days"
    if endpoint.kind in OF_ALL:
        return f"{TOLD.get(endpoint.transform, '')}{title}, {OF_ALL[endpoint.kind]} of {days}"
    if endpoint.kind == "episodes":
        long = f"{60 * endpoint.lasting:g} min" if endpoint.lasting < 1.0 else f"{endpoint.lasting:g} hours"
        return f"episodes with {title} below {endpoint.below:g} {of} for {long} or longer, in {days}"
    within = f"{title} in {low:g} to {high:g} {of}".strip()
    if endpoint.kind == "first":
        return f"days to the first visit with {within}, within {days}"
    if endpoint.kind == "ever":
        return f"{title} of {low:g} {of}".strip() + f" or more at any time in {days}"
    if endpoint.kind == "responder":
        return f"{within} for at least {100 * endpoint.at_least:g} % of {days}"
    return f"share of {days} with {within}"


def range_of(study: Study, endpoint: Endpoint) -> tuple[str, float, float]:
    """Outcome and the range of it that an endpoint asks about; an open end is infinite, NaN where it asks for none."""
    if endpoint.kind == "responder":
        endpoint = named(study)[endpoint.outcome]
    if endpoint.kind == "ever":
        return endpoint.outcome, endpoint.at_least, float("inf")
    if endpoint.kind == "episodes":
        return endpoint.outcome, float("-inf"), endpoint.below
    return endpoint.outcome, *endpoint.between


def asks_range(study: Study, endpoint: Endpoint, outcome: str) -> bool:
    """Whether an endpoint asks about a range of an outcome."""
    of, low, _ = range_of(study, endpoint)
    return of == outcome and not math.isnan(low)


def scaled(row: Row, factor: float) -> list[float]:
    """Value, lower and upper of a row, as its endpoint is shown; NaN for what it lacks."""
    return [float("nan") if each is None else each * factor for each in (row.value, row.lower, row.upper)]


def asked(arguments: Sequence[str], environment: Mapping[str, str]) -> Path | None:
    """The run to show: the last argument, else TRIALTWIN_RUN, else None."""
    named = arguments[-1] if arguments else environment.get("TRIALTWIN_RUN", "")
    return Path(named) if named else None
