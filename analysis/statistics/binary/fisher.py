"""Fisher's exact test, and what else is exact given all margins of a table; over any number of replicates at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import special
from scipy.optimize import elementwise

from analysis.statistics.binary.tables import Table, count

FAR = 60.0  # log odds ratio
HELD = 4_000_000  # probabilities held at a time
TIED = 1e-7  # tables whose probabilities differ relatively by less are equally likely, as in R


class Tails(NamedTuple):
    """p-values against an odds ratio: above it, below it, and on both sides; each (...)."""

    above: np.ndarray
    below: np.ndarray
    both: np.ndarray


def fisher_test(values: Any, arms: Any, contrast: tuple[int, int], odds_ratio: float = 1.0, mid: bool = False) -> Tails:
    """Exact test, given all margins, that the odds ratio of arm a against b is as said.

    both: the sum over all tables that are no likelier than the one seen, as R's fisher.test; mid: the table itself
    counts half in above and below, and both is twice the lesser of these. NaN where an arm is empty.
    values: 0, 1, NaN is left out; values, arms: (..., subject).
    Fisher 1935, J R Stat Soc 98:39; Lancaster 1961, J Am Stat Assoc 56:223 (mid-p).
    """
    return tails(count(values, arms, contrast), odds_ratio, mid)


def tails(table: Table, odds_ratio: float = 1.0, mid: bool = False) -> Tails:
    """As fisher_test, of counts: each array of the table (...)."""
    if not 0.0 < odds_ratio < np.inf:
        raise ValueError(f"odds_ratio is {odds_ratio}; give one above 0")

    def each(part: Table) -> np.ndarray:
        law, k = _law(part)
        weights = _at(law, k, np.full(len(part.xa), np.log(odds_ratio)))
        x = part.xa[:, None]
        seen = np.where(k == x, weights, 0.0).sum(-1)
        above = np.where(k >= x, weights, 0.0).sum(-1) - mid * seen / 2
        below = np.where(k <= x, weights, 0.0).sum(-1) - mid * seen / 2
        unlikely = np.where(weights <= seen[:, None] * (1 + TIED), weights, 0.0).sum(-1)
        both = 2 * np.minimum(above, below) if mid else unlikely
        found = np.minimum(np.stack([above, below, both]), 1.0)
        return np.where(part.empty[0], np.nan, found)

    return Tails(*_in_parts(table, each, 3))


def possible(na: int, nb: int, mid: bool = False) -> Tails:
    """p-values against an odds ratio of 1 of every table of so many subjects, each (na + 1, nb + 1)."""
    a, b = (each.ravel() for each in np.meshgrid(np.arange(na + 1.0), np.arange(nb + 1.0), indexing="ij"))
    events = np.arange(na + nb + 1.0)
    first = np.maximum(0.0, events - nb)
    law, k = _law(Table(first, np.full(events.shape, float(na)), events - first, np.full(events.shape, float(nb))))
    weights = _at(law, k, np.zeros(len(events)))
    rising = np.sort(weights, -1)
    sums, up, down = (np.cumsum(each, -1) for each in (rising, weights, weights[:, ::-1]))
    c = (a + b).astype(int)
    place = (a - first[c]).astype(int)
    seen = weights[c, place]
    pairs = zip(rising, weights, strict=True)
    unlikely = np.stack([np.searchsorted(row, each * (1 + TIED), "right") for row, each in pairs])[c, place]
    below, above = up[c, place] - mid * seen / 2, down[c, -1 - place] - mid * seen / 2
    both = 2 * np.minimum(above, below) if mid else sums[c, unlikely - 1]
    return Tails(*(np.minimum(each, 1.0).reshape(na + 1, nb + 1) for each in (above, below, both)))


def likeliest(table: Table) -> np.ndarray:
    """Conditional maximum-likelihood estimate of the odds ratio; 0 or infinite at the end of the support, else (...).

    NaN where the margins leave one table only.
    """

    def each(part: Table) -> np.ndarray:
        law, k = _law(part)
        first, last = _ends(part)
        value = np.where(part.xa == first, 0.0, np.where(part.xa == last, np.inf, np.nan))
        value = np.where(first == last, np.nan, value)

        def beyond(weights: np.ndarray, k: np.ndarray, x: np.ndarray) -> np.ndarray:
            return (weights * k).sum(-1) - x

        return _solve(part, law, k, beyond, value, (part.xa > first) & (part.xa < last))[None]

    return _in_parts(table, each, 1)[0]


def limits(table: Table, tail: float, mid: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Odds ratios for which the table or what is beyond it has probability `tail`: both limits, each (...)."""

    def each(part: Table) -> np.ndarray:
        law, k = _law(part)
        first, last = _ends(part)

        def over(weights: np.ndarray, k: np.ndarray, x: np.ndarray) -> np.ndarray:
            share = (k > x[:, None]) + (k == x[:, None]) * (0.5 if mid else 1.0)
            return (weights * share).sum(-1) - tail

        def under(weights: np.ndarray, k: np.ndarray, x: np.ndarray) -> np.ndarray:
            share = (k < x[:, None]) + (k == x[:, None]) * (0.5 if mid else 1.0)
            return tail - (weights * share).sum(-1)

        known = first < last
        lower = np.where(known & (part.xa == first), 0.0, np.nan)
        upper = np.where(known & (part.xa == last), np.inf, np.nan)
        lower = _solve(part, law, k, over, lower, known & (part.xa > first))
        return np.stack([lower, _solve(part, law, k, under, upper, known & (part.xa < last))])

    lower, upper = _in_parts(table, each, 2)
    return lower, upper


def _in_parts(table: Table, each: Callable[[Table], np.ndarray], answers: int) -> np.ndarray:
    """Answers (answer, ...) of `each`, which is given flat parts of the table small enough to hold."""
    shape = np.broadcast(*table).shape
    flat = [np.ravel(column) for column in np.broadcast_arrays(*table)]
    found = np.empty((answers, flat[0].size))
    width = int(min(flat[1].max(initial=0), (flat[0] + flat[2]).max(initial=0))) + 1
    step = max(1, HELD // width)
    for start in range(0, found.shape[1], step):
        found[:, start : start + step] = each(Table(*(column[start : start + step] for column in flat)))
    return found.reshape(answers, *shape)


def _ends(table: Table) -> tuple[np.ndarray, np.ndarray]:
    events = table.xa + table.xb
    return np.maximum(0.0, events - table.nb), np.minimum(table.na, events)


def _law(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities (table, place) of k responders in arm a given the margins, up to a constant, and k."""
    first, last = _ends(table)
    k = first[:, None] + np.arange(int((last - first).max(initial=0)) + 1)
    inside = k <= last[:, None]
    k = np.where(inside, k, last[:, None])
    na, nb, events = table.na[:, None], table.nb[:, None], (table.xa + table.xb)[:, None]
    law = -(
        special.gammaln(k + 1)
        + special.gammaln(na - k + 1)
        + special.gammaln(events - k + 1)
        + special.gammaln(nb - events + k + 1)
    )
    # Places beyond the last table repeat its k, so that they need no mask, and have no weight.
    return np.where(inside, law, -np.inf), k


def _at(law: np.ndarray, k: np.ndarray, log: np.ndarray) -> np.ndarray:
    """Probabilities of k where the log odds ratio is `log`, (table,)."""
    tilted = law + k * log[:, None]
    weights = np.exp(tilted - tilted.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def _solve(
    table: Table,
    law: np.ndarray,
    k: np.ndarray,
    beyond: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    found: np.ndarray,
    which: np.ndarray,
) -> np.ndarray:
    """`found` with the odds ratio at which `beyond` is 0 in the places `which`; beyond rises with the odds ratio."""
    if not which.any():
        return found
    rows = np.flatnonzero(which)

    def at(log: np.ndarray, row: np.ndarray) -> np.ndarray:
        row = row.astype(int)
        return beyond(_at(law[row], k[row], log), k[row], table.xa[row])

    ends = np.full(len(rows), -FAR), np.full(len(rows), FAR)
    root = elementwise.find_root(at, ends, args=(rows.astype(float),), tolerances={"xatol": 1e-13, "xrtol": 1e-14})
    found[rows] = np.exp(root.x)
    return found
