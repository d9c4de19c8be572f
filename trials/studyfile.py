"""The keys of a study file: what may stand where, what is filled in, and how each scalar is read."""

import math
import re
from typing import Annotated, Any, Literal, NoReturn, get_args

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from solvers.engine import LEAST, check_tolerance
from solvers.quantity import quantity
from trials import document
from trials.document import Document, Place, Tree

DEFAULTS: Tree = {
    "population": {"sampling": "sobol", "seed": "1", "uncertainty": {"draws": "0", "patients": "200"}},
    "eligibility": [],
    "tolerance": "1e-5",
    "adherence": {"taken": "100 %", "late": "0 h"},
    "trial": {"replicates": "1000", "dropout": "0 % per year", "accrual": "at once"},
    "analysis": {"method": "t-test", "sided": "2", "alpha": "5 %", "subgroups": "all"},
}


def _count(least: int, most: int) -> Any:
    def read(text: Any) -> int:
        if not (isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 20):
            raise ValueError(f"'{text}' is no whole number; write one from {least:,} to {most:,}")
        if not least <= int(text) <= most:
            raise ValueError(f"{int(text):,} is out of range; write a whole number from {least:,} to {most:,}")
        return int(text)

    return BeforeValidator(read)


def _hours(text: Any) -> float:
    value = quantity(_plain(text), "h")
    if value <= 0:
        raise ValueError(f"'{text}' is no length of time; write one above 0, such as 12 h")
    return value


def _lateness(text: Any) -> float:
    value = quantity(_plain(text), "h")
    if value < 0:
        raise ValueError(f"'{text}' is before the time; write how late doses are taken, 0 h or more")
    return value


def _share(text: Any) -> float:
    value = quantity(_plain(text), "1")
    if not 0 <= value <= 1:
        raise ValueError(f"'{text}' is no share; write one from 0 % to 100 %")
    return value


def _alpha(text: Any) -> float:
    value = _share(text)
    if not 0 < value < 0.5:
        raise ValueError(f"'{text}' is no significance level; write one above 0 % and below 50 %, such as 5 %")
    return value


def _tolerance(text: Any) -> float:
    try:
        value = float(_plain(text))
        check_tolerance(value)
    except ValueError:
        raise ValueError(f"'{text}' is no tolerance; write a number from {LEAST:g} to below 1, such as 1e-5") from None
    return value


def _plain(text: Any) -> str:
    if not isinstance(text, str):
        raise ValueError("is no plain text; write one value")
    return text


def _allocation(text: Any) -> tuple[int, ...]:
    parts = _plain(text).split(":")
    if len(parts) < 2 or not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
        raise ValueError(f"'{text}' is no allocation; write whole numbers such as 1:1 or 2:1")
    numbers = tuple(int(part) for part in parts)
    if not all(0 < number <= 100 for number in numbers):
        raise ValueError(f"'{text}' has a part outside 1 to 100; write one such as 2:1")
    return numbers


def _dropout(text: Any) -> float:
    """`10 % per year` as a hazard per day: the share that a year without other loss would lose."""
    match = re.fullmatch(r"\s*(.+?)\s+per\s+(.+?)\s*", _plain(text))
    if match is None:
        raise ValueError(f"'{text}' is no rate of loss; write one such as 10 % per year")
    share, days = _share(match[1]), quantity(f"1 {match[2]}", "day")
    if share >= 1 or days <= 0:
        raise ValueError(f"'{text}' loses everyone; write a share below 100 %")
    return -math.log1p(-share) / days


def _accrual(text: Any) -> float:
    """`30 per month` as subjects per day; `at once` is infinitely many."""
    if _plain(text).strip() == "at once":
        return math.inf
    match = re.fullmatch(r"\s*([\d.]+)\s+per\s+(.+?)\s*", text)
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"'{text}' is no accrual; write one such as 30 per month, or at once")
    return float(match[1]) / quantity(f"1 {match[2]}", "day")


Text = Annotated[str, BeforeValidator(_plain)]
Hours = Annotated[float, BeforeValidator(_hours)]
Section = dict[str, Any]


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _draws(text: Any) -> Any:
    if text == "1":
        raise ValueError("'1' tells no spread; write 0, or at least 2")
    return text


class Uncertainty(_Keys):
    draws: Annotated[int, _count(0, 10_000), BeforeValidator(_draws)]
    patients: Annotated[int, _count(1, 1024)]


class PopulationSection(_Keys):
    reference: Text
    size: Annotated[int, _count(2, 100_000_000)]
    sampling: Literal["random", "latin-hypercube", "sobol", "halton"]
    seed: Annotated[int, _count(0, 2**32 - 1)]
    uncertainty: Uncertainty
    covariates: dict[str, dict[str, Text]] = Field(default_factory=dict)
    parameters: dict[str, dict[str, Text]] = Field(default_factory=dict)
    correlations: dict[str, Text] = Field(default_factory=dict)
    columns: dict[str, Text] = Field(default_factory=dict)
    weight: Text | None = None


class Adherence(_Keys):
    """late: standard deviation [h] of the normal of which a dose's lateness is the absolute value."""

    taken: Annotated[float, BeforeValidator(_share)]
    late: Annotated[float, BeforeValidator(_lateness)]


class Before(_Keys):
    """The regimen that patients have long been on when they enter."""

    dose: Text
    every: Text
    over: Text | None = None
    gives: Text = "first"


class TrialSection(_Keys):
    """block: subjects in a permuted block. dropout: hazard [1/day]. accrual: subjects [1/day]."""

    replicates: Annotated[int, _count(2, 1_000_000)]
    subjects: Annotated[int, _count(4, 1_000_000)]
    allocation: Annotated[tuple[int, ...], BeforeValidator(_allocation)]
    block: Annotated[int, _count(2, 10_000)]
    dropout: Annotated[float, BeforeValidator(_dropout)]
    accrual: Annotated[float, BeforeValidator(_accrual)]


class AnalysisSection(_Keys):
    contrast: Text
    method: Literal["t-test", "pooled t-test"]
    sided: Literal["1", "2"]
    alpha: Annotated[float, BeforeValidator(_alpha)]
    subgroups: Text | list[Text]


class StudyFile(_Keys):
    """The keys of a study file. Quantities are in hours; the rest stays text until the twin is known."""

    study: Text
    title: Text
    twin: Any  # a name, or parts and what acts on what: see composition.py
    population: PopulationSection
    eligibility: list[Text]
    tick: Hours
    tolerance: Annotated[float, BeforeValidator(_tolerance)]
    record: Text
    visits: Text
    arms: dict[str, Section]
    adherence: Adherence
    before: Before | None = None
    outcomes: list[Text]
    endpoints: dict[str, Any]
    trial: TrialSection
    analysis: AnalysisSection


def typed(source: Document, tree: Tree) -> StudyFile:
    """The tree with its scalars read. Raises ValueError, with file and line, for the first that cannot be."""
    try:
        return StudyFile.model_validate(tree)
    except pydantic.ValidationError as error:
        _refuse_first(source, error)


def _refuse_first(source: Document, error: pydantic.ValidationError) -> NoReturn:
    """The first of what pydantic found, in our words."""
    # A misspelt key is at once unknown and missing: the first tells more.
    found = error.errors(include_url=False)
    first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    place: Place = tuple(first["loc"])
    where = ": ".join(str(part) for part in place)
    kind = first["type"]
    if kind == "extra_forbidden":
        known = _known_keys(place[:-1])
        source.refuse(place, f"unknown key '{where}'; write one of: {', '.join(known)}")
    if kind == "missing":
        source.refuse(place[:-1], f"'{where}' is missing; add it")
    if kind == "literal_error":
        source.refuse(place, f"{where} '{first['input']}' is unknown; write one of: {first['ctx']['expected']}")
    if kind == "value_error":
        source.refuse(place, f"{where}: {first['ctx']['error']}")
    wanted = {"list_type": "a list such as [a, b]", "dict_type": "keys under it", "model_type": "keys under it"}
    source.refuse(place, f"{where} is of the wrong form; write {wanted.get(kind, 'one plain value')}")


def _known_keys(place: Place) -> list[str]:
    model: Any = StudyFile
    for part in place:
        model = model.model_fields[str(part)].annotation
        model = next((each for each in get_args(model) if each is not type(None)), model)
    return list(model.model_fields)


def completed(source: Document) -> Tree:
    """The document's tree, defaults filled in. Raises ValueError, with file and line, for a section of text."""
    for key, default in DEFAULTS.items():
        if isinstance(default, dict) and key in source.tree and not isinstance(source.tree[key], dict):
            source.refuse((key,), f"'{key}' is no section; write keys under it: {', '.join(default)}")
    if "population" not in source.tree:
        source.refuse((), "'population' is missing; add it")
    tree = document.filled(source.tree, DEFAULTS)
    _fill_allocation(tree)
    return tree


def _fill_allocation(tree: Tree) -> None:
    """Equal allocation, and permuted blocks that hold it twice, where the file is silent."""
    trial = dict(tree["trial"])
    arms = tree.get("arms")
    trial.setdefault("allocation", ":".join("1" * len(arms)) if isinstance(arms, dict) and len(arms) > 1 else "1:1")
    try:
        trial.setdefault("block", str(2 * sum(_allocation(trial["allocation"]))))
    except ValueError:
        trial.setdefault("block", "4")  # the allocation is refused, with its line, when it is read
    tree["trial"] = trial
