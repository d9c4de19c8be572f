"""Simon's two stages: one arm, one outcome, one look."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy import special, stats

from analysis.statistics.probability import probabilities, share


class Design(NamedTuple):
    """Stop with r1 or fewer responders of n1, else go on to n; the drug is promising with more than r of n."""

    r1: int
    n1: int
    r: int
    n: int


class Characteristics(NamedTuple):
    """promising: P(more than r of n), stop: P(r1 or fewer of n1), expected: number of patients; each as the rate."""

    promising: np.ndarray
    stop: np.ndarray
    expected: np.ndarray


class Admissible(NamedTuple):
    """A design that has the least q most + (1 - q) expected of all, for q from lower to upper. alpha, power:
    P(promising) at the two rates of the search; stop, expected: at the first."""

    design: Design
    alpha: float
    power: float
    stop: float
    expected: float
    lower: float
    upper: float


def characteristics(design: Design, rate: Any) -> Characteristics:
    """What the design does where that share responds, exactly. rate: any shape. Raises ValueError for no design."""
    r1, n1, r, n = (int(each) for each in design)
    if not (0 <= r1 < n1 < n and r1 <= r < n):
        raise ValueError(f"{tuple(design)} is no design; give r1, n1, r, n with 0 <= r1 < n1 < n and r1 <= r < n")
    p = np.asarray(probabilities(np.atleast_1d(rate), "rate", "rate")).reshape(np.shape(rate))
    stop = stats.binom.cdf(r1, n1, p)
    x = np.arange(r1 + 1, n1 + 1)
    promising = (stats.binom.pmf(x, n1, p[..., None]) * stats.binom.sf(r - x, n - n1, p[..., None])).sum(-1)
    return Characteristics(promising, stop, n1 + (1.0 - stop) * (n - n1))


def admissible(low: float, high: float, alpha: float = 0.05, beta: float = 0.2, most: int = 100) -> list[Admissible]:
    """The admissible designs, from the minimax one (fewest in all) to the optimal one (fewest expected at `low`).

    low, high: rates of response that are too low, and worth while; alpha: largest P(promising | low); beta: largest
    P(not promising | high); most: patients. Every design of two stages is looked at. Raises ValueError where none will
    do. Simon 1989, Control Clin Trials 10:1; Jung, Lee, Kim & George 2004, Stat Med 23:561.
    """
    for name, value in (("low", low), ("high", high), ("alpha", alpha), ("beta", beta)):
        share(value, name)
    if not low < high:
        raise ValueError(
            f"the rate that is too low, {low:g}, is not below the one worth while, {high:g}; give a lower one"
        )
    best = {n: found for n in range(2, most + 1) if (found := _best(n, low, high, alpha, beta))}
    if not best:
        raise ValueError(
            f"no design of {most} patients or fewer tells {low:g} from {high:g} so surely; allow more patients"
        )
    hull: list[tuple[int, float]] = []
    least = np.inf
    for n, (expected, _) in best.items():
        if not expected < least:
            continue
        least = expected
        # Lower convex hull of (most, expected).
        while len(hull) > 1 and _turn(hull[-2], hull[-1], (n, expected)) <= 0:
            hull.pop()
        hull.append((n, expected))
    # Where q n + (1 - q) expected of neighbours are equal; the largest number counts most for the first.
    edges = [(e - f) / ((m - n) + (e - f)) for (n, e), (m, f) in pairwise(hull)]
    result = []
    for (n, expected), upper, lower in zip(hull, [1.0, *edges], [*edges, 0.0], strict=True):
        design = best[n][1]
        both = characteristics(design, [low, high])
        alpha_found, power = (float(each) for each in both.promising)
        result.append(Admissible(design, alpha_found, power, float(both.stop[0]), expected, lower, upper))
    return result


def minimax(low: float, high: float, alpha: float = 0.05, beta: float = 0.2, most: int = 100) -> Admissible:
    """The design with the fewest patients at most, of those that with the fewest expected. As `admissible`."""
    return admissible(low, high, alpha, beta, most)[0]


def optimal(low: float, high: float, alpha: float = 0.05, beta: float = 0.2, most: int = 100) -> Admissible:
    """The design with the fewest patients expected at the low rate. As `admissible`."""
    return admissible(low, high, alpha, beta, most)[-1]


def _best(n: int, low: float, high: float, alpha: float, beta: float) -> tuple[float, Design] | None:
    """Of designs with n patients that keep both errors the one with the fewest expected, and that number."""
    # No test has more power than Neyman and Pearson's at the end, randomised to reach alpha.
    r0 = stats.binom.isf(alpha, n, low)
    extra = (alpha - stats.binom.sf(r0, n, low)) / stats.binom.pmf(r0, n, low)
    if stats.binom.sf(r0, n, high) + extra * stats.binom.pmf(r0, n, high) < 1.0 - beta - 1e-12:
        return None
    found = None
    r = np.arange(n)
    for n1 in range(1, n):
        x = np.arange(n1 + 1)
        sure, seen = [], []
        for p in (low, high):
            first = stats.binom.pmf(x, n1, p)
            rest = special.bdtrc(np.clip(r - x[:, None], -1, n - n1), n - n1, p)
            rest = np.where(r - x[:, None] < 0, 1.0, np.where(r - x[:, None] >= n - n1, 0.0, rest))
            # promising[r1, r]: sum over what is above r1
            sure.append(np.cumsum((first[:, None] * rest)[::-1], axis=0)[::-1][1:])
            seen.append(first)
        stop = np.cumsum(seen[0])[:-1]
        fits = (sure[0] <= alpha) & (sure[1] >= 1.0 - beta) & (r >= np.arange(n1)[:, None])
        rows = np.flatnonzero(fits.any(1))
        if not len(rows):
            continue
        # The more often it stops the fewer are expected.
        r1 = int(rows[-1])
        expected = float(n1 + (1.0 - stop[r1]) * (n - n1))
        if found is None or expected < found[0]:
            found = (expected, Design(r1, n1, int(fits[r1].argmax()), n))
    return found


def _turn(a: tuple[int, float], b: tuple[int, float], c: tuple[int, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
