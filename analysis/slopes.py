"""Sensitivity by derivatives in forward mode: at the middle patient, and over patients as a bound of total indices."""

import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.special import ndtr, ndtri

from analysis.experiments import identified
from analysis.truth import NORMAL_95
from populations.sampling import MARGIN
from solvers.status import Status
from solvers.twin import Covariate
from trials import schema
from trials.entrants import Entrants, entrants
from trials.experiment import Experiment
from trials.study import Study

STEP = 1e-4  # of a normal score, over which a patient's numbers are differenced

ELASTICITIES = "elasticities"
DERIVATIVES = "derivatives"
SIZES = {ELASTICITIES: 64, DERIVATIVES: 512}  # lives, of the middle patient each with a luck of its own

TOLERANCE = 0.05  # half-width of a 95 % interval

HANDLED = "lives that are not sound under every arm are left out"
JUMPS = "a derivative sees no jump, so what a rule decides by comparing is not in it"


class Slope(NamedTuple):
    """One output's values, (life,), and its derivatives by each number, (life, number)."""

    name: str
    unit: str
    values: np.ndarray
    by: np.ndarray


def ask(study: Study, name: str, size: int) -> Experiment:
    """The experiment of a method: lives of the middle patient, or of `size` eligible ones, with their derivatives.

    The middle patient has the middle of every input among the eligible; inputs without a scale, such as the row of a
    file, are drawn for each life, as luck is. Raises ValueError for fewer than 2 patients, and where no endpoint has a
    derivative.
    """
    if not any(endpoint.smooth for endpoint in study.endpoints):
        raise ValueError("no endpoint of the study has a derivative; use a method without one, such as sobol")
    if size < 2:
        raise ValueError(f"{name} of size {size} tell no error; use 2 or more, such as {SIZES[name]}")
    inputs = entrants(study).inputs
    if name == ELASTICITIES:
        rng = np.random.default_rng([study.seed, 10])
        points = np.full((size, len(inputs)), 0.5)
        for i, entering in enumerate(inputs):
            if entering.law == "chance":
                points[:, i] = rng.random(size)
    else:
        points = np.random.default_rng([study.seed, 8]).random((size, len(inputs)))
        points = np.clip(points, MARGIN, 1.0 - MARGIN)
    numbers = _numbers(study)
    depends = {
        "columns": [one.name for one in inputs],
        "numbers": numbers,
        "seed": study.seed,
        "size": None if name == DERIVATIVES else size,
        "by": importlib.metadata.version("numpy"),
        "source": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
    }
    named, identity = identified("patients", name, depends)
    columns = tuple(one.name for one in inputs)
    return Experiment("patients", named, columns, points, np.arange(size), 1, identity, numbers)


def analyse(study: Study, name: str, experiment: Experiment, lives: xr.Dataset) -> xr.Dataset:
    """Indices by a method of this module from the lives of its experiment, dims (arm, patient, time, number).

    Lives that are not sound under every arm are left out. Raises ValueError where fewer than 2 are left.
    """
    sound = (lives[schema.STATUS].values == Status.OK).all(axis=0)
    if sound.sum() < 2:
        raise ValueError(f"{int(sound.sum())} of {len(sound)} lives are sound under every arm; see trialtwin check")
    made = {ELASTICITIES: elasticities, DERIVATIVES: derivatives}[name]
    kept = experiment._replace(points=experiment.points[sound])
    data = made(study, kept, lives.isel({schema.PATIENT: np.flatnonzero(sound)}))
    rows, used = len(sound), int(sound.sum())
    return data.assign_attrs(
        of="patients", lives=rows * len(study.arms), rows=rows, used=used, dropped=rows - used, handled=HANDLED
    )


def elasticities(study: Study, experiment: Experiment, lives: xr.Dataset) -> xr.Dataset:
    """How outputs of the middle patient move with each parameter and numeric covariate, means over his luck.

        elasticity = (x / Y) dY/dx        per 1 % = 0.01 x dY/dx, in the unit of Y

    Endpoints that are numbers are outputs; those that ask whether, when or how often have no derivative. Over time: per
    1 %, of every outcome.
    """
    numbers = experiment.numbers
    at = np.stack([lives[name].values for name in numbers], axis=1)
    endpoints = _endpoints(study, lives)
    shape = (len(endpoints), 2, len(numbers))
    value, error = np.full(shape, np.nan), np.full(shape, np.nan)
    for i, one in enumerate(endpoints):
        per = at * one.by
        mean = one.values.mean()
        value[i, 1], error[i, 1] = 0.01 * per.mean(0), 0.01 * _error(per)
        if mean != 0.0:
            value[i, 0], error[i, 0] = per.mean(0) / mean, _error(per / mean)
    data = _dataset(endpoints, ("elasticity", "per 1 %"), numbers, value, error)
    over = _over_time(study, lives)
    times = np.stack([0.01 * (at[:, None, :] * one.by).mean(0).T for one in over])[:, None]
    data = data.assign({"time_value": (TRACE, times)}).assign_coords(_traces(study, over, "per 1 %"))
    data = data.assign_coords({"title": ("input", _titles(study, numbers)), "at": ("input", at.mean(0))})
    return data.assign_attrs(
        title="Elasticities of the middle patient, by forward mode",
        source="Varma, Morbidelli & Wu 1999, Parametric Sensitivity in Chemical Systems, chapter 2",
        leading="elasticity",
    )


def derivatives(study: Study, experiment: Experiment, lives: xr.Dataset) -> xr.Dataset:
    """Upper bounds of total Sobol indices from derivatives over eligible patients.

        ST_j <= E[(dY/dz_j)^2] / Var(Y),   z_j the input's normal score

    An input without a smooth scale (levels, age in completed years) has none: NaN. The bound holds for smooth outputs;
    where a policy jumps between doses it bounds the smooth part alone. Over time: of every outcome.
    Sobol & Kucherenko 2009, Math Comput Simul 79:3009; Lamboni et al. 2013, Math Comput Simul 87:45, corollary 1.
    """
    eligible = entrants(study)
    smooth = [i for i, one in enumerate(eligible.inputs) if one.law == "normal"]
    chain = _chain(study, eligible, ndtri(experiment.points), experiment.numbers, smooth)
    endpoints = _endpoints(study, lives)
    shape = (len(endpoints), 1, len(eligible.inputs))
    value, error = np.full(shape, np.nan), np.full(shape, np.nan)
    for i, one in enumerate(endpoints):
        variance = float(one.values.var(ddof=1))
        if variance > 0.0:
            squared = np.einsum("pi,pij->pj", one.by, chain) ** 2 / variance
            value[i, 0, smooth], error[i, 0, smooth] = squared.mean(0)[smooth], _error(squared)[smooth]
    names = tuple(one.name for one in eligible.inputs)
    data = _dataset(endpoints, ("ST at most",), names, value, error)
    over = _over_time(study, lives)
    times = np.full((len(over), 1, len(names), len(study.record_days)), np.nan)
    for i, one in enumerate(over):
        spread = one.values.var(axis=0, ddof=1)
        squared = (np.einsum("ptn,pnj->ptj", one.by, chain) ** 2).mean(axis=0)
        known = np.where(spread > 0.0, spread, np.nan)
        times[i, 0, smooth] = (squared / known[:, None]).T[smooth]
    data = data.assign({"time_value": (TRACE, times)}).assign_coords(_traces(study, over, "ST at most"))
    none = [one.name for one in eligible.inputs if one.law != "normal"]
    return data.assign_coords({"title": ("input", [one.title for one in eligible.inputs])}).assign_attrs(
        title="Derivative-based bounds of the total indices of smooth outputs",
        source="Sobol & Kucherenko 2009, Math Comput Simul 79:3009; Lamboni et al. 2013, Math Comput Simul 87:45",
        leading="ST at most",
        without=none,
    )


def _numbers(study: Study) -> tuple[str, ...]:
    """What a twin can be differentiated by: all parameters, and covariates without levels."""
    return tuple(one.name for one in study.twin.variables if not (isinstance(one, Covariate) and one.levels))


def _chain(
    study: Study, eligible: Entrants, scores: np.ndarray, numbers: tuple[str, ...], smooth: list[int]
) -> np.ndarray:
    """Derivatives of a patient's numbers by his inputs' normal scores, (patient, number, input)."""
    chain = np.zeros((len(scores), len(numbers), scores.shape[1]))
    for j in smooth:
        moved = np.zeros_like(scores)
        moved[:, j] = STEP
        up, down = _valued(study, eligible, scores + moved), _valued(study, eligible, scores - moved)
        for i, name in enumerate(numbers):
            chain[:, i, j] = (up[name] - down[name]) / (2.0 * STEP)
    return chain


def _valued(study: Study, eligible: Entrants, scores: np.ndarray) -> dict[str, np.ndarray]:
    return study.population.patients(eligible.points(ndtr(scores), len(study.population.inputs)))


def _endpoints(study: Study, lives: xr.Dataset) -> list[Slope]:
    """Endpoints that have a derivative, under each arm and as their contrast."""
    found = []
    for endpoint in study.endpoints:
        if endpoint.smooth:
            found += _with_contrast(study, lives, endpoint.name, endpoint.unit, str(endpoint.fold))
    return found


TRACE = ("trace", "time_measure", "input", schema.TIME)


def _traces(study: Study, over: list[Slope], measure: str) -> dict[str, Any]:
    return {
        "trace": [one.name for one in over],
        "trace_unit": ("trace", [one.unit for one in over]),
        "time_measure": [measure],
        schema.TIME: (schema.TIME, study.record_days, {"units": "days"}),
    }


def _over_time(study: Study, lives: xr.Dataset) -> list[Slope]:
    units = {item.name: item.unit for item in study.twin.outcomes}
    found = []
    for outcome in study.plan.outcomes:
        found += _with_contrast(study, lives, outcome, units[outcome], outcome)
    return found


def _with_contrast(study: Study, lives: xr.Dataset, name: str, unit: str, stored: str) -> list[Slope]:
    values, by = (lives[each].transpose(schema.ARM, ...) for each in (stored, stored + schema.BY))
    found = {arm.name: tuple(each.sel({schema.ARM: arm.name}).values for each in (values, by)) for arm in study.arms}
    first, second = (found[arm] for arm in study.contrast)
    found[" - ".join(study.contrast)] = (first[0] - second[0], first[1] - second[1])
    return [Slope(f"{name}: {who}", unit, *both) for who, both in found.items()]


def _error(values: np.ndarray) -> np.ndarray:
    return values.std(axis=0, ddof=1) / len(values) ** 0.5


def _dataset(
    endpoints: list[Slope],
    measures: tuple[str, ...],
    inputs: tuple[str, ...],
    value: np.ndarray,
    error: np.ndarray,
) -> xr.Dataset:
    shape = ("output", "measure", "input")
    widest = NORMAL_95 * np.nanmax(error[:, 0], axis=1, initial=0.0)
    return xr.Dataset(
        {
            "value": (shape, value),
            "lower": (shape, value - NORMAL_95 * error),
            "upper": (shape, value + NORMAL_95 * error),
            "verdict": ("output", [_verdict(measures[0], each) for each in widest]),
            "converged": ("output", widest <= TOLERANCE),
        },
        coords={
            "output": [one.name for one in endpoints],
            "measure": list(measures),
            "input": list(inputs),
            "unit": ("output", [one.unit for one in endpoints]),
        },
    )


def _verdict(measure: str, within: float) -> str:
    said = f"{measure} within ±{within:.2g} by the number of lives"
    if within <= TOLERANCE:
        return f"converged: {said}; {JUMPS}"
    return f"not converged: {said} (wanted ±{TOLERANCE}); {JUMPS}; use an index without derivatives, such as sobol"


def _titles(study: Study, numbers: tuple[str, ...]) -> list[str]:
    variables = {variable.name: variable for variable in study.population.variables}
    return [f"{variables[name].title or name} [{variables[name].unit}]" for name in numbers]
