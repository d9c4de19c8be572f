"""Extended Fourier amplitude sensitivity test."""

import numpy as np
from scipy import stats

from analysis.sensitivity.designs import HARMONICS, REPEATS
from analysis.sensitivity.indices import CONSTANT, Estimate, Indices, check_rows, collect, constant, nothing
from analysis.sensitivity.method import Method
from analysis.sensitivity.problem import Problem, check_single
from analysis.sensitivity.resampling import generator

MEASURES = ("S1", "ST")
HANDLED = "failed lives are interpolated along their curve"
MOST_FAILED = 0.1  # of a curve
REMARK = "harmonics beyond the fourth count as interaction: S1 is too small for steps, ST too large by up to 0.05"
ADVICE = "use a larger --size, or sobol, whose error is sure to fall with it"


def analyse(
    problem: Problem,
    points: np.ndarray,
    outputs: np.ndarray,
    *,
    size: int,
    seed: int,
    resamples: int = 1000,
    second: bool = True,
) -> Indices:
    """First-order and total indices from the spectrum of the output along curves that run fastest along one input.

        S1_i = power at the harmonics of the fast frequency / V,   ST_i = 1 - power below half of that frequency / V

    Means of four curves an input that differ in phase and luck; intervals by the t distribution of those four (3
    degrees of freedom), from which the resamples of the verdict are drawn. A curve is one luck, so what chance adds is
    not in V. Saltelli, Tarantola & Chan 1999, Technometrics 41:39.
    """
    check_single(problem, "efast")
    inputs = len(problem.inputs)
    outputs = check_rows(points, outputs, REPEATS * inputs * size, problem)
    sizes = size * 2 ** np.arange(REPEATS.bit_length())  # rows an input, of one, two and four curves
    estimates = []
    for column in outputs.T:
        curves = column.reshape(REPEATS, inputs, size)
        failed = np.isnan(curves)
        used, dropped = int((~failed).sum()), int(failed.sum())
        trouble = ""
        if failed.mean(2).max() > MOST_FAILED:
            trouble = f"on a curve {failed.sum(2).max()} of {size} lives failed, too many to interpolate; use sobol"
        elif constant(column[~np.isnan(column)]):
            trouble = CONSTANT
        if trouble:
            estimates.append(nothing(problem, 2, len(sizes), used, dropped, trouble))
            continue
        each = _spectral(_interpolated(curves))  # (repeat, measure, input)
        flat = np.isnan(each).any((0, 1))
        if flat.any():
            named = ", ".join(name for name, without in zip(problem.inputs, flat, strict=True) if without)
            trouble = f"all lives of a curve along {named} are the same, so that it has no indices; {ADVICE}"
        curve = np.stack([each[: count // size].mean(0) for count in sizes])
        error = each.std(0, ddof=1) / REPEATS**0.5
        # A t distribution at the middles of equal shares, shuffled, gives its interval without noise of its own.
        quantiles = stats.t(REPEATS - 1).ppf((np.arange(resamples) + 0.5) / max(resamples, 1))
        rng = generator(seed)
        draws = np.stack([rng.permutation(quantiles) for _ in range(inputs)], axis=-1)
        resampled = each.mean(0) + error * draws[:, None, :]
        estimates.append(Estimate(curve[-1], resampled, curve, None, None, used, dropped, trouble, REMARK))
    return collect(problem, MEASURES, "ST", sizes, estimates, HANDLED, size, advice=ADVICE)


def _interpolated(curves: np.ndarray) -> np.ndarray:
    """Curves, (repeat, input, row), with failed lives between their neighbours; a curve is closed."""
    rows = np.arange(curves.shape[-1])
    whole = curves.copy()
    for at in np.argwhere(np.isnan(curves).any(-1)):
        one = whole[tuple(at)]
        lived = ~np.isnan(one)
        one[~lived] = np.interp(rows[~lived], rows[lived], one[lived], period=len(rows))
    return whole


def _spectral(curves: np.ndarray) -> np.ndarray:
    """S1 and ST of each curve, (repeat, input, row), as (repeat, measure, input); NaN for a flat curve."""
    size = curves.shape[-1]
    fast = (size - 1) // (2 * HARMONICS)
    power = np.abs(np.fft.rfft(curves - curves.mean(-1, keepdims=True)))[..., 1 : (size + 1) // 2] ** 2
    flat = np.ptp(curves, axis=-1) <= 1e-12 * np.abs(curves).max()
    variance = np.where(flat, np.nan, power.sum(-1))
    own = power[..., np.arange(1, HARMONICS + 1) * fast - 1].sum(-1) / variance
    others = power[..., : fast // 2].sum(-1) / variance
    return np.stack([own, 1.0 - others], axis=1)


method = Method(
    "efast",
    "Extended FAST",
    "Saltelli, Tarantola & Chan 1999, Technometrics 41:39",
    "curves",
    MEASURES,
    "ST",
    analyse,
    groups=False,
)
