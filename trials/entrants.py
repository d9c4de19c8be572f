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
FEWEST = 1024  # eligible, below which their quantiles are too coarse
# Quantiles of an input, below which those that eligibility narrows are told as one: within a cell of so coarse a layout
# the others still vary, and what they do would be put down to the wrong one.
FINE = 32
TOGETHER = "who is eligible"


class Entrants(NamedTuple):
    """inputs: those that the twin reads, shares of levels among the eligible. places: of each in a patient's point.

    narrowed: places on which eligibility depends. by: those of them that the twin reads, in order. layout: points of
    the eligible at the narrowed places, (quantile, ..., place), a quantile for each of `by`; empty where eligibility
    depends on nothing. idle: inputs that the twin does not read. share: of candidates that are eligible.
    """

    inputs: tuple[Input, ...]
    places: tuple[int, ...]
    narrowed: tuple[int, ...]
    by: tuple[int, ...]
    layout: np.ndarray
    idle: tuple[str, ...]
    share: float

    def points(self, inputs: np.ndarray, dimensions: int) -> np.ndarray:
        """Points of eligible patients, (patient, dimensions), from their inputs, (patient, input), in (0, 1)."""
        points = np.full((len(inputs), dimensions), 0.5)
        points[:, self.places] = inputs
        if self.narrowed:
            fine = self.layout.shape[0]
            quantiles = np.minimum((points[:, self.by] * fine).astype(int), fine - 1)
            points[:, self.narrowed] = self.layout[tuple(quantiles.T)]
        return points


def entrants(study: Study) -> Entrants:
    """The eligible of a study. Raises ValueError where too few candidates are."""
    population = study.population
    read = {variable.name for variable in study.twin.variables}
    asked = {criterion.covariate for criterion in study.criteria}
    matters, narrows = _moved(study, read), _moved(study, asked)
    places = [int(i) for i in np.flatnonzero(matters)]
    narrowed = tuple(int(i) for i in np.flatnonzero(narrows))
    inputs = [population.inputs[i] for i in places]
    by: tuple[int, ...] = ()
    layout, share = np.empty(0), 1.0
    if narrowed:
        # What eligibility reads and the twin does not is filled in from whoever is picked.
        by = tuple(place for place in narrowed if place in places)
        points = _eligible_points(study, narrowed)
        share = len(points) / LOOKED_AT
        fine = int(len(points) ** (1.0 / max(len(by), 1)) + 1e-9) if by else 1
        if len(points) < FEWEST:
            raise ValueError(
                f"{len(points)} of {LOOKED_AT:,} candidates are eligible, too few for inputs of their own; "
                "widen the criteria of eligibility"
            )
        columns = [narrowed.index(place) for place in by]
        layout = _nested(points[: fine ** len(by)], columns, fine)
        together = len(by) > 1 and fine < FINE
        for i, place in enumerate(places):
            if place in by:
                inputs[i] = _among(inputs[i], points[:, narrowed.index(place)], place == by[0] and not together)
                if together:
                    inputs[i] = inputs[i]._replace(group=TOGETHER)
    differ = [i for i, one in enumerate(inputs) if len(one.shares) != 1]
    kept = {places[i] for i in differ}
    idle = tuple(one.name for i, one in enumerate(population.inputs) if i not in kept)
    return Entrants(
        tuple(inputs[i] for i in differ), tuple(places[i] for i in differ), narrowed, by, layout, idle, share
    )


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


def _nested(points: np.ndarray, columns: list[int], fine: int) -> np.ndarray:
    """Points (fine^n, place) sorted by the first of n columns, within each slab of that by the second, and so on."""
    order = points
    for depth, column in enumerate(columns):
        slabs = order.reshape(fine**depth, -1, points.shape[1])
        sorting = np.argsort(slabs[:, :, column], axis=1, kind="stable")
        order = np.take_along_axis(slabs, sorting[:, :, None], axis=1)
    return order.reshape(*[fine] * len(columns), points.shape[1])


def _among(one: Input, points: np.ndarray, first: bool) -> Input:
    """An input among the eligible: its number now is its quantile there. A level that none of them has is left out."""
    title = f"{one.title}, among the eligible"
    if one.levels and first:
        until = np.cumsum(one.shares) / np.sum(one.shares)
        counts = np.bincount(np.searchsorted(until, points, side="right"), minlength=len(one.levels))
        there = counts > 0
        shares = counts[there] / counts.sum()
        levels = tuple(level for level, has in zip(one.levels, there, strict=True) if has)
        return one._replace(title=title, levels=levels, shares=tuple(shares.tolist()))
    # Within the slabs of those before it a level has a share of its own in each.
    return one._replace(title=title, law="uniform" if one.law != "chance" else one.law, levels=(), shares=())
