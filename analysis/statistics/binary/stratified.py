"""Two arms within strata: tests and common measures, over any number of replicates at once."""

from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level
from analysis.statistics.binary.chi_square import Tested
from analysis.statistics.binary.score import constrained
from analysis.statistics.binary.stratified_score import limits, root, z_score
from analysis.statistics.binary.tables import Table, count_strata
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.trouble import Trouble, troubled

DIFFERENCES = ("sato", "greenland-robins", "inverse-variance", "miettinen-nurminen")
WEIGHTS = ("mantel-haenszel", "miettinen-nurminen")


def cmh(values: Any, arms: Any, contrast: tuple[int, int], strata: Any, corrected: bool = False) -> Tested:
    """Cochran, Mantel and Haenszel's test that no stratum tells the arms apart; see `cmh_of_tables`."""
    return cmh_of_tables(count_strata(values, arms, contrast, strata), corrected)


def cmh_of_tables(table: Table, corrected: bool = False) -> Tested:
    """Test of conditional independence, of a table (..., stratum).

        X^2 = (sum x_a - n_a c / n)^2 / sum n_a n_b c (n - c) / (n^2 (n - 1)),   c = x_a + x_b

    corrected: 1/2 less before it is squared, unless that is more than it. Mantel & Haenszel 1959, J Natl Cancer Inst
    22:719.
    """
    xa, na, xb, nb = _informative(table)
    n, events = na + nb, xa + xb
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.abs(np.where(n > 1, xa - na * events / n, 0.0).sum(-1))
        variance = np.where(n > 1, na * nb * events * (n - events) / (n**2 * (n - 1)), 0.0).sum(-1)
        statistic = np.where(corrected & (off >= 0.5), off - 0.5, off) ** 2 / variance
    trouble = troubled(off.shape, ((na * nb).sum(-1) == 0, Trouble.EMPTY_ARM), (~(variance > 0), Trouble.CONSTANT))
    statistic = np.where(trouble == 0, statistic, np.nan)
    return Tested(statistic, np.ones(off.shape), stats.chi2.sf(statistic, 1), trouble)


def common_odds_ratio(
    values: Any, arms: Any, contrast: tuple[int, int], strata: Any, alpha: float = 0.05, sided: int = 2
) -> Estimate:
    """Mantel and Haenszel's common odds ratio; see `odds_ratio_of_tables`."""
    return odds_ratio_of_tables(count_strata(values, arms, contrast, strata), alpha, sided)


def odds_ratio_of_tables(table: Table, alpha: float = 0.05, sided: int = 2) -> Estimate:
    """Common odds ratio sum R / sum S, R = x_a (n_b - x_b) / n, S = x_b (n_a - x_a) / n, of a table (..., stratum).

    se: of its log, by Robins, Breslow & Greenland 1986, Biometrics 42:311. The test is Wald's of the log.
    """
    xa, na, xb, nb = _informative(table)
    n = na + nb
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = (np.where(n > 0, each / n, 0.0) for each in (xa + nb - xb, xb + na - xa))
        r, s = (np.where(n > 0, each / n, 0.0) for each in (xa * (nb - xb), xb * (na - xa)))
        up, down = r.sum(-1), s.sum(-1)
        variance = (p * r).sum(-1) / (2 * up**2) + (p * s + q * r).sum(-1) / (2 * up * down)
        variance = variance + (q * s).sum(-1) / (2 * down**2)
        return _by_log(table, up / down, np.sqrt(variance), alpha, sided)


def common_risk_ratio(
    values: Any, arms: Any, contrast: tuple[int, int], strata: Any, alpha: float = 0.05, sided: int = 2
) -> Estimate:
    """Mantel and Haenszel's common risk ratio; see `risk_ratio_of_tables`."""
    return risk_ratio_of_tables(count_strata(values, arms, contrast, strata), alpha, sided)


def risk_ratio_of_tables(table: Table, alpha: float = 0.05, sided: int = 2) -> Estimate:
    """Common risk ratio sum R / sum S, R = x_a n_b / n, S = x_b n_a / n, of a table (..., stratum).

    se: of its log, by Greenland & Robins 1985, Biometrics 41:55. The test is Wald's of the log.
    """
    xa, na, xb, nb = _informative(table)
    n = na + nb
    with np.errstate(divide="ignore", invalid="ignore"):
        r, s = (np.where(n > 0, each / n, 0.0).sum(-1) for each in (xa * nb, xb * na))
        spread = np.where(n > 0, (na * nb * (xa + xb) - xa * xb * n) / n**2, 0.0).sum(-1)
        return _by_log(table, r / s, np.sqrt(spread / (r * s)), alpha, sided)


def common_risk_difference(
    values: Any,
    arms: Any,
    contrast: tuple[int, int],
    strata: Any,
    alpha: float = 0.05,
    sided: int = 2,
    method: str = "sato",
    weights: str = "mantel-haenszel",
    margin: float = 0.0,
) -> Estimate:
    """Common risk difference; see `risk_difference_of_tables`."""
    table = count_strata(values, arms, contrast, strata)
    return risk_difference_of_tables(table, alpha, sided, method, weights, margin)


def risk_difference_of_tables(
    table: Table,
    alpha: float = 0.05,
    sided: int = 2,
    method: str = "sato",
    weights: str = "mantel-haenszel",
    margin: float = 0.0,
) -> Estimate:
    """Common risk difference sum w d / sum w of a table (..., stratum), and a test that it is `margin`.

        sato, greenland-robins  w = n_a n_b / n, Wald's interval with the variance of the name
        inverse-variance        w = 1 / (p_a q_a / n_a + p_b q_b / n_b)
        miettinen-nurminen      differences that z = sum w (d - null) / sqrt(sum w^2 V), with each stratum's score
                                variance V, does not reject

    weights, for the last: "mantel-haenszel", or "miettinen-nurminen", which depend on the null value, so that the
    estimate is where the score is 0: w = 1 / (r_a (1 - r_a) / (r_b (1 - r_b) n_a) + 1 / n_b) with r the mean over
    strata, weighted by w, of the constrained shares. Strata without one of the arms are left out.
    Sato 1989, Biometrics 45:1323; Greenland & Robins 1985, Biometrics 41:55; Miettinen & Nurminen 1985, Stat Med 4:213.
    """
    level(alpha, sided)
    if method not in DIFFERENCES:
        raise ValueError(f"method is {method!r}; give one of {', '.join(DIFFERENCES)}")
    if weights not in WEIGHTS:
        raise ValueError(f"weights is {weights!r}; give one of {', '.join(WEIGHTS)}")
    if not -1.0 < margin < 1.0:
        raise ValueError(f"margin is {margin}; give a difference between -1 and 1")
    xa, na, xb, nb = used = _informative(table)
    n = na + nb
    subjects = n.sum(-1)
    none = ((na * nb).sum(-1) == 0, Trouble.EMPTY_ARM)
    with np.errstate(divide="ignore", invalid="ignore"):
        pa, pb = used.shares
        spread = pa * (1 - pa) / na + pb * (1 - pb) / nb
        w = 1 / spread if method == "inverse-variance" else na * nb / n
        w = np.where(n > 0, w, 0.0)
        d = np.where(n > 0, pa - pb, 0.0)
        value = (w * d).sum(-1) / w.sum(-1)
        if method == "sato":
            first = (na**2 * xb - nb**2 * xa + na * nb * (nb - na) / 2) / n**2
            second = (xa * (nb - xb) + xb * (na - xa)) / (2 * n)
            variance = value * np.where(n > 0, first, 0.0).sum(-1) + np.where(n > 0, second, 0.0).sum(-1)
        else:
            variance = np.where(n > 0, w**2 * spread, 0.0).sum(-1)
        se = np.sqrt(np.maximum(variance, 0.0)) / w.sum(-1)
        statistic = (value - margin) / se
    if method != "miettinen-nurminen":
        flat = (~(se > 0), Trouble.CONSTANT)
        return interval(
            value, se, stats.norm(), statistic, alpha, sided, subjects, trouble=troubled(value.shape, none, flat)
        )
    adapted = weights == "miettinen-nurminen"
    if adapted:
        value = root(used, adapted, 0.0)
    lower, upper = limits(used, adapted, float(stats.norm.isf(alpha / sided)), value)
    statistic = z_score(used, adapted, np.full(subjects.shape, margin))
    found = interval(value, se, stats.norm(), statistic, alpha, sided, subjects, trouble=troubled(value.shape, none))
    return found._replace(lower=lower, upper=upper)


def breslow_day(values: Any, arms: Any, contrast: tuple[int, int], strata: Any, tarone: bool = True) -> Tested:
    """Test that all strata have one odds ratio; see `breslow_day_of_tables`."""
    return breslow_day_of_tables(count_strata(values, arms, contrast, strata), tarone)


def breslow_day_of_tables(table: Table, tarone: bool = True) -> Tested:
    """Breslow and Day's test of homogeneity, of a table (..., stratum), about Mantel and Haenszel's common odds ratio.

        X^2 = sum (x_a - e)^2 / v,   1 / v = 1 / e + 1 / (c - e) + 1 / (n_a - e) + 1 / (n_b - c + e)

    e: what the common odds ratio makes of the margins; tarone: less (sum x_a - e)^2 / sum v. Strata in which nobody or
    everybody responds, or without an arm, tell nothing and take no degree of freedom.
    Breslow & Day 1980, Statistical Methods in Cancer Research 1, eq. 4.30; Tarone 1985, Biometrika 72:91.
    """
    used = _informative(table)
    xa, na, xb, nb = used
    events, n = xa + xb, na + nb
    telling = (n > 0) & (events > 0) & (events < n)
    common = odds_ratio_of_tables(used).value
    with np.errstate(divide="ignore", invalid="ignore"):
        ca, cb = constrained(used, common[..., None], "odds")
        variance = 1 / (1 / (na * ca * (1 - ca)) + 1 / (nb * cb * (1 - cb)))
        off, variance = np.where(telling, xa - na * ca, 0.0), np.where(telling, variance, 0.0)
        statistic = np.where(telling, off**2 / variance, 0.0).sum(-1)
        statistic = statistic - tarone * off.sum(-1) ** 2 / variance.sum(-1)
    df = telling.sum(-1) - 1.0
    few, infinite = df < 1, ~((common > 0) & (common < np.inf))
    trouble = troubled(df.shape, (few, Trouble.TOO_FEW), (infinite, Trouble.SEPARATED))
    statistic = np.where(trouble == 0, statistic, np.nan)
    return Tested(statistic, df, stats.chi2.sf(statistic, np.where(few, np.nan, df)), trouble)


def _informative(table: Table) -> Table:
    """The table with strata emptied that lack an arm."""
    empty = table.empty[0]
    return Table(*(np.where(empty, 0.0, each) for each in table))


def _by_log(table: Table, value: np.ndarray, se: np.ndarray, alpha: float, sided: int) -> Estimate:
    level(alpha, sided)
    used = _informative(table)
    none = ((used.na * used.nb).sum(-1) == 0, Trouble.EMPTY_ARM)
    infinite = ~(value > 0) | np.isinf(value)
    trouble = troubled(value.shape, none, (np.isnan(value), Trouble.CONSTANT), (infinite, Trouble.SEPARATED))
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.where(infinite, np.nan, se)
        log = np.log(np.where(infinite, np.nan, value))
        # A ratio of 1 without error is no evidence against 1.
        statistic = np.where((se == 0) & (log == 0), 0.0, log / se)
        found = interval(log, se, stats.norm(), statistic, alpha, sided, (used.na + used.nb).sum(-1), trouble=trouble)
        return found._replace(value=value, lower=np.exp(found.lower), upper=np.exp(found.upper))
