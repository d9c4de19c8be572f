"""One patient under one arm, as he is and with changes: solved anew, with the luck that he has in the run."""

import functools
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from analysis import endpoints as analysed
from dashboards.results import Results, named, question
from dashboards.written import scale, unit
from solvers.policy import Infusion
from solvers.solve import Lives, free_solver
from solvers.status import REASONS, Status
from solvers.twin import Covariate, Parameter
from trials import document, engines, schema
from trials.eligibility import eligible
from trials.study import Arm, Study, study

TYPICAL = "typical"  # the patient who is in the middle of everything
THERAPY = "therapy: "  # begins the name of a change to the arm's policy
BEFORE, AFTER = "before", "after"
LOOKED_AT = 1024  # patients whose values give the ranges
STEPS = 80  # places of a slider without steps of its own
MOST_DRAWN = 8  # outcomes over time, one above the other

_COMPILING = threading.Lock()

Kind = Literal["covariate", "parameter", "shared", "therapy"]
Who = int | str
Change = str | int | float


class Slider(NamedTuple):
    """What can be changed: its values, increasing [unit], and where it stands before; a categorical one has levels.

    name: as a change names it. kind: "shared" is a parameter that all patients share. help: range and source.
    """

    name: str
    title: str
    unit: str
    kind: Kind
    before: float
    values: tuple[float, ...]
    levels: tuple[str, ...]
    help: str

    def written(self, value: float) -> str:
        """A value in words, with its unit."""
        if self.levels:
            return self.levels[int(value)]
        if self.unit == "h" and self.kind == "therapy" and self.values[-1] >= 72.0:
            return f"{value / 24.0:.4g} {'day' if value == 24.0 else 'days'}"
        return f"{value:.4g} {'' if self.unit == '1' else unit(self.unit)}".strip()

    @property
    def label(self) -> str:
        return self.title[:1].upper() + self.title[1:]


class _Bench(NamedTuple):
    study: Study
    arm: Arm
    solve: Callable[..., Lives]


class Solved(NamedTuple):
    """The lives before and after. values: parameters and covariates by name; luck: the number that keys it."""

    values: Mapping[str, np.ndarray]
    luck: int
    lives: Lives


@functools.lru_cache(maxsize=4)
def study_of(text: str) -> Study:
    """The study that `text` describes."""
    return study(document.parse(text, "study.yaml"), Path())


@functools.lru_cache(maxsize=8)
def _bench(text: str, arm: str) -> _Bench:
    """The arm of a study, compiled with its therapy free. Every outcome of the twin is recorded.

    Of a twin that can be probed, states at the end of each tick and what was given in it are kept.
    """
    parsed = study_of(text)
    under = parsed.arm(arm)
    plan = parsed.plan._replace(outcomes=tuple(item.name for item in parsed.twin.outcomes))
    engine = engines.of(parsed, under)
    more: dict[str, Any] = {"keep": _ends} if parsed.twin.probe else {}
    return _Bench(parsed, under, free_solver(parsed.twin, under.policy, plan, parsed.seed, engine, **more))


def _ends(given: Mapping[str, Any], acted: Any, ended: Any) -> tuple[Any, dict[str, Any]]:
    return ended, {name: dose.amount if isinstance(dose, Infusion) else dose for name, dose in given.items()}


@functools.lru_cache(maxsize=4)
def _around(text: str) -> tuple[dict[str, np.ndarray], dict[str, float], bool]:
    """Values of the first eligible patients, (patient,), of the typical one, and whether anyone is eligible.

    The typical patient has the middle covariates of the eligible, and the typical parameters.
    """
    parsed = study_of(text)
    values = parsed.population.draw(0, min(LOOKED_AT, max(parsed.size, 64)))
    inside = eligible(parsed.criteria, values)
    some = bool(inside.any())
    if some:
        values = {name: value[inside] for name, value in values.items()}
    typical = {}
    for variable in parsed.population.variables:
        here = values[variable.name]
        if variable.kind == "parameter" or not some:
            typical[variable.name] = float(variable.typical)
        elif variable.levels:
            typical[variable.name] = float(np.bincount(here.astype(int)).argmax())
        else:
            typical[variable.name] = float(np.sort(here)[len(here) // 2])
    return values, typical, some


@functools.lru_cache(maxsize=32)
def values_of(text: str, patient: Who) -> dict[str, float]:
    """Covariates and parameters of a patient of the study that `text` describes."""
    if patient == TYPICAL:
        return _around(text)[1]
    parsed = study_of(text)
    if not (isinstance(patient, int) and 0 <= patient < parsed.size):
        raise ValueError(f"there is no patient {patient}; give a number from 0 to {parsed.size - 1}, or '{TYPICAL}'")
    return {name: float(value[0]) for name, value in parsed.population.draw(patient, patient + 1).items()}


def admitted(study: Study, patient: Who) -> bool:
    """Whether the study would take the patient."""
    values = {name: np.array([value]) for name, value in values_of(study.text, patient).items()}
    return bool(eligible(study.criteria, values)[0])


def prepare(study: Study, arm: str) -> None:
    """Compiles an arm, so that answers come at once; who asks for it meanwhile waits and finds it done."""
    with _COMPILING:
        _lives(study.text, arm, TYPICAL, ())


def sliders(study: Study, arm: str, patient: Who) -> tuple[Slider, ...]:
    """All that can be changed of a patient and of his therapy: covariates, parameters, settings of the policy.

    Ranges hold 98 % of the eligible, or for what all share half to twice the value; the patient's own value is in it.
    None leaves the bounds of the twin. Names, bounds and values are those of the study, so that the answer is lawful.
    """
    return _sliders(study.text, arm, patient)


@functools.lru_cache(maxsize=32)
def _sliders(text: str, arm: str, patient: Who) -> tuple[Slider, ...]:
    parsed, under, _ = _bench(text, arm)
    around, own = _around(text)[0], values_of(text, patient)
    needed: dict[str, Covariate | Parameter] = {item.name: item for item in parsed.twin.covariates}
    needed |= {item.name: item for item in parsed.twin.parameters}
    known = {variable.name: variable for variable in parsed.population.variables}
    found = []
    for name, item in needed.items():
        variable, before, seen = known[name], own[name], around[name]
        kind: Kind = "covariate" if variable.kind == "covariate" else "parameter"
        if variable.levels:
            values = tuple(float(i) for i in range(len(variable.levels)))
            said = "all levels"
        else:
            low, high = (float(each) for each in np.quantile(seen, (0.01, 0.99)))
            said = "1 to 99 % of the eligible"
            if not high > low:
                kind = "shared" if kind == "parameter" else kind
                low, high = sorted((before / 2.0, before * 2.0)) if before else (-1.0, 1.0)
                said = "half to twice what all share"
            low, high = max(min(low, before), item.bounds[0]), min(max(high, before), item.bounds[1])
            spread = item.spread if isinstance(item, Parameter) else None
            logarithmic = spread is not None and spread.kind == "log-normal"
            values = _places(low, high, before, logarithmic)
        source = f"Range: {said}. Source: {variable.source} ({variable.evidence})."
        title = variable.title or name
        found.append(Slider(name, title, variable.unit, kind, before, values, variable.levels, source))
    for name, setting in under.policy.settings.items():
        low, high = setting.bounds
        values = (
            tuple(low + setting.step * i for i in range(round((high - low) / setting.step) + 1))
            if setting.step
            else _places(low, high, setting.value, False)
        )
        said = f"As the study has it: {setting.value:g} {unit(setting.unit)}".strip() + "."
        found.append(Slider(THERAPY + name, setting.title, setting.unit, "therapy", setting.value, values, (), said))
    return tuple(found)


def _places(low: float, high: float, before: float, logarithmic: bool) -> tuple[float, ...]:
    """Values of a slider: round ones, evenly spread on their scale, and exactly the one before."""
    if logarithmic or (low > 0 and high / low > 20.0):
        grid = [float(f"{value:.3g}") for value in np.geomspace(max(low, high * 1e-6), high, STEPS)]
    else:
        step = _round_step((high - low) / STEPS)
        grid = [round(i * step, 12) for i in range(int(np.floor(low / step)), int(np.ceil(high / step)) + 1)]
    # Another one that reads as the value before would look like it.
    distinct = {f"{value:.4g}": value for value in grid if low <= value <= high} | {f"{before:.4g}": before}
    return tuple(sorted(distinct.values()))


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is at least `least`."""
    if not least > 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(least))
    return float(next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= least * (1 - 1e-9)))


def changed(study: Study, arm: str, changes: tuple[Change, ...]) -> tuple[dict[str, float], dict[str, float]]:
    """Changes as variables and settings by name.

    changes: names and values in turn; a level by its name. Raises ValueError for what is unknown or out of bounds.
    """
    known: dict[str, Covariate | Parameter] = {item.name: item for item in study.twin.variables}
    levels = {item.name: item.levels for item in study.twin.covariates}
    variables: dict[str, float] = {}
    settings: dict[str, float] = {}
    if len(changes) % 2:
        raise ValueError(f"{len(changes)} changes are given; give names and values in turn")
    for name, value in zip(map(str, changes[::2]), changes[1::2], strict=True):
        if name.startswith(THERAPY):
            settings[name.removeprefix(THERAPY)] = float(value)
            continue
        if name not in known:
            raise ValueError(f"twin '{study.twin.name}' has no '{name}'; write one of: {', '.join(known)}")
        if levels.get(name):
            if value not in levels[name]:
                raise ValueError(f"{name} '{value}' is no level; write one of: {', '.join(levels[name])}")
            variables[name] = float(levels[name].index(str(value)))
            continue
        low, high = known[name].bounds
        if not low <= float(value) <= high:
            raise ValueError(f"{name} is {value}; write a number from {low:g} to {high:g} {known[name].unit}")
        variables[name] = float(value)
    return variables, study.arm(arm).policy.changed(settings)


@functools.lru_cache(maxsize=64)
def solved(text: str, arm: str, patient: Who, changes: tuple[Change, ...]) -> Solved:
    """Both lives of a patient of the study that `text` describes; the rest as `lives` takes it."""
    parsed, under, solve = _bench(text, arm)
    own = values_of(text, patient)
    variables, settings = changed(parsed, arm, changes)
    values = {name: np.array([value, variables.get(name, value)]) for name, value in own.items()}
    numbers = {name: np.array([value, settings[name]]) for name, value in under.policy.numbers.items()}
    luck = patient if isinstance(patient, int) else 0
    return Solved(values, luck, solve(np.array([luck, luck]), values, numbers))


@functools.lru_cache(maxsize=64)
def _lives(text: str, arm: str, patient: Who, changes: tuple[Change, ...]) -> xr.Dataset:
    parsed, (_, luck, lived) = study_of(text), solved(text, arm, patient, changes)
    units = {item.name: item.unit for item in parsed.twin.outcomes}
    one = (schema.ARM, schema.PATIENT)
    arrays: dict[str, tuple] = {}
    for name, recorded in lived.recorded.items():
        arrays[name] = ((*one, schema.TIME), recorded[:, None], {"units": units[name]})
    for name, measured in lived.measured.items():
        arrays[name + schema.MEASURED] = ((*one, schema.VISIT), measured[:, None], {"units": units[name]})
    for name, gathered in lived.folds.items():
        arrays[name] = (one, gathered[:, None])
    arrays[schema.STATUS] = (one, lived.status[:, None])
    days = {schema.TIME: parsed.record_days, schema.VISIT: parsed.visit_days}
    return xr.Dataset(arrays, {schema.ARM: [BEFORE, AFTER], schema.PATIENT: [luck], **days})


def lives(results: Results, arm: str, patient: Who, *changes: Change) -> xr.Dataset:
    """Both lives, dims (arm, patient, time) and (arm, patient, visit), arm being "before" or "after", one patient.

    patient: a number, or "typical", who has the luck of number 0. changes: names and values in turn, such as
    "age", 70.0, "therapy: start", 5.0.
    """
    return _lives(results.study.text, arm, patient, changes)


def drawn(parsed: Study) -> list[str]:
    """The outcomes that are drawn over time: all that the twin has, or those of the study where it has many."""
    every = [item.name for item in parsed.twin.outcomes]
    return every if len(every) <= MOST_DRAWN else [name for name in every if name in parsed.plan.outcomes]


def courses(results: Results, arm: str, patient: Who, *changes: Change) -> pd.DataFrame:
    """The outcomes that are drawn, before and after: true values on the record grid, measured ones at the visits."""
    data, parts = lives(results, arm, patient, *changes), []
    for outcome in drawn(results.study):
        for name, what in ((outcome, "true"), (outcome + schema.MEASURED, "measured")):
            if name not in data:
                continue
            days = data[str(data[name].dims[-1])].values
            for life, values in zip((BEFORE, AFTER), data[name].values[:, 0], strict=True):
                columns = {"outcome": outcome, "life": life, "kind": what, "time [days]": days, "value": values}
                parts.append(pd.DataFrame({**columns, "unit": unit(data[name].attrs["units"])}))
    return pd.concat(parts, ignore_index=True)


def compared(results: Results, arm: str, patient: Who, *changes: Change) -> pd.DataFrame:
    """The true endpoints before and after, and their difference; an endpoint that is met or not is 100 or 0 %."""
    data, all_of_them = lives(results, arm, patient, *changes), named(results.study)
    lines = []
    for endpoint in results.study.endpoints:
        by = scale(endpoint)
        before, after = analysed.true(endpoint, data, all_of_them)[:, 0] * by.factor
        lines.append(
            [endpoint.name, question(results.study, endpoint), endpoint.kind, before, after, by.unit, by.difference]
        )
    columns = ["endpoint", "title", "kind", "before", "after", "unit", "unit of the difference"]
    table = pd.DataFrame(lines, columns=columns)
    table.insert(5, "difference", table["after"] - table["before"])
    return table


def troubles(results: Results, arm: str, patient: Who, *changes: Change) -> dict[str, str]:
    """Which of the two lives failed, and why, in words."""
    statuses = lives(results, arm, patient, *changes)[schema.STATUS].values[:, 0]
    return {
        life: REASONS[Status(int(status))]
        for life, status in zip((BEFORE, AFTER), statuses, strict=True)
        if status != Status.OK
    }


def source(results: Results, arm: str, patient: Who) -> str:
    """The line below a figure: study, who under what, version."""
    who = "the typical patient" if patient == TYPICAL else f"patient {patient:,}"
    return f"{results.study.name}: {who} under {arm}, solved anew; trialtwin {results.made_by.get('trialtwin', '')}"


def written(moved: Mapping[Slider, float]) -> list[str]:
    """Changes in words: `age: 52 → 70 years`."""
    return [
        f"{slider.title}: {slider.written(slider.before)} → {slider.written(value)}" for slider, value in moved.items()
    ]
