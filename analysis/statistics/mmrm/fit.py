"""Estimation of a mixed model for repeated measures, many replicates at once."""

from typing import NamedTuple

import numpy as np

from analysis.statistics.design import independent, inverse
from analysis.statistics.mmrm.likelihood import Point, Problem, evaluate
from analysis.statistics.mmrm.maximise import information_inverse, maximise
from analysis.statistics.mmrm.moments import moments, weighted
from analysis.statistics.mmrm.structures import Structure
from analysis.statistics.trouble import Trouble, troubled

EXACT = 1e-24  # a residual sum of squares below this share of the total one is rounding
BYTES = 2**26  # of cross products held at a time

CONVERGENCE = ("exact", "sas")
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
    convergence: str,
) -> Fit:
    """Restricted or full maximum likelihood by Newton's method, Fisher's where the likelihood is not curved down.

        y_i ~ N(X_i b, V_i(parameters)),   b = (sum X_i'V_i^-1 X_i)^- sum X_i'V_i^-1 y_i

    values, used: (replicate, subject, visit); x: (..., column); group: (replicate, subject), 0, 1, ..., of equal V.
    counted: the number of subjects by which BIC counts, (replicate,).
    convergence: the maximum to rounding, or the steps of SAS and its stop before it.
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
        parts.append(_block(*data, structure, groups, restricted, degrees, information, convergence))
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
    convergence: str,
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
    free = number - rank if restricted else number
    constant = 2 * free * np.log(scale)
    if restricted:
        constant = constant + 2 * (np.log(norm) * kept).sum(-1)
    problem = Problem(data, kept[:, own], active, structure, groups, restricted)
    if convergence == "sas":
        even = np.broadcast_to(np.eye(values.shape[-1]), near.shape)
        begin = structure.start(even * (rss / scale**2 / np.maximum(free, 1))[:, None, None, None])
    else:
        begin = structure.start(near)
    stop = constant if convergence == "sas" else None
    parameters, converged, steps = maximise(begin.reshape(replicates, -1), able, problem, stop)
    point = evaluate(parameters, problem)
    shape, definite = information_inverse(point, active, information)
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
        covariance = _adjusted(point, spread, problem, second=degrees == "kenward-roger")

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
    minus2 = np.where(sound, point.value + constant + free * np.log(2 * np.pi), np.nan)
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


def _adjusted(point: Point, spread: np.ndarray, problem: Problem, second: bool) -> np.ndarray:
    """Covariance of the coefficients, for the uncertainty of the parameters.

        C + 2 C {sum_ij w_ij (Q_ij - P_i C P_j - R_ij / 4)} C,   w: covariance of the parameters
        P_i = -X'W dV_i W X,   Q_ij = X'W dV_i W dV_j W X,   R_ij = X'W d2V_ij W X

    second: with R, which is 0 for structures that are linear in their parameters.
    Kenward & Roger 1997, Biometrics 53:983.
    """
    own = point.turned.shape[2]
    blocks = [slice(g * own, (g + 1) * own) for g in range(problem.groups)]
    weights = np.stack([spread[:, block, block] for block in blocks], 1)[:, problem.data.group]
    mixed = np.einsum("rpij,rpjab->rpiab", weights, point.turned)
    products = (point.turned @ point.spread[:, :, None] @ mixed).sum(2)
    if second and point.curved is not None:
        products = products - np.einsum("rpij,rpijab->rpab", weights, point.curved) / 4
    products = (products + np.swapaxes(products, -1, -2)) / 2
    inner = weighted(problem.data, products)[:, :-1, :-1]
    inner = inner - np.einsum("rij,riab,rbc,rjcd->rad", spread, point.slopes, point.solved, point.slopes, optimize=True)
    adjusted = point.solved + 2 * point.solved @ inner @ point.solved
    return (adjusted + np.swapaxes(adjusted, -1, -2)) / 2
