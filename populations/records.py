"""Patients from records: the rows of a CSV or Parquet file, drawn whole, by weight.

A row keeps all its columns together, so whatever correlations the records have, the patients have. A column is found by
the study file's `columns`, by a header `age [year]` or `age_years`, or by the covariate's name where it has no unit.
"""

import csv
import dataclasses
import hashlib
import math
import re
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow
import pyarrow.parquet

from populations.inputs import Input
from populations.variable import Variable
from solvers.quantity import conversion

SUFFIXES = (".csv", ".parquet")
# Levels of covariates that need no twin to be understood.
KNOWN_LEVELS = {"sex": ("female", "male")}

_BRACKETED = re.compile(r"^\s*(.+?)\s*\[(.+)\]\s*$")
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")


class Wanted(NamedTuple):
    """A covariate that someone needs: its unit, or its levels."""

    name: str
    unit: str
    levels: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Records:
    """Rows as arrays; units and levels by covariate."""

    file: str
    sha256: str
    values: Mapping[str, np.ndarray]  # each (row,)
    units: Mapping[str, str]
    levels: Mapping[str, tuple[str, ...]]
    headers: Mapping[str, str]
    weights: np.ndarray  # (row,), sum 1
    weight: str | None = None  # header of the weights

    @property
    def name(self) -> str:
        return Path(self.file).name

    @property
    def dimensions(self) -> int:
        return len(self.inputs)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Which row a patient is: all its covariates at once, in no order."""
        return (Input("row", f"row of {self.name}, with all its covariates", "chance", "row"),)

    @property
    def covariates(self) -> tuple[Variable, ...]:
        return tuple(
            Variable(
                name=name,
                unit=self.units[name],
                kind="covariate",
                levels=self.levels[name],
                title=self.headers[name],
                source=self.file,
                evidence="fitted",
                description="rows drawn whole" + (", by weight" if self.weight else ""),
                typical=self._typical(name),
            )
            for name in self.values
        )

    def identity(self) -> dict[str, Any]:
        """What the draws depend on, as plain data; the file's place is none of it."""
        headers = {name: self.headers[name] for name in self.values}
        return {
            "sha256": self.sha256,
            "headers": headers,
            "units": {name: self.units[name] for name in headers},
            "weight": self.weight,
        }

    def replacing(self, own: Container[str]) -> "Records":
        """The records without the columns that `own` replaces."""
        return dataclasses.replace(
            self, values={name: column for name, column in self.values.items() if name not in own}
        )

    def draw(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Covariates of patients with these points, (patient, 1)."""
        until = np.cumsum(self.weights)
        # 'right': a row of weight 0 is never drawn.
        row = np.searchsorted(until / until[-1], points[:, 0], side="right")
        return {name: column[row] for name, column in self.values.items()}

    def resampled(self, rng: np.random.Generator) -> "Records":
        """The rows with Bayesian bootstrap weights: exponential, times their own. Rubin 1981, Ann Stat 9:130."""
        weights = self.weights * rng.standard_exponential(len(self.weights))
        return dataclasses.replace(self, weights=weights / weights.sum())

    def _typical(self, name: str) -> float:
        """Weighted median, or the level that weighs most."""
        column = self.values[name]
        if self.levels[name]:
            return float(np.argmax(np.bincount(column.astype(int), weights=self.weights)))
        order = np.argsort(column, kind="stable")
        middle = int(np.searchsorted(np.cumsum(self.weights[order]), 0.5))
        return float(column[order[min(middle, len(order) - 1)]])


class _Table(NamedTuple):
    """The text of a file: a column is its cells, "" where empty; lines[i] is where row i stands."""

    path: str
    columns: dict[str, list[str]]
    lines: list[int]

    def bad(self, row: int, sentence: str) -> ValueError:
        return ValueError(f"{self.path}:{self.lines[row]}: {sentence}")


def read(
    path: Path,
    wanted: Iterable[Wanted] = (),
    columns: Mapping[str, str] | None = None,
    weight: str | None = None,
) -> Records:
    """The records in `path`; `wanted` covariates that no column holds are left out, for the caller to judge.

    columns: header of a covariate where it cannot be guessed. weight: header of the rows' weights.
    Raises ValueError that begins with file and line (the header is line 1) for a file that cannot be read, text where
    numbers belong, empty cells, unknown levels, missing columns, and weights that are negative or all 0.
    """
    columns = dict(columns or {})
    table = _read_table(path)
    for header in (*columns.values(), *([weight] if weight else ())):
        if header not in table.columns:
            there = ", ".join(table.columns)
            raise ValueError(f"{table.path}:1: no column '{header}'; the columns are {there}; name one of them")
    values, units, levels, headers = {}, {}, {}, {}
    known = {want.name: want for want in wanted}
    for name in columns:
        known.setdefault(name, Wanted(name, "", KNOWN_LEVELS.get(name, ())))
    for want in known.values():
        header, unit = _find(table, want, columns.get(want.name))
        if header is None:
            continue
        headers[want.name], units[want.name], levels[want.name] = header, want.unit or unit, want.levels
        if want.levels:
            values[want.name] = _codes(table, header, want.levels)
        else:
            values[want.name] = _numbers(table, header, conversion(unit, want.unit or unit))
    for name, header, unit in _others(table, known.keys(), {*headers.values(), weight}):
        if all(_number(cell) is not None for cell in table.columns[header]):
            column = _numbers(table, header)
            values[name], units[name], levels[name], headers[name] = column, unit, (), header
    for name, named in KNOWN_LEVELS.items():
        if name not in values and name in table.columns and set(table.columns[name]) <= set(named):
            values[name], units[name], levels[name], headers[name] = _codes(table, name, named), "1", named, name
    return Records(
        file=table.path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        values=values,
        units=units,
        levels=levels,
        headers=headers,
        weights=_weights(table, weight),
        weight=weight,
    )


def _read_table(path: Path) -> _Table:
    if not path.is_file():
        raise ValueError(f"{path}:1: there is no such file; give the path of a .csv or .parquet file")
    try:
        table = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    except (OSError, UnicodeError, csv.Error, pyarrow.ArrowException) as error:
        raise ValueError(f"{path}:1: cannot be read ({error}); give a .csv in UTF-8 or a .parquet file") from error
    if not table.lines:
        raise ValueError(f"{path}:1: there are no rows of patients; give at least one")
    return table


def _read_csv(path: Path) -> _Table:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            header = [name.strip() for name in next(rows)]
        except StopIteration:
            raise ValueError(f"{path}:1: the file is empty; give a header and a row a patient") from None
        twice = [name for name in header if header.count(name) > 1]
        if twice:
            raise ValueError(f"{path}:1: two columns are called '{twice[0]}'; give each its own header")
        cells: list[list[str]] = [[] for _ in header]
        lines = []
        for row in rows:
            if not row:
                continue  # an empty line
            if len(row) != len(header):
                raise ValueError(f"{path}:{rows.line_num}: {len(row)} cells, {len(header)} headers; give one cell each")
            lines.append(rows.line_num)
            for column, cell in zip(cells, row, strict=True):
                column.append(cell.strip())
    return _Table(str(path), dict(zip(header, cells, strict=True)), lines)


def _read_parquet(path: Path) -> _Table:
    read = pyarrow.parquet.read_table(path)
    twice = [name for name in read.column_names if read.column_names.count(name) > 1]
    if twice:
        raise ValueError(f"{path}:1: two columns are called '{twice[0]}'; give each its own name")
    columns = {
        name: ["" if cell is None else str(cell).strip() for cell in read[name].to_pylist()]
        for name in read.column_names
    }
    # The header counts as line 1, as it would in the same table written as CSV.
    return _Table(str(path), columns, list(range(2, read.num_rows + 2)))


def _split(header: str) -> Iterable[tuple[str, str]]:
    """The ways to read a header as covariate and unit."""
    bracketed = _BRACKETED.match(header)
    if bracketed:
        yield bracketed[1], bracketed[2]
        return
    parts = header.split("_")
    for i in range(1, len(parts)):
        name, unit = "_".join(parts[:i]), "_".join(parts[i:])
        if name and re.search(r"[A-Za-z%]", unit):
            yield name, unit


def _measures(unit: str, target: str) -> bool:
    try:
        conversion(unit, target)
    except ValueError:
        return False
    return True


def _find(table: _Table, want: Wanted, header: str | None) -> tuple[str | None, str]:
    """The column of a covariate, and the unit of its numbers."""
    if header is not None:
        units = [unit for _, unit in _split(header) if not want.levels and _measures(unit, unit)]
        fitting = [unit for unit in units if _measures(unit, want.unit or unit)]
        if units and not fitting:
            raise ValueError(
                f"{table.path}:1: column '{header}' is in {units[0]}, and covariate '{want.name}' in {want.unit}; "
                f"name another column, or call it '{want.name} [{want.unit}]' if that is its unit"
            )
        return header, fitting[0] if fitting else (want.unit or "1")
    if want.levels or want.unit == "1":
        exact = [(name, want.unit) for name in table.columns if name == want.name]
    else:
        exact = []
    written = [
        (name, unit)
        for name in table.columns
        for before, unit in _split(name)
        if not want.levels and before == want.name and _measures(unit, want.unit)
    ]
    found = exact or written
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise ValueError(f"{table.path}:1: columns {names} may all be '{want.name}'; name one under columns")
    return found[0] if found else (None, "1")


def _others(table: _Table, known: Iterable[str], used: set[str | None]) -> Iterable[tuple[str, str, str]]:
    taken = set(known)
    for header in table.columns:
        if header in used:
            continue
        for name, unit in _split(header):
            if name not in taken and _measures(unit, unit):
                taken.add(name)
                yield name, header, unit
                break


def _number(cell: str, factor: float = 1.0) -> float | None:
    # float() would take 'nan', 'infinity' and '1_000' as well.
    number = float(cell) * factor if _NUMBER.match(cell) else math.nan
    return number if math.isfinite(number) else None


def _numbers(table: _Table, header: str, factor: float = 1.0) -> np.ndarray:
    numbers = np.empty(len(table.lines))
    for row, cell in enumerate(table.columns[header]):
        number = _number(cell, factor)
        if number is None:
            got = f"'{cell[:40]}'" if cell else "an empty cell"
            raise table.bad(row, f"column '{header}' holds {got}; write a number, or leave the row out")
        numbers[row] = number
    return numbers


def _codes(table: _Table, header: str, levels: tuple[str, ...]) -> np.ndarray:
    index = {level: float(code) for code, level in enumerate(levels)}
    codes = np.empty(len(table.lines))
    for row, cell in enumerate(table.columns[header]):
        if cell not in index:
            got = f"'{cell[:40]}'" if cell else "an empty cell"
            raise table.bad(row, f"column '{header}' holds {got}; write one of: {', '.join(levels)}")
        codes[row] = index[cell]
    return codes


def _weights(table: _Table, header: str | None) -> np.ndarray:
    if header is None:
        return np.full(len(table.lines), 1.0 / len(table.lines))
    weights = _numbers(table, header)
    if np.any(weights < 0):
        row = int(np.argmax(weights < 0))
        raise table.bad(row, f"weight '{header}' is {weights[row]:g}; write 0 or more")
    largest = weights.max()
    if largest == 0:
        raise ValueError(f"{table.path}:1: every weight '{header}' is 0; give one row a weight above 0")
    # By the largest first: a sum of huge weights may overflow.
    weights = weights / largest
    return weights / weights.sum()
