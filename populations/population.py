"""The population: a recipe for patients, from which any range of them can be drawn.

Patient i of uncertainty draw k is a pure function of (seed, i, k). Draw 0 is the point estimate. Draw k >= 1 moves the
same points through distributions resampled within their uncertainty: what differs between draws is our ignorance alone.
"""

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from populations import margin, records, reference, sampling
from populations.distributions import Categorical
from populations.inputs import Input, Quantiles
from populations.joint import Joint, joint
from populations.margin import Constant, Frequencies, Margin
from populations.recipe import Recipe, pairs, written_unit
from populations.records import Records, Wanted
from populations.reference import Reference
from populations.sampling import PANEL, Purpose
from populations.variable import Variable
from solvers.quantity import conversion
from solvers.twin import Covariate, Parameter, Twin


@dataclasses.dataclass(frozen=True, eq=False)
class Population:
    """Patients without end; made by `build`."""

    variables: tuple[Variable, ...]
    sampling: str
    seed: int
    people: Reference | Records
    joint: Joint
    constants: tuple[Constant, ...]
    factors: Mapping[str, float]  # from the unit of the people to that of the twin
    codes: Mapping[str, tuple[float, ...]]  # from the level of the people to that of the twin

    def draw(self, start: int, stop: int, draw: int = 0) -> dict[str, np.ndarray]:
        """Every variable of patients `start` to `stop` - 1, each (stop - start,), in uncertainty draw `draw`.

        Raises ValueError for a range or draw below 0.
        """
        if not 0 <= start <= stop or draw < 0:
            raise ValueError(f"patients {start} to {stop} of draw {draw} are no range; count from 0 upwards")
        # Whole panels, then cut: no patient's bits depend on how many neighbours were asked for.
        panels = {p: _panel(self, p, draw) for p in range(start // PANEL, (stop + PANEL - 1) // PANEL)}
        return {
            variable.name: np.concatenate(
                [np.empty(0)]
                + [
                    values[variable.name][max(start - p * PANEL, 0) : max(min(stop - p * PANEL, PANEL), 0)]
                    for p, values in panels.items()
                ]
            )
            for variable in self.variables
        }

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The independent latent variables of a patient, one a coordinate of his point."""
        return (*self.people.inputs, *self.joint.inputs)

    @property
    def unknowns(self) -> tuple[Input, ...]:
        """What is not known of the distributions, as independent inputs; those of one distribution form a group.

        The whole sampling error of the people is one input without a scale.
        """
        people = Input("people", f"who the people are ({self.people.name})", "chance", "people")
        return (people, *(each for one in self._uncertain() for each in one.unknowns))

    def points(self, start: int, stop: int) -> np.ndarray:
        """The points of patients `start` to `stop` - 1, (patient, input), the same in every uncertainty draw."""
        panels = range(start // PANEL, (stop + PANEL - 1) // PANEL)
        found = [sampling.points(self.sampling, self.seed, panel, len(self.inputs)) for panel in panels]
        return np.concatenate(found)[start - panels.start * PANEL : stop - panels.start * PANEL]

    def patients(self, points: np.ndarray, unknown: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Every variable of patients at given points of the cube.

        points: (patient, input), in the order of `inputs`. unknown: one point of `unknowns`; None is draw 0.
        Raises ValueError for points of another number of coordinates.
        """
        if points.ndim != 2 or points.shape[1] != len(self.inputs):
            raise ValueError(f"points have {points.shape=}; give one column for each of {len(self.inputs)} inputs")
        values = _valued(self, _resampled(self, 0) if unknown is None else self._at(unknown), points)
        return {variable.name: values[variable.name] for variable in self.variables}

    def learned(self, unknown: int | np.ndarray) -> dict[str, np.ndarray]:
        """What one would know of each uncertain distribution, (number,) each, in an uncertainty draw or at a point.

        Location and log scale of a normal score, shares of levels, the value of a constant. Who the people are is not
        told: it is too much for numbers.
        """
        _, joint, constants = _resampled(self, unknown) if isinstance(unknown, int) else self._at(unknown)
        uncertain = {one.name for one in self._uncertain()}
        return {one.name: one.known for one in (*joint.margins, *constants) if one.name in uncertain}

    def _at(self, unknown: np.ndarray) -> tuple[Reference | Records, Joint, tuple[Constant, ...]]:
        """The parts of the population at one point of `unknowns`."""
        if unknown.shape != (len(self.unknowns),):
            raise ValueError(f"a point has {unknown.shape=}; give one number for each of {len(self.unknowns)} unknowns")
        numbers = Quantiles(unknown[1:])
        one = {each.name: each.resampled(numbers) for each in self._uncertain()}
        joint = self.joint._replace(margins=tuple(one.get(each.name, each) for each in self.joint.margins))
        constants = tuple(one.get(each.name, each) for each in self.constants)
        rng = sampling.generator(self.seed, Purpose.PEOPLE, int(unknown[0] * 2**31))
        return self.people.resampled(rng), joint, constants

    def _uncertain(self) -> list:
        return [one for one in (*self.joint.margins, *self.constants) if one.unknowns]

    def fingerprint(self) -> str:
        """JSON of everything that the patients depend on, which their number is not."""
        return self._fingerprint

    # Equal where the patients are: a copy that came to a worker finds the panels that another one made.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Population) and self._fingerprint == other._fingerprint

    def __hash__(self) -> int:
        return hash(self._fingerprint)

    @functools.cached_property
    def _fingerprint(self) -> str:
        return json.dumps(
            {
                "sampling": self.sampling,
                "seed": self.seed,
                "reference": self.people.identity(),
                "variables": [[v.name, v.unit, list(v.levels)] for v in self.variables],
                "distributions": [one.identity() for one in (*self.joint.margins, *self.constants)],
                "correlated": list(self.joint.places),
                "cholesky": self.joint.cholesky.tolist(),
            },
            sort_keys=True,
        )


@functools.lru_cache(maxsize=4)
def _resampled(population: Population, draw: int) -> tuple[Reference | Records, Joint, tuple[Constant, ...]]:
    """The parts of one uncertainty draw, each from a stream of its own."""
    if draw == 0:
        return population.people, population.joint, population.constants
    purpose = Purpose.ROWS if isinstance(population.people, Records) else Purpose.CELLS
    rng = sampling.generator(population.seed, Purpose.IGNORANCE, draw)
    return (
        population.people.resampled(sampling.generator(population.seed, purpose, draw)),
        population.joint.resampled(rng),
        tuple(constant.resampled(rng) for constant in population.constants),
    )


# A study's patients come in blocks smaller than a panel; this keeps a panel from being made once a block.
@functools.lru_cache(maxsize=16)
def _panel(population: Population, panel: int, draw: int) -> dict[str, np.ndarray]:
    points = sampling.points(population.sampling, population.seed, panel, len(population.inputs))
    return _valued(population, _resampled(population, draw), points)


def _valued(
    population: Population, parts: tuple[Reference | Records, Joint, tuple[Constant, ...]], points: np.ndarray
) -> dict[str, np.ndarray]:
    people, joint, constants = parts
    values = people.draw(points[:, : people.dimensions])
    for name, factor in population.factors.items():
        values[name] = values[name] * factor
    for name, codes in population.codes.items():
        values[name] = np.array(codes)[values[name].astype(int)]
    values |= joint.draw(points[:, people.dimensions :])
    return values | {constant.name: np.full(len(points), constant.value) for constant in constants}


def references() -> list[str]:
    """Names of the reference populations in the library."""
    return reference.names()


def build(twin: Twin | None, recipe: Recipe) -> Population:
    """The population that a study file asks for: the people of its reference, with what `twin` needs of them.

    twin: None draws the reference alone. Raises ValueError, in one sentence, for whatever does not fit: unknown names,
    quantities of another unit, covariates that nobody gives, contradicting correlations, records that cannot be read.
    """
    sampling.check(recipe.sampling, recipe.seed)
    parameters = {parameter.name: parameter for parameter in twin.parameters} if twin else {}
    needed = {covariate.name: covariate for covariate in twin.covariates} if twin else {}
    _check_names(recipe, parameters)

    people = _people(recipe, parameters, needed)
    known = {variable.name: variable for variable in people.covariates}
    own: dict[str, Margin | Frequencies] = {}
    for name, texts in recipe.covariates.items():
        variable = known.get(name)
        # In a library reference the other covariates follow from it, in the unit and the levels of the reference.
        want = variable if isinstance(people, Reference) and variable else needed.get(name, variable)
        unit, levels = (want.unit, want.levels) if want else (written_unit(texts), ())
        own[name] = margin.covariate(name, unit, levels, texts)
    people = people.replacing(own)
    own = {name: one for name, one in own.items() if name not in known or isinstance(people, Records)}
    given = {variable.name: variable for variable in people.covariates if variable.name not in parameters}
    covariates = []
    factors: dict[str, float] = {}
    codes: dict[str, tuple[float, ...]] = {}
    for name, variable in given.items():
        if name in needed:
            variable, factors[name], codes[name] = _fitted(variable, needed[name])
        covariates.append(variable)
    for name, one in own.items():
        covariates.append(_assumed(name, one, needed.get(name, known.get(name)), written_unit(recipe.covariates[name])))
    for name, covariate in needed.items():
        if name not in given and name not in own:
            own[name] = _frequencies(covariate, recipe, people)
            covariates.append(_published(covariate, own[name]))

    drawn = {name: margin.parameter(one, recipe.parameters.get(name, {})) for name, one in parameters.items()}
    constants = {name: one for name, one in drawn.items() if isinstance(one, Constant)}
    margins = [*own.values(), *(one for one in drawn.values() if not isinstance(one, Constant))]
    why = dict.fromkeys(given, f"comes from {recipe.reference} and has the correlations that it has there")
    why |= dict.fromkeys(constants, "is the same for all patients")
    return Population(
        variables=(*covariates, *(_parameter(parameters[name], one, recipe) for name, one in drawn.items())),
        sampling=recipe.sampling,
        seed=recipe.seed,
        people=people,
        joint=joint(margins, pairs(recipe.correlations), why),
        constants=tuple(constants.values()),
        factors={name: factor for name, factor in factors.items() if factor != 1.0},
        codes={name: code for name, code in codes.items() if code},
    )


def _check_names(recipe: Recipe, parameters: Mapping[str, Parameter]) -> None:
    for name in recipe.parameters:
        if name not in parameters:
            known = ", ".join(parameters) or "none, where there is no twin"
            raise ValueError(f"parameter '{name}' is not known; write one of: {known}")
    for name in recipe.covariates:
        if name in parameters:
            raise ValueError(f"covariate '{name}' is a parameter of the twin; write it under parameters")


def _people(
    recipe: Recipe, parameters: Mapping[str, Parameter], needed: Mapping[str, Covariate]
) -> Reference | Records:
    file = Path(recipe.folder) / recipe.reference
    if file.suffix.lower() not in records.SUFFIXES:
        if recipe.columns or recipe.weight is not None:
            raise ValueError(
                f"columns and weight are of records, and '{recipe.reference}' is none; leave them out, "
                "or give a .csv or .parquet file as the reference"
            )
        return reference.load(recipe.reference)
    wanted = [Wanted(one.name, one.unit, one.levels) for name, one in needed.items() if name not in recipe.covariates]
    people = records.read(file, wanted, recipe.columns, recipe.weight)
    for name, header in people.headers.items():
        if name in parameters:
            raise ValueError(f"{file}:1: column '{header}' has the name of a parameter of the twin; rename the column")
    return people


def _fitted(variable: Variable, covariate: Covariate) -> tuple[Variable, float, tuple[float, ...]]:
    """A covariate of the people as the twin wants it: the variable, its factor, and the twin's code of each level."""
    if variable.levels or covariate.levels:
        if set(variable.levels) != set(covariate.levels):
            got, want = (", ".join(one.levels) or "numbers" for one in (variable, covariate))
            raise ValueError(
                f"covariate '{variable.name}' has levels {got}, and the twin's are {want}; "
                "give the share of each of the twin's levels under covariates, with another reference"
            )
        codes = tuple(float(covariate.levels.index(level)) for level in variable.levels)
        typical = codes[int(variable.typical)]
        return dataclasses.replace(variable, levels=covariate.levels, typical=typical), 1.0, codes
    try:
        factor = conversion(variable.unit, covariate.unit)
    except ValueError as error:
        raise ValueError(f"covariate '{variable.name}' of the reference: {error}") from error
    return dataclasses.replace(variable, unit=covariate.unit, typical=variable.typical * factor), factor, ()


def _frequencies(covariate: Covariate, recipe: Recipe, people: Reference | Records) -> Frequencies:
    """A categorical covariate that the people lack, by the twin's own frequencies."""
    if covariate.frequencies is None:
        prefix = f"{people.file}:1: " if isinstance(people, Records) else ""
        unit = f" [{covariate.unit}]" if not covariate.levels else ""
        do = "name its column under columns, or " if isinstance(people, Records) else ""
        raise ValueError(
            f"{prefix}covariate '{covariate.name}'{unit}, which the twin needs, is not in {recipe.reference} "
            f"(it has {', '.join(variable.name for variable in people.covariates)}); "
            f"{do}give its distribution under covariates"
        )
    shares = Categorical(covariate.levels, covariate.frequencies)
    return Frequencies(covariate.name, shares, covariate.subjects)


def _assumed(name: str, own: Margin | Frequencies, known: Covariate | Variable | None, unit: str) -> Variable:
    levels = own.distribution.levels if isinstance(own, Frequencies) else ()
    unit, title = (known.unit, known.title or name) if known else (unit or "1", name)
    return Variable(
        name, unit, "covariate", levels, title, margin.STUDY_FILE, "assumed", own.describe(unit), own.typical
    )


def _published(covariate: Covariate, own: Margin | Frequencies) -> Variable:
    return Variable(
        name=covariate.name,
        unit=covariate.unit,
        kind="covariate",
        levels=covariate.levels,
        title=covariate.title or covariate.name,
        source=covariate.source,
        evidence=covariate.evidence,
        description=own.describe(covariate.unit),
        typical=covariate.typical_code,
    )


def _parameter(parameter: Parameter, own: Margin | Frequencies | Constant, recipe: Recipe) -> Variable:
    changed = parameter.name in recipe.parameters
    return Variable(
        name=parameter.name,
        unit=parameter.unit,
        kind="parameter",
        levels=(),
        title=parameter.title or parameter.name,
        source=margin.STUDY_FILE if changed else parameter.source,
        evidence="assumed" if changed else parameter.evidence,
        description=own.describe(parameter.unit),
        typical=own.typical,
    )
