"""What a reference population attains, held against what it was made from."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from populations import fit
from populations.population import Population, Recipe, build
from populations.reference import Reference


class Row(NamedTuple):
    """One statistic of one variable, or of a pair `a ~ b`; all numbers in `unit`, difference = attained - target."""

    name: str
    statistic: str
    target: float
    attained: float
    difference: float
    unit: str


def attained(population: Population, size: int) -> list[Row]:
    """Mean, SD, quantiles and rank correlations of the first `size` patients beside those of the reference's own data.

    Raises ValueError where the population is not of a library reference, or fewer than 2 patients are asked for.
    """
    if not isinstance(population.people, Reference):
        raise ValueError("records have no targets to be held against; give a reference of the library")
    if size < 2:
        raise ValueError(f"{size} patients have no standard deviation; draw at least 2")
    return list(_rows(population, population.people, size))


def _rows(population: Population, people: Reference, size: int) -> Iterator[Row]:
    targets = people.targets
    drawn = population.draw(0, size)
    # A twin may want another unit; the targets are in the reference's.
    drawn |= {name: drawn[name] / factor for name, factor in population.factors.items()}
    units = {variable.name: variable.unit for variable in people.covariates}
    equal = np.ones(size)
    # A parameter of the twin may bear the name of a covariate, which is then not drawn.
    names = [variable.name for variable in population.variables if variable.kind == "covariate"]
    for name, numbers in targets["values"].items():
        if name not in names:
            continue
        probabilities = np.array(fit.TARGET_QUANTILES)
        got = (*fit.mean_and_sd(drawn[name], equal), *fit.quantiles(drawn[name], equal, probabilities))
        for statistic, target, value in zip(targets["statistics"], numbers, got, strict=True):
            yield Row(name, statistic, target, float(value), float(value) - target, units[name])
    for name, triangle in targets["rank_correlations"].items():
        for other, target in zip(targets["values"], triangle, strict=False):
            if name not in names or other not in names:
                continue
            value = fit.rank_correlation(drawn[name], drawn[other], equal)
            yield Row(f"{other} ~ {name}", "rank correlation", target, value, value - target, "1")


def population_of(reference: str, size: int, sampling: str = "sobol", seed: int = 20261122) -> dict[str, np.ndarray]:
    """The first `size` patients of a reference population, without a twin. Raises ValueError for an unknown one."""
    return build(None, Recipe(reference, sampling, seed)).draw(0, size)
