"""Cox's partial likelihood of many data sets: its value, score, information, and the residuals of its score."""

from typing import NamedTuple

import numpy as np

from analysis.statistics.survival.follow_up import packed
from analysis.statistics.survival.ordered import Ordered, from_here, gathered, ordered, ranks, scattered, tied, up_to


class Prepared(NamedTuple):
    """Data in the order of their times. covariates: (set, covariate, stratum, row); weights: (set, stratum, row), that
    of a subject. shares: of an event, the part of the tied events that has left the risk set before it, by Efron, or 0;
    None where none has. mean_weight: of tied events.
    """

    rows: Ordered
    covariates: np.ndarray
    weights: np.ndarray
    shares: np.ndarray | None
    mean_weight: np.ndarray


class Likelihood(NamedTuple):
    """value: (set,); score: (set, covariate); information: (set, covariate, covariate)."""

    value: np.ndarray
    score: np.ndarray
    information: np.ndarray


class _Sums(NamedTuple):
    greatest: np.ndarray
    risk: np.ndarray
    at_risk: np.ndarray
    means: np.ndarray
    hazard: np.ndarray


def prepared(
    times: np.ndarray,
    events: np.ndarray,
    used: np.ndarray,
    entry: np.ndarray | None,
    strata: np.ndarray | None,
    weights: np.ndarray,
    covariates: np.ndarray,
    ties: str,
) -> Prepared:
    """All (set, subject), the covariates (set, covariate, subject)."""
    columns = [times, events, weights, *np.moveaxis(covariates, -2, 0)]
    if entry is not None:
        columns.append(entry)
    used, times, events, weights, *rest = packed(strata, used, *columns)
    entry = rest.pop() if entry is not None else None
    rows = ordered(times, events, used, entry)
    matrix = np.stack([gathered(rows, each) for each in rest], 1)
    own = gathered(rows, weights)
    number = np.maximum(tied(rows, rows.events), 1.0)
    shares = ranks(rows) / number * rows.events if ties == "efron" and rows.first is not None else None
    if shares is not None and not shares.any():
        shares = None
    return Prepared(rows, matrix, own, shares, tied(rows, rows.events * own) / number)


def chosen(data: Prepared, sets: np.ndarray) -> Prepared:
    """Those of the sets."""
    rows = Ordered(*(None if each is None else each[sets] for each in data.rows))  # type: ignore[arg-type]
    return Prepared(rows, *(None if each is None else each[sets] for each in data[1:]))  # type: ignore[arg-type]


def likelihood(data: Prepared, coefficients: np.ndarray) -> Likelihood:
    """Logarithm of the partial likelihood at coefficients, (set, covariate), and its derivatives.

        l = sum over events of w x'b - sum over events k of v log(S0 - f_k D0)

    S0 sums w exp(x'b) over those at risk, D0 over the events of that time, of which v is the mean weight; f_k is 0 by
    Breslow and (k - 1) / d for the k-th of d tied events by Efron. The information is

        sum_i w_i exp(x_i'b) H_i x_i x_i' - sum over events of v m m'

    with H the cumulative hazard and m the mean of those at risk.
    Therneau & Grambsch 2000, Modeling Survival Data, sections 3.1 and 3.3.
    """
    rows, x = data.rows, data.covariates
    predictor = np.einsum("rp,rpsm->rsm", coefficients, x)
    sums = _sums(data, predictor)
    v = rows.events * data.mean_weight
    value = rows.events * data.weights * predictor - v * np.log(sums.at_risk)
    score = (rows.events * data.weights)[:, None] * x - v[:, None] * sums.means
    flat = (*x.shape[:2], -1)
    exposed = sums.risk * _cumulative(rows, data.shares, sums.hazard)
    wide, means = x.reshape(flat), sums.means.reshape(flat)
    information = (wide * exposed.reshape(len(x), 1, -1)) @ np.swapaxes(wide, 1, 2)
    information -= (means * v.reshape(len(x), 1, -1)) @ np.swapaxes(means, 1, 2)
    # The greatest predictor of each stratum was taken out of the risks, and is put back.
    value = value - v * sums.greatest
    return Likelihood(value.sum((-1, -2)), score.sum((-1, -2)), information)


def score_residuals(data: Prepared, coefficients: np.ndarray, places: int) -> np.ndarray:
    """What every subject adds to the score, times his weight; (set, covariate, stratum, member), of so many places.

    r_i = d_i (x_i - m(t_i)) - sum over events of (x_i - m) dH exp(x_i'b),   while i is at risk
    """
    rows, x = data.rows, data.covariates
    predictor = np.einsum("rp,rpsm->rsm", coefficients, x)
    sums = _sums(data, predictor)
    wide = _wide(rows)
    shares = None if data.shares is None else data.shares[:, None]
    own = (rows.events * data.weights)[:, None]
    # Each of the tied events meets, on average, the mean of their means.
    level = tied(wide, wide.events * sums.means) / np.maximum(tied(wide, wide.events), 1.0)
    hazard = _cumulative(rows, data.shares, sums.hazard)[:, None]
    moved = _cumulative(wide, shares, sums.hazard[:, None] * sums.means)
    return scattered(wide, own * (x - level) - sums.risk[:, None] * (hazard * x - moved), places)


def _sums(data: Prepared, predictor: np.ndarray) -> _Sums:
    """The greatest predictor of each stratum, risks less by it, their sums at each event (1 elsewhere), means of
    covariates at risk, and steps of the hazard.
    """
    rows, x = data.rows, data.covariates
    happened = rows.events > 0
    least = -np.finfo(float).max
    greatest = np.where(rows.counts != 0, predictor, least).max(-1, keepdims=True)
    relative = data.weights * np.exp(np.minimum(predictor - greatest, 0.0))
    risk = rows.counts * relative
    at_risk = from_here(rows, risk)
    wide = _wide(rows)
    sums = from_here(wide, risk[:, None] * x)
    if data.shares is not None:
        failing = rows.events * relative
        at_risk = at_risk - data.shares * tied(rows, failing)
        sums = sums - data.shares[:, None] * tied(wide, failing[:, None] * x)
    at_risk = np.where(happened, at_risk, 1.0)
    means = np.where(happened[:, None], sums / at_risk[:, None], 0.0)
    return _Sums(greatest, risk, at_risk, means, rows.events * data.mean_weight / at_risk)


def _cumulative(rows: Ordered, shares: np.ndarray | None, steps: np.ndarray) -> np.ndarray:
    """Sum of steps of the hazard up to each row; of those tied with it an event meets, by Efron, what shares leave."""
    total = up_to(rows, steps)
    return total if shares is None else total - rows.events * tied(rows, shares * steps)


def _wide(rows: Ordered) -> Ordered:
    """The rows with a dimension for covariates."""
    return Ordered(*(None if each is None else each[:, None] for each in rows))  # type: ignore[arg-type]
