"""Trials in which every subject takes the treatments in turn: two periods, or any number of them."""

from typing import Any, NamedTuple

import numpy as np

from analysis.statistics import design
from analysis.statistics.arrays import level, plain
from analysis.statistics.design import ARM, Term
from analysis.statistics.estimate import Estimate
from analysis.statistics.mmrm.model import VISIT, combined, fitted
from analysis.statistics.two_means import t_test

CARRYOVER, SEQUENCE = "carryover", "sequence"


class TwoPeriods(NamedTuple):
    """treatment: the contrast's first against its second. period: the second against the first. carryover: of sums over
    both periods, who begins with the contrast's first treatment against who begins with its second."""

    treatment: Estimate
    period: Estimate
    carryover: Estimate


def two_by_two(values: Any, arms: Any, contrast: tuple[int, int], alpha: float = 0.05, sided: int = 2) -> TwoPeriods:
    """AB/BA crossover: effects of treatment and period by differences within subjects, carryover by their sums.

        d = y_1 - y_2,   treatment = (mean_AB d - mean_BA d) / 2,   period = -(mean_AB d + mean_BA d) / 2
        carryover = mean_AB (y_1 + y_2) - mean_BA (y_1 + y_2)

    values: (..., subject, 2); who lacks a period is left out. arms: (..., subject), the treatment of the first period;
    contrast: (A, B). All by the pooled t distribution with n - 2 degrees of freedom; each array is (...,).
    Jones & Kenward, Design and Analysis of Cross-Over Trials, 3rd ed., section 2.3.
    """
    y = plain(values, "values", "subject", "period")
    if y.shape[-1] != 2:
        raise ValueError(f"values has {y.shape[-1]} periods; give two, or use `mixed` for more")
    codes = plain(arms, "arms")
    within, total = y[..., 0] - y[..., 1], y.sum(-1)
    # With the sign of one sequence turned, a difference of means is minus their sum.
    later = np.where(codes == contrast[0], -within, within)
    treatment, period, carryover = (
        t_test(each, codes, contrast, alpha, sided, pooled=True) for each in (within, later, total)
    )
    return TwoPeriods(_halved(treatment), _halved(period), carryover)


def mixed(
    values: Any,
    treatments: Any,
    contrast: tuple[int, int],
    sequences: Any = None,
    alpha: float = 0.05,
    sided: int = 2,
    carryover: bool = False,
    structure: str = "cs",
    degrees: str = "kenward-roger",
) -> Estimate:
    """Crossover of any sequences and periods: treatment within subjects, and between them where periods are missing.

        y = treatment + period [+ sequence] [+ carryover of the treatment before] + e,   cov e_i = V

    values, treatments: (..., subject, period), NaN where a period is missing. sequences: codes, (..., subject), for
    their effect to be in the model. structure, degrees: as in `mmrm.fitted`. Each array is (...,).
    Jones & Kenward, Design and Analysis of Cross-Over Trials, 3rd ed., chapter 5.
    """
    level(alpha, sided)
    given = plain(treatments, "treatments", "subject", "period")
    a, b = design.chosen(contrast, given)
    terms: list[Term] = [(), (ARM,), (VISIT,)]
    factors = {}
    if sequences is not None:
        factors[SEQUENCE] = plain(sequences, "sequences")
        terms.append((SEQUENCE,))
    if carryover:
        # Nothing went before the first period: a level of its own, which the period tells.
        none = np.full((*given.shape[:-1], 1), np.nanmin(given) - 1)
        factors[CARRYOVER] = np.concatenate([none, given[..., :-1]], -1)
        terms.append((CARRYOVER,))
    y = plain(values, "values", "subject", "period")
    model = fitted(y, given, factors=factors, structure=structure, degrees=degrees, terms=terms)
    rows = design.mean(model.design, {ARM: a}) - design.mean(model.design, {ARM: b})
    return Estimate(*(each[..., 0] for each in combined(model, rows[:, None], alpha, sided)))


def _halved(estimate: Estimate) -> Estimate:
    return estimate._replace(
        value=estimate.value / 2, se=estimate.se / 2, lower=estimate.lower / 2, upper=estimate.upper / 2
    )
