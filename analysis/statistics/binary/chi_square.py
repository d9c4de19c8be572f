"""Tests of independence and of trend in tables of counts, over any number of replicates at once."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.arrays import plain, together
from analysis.statistics.binary.tables import binary
from analysis.statistics.trouble import Trouble, troubled


class Tested(NamedTuple):
    """A test without an estimate; every array (replicate,), or of whatever dimensions came before."""

    statistic: np.ndarray
    df: np.ndarray
    p: np.ndarray
    trouble: np.ndarray


def chi_square(values: Any, arms: Any, corrected: bool = False) -> Tested:
    """Pearson's test that outcomes are as frequent in all arms. values: codes of any number of outcomes, NaN is left
    out; values, arms: (..., subject). All arms and outcomes that are there count; df = (arms - 1) (outcomes - 1).

        X^2 = sum (O - E)^2 / E;   corrected, of two arms and two outcomes: sum (|O - E| - min(1/2, |O - E|))^2 / E

    Pearson 1900, Phil Mag 50:157; Yates 1934, J R Stat Soc Suppl 1:217.
    """
    values, arms = together(values=plain(values, "values"), arms=plain(arms, "arms"))
    known = ~np.isnan(values)
    rows, columns = np.unique(arms[~np.isnan(arms)]), np.unique(values[known])
    counts = [[((arms == row) & (values == column)).sum(-1) for column in columns] for row in rows]
    if not counts or not counts[0]:
        raise ValueError("no subject has both an arm and a value; give some")
    return of_counts(np.moveaxis(np.array(counts, float), (0, 1), (-2, -1)), corrected)


def of_counts(counts: Any, corrected: bool = False) -> Tested:
    """As chi_square, of counts (..., arm, outcome); arms and outcomes that nobody has are left out."""
    counts = plain(counts, "counts", "arm", "outcome")
    if np.isnan(counts).any() or (counts < 0).any():
        raise ValueError("counts hold NaN or negative numbers; give numbers of subjects")
    rows, columns, total = counts.sum(-1, keepdims=True), counts.sum(-2, keepdims=True), counts.sum((-2, -1))
    df = ((rows > 0).sum((-2, -1)) - 1.0) * ((columns > 0).sum((-2, -1)) - 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = rows * columns / total[..., None, None]
        off = np.abs(counts - expected)
        two = ((rows > 0).sum((-2, -1)) == 2) & ((columns > 0).sum((-2, -1)) == 2)
        # The four differences of a table of two by two are equal; rounding must not tell them apart.
        off = off - np.where(two[..., None, None] & corrected, np.minimum(0.5, off), 0.0)
        statistic = np.where(expected > 0, off**2 / expected, 0.0).sum((-2, -1))
    statistic = np.where(df > 0, statistic, np.nan)
    trouble = troubled(
        df.shape, ((rows > 0).sum((-2, -1)) < 2, Trouble.EMPTY_ARM), ((columns > 0).sum((-2, -1)) < 2, Trouble.CONSTANT)
    )
    return Tested(statistic, df, stats.chi2.sf(statistic, np.where(df > 0, df, np.nan)), trouble)


def trend(values: Any, doses: Any, sided: int = 2) -> Tested:
    """Cochran and Armitage's test that the share of responders changes with the dose; statistic z.

        z = sum d (x - p) / sqrt(p q sum (d - mean d)^2)

    over subjects, with p the share of all. p-value: two-sided, or one-sided for a share that rises.
    values: 0 or 1, NaN is left out; doses: a number a subject; both (..., subject).
    Cochran 1954, Biometrics 10:417; Armitage 1955, Biometrics 11:375.
    """
    values, doses = together(values=binary(values, "values"), doses=plain(doses, "doses"))
    used = ~np.isnan(values) & ~np.isnan(doses)
    n = used.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(used, values, 0.0).sum(-1) / n
        centred = np.where(used, doses - (np.where(used, doses, 0.0).sum(-1) / n)[..., None], 0.0)
        spread = (centred**2).sum(-1)
        z = (centred * np.where(used, values, 0.0)).sum(-1) / np.sqrt(p * (1 - p) * spread)
    trouble = troubled(n.shape, (n == 0, Trouble.EMPTY_ARM), (~(p * (1 - p) * spread > 0), Trouble.CONSTANT))
    z = np.where(trouble == 0, z, np.nan)
    return Tested(
        z, np.full(n.shape, np.inf), 2 * stats.norm.sf(np.abs(z)) if sided == 2 else stats.norm.sf(z), trouble
    )
