"""Checks of a run, computed when they are asked for: each with its error, the most that it may be, and a verdict."""

import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from dashboards.results import POOL, Results
from dashboards.written import decimals, number, scale, unit
from populations.attained import attained
from solvers.engine import TOLERANCE, Engine
from solvers.policy import Policy
from solvers.solve import Plan, solver
from solvers.status import FAILED, Status
from solvers.twin import Twin
from trials import schema, store

PATIENTS = 8  # lives that are solved again
PIECES = 400  # of a tick, each integrated by itself
HOURS = 7 * 24.0
LIVES = 10_000  # patients whose values are read again
CHUNKS = 8  # whose checksums are computed again
SHARE = 0.1  # of the trial's own spread: a bias that changes no conclusion
STRAY = 4.0  # standard errors


class Check(NamedTuple):
    """What was checked, its error and the most that it may be, in words; passed: None where it does not apply."""

    title: str
    how: str
    error: str
    limit: str
    passed: bool | None

    @property
    def verdict(self) -> str:
        return "does not apply" if self.passed is None else "passed" if self.passed else "NOT PASSED"


def checks(results: Results) -> list[Check]:
    """All checks of a run, some seconds long."""
    cohort = results.cohort
    return [
        *solved_again(results, cohort),
        lives_are_sound(results, cohort),
        stored_as_written(results.folder),
        population_as_its_source(results),
        *(check for endpoint in results.study.endpoints for check in estimator(results, endpoint.name)),
    ]


def finer(twin: Twin, pieces: int = PIECES) -> Twin:
    """The twin that takes every tick in `pieces`.

    An amount is given at the start of the tick; a rate or a setting holds throughout.
    """
    holds = {
        action.name: action.unit == "1" or bool(re.search(r"/\s*(s|min|h|day)$", action.unit))
        for action in twin.actions
    }

    def advance(state: Any, p: Any, action: Any, time: Any, tick: float) -> Any:
        piece = tick / pieces
        rest = action._replace(**{name: getattr(action, name) * 0.0 for name, kept in holds.items() if not kept})
        state = twin.advance(state, p, action, time, piece)
        return jax.lax.fori_loop(1, pieces, lambda i, y: twin.advance(y, p, rest, time + i * piece, piece), state)

    return twin._replace(advance=advance)


def solved_again(results: Results, cohort: xr.Dataset) -> list[Check]:
    """Stored lives against the same lives solved anew, far more exactly, over their first week."""
    study = results.study
    inside = np.flatnonzero((cohort[schema.STATUS].values == Status.OK).all(0))[:PATIENTS]
    title, how = "Lives solved again by another solver", "diffrax's Dopri8 at 1e-9 in place of the study's steps"
    if study.twin.ode is None:
        title, how = "Lives solved again with finer steps", f"{PIECES} pieces of each tick in place of one"
    if not len(inside):
        return [Check(title, how, "no life to solve", "", False)]
    patients = cohort.isel({schema.PATIENT: inside})
    values = {variable.name: patients[variable.name].values for variable in study.population.variables}
    plan = shorter(study.plan, HOURS)
    outputs = [output for output in study.twin.outputs if output.name in plan.outcomes]
    largest = dict.fromkeys([output.name for output in outputs], (0.0, 0.0))
    for i, arm in enumerate(study.arms):
        if arm.name not in study.contrast:
            continue
        other = study.twin if study.twin.ode else finer(study.twin)
        again = _solve(other, arm.policy, plan, study.seed, inside, values)
        for output in outputs:
            stored = patients[output.name].values[i, :, : len(plan.records)]
            deviation = float(np.abs(again[output.name] - stored).max(initial=0.0))
            before, extent = largest[output.name]
            largest[output.name] = max(before, deviation), max(extent, float(np.abs(stored).max(initial=0.0)))
    found = []
    for output in outputs:
        deviation, extent = largest[output.name]
        limit = 1e-4 * extent
        found.append(
            Check(
                f"{title}: {output.title or output.name}",
                f"{len(inside)} patients, both arms, {plan.ticks * plan.tick / 24:g} days, {how}; largest deviation "
                f"from the stored life",
                f"{deviation:.1e} {unit(output.unit)}".strip(),
                f"{limit:.1e} {unit(output.unit)}".strip(),
                bool(deviation <= limit),
            )
        )
    return found


def _solve(
    twin: Twin, policy: Policy, plan: Plan, seed: int, patients: np.ndarray, values: dict
) -> dict[str, np.ndarray]:
    return solver(twin, policy, plan, seed, Engine("own", TOLERANCE), len(patients))(patients, values).recorded


def shorter(plan: Plan, hours: float) -> Plan:
    """The plan's beginning, without what is gathered at every tick."""
    ticks = min(plan.ticks, max(1, math.floor(hours / plan.tick + 1e-9)))
    records, visits = (
        tuple(number for number in numbers if number <= ticks) for numbers in (plan.records, plan.visits)
    )
    return plan._replace(ticks=ticks, records=records, visits=visits, folds=())


def lives_are_sound(results: Results, cohort: xr.Dataset) -> Check:
    """Lives called sound, looked at again: every recorded value finite and within the bounds of its output."""
    study = results.study
    status = cohort[schema.STATUS].values
    bounds = {output.name: output.bounds for output in study.twin.outputs}
    first = slice(0, LIVES)
    sound = status[:, first] == Status.OK
    wrong = np.zeros(sound.shape, bool)
    for outcome in study.plan.outcomes:
        values = cohort[outcome][:, first].values
        low, high = bounds.get(outcome, (0.0, math.inf))
        wrong |= ~(np.isfinite(values) & (values >= low) & (values <= high)).all(-1)
    wrong &= sound
    failed = int(np.isin(status, FAILED).sum())
    return Check(
        "Lives finite and within their bounds",
        f"{int(sound.sum()):,} lives of status ok read again; {failed:,} failed lives are counted beside them",
        f"{int(wrong.sum()):,} lives",
        "0 lives",
        not wrong.any(),
    )


def stored_as_written(folder: Path) -> Check:
    """Checksums of stored blocks computed again and held against their markers."""
    markers = store.markers(folder)
    sample = (
        [markers[i] for i in np.unique(np.linspace(0, len(markers) - 1, CHUNKS).round().astype(int))] if markers else []
    )
    shelves = {name: store.shelf(folder, name) for name in {marker.group for marker in sample}}
    wrong = sum(not store.sound(shelves[marker.group], marker) for marker in sample)
    return Check(
        "Blocks as they were written",
        f"SHA-256 of {len(sample)} of {len(markers)} blocks computed again; the markers of all are there",
        f"{wrong} blocks",
        "0 blocks",
        bool(sample) and not wrong,
    )


def population_as_its_source(results: Results) -> Check:
    """Means that the candidates attain against those of the data that the reference was made from."""
    study = results.study
    size = min(study.size, 10_000)
    title, how = "Population against its source", f"means of the first {size:,} candidates"
    try:
        rows = attained(study.population, size)
    except ValueError as error:
        return Check(title, str(error), "–", "–", None)
    spreads = {row.name: row.target for row in rows if row.statistic == "sd"}
    means = [row for row in rows if row.statistic == "mean" and spreads.get(row.name)]
    worst = max(means, key=lambda row: abs(row.difference) / spreads[row.name])
    off = abs(worst.difference) / spreads[worst.name]
    # What chance may do to a mean of so many, and a hundredth for ages counted in whole years.
    limit = 0.01 + STRAY / math.sqrt(size)
    return Check(
        title,
        f"{how} of {len(means)} covariates; worst is {worst.name}, "
        f"{number(worst.attained, 2)} for {number(worst.target, 2)} {unit(worst.unit)}".rstrip(),
        f"{off:.3f} SD",
        f"{limit:.3f} SD",
        bool(off <= limit),
    )


def estimator(results: Results, name: str) -> list[Check]:
    """Bias and coverage of the trial's estimates of an endpoint, against the truth of everyone in the pool."""
    study = results.study
    endpoint = next(each for each in study.endpoints if each.name == name)
    by = scale(endpoint)
    bias, coverage, spread = (
        results.row(f"{name}: {what}", results.contrast)
        for what in ("bias against the truth", "coverage", "standard deviation of the trials' differences")
    )
    alpha = study.analysis.alpha
    nominal = 1.0 - (alpha if study.analysis.sided == "2" else 2.0 * alpha)
    n = coverage.replicates or 1
    off = abs((coverage.value or 0.0) - nominal)
    allowed = 0.01 + 3.0 * math.sqrt(nominal * (1.0 - nominal) / n)
    value, error, sd = (by.factor * (each or 0.0) for each in (bias.value, bias.mcse, spread.value))
    limit = max(3.0 * error, SHARE * sd)
    places = decimals(error)
    trials = f"{n:,} trials on the {results.count(POOL):,} patients of the pool"
    return [
        Check(
            f"Estimate of {name}: bias against the truth",
            f"{trials}; limit: three Monte-Carlo standard errors ({number(error, places)}), or a tenth of a trial's SD",
            f"{number(value, places)} {by.difference}",
            f"{number(limit, places)} {by.difference}",
            abs(value) <= limit,
        ),
        Check(
            f"Estimate of {name}: coverage",
            f"{trials}; {100 * nominal:g} % intervals hold the truth in {100 * (coverage.value or 0.0):.1f} %",
            f"{100 * off:.1f} percentage points",
            f"{100 * allowed:.1f} percentage points",
            off <= allowed,
        ),
    ]
