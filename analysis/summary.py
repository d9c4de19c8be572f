"""The numbers of a run: one list of rows, `summary.json`, and the arrays that pictures are drawn from."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from analysis import truth
from analysis.aggregates import aggregates
from analysis.endpoints import complete, true
from analysis.operating import Figure, characteristics
from analysis.power import power
from analysis.replicates import Replicates, replicates
from analysis.statistics.binary.difference import number_needed_to_treat
from analysis.statistics.binary.proportion import wilson
from analysis.statistics.estimate import Estimate
from analysis.truth import Mean, Subgroup
from analysis.uncertainty import ignorance
from solvers.status import FAILED
from trials import blocks, run, schema, store
from trials.endpoints import Endpoint
from trials.study import Study

SUMMARY = "summary.json"


class Row(NamedTuple):
    """One number. Of `arm` and `contrast` one is given. se: its standard error as a trial or sample reports it;
    mcse: Monte-Carlo standard error over `replicates`. None where a number has no such thing.
    """

    name: str
    arm: str | None
    contrast: str | None
    value: float | None
    lower: float | None = None
    upper: float | None = None
    se: float | None = None
    mcse: float | None = None
    unit: str = "1"
    replicates: int | None = None

    def record(self) -> dict[str, Any]:
        """As it stands in summary.json: what is not finite becomes null, and only one of arm and contrast stays."""
        record: dict[str, Any] = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in self._asdict().items()
        }
        del record["contrast" if self.contrast is None else "arm"]
        return record


def read(folder: Path) -> list[Row]:
    """The rows of a run. Raises ValueError where there are none."""
    path = folder / SUMMARY
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        return [Row(**({"arm": None, "contrast": None} | record)) for record in records]
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is no summary ({error}); make it with: trialtwin run STUDY --out {folder}") from error


def summarise(folder: Path, progress: Callable[[int, int], None] | None = None) -> list[Row]:
    """Conducts and analyses the run in `folder`; writes summary.json, and to its store `trials` and the aggregates.

    What is there already and was made from the same blocks and study stays. Raises ValueError for an unfinished run.
    """
    study, cohort = run.cohort(folder)
    made_from = _fingerprint(folder, study)
    if _up_to_date(folder, made_from):
        return read(folder)
    run.verify(folder, study)
    inside = truth.pool(cohort)
    conducted = replicates(study, cohort, inside, progress)
    rows = _population_rows(study, cohort, inside) + _duration_rows(study, conducted)
    for endpoint in study.endpoints:
        rows += _endpoint_rows(study, cohort, inside, endpoint, conducted.estimates[endpoint.name], folder)
    label = " - ".join(study.contrast)
    known = {row.name: row.value for row in rows if row.contrast == label}
    truths = {each.name: known[f"{each.name}: difference, truth"] or 0.0 for each in study.endpoints}
    curves = power(study, cohort, inside, conducted.estimates, truths)
    text = json.dumps([row.record() for row in rows], indent=1, allow_nan=False) + "\n"
    with store.writer(folder):
        estimated = _trials(study, conducted.estimates).assign_attrs(made_from=made_from)
        derived = {schema.TRIALS: estimated, schema.POWER: curves, **aggregates(study, cohort, inside)}
        store.write_groups(folder, derived)
        store.write_text(folder / SUMMARY, text)
    return read(folder)


def _duration_rows(study: Study, conducted: Replicates) -> list[Row]:
    """How long the trial takes, from its opening to the last subject's last visit."""
    last = conducted.enrolled + float(study.visit_days[-1])
    n = len(last)
    mcse = float(last.std(ddof=1)) / n**0.5
    return [
        Row(
            "days to the last visit, mean of the trials",
            "all",
            None,
            float(last.mean()),
            None,
            None,
            None,
            mcse,
            "day",
            n,
        )
    ]


def _fingerprint(folder: Path, study: Study) -> str:
    sources = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    # An experiment beside the cohort changes none of its numbers.
    stored = [marker.sha256 for marker in store.markers(folder) if marker.group in blocks.groups(study)]
    return hashlib.sha256(json.dumps([study.text, stored]).encode() + b"".join(sources)).hexdigest()


def _up_to_date(folder: Path, made_from: str) -> bool:
    if not (folder / SUMMARY).exists() or not (folder / store.COHORT / schema.TRIALS / "zarr.json").exists():
        return False
    try:
        read(folder)
        for name in schema.DERIVED:
            store.open_group(folder, name)
        return store.open_group(folder, schema.TRIALS).attrs.get("made_from") == made_from
    except ValueError:
        return False  # broken: it is made again


def _trials(study: Study, estimated: dict[str, Estimate]) -> xr.Dataset:
    """Estimates by (endpoint, replicate)."""
    names = [endpoint.name for endpoint in study.endpoints]
    return xr.Dataset(
        {
            field: (("endpoint", schema.REPLICATE), np.stack([getattr(estimated[name], field) for name in names]))
            for field in Estimate._fields
        },
        coords={"endpoint": names, schema.REPLICATE: np.arange(study.trial.replicates)},
    )


def _population_rows(study: Study, cohort: xr.Dataset, inside: np.ndarray) -> list[Row]:
    eligible = cohort[schema.ELIGIBLE].values
    rows = [
        Row("candidates", "all", None, float(study.size), unit="patients"),
        Row("eligible", "all", None, float(eligible.sum()), unit="patients"),
        Row("in the trial's pool", "all", None, float(inside.sum()), unit="patients"),
    ]
    for i, arm in enumerate(study.arms):
        failed = np.isin(cohort[schema.STATUS].values[i], FAILED).sum()
        rows.append(Row("failed lives, left out of the pool", arm.name, None, float(failed), unit="patients"))
    return rows


def _endpoint_rows(
    study: Study, cohort: xr.Dataset, inside: np.ndarray, endpoint: Endpoint, estimated: Estimate, folder: Path
) -> list[Row]:
    arms = [arm.name for arm in study.arms]
    pair = (arms.index(study.contrast[0]), arms.index(study.contrast[1]))
    named = {each.name: each for each in study.endpoints}
    label, name, unit = " - ".join(study.contrast), endpoint.name, endpoint.unit
    values = true(endpoint, cohort, named)
    seen = complete(endpoint, cohort, named)
    rows = []
    for i, arm in enumerate(arms):
        rows.append(_arm_row(f"{name}: mean, truth", truth.mean(values[i][inside]), endpoint, arm))
        rows.append(_arm_row(f"{name}: mean, as observed", truth.mean(seen[i][inside]), endpoint, arm))
    whole = truth.effect(values, pair, inside)
    rows.append(_effect_row(f"{name}: difference, truth", whole, unit, label))
    as_observed = truth.effect(seen, pair, inside)
    rows.append(_effect_row(f"{name}: difference, as observed by complete visits", as_observed, unit, label))
    rows += _trial_rows(study, endpoint, estimated, whole.value, label)
    if endpoint.kind == "responder":
        rows.append(_needed_row(f"{name}: number needed to treat, truth", whole, label))
    for group in truth.subgroups(cohort, study.population.variables, study.subgroups, inside):
        rows += _subgroup_rows(endpoint, group, values, pair, arms, label)
    rows += _spread_rows(endpoint, values, seen, pair, inside, label)
    rows += _ignorance_rows(study, endpoint, pair, whole.value, folder)
    return rows


def _arm_row(name: str, mean: Mean, endpoint: Endpoint, arm: str) -> Row:
    """A mean of one arm; the interval of a share of patients is Wilson's."""
    lower, upper = mean.lower, mean.upper
    if endpoint.kind in ("responder", "ever") and mean.patients:
        lower, upper = (float(end) for end in wilson(mean.value, mean.patients))
    return Row(name, arm, None, mean.value, lower, upper, mean.se, None, endpoint.unit)


def _effect_row(name: str, mean: Mean, unit: str, contrast: str) -> Row:
    return Row(name, None, contrast, mean.value, mean.lower, mean.upper, mean.se, None, unit)


def _needed_row(name: str, difference: Mean, label: str) -> Row:
    value, lower, upper = number_needed_to_treat(difference.value, difference.lower, difference.upper)
    return Row(name, None, label, value, lower, upper, None, None, "patients")


def _trial_rows(study: Study, endpoint: Endpoint, estimated: Estimate, target: float, label: str) -> list[Row]:
    figures = characteristics(estimated, target, study.analysis.alpha)
    n, name, unit = figures.replicates, endpoint.name, endpoint.unit
    sound = np.isfinite(estimated.value) & np.isfinite(estimated.se)
    lower, upper = (float(np.mean(limit[sound])) for limit in (estimated.lower, estimated.upper))

    def figure(what: str, of: Figure, unit: str = unit) -> Row:
        return Row(f"{name}: {what}", None, label, of.value, None, None, None, of.mcse, unit, n)

    mean = figures.mean
    rows = [
        Row(
            f"{name}: difference, mean of the trials",
            None,
            label,
            mean.value,
            lower,
            upper,
            figures.model_se.value,
            mean.mcse,
            unit,
            n,
        ),
        figure("power", figures.power, "1"),
        figure("bias against the truth", figures.bias),
        figure("coverage", figures.coverage, "1"),
        figure("standard deviation of the trials' differences", figures.empirical_se),
    ]
    if endpoint.kind == "responder":
        value, low, high = number_needed_to_treat(mean.value, lower, upper)
        mcse = mean.mcse / mean.value**2 if mean.value else None  # delta method
        what = f"{name}: number needed to treat, mean of the trials"
        rows.append(Row(what, None, label, value, low, high, None, mcse, "patients", n))
    return rows


def _subgroup_rows(
    endpoint: Endpoint, group: Subgroup, values: np.ndarray, pair: tuple[int, int], arms: list[str], label: str
) -> list[Row]:
    where = f"{endpoint.name}: %s in {group.covariate} {group.label}"
    rows = [_arm_row(where % "mean", truth.mean(values[i][group.inside]), endpoint, arm) for i, arm in enumerate(arms)]
    difference = truth.effect(values, pair, group.inside)
    rows.append(_effect_row(where % "difference", difference, endpoint.unit, label))
    if endpoint.kind == "responder":
        rows.append(_needed_row(where % "number needed to treat", difference, label))
    share = float(group.inside.sum())
    return [*rows, Row(where % "patients", None, label, share, unit="patients")]


def _spread_rows(
    endpoint: Endpoint, values: np.ndarray, seen: np.ndarray, pair: tuple[int, int], inside: np.ndarray, label: str
) -> list[Row]:
    """Spread between patients, and by measurement and visits, apart from each other."""
    individual = (values[pair[0]] - values[pair[1]])[inside]
    error = ((seen[pair[0]] - seen[pair[1]]) - (values[pair[0]] - values[pair[1]]))[inside]
    rows = []
    for what, each in (("between patients", individual), ("by measurement and visits, per patient", error)):
        known = each[~np.isnan(each)]
        sd = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
        se = sd / (2 * max(len(known) - 1, 1)) ** 0.5
        rows.append(
            Row(
                f"{endpoint.name}: spread of the effect {what} (SD)",
                None,
                label,
                sd,
                None,
                None,
                se,
                None,
                endpoint.unit,
            )
        )
    return rows


def _ignorance_rows(study: Study, endpoint: Endpoint, pair: tuple[int, int], target: float, folder: Path) -> list[Row]:
    """Spread over the population's own uncertainty, apart from the rest."""
    uncertainty = study.recipe.uncertainty
    if uncertainty.draws < 2:
        return []
    _, uncertain = run.cohort(folder, schema.UNCERTAINTY)
    values = true(endpoint, uncertain, {each.name: each for each in study.endpoints})
    effects = np.where(truth.pool(uncertain), values[pair[0]] - values[pair[1]], np.nan)
    try:
        spread = ignorance(effects.reshape(uncertainty.draws, uncertainty.patients), target)
    except ValueError:
        return []  # no patient is eligible in every draw
    name, unit, label = endpoint.name, endpoint.unit, " - ".join(study.contrast)
    spreads = f"{name}: spread of the truth over the population's own uncertainty (SD)"
    within = f"{name}: difference, over the population's own uncertainty"
    sd, mcse = spread.sd
    return [
        Row(spreads, None, label, sd, spread.least, spread.most, None, mcse, unit, spread.draws),
        Row(within, None, label, target, spread.lower, spread.upper, sd, None, unit, spread.draws),
    ]
