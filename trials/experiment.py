"""A computer experiment on a study: patients who live at chosen points of their inputs, rather than as they come."""

import contextlib
import json
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from trials import schema, store

Of = Literal["patients", "population"]
POINTS, LUCK = "points", "luck"


class Experiment(NamedTuple):
    """Points of independent inputs, a row each, and how the lives follow from them.

    of: 'patients', where a row is one eligible patient, or 'population', where it is one population that the evidence
    allows, with `patients` of its patients. name: of its group among the study's experiments. columns: names of the
    inputs. points: (row, input) in (0, 1). luck: (row,), which patient's luck a row has; populations share theirs.
    identity: all that the points depend on but how many there are; a longer experiment of the same goes on. numbers:
    parameters and covariates by which the lives are differentiated as they are lived.
    """

    of: Of
    name: str
    columns: tuple[str, ...]
    points: np.ndarray
    luck: np.ndarray
    patients: int
    identity: str
    numbers: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        return f"{schema.EXPERIMENTS}/{self.name}"

    @property
    def lives(self) -> int:
        """Lives under each arm."""
        return len(self.points) * self.patients


def keep(folder: Path, experiment: Experiment, keys: dict[str, str]) -> None:
    """Writes the points into the store, from which the tasks read them, and the keys of its blocks by arm."""
    here = store.made(folder, experiment.group)
    # The attributes come last: a group without them was killed on the way, and is written again.
    here.attrs.clear()
    rows, columns = experiment.points.shape
    for name, values, dimensions in (
        (POINTS, experiment.points, (schema.ROW, schema.INPUT)),
        (LUCK, experiment.luck.astype(np.int64), (schema.ROW,)),
    ):
        chunks = (min(rows, 4096), columns)[: values.ndim]
        here.create_array(name, data=values, chunks=chunks, dimension_names=dimensions, overwrite=True)
    described = experiment._asdict() | {"size": rows}
    del described[POINTS], described[LUCK]
    here.attrs.update({"experiment": json.dumps(described), "keys": json.dumps(keys)})


def read(folder: Path, group: str) -> Experiment:
    """The experiment of a group. Raises ValueError where it holds none."""
    if group not in stored(folder):
        raise ValueError(f"{folder} holds no experiment '{group}'; make it with: trialtwin sensitivity {folder}")
    here = store.group(folder, group)
    described = json.loads(str(here.attrs["experiment"]))
    del described["size"]
    for name in ("columns", "numbers"):
        described[name] = tuple(described.get(name, ()))
    return Experiment(**described, points=np.asarray(here[POINTS][...]), luck=np.asarray(here[LUCK][...]))


def keys(folder: Path, group: str) -> dict[str, str]:
    """Keys of an experiment's blocks by arm, of the time when it ran."""
    return json.loads(str(store.group(folder, group).attrs["keys"]))


def stored(folder: Path) -> list[str]:
    """Groups of the experiments that a store holds whole, sorted."""
    found = []
    for place in (folder / store.COHORT / schema.EXPERIMENTS).glob("*/zarr.json"):
        with contextlib.suppress(OSError, ValueError):
            if "experiment" in json.loads(place.read_text(encoding="utf-8"))["attributes"]:
                found.append(f"{schema.EXPERIMENTS}/{place.parent.name}")
    return sorted(found)
