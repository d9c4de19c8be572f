"""What drives a study's outputs: an experiment is lived, its indices are computed and kept with the run."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from analysis import experiments, kept, outputs, ranks, slopes, whatif
from analysis.experiments import PATIENTS, Asked
from analysis.outputs import Outputs, Traces
from analysis.sensitivity.indices import Indices
from analysis.sensitivity.method import Method
from analysis.whatif import Unseen
from solvers.status import REASONS, Status
from trials import run as runs
from trials import schema, store
from trials.experiment import Experiment, Of
from trials.experiment import read as read_experiment
from trials.experiment import stored as stored_experiments
from trials.study import Study

TIMES = 43  # times at which indices over time are computed
RESAMPLES = 500
SAMPLE = "sample"  # the design whose rows are patients as they come
UNSEEN = {"patients": 256, "population": 64}  # rows of it that a surrogate is held against


def drive(
    study: Study,
    folder: Path,
    method: Method,
    of: Of,
    size: int,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    patients: int = PATIENTS,
    map: runs.Map = map,
    chunk: int | None = None,
    progress: runs.Progress | None = None,
) -> xr.Dataset:
    """Lives the experiment that the method needs, as far as the folder lacks it, and writes the indices beside it.

    Raises ValueError as `trials.run.run` and the method do, before anything is lived.
    """
    asked = experiments.ask(study, method, of, size, groups, patients)
    _live(study, folder, asked.experiment, map, chunk, progress)
    group = f"{schema.SENSITIVITY}/{of}/{kept.called(method.name, groups or {})}"
    together = {name: list(members) for name, members in (groups or {}).items()}
    made_from = _fingerprint(folder, study, asked.experiment, method.name, size, together)
    surrogate_of = f"{schema.SURROGATES}/{of}/{method.name}"
    fitted_from = _fingerprint(folder, study, asked.experiment, method.name, size)
    if method.fit is None or _is_of(kept.read(folder, surrogate_of), fitted_from):
        surrogate_of = ""
    before = kept.read(folder, group)
    if before is not None and _is_of(before, made_from) and not surrogate_of:
        return before
    experiment, lives = _lived(study, folder, asked.experiment)
    scalars = outputs.endpoints(study, experiment, lives)
    points = _columns(asked, experiment.points, experiment.luck)
    if surrogate_of:
        unseen = _unseen(study, folder, method, of, patients, map, chunk, progress)
        surrogate = whatif.made(study, asked, method, size, points, scalars, unseen)
        if surrogate is not None:
            kept.write(folder, {surrogate_of: surrogate.assign_attrs(made_from=fitted_from)})
    if before is not None and _is_of(before, made_from):
        return before
    indices = method.analyse(
        asked.problem, points, scalars.values, size=size, seed=study.seed, resamples=RESAMPLES, second=True
    )
    data = _dataset(asked, method, scalars, indices)
    over = outputs.traces(study, experiment, lives, TIMES)
    data = data.merge(_over_time(asked, method, points, over, size, study.seed))
    data.attrs |= {
        "title": method.title,
        "source": method.source,
        "leading": method.leading,
        "of": of,
        "size": size,
        "seed": study.seed,
        "rows": len(points),
        "lives": experiment.lives * len(study.arms),
        "patients": experiment.patients,
        "used": indices.used,
        "dropped": indices.dropped,
        "handled": "; ".join([indices.handled, *asked.remarks]),
        "statuses": json.dumps(_statuses(study, lives)),
        "chance": list(asked.chance),
        "idle": list(asked.idle),
        "groups": json.dumps(together),
        "experiment": experiment.group,
        "made_from": made_from,
    }
    return _written(folder, group, data)


def _unseen(
    study: Study,
    folder: Path,
    method: Method,
    of: Of,
    patients: int,
    map: runs.Map,
    chunk: int | None,
    progress: runs.Progress | None,
) -> Unseen | None:
    """Lives for a surrogate whose points, of one luck, do not tell its error; None where none are needed.

    They are the first of a sample, which is that of the methods that read one.
    """
    if method.fit is None or method.design == SAMPLE:
        return None
    asked = experiments.ask(study, method._replace(design=SAMPLE), of, UNSEEN[of], None, patients)
    _live(study, folder, asked.experiment, map, chunk, progress)
    experiment, lives = _lived(study, folder, asked.experiment)
    points = _columns(asked, experiment.points, experiment.luck)
    return Unseen(points, outputs.endpoints(study, experiment, lives).values)


def _is_of(data: xr.Dataset | None, made_from: str) -> bool:
    return data is not None and data.attrs.get("made_from") == made_from


def _live(
    study: Study, folder: Path, experiment: Experiment, map: runs.Map, chunk: int | None, progress: runs.Progress | None
) -> None:
    """Lives what the folder lacks of an experiment, or of a longer one that it holds: that stays as long as it is."""
    if experiment.group in stored_experiments(folder):
        there, rows = read_experiment(folder, experiment.group), len(experiment.points)
        same = there.identity == experiment.identity and np.array_equal(there.points[:rows], experiment.points)
        experiment = there if same and len(there.points) > rows else experiment
    runs.run(study, folder, map=map, chunk=chunk, progress=progress, experiment=experiment)


def _lived(study: Study, folder: Path, experiment: Experiment) -> tuple[Experiment, xr.Dataset]:
    """The rows that were asked for, of an experiment that may have more. Raises ValueError where lives are damaged."""
    rows = len(experiment.points)
    _, there, lives = runs.lived(folder, experiment.group)
    runs.verify(folder, study, experiment.group)
    first = there._replace(points=there.points[:rows], luck=there.luck[:rows])
    return first, lives.isel({schema.PATIENT: slice(0, first.lives)})


def regress(study: Study, folder: Path) -> xr.Dataset:
    """Rank regression and tornado of the stored cohort, written with the run."""
    return _written(folder, f"{schema.SENSITIVITY}/patients/{ranks.NAME}", ranks.ranks(study, folder))


def differentiate(
    study: Study,
    folder: Path,
    name: str,
    size: int | None,
    *,
    map: runs.Map = map,
    chunk: int | None = None,
    progress: runs.Progress | None = None,
) -> xr.Dataset:
    """Indices by derivatives, as `drive` has its indices. name: of `analysis.slopes`; size: lives under each arm."""
    asked = slopes.ask(study, name, slopes.SIZES[name] if size is None else size)
    _live(study, folder, asked, map, chunk, progress)
    group = f"{schema.SENSITIVITY}/patients/{name}"
    made_from = _fingerprint(folder, study, asked, name, len(asked.points))
    before = kept.read(folder, group)
    if before is not None and before.attrs.get("made_from") == made_from:
        return before
    experiment, lives = _lived(study, folder, asked)
    data = slopes.analyse(study, name, experiment, lives)
    statuses = json.dumps(_statuses(study, lives))
    return _written(
        folder, group, data.assign_attrs(statuses=statuses, experiment=experiment.group, made_from=made_from)
    )


def _written(folder: Path, group: str, data: xr.Dataset) -> xr.Dataset:
    kept.write(folder, {group: data})
    return data


def _columns(asked: Asked, points: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """Points as the method reads them: its columns only, and luck as one where it is varied."""
    places = {name: i for i, name in enumerate(asked.experiment.columns)}
    columns = []
    for column in asked.problem.columns:
        own = column.name == experiments.LUCK.name and column.name not in places
        columns.append((luck + 0.5) / 2**31 if own else points[:, places[column.name]])
    return np.stack(columns, axis=1)


def _dataset(asked: Asked, method: Method, scalars: Outputs, indices: Indices) -> xr.Dataset:
    shape = ("output", "measure", "input")
    inputs = list(asked.problem.inputs)
    data = xr.Dataset(
        {
            "value": (shape, indices.value),
            "lower": (shape, indices.lower),
            "upper": (shape, indices.upper),
            "by_size": (("size", *shape), indices.by_size),
            "converged": ("output", np.array([verdict.converged for verdict in indices.verdicts])),
            "verdict": ("output", np.array([verdict.text for verdict in indices.verdicts])),
        },
        coords={
            "output": list(scalars.names),
            "measure": list(method.measures),
            "input": inputs,
            "size": indices.sizes,
            "title": ("input", [asked.titles[name] for name in inputs]),
            "unit": ("output", list(scalars.units)),
        },
    )
    if indices.second is None:
        return data
    pairs = ("output", "input", "input_2")
    data = data.assign_coords({"input_2": inputs})
    names = ("second_value", "second_lower", "second_upper")
    return data.assign({name: (pairs, each) for name, each in zip(names, indices.second, strict=True)})


def _over_time(asked: Asked, method: Method, points: np.ndarray, over: Traces, size: int, seed: int) -> xr.Dataset:
    def values(outputs: np.ndarray) -> np.ndarray:
        given = {"size": size, "seed": seed}
        if method.over_time:
            return method.over_time(asked.problem, points, outputs, **given)
        return method.analyse(asked.problem, points, outputs, **given, resamples=0, second=False).value

    values_by_trace = [np.moveaxis(values(over.values[:, i]), 0, 2) for i in range(len(over.names))]
    return xr.Dataset(
        {"time_value": (("trace", "time_measure", "input", schema.TIME), np.stack(values_by_trace))},
        coords={
            "trace": list(over.names),
            "trace_unit": ("trace", list(over.units)),
            "time_measure": list(method.measures),
            "input": list(asked.problem.inputs),
            schema.TIME: (schema.TIME, over.days, {"units": "days"}),
        },
    )


def _statuses(study: Study, lives: xr.Dataset) -> dict[str, dict[str, int]]:
    """Lives of each arm by how they ended."""
    found = {}
    for arm in study.arms:
        counted = np.bincount(lives[schema.STATUS].sel({schema.ARM: arm.name}).values, minlength=len(Status))
        found[arm.name] = {REASONS[status]: int(counted[status]) for status in Status if counted[status]}
    return found


def _fingerprint(folder: Path, study: Study, experiment: Experiment, *options: Any) -> str:
    sources = [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))]
    blocks = [marker.sha256 for marker in store.markers(folder) if marker.group == experiment.group]
    said: list[Any] = [study.text, experiment.identity, *options, blocks]
    return hashlib.sha256(json.dumps(said).encode() + b"".join(sources)).hexdigest()
