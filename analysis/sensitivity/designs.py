"""Points of the unit cube that the methods read. Each depends on the problem, the size and the seed alone."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from SALib.sample import fast_sampler, morris
from SALib.sample import sobol as saltelli_sampler
from scipy.stats import qmc

from analysis.sensitivity.problem import Problem, check, check_single
from analysis.sensitivity.quadrature import nodes
from populations.sampling import MARGIN

GRID = 4  # levels of a trajectory
HARMONICS = 4  # of a curve's frequency that count as the input's own
REPEATS = 4  # curves an input, each with phases and a luck of its own


class Points(NamedTuple):
    """points: (row, column), strictly inside the cube. luck: (row,), number of the luck that a row lives with, or None
    where a column of law "chance" says it."""

    points: np.ndarray
    luck: np.ndarray | None


def design(name: str, problem: Problem, size: int, seed: int) -> Points:
    """The points of a design. Raises ValueError for an unknown one, and where size, seed or problem do not suit it."""
    if name not in DESIGNS:
        raise ValueError(f"design '{name}' is unknown; write one of: {', '.join(DESIGNS)}")
    check(problem)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed {seed!r} is no whole number from 0; write one such as 20261122")
    if name != "saltelli" and any(column.law == "chance" for column in problem.columns):
        raise ValueError(f"design '{name}' cannot vary chance as an input; leave that column out")
    points, luck = DESIGNS[name](problem, size, seed)
    return Points(np.clip(points, MARGIN, 1.0 - MARGIN), luck)


def _saltelli(problem: Problem, size: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Blocks of A, AB_1.., BA_1.., B: 2 D + 2 rows, D the number of inputs. The first half are those of half the size.

    The luck of a row is the number of its block, which A and B share, unless a column of law "chance" says it.
    Saltelli 2002, Comput Phys Commun 145:280; scrambled as Owen 1998, J Complexity 14:466.
    """
    _power_of_two("saltelli", size)
    if len(problem.inputs) < 2:
        raise ValueError(f"saltelli compares inputs, got only '{problem.inputs[0]}'; vary two or more")
    points = saltelli_sampler.sample(problem.salib(), size, calc_second_order=True, scramble=True, seed=seed)
    if any(column.law == "chance" for column in problem.columns):
        return points, None
    return points, np.repeat(np.arange(size), 2 * len(problem.inputs) + 2)


def _trajectories(problem: Problem, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`size` walks that move one input at a time by half of its range; a walk has one luck.

    Morris's levels 0, 1/3, 2/3, 1 would put unbounded distributions at infinity; here level l of L is the middle of
    its share of the cube, u = (l + 1/2) / L. Morris 1991, Technometrics 33:161.
    """
    if size < 2:
        raise ValueError(f"trajectories of size {size} tell no spread; use 2 or more, such as 64")
    grid = morris.sample(problem.salib(), size, num_levels=GRID, seed=seed)
    return (np.round(grid * (GRID - 1)) + 0.5) / GRID, np.repeat(np.arange(size), len(problem.inputs) + 1)


def _curves(problem: Problem, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """For each of 4 repeats and each input a closed curve of `size` rows that runs fastest along that input.

    A curve has one luck, so that it is smooth. The repeats, with phases of their own, tell the error.
    Saltelli, Tarantola & Chan 1999, Technometrics 41:39, sections 3 and 5.
    """
    check_single(problem, "efast")
    least = 4 * HARMONICS**2 + 1
    if size < least:
        raise ValueError(f"curves of {size} rows are too short for {HARMONICS} harmonics; use {least} or more")
    inputs = len(problem.inputs)
    slow = (size - 1) // (2 * HARMONICS) // (2 * HARMONICS)
    if inputs - 1 > slow:
        wanted = (inputs - 1) * (2 * HARMONICS) ** 2 + 1
        raise ValueError(
            f"curves of {size} rows have {slow} slow frequencies for {inputs - 1} other inputs, and inputs of equal "
            f"frequency cannot be told apart; use {wanted} or more"
        )
    seeds = np.random.SeedSequence(seed).generate_state(REPEATS)
    points = [fast_sampler.sample(problem.salib(), size, M=HARMONICS, seed=int(each)) for each in seeds]
    return np.concatenate(points), np.repeat(np.arange(REPEATS * inputs), size)


def _sample(problem: Problem, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scrambled Sobol points, each with a luck of its own. Owen 1998, J Complexity 14:466."""
    _power_of_two("sample", size)
    points = qmc.Sobol(len(problem.columns), scramble=True, rng=np.random.default_rng(seed)).random(size)
    return points, np.arange(size)


def _quadrature(problem: Problem, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of the rule of level `size`. All have one luck: what is analysed is one and the same throw of the dice."""
    points = nodes(problem, size).points
    return points, np.zeros(len(points), dtype=int)


def _power_of_two(name: str, size: int) -> None:
    if size < 8 or size & (size - 1):
        below = 2 ** max(3, int(size).bit_length() - 1) if size > 0 else 8
        raise ValueError(
            f"{name} of size {size} loses its balance, sizes are powers of two from 8; use {below} or {2 * below}"
        )


DESIGNS: dict[str, Callable[[Problem, int, int], tuple[np.ndarray, np.ndarray | None]]] = {
    "saltelli": _saltelli,
    "trajectories": _trajectories,
    "curves": _curves,
    "sample": _sample,
    "quadrature": _quadrature,
}
