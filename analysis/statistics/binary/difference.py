"""Risk difference of two arms, over any number of replicates at once."""

from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level
from analysis.statistics.binary import exact
from analysis.statistics.binary.proportion import wilson
from analysis.statistics.binary.score import limits, score
from analysis.statistics.binary.tables import Table, count
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.trouble import Trouble, troubled

METHODS = (
    *("wald", "wald-corrected", "newcombe", "newcombe-corrected", "agresti-caffo", "hauck-anderson"),
    *("miettinen-nurminen", "mee"),
    *exact.METHODS,
)


def risk_difference(
    values: Any,
    arms: Any,
    contrast: tuple[int, int],
    alpha: float = 0.05,
    sided: int = 2,
    method: str = "newcombe",
    margin: float = 0.0,
) -> Estimate:
    """Difference of proportions p_a - p_b, its interval by `method`, and a test that it is `margin`.

        wald                d +- z se,   se^2 = p_a q_a / n_a + p_b q_b / n_b
        wald-corrected      the same, wider by (1 / n_a + 1 / n_b) / 2 on each side
        newcombe            d - sqrt((p_a - l_a)^2 + (u_b - p_b)^2),  d + sqrt((u_a - p_a)^2 + (p_b - l_b)^2)
                            with Wilson's limits l, u of each arm; -corrected: with his continuity-corrected ones
        agresti-caffo       Wald's after a responder and a non-responder are added to each arm
        hauck-anderson      d +- (1 / (2 min(n_a, n_b)) + z sqrt(p_a q_a / (n_a - 1) + p_b q_b / (n_b - 1)))
        miettinen-nurminen  differences that the score test with variance times n / (n - 1) does not reject
        mee                 the same without that factor; its test at a margin is that of Farrington and Manning
        chan-zhang          exact unconditional, by inversion of two one-sided tests ordered by the score
        santner-snell       the same, ordered by the observed difference
        agresti-min         exact unconditional, by inversion of one two-sided test ordered by the absolute score

    The test belongs to the interval: z = (d - margin) / se, of both Newcombe's by Wald's se, as above for Agresti and
    Caffo and for Hauck and Anderson, the score statistic, or exact (the statistic is then the score). For
    non-inferiority of a to b by a margin: margin=-0.1, sided=1. Where nobody or everybody responds Wald's se is 0.
    values: 0, 1, NaN is left out; values, arms: (..., subject).
    Newcombe 1998, Stat Med 17:873 (methods 1, 2, 5, 10, 11); Agresti & Caffo 2000, Am Stat 54:280; Hauck & Anderson
    1986, Am Stat 40:318; Miettinen & Nurminen 1985, Stat Med 4:213; Mee 1984, Biometrics 40:1175; Farrington & Manning
    1990, Stat Med 9:1447; of the exact methods, exact.unconditional.
    """
    return of_tables(count(values, arms, contrast), alpha, sided, method, margin)


def of_tables(
    table: Table, alpha: float = 0.05, sided: int = 2, method: str = "newcombe", margin: float = 0.0
) -> Estimate:
    """As risk_difference, of counts: each array of the table (...)."""
    level(alpha, sided)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; give one of {', '.join(METHODS)}")
    if not -1.0 < margin < 1.0:
        raise ValueError(f"margin is {margin}; give a difference between -1 and 1")
    z = float(stats.norm.isf(alpha / sided))
    pa, pb = table.shares
    value, total = pa - pb, table.na + table.nb
    spread = _error(table, method)
    shift = _correction(table, method)
    with np.errstate(divide="ignore", invalid="ignore"):
        above = value - margin
        if method == "agresti-caffo":
            above = np.subtract(*_more(table).shares) - margin
        beyond = np.sign(above) * np.maximum(np.abs(above) - shift, 0.0)
        statistic = np.where(spread > 0, beyond / spread, np.where(np.abs(above) < 1e-15, 0.0, np.sign(above) * np.inf))
    statistic = np.where(table.empty[0], np.nan, statistic)
    if method in ("miettinen-nurminen", "mee", *exact.METHODS):
        statistic = score(table, margin, "difference", method == "miettinen-nurminen")
    flat = (spread == 0) & np.isin(method, ("wald", "wald-corrected", "hauck-anderson"))
    few = ((table.na < 2) | (table.nb < 2)) & np.isin(method, ("hauck-anderson",))
    trouble = troubled(value.shape, table.empty, (few, Trouble.TOO_FEW), (flat, Trouble.CONSTANT))
    found = interval(value, spread, stats.norm(), statistic, alpha, sided, total, trouble=trouble)
    if method in exact.METHODS:
        return exact.unconditional(found, table, alpha, sided, "difference", margin, method)
    lower, upper = _ends(table, method, z, spread, shift)
    return found._replace(lower=lower, upper=upper)


def _more(table: Table) -> Table:
    return Table(table.xa + 1, table.na + 2, table.xb + 1, table.nb + 2)


def _error(table: Table, method: str) -> np.ndarray:
    if method == "agresti-caffo":
        table = _more(table)
    (pa, pb), less = table.shares, method == "hauck-anderson"
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(pa * (1 - pa) / (table.na - less) + pb * (1 - pb) / (table.nb - less))


def _correction(table: Table, method: str) -> np.ndarray:
    with np.errstate(divide="ignore"):
        if method == "wald-corrected":
            return (1 / table.na + 1 / table.nb) / 2
        if method == "hauck-anderson":
            return 1 / (2 * np.minimum(table.na, table.nb))
    return np.zeros(np.shape(table.na))


def _ends(table: Table, method: str, z: float, se: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if method in ("miettinen-nurminen", "mee"):
        return limits(table, "difference", z, method == "miettinen-nurminen")
    pa, pb = table.shares
    if method.startswith("newcombe"):
        corrected = method.endswith("corrected")
        (la, ua), (lb, ub) = wilson(pa, table.na, z, corrected), wilson(pb, table.nb, z, corrected)
        return pa - pb - np.hypot(pa - la, ub - pb), pa - pb + np.hypot(ua - pa, pb - lb)
    middle = (
        np.where(table.empty[0], np.nan, np.subtract(*_more(table).shares)) if method == "agresti-caffo" else pa - pb
    )
    with np.errstate(invalid="ignore"):
        return middle - z * se - shift, middle + z * se + shift


def number_needed_to_treat(difference: float, lower: float, upper: float) -> tuple[float, float | None, float | None]:
    """Patients to treat for one more responder, 1 / difference, with its interval.

    Where the interval of the difference holds 0 that of the number runs through infinity, and has no two ends: then
    both are None. A negative number is a number needed to harm.
    Altman 1998, BMJ 317:1309.
    """
    value = 1.0 / difference if difference else float("inf")
    if not (lower > 0.0 or upper < 0.0):
        return value, None, None
    return value, 1.0 / upper, 1.0 / lower
