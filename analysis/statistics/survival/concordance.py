"""Concordance of a predictor with the order of events."""

from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.survival.follow_up import follow_up, packed
from analysis.statistics.survival.ordered import ordered
from analysis.statistics.trouble import Trouble, troubled

EQUAL = 1e-12  # of the largest predictor, so that sums of the same terms in another order are equal
BLOCK = 2**22  # pairs held at a time


class Concordance(NamedTuple):
    """Share of the pairs that are in order, ties counted half, and weights of pairs; each (...,)."""

    value: np.ndarray
    concordant: np.ndarray
    discordant: np.ndarray
    tied: np.ndarray
    trouble: np.ndarray


def concordance(
    times: Any, events: Any, predictor: Any, *, entry: Any = None, strata: Any = None, weights: Any = None
) -> Concordance:
    """How often, of two subjects, the one with the greater predictor of hazard has the event first; each (...,).

        value = (concordant + tied / 2) / (concordant + discordant + tied)

    over pairs of one stratum of which one has the event while the other is at risk and stays so; two events at one time
    are no pair. times, events, predictor, entry, strata, weights: (..., subject), NaN is left out. A pair weighs the
    product of its weights.
    Harrell, Lee & Mark 1996, Stat Med 15:361.
    """
    others = {"predictor": predictor, "strata": strata, "weights": weights}
    data = follow_up(times, events, entry, {name: each for name, each in others.items() if each is not None})
    weight = np.where(data.used, data.others.get("weights", np.ones(data.times.shape)), 0.0)
    columns = [data.times, data.events, np.where(data.used, data.others["predictor"], 0.0), weight]
    columns += [] if data.entry is None else [data.entry]
    wide = packed(data.others.get("strata"), data.used, *columns)
    leading = data.times.shape[:-1]
    sums = np.zeros((*leading, 3))
    for place in np.ndindex(leading):
        for each in zip(*(column[place] for column in wide), strict=True):
            sums[place] += _pairs(*each)
    concordant, discordant, tied = np.moveaxis(sums, -1, 0)
    total = sums.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (concordant + tied / 2.0) / total
    trouble = troubled(total.shape, (~data.used.any(-1), Trouble.TOO_FEW), (total == 0, Trouble.NO_EVENTS))
    return Concordance(value, concordant, discordant, tied, trouble)


def _pairs(
    used: np.ndarray,
    times: np.ndarray,
    events: np.ndarray,
    predictor: np.ndarray,
    weights: np.ndarray,
    entry: np.ndarray | None = None,
) -> np.ndarray:
    """Weights of the pairs in order, out of order, and tied, of one stratum; all (subject,)."""
    rows = ordered(times, events, used, entry)
    exact = np.empty(len(rows.order))
    exact[rows.order] = rows.times
    times, entered = exact[: len(times)], exact[len(times) :]
    width = EQUAL * np.abs(predictor).max(initial=0.0)
    failing = np.flatnonzero(used & events)
    found = np.zeros(3)
    step = max(1, BLOCK // len(times))
    for some in np.split(failing, np.arange(step, len(failing), step)):
        own = times[some][:, None]
        pair = used & ((times > own) | ((times == own) & ~events))
        if entry is not None:
            pair &= entered < own
        weight = np.where(pair, weights[some][:, None] * weights, 0.0)
        ahead = predictor[some][:, None] - predictor
        found += [weight[ahead > width].sum(), weight[ahead < -width].sum(), weight[np.abs(ahead) <= width].sum()]
    return found
