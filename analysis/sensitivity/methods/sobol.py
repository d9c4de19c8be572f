"""Sobol's indices of variance by Saltelli's design."""

import numpy as np

from analysis.sensitivity.indices import CONSTANT, Estimate, Indices, check_rows, collect, constant, nothing
from analysis.sensitivity.method import Method
from analysis.sensitivity.problem import Problem
from analysis.sensitivity.resampling import resampled_means
from analysis.sensitivity.threads import one_thread

MEASURES = ("S1", "ST")
HANDLED = "blocks with a failed life are left out"
FEWEST = 4  # blocks that still tell a variance


@one_thread
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
    """First-order, total and second-order indices, the estimators of SALib; intervals by a bootstrap of blocks.

        S1_i = mean(B (AB_i - A)) / V,   ST_i = mean((A - AB_i)^2) / (2 V),   V = variance of A and B together
        S2_ij = mean(BA_i AB_j - A B) / V - S1_i - S1_j

    A block is a row of A with its 2 D + 1 companions, and is left out whole where one of its lives failed.
    Saltelli et al. 2010, Comput Phys Commun 181:259; second order: Saltelli 2002, Comput Phys Commun 145:280.
    """
    inputs = len(problem.inputs)
    lives = 2 * inputs + 2
    outputs = check_rows(points, outputs, size * lives, problem)
    sizes = np.array([size // part for part in (8, 4, 2, 1) if size // part >= FEWEST or part == 1])
    estimates = []
    for column in range(outputs.shape[1]):
        blocks = outputs[:, column].reshape(size, lives)
        whole = ~np.isnan(blocks).any(1)
        kept = blocks[whole]
        used, dropped = kept.size, blocks.size - kept.size
        if len(kept) < FEWEST:
            trouble = f"{len(kept)} of {size} blocks are whole, the others have a failed life; use a larger --size"
            estimates.append(nothing(problem, 2, len(sizes), used, dropped, trouble, second))
            continue
        if constant(kept):
            estimates.append(nothing(problem, 2, len(sizes), used, dropped, CONSTANT, second))
            continue
        # The estimators are exact for any mean, and least noisy for a mean of 0.
        products = _products((kept - kept.mean()) / kept.std(), second)
        at = np.cumsum(whole)[sizes - 1]  # whole blocks among the first ones
        curve = [products[:, : 2 + 2 * inputs][:count].mean(0) if count else np.nan for count in at]
        value, pairs = _ratios(products.mean(0)[None], inputs)
        resampled, resampled_pairs = _ratios(resampled_means(products, resamples, seed), inputs)
        by_size = np.concatenate([_ratios(np.broadcast_to(means, (1, 2 + 2 * inputs)), inputs)[0] for means in curve])
        estimates.append(
            Estimate(
                value[0],
                resampled,
                by_size,
                pairs[0] if second else None,
                resampled_pairs if second else None,
                used,
                dropped,
            )
        )
    return collect(problem, MEASURES, "ST", sizes, estimates, HANDLED, size)


def _products(blocks: np.ndarray, second: bool) -> np.ndarray:
    """What the indices are functions of the means of, (block, product): first and second moment, S1, ST, pairs."""
    inputs = (blocks.shape[1] - 2) // 2
    a, b = blocks[:, :1], blocks[:, -1:]
    ab, ba = blocks[:, 1 : 1 + inputs], blocks[:, 1 + inputs : -1]
    parts = [(a + b) / 2, (a**2 + b**2) / 2, b * (ab - a), (a - ab) ** 2 / 2]
    if second:
        i, j = np.triu_indices(inputs, 1)
        parts.append(ba[:, i] * ab[:, j] - a * b)
    return np.concatenate(parts, axis=1)


def _ratios(means: np.ndarray, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """S1 and ST, (set, measure, input), and S2, (set, input, input), from sets of means, (set, product)."""
    variance = means[:, 1] - means[:, 0] ** 2
    # A resample of few blocks may hold one value alone; it tells nothing.
    variance = np.where(variance > 1e-12, variance, np.nan)[:, None]
    value = (means[:, 2 : 2 + 2 * inputs] / variance).reshape(len(means), 2, inputs)
    pairs = np.full((len(means), inputs, inputs), np.nan)
    if means.shape[1] > 2 + 2 * inputs:
        i, j = np.triu_indices(inputs, 1)
        both = means[:, 2 + 2 * inputs :] / variance - value[:, 0, i] - value[:, 0, j]
        pairs[:, i, j] = pairs[:, j, i] = both
    return value, pairs


method = Method(
    "sobol",
    "Sobol indices",
    "Sobol 2001, Math Comput Simul 55:271; Saltelli et al. 2010, Comput Phys Commun 181:259",
    "saltelli",
    MEASURES,
    "ST",
    analyse,
)
