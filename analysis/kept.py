"""What analyses keep with a run: written whole, and told only as long as the study is the one they were made of."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import xarray as xr

from trials import schema, store

MARK = "study_sha256"
GROUPED = "+"  # between a method and what it grouped, in the name of its indices


def called(method: str, groups: Mapping[str, Sequence[str]]) -> str:
    """Name under which a method's indices are kept: its own, with a grouping such as `sobol+pk-3f2a91c0`."""
    together = {name: sorted(members) for name, members in groups.items() if list(members) != [name]}
    if not together:
        return method
    words = re.sub("[^a-z0-9]+", "-", "-".join(sorted(together)).lower()).strip("-")[:40]
    mark = hashlib.sha256(json.dumps(together, sort_keys=True).encode()).hexdigest()[:8]
    return f"{method}{GROUPED}{words}-{mark}"


def write(folder: Path, groups: Mapping[str, xr.Dataset]) -> None:
    """Writes groups in place of those before, marked with the study of the folder."""
    marked = {name: data.assign_attrs({MARK: _mark(folder)}) for name, data in groups.items()}
    with store.writer(folder):
        store.write_groups(folder, marked)


def has(folder: Path, group: str) -> bool:
    """Whether a group is there, whole, and of the study as it is now."""
    try:
        described = json.loads((folder / store.COHORT / group / "zarr.json").read_text(encoding="utf-8"))
        return described["attributes"].get(MARK) == _mark(folder)
    except (OSError, ValueError, KeyError):
        return False


def read(folder: Path, group: str) -> xr.Dataset | None:
    """A group, loaded; None where there is none of the study as it is now."""
    if not has(folder, group):
        return None
    try:
        return store.open_group(folder, group).load()
    except ValueError:
        return None  # broken: it is made again


def indices(folder: Path) -> list[str]:
    """Groups of the indices that are kept, sorted."""
    found = (folder / store.COHORT / schema.SENSITIVITY).glob("*/*/zarr.json")
    names = [f"{schema.SENSITIVITY}/{path.parts[-3]}/{path.parts[-2]}" for path in found]
    return sorted(name for name in names if has(folder, name))


def surrogates(folder: Path, of: str) -> list[str]:
    """Methods whose surrogates of a set of inputs are kept, sorted."""
    found = (folder / store.COHORT / schema.SURROGATES / of).glob("*/zarr.json")
    names = sorted(path.parent.name for path in found)
    return [name for name in names if has(folder, f"{schema.SURROGATES}/{of}/{name}")]


def _mark(folder: Path) -> str:
    return hashlib.sha256((folder / store.STUDY).read_bytes()).hexdigest()
