"""The eligible patients of a study, by independent inputs of their own.

Eligibility makes the latent variables that it reads dependent: who must be 50 is more often a woman. Those of the
eligible are laid out once in nested quantiles, each within the slab of those before it, so that independent numbers
in (0, 1) pick one of them, exactly in the proportions that the eligible have. All others stay as they are.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import qmc

from populations import sampling
from populations.inputs import Input
from populations.sampling import MARGIN, Purpose
from trials.eligibility import eligible
from trials.study import Study

LOOKED_AT = 2**18  # candidates among whom the eligible are looked for
PROBED = 1024  # patients moved to see what an input changes
SLAB = 2**14  # patients valued at a time


class Entrants(NamedTuple):
    """inputs: those that can matter, shares of levels among the eligible. places: where each is in a patient's point.

    narrowed: places on which eligibility depends, in order. layout: their points, (quantile, ..., place); empty where
    there are none. idle: inputs that neither the twin nor eligibility reads. share: of candidates that are eligible.
    """

    inputs: tuple[Input, ...]
    places: tuple[int, ...]
    narrowed: tuple[int, ...]
    layout: np.ndarray
    idle: tuple[str, ...]
    share: float

    def points(self, inputs: np.ndarray, dimensions: int) -> np.ndarray:
        """Points of eligible patients, (patient, dimensions), from their inputs, (patient, input), in (0, 1)."""
        points = np.full((len(inputs), dimensions), 0.5)
        points[:, self.places] = inputs
        if self.narrowed:
            fine = self.layout.shape[0]
            quantiles = np.minimum((points[:, self.narrowed] * fine).astype(int), fine - 1)
            points[:, self.narrowed] = self.layout[tuple(quantiles.T)]
        return points


def entrants(study: Study) -> Entrants:
    """The eligible of a study. Raises ValueError where too few candidates are."""
    population = study.population
    read = {covariate.name for covariate in study.twin.covariates}
    read |= {parameter.name for parameter in study.twin.parameters}
    asked = {criterion.covariate for criterion in study.criteria}
    matters, narrows = _moved(study, read | asked), _moved(study, asked)
    places = tuple(int(i) for i in np.flatnonzero(matters))
    idle = tuple(each.name for each, moves in zip(population.inputs, matters, strict=True) if not moves)
    inputs = [population.inputs[i] for i in places]
    if not narrows.any():
        return Entrants(tuple(inputs), places, (), np.empty(0), idle, 1.0)
    narrowed = tuple(int(i) for i in np.flatnonzero(narrows))
    points = _eligible_points(study, narrowed)
    fine = int(len(points) ** (1.0 / len(narrowed)) + 1e-9)
    if fine < 2:
        raise ValueError(
            f"{len(points)} of {LOOKED_AT:,} candidates are eligible, too few for inputs of their own; "
            "widen the criteria of eligibility"
        )
    layout = _nested(points[: fine ** len(narrowed)], fine)
    for i, place in enumerate(places):
        if place in narrowed:
            inputs[i] = _among(inputs[i], points[:, narrowed.index(place)], first=place == narrowed[0])
    return Entrants(tuple(inputs), places, narrowed, layout, idle, len(points) / LOOKED_AT)


def _moved(study: Study, names: set[str]) -> np.ndarray:
    """Which inputs change any of the variables, (input,) bool: seen by moving each in turn."""
    rng = sampling.generator(study.seed, Purpose.ENTRANTS, 0)
    points, others = rng.random((2, PROBED, len(study.population.inputs)))
    before = study.population.patients(points)
    moved = np.zeros(points.shape[1], bool)
    for i in range(points.shape[1]):
        changed = points.copy()
        changed[:, i] = others[:, i]
        after = study.population.patients(changed)
        moved[i] = any((before[name] != after[name]).any() for name in names)
    return moved


def _eligible_points(study: Study, narrowed: tuple[int, ...]) -> np.ndarray:
    """Coordinates of the eligible at the places that eligibility reads, (patient, place)."""
    rng = sampling.generator(study.seed, Purpose.ENTRANTS, 1)
    cube = np.clip(qmc.Sobol(len(narrowed), scramble=True, rng=rng).random(LOOKED_AT), MARGIN, 1.0 - MARGIN)
    whole = np.full((SLAB, len(study.population.inputs)), 0.5)
    kept = []
    for start in range(0, LOOKED_AT, SLAB):
        slab = cube[start : start + SLAB]
        whole[:, narrowed] = slab
        kept.append(slab[eligible(study.criteria, study.population.patients(whole))])
    return np.concatenate(kept)


def _nested(points: np.ndarray, fine: int) -> np.ndarray:
    """Points (fine^n, n) sorted by their first coordinate, within each slab of that by the second, and so on."""
    dimensions = points.shape[1]
    order = points[np.argsort(points[:, 0], kind="stable")]
    for i in range(1, dimensions):
        slabs = order.reshape(fine**i, -1, dimensions)
        by = np.argsort(slabs[:, :, i], axis=1, kind="stable")
        order = np.take_along_axis(slabs, by[:, :, None], axis=1)
    return order.reshape(*[fine] * dimensions, dimensions)


def _among(one: Input, points: np.ndarray, first: bool) -> Input:
    """An input among the eligible: its number now is its quantile there."""
    title = f"{one.title}, among the eligible"
    if one.levels and first:
        until = np.cumsum(one.shares) / np.sum(one.shares)
        counts = np.bincount(np.searchsorted(until, points, side="right"), minlength=len(one.levels))
        return one._replace(title=title, shares=tuple((counts / counts.sum()).tolist()))
    # Within the slabs of those before it a level has a share of its own in each.
    return one._replace(title=title, law="uniform" if one.law != "chance" else one.law, levels=(), shares=())
