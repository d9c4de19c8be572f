"""The key of a block: a hash of all that its bits depend on, and of nothing else."""

import functools
import hashlib
import importlib.metadata
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jaxlib

import populations
import solvers
from solvers import tuning
from solvers.solve import WIDTH
from trials import dosing, eligibility, endpoints, entrants, experiment, insulin, levels, people, policies, simulate
from trials.study import Arm, Study


def engine(width: int = WIDTH) -> dict[str, Any]:
    """What solves the blocks of a run: chosen once, kept with the run, reused when it goes on."""
    return {
        "width": width,
        "trialtwin": importlib.metadata.version("trialtwin"),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "platform": jax.default_backend(),
        "precision": "float64",
        "flags": tuning.settings(),
    }


def patients_key(study: Study, made_by: Mapping[str, Any], group: str, points: str = "") -> str:
    """Key of who the patients are: the population, who of them is eligible, and in `uncertainty` its outer draws.

    points: identity of the experiment whose patients they are.
    """
    return _hash(_patients(study, made_by, group, points))


def arm_key(study: Study, arm: Arm, made_by: Mapping[str, Any], group: str, points: str = "", engine: str = "") -> str:
    """Key of the lives under one arm: the patients, the twin, this arm and its engine, ticks, records, visits and what
    is gathered.

    Not of the size, the other arms, endpoints (but for the numbers gathered at every tick), trial or analysis.
    """
    plan = study.plan
    depends = _patients(study, made_by, group, points) | {
        "arm": dict(arm.options),
        "policy": _source(policies.load.__module__, arm.options["policy"]),
        "plan": [plan.tick, plan.ticks, plan.records, plan.visits, plan.outcomes, plan.taken, plan.late, plan.before],
        "folds": [fold.name for fold in plan.folds],
        "method": study.twin.method,
        "solved by": engine,
    }
    return _hash(depends)


def _patients(study: Study, made_by: Mapping[str, Any], group: str, points: str) -> dict[str, Any]:
    depends: dict[str, Any] = {
        "seed": study.seed,
        "engine": dict(made_by),
        "sources": _sources(),
        "twin": [_source("solvers.twins", part.name) for part in study.twin.parts.values()] + [study.twin.couplings]
        if study.twin.parts
        else _source("solvers.twins", study.twin.name),
        "population": study.population.fingerprint(),
        "eligibility": [each.text for each in study.criteria],
    }
    if points:
        depends["points"] = points
    elif group:
        depends["patients of a draw"] = study.recipe.uncertainty.patients
    return depends


def _hash(depends: Any) -> str:
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()


@functools.cache
def _source(package: str, name: str) -> str:
    """Hash of the source of a twin or policy; of every file where it is a folder."""
    module = importlib.import_module(f"{package}.{name.replace('-', '_')}")
    path = Path(inspect.getfile(module))
    return _files(sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path])


@functools.cache
def _sources() -> str:
    """Hash of the sources that every block runs through."""
    files = [*_folder(solvers), *_folder(populations)]
    modules = (simulate, people, entrants, experiment, eligibility, endpoints, dosing, insulin, levels)
    files += [Path(inspect.getfile(module)) for module in modules]
    return _files(files)


def _folder(package: ModuleType) -> list[Path]:
    here = Path(inspect.getfile(package)).parent
    every = [path for pattern in ("*.py", "*.h") for path in here.rglob(pattern)]
    return sorted(path for path in every if here / "twins" not in path.parents)  # a twin's source counts for itself


def _files(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
