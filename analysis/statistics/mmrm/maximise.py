"""The maximum of the likelihood of a mixed model, in many replicates at once."""

import numpy as np

from analysis.statistics.mmrm.likelihood import Point, Problem, evaluate

STEPS = 100
SMALL = 1e-14  # squared length of the last step, in standard errors of the parameters
SAS = 1e-8  # squared length of the step not taken, of the -2 log likelihood: CONVH of PROC MIXED
FLAT = 1e-10  # least curvature of the likelihood, in units of the expected one


def maximise(
    begin: np.ndarray, able: np.ndarray, problem: Problem, stop: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parameters, whether they converged, and in how many steps, of each replicate.

    begin: (replicate, parameter). able: which replicates are tried. Newton's steps, halved until they lead down, and
    Fisher's where the likelihood is not curved. stop: where given, as SAS: from a covariance that is a multiple of
    the identity a step of Fisher (which is MIVQUE0), then Newton's, until the next would gain less than 1e-8 of the -2
    log likelihood without 2 pi, of which stop is what `evaluate` leaves out, (replicate,).
    """
    parameters = begin.copy()
    converged, steps = np.zeros(len(begin), bool), np.zeros(len(begin), int)
    todo = np.flatnonzero(able)
    value, step = np.full(len(begin), np.inf), np.zeros_like(begin)
    for turn in range(STEPS):
        if not len(todo):
            break
        mine = problem.some(todo)
        trial = parameters[todo] + step[todo]
        point = evaluate(trial, mine)
        better = np.isfinite(point.value) & (point.value <= value[todo] + 1e-9 * (1 + np.abs(point.value)))
        step[todo[~better]] /= 2
        parameters[todo[better]] = trial[better]
        value[todo[better]] = point.value[better]
        newton, definite = information_inverse(point, mine.active, "observed")
        fisher, _ = information_inverse(point, mine.active, "expected")
        by_newton = definite & ((stop is None) | (turn > 0))
        move = -(np.where(by_newton[:, None, None], newton, fisher) @ point.gradient[:, :, None])[..., 0]
        step[todo[better]] = move[better]
        length = -(point.gradient * move).sum(-1)
        if stop is None:
            done = better & (length < SMALL)
            parameters[todo[done]] += move[done]
        else:
            done = better & (turn > 1) & (length < SAS * np.abs(point.value + stop[todo]))
        converged[todo[done]], steps[todo[done]] = True, turn + 1
        # A first point that is not sound, or a step halved away, leads nowhere.
        lost = ~better & ((turn == 0) | (np.abs(step[todo]).max(-1) < 1e-12))
        todo = todo[~(done | lost)]
    return parameters, converged, steps


def information_inverse(point: Point, active: np.ndarray, information: str) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of the second derivatives, "observed" or "expected", and whether they are positive definite.

    It is 0 for parameters that are not active; flat directions are held to a small curvature.
    """
    hessian = point.observed if information == "observed" else point.expected
    both = active[:, :, None] & active[:, None, :]
    eye = np.eye(active.shape[-1])
    diagonal = np.diagonal(point.expected, axis1=1, axis2=2)
    own = np.sqrt(np.where(active & (diagonal > 1e-30), diagonal, 1.0))
    ratio = np.where(both, hessian / own[:, :, None] / own[:, None, :], eye)
    roots, vectors = np.linalg.eigh(np.where(np.isfinite(ratio), ratio, 0.0))
    definite = roots[:, 0] > FLAT
    turned = (vectors / np.maximum(roots, FLAT)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    return np.where(both, turned, 0.0) / own[:, :, None] / own[:, None, :], definite
