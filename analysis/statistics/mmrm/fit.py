"""Estimation of a mixed model for repeated measures, many replicates at once."""

from typing import NamedTuple

import numpy as np

from analysis.statistics.design import independent, inverse
from analysis.statistics.mmrm.likelihood import Point, evaluate
from analysis.statistics.mmrm.moments import Moments, moments, weighted
from analysis.statistics.mmrm.structures import Structure
from analysis.statistics.trouble import Trouble, troubled

STEPS = 100
SMALL = 1e-14  # squared length of the last step, in standard errors of the parameters
FLAT = 1e-10  # least curvature of the likelihood, in units of the expected one
EXACT = 1e-24  # a residual sum of squares below this share of the total one is rounding
BYTES = 2**26  # of cross products held at a time

DEGREES = ("satterthwaite", "kenward-roger", "kenward-roger-linear")


class Fit(NamedTuple):
    """coefficient: (replicate, column). covariance: of it as tests use it, adjusted where Kenward and Roger do so;
    plain: (X'V^-1 X)^-, (replicate, column, column). slopes: derivatives of `plain` by the parameters, (replicate,
    parameter, column, column), and spread: the parameters' covariance, both in units that only they share.

    gram, kept: cross products of the design, and its columns that are not aliased. parameters: of the covariance of
    visits, groups one after another, (replicate, group * parameter), NaN where no data tell; their standard errors.
    visits: that covariance, (replicate, group, visit, visit). minus2, aic, bic: (replicate,), -2 log likelihood and
    criteria; bic by the number of subjects. subjects: who has a value; iterations: until it converged.
    """

    coefficient: np.ndarray
    covariance: np.ndarray
    plain: np.ndarray
    slopes: np.ndarray
    spread: np.ndarray
    gram: np.ndarray
    kept: np.ndarray
    parameters: np.ndarray
    errors: np.ndarray
    visits: np.ndarray
    minus2: np.ndarray
    aic: np.ndarray
    bic: np.ndarray
    subjects: np.ndarray
    iterations: np.ndarray
    trouble: np.ndarray


def fit(
    values: np.ndarray,
    used: np.ndarray,
    x: np.ndarray,
    group: np.ndarray,
    counted: np.ndarray,
    structure: Structure,
    restricted: bool,
    degrees: str,
    information: str,
) -> Fit:
    """Restricted or full maximum likelihood by Newton's method, Fisher's where the likelihood is not curved down.

        y_i ~ N(X_i b, V_i(parameters)),   b = (sum X_i'V_i^-1 X_i)^- sum X_i'V_i^-1 y_i

    values, used: (replicate, subject, visit); x: (..., column); group: (replicate, subject), 0, 1, ..., of equal V.
    counted: the number of subjects by which BIC counts, (replicate,).
    """
    replicates, subjects, visits, columns = x.shape
    pairs = visits * (visits + 1) // 2
    patterns = min(2**visits, subjects) * (int(group.max(initial=0)) + 1)
    size = 8 * max(patterns * pairs * (columns + 1) * (columns + 2) // 2, subjects * visits * columns * 2)
    block = max(1, BYTES // size)
    groups = int(group.max(initial=0)) + 1
    parts = []
    for start in range(0, replicates, block):
        part = slice(start, start + block)
        data = (values[part], used[part], x[part], group[part], counted[part])
        parts.append(_block(*data, structure, groups, restricted, degrees, information))
    return Fit(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _block(
    values: np.ndarray,
    used: np.ndarray,
    x: np.ndarray,
    group: np.ndarray,
    counted: np.ndarray,
    structure: Structure,
    groups: int,
    restricted: bool,
    degrees: str,
    information: str,
) -> Fit:
    replicates, columns = len(values), x.shape[-1]
    number, subjects = used.sum((1, 2)), used.any(-1).sum(-1)
    norm = np.sqrt((x**2).sum((1, 2)) / np.maximum(number, 1)[:, None])
    norm = np.where(norm > 0, norm, 1.0)
    flat = (x / norm[:, None, None]).reshape(replicates, -1, columns)
    y = np.where(used, values, 0.0).reshape(replicates, -1, 1)
    gram = np.swapaxes(flat, 1, 2) @ flat
    kept = independent(gram)
    rank = kept.sum(-1)
    first = inverse(gram, kept) @ (np.swapaxes(flat, 1, 2) @ y)
    residual = y - flat @ first
    rss, total = (residual**2).sum((1, 2)), (y**2).sum((1, 2))
    exact = rss <= EXACT * total
    few = number <= rank
    scale = np.sqrt(np.where(few | exact, 1.0, rss / np.maximum(number - rank, 1)))
    rest = np.where(used, (residual / scale[:, None, None]).reshape(values.shape), 0.0)

    own = kept.any(0)
    inside = flat[:, :, own].reshape(*x.shape[:-1], -1)
    data = moments(inside, rest, used, group)
    near, seen = _near(rest, used, group, groups)
    active = (structure.support & seen[:, :, None]).any((3, 4)).reshape(replicates, -1)
    able = ~few & ~exact & active.any(-1)
    begin = structure.start(near).reshape(replicates, -1)
    parameters, converged, steps = _maximise(begin, able, data, kept[:, own], structure, groups, restricted, active)
    point = evaluate(parameters, data, kept[:, own], structure, groups, restricted)
    shape, definite = _information(point.observed if information == "observed" else point.expected, point, active)
    trouble = troubled(
        (replicates,),
        (subjects == 0, Trouble.EMPTY_ARM),
        (few, Trouble.TOO_FEW),
        (exact, Trouble.CONSTANT),
        (~converged, Trouble.NOT_CONVERGED),
        (~definite, Trouble.SINGULAR),
    )
    spread = 2 * shape
    plain, slopes = point.solved, point.solved[:, None] @ point.slopes @ point.solved[:, None]
    covariance = plain
    if degrees != "satterthwaite":
        covariance = _adjusted(point, spread, data, groups, second=degrees == "kenward-roger")

    sound = trouble == 0
    unit = np.where(np.tile(structure.scales, groups), scale[:, None] ** 2, 1.0)
    with np.errstate(invalid="ignore"):
        errors = np.sqrt(np.diagonal(spread, axis1=1, axis2=2)) * unit
    shown = sound[:, None] & active
    wide = (norm / scale[:, None])[:, own]

    def full(matrix: np.ndarray) -> np.ndarray:
        """Of the columns kept, in units of the data, to all columns."""
        found = np.zeros((*matrix.shape[:-2], columns, columns))
        ratio = wide.reshape(replicates, *(1,) * (matrix.ndim - 3), -1)
        found[..., np.ix_(own, own)[0], np.ix_(own, own)[1]] = matrix / ratio[..., :, None] / ratio[..., None, :]
        return np.where(sound.reshape(-1, *(1,) * (matrix.ndim - 1)), found, np.nan)

    coefficient = first[..., 0].copy()
    coefficient[:, own] += point.coefficient * scale[:, None]
    visits = structure.at(parameters.reshape(replicates, groups, -1)).value * scale[:, None, None, None] ** 2
    free = number - rank if restricted else number
    constant = free * (np.log(2 * np.pi) + 2 * np.log(scale))
    if restricted:
        constant = constant + 2 * (np.log(norm) * kept).sum(-1)
    minus2 = np.where(sound, point.value + constant, np.nan)
    told = active.sum(-1) + (0 if restricted else rank)
    return Fit(
        np.where(sound[:, None], coefficient / norm, np.nan),
        full(covariance),
        full(plain),
        full(slopes),
        spread,
        gram * norm[:, :, None] * norm[:, None, :],
        kept,
        np.where(shown, parameters * unit, np.nan),
        np.where(shown, errors, np.nan),
        np.where(sound[:, None, None, None] & seen, visits, np.nan),
        minus2,
        minus2 + 2 * told,
        minus2 + told * np.log(np.maximum(counted, 1)),
        subjects.astype(float),
        steps,
        trouble,
    )


def _near(rest: np.ndarray, used: np.ndarray, group: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of visits from the pairs at hand, made positive definite, and which pairs there are."""
    visits = rest.shape[-1]
    near = np.empty((len(rest), groups, visits, visits))
    seen = np.empty(near.shape, bool)
    for each in range(groups):
        mine = used & (group == each)[..., None]
        part = np.where(mine, rest, 0.0)
        count = np.swapaxes(mine.astype(float), 1, 2) @ mine
        near[:, each] = np.swapaxes(part, 1, 2) @ part / np.maximum(count, 1)
        seen[:, each] = count > 0
    diagonal = np.diagonal(near, axis1=2, axis2=3)
    average = np.maximum(diagonal.mean(-1, keepdims=True), 1e-6)
    diagonal = np.where(diagonal > 1e-3 * average, diagonal, average)
    apart = 1 - np.eye(visits)
    near = near * apart + diagonal[..., None] * np.eye(visits)
    for _ in range(40):
        roots = np.linalg.eigvalsh(near)[..., 0]
        poor = roots < 0.05 * diagonal.min(-1)
        if not poor.any():
            break
        near = np.where(poor[..., None, None], near * (1 - 0.2 * apart), near)
    return near, seen


def _information(hessian: np.ndarray, point: Point, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of a matrix of second derivatives, 0 for what is not active, and whether it is positive definite."""
    both = active[:, :, None] & active[:, None, :]
    eye = np.eye(active.shape[-1])
    diagonal = np.diagonal(point.expected, axis1=1, axis2=2)
    own = np.sqrt(np.where(active & (diagonal > 1e-30), diagonal, 1.0))
    ratio = np.where(both, hessian / own[:, :, None] / own[:, None, :], eye)
    roots, vectors = np.linalg.eigh(np.where(np.isfinite(ratio), ratio, 0.0))
    definite = roots[:, 0] > FLAT
    turned = (vectors / np.maximum(roots, FLAT)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
    return np.where(both, turned, 0.0) / own[:, :, None] / own[:, None, :], definite


def _maximise(
    begin: np.ndarray,
    able: np.ndarray,
    data: Moments,
    kept: np.ndarray,
    structure: Structure,
    groups: int,
    restricted: bool,
    active: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parameters, whether they converged, and in how many steps, of each replicate."""
    parameters = begin.copy()
    converged, steps = np.zeros(len(begin), bool), np.zeros(len(begin), int)
    todo = np.flatnonzero(able)
    value, step = np.full(len(begin), np.inf), np.zeros_like(begin)
    for turn in range(STEPS):
        if not len(todo):
            break
        mine = data._replace(sums=data.sums[todo], counts=data.counts[todo])
        trial = parameters[todo] + step[todo]
        point = evaluate(trial, mine, kept[todo], structure, groups, restricted)
        better = point.value <= value[todo] + 1e-9 * (1 + np.abs(point.value))
        better &= np.isfinite(point.value)
        step[todo[~better]] /= 2
        parameters[todo[better]] = trial[better]
        value[todo[better]] = point.value[better]
        newton, definite = _information(point.observed, point, active[todo])
        fisher, _ = _information(point.expected, point, active[todo])
        shape = np.where(definite[:, None, None], newton, fisher)
        move = -(shape @ point.gradient[:, :, None])[..., 0]
        step[todo[better]] = move[better]
        length = -(point.gradient * move).sum(-1)
        done = better & (length < SMALL)
        parameters[todo[done]] += move[done]
        converged[todo[done]], steps[todo[done]] = True, turn + 1
        # A first point that is not sound, or a step halved away, leads nowhere.
        lost = ~better & ((turn == 0) | (np.abs(step[todo]).max(-1) < 1e-12))
        todo = todo[~(done | lost)]
    return parameters, converged, steps


def _adjusted(point: Point, spread: np.ndarray, data: Moments, groups: int, second: bool) -> np.ndarray:
    """Covariance of the coefficients, for the uncertainty of the parameters.

        C + 2 C {sum_ij w_ij (Q_ij - P_i C P_j - R_ij / 4)} C,   w: covariance of the parameters
        P_i = -X'W dV_i W X,   Q_ij = X'W dV_i W dV_j W X,   R_ij = X'W d2V_ij W X

    second: with R, which is 0 for structures that are linear in their parameters.
    Kenward & Roger 1997, Biometrics 53:983.
    """
    own = point.turned.shape[2]
    mine = np.stack([spread[:, g * own : (g + 1) * own, g * own : (g + 1) * own] for g in range(groups)], 1)
    weights = mine[:, data.group]
    mixed = np.einsum("rpij,rpjab->rpiab", weights, point.turned)
    products = (point.turned @ point.spread[:, :, None] @ mixed).sum(2)
    if second and point.curved is not None:
        products = products - np.einsum("rpij,rpijab->rpab", weights, point.curved) / 4
    products = (products + np.swapaxes(products, -1, -2)) / 2
    inner = weighted(data, products)[:, :-1, :-1]
    inner = inner - np.einsum("rij,riab,rbc,rjcd->rad", spread, point.slopes, point.solved, point.slopes, optimize=True)
    adjusted = point.solved + 2 * point.solved @ inner @ point.solved
    return (adjusted + np.swapaxes(adjusted, -1, -2)) / 2
