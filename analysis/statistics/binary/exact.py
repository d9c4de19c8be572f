"""Exact unconditional inference on two proportions: what any common nuisance parameter would allow."""

import numpy as np
from scipy import special

from analysis.statistics.binary.score import FAR, Scale, score
from analysis.statistics.binary.tables import Table
from analysis.statistics.estimate import Estimate

METHODS = ("chan-zhang", "santner-snell", "agresti-min")
NUISANCE = 201  # shares of arm b at which a tail is looked at before its greatest is refined
REFINED = 4  # rounds of refinement around the greatest
SCAN = 32  # null values between the end and the estimate, the first of which that is not rejected brackets the limit
HALVINGS = 44
TIED = 1e-9  # statistics that differ by less are tied
MOST = 250_000  # possible tables, above which the enumeration is refused


def unconditional(
    found: Estimate, table: Table, alpha: float, sided: int, scale: Scale, null: float, method: str
) -> Estimate:
    """`found` with the exact interval and p-value by one of METHODS. Tables one after the other.

        tail(null) = max over p_b of P(statistic beyond the observed | p_b, null)

    chan-zhang, santner-snell: the lower limit is the least null value whose upper tail is above alpha / 2, the upper
    limit the greatest whose lower tail is; p is one of them, or twice the lesser. agresti-min: one tail, of the
    absolute statistic, above alpha. The statistic is the score for that null value, of santner-snell the observed
    difference. Raises ValueError for more tables than can be counted, and for a one-sided agresti-min.
    Chan & Zhang 1999, Biometrics 55:1202; Santner & Snell 1980, J Am Stat Assoc 75:386; Agresti & Min 2001, Biometrics
    57:963.
    """
    both = method == "agresti-min"
    if both and sided == 1:
        raise ValueError("method 'agresti-min' is two-sided; give sided 2, or method 'chan-zhang'")
    shape = found.value.shape
    lower, upper, p = (np.full(shape, np.nan) for _ in range(3))
    columns = np.broadcast_arrays(*table)
    for place in np.ndindex(shape):
        if np.isnan(found.value[place]):
            continue
        xa, na, xb, nb = (int(column[place]) for column in columns)
        if (na + 1) * (nb + 1) > MOST:
            raise ValueError(f"arms of {na} and {nb} have too many tables to count; use method 'miettinen-nurminen'")
        one, value = Enumeration(xa, na, xb, nb, scale, method != "santner-snell"), float(found.value[place])
        level = alpha if both else alpha / sided
        lower[place], upper[place] = (one.limit(side, 0 if both else side, level, value) for side in (1, -1))
        if both:
            p[place] = one.tail(null, 0)
        else:
            above, below = one.tail(null, 1), one.tail(null, -1)
            p[place] = above if sided == 1 else min(1.0, 2 * min(above, below))
    return found._replace(lower=lower, upper=upper, p=p)


class Enumeration:
    """All tables of two arms of these sizes, and which was seen."""

    def __init__(self, xa: int, na: int, xb: int, nb: int, scale: Scale, by_score: bool) -> None:
        self.seen, self.sizes, self.scale, self.by_score = (xa, xb), (na, nb), scale, by_score
        a, b = np.meshgrid(np.arange(na + 1.0), np.arange(nb + 1.0), indexing="ij")
        self.tables = Table(a, np.full(a.shape, float(na)), b, np.full(a.shape, float(nb)))

    def tail(self, null: float, side: int) -> float:
        """Greatest probability, over the nuisance, of what is at least as far above (side 1), below (-1) or off
        (0) as seen."""
        inside = self._beyond(null, side)
        low, high = (max(0.0, -null), min(1.0, 1.0 - null)) if self.scale == "difference" else (0.0, min(1.0, 1 / null))
        shares, best = np.linspace(low, high, NUISANCE), 0.0
        for _ in range(REFINED + 1):
            found = self._probability(inside, shares, null)
            top = int(found.argmax())
            best = max(best, float(found[top]))
            shares = np.linspace(shares[max(top - 1, 0)], shares[min(top + 1, len(shares) - 1)], 17)
        return best

    def limit(self, side: int, of: int, tail: float, value: float) -> float:
        """Limit of the interval below (side 1) or above (-1) the estimate, by the tail `of` that side, or of both."""
        wide = 1.0 if self.scale == "difference" else FAR / 4
        middle = value if self.scale == "difference" else np.log(np.clip(value, np.exp(-wide), np.exp(wide)))
        if abs(middle) >= wide and np.sign(middle) == -side:
            return -side * wide if self.scale == "difference" else (0.0 if side > 0 else np.inf)

        def kept(at: float) -> bool:
            return self.tail(at if self.scale == "difference" else float(np.exp(at)), of) > tail

        outside = -side * wide
        points = np.linspace(outside, middle, SCAN + 1)[1:]
        inside = float(middle)
        for point in points[:-1]:
            if kept(float(point)):
                inside = float(point)
                break
            outside = float(point)
        for _ in range(HALVINGS):
            half = (outside + inside) / 2
            outside, inside = (outside, half) if kept(half) else (half, inside)
        return inside if self.scale == "difference" else float(np.exp(inside))

    def _beyond(self, null: float, side: int) -> np.ndarray:
        if self.by_score:
            statistic = score(self.tables, null, self.scale, False)
        else:
            statistic = np.subtract(*self.tables.shares)
        statistic = np.where(np.isnan(statistic), 0.0, statistic)
        statistic = statistic * side if side else np.abs(statistic)
        return statistic >= statistic[self.seen] - TIED

    def _probability(self, inside: np.ndarray, pb: np.ndarray, null: float) -> np.ndarray:
        pa = np.clip(pb + null if self.scale == "difference" else pb * null, 0.0, 1.0)
        a, b = (_binomial(n, p) for n, p in zip(self.sizes, (pa, pb), strict=True))
        return ((a @ inside) * b).sum(-1)


def _binomial(n: int, p: np.ndarray) -> np.ndarray:
    """Probabilities of 0 to n, (share, n + 1)."""
    k = np.arange(n + 1.0)
    choose = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return np.exp(choose + special.xlogy(k, p[:, None]) + special.xlog1py(n - k, -p[:, None]))
