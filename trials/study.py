"""The study file: what may stand in it, and the study that it describes."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from populations import population as populations
from solvers import twins
from solvers.policy import Policy
from solvers.quantity import quantity
from solvers.solve import Plan
from solvers.twin import Twin
from trials import document, policies
from trials.document import Document, Place, Tree
from trials.dosing import OptionError
from trials.eligibility import Criterion, criterion
from trials.endpoints import Endpoint, endpoint, fold

DEFAULTS: Tree = {
    "population": {"sampling": "sobol", "seed": "1", "uncertainty": {"draws": "0", "patients": "200"}},
    "eligibility": [],
    "adherence": {"taken": "100 %"},
    "trial": {"replicates": "1000", "dropout": "0 % per year", "accrual": "at once"},
    "analysis": {"method": "t-test", "sided": "2", "alpha": "5 %", "subgroups": "all"},
}
LONGEST = 100_000  # ticks; beyond, the tick is too short for the study


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


class Uncertainty(_Keys):
    draws: Annotated[int, _count(0, 10_000)]
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
    taken: Annotated[float, BeforeValidator(_share)]


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
    twin: Text
    population: PopulationSection
    eligibility: list[Text]
    tick: Hours
    record: Text
    visits: Text
    arms: dict[str, Section]
    adherence: Adherence
    outcomes: list[Text]
    endpoints: dict[str, Any]
    trial: TrialSection
    analysis: AnalysisSection


@dataclasses.dataclass(frozen=True)
class Arm:
    """options: as written, defaults filled in; they are what the arm's results depend on."""

    name: str
    options: Mapping[str, Any]
    policy: Policy


@dataclasses.dataclass(frozen=True)
class Study:
    """A study, checked. `text` is the file with its defaults filled in, and reads back as the same study."""

    name: str
    title: str
    text: str
    twin: Twin
    population: populations.Population
    recipe: PopulationSection
    criteria: tuple[Criterion, ...]
    plan: Plan
    arms: tuple[Arm, ...]
    endpoints: tuple[Endpoint, ...]
    trial: TrialSection
    analysis: AnalysisSection
    contrast: tuple[str, str]
    subgroups: tuple[tuple[str, float], ...]

    @property
    def seed(self) -> int:
        return self.recipe.seed

    @property
    def size(self) -> int:
        return self.recipe.size

    @property
    def visit_days(self) -> np.ndarray:
        """Days of the visits, (visit,)."""
        return np.asarray(self.plan.visits) * self.plan.tick / 24.0

    @property
    def record_days(self) -> np.ndarray:
        """Days of the record grid, (time,)."""
        return np.asarray(self.plan.records) * self.plan.tick / 24.0

    def arm(self, name: str) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)


def read(path: Path | str) -> Study:
    """The study of a file. Raises ValueError `FILE:LINE: what, got, do` for anything that is wrong with it."""
    path = Path(path)
    return study(document.read(path), path.parent)


def study(source: Document, folder: Path) -> Study:
    """The study that a document describes; paths in it start at `folder`."""
    _refuse_sections_of_text(source)
    tree = document.filled(source.tree, DEFAULTS)
    _fill_allocation(tree)
    reference = tree["population"].get("reference")
    if isinstance(reference, str) and Path(reference).suffix in (".csv", ".parquet"):
        tree["population"] = tree["population"] | {"reference": str((folder / reference).resolve())}
    file = _typed(source, tree)
    try:
        twin = twins.load(file.twin)
    except ValueError as error:
        source.refuse(("twin",), str(error))
    plan = _plan(source, file, twin)
    arms, tree["arms"] = _arms(source, file, twin)
    population = _population(source, file, twin)
    for i, outcome in enumerate(file.outcomes):
        if outcome in [variable.name for variable in population.variables]:
            source.refuse(("outcomes", i), f"outcome '{outcome}' is also the name of a covariate; leave one of them out")
    criteria = []
    for i, line in enumerate(file.eligibility):
        try:
            criteria.append(criterion(line, population.variables))
        except ValueError as error:
            source.refuse(("eligibility", i), str(error))
    endpoints = _endpoints(source, file, twin, plan)
    folds = {each.fold: fold(each) for each in endpoints.values() if each.fold}
    plan = plan._replace(folds=tuple(each for each in folds.values() if each is not None))
    allocation = file.trial.allocation
    if len(allocation) != len(arms):
        source.refuse(
            ("trial", "allocation"),
            f"allocation has {len(allocation)} parts and there are {len(arms)} arms; write one part an arm",
        )
    if file.trial.block % sum(allocation):
        source.refuse(
            ("trial", "block"),
            f"block {file.trial.block} does not hold whole allocations; write a multiple of {sum(allocation)}",
        )
    return Study(
        name=_name(source, file.study),
        title=file.title,
        text=document.write(tree),
        twin=twin,
        population=population,
        recipe=file.population,
        criteria=tuple(criteria),
        plan=plan,
        arms=arms,
        endpoints=tuple(endpoints.values()),
        trial=file.trial,
        analysis=file.analysis,
        contrast=_contrast(source, file, [arm.name for arm in arms]),
        subgroups=_subgroups(source, file, population, twin),
    )


def _refuse_sections_of_text(source: Document) -> None:
    """A section that is text or a list cannot take its defaults; say so before they are filled in."""
    for key, default in DEFAULTS.items():
        if isinstance(default, dict) and key in source.tree and not isinstance(source.tree[key], dict):
            source.refuse((key,), f"'{key}' is no section; write keys under it: {', '.join(default)}")
    for key in ("population",):
        if key not in source.tree:
            source.refuse((), f"'{key}' is missing; add it")


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


def _typed(source: Document, tree: Tree) -> StudyFile:
    try:
        return StudyFile.model_validate(tree)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
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
    return list(model.model_fields)


def _name(source: Document, name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,79}", name):
        source.refuse(("study",), f"study '{name}' is no short name; write letters, digits, dots and dashes")
    return name


def times(text: str) -> list[float]:
    """Reads `0, 3, 5 days` as hours, [0, 72, 120]: a number without a unit takes the one that follows it."""
    parts = [part.strip() for part in text.split(",")]
    hours: list[float] = []
    unit = ""
    for part in reversed(parts):
        match = re.fullmatch(r"([\d.]+)\s*(\D.*)?", part)
        if match is None:
            raise ValueError(f"'{part}' is no time; write a list such as 0, 7, 28 days")
        unit = match[2] or unit
        hours.append(quantity(f"{match[1]} {unit}", "h"))
    return hours[::-1]


def _on_ticks(source: Document, key: str, hours: Sequence[float], tick: float) -> tuple[int, ...]:
    numbers = []
    for hour in hours:
        number = round(hour / tick) if hour / tick < LONGEST else LONGEST + 1
        if number > LONGEST:
            source.refuse((key,), f"{key} {hour / 24:g} days lie beyond {LONGEST:,} ticks; choose a longer tick")
        if abs(hour / tick - number) > 1e-9:
            source.refuse(
                (key,), f"{key}: {hour:g} h falls between ticks of {tick:g} h; write a multiple of the tick"
            )
        numbers.append(number)
    for earlier, later in zip(numbers, numbers[1:], strict=False):
        if later <= earlier:
            source.refuse((key,), f"{key}: {later * tick:g} h does not come after {earlier * tick:g} h; write them in order")
    return tuple(numbers)


def _plan(source: Document, file: StudyFile, twin: Twin) -> Plan:
    try:
        visit_hours = times(file.visits)
    except ValueError as error:
        source.refuse(("visits",), f"visits: {error}")
    visits = _on_ticks(source, "visits", visit_hours, file.tick)
    ticks = visits[-1]
    if ticks == 0:
        source.refuse(("visits",), "visits end at 0; write a later last visit")
    match = re.fullmatch(r"\s*every\s+(.+)", file.record)
    try:
        if match:
            every = quantity(match[1], "h")
            if every <= 0:
                raise ValueError(f"'{file.record}' does not advance; write one such as every 1 day")
            if ticks * file.tick / every > LONGEST:
                raise ValueError(f"'{file.record}' makes more than {LONGEST:,} records; write a longer interval")
            record_hours = [i * every for i in range(int(ticks * file.tick / every + 1e-9) + 1)]
        else:
            record_hours = times(file.record)
    except ValueError as error:
        source.refuse(("record",), f"record: {error}")
    records = _on_ticks(source, "record", record_hours, file.tick)
    if records[-1] > ticks:
        source.refuse(("record",), "record goes on after the last visit; end it there")
    known = [item.name for item in (*twin.outputs, *twin.actions)]
    if not file.outcomes:
        source.refuse(("outcomes",), f"outcomes are empty; write some of: {', '.join(known)}")
    for i, outcome in enumerate(file.outcomes):
        if outcome not in known:
            source.refuse(("outcomes", i), f"outcome '{outcome}' is unknown; write one of: {', '.join(known)}")
        if outcome in file.outcomes[:i]:
            source.refuse(("outcomes", i), f"outcome '{outcome}' stands twice; keep one of them")
    return Plan(file.tick, ticks, records, visits, tuple(file.outcomes), (), file.adherence.taken)


def _arms(source: Document, file: StudyFile, twin: Twin) -> tuple[tuple[Arm, ...], Tree]:
    if len(file.arms) < 2:
        source.refuse(("arms",), f"there are {len(file.arms)} arms; a contrast needs two or more")
    arms, trees = [], {}
    for name, written in file.arms.items():
        if not re.fullmatch(r"[A-Za-z0-9][\w.]{0,79}", name):
            source.refuse(("arms", name), f"arm '{name}' is no short name; write letters, digits and underscores")
        options = dict(written)
        if options.get("policy") in policies.names():
            options = document.filled(options, dict(policies.load(options["policy"]).defaults))
        try:
            policy = policies.read(options, twin, file.tick)
        except OptionError as error:
            place = ("arms", name, error.key) if error.key else ("arms", name)
            source.refuse(place, f"arm '{name}': {error}")
        trees[name] = options
        arms.append(Arm(name, options, policy))
    return tuple(arms), trees


def _population(source: Document, file: StudyFile, twin: Twin) -> populations.Population:
    section = file.population
    recipe = populations.Recipe(
        reference=section.reference,
        sampling=section.sampling,
        seed=section.seed,
        covariates=section.covariates,
        parameters=section.parameters,
        correlations=section.correlations,
        columns=section.columns,
        weight=section.weight,
    )
    try:
        return populations.build(twin, recipe)
    except ValueError as error:
        sentence = str(error)
        named = re.search(r"'([^']+)'", sentence)
        place: Place = ("population",)
        for key in ("covariates", "parameters", "correlations", "columns"):
            if named and named[1] in getattr(section, key):
                place = ("population", key, named[1])
        source.refuse(place, f"population: {sentence}")


def _endpoints(source: Document, file: StudyFile, twin: Twin, plan: Plan) -> dict[str, Endpoint]:
    if "primary" not in file.endpoints:
        source.refuse(("endpoints",), "there is no endpoint 'primary'; add it")
    endpoints: dict[str, Endpoint] = {}
    days = f"{plan.ticks * plan.tick / 24:g} days"
    for name, entry in file.endpoints.items():
        if isinstance(entry, dict) and "until" not in entry and "responder" not in entry:
            entry = entry | {"until": days}
        try:
            each = endpoint(name, entry, endpoints, twin, plan.outcomes)
        except ValueError as error:
            source.refuse(("endpoints", name), str(error))
        visits = [visit * plan.tick for visit in plan.visits]
        if not any(abs(each.until - visit) < 1e-9 for visit in visits[1:]):
            source.refuse(
                ("endpoints", name, "until"),
                f"endpoint '{name}': until {each.until / 24:g} days is no visit; write the time of one",
            )
        endpoints[name] = each
    return endpoints


def _contrast(source: Document, file: StudyFile, arms: list[str]) -> tuple[str, str]:
    parts = [part.strip() for part in re.split(r"\s-\s", file.analysis.contrast)]
    if len(parts) != 2 or parts[0] == parts[1] or not set(parts) <= set(arms):
        source.refuse(
            ("analysis", "contrast"),
            f"contrast '{file.analysis.contrast}' is none; write two different arms of {', '.join(arms)} as A - B",
        )
    return parts[0], parts[1]


def _subgroups(
    source: Document, file: StudyFile, population: populations.Population, twin: Twin
) -> tuple[tuple[str, float], ...]:
    """Covariates to report the effect by, and the width of a numeric one's bands (0 for levels)."""
    covariates = {variable.name: variable for variable in population.variables if variable.kind == "covariate"}
    written = file.analysis.subgroups
    if written == "all":
        needed = [covariate.name for covariate in twin.covariates]
        return tuple((name, 0.0) for name in needed if covariates[name].levels) + tuple(
            ("age", 10.0) for name in covariates if name == "age"
        )
    subgroups = []
    for i, line in enumerate([written] if isinstance(written, str) else written):
        place: Place = ("analysis", "subgroups") if isinstance(written, str) else ("analysis", "subgroups", i)
        name, _, width = (part.strip() for part in line.partition(" by "))
        if name not in covariates:
            source.refuse(place, f"subgroup '{line}': no covariate '{name}'; write one of: {', '.join(covariates)}")
        variable = covariates[name]
        if bool(variable.levels) == bool(width):
            form = name if variable.levels else f"{name} by 10 {variable.unit}"
            source.refuse(place, f"subgroup '{line}' is of the wrong form; write {form}")
        try:
            band = quantity(width, variable.unit) if width else 0.0
        except ValueError as error:
            source.refuse(place, f"subgroup '{line}': {error}")
        if width and band <= 0:
            source.refuse(place, f"subgroup '{line}': bands of no width; write one such as {name} by 10 {variable.unit}")
        subgroups.append((name, band))
    return tuple(subgroups)
