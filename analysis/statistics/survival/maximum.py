"""The maximum of Cox's partial likelihood in many data sets, by Newton's method."""

from typing import NamedTuple

import numpy as np

from analysis.statistics.survival.partial_likelihood import Likelihood, Prepared, chosen, likelihood

STEPS = 60
CLOSE = 1e-9  # a step of a standardised covariate's coefficient below which it is found
FLAT = 1e-10  # gain of a likelihood, as a share of it, that is none
RUNNING = 0.05  # step of the linear predictor, over a covariate's range, that a coefficient which is found never takes
DEPENDENT = 1e-9  # share of a covariate's information that must be its own


class Maximum(NamedTuple):
    """coefficients: (set, covariate), 0 where not kept. null, best: the likelihood at 0 and there. kept: of covariates,
    those that the ones before do not tell; diverging: those that run to infinity; both (set, covariate). converged:
    (set,), also of a set that has a diverging one.
    """

    coefficients: np.ndarray
    null: Likelihood
    best: Likelihood
    kept: np.ndarray
    diverging: np.ndarray
    converged: np.ndarray


def maximum(data: Prepared) -> Maximum:
    """Newton's method from 0, halving a step that loses likelihood; sets leave as they converge."""
    count, size = data.covariates.shape[:2]
    beta = np.zeros((count, size))
    null = likelihood(data, beta)
    kept = _independent(null.information, (data.rows.events * data.weights).sum((-1, -2)))
    data = data._replace(covariates=data.covariates * kept[:, :, None, None])
    span = np.ptp(data.covariates, axis=(-1, -2))
    value, score, information = (each.copy() for each in null)
    step = _newton(information, score, kept)
    diverging = np.zeros((count, size), bool)
    converged = ~kept.any(-1)
    open_sets = np.flatnonzero(~converged)
    part, whole = (data, len(open_sets)) if len(open_sets) == count else (chosen(data, open_sets), len(open_sets))
    for _ in range(STEPS):
        if not len(open_sets):
            break
        if len(open_sets) < whole:
            part, whole = chosen(data, open_sets), len(open_sets)
        tried = beta[open_sets] + step[open_sets]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            found = likelihood(part, tried)
        gain = found.value - value[open_sets]
        slack = FLAT * (1.0 + np.abs(value[open_sets]))
        better = gain >= -slack
        step[open_sets[~better]] /= 2.0
        sets = open_sets[better]
        beta[sets], value[sets] = tried[better], found.value[better]
        score[sets], information[sets] = found.score[better], found.information[better]
        step[sets] = _newton(information[sets], score[sets], kept[sets])
        lost = np.einsum("rii->ri", information[sets]) < FLAT * np.einsum("rii->ri", null.information[sets])
        flat = (gain < slack)[better, None]
        diverging[sets] = kept[sets] & ((flat & (np.abs(step[sets]) * span[sets] > RUNNING)) | lost)
        converged[sets] = diverging[sets].any(-1) | (np.abs(step[sets]).max(-1) < CLOSE)
        open_sets = open_sets[~converged[open_sets]]
    return Maximum(beta, null, Likelihood(value, score, information), kept, diverging, converged)


def inverse(matrix: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Inverse of (..., covariate, covariate) over those kept, 0 elsewhere."""
    square = np.where(kept[..., :, None] & kept[..., None, :], matrix, 0.0)
    diagonal = np.einsum("...ii->...i", square)
    scale = np.where(diagonal > 0, 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)), 0.0)
    unit = square * scale[..., :, None] * scale[..., None, :] + (scale == 0)[..., None] * np.eye(square.shape[-1])
    try:
        found = np.linalg.inv(unit)
    except np.linalg.LinAlgError:
        found = np.linalg.pinv(unit, hermitian=True)
    return found * scale[..., :, None] * scale[..., None, :]


def _newton(information: np.ndarray, score: np.ndarray, kept: np.ndarray) -> np.ndarray:
    return (inverse(information, kept) @ score[..., None])[..., 0]


def _independent(information: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Which covariates, (set, covariate), are told neither by those before nor by there being no event to tell of."""
    left = information.copy()
    whole = np.einsum("rii->ri", information)
    kept = np.zeros(whole.shape, bool)
    for j in range(whole.shape[1]):
        pivot = left[:, j, j]
        kept[:, j] = (whole[:, j] > DEPENDENT * events) & (pivot > DEPENDENT * whole[:, j])
        column = np.where(kept[:, j, None], left[:, :, j], 0.0)
        left = left - column[:, :, None] * column[:, None, :] / np.where(kept[:, j], pivot, 1.0)[:, None, None]
    return kept
