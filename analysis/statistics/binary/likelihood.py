"""The log likelihood of logistic regression, penalised or not, and where it is greatest."""

from typing import NamedTuple

import numpy as np
from scipy import special

STEPS = 60
STILL = 1e-11  # of a coefficient of a covariate of variance 1
LONGEST = 5.0  # a longer step may end where all weights are 0
HALVINGS = 20
SINGULAR = 1e13  # condition of the information


class Problem(NamedTuple):
    """design: (..., subject, coefficient), rows of who does not count are 0; y: (..., subject); used: who counts;
    firth: whether to penalise; left_out: sets that are not fitted, (...)."""

    design: np.ndarray
    y: np.ndarray
    used: np.ndarray
    firth: bool
    left_out: np.ndarray

    def one(self, place: tuple[int, ...]) -> "Problem":
        """The data of one set."""
        design, y, used, firth, left_out = self
        return Problem(design[place], y[place], used[place], firth, np.asarray(left_out[place]))


class Fit(NamedTuple):
    """beta: (..., coefficient). inverse: of the information. loglik, converged: (...). eta: linear predictor."""

    beta: np.ndarray
    inverse: np.ndarray
    loglik: np.ndarray
    eta: np.ndarray
    converged: np.ndarray


def fit(problem: Problem, start: np.ndarray | None = None, held: int | None = None) -> Fit:
    """Newton's method with halved steps, from 0 or start, all sets at once. held: a coefficient that stays as it is.

    A set whose information turns singular on the way, or that does not come to rest, is not converged.
    """
    design, y, used, firth, left_out = problem
    width = design.shape[-1]
    beta = np.zeros((*y.shape[:-1], width)) if start is None else start
    free = np.arange(width) != held
    going = ~left_out & free.any()
    converged = ~left_out & ~going
    height, eta, p, information = _state(problem, beta)
    for _ in range(STEPS):
        if not going.any():
            break
        residual = np.where(used, y - p, 0.0)
        if firth:
            residual = residual + _leverages(design, p, information) * (0.5 - p)
        slope = np.einsum("...ni,...n->...i", design, residual)[..., free]
        part = information[..., free, :][..., free]
        going = going & (np.linalg.cond(part) < SINGULAR)
        part = np.where(going[..., None, None], part, np.eye(int(free.sum())))
        step = np.zeros_like(beta)
        step[..., free] = np.where(going[..., None], np.linalg.solve(part, slope[..., None])[..., 0], 0.0)
        step = step * np.minimum(1.0, LONGEST / np.maximum(np.abs(step).max(-1, initial=0.0), LONGEST))[..., None]
        rest = going & (np.abs(step).max(-1, initial=0.0) < STILL * np.maximum(1.0, np.abs(beta).max(-1)))
        # The last step is taken too: it squares what is left of the error.
        new, share = beta + step, np.ones(going.shape)
        for _ in range(HALVINGS):
            found = _state(problem, new)
            worse = going & ~rest & (found[0] < height - 1e-10 * np.abs(height))
            if not worse.any():
                break
            share = np.where(worse, share / 2, share)
            new = beta + share[..., None] * step
        beta, (height, eta, p, information) = new, found
        converged, going = converged | rest, going & ~rest
    sound = converged & (np.linalg.cond(information) < SINGULAR)
    inverse = np.linalg.inv(np.where(sound[..., None, None], information, np.eye(width)))
    return Fit(beta, inverse, height, eta, converged)


def _state(problem: Problem, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Log likelihood, linear predictor, probabilities and information."""
    design, y, used, firth, _ = problem
    eta = np.einsum("...ni,...i->...n", design, beta)
    p = special.expit(eta)
    weights = np.where(used, p * special.expit(-eta), 0.0)
    information = np.einsum("...ni,...n,...nj->...ij", design, weights, design, optimize=True)
    height = np.where(used, y * eta - np.logaddexp(0.0, eta), 0.0).sum(-1)
    if firth:
        with np.errstate(divide="ignore"):
            sign, log = np.linalg.slogdet(information)
        height = height + np.where(sign > 0, log, -np.inf) / 2
    return height, eta, p, information


def _leverages(design: np.ndarray, p: np.ndarray, information: np.ndarray) -> np.ndarray:
    """Diagonal of the hat matrix of the weighted design, (..., subject)."""
    sound = np.linalg.cond(information) < SINGULAR
    inverse = np.linalg.inv(np.where(sound[..., None, None], information, np.eye(information.shape[-1])))
    return p * (1 - p) * np.einsum("...ni,...ij,...nj->...n", design, inverse, design, optimize=True)
