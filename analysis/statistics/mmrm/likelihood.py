"""The likelihood of a mixed model for repeated measures, restricted or full, with its first two derivatives."""

from typing import NamedTuple

import numpy as np

from analysis.statistics.design import inverse
from analysis.statistics.mmrm.moments import Moments, traced, weighted
from analysis.statistics.mmrm.structures import Structure

DEFINITE = 1e-10  # least eigenvalue of a covariance, of its largest


class Problem(NamedTuple):
    """What is fitted. kept: columns that are not aliased, (replicate, column). active: parameters of which the data
    tell, (replicate, group * parameter). groups: of equal covariance. restricted: REML, or ML."""

    data: Moments
    kept: np.ndarray
    active: np.ndarray
    structure: Structure
    groups: int
    restricted: bool

    def some(self, replicates: np.ndarray) -> "Problem":
        """The problem of those replicates."""
        data = self.data._replace(sums=self.data.sums[replicates], counts=self.data.counts[replicates])
        return self._replace(data=data, kept=self.kept[replicates], active=self.active[replicates])


class Point(NamedTuple):
    """What parameters of the covariance say, of each replicate.

    value: -2 log likelihood without its constant. gradient, observed, expected: its derivatives, and the expectation of
    the second. sound: whether the covariance is positive definite. coefficient: of y. solved: (X'WX)^-, its
    covariance. slopes: X' A_i X = -d(X'WX)/d parameter i, (replicate, parameter, column, column).
    spread, turned, curved: V, W dV_i W, and W d2V_ij W or None, of the visits of every pattern, 0 elsewhere.
    """

    value: np.ndarray
    gradient: np.ndarray
    observed: np.ndarray
    expected: np.ndarray
    sound: np.ndarray
    coefficient: np.ndarray
    solved: np.ndarray
    slopes: np.ndarray
    spread: np.ndarray
    turned: np.ndarray
    curved: np.ndarray | None


def evaluate(parameters: np.ndarray, problem: Problem) -> Point:
    """-2 log likelihood and its derivatives at parameters (replicate, group * parameter).

        -2 l = sum log|V_i| + r'Wr [+ log|X'WX|],   W = V^-1,   A_i = W dV_i W,   C = (X'WX)^-
        g_i  = tr W dV_i - r'A_i r [- tr C X'A_i X]
        H_ij = -tr W dV_i W dV_j + tr W d2V_ij + r'A_ij r - 2 (X'A_i r)'C(X'A_j r)
               [+ tr C X'A_ij X - tr C X'A_i X C X'A_j X],   A_ij = W dV_i W dV_j W + W dV_j W dV_i W - W d2V_ij W

    Lindstrom & Bates 1988, J Am Stat Assoc 83:1014. Wolfinger, Tobias & Sall 1994, SIAM J Sci Comput 15:1294.
    """
    data, kept, _, structure, groups, restricted = problem
    replicates, own = len(parameters), len(structure.names)
    covariance = structure.at(parameters.reshape(replicates, groups, own))
    sound = np.isfinite(covariance.value).all((1, 2, 3))
    eye = np.eye(data.seen.shape[1])
    seen = (data.seen[:, :, None] & data.seen[:, None, :]).astype(float)
    fill = eye * ~data.seen[:, :, None]
    filled = np.where(sound[:, None, None, None], covariance.value, eye)[:, data.group] * seen + fill
    # Of the visits of each pattern: what no data tell need not be definite.
    roots = np.linalg.eigvalsh(filled)
    sound = sound & ((roots[..., 0] > DEFINITE * roots[..., -1]) | (data.counts == 0)).all(-1)
    filled = np.where(sound[:, None, None, None], filled, seen * eye + fill)
    weight = np.linalg.inv(filled) * seen
    weight = (weight + np.swapaxes(weight, -1, -2)) / 2
    log = (data.counts * np.linalg.slogdet(filled)[1]).sum(-1)
    # Of every pattern the derivatives by the parameters of its own group; by those of the others they are 0.
    bad = ~sound[:, None, None, None, None]
    first = np.where(bad, 0.0, covariance.first)[:, data.group]
    product = weight[:, :, None] @ first
    turned = product @ weight[:, :, None]
    curved = None
    if covariance.second is not None:
        second = np.where(bad[..., None], 0.0, covariance.second)[:, data.group]
        curved = weight[:, :, None, None] @ second @ weight[:, :, None, None]

    base = weighted(data, weight)
    gram = base[:, :-1, :-1]
    solved = inverse(gram, kept)
    coefficient = (solved @ base[:, :-1, -1, None])[..., 0]
    contrast = np.concatenate([-coefficient, np.ones((replicates, 1))], -1)
    square = np.einsum("ra,rab,rb->r", contrast, base, contrast)
    value = log + square
    both = kept[:, :, None] & kept[:, None, :]
    if restricted:
        value = value + np.linalg.slogdet(np.where(both, gram, np.eye(gram.shape[-1])))[1]

    grown = weighted(data, np.swapaxes(_spread(turned, data.group, groups), 1, 2))
    slopes = np.where(both[:, None], grown[..., :-1, :-1], 0.0)
    pull = np.where(kept[:, None], (grown[..., :-1, :] @ contrast[:, None, :, None])[..., 0], 0.0)
    # Sums over subjects of residuals' products, and of the fitted means' covariance, by pattern.
    wide = np.zeros((replicates, 2, *base.shape[1:]))
    wide[:, 0] = contrast[:, :, None] * contrast[:, None, :]
    wide[:, 1, :-1, :-1] = solved
    residual, fitted = np.moveaxis(traced(data, wide), 1, 0)
    restrict = float(restricted)
    excess = restrict * fitted + residual
    number = data.counts[..., None, None] * eye

    gradient = np.einsum("rp,rpqjj->rpq", data.counts, product) - np.einsum("rpqjk,rpjk->rpq", turned, excess)
    gradient = _spread(gradient, data.group, groups).sum(1)
    # tr(D_i D_j M) of D = W dV, with what multiplies it in the observed and the expected second derivative.
    pairs = _twice(product, 2 * weight @ excess - number)
    awaited = _twice(product, number - 2 * restrict * (weight @ fitted))
    if curved is not None:
        pairs = pairs + np.einsum("rp,rpabjk,rpjk->rpab", data.counts, curved, filled * seen)
        pairs = pairs - np.einsum("rpabjk,rpjk->rpab", curved, excess)
    half = solved[:, None] @ slopes
    cross = restrict * np.einsum("rapq,rbqp->rab", half, half)
    observed = _blocks(pairs, data.group, groups) - cross - 2 * pull @ solved @ np.swapaxes(pull, -1, -2)
    expected = _blocks(awaited, data.group, groups) + cross
    return Point(
        np.where(sound, value, np.inf), gradient, observed, expected, sound, coefficient, solved, slopes,
        filled * seen, turned, curved,
    )  # fmt: skip


def _twice(product: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """tr(D_i D_j M), symmetrised: (replicate, pattern, parameter, parameter)."""
    shape = (*product.shape[:3], product.shape[-1] ** 2)
    traces = product.reshape(shape) @ np.swapaxes(
        (matrix[:, :, None] @ product).swapaxes(-1, -2).reshape(shape), -1, -2
    )
    return (traces + np.swapaxes(traces, -1, -2)) / 2


def _spread(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """(replicate, pattern, parameter, ...) to (replicate, pattern, group * parameter, ...), 0 in the other groups."""
    if groups == 1:
        return values
    full = np.zeros((*values.shape[:2], groups, *values.shape[2:]))
    full[:, np.arange(len(group)), group] = values
    return full.reshape(*values.shape[:2], groups * values.shape[2], *values.shape[3:])


def _blocks(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Sums over the patterns of (replicate, pattern, i, j), each group's in a block of its own on the diagonal."""
    own = values.shape[-1]
    full = np.zeros((len(values), groups * own, groups * own))
    for each in range(groups):
        part = slice(each * own, (each + 1) * own)
        full[:, part, part] = values[:, group == each].sum(1)
    return full
