"""Who the patients of a group of the store are: candidates, draws of an uncertain population, or an experiment's."""

from typing import NamedTuple

import numpy as np

from trials import schema
from trials.entrants import Entrants
from trials.experiment import Experiment
from trials.study import Study


class People(NamedTuple):
    """Patients of a block. values: covariates and parameters by name, each (patient,). luck: which patient's random
    numbers each has, (patient,). draw: of the population, (patient,); 0 is the point estimate."""

    values: dict[str, np.ndarray]
    luck: np.ndarray
    draw: np.ndarray


def people(study: Study, group: str, numbers: np.ndarray) -> People:
    """The patients with consecutive `numbers` of the candidates or of the uncertain population."""
    draws, within = np.zeros_like(numbers), numbers
    if group == schema.UNCERTAINTY:
        each = study.recipe.uncertainty.patients
        # A patient's luck is keyed by his number within the draw: the draws differ by the population alone.
        draws, within = 1 + numbers // each, numbers % each
    parts = []
    for draw in np.unique(draws):
        here = within[draws == draw]
        parts.append(study.population.draw(int(here[0]), int(here[-1]) + 1, int(draw)))
    return People(_joined(parts), within, draws)


def at_points(study: Study, experiment: Experiment, eligible: Entrants, numbers: np.ndarray) -> People:
    """The patients with consecutive `numbers` of an experiment."""
    rows, within = numbers // experiment.patients, numbers % experiment.patients
    population = study.population
    if experiment.of == "patients":
        points = eligible.points(experiment.points[rows], len(population.inputs))
        return People(population.patients(points), experiment.luck[rows], np.zeros_like(numbers))
    parts = []
    for row in np.unique(rows):
        here = within[rows == row]
        points = population.points(int(here[0]), int(here[-1]) + 1)
        parts.append(population.patients(points, unknown=experiment.points[row]))
    return People(_joined(parts), within, 1 + rows)


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
