"""Odds ratio of two arms, over any number of replicates at once."""

from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level
from analysis.statistics.binary import fisher
from analysis.statistics.binary.score import limits, score
from analysis.statistics.binary.tables import Table, count
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.trouble import Trouble, troubled

METHODS = ("woolf", "haldane", "miettinen-nurminen", "score", "exact", "mid-p")


def odds_ratio(
    values: Any,
    arms: Any,
    contrast: tuple[int, int],
    alpha: float = 0.05,
    sided: int = 2,
    method: str = "woolf",
    margin: float = 1.0,
) -> Estimate:
    """Odds ratio of arm a against b, its interval by `method`, and a test that it is `margin`.

        woolf               exp(log ratio +- z se), se^2 the sum of 1 / cell
        haldane             the same, with 1/2 more in each cell
        miettinen-nurminen  odds ratios that the score test with variance times n / (n - 1) does not reject
        score               the same without that factor (Cornfield's without correction)
        exact               conditional on all margins: the value is the conditional maximum-likelihood estimate, each
                            end leaves alpha / 2 to a tail of the noncentral hypergeometric distribution
        mid-p               the same, the table itself counted half

    The test belongs to the interval; exact, two-sided: the sum over all tables that are no likelier than the one seen
    (as fisher.fisher_test); mid-p: twice the lesser tail. se: of the log odds ratio. Where a cell is empty the ratio is
    0 or infinite and Woolf's limits are NaN; where nobody or everybody responds it is NaN, but for Haldane's.
    values: 0, 1, NaN is left out; values, arms: (..., subject).
    Woolf 1955, Ann Hum Genet 19:251; Miettinen & Nurminen 1985, Stat Med 4:213; Cornfield 1956, Proc 3rd Berkeley Symp
    4:135; Fisher 1935, J R Stat Soc 98:39.
    """
    return of_tables(count(values, arms, contrast), alpha, sided, method, margin)


def of_tables(
    table: Table, alpha: float = 0.05, sided: int = 2, method: str = "woolf", margin: float = 1.0
) -> Estimate:
    """As odds_ratio, of counts: each array of the table (...)."""
    level(alpha, sided)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; give one of {', '.join(METHODS)}")
    if not 0.0 < margin < np.inf:
        raise ValueError(f"margin is {margin}; give an odds ratio above 0")
    cells = np.stack(np.broadcast_arrays(table.xa, table.na - table.xa, table.xb, table.nb - table.xb))
    cells = cells + (method == "haldane") * 0.5
    conditional = method in ("exact", "mid-p")
    with np.errstate(divide="ignore", invalid="ignore"):
        value = cells[0] * cells[3] / (cells[1] * cells[2])
        if conditional:
            value = fisher.likeliest(table)
        value = np.where(table.empty[0], np.nan, value)
        se = np.sqrt((1 / cells).sum(0))
        se = np.where(np.isfinite(se), se, np.nan)
        statistic = np.log(value / margin) / se
        if method in ("score", "miettinen-nurminen"):
            statistic = np.where(np.isnan(value), np.nan, score(table, margin, "odds", method == "miettinen-nurminen"))
    trouble = troubled(
        value.shape,
        table.empty,
        (np.isnan(value), Trouble.CONSTANT),
        ((cells == 0).any(0), Trouble.SEPARATED),
    )
    found = interval(value, se, stats.norm(), statistic, alpha, sided, table.na + table.nb, trouble=trouble)
    z = float(stats.norm.isf(alpha / sided))
    if method in ("woolf", "haldane"):
        return found._replace(lower=value * np.exp(-z * se), upper=value * np.exp(z * se))
    if not conditional:
        lower, upper = limits(table, "odds", z, method == "miettinen-nurminen")
        return found._replace(lower=lower, upper=upper)
    lower, upper = fisher.limits(table, alpha / sided, method == "mid-p")
    p = fisher.tails(table, margin, method == "mid-p")
    beyond = p.above if sided == 1 else p.both
    return found._replace(lower=lower, upper=upper, p=np.where(np.isnan(value), np.nan, beyond))
