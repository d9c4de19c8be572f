"""Borgonovo's delta: the share of an output's density that an input moves."""

import numpy as np

from analysis.sensitivity import sampled
from analysis.sensitivity.indices import Indices, constant
from analysis.sensitivity.method import Method
from analysis.sensitivity.problem import Problem
from analysis.sensitivity.resampling import counts, generator
from analysis.sensitivity.slices import slices
from analysis.sensitivity.threads import one_thread

MEASURES = ("delta", "S1")
GRID = 100  # values of the output at which densities are compared
LEAST = 64  # lives
FINEST = 48  # parts
ROWS_A_PART = 16  # for variances, which need fewer rows than densities
BIAS = 100  # resamples that tell the bias


@one_thread
def analyse(
    problem: Problem,
    points: np.ndarray,
    outputs: np.ndarray,
    *,
    size: int,
    seed: int,
    resamples: int = 300,
    second: bool = True,
) -> Indices:
    """Delta and the first-order index, both from a partition of each input.

        delta = sum over parts of share / 2 * integral |f(y | part) - f(y)| dy
        S1 = 1 - (variance within parts) / (variance), unbiased variances

    Densities by Gaussian kernels of Silverman's width. Delta is never below 0 in a sample, so the mean excess of
    resamples is taken off (equation 30); resamples keep the widths. Intervals by a bootstrap of rows, moved to the
    value. Borgonovo 2007, Reliab Eng Syst Saf 92:771; Plischke, Borgonovo & Smith 2013, Eur J Oper Res 226:536.
    """

    def measure(rows: np.ndarray, y: np.ndarray, whole: bool) -> tuple[np.ndarray, np.ndarray, str]:
        wanted = max(BIAS, resamples) if whole else BIAS
        value, resampled = _measures(problem, points[rows], y, wanted, seed)
        return value, resampled[:resamples], ""

    few = f"densities, {LEAST} are the least"
    return sampled.measured(problem, points, outputs, size, "delta", MEASURES, LEAST, few, measure)


@one_thread
def over_time(problem: Problem, points: np.ndarray, outputs: np.ndarray, *, size: int, seed: int) -> np.ndarray:
    """The values alone of one outcome at many times, (row, time): (time, measure, input)."""

    def value(rows: np.ndarray, y: np.ndarray) -> np.ndarray:
        return _measures(problem, points[rows], y, BIAS, seed)[0]

    return sampled.over_time(problem, points, outputs, size, "delta", MEASURES, LEAST, value)


def parts(rows: int) -> int:
    """Number of parts of equal size for densities. Plischke et al. 2013, section 4.2, as in SALib, but 8 at least: 5
    parts miss an effect that rises and falls."""
    return max(8, int(min(np.ceil(rows ** (2.0 / (7.0 + np.tanh((1500.0 - rows) / 500.0)))), FINEST)))


def density(y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of the output, (value,), and its density there, (set, value), for sets of weights, (set, row)."""
    grid = np.linspace(y.min(), y.max(), GRID)
    return grid, weights @ _kernels(y, grid) / weights.sum(1, keepdims=True)


def distance(
    y: np.ndarray, divided: np.ndarray, weights: np.ndarray, grid: np.ndarray, everyone: np.ndarray
) -> np.ndarray:
    """Delta before its excess is taken off, (set,), for sets of weights, (set, row). divided: (part, row); grid and
    everyone: of `density`."""
    found = np.zeros(len(weights))
    for part in divided:
        if part.sum() < 2 or constant(y[part]):
            continue  # no density: the part's share is left out
        mass = weights[:, part].sum(1)
        inside = weights[:, part] @ _kernels(y[part], grid) / np.maximum(mass, 1e-300)[:, None]
        found += mass / weights.sum(1) / 2 * np.trapezoid(np.abs(inside - everyone), grid, axis=1)
    return found


def _kernels(y: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Density that each row adds at the grid, (row, value). Silverman 1986, Density Estimation, section 3.4."""
    width = y.std(ddof=1) * (len(y) * 3 / 4) ** -0.2
    return np.exp(-0.5 * ((grid - y[:, None]) / width) ** 2) / (width * (2 * np.pi) ** 0.5)


def _first_order(y: np.ndarray, divided: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """S1, (set,)."""
    total = weights.sum(1)
    z = y - y.mean()
    mass, sums = weights @ divided.T, (weights * z) @ divided.T  # (set, part)
    squares = weights @ z**2
    within = squares - (sums**2 / np.maximum(mass, 1e-300)).sum(1)
    around = squares - (weights @ z) ** 2 / total
    occupied = (mass > 0).sum(1)
    return 1.0 - within / np.maximum(total - occupied, 1) * (total - 1) / np.maximum(around, 1e-300)


def _measures(
    problem: Problem, points: np.ndarray, y: np.ndarray, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Value, (measure, input), and resamples, (resample, measure, input)."""
    drawn = np.concatenate([np.ones((1, len(y))), counts(generator(seed), len(y), resamples)])
    value, resampled = np.empty((2, len(problem.columns))), np.empty((resamples, 2, len(problem.columns)))
    grid, everyone = density(y, drawn)
    for i, column in enumerate(problem.columns):
        divided = slices(column, points[:, i], parts(len(y)))
        found = distance(y, divided, drawn, grid, everyone)
        divided = slices(column, points[:, i], min(len(y) // ROWS_A_PART, FINEST))
        first = _first_order(y, divided, drawn)
        value[:, i] = max(2 * found[0] - found[1 : 1 + BIAS].mean(), 0.0), first[0]
        resampled[:, 0, i], resampled[:, 1, i] = found[1:], first[1:]
    return value, resampled


method = Method(
    "delta",
    "Borgonovo's delta (densities)",
    "Borgonovo 2007, Reliab Eng Syst Saf 92:771; Plischke et al. 2013, Eur J Oper Res 226:536",
    "sample",
    MEASURES,
    "delta",
    analyse,
    groups=False,
    over_time=over_time,
)
