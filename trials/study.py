"""The study file: what may stand in it, and the study that it describes."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from populations import population as populations
from solvers.policy import Policy
from solvers.quantity import quantity
from solvers.solve import Plan
from solvers.steady import Regimen
from solvers.twin import Twin
from trials import composition, document, policies, studyfile
from trials.document import Document, Place, Tree
from trials.dosing import OptionError, before
from trials.eligibility import Criterion, criterion
from trials.endpoints import Endpoint, endpoint, fold
from trials.schedule import schedule
from trials.studyfile import AnalysisSection, PopulationSection, StudyFile, TrialSection


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
    tolerance: float
    arms: tuple[Arm, ...]
    endpoints: tuple[Endpoint, ...]
    trial: TrialSection
    analysis: AnalysisSection
    contrast: tuple[str, str]
    subgroups: tuple[tuple[str, float], ...]
    source: Document

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


LIBRARY = Path(__file__).parent / "library"


def find(name: str) -> Path:
    """The path `name`, or the file of that name in the library. Raises ValueError where there is neither."""
    path = Path(name)
    if name.strip() in ("", "."):
        raise ValueError("no study is named; write a path, or a name of the library")
    if path.exists() or path.suffix or path.parent != Path():
        return path
    if (LIBRARY / f"{name}.yaml").exists():
        return LIBRARY / f"{name}.yaml"
    known = ", ".join(sorted(file.stem for file in LIBRARY.glob("*.yaml")))
    raise ValueError(f"study '{name}' is neither a file nor in the library; write a path, or one of: {known}")


def read(path: Path | str) -> Study:
    """The study of a file. Raises ValueError `FILE:LINE: what, got, do` for anything that is wrong with it."""
    path = Path(path)
    return study(document.read(path), path.parent)


def study(source: Document, folder: Path) -> Study:
    """The study that a document describes; paths in it start at `folder`."""
    tree = studyfile.completed(source)
    reference = tree["population"].get("reference")
    if isinstance(reference, str) and Path(reference).suffix in (".csv", ".parquet"):
        tree["population"] = tree["population"] | {"reference": str((folder / reference).resolve())}
    file = studyfile.typed(source, tree)
    twin = composition.read(source, file.twin)
    plan = schedule(source, file, twin)._replace(before=_before(source, file, twin))
    arms, tree["arms"] = _arms(source, file, twin)
    population = _population(source, file, twin)
    for i, outcome in enumerate(file.outcomes):
        if outcome in [variable.name for variable in population.variables]:
            source.refuse(
                ("outcomes", i), f"outcome '{outcome}' is also the name of a covariate; leave one of them out"
            )
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
        tolerance=file.tolerance,
        arms=arms,
        endpoints=tuple(endpoints.values()),
        trial=file.trial,
        analysis=file.analysis,
        contrast=_contrast(source, file, [arm.name for arm in arms]),
        subgroups=_subgroups(source, file, population, twin),
        source=source,
    )


def _name(source: Document, name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,79}", name):
        source.refuse(("study",), f"study '{name}' is no short name; write letters, digits, dots and dashes")
    return name


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


def _before(source: Document, file: StudyFile, twin: Twin) -> Regimen | None:
    if file.before is None:
        return None
    try:
        return before(file.before.dose, file.before.every, file.before.over, file.before.gives, twin, file.tick)
    except OptionError as error:
        source.refuse(("before", error.key) if error.key else ("before",), f"before: {error}")


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
    end = f"{plan.ticks * plan.tick:.15g} h"
    for name, entry in file.endpoints.items():
        if isinstance(entry, dict) and "until" not in entry and "responder" not in entry:
            entry = entry | {"until": end}
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
            source.refuse(
                place, f"subgroup '{line}': bands of no width; write one such as {name} by 10 {variable.unit}"
            )
        subgroups.append((name, band))
    return tuple(subgroups)
