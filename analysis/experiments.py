"""Sensitivity analysis as an experiment on a study: which inputs are varied, and at which points its patients live."""

import functools
import hashlib
import importlib.metadata
import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.sensitivity import designs, quadrature
from analysis.sensitivity import problem as problems
from analysis.sensitivity.designs import design
from analysis.sensitivity.method import Method
from analysis.sensitivity.problem import Column, Problem
from populations.inputs import Input
from trials.entrants import entrants
from trials.experiment import Experiment, Of
from trials.study import Study

LUCK = Input("luck", "luck: measurement error and adherence", "chance", "luck")
NESTED = ("saltelli", "sample")  # designs whose first points stay when there are more
JOINT = ("saltelli", "trajectories")  # designs that move the inputs of a group together; others share their lives
PATIENTS = 128  # of each population that the evidence allows


class Asked(NamedTuple):
    """What an analysis asks.

    titles, columns: of inputs and of their columns, in words. chance: inputs that are left to chance; idle: those that
    the twin does not read. remarks: what else is to be told.
    """

    problem: Problem
    titles: dict[str, str]
    columns: dict[str, str]
    experiment: Experiment
    chance: tuple[str, ...]
    idle: tuple[str, ...]
    remarks: tuple[str, ...]


# How those inputs go that a design leaves to chance.
THROWN = {
    "sample": "drawn anew for every row",
    "trajectories": "drawn once a trajectory",
    "curves": "drawn once a curve",
    "quadrature": "the same for all rows",
}


def ask(
    study: Study,
    method: Method,
    of: Of,
    size: int,
    groups: Mapping[str, Sequence[str]] | None = None,
    patients: int = PATIENTS,
) -> Asked:
    """The experiment that a method needs on a study.

    groups: name -> inputs that are varied together. Raises ValueError for an unknown input, or a size that the design
    cannot have.
    """
    found, idle = _inputs(study, of)
    named = _grouped(found, groups or {})
    # Only blocks of two points compare without a scale; elsewhere such inputs are part of a patient's luck.
    chance = tuple(one.name for one in named if one.law == "chance" and method.design != "saltelli")
    varied = [one for one in named if one.name not in chance]
    _check_chance(method, named, chance)
    if of == "patients" and method.design == "saltelli":
        varied.append(LUCK)
    problem = Problem(tuple(Column(one.name, one.group, one.law, one.shares) for one in varied))
    points, luck = design(method.design, problem, size, study.seed)
    if luck is None:
        luck = (points[:, -1] * 2**31).astype(np.int64) if varied[-1] is LUCK else np.zeros(len(points), np.int64)
    if chance:
        points = _with_chance(study, points, luck, varied, found)
    each = patients if of == "population" else 1
    depends = {
        "columns": [[column.name, column.group if method.design in JOINT else ""] for column in problem.columns],
        "seed": study.seed,
        "patients": each,
        "size": None if method.design in NESTED else size,
        "by": {name: importlib.metadata.version(name) for name in ("salib", "scipy", "numpy", "chaospy")},
        "sources": _sources(),
    }
    name, identity = identified(of, method.design, depends)
    lived = Experiment(
        of,
        name,
        tuple(one.name for one in found),
        np.ascontiguousarray(points[:, : len(found)]),
        luck,
        each,
        identity,
    )
    if of == "patients" and method.design != "saltelli":
        chance = (*chance, LUCK.name)
    remarks = [f"{', '.join(chance)}: {THROWN[method.design]}"] if chance else []
    if of == "population":
        remarks.append(
            f"every population has the same first {patients} candidates, whose own sample is part of its mean"
        )
    columns = {one.name: _words(study, one) for one in varied}
    return Asked(problem, _titles(study, varied), columns, lived, chance, idle, tuple(remarks))


def identified(of: Of, design: str, depends: Mapping[str, Any]) -> tuple[str, str]:
    """Name and identity of an experiment, from all that its points depend on."""
    identity = json.dumps({"of": of, "design": design, **depends}, sort_keys=True)
    return f"{of}-{design}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}", identity


def _check_chance(method: Method, named: Sequence[Input], chance: Sequence[str]) -> None:
    """Raises ValueError where an input without a scale stands in the way of a method."""
    for one in named:
        fellows = [other.name for other in named if other.group == one.group and other.name != one.name]
        if one.name in chance and fellows:
            raise ValueError(
                f"group '{one.group}' holds '{one.name}', which has no scale, and {method.name} leaves it to chance; "
                "take it out of the group, or use --method sobol"
            )
        if one.name in chance and method.design in ("quadrature", "curves"):
            raise ValueError(
                f"{method.name} would look at few values of '{one.name}', which has no scale; "
                "use --method sobol or morris"
            )


@functools.cache
def _sources() -> str:
    """Hash of the sources that the points hang on."""
    paths = [Path(inspect.getfile(module)) for module in (designs, problems, quadrature)] + [Path(__file__)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _inputs(study: Study, of: Of) -> tuple[list[Input], tuple[str, ...]]:
    if of == "population":
        return list(study.population.unknowns), ()
    eligible = entrants(study)
    return list(eligible.inputs), eligible.idle


def _grouped(inputs: Sequence[Input], groups: Mapping[str, Sequence[str]]) -> list[Input]:
    known = list(dict.fromkeys(one.group for one in inputs))
    if LUCK.name in groups:
        raise ValueError(f"group '{LUCK.name}' has the name of an input; give it another")
    owner: dict[str, str] = {}
    for name, members in groups.items():
        if name in known and list(members) != [name]:
            raise ValueError(f"group '{name}' has the name of an input; give it another")
        for member in members:
            if member not in known:
                raise ValueError(f"group '{name}': no input '{member}'; write some of: {', '.join(known)}")
            if member in owner:
                raise ValueError(f"input '{member}' is in two groups; leave it in one")
            owner[member] = name
    # Members of a group need not be neighbours; each column keeps its place.
    return [one._replace(group=owner.get(one.group, one.group)) for one in inputs]


def _with_chance(
    study: Study, points: np.ndarray, luck: np.ndarray, varied: Sequence[Input], found: Sequence[Input]
) -> np.ndarray:
    """Points of all inputs: those left to chance are the same wherever the luck is."""
    whole = np.empty((len(points), len(found)))
    places = {one.name: i for i, one in enumerate(varied)}
    for i, one in enumerate(found):
        if one.name in places:
            whole[:, i] = points[:, places[one.name]]
        else:
            whole[:, i] = np.random.default_rng([study.seed, 7, i]).random(int(luck.max()) + 1)[luck]
    return whole


def _titles(study: Study, named: Sequence[Input]) -> dict[str, str]:
    """What each input is; a group names its members."""
    titles: dict[str, str] = {}
    for one in named:
        words = _words(study, one)
        titles[one.group] = f"{titles[one.group]}; {words}" if one.group in titles else words
    return titles


def _words(study: Study, one: Input) -> str:
    """What one column is, by the title of its variable."""
    variable = next((each for each in study.population.variables if each.name == one.name), None)
    return one.title if variable is None else one.title.replace(one.name, variable.title or one.name, 1)
