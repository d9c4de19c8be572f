"""Morris's elementary effects: which of many inputs matter at all."""

import numpy as np

from analysis.sensitivity.designs import GRID
from analysis.sensitivity.indices import CONSTANT, Estimate, Indices, check_rows, collect, constant, nothing
from analysis.sensitivity.method import Method
from analysis.sensitivity.problem import Problem
from analysis.sensitivity.resampling import resampled_means

MEASURES = ("mu", "mu_star", "sigma")
HANDLED = "trajectories with a failed life are left out"
TOLERANCE = 0.10  # of the largest mu_star
FEWEST = 4


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
    """Mean, mean magnitude and standard deviation of the effects of moving an input, in units of output per unit of u.

    One unit of u is the whole range of an input. For an input of several columns, which move together each its own
    way, an effect has a magnitude and no sign: mu and sigma are NaN. Intervals by a bootstrap of trajectories.
    Morris 1991, Technometrics 33:161; mu_star: Campolongo, Cariboni & Saltelli 2007, Environ Model Softw 22:1509.
    """
    inputs = len(problem.inputs)
    outputs = check_rows(points, outputs, size * (inputs + 1), problem)
    step = (GRID // 2) / GRID
    walks = points.reshape(size, inputs + 1, -1)
    moves = np.diff(walks, axis=1)  # (walk, move, column)
    signed = moves @ problem.membership.T  # (walk, move, input)
    moved = np.abs(moves) @ problem.membership.T > step / 2
    alone = problem.membership.sum(1) == 1
    direction = np.where(moved, np.where(alone, np.sign(signed), 1.0), 0.0)
    sizes = np.array([size // part for part in (8, 4, 2, 1) if size // part >= FEWEST or part == 1])
    estimates = []
    for column in outputs.T:
        lives = column.reshape(size, inputs + 1)
        whole = ~np.isnan(lives).any(1)
        kept = lives[whole]
        used, dropped = kept.size, lives.size - kept.size
        if len(kept) < min(FEWEST, size):
            trouble = (
                f"{len(kept)} of {size} trajectories are whole, the others have a failed life; use a larger --size"
            )
            estimates.append(nothing(problem, 3, len(sizes), used, dropped, trouble))
            continue
        if constant(kept):
            estimates.append(nothing(problem, 3, len(sizes), used, dropped, CONSTANT))
            continue
        effects = np.einsum("wm,wmi->wi", np.diff(kept, axis=1), direction[whole]) / step
        moments = np.concatenate([effects, np.abs(effects), effects**2], axis=1)
        at = np.cumsum(whole)[sizes - 1]
        curve = [_measures(moments[:count].mean(0), np.array(count), alone) for count in np.maximum(at, 1)]
        resampled = _measures(resampled_means(moments, resamples, seed), np.array(len(kept)), alone)
        estimates.append(Estimate(curve[-1], resampled, np.stack(curve), None, None, used, dropped))
    return collect(problem, MEASURES, "mu_star", sizes, estimates, HANDLED, size, TOLERANCE, relative=True)


def _measures(means: np.ndarray, count: np.ndarray, alone: np.ndarray) -> np.ndarray:
    """mu, mu_star, sigma, (.., measure, input), from means of effects, magnitudes and squares, (.., 3 input)."""
    mu, mu_star, square = np.moveaxis(means.reshape(*means.shape[:-1], 3, len(alone)), -2, 0)
    sigma = np.sqrt(np.maximum(square - mu**2, 0.0) * count / max(int(count) - 1, 1))
    return np.stack([np.where(alone, mu, np.nan), mu_star, np.where(alone, sigma, np.nan)], axis=-2)


method = Method(
    "morris",
    "Morris screening",
    "Morris 1991, Technometrics 33:161; Campolongo et al. 2007, Environ Model Softw 22:1509",
    "trajectories",
    MEASURES,
    "mu_star",
    analyse,
)
