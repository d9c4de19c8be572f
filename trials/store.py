"""The store of a run: a Zarr group of arrays (arm, patient, time), and beside it one marker per finished chunk.

A shard is one (arm, chunk) of one variable, one file, written whole by one task. A chunk is done when its marker
holds the key that the study asks for and the files have the sizes that the marker names.
"""

import contextlib
import fcntl
import hashlib
import json
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
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(f"{folder} is being written by another run; wait for it, or give another --out") from error
        yield


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def group(folder: Path, name: str) -> zarr.Group:
    """The group, open for writing. Raises ValueError where it cannot be read."""
    path = folder / COHORT / name if name else folder / COHORT
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
    for left in path.rglob("*.partial"):  # of a killed writer
        left.unlink()
    here = zarr.open_group(path, mode="a", zarr_format=3, use_consolidated=False)
    padded = -(-size // chunk) * chunk
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
        one = {schema.ARM: 1}
        inner = tuple(({schema.PATIENT: width} | one).get(d, lengths[d]) for d in dimensions)
        outer = tuple(({schema.PATIENT: chunk} | one).get(d, lengths[d]) for d in dimensions)
        _create(here, variable, dimensions, shape, inner, outer, np.dtype(dtype), attributes)
    if schema.ARM not in here:
        here.create_array(schema.ARM, shape=(0,), dtype="U80", dimension_names=(schema.ARM,))
    here[schema.ARM].resize((len(stored),))
    here[schema.ARM][...] = np.asarray(stored, "U80")


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


def write_group(folder: Path, name: str, data: xr.Dataset) -> None:
    """Writes a derived group (aggregates, estimates) whole, in place of the one before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a string coordinate's type is newer than Zarr's specification
        data.to_zarr(folder / COHORT, group=name, mode="w", consolidated=False, zarr_format=3)
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


def chunk_variables(here: zarr.Group, arm: str) -> list[str]:
    """Variables that a chunk of an arm, or of the patients themselves (arm ''), consists of, sorted."""
    found = []
    for name, array in here.arrays():
        dimensions = array.metadata.dimension_names
        if schema.PATIENT in dimensions and (schema.ARM in dimensions) == bool(arm):
            found.append(name)
    return sorted(found)


def _shard(folder: Path, group_name: str, array: zarr.Array, name: str, arm_number: int, chunk: int) -> Path:
    dimensions = array.metadata.dimension_names
    place = ["c"] + [str({schema.ARM: arm_number, schema.PATIENT: chunk}.get(d, 0)) for d in dimensions]
    return folder.joinpath(COHORT, *([group_name] if group_name else []), name, *place)


def _region(array: zarr.Array, arm_number: int, start: int, stop: int) -> tuple:
    places = {schema.ARM: arm_number, schema.PATIENT: slice(start, stop)}
    return tuple(places.get(d, slice(None)) for d in array.metadata.dimension_names)


def digest(columns: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of values, by name."""
    total = hashlib.sha256()
    for name in sorted(columns):
        total.update(name.encode() + b"\0" + np.ascontiguousarray(columns[name]).tobytes())
    return total.hexdigest()


def write_chunk(folder: Path, marker: Marker, columns: Mapping[str, np.ndarray]) -> None:
    """Writes every variable of a chunk, each (patient, ...), then its marker, by temporary file and rename."""
    here = group(folder, marker.group)
    number = stored_arms(here).index(marker.arm) if marker.arm else 0
    names = chunk_variables(here, marker.arm)
    missing = sorted(set(names) ^ set(columns))
    if missing:
        raise ValueError(f"chunk and store differ in {', '.join(missing)}; write to a new folder")
    files, stored = {}, {}
    for name in names:
        array = here[name]
        stored[name] = np.asarray(columns[name]).astype(array.dtype)
        # An array's metadata does not keep this setting, and a chunk of fill values must be a file like any other.
        with zarr.config.set({"array.write_empty_chunks": True}):
            here[name][_region(array, number, marker.start, marker.stop)] = stored[name]
        files[name] = _shard(folder, marker.group, array, name, number, marker.chunk).stat().st_size
    marker = marker._replace(sha256=digest(stored), files=files)
    path = marker_path(folder, marker.group, marker.arm, marker.chunk)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(marker._asdict()))


def marker_path(folder: Path, group_name: str, arm: str, chunk: int) -> Path:
    # The names are kept apart by their folders: an arm may be called like anything.
    return folder / MARKERS / (group_name or "candidates") / (f"arm-{arm}" if arm else "patients") / f"{chunk}.json"


def read_marker(folder: Path, group_name: str, arm: str, chunk: int) -> Marker | None:
    """The marker of a chunk, None where it is absent, broken, or its files are not those it names."""
    try:
        marker = Marker(**json.loads(marker_path(folder, group_name, arm, chunk).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    here = group(folder, group_name)
    if marker.arm and marker.arm not in stored_arms(here):
        return None
    number = stored_arms(here).index(arm) if arm else 0
    for name in chunk_variables(here, arm):
        array = here[name]
        shard = _shard(folder, group_name, array, name, number, chunk)
        if not shard.exists() or shard.stat().st_size != marker.files.get(name):
            return None
    return marker


def done(folder: Path, group_name: str, arm: str, chunk: int, stop: int, key: str) -> bool:
    """Whether the chunk holds all patients before `stop` under this key."""
    marker = read_marker(folder, group_name, arm, chunk)
    return marker is not None and marker.key == key and marker.stop >= stop


def chunk_so_far(
    folder: Path, group_name: str, arm: str, chunk: int, start: int, stop: int, key: str
) -> tuple[int, dict[str, np.ndarray]]:
    """The blocks of a chunk that are there: (first patient lacking, columns), (start, {}) where there are none."""
    marker = read_marker(folder, group_name, arm, chunk)
    if marker is None or marker.key != key or marker.stop >= stop:
        return start, {}
    columns = read_chunk(folder, marker)
    return (marker.stop, columns) if digest(columns) == marker.sha256 else (start, {})


def read_chunk(folder: Path, marker: Marker) -> dict[str, np.ndarray]:
    """The columns of a marked chunk."""
    here = group(folder, marker.group)
    number = stored_arms(here).index(marker.arm) if marker.arm else 0
    columns = {}
    for name in chunk_variables(here, marker.arm):
        array = here[name]
        columns[name] = np.asarray(array[_region(array, number, marker.start, marker.stop)])
    return columns


def open_group(folder: Path, name: str) -> xr.Dataset:
    """A group as xarray opens it, lazily, without looking at what is done."""
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
