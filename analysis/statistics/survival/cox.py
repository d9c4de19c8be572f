"""Cox's proportional hazards regression, over any number of replicates at once."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level
from analysis.statistics.survival.follow_up import FollowUp, follow_up, packed
from analysis.statistics.survival.maximum import Maximum, inverse, maximum
from analysis.statistics.survival.partial_likelihood import prepared, score_residuals
from analysis.statistics.trouble import Trouble, troubled

TIES = ("efron", "breslow")
BLOCK = 2**14  # numbers of a covariate matrix that are held at a time, for the processor's cache


class ChiSquare(NamedTuple):
    """A test that all coefficients are 0, each (...,)."""

    statistic: np.ndarray
    df: np.ndarray
    p: np.ndarray


class Cox(NamedTuple):
    """A fitted regression. Each (..., covariate) in the order of names unless said otherwise.

    coefficient: log hazard ratio of one unit. se: from the information. robust_se: of the sandwich; NaN where not asked
    for, and where it was, z, p, lower, upper, wald and covariance, (..., covariate, covariate), are by it. loglik:
    at 0 and at the coefficients, (..., 2). likelihood_ratio, wald, score: tests. subjects: rows used, events of them;
    (...,).
    """

    names: tuple[str, ...]
    coefficient: np.ndarray
    se: np.ndarray
    robust_se: np.ndarray
    covariance: np.ndarray
    z: np.ndarray
    p: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    loglik: np.ndarray
    likelihood_ratio: ChiSquare
    wald: ChiSquare
    score: ChiSquare
    subjects: np.ndarray
    events: np.ndarray
    trouble: np.ndarray


def cox(
    times: Any,
    events: Any,
    covariates: Mapping[str, Any],
    *,
    entry: Any = None,
    strata: Any = None,
    weights: Any = None,
    clusters: Any = None,
    robust: bool = False,
    ties: str = "efron",
    alpha: float = 0.05,
) -> Cox:
    """Regression of the hazard, h(t | x) = h_s(t) exp(x'b), with a baseline of each stratum left open.

    times, events, entry, strata, weights, clusters and each of covariates, by name: (..., subject); NaN in any leaves a
    row out. A row may be a spell (entry, time] of a subject who has several. weights: of cases, above 0. robust: the
    sandwich of Lin and Wei; clusters: rows of one code count as one in it, and it is then used. ties: efron or breslow.
    A covariate that those before tell is left out, with SINGULAR and NaN for itself alone; so is one whose coefficient
    runs to infinity, with SEPARATED: the likelihoods, their ratio and the score test then still hold.
    Cox 1972, J R Stat Soc B 34:187. Efron 1977, J Am Stat Assoc 72:557. Lin & Wei 1989, J Am Stat Assoc 84:1074.
    """
    level(alpha, 2)
    if ties not in TIES:
        raise ValueError(f"ties '{ties}' is unknown; write one of: {', '.join(TIES)}")
    if not covariates:
        raise ValueError("covariates is empty; give one or more, by name")
    extra = {"strata": strata, "weights": weights, "clusters": clusters}
    extra = {name: each for name, each in extra.items() if each is not None}
    data = follow_up(times, events, entry, extra | {f"covariate {name}": each for name, each in covariates.items()})
    return _fitted(data, tuple(covariates), clusters is not None or robust, ties, alpha)


def _fitted(data: FollowUp, names: tuple[str, ...], robust: bool, ties: str, alpha: float) -> Cox:
    """The regression on those of the data's others that are covariates, in blocks of sets."""
    others = dict(data.others)
    matrix = np.stack([others.pop(f"covariate {name}") for name in names], -2)
    matrix = np.where(data.used[..., None, :], matrix, 0.0)
    weights = others.get("weights", np.ones(data.times.shape))
    if (data.used & (weights <= 0)).any():
        raise ValueError(f"weights holds {weights[data.used].min():g}; give weights above 0")
    weights = np.where(data.used, weights, 0.0)
    leading, (count, size) = data.times.shape[:-1], matrix.shape[-2:]
    columns = [data.times, data.events, data.used, data.entry, others.get("strata"), weights]
    flat = [None if each is None else each.reshape(-1, size) for each in (*columns, others.get("clusters"))]
    matrix = matrix.reshape(-1, count, size)
    step = max(1, BLOCK // (count * size))
    parts = []
    for start in range(0, max(len(matrix), 1), step):
        block = [None if each is None else each[start : start + step] for each in flat]
        parts.append(_block(block, matrix[start : start + step], robust, ties))
    best = [np.concatenate(each).reshape(leading + each[0].shape[1:]) for each in zip(*parts, strict=True)]
    return _told(names, best, data, robust, alpha)


def _block(columns: list[Any], matrix: np.ndarray, robust: bool, ties: str) -> tuple[np.ndarray, ...]:
    """Maximum of the likelihood of each set, and the robust covariance; coefficients in the units of the data."""
    times, events, used, entry, strata, weights, clusters = columns
    inside = used[:, None]
    number = np.maximum(inside.sum(-1, keepdims=True), 1)
    mean = np.where(inside, matrix, 0.0).sum(-1, keepdims=True) / number
    scale = np.sqrt(np.where(inside, (matrix - mean) ** 2, 0.0).sum(-1, keepdims=True) / number)
    scale = np.where(scale > 1e-12 * np.abs(mean), scale, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = np.where(inside & (scale > 0), (matrix - mean) / scale, 0.0)
    data = prepared(times, events, used, entry, strata, weights, unit, ties)
    found = maximum(data)
    model = inverse(found.best.information, found.kept)
    sandwich = np.full_like(model, np.nan)
    if robust:
        places = packed(strata, used)[0].shape[-1]
        moved = model @ score_residuals(data, found.coefficients, places).reshape(*unit.shape[:2], -1)
        sandwich = _clustered(moved, clusters, strata, used)
    size = np.where(scale[..., 0] > 0, scale[..., 0], 1.0)
    area = size[:, :, None] * size[:, None, :]
    return (found.coefficients / size, model / area, sandwich / area, *_numbers(found))


def _numbers(found: Maximum) -> tuple[np.ndarray, ...]:
    null, best = found.null, found.best
    score = (null.score[:, None] @ inverse(null.information, found.kept) @ null.score[..., None])[:, 0, 0]
    return np.stack([null.value, best.value], -1), score, found.kept, found.diverging, found.converged


def _clustered(
    moved: np.ndarray, clusters: np.ndarray | None, strata: np.ndarray | None, used: np.ndarray
) -> np.ndarray:
    """Sum over clusters of the outer product of what each moves the coefficients by. moved: (set, covariate, place)."""
    if clusters is not None:
        codes = np.unique(np.where(used, clusters, 0.0), return_inverse=True)[1]
        own = packed(strata, used, codes)[1].reshape(len(moved), -1)
        count = int(codes.max()) + 1
        own = own + count * np.arange(len(own))[:, None]
        sums = [np.bincount(own.ravel(), each.ravel(), count * len(own)) for each in np.swapaxes(moved, 0, 1)]
        moved = np.stack(sums).reshape(-1, len(own), count).swapaxes(0, 1)
    return moved @ np.swapaxes(moved, 1, 2)


def _told(names: tuple[str, ...], best: list[np.ndarray], data: FollowUp, robust: bool, alpha: float) -> Cox:
    coefficient, model, sandwich, loglik, score, kept, diverging, converged = best
    failures = (data.used & data.events).sum(-1)
    known = kept & ~diverging & converged[..., None]
    pairs = known[..., :, None] & known[..., None, :]
    coefficient = np.where(known, coefficient, np.nan)
    model, sandwich = np.where(pairs, model, np.nan), np.where(pairs, sandwich, np.nan)
    used = sandwich if robust else model
    se, robust_se, error = (np.sqrt(np.einsum("...ii->...i", each)) for each in (model, sandwich, used))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(error > 0, coefficient / error, np.nan)
    df = kept.sum(-1).astype(float)
    zeroed = np.where(known, coefficient, 0.0)
    whole = np.where((known == kept).all(-1) & (df > 0), 1.0, np.nan)
    wald = (zeroed[..., None, :] @ inverse(np.where(pairs, used, 0.0), known) @ zeroed[..., :, None])[..., 0, 0]
    eventful = np.where((failures > 0) & (df > 0), 1.0, np.nan)
    half = stats.norm.isf(alpha / 2) * error
    trouble = troubled(
        failures.shape,
        (failures == 0, Trouble.NO_EVENTS),
        (~converged, Trouble.NOT_CONVERGED),
        (diverging.any(-1), Trouble.SEPARATED),
        (~kept.all(-1), Trouble.SINGULAR),
    )
    return Cox(
        names,
        coefficient,
        se,
        robust_se,
        used,
        z,
        2 * stats.norm.sf(np.abs(z)),
        coefficient - half,
        coefficient + half,
        np.where(failures[..., None] > 0, loglik, np.nan),
        _chi_square(eventful * 2 * (loglik[..., 1] - loglik[..., 0]), df),
        _chi_square(whole * wald, df),
        _chi_square(eventful * score, df),
        data.used.sum(-1).astype(float),
        failures.astype(float),
        trouble,
    )


def _chi_square(statistic: np.ndarray, df: np.ndarray) -> ChiSquare:
    return ChiSquare(statistic, df, stats.chi2.sf(statistic, np.maximum(df, 1.0)))
