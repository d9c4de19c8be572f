"""Sensitivity by derivatives in forward mode: at the middle patient, and over patients as a bound of total indices."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.special import ndtr, ndtri

from analysis.truth import NORMAL_95
from solvers.derivative import Slopes, slopes
from solvers.status import Status
from solvers.twin import Covariate
from trials import engines, schema
from trials.endpoints import Endpoint
from trials.entrants import Entrants, entrants
from trials.study import Study

LUCKS = 64  # lives of the middle patient, each with a luck of its own
STEP = 1e-4  # of a normal score, over which a patient's numbers are differenced

ELASTICITIES = "elasticities"
DERIVATIVES = "derivatives"

TOLERANCE = 0.05  # half-width of a 95 % interval

HANDLED = "lives that are not sound under every arm are left out"
JUMPS = "a derivative sees no jump, so what a rule decides by comparing is not in it"


class Slope(NamedTuple):
    """One output's values, (life,), and its derivatives by each number, (life, number)."""

    name: str
    unit: str
    values: np.ndarray
    by: np.ndarray


def elasticities(study: Study, progress: Callable[[int, int], None] | None = None) -> xr.Dataset:
    """How outputs of the middle patient move with each parameter and numeric covariate, means over his luck.

        elasticity = (x / Y) dY/dx        per 1 % = 0.01 x dY/dx, in the unit of Y

    The middle patient has the middle of every input among the eligible; inputs without a scale, such as the row of a
    file, are drawn for each life, as luck is. Endpoints that are numbers are outputs;
    those that ask whether, when or how often have no derivative. Over time: per 1 %, of every outcome.
    """
    numbers = _numbers(study)
    eligible = entrants(study)
    rng = np.random.default_rng([study.seed, 10])
    point = np.full((LUCKS, len(eligible.inputs)), 0.5)
    for i, entering in enumerate(eligible.inputs):
        if entering.law == "chance":
            point[:, i] = rng.random(LUCKS)
    values = study.population.patients(eligible.points(point, len(study.population.inputs)))
    solved, sound = _solved(study, np.arange(LUCKS), values, numbers, progress)
    at = np.stack([values[name][sound] for name in numbers], axis=1)
    endpoints = _endpoints(study, solved)
    shape = (len(endpoints), 2, len(numbers))
    value, error = np.full(shape, np.nan), np.full(shape, np.nan)
    for i, one in enumerate(endpoints):
        per = at * one.by
        mean = one.values.mean()
        value[i, 1], error[i, 1] = 0.01 * per.mean(0), 0.01 * _error(per)
        if mean != 0.0:
            value[i, 0], error[i, 0] = per.mean(0) / mean, _error(per / mean)
    data = _dataset(endpoints, ("elasticity", "per 1 %"), numbers, value, error, LUCKS)
    over = _over_time(study, solved)
    times = np.stack([0.01 * (at[:, None, :] * one.by).mean(0).T for one in over])[:, None]
    data = data.assign({"time_value": (TRACE, times)}).assign_coords(_traces(study, over, "per 1 %"))
    data = data.assign_coords({"title": ("input", _titles(study, numbers)), "at": ("input", at.mean(0))})
    return data.assign_attrs(
        title="Elasticities of the middle patient, by forward mode",
        source="Varma, Morbidelli & Wu 1999, Parametric Sensitivity in Chemical Systems, chapter 2",
        leading="elasticity",
        of="patients",
        lives=LUCKS * len(study.arms),
    )


def derivatives(study: Study, size: int, progress: Callable[[int, int], None] | None = None) -> xr.Dataset:
    """Upper bounds of total Sobol indices from derivatives over `size` eligible patients.

        ST_j <= E[(dY/dz_j)^2] / Var(Y),   z_j the input's normal score

    An input without a smooth scale (levels, age in completed years) has none: NaN. The bound holds for smooth outputs;
    where a policy jumps between doses it bounds the smooth part alone. Over time: of every outcome.
    Sobol & Kucherenko 2009, Math Comput Simul 79:3009; Lamboni et al. 2013, Math Comput Simul 87:45, corollary 1.
    """
    numbers = _numbers(study)
    eligible = entrants(study)
    scores = ndtri(np.clip(np.random.default_rng([study.seed, 8]).random((size, len(eligible.inputs))), 1e-6, 1 - 1e-6))
    values = _valued(study, eligible, scores)
    solved, sound = _solved(study, np.arange(size), values, numbers, progress)
    smooth = [i for i, one in enumerate(eligible.inputs) if one.law == "normal"]
    chain = np.zeros((size, len(numbers), len(eligible.inputs)))
    for j in smooth:
        moved = np.zeros_like(scores)
        moved[:, j] = STEP
        up, down = _valued(study, eligible, scores + moved), _valued(study, eligible, scores - moved)
        for i, name in enumerate(numbers):
            chain[:, i, j] = (up[name] - down[name]) / (2.0 * STEP)
    chain = chain[sound]
    endpoints = _endpoints(study, solved)
    shape = (len(endpoints), 1, len(eligible.inputs))
    value, error = np.full(shape, np.nan), np.full(shape, np.nan)
    for i, one in enumerate(endpoints):
        variance = float(one.values.var(ddof=1))
        if variance > 0.0:
            squared = np.einsum("pi,pij->pj", one.by, chain) ** 2 / variance
            value[i, 0, smooth], error[i, 0, smooth] = squared.mean(0)[smooth], _error(squared)[smooth]
    names = tuple(one.name for one in eligible.inputs)
    data = _dataset(endpoints, ("ST at most",), names, value, error, size)
    over = _over_time(study, solved)
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
        of="patients",
        lives=size * len(study.arms),
        without=none,
    )


def _numbers(study: Study) -> tuple[str, ...]:
    """What a twin can be differentiated by: all parameters, and covariates without levels."""
    return tuple(one.name for one in study.twin.variables if not (isinstance(one, Covariate) and one.levels))


def _valued(study: Study, eligible: Entrants, scores: np.ndarray) -> dict[str, np.ndarray]:
    return study.population.patients(eligible.points(ndtr(scores), len(study.population.inputs)))


def _solved(
    study: Study,
    lucks: np.ndarray,
    values: dict[str, np.ndarray],
    numbers: tuple[str, ...],
    progress: Callable[[int, int], None] | None,
) -> tuple[dict[str, Slopes], np.ndarray]:
    """Lives with their derivatives by arm, and which were sound under every arm, (life,); the others are left out."""
    found = {}
    for i, arm in enumerate(study.arms):
        found[arm.name] = slopes(study.twin, arm.policy, study.plan, study.seed, engines.of(study, arm), numbers)(
            lucks, values
        )
        if progress:
            progress(i + 1, len(study.arms))
    sound = np.all([each.lives.status == Status.OK for each in found.values()], axis=0)
    if sound.sum() < 2:
        raise ValueError(f"{int(sound.sum())} of {len(lucks)} lives are sound under every arm; see trialtwin check")

    def kept(part: Any) -> Any:
        return {name: kept(each) if isinstance(each, dict) else each[sound] for name, each in part.items()}

    whole = {
        arm: Slopes(each.lives._replace(**kept(each.lives._asdict())), kept(each.recorded), kept(each.folds))
        for arm, each in found.items()
    }
    return whole, sound


def _endpoints(study: Study, solved: dict[str, Slopes]) -> list[Slope]:
    """Endpoints that have a derivative, under each arm and as their contrast."""
    found = []
    for endpoint in study.endpoints:
        if endpoint.smooth:
            arms = {arm: _gathered(endpoint, each) for arm, each in solved.items()}
            found += _with_contrast(study, endpoint.name, endpoint.unit, arms)
    if not found:
        raise ValueError("no endpoint of the study has a derivative; use a method without one, such as sobol")
    return found


TRACE = ("trace", "time_measure", "input", schema.TIME)


def _traces(study: Study, over: list[Slope], measure: str) -> dict[str, Any]:
    return {
        "trace": [one.name for one in over],
        "trace_unit": ("trace", [one.unit for one in over]),
        "time_measure": [measure],
        schema.TIME: (schema.TIME, study.record_days, {"units": "days"}),
    }


def _gathered(endpoint: Endpoint, each: Slopes) -> tuple[np.ndarray, np.ndarray]:
    name = str(endpoint.fold)
    return each.lives.folds[name], each.folds[name]


def _over_time(study: Study, solved: dict[str, Slopes]) -> list[Slope]:
    units = {item.name: item.unit for item in study.twin.outcomes}
    found = []
    for outcome in study.plan.outcomes:
        arms = {arm: (each.lives.recorded[outcome], each.recorded[outcome]) for arm, each in solved.items()}
        found += _with_contrast(study, outcome, units[outcome], arms)
    return found


def _with_contrast(study: Study, name: str, unit: str, arms: dict[str, tuple[np.ndarray, np.ndarray]]) -> list[Slope]:
    first, second = (arms[arm] for arm in study.contrast)
    both = arms | {" - ".join(study.contrast): (first[0] - second[0], first[1] - second[1])}
    return [Slope(f"{name}: {who}", unit, values, by) for who, (values, by) in both.items()]


def _error(values: np.ndarray) -> np.ndarray:
    return values.std(axis=0, ddof=1) / len(values) ** 0.5


def _dataset(
    endpoints: list[Slope],
    measures: tuple[str, ...],
    inputs: tuple[str, ...],
    value: np.ndarray,
    error: np.ndarray,
    rows: int,
) -> xr.Dataset:
    shape = ("output", "measure", "input")
    used = len(endpoints[0].values)
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
        attrs={"rows": rows, "used": used, "dropped": rows - used, "handled": HANDLED},
    )


def _verdict(measure: str, within: float) -> str:
    said = f"{measure} within ±{within:.2g} by the number of lives"
    if within <= TOLERANCE:
        return f"converged: {said}; {JUMPS}"
    return f"not converged: {said} (wanted ±{TOLERANCE}); {JUMPS}; use an index without derivatives, such as sobol"


def _titles(study: Study, numbers: tuple[str, ...]) -> list[str]:
    variables = {variable.name: variable for variable in study.population.variables}
    return [f"{variables[name].title or name} [{variables[name].unit}]" for name in numbers]
