"""Risk ratio of two arms, over any number of replicates at once."""

from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level
from analysis.statistics.binary import exact
from analysis.statistics.binary.score import limits, score
from analysis.statistics.binary.tables import Table, count
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.trouble import Trouble, troubled

METHODS = ("katz", "walter", "miettinen-nurminen", "koopman", "chan-zhang", "agresti-min")


def risk_ratio(
    values: Any,
    arms: Any,
    contrast: tuple[int, int],
    alpha: float = 0.05,
    sided: int = 2,
    method: str = "katz",
    margin: float = 1.0,
) -> Estimate:
    """Ratio of proportions p_a / p_b, its interval by `method`, and a test that it is `margin`.

        katz                exp(log ratio +- z se),   se^2 = 1 / x_a - 1 / n_a + 1 / x_b - 1 / n_b
        walter              the same, with half a responder more of half a subject more in each arm
        miettinen-nurminen  ratios that the score test with variance times n / (n - 1) does not reject
        koopman             the same without that factor; its test at a margin is that of Farrington and Manning
        chan-zhang          exact unconditional, by inversion of two one-sided tests ordered by the score
        agresti-min         exact unconditional, by inversion of one two-sided test ordered by the absolute score

    The test belongs to the interval. se: of the log ratio. Where an arm has no responder Katz's limits are NaN; where
    neither has the ratio is too, but for Walter's. values: 0, 1, NaN is left out; values, arms: (..., subject).
    Katz et al. 1978, Biometrics 34:469; Walter 1975, Biometrika 62:371; Miettinen & Nurminen 1985, Stat Med 4:213;
    Koopman 1984, Biometrics 40:513; Farrington & Manning 1990, Stat Med 9:1447; of the exact methods,
    exact.unconditional.
    """
    return of_tables(count(values, arms, contrast), alpha, sided, method, margin)


def of_tables(table: Table, alpha: float = 0.05, sided: int = 2, method: str = "katz", margin: float = 1.0) -> Estimate:
    """As risk_ratio, of counts: each array of the table (...)."""
    level(alpha, sided)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; give one of {', '.join(METHODS)}")
    if not 0.0 < margin < np.inf:
        raise ValueError(f"margin is {margin}; give a ratio above 0")
    by_logs = method in ("katz", "walter")
    used = Table(*(each + 0.5 for each in table)) if method == "walter" else table
    with np.errstate(divide="ignore", invalid="ignore"):
        pa, pb = used.shares
        value = np.where(table.empty[0], np.nan, pa / pb)
        se = np.sqrt(1 / used.xa - 1 / used.na + 1 / used.xb - 1 / used.nb)
        se = np.where(np.isfinite(se) & ~table.empty[0], se, np.nan)
        statistic = np.log(value / margin) / se
        # Both arms respond throughout: a ratio of 1 without error is no evidence against 1.
        statistic = np.where((se == 0) & (value == margin), 0.0, statistic)
        if not by_logs:
            statistic = np.where(np.isnan(value), np.nan, score(table, margin, "ratio", method == "miettinen-nurminen"))
    trouble = troubled(
        value.shape,
        table.empty,
        (np.isnan(value), Trouble.NO_EVENTS),
        ((used.xa == 0) | (used.xb == 0), Trouble.SEPARATED),
        ((se == 0) & by_logs, Trouble.CONSTANT),
    )
    found = interval(value, se, stats.norm(), statistic, alpha, sided, table.na + table.nb, trouble=trouble)
    z = float(stats.norm.isf(alpha / sided))
    if method in exact.METHODS:
        return exact.unconditional(found, table, alpha, sided, "ratio", margin, method)
    if not by_logs:
        lower, upper = limits(table, "ratio", z, method == "miettinen-nurminen")
        return found._replace(lower=lower, upper=upper)
    with np.errstate(invalid="ignore"):
        return found._replace(lower=value * np.exp(-z * se), upper=value * np.exp(z * se))
