"""Variables with distributions of their own, joined by rank correlations where a study file gives them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from populations import copula
from populations.inputs import Input
from populations.margin import Frequencies, Generator, Margin


class Joint(NamedTuple):
    """Independent variables, but for those at `places`, which share a Gaussian copula."""

    margins: tuple[Margin | Frequencies, ...]
    places: tuple[int, ...]
    cholesky: np.ndarray  # (place, place)

    def draw(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Values by name, of patients with these points, (patient, margin)."""
        columns = [points[:, i] for i in range(len(self.margins))]
        if self.places:
            joined = copula.correlate(self.cholesky, [ndtri(columns[i]) for i in self.places])
            for i, scores in zip(self.places, joined, strict=True):
                columns[i] = np.clip(ndtr(scores), 1e-300, 1.0 - 2.0**-53)
        return {margin.name: margin.ppf(u) for margin, u in zip(self.margins, columns, strict=True)}

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The independent coordinates, one a margin; a correlated one is what it has beyond those before it."""
        found = [margin.input for margin in self.margins]
        for before, i in enumerate(self.places):
            if before:
                given = ", ".join(self.margins[j].name for j in self.places[:before])
                found[i] = found[i]._replace(title=f"{found[i].name}, given {given}")
        return tuple(found)

    def resampled(self, rng: Generator) -> "Joint":
        """The variables as they may as well be distributed; the correlations are taken as known."""
        return self._replace(margins=tuple(margin.resampled(rng) for margin in self.margins))


def joint(
    margins: Sequence[Margin | Frequencies], correlations: Mapping[tuple[str, str], float], others: Mapping[str, str]
) -> Joint:
    """Joins `margins` by rank correlations; `others` says why a further name cannot be correlated.

    Raises ValueError for a name that cannot be correlated, or correlations that no distribution has.
    """
    place = {margin.name: i for i, margin in enumerate(margins) if isinstance(margin, Margin)}
    why = {margin.name: "is categorical" for margin in margins if isinstance(margin, Frequencies)} | dict(others)
    for pair in correlations:
        for name in pair:
            if name not in place:
                known = ", ".join(place) or "none here"
                raise ValueError(
                    f"correlation '{' ~ '.join(pair)}': '{name}' {why.get(name, 'is not known')}; "
                    f"those that can be correlated are: {known}"
                )
    names = [name for name in place if any(name in pair for pair in correlations)]
    spearman = np.eye(len(names))
    for (first, second), rho in correlations.items():
        i, j = names.index(first), names.index(second)
        spearman[i, j] = spearman[j, i] = rho
    cholesky = copula.factor(names, spearman) if names else np.empty((0, 0))
    return Joint(tuple(margins), tuple(place[name] for name in names), cholesky)
