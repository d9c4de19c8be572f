"""The score statistic of a common risk difference, and what it does not reject."""

import numpy as np
from scipy.optimize import elementwise

from analysis.statistics.binary.score import constrained
from analysis.statistics.binary.tables import Table

ROUNDS = 200  # of the weights that depend on themselves
STILL = 1e-13  # relative change of a weight


def z_score(table: Table, adapted: bool, null: np.ndarray) -> np.ndarray:
    """z of a table (..., stratum) for a common difference `null`, (...); 0 where nothing tells against it.

        z = sum w (d - null) / sqrt(sum w^2 V)

    V: each stratum's score variance times n / (n - 1). w: Mantel and Haenszel's, or adapted, Miettinen and Nurminen's.
    Strata without subjects do not count.
    """
    null = np.asarray(null, float)[..., None]
    ca, cb = constrained(table, null, "difference")
    xa, na, xb, nb = table
    n = na + nb
    with np.errstate(divide="ignore", invalid="ignore"):
        w = np.where(n > 0, na * nb / n, 0.0)
        if adapted:
            w = _weights(table, ca, cb, w)
        variance = (ca * (1 - ca) / na + cb * (1 - cb) / nb) * n / (n - 1)
        above = np.where(n > 0, w * (xa / na - xb / nb - null), 0.0).sum(-1)
        spread = np.sqrt(np.where(n > 0, w**2 * variance, 0.0).sum(-1))
        none = np.abs(above) <= 1e-13 * w.sum(-1)
        return np.where(n.sum(-1) > 0, np.where(none & ~(spread > 1e-13), 0.0, above / spread), np.nan)


def _weights(table: Table, ca: np.ndarray, cb: np.ndarray, w: np.ndarray) -> np.ndarray:
    there = table.na > 0
    ca, cb = np.where(there, ca, 0.0), np.where(there, cb, 0.0)
    for _ in range(ROUNDS):
        ra, rb = ((w * each).sum(-1, keepdims=True) / w.sum(-1, keepdims=True) for each in (ca, cb))
        odds = ra * (1 - ra) / (rb * (1 - rb))
        # Without variance in an arm the weights have no limit; those of equal variances then serve.
        odds = np.where(np.isfinite(odds) & (odds > 0), odds, 1.0)
        new = np.where(there, 1 / (odds / table.na + 1 / table.nb), 0.0)
        change, w = np.abs(new - w).max(initial=0.0), new
        if change <= STILL * w.max(initial=0.0):
            break
    return w


def root(
    table: Table, adapted: bool, z: float, low: np.ndarray | None = None, high: np.ndarray | None = None
) -> np.ndarray:
    """Common difference, (...), at which the score statistic is z, between low and high; NaN where there is none."""
    shape = table.na.shape[:-1]
    columns = [each.reshape(-1, each.shape[-1]) for each in table]
    ends = [np.full(shape, end) if given is None else given for given, end in ((low, -1.0), (high, 1.0))]

    def beyond(null: np.ndarray, row: np.ndarray) -> np.ndarray:
        found = z_score(Table(*(each[row.astype(int)] for each in columns)), adapted, null)
        return np.where(np.isinf(found), np.sign(found) * 1e6, found) - z

    rows = np.arange(len(columns[0]), dtype=float)
    with np.errstate(all="ignore"):
        found = elementwise.find_root(
            beyond,
            (ends[0].reshape(-1), ends[1].reshape(-1)),
            args=(rows,),
            tolerances={"xatol": 1e-14, "xrtol": 1e-14},
        )
    return np.where(found.success, found.x, np.nan).reshape(shape)


def limits(table: Table, adapted: bool, z: float, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the interval about the estimate, each (...)."""
    lower = np.where(value == -1, -1.0, root(table, adapted, z, high=value))
    return lower, np.where(value == 1, 1.0, root(table, adapted, -z, low=value))
