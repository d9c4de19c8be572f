"""The store of a run: a Zarr group of arrays (arm, patient, time), and beside it one marker per finished chunk.

A shard is one (arm, chunk) of one variable, one file, written whole by one task. A chunk is done when its marker
holds the key that the study asks for and the files have the sizes that the marker names.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from trials import schema

COHORT = "cohort.zarr"
MARKERS = "markers"
STUDY = "study.yaml"
READ = 128 * 2**10  # bytes of an inner chunk


class Layout(NamedTuple):
    """The arrays of a group.

    variables: name -> (dimensions, dtype, attributes). coordinates: name -> (dimension, values, attributes).
    """

    variables: Mapping[str, tuple[tuple[str, ...], str, dict[str, Any]]]
    coordinates: Mapping[str, tuple[str, np.ndarray, dict[str, Any]]]


class Marker(NamedTuple):
    """What is said of a finished chunk. sha256: of its values. files: variable -> bytes of its shard."""

    group: str
    arm: str
    chunk: int
    start: int
    stop: int
    key: str
    sha256: str
    statuses: dict[str, int]
    failures: list[dict]
    files: dict[str, int]


@contextlib.contextmanager
def writer(folder: Path) -> Iterator[None]:
    """Makes the folder and holds it for one writer; the lock ends with the process, however it ends."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; give --out a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("w")
    except OSError as error:
        raise ValueError(f"{folder} cannot be written ({error.strerror}); give --out a folder of yours") from error
    with handle:
        for patience in (0.01, 0.04, 0.2, 0.0):  # whoever looks whether it is held, holds it for an instant
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if not patience:
                    raise ValueError(
                        f"{folder} is being written by another run; wait for it, or give another --out"
                    ) from error
                time.sleep(patience)
        yield


def busy(folder: Path) -> bool:
    """Whether somebody is writing the folder now."""
    try:
        with (folder / ".lock").open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def sweep(folder: Path) -> None:
    """Removes what a killed writer left half-written."""
    for left in list(folder.rglob("*.partial")):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def group(folder: Path, name: str) -> zarr.Group:
    """The group, open for writing. Raises ValueError where it cannot be read."""
    path = folder / COHORT / name if name else folder / COHORT
    for file in (path / "zarr.json", *path.glob("*/zarr.json")):
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            if file.parent.name in schema.DERIVED:
                shutil.rmtree(file.parent, ignore_errors=True)  # the next analysis makes it again
                continue
            raise ValueError(f"{file} is broken ({error}); remove {folder} and run the study again") from error
    try:
        return zarr.open_group(path, mode="r+", use_consolidated=False)
    except Exception as error:  # zarr raises a dozen kinds for a broken store
        raise ValueError(f"{path} is no readable store ({error}); run the study again, or remove {folder}") from error


def exists(folder: Path) -> bool:
    return (folder / COHORT / "zarr.json").exists()


def prepare(folder: Path, name: str, layout: Layout, arms: list[str], size: int, chunk: int, width: int) -> None:
    """Makes the arrays of a group, or grows those that are there to these arms and whole chunks of `size` patients."""
    root = folder / COHORT
    path = root / name if name else root
    here = zarr.open_group(path, mode="a", zarr_format=3, use_consolidated=False)
    padded = -(-size // chunk) * chunk
    for left, array in list(here.arrays()):
        # Of outcomes that the study no longer asks for; every arm's key has changed with them.
        if schema.ARM in (array.metadata.dimension_names or ()) and left not in {*layout.variables, schema.ARM}:
            del here[left]
    known = stored_arms(here)
    stored = known + [arm for arm in arms if arm not in known]
    lengths = {schema.ARM: len(stored), schema.PATIENT: padded}
    lengths |= {dimension: len(values) for dimension, values, _ in layout.coordinates.values()}
    for coordinate, (dimension, values, attributes) in layout.coordinates.items():
        if coordinate not in here:
            _create(here, coordinate, (dimension,), values.shape, values.shape, values.shape, values.dtype, attributes)
            here[coordinate][...] = values
    for variable, (dimensions, dtype, attributes) in layout.variables.items():
        shape = tuple(lengths[dimension] for dimension in dimensions)
        if variable in here:
            before = here[variable].shape
            if before != shape:
                here[variable].resize(tuple(max(a, b) for a, b in zip(before, shape, strict=True)))
            continue
        one = {schema.ARM: 1, schema.PATIENT: 1}
        per_patient = np.dtype(dtype).itemsize * int(np.prod([one.get(d, lengths[d]) for d in dimensions]))
        read = {schema.ARM: 1, schema.PATIENT: read_at_once(chunk, width, per_patient)}
        inner = tuple(read.get(d, lengths[d]) for d in dimensions)
        outer = tuple(({schema.PATIENT: chunk, schema.ARM: 1}).get(d, lengths[d]) for d in dimensions)
        _create(here, variable, dimensions, shape, inner, outer, np.dtype(dtype), attributes)
    here.attrs["coordinates"] = schema.DRAW  # as xarray reads it: not data, but which draw a patient is of
    if schema.ARM not in here:
        here.create_array(schema.ARM, shape=(0,), dtype="U80", dimension_names=(schema.ARM,))
    here[schema.ARM].resize((len(stored),))
    here[schema.ARM][...] = np.asarray(stored, "U80")


def read_at_once(chunk: int, width: int, per_patient: int) -> int:
    """Patients of an inner chunk, the least that is read: whole blocks that divide a shard, of up to READ bytes.

    A single block of one number a patient takes longer to be looked up than to be read.
    """
    blocks = chunk // width
    fitting = [n for n in range(1, blocks + 1) if blocks % n == 0 and n * width * per_patient <= READ]
    return width * max(fitting, default=1)


def _create(
    here: zarr.Group,
    name: str,
    dimensions: tuple[str, ...],
    shape: tuple[int, ...],
    inner: tuple[int, ...],
    outer: tuple[int, ...],
    dtype: np.dtype,
    attributes: dict[str, Any],
) -> None:
    here.create_array(
        name,
        shape=shape,
        chunks=inner,
        shards=outer,
        dtype=dtype,
        fill_value=np.nan if dtype.kind == "f" else 0,
        compressors=[BloscCodec(cname="zstd", clevel=5, shuffle="shuffle"), Crc32cCodec()],
        dimension_names=dimensions,
        attributes=attributes,
        config={"write_empty_chunks": True},
    )


def stored_arms(here: zarr.Group) -> list[str]:
    """Arms in the order in which the store holds them: new ones come last."""
    return [str(arm) for arm in here[schema.ARM][...]] if schema.ARM in here else []


def made(folder: Path, name: str) -> zarr.Group:
    """The group, made with those above it where they are not there."""
    parts = name.split("/")
    for i in range(len(parts)):
        path = folder.joinpath(COHORT, *parts[: i + 1])
        here = zarr.open_group(path, mode="a", zarr_format=3, use_consolidated=False)
    return here


def write_groups(folder: Path, groups: Mapping[str, xr.Dataset]) -> None:
    """Writes derived groups (aggregates, estimates) whole or not at all, in place of those before."""
    for name, data in groups.items():
        if "/" in name:
            made(folder, name.rpartition("/")[0])
        partial = f"{name}.partial"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a string coordinate's type is newer than Zarr's specification
            data.to_zarr(folder / COHORT, group=partial, mode="w", consolidated=False, zarr_format=3)
        shutil.rmtree(folder / COHORT / name, ignore_errors=True)
        (folder / COHORT / partial).replace(folder / COHORT / name)
    consolidate(folder)


def consolidate(folder: Path) -> None:
    """Gathers the metadata in one file, for readers that look for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # consolidated metadata is not yet in Zarr's specification; xarray wants it
        zarr.consolidate_metadata(folder / COHORT)


def finish(folder: Path, sizes: Mapping[str, int]) -> None:
    """Cuts the padding off the patients, so that xarray alone shows just those of the study."""
    for name, size in sizes.items():
        here = group(folder, name)
        for _, array in here.arrays():
            dimensions = array.metadata.dimension_names
            if schema.PATIENT in dimensions:
                shape = tuple(size if d == schema.PATIENT else n for d, n in zip(dimensions, array.shape, strict=True))
                array.resize(shape)
    consolidate(folder)


class Shelf(NamedTuple):
    """A group's arrays, looked up once: listing them costs more than reading a marker.

    chunked: variables by patient, of the lives (True: by arm too) and of who the patients are (False).
    """

    folder: Path
    group: str
    arms: list[str]
    chunked: dict[bool, dict[str, zarr.Array]]

    def variables(self, arm: str) -> dict[str, zarr.Array]:
        """What a chunk of an arm, or of the patients themselves (arm ''), consists of, sorted by name."""
        return self.chunked[bool(arm)]

    def shard(self, name: str, arm: str, chunk: int) -> Path:
        """The file of one variable of a chunk."""
        dimensions = self.variables(arm)[name].metadata.dimension_names
        places = {schema.ARM: self.arms.index(arm) if arm else 0, schema.PATIENT: chunk}
        place = ["c", *(str(places.get(dimension, 0)) for dimension in dimensions)]
        return self.folder.joinpath(COHORT, *([self.group] if self.group else []), name, *place)

    def region(self, name: str, arm: str, start: int, stop: int) -> tuple:
        """Where patients [start, stop) of an arm lie in a variable."""
        places = {schema.ARM: self.arms.index(arm) if arm else 0, schema.PATIENT: slice(start, stop)}
        dimensions = self.variables(arm)[name].metadata.dimension_names
        return tuple(places.get(dimension, slice(None)) for dimension in dimensions)


def shelf(folder: Path, name: str) -> Shelf:
    """The arrays of a group. Raises ValueError where it cannot be read."""
    here = group(folder, name)
    chunked: dict[bool, dict[str, zarr.Array]] = {True: {}, False: {}}
    for variable, array in sorted(here.arrays()):
        dimensions = array.metadata.dimension_names
        if schema.PATIENT in dimensions:
            chunked[schema.ARM in dimensions][variable] = array
    return Shelf(folder, name, stored_arms(here), chunked)


def digest(columns: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of values, by name."""
    total = hashlib.sha256()
    for name in sorted(columns):
        total.update(name.encode() + b"\0" + np.ascontiguousarray(columns[name]).tobytes())
    return total.hexdigest()


def write_chunk(shelf: Shelf, marker: Marker, columns: Mapping[str, np.ndarray]) -> None:
    """Writes every variable of a chunk, each (patient, ...), then its marker, by temporary file and rename."""
    variables = shelf.variables(marker.arm)
    odd = sorted(set(variables) ^ set(columns))
    if odd:
        raise ValueError(f"chunk and store differ in {', '.join(odd)}; write to a new folder")
    files, stored = {}, {}
    # An array's metadata does not keep this setting, and a chunk of fill values must be a file like any other.
    with zarr.config.set({"array.write_empty_chunks": True}):
        here = group(shelf.folder, shelf.group)
        for name, array in variables.items():
            stored[name] = np.asarray(columns[name]).astype(array.dtype)
            # Written whole: what is there, perhaps damaged, must not be read to be filled up.
            shelf.shard(name, marker.arm, marker.chunk).unlink(missing_ok=True)
            here[name][shelf.region(name, marker.arm, marker.start, marker.stop)] = stored[name]
            files[name] = shelf.shard(name, marker.arm, marker.chunk).stat().st_size
    marker = marker._replace(sha256=digest(stored), files=files)
    path = marker_path(shelf.folder, marker.group, marker.arm, marker.chunk)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(marker._asdict()))


def marker_path(folder: Path, group_name: str, arm: str, chunk: int) -> Path:
    # The names are kept apart by their folders: an arm may be called like anything.
    return folder / MARKERS / (group_name or "candidates") / (f"arm-{arm}" if arm else "patients") / f"{chunk}.json"


def read_marker(shelf: Shelf, arm: str, chunk: int) -> Marker | None:
    """The marker of a chunk, None where it is absent, broken, or its files are not those it names."""
    try:
        path = marker_path(shelf.folder, shelf.group, arm, chunk)
        marker = Marker(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if (arm and arm not in shelf.arms) or not isinstance(marker.files, dict) or not isinstance(marker.stop, int):
        return None
    for name in shelf.variables(arm):
        shard = shelf.shard(name, arm, chunk)
        if not shard.exists() or shard.stat().st_size != marker.files.get(name):
            return None
    return marker


def done(shelf: Shelf, arm: str, chunk: int, stop: int, key: str) -> Marker | None:
    """The marker of a chunk that holds all patients before `stop` under this key, None where it does not."""
    marker = read_marker(shelf, arm, chunk)
    return marker if marker is not None and marker.key == key and marker.stop >= stop else None


def sound(shelf: Shelf, marker: Marker | None) -> bool:
    """Whether a chunk's values are those that were written."""
    if marker is None:
        return False
    try:
        return digest(read_chunk(shelf, marker)) == marker.sha256
    except Exception:  # zarr raises a dozen kinds for a broken shard
        return False


def chunk_so_far(
    shelf: Shelf, arm: str, chunk: int, start: int, stop: int, width: int, key: str
) -> tuple[int, dict[str, np.ndarray]]:
    """The whole blocks of a chunk that are there: first patient lacking and columns; start and {} where none are."""
    marker = read_marker(shelf, arm, chunk)
    if marker is None or marker.key != key or marker.stop >= stop or not sound(shelf, marker):
        return start, {}
    # The last block of an experiment may be short; patient i stays in lane i mod width.
    kept = (marker.stop - start) // width * width
    return start + kept, {name: column[:kept] for name, column in read_chunk(shelf, marker).items()} if kept else {}


def read_chunk(shelf: Shelf, marker: Marker) -> dict[str, np.ndarray]:
    """The columns of a marked chunk, with the padding of its last block, which a finished store no longer shows."""
    columns = {}
    for name, array in shelf.variables(marker.arm).items():
        dimensions = array.metadata.dimension_names
        shape = (marker.stop if d == schema.PATIENT else n for d, n in zip(dimensions, array.shape, strict=True))
        # In memory alone: the store is only read.
        padded = dataclasses.replace(array.metadata, shape=tuple(shape))
        whole = zarr.Array(zarr.AsyncArray(metadata=padded, store_path=array.store_path))
        columns[name] = np.asarray(whole[shelf.region(name, marker.arm, marker.start, marker.stop)])
    return columns


def open_group(folder: Path, name: str) -> xr.Dataset:
    """A group as xarray opens it, lazily, without looking at what is done."""
    group(folder, name)
    path = folder / COHORT / name if name else folder / COHORT
    try:
        return xr.open_zarr(path, consolidated=False, chunks=None)
    except Exception as error:  # zarr and xarray raise a dozen kinds for a broken store
        raise ValueError(f"{path} is no readable store ({error}); run the study again") from error


def markers(folder: Path) -> list[Marker]:
    """All sound markers of a run, sorted by group, arm and chunk."""
    found = []
    for path in sorted((folder / MARKERS).rglob("*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            found.append(Marker(**json.loads(path.read_text(encoding="utf-8"))))
    return sorted(found, key=lambda marker: (marker.group, marker.arm, marker.chunk))
