"""Points of the unit cube, one a patient, in independent panels of 1,024.

Panel p of a seed is made from that seed and p alone, so more patients never change the first ones, and a range of
patients can be drawn anywhere. Within a panel a design keeps its balance; between panels there is none.
Sobol and Halton points keep their order, so that the first few are balanced as well: neighbours lie far apart, and
whoever allocates patients in turn must put them in random order first.
"""

import enum
import functools

import numpy as np
from scipy.stats import qmc

PANEL = 1024  # a power of two: a Sobol sequence cut elsewhere loses its balance

# Points stay this far from the faces of the cube, where unbounded distributions are infinite: half of Sobol's grid.
MARGIN = 2.0**-31


class Purpose(enum.IntEnum):
    """What a stream of random numbers is for. The numbers are part of every result: never reuse one."""

    POINTS = 1
    IGNORANCE = 2  # of distributions and frequencies
    CELLS = 3  # of a reference population
    ROWS = 4  # of records
    PEOPLE = 5  # of a reference population or records, chosen by an input
    ENTRANTS = 6  # points among which the eligible are looked for


def generator(seed: int, purpose: Purpose, number: int) -> np.random.Generator:
    """The generator of one purpose: of panel `number`, or of uncertainty draw `number`."""
    return np.random.default_rng(np.random.SeedSequence([seed, int(purpose), number]))


def _random(dimensions: int, rng: np.random.Generator) -> np.ndarray:
    return rng.random((PANEL, dimensions))


def _latin_hypercube(dimensions: int, rng: np.random.Generator) -> np.ndarray:
    return qmc.LatinHypercube(dimensions, rng=rng).random(PANEL)


def _sobol(dimensions: int, rng: np.random.Generator) -> np.ndarray:
    return qmc.Sobol(dimensions, scramble=True, rng=rng).random(PANEL)


def _halton(dimensions: int, rng: np.random.Generator) -> np.ndarray:
    return qmc.Halton(dimensions, scramble=True, rng=rng).random(PANEL)


DESIGNS = {"random": _random, "latin-hypercube": _latin_hypercube, "sobol": _sobol, "halton": _halton}


def check(sampling: str, seed: int) -> None:
    """Raises ValueError where there is no such design, or the seed is no whole number from 0."""
    if sampling not in DESIGNS:
        raise ValueError(f"sampling '{sampling}' is not known; write one of: {', '.join(DESIGNS)}")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed {seed!r} is no whole number from 0; write one such as 20261122")


@functools.lru_cache(maxsize=16)
def points(sampling: str, seed: int, panel: int, dimensions: int) -> np.ndarray:
    """The points of one panel, (1024, dimensions), strictly inside the cube, read-only.

    Raises ValueError for an unknown design or an impossible seed.
    Owen 1998, J Complexity 14:466 (scrambling); McKay 1979, Technometrics 21:239 (Latin hypercube).
    """
    check(sampling, seed)
    if dimensions == 0:
        inside = np.empty((PANEL, 0))
    else:
        cube = DESIGNS[sampling](dimensions, generator(seed, Purpose.POINTS, panel))
        inside = np.clip(cube, MARGIN, 1.0 - MARGIN)
    inside.flags.writeable = False
    return inside
