"""The 3+3 design: its rule, and what it does, exactly."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.probability import counts, probabilities

COHORT, FULL = 3, 6


class Decision(NamedTuple):
    """dose: of the next cohort, -1 where the trial stops. mtd: what is then selected, -1 for none."""

    dose: int
    mtd: int


class Characteristics(NamedTuple):
    """select: P(a dose is selected), (dose,); select_none. treated, toxic: expected patients, and toxicities, at each
    dose, (dose,)."""

    select: np.ndarray
    select_none: float
    treated: np.ndarray
    toxic: np.ndarray


def decision(dose: int, treated: Any, toxic: Any, de_escalation: bool = False) -> Decision:
    """What follows a cohort at that dose.

    0 of 3, or at most 1 of 6: the next dose, or the highest is selected. 1 of 3: three more. More: the dose before it
    is selected; with de-escalation only once it has 6 patients with at most one toxicity, and three more until then.
    treated, toxic: (dose,), with the cohort; 0, 3 or 6 treated. Raises ValueError for what the rule cannot bring about.
    Storer 1989, Biometrics 45:925; with de-escalation Lin & Shih 2001, Biostatistics 2:203.
    """
    n, y = counts(treated, "treated", "dose"), counts(toxic, "toxic", "dose")
    if n.ndim != 1 or n.shape != y.shape:
        raise ValueError(f"treated has shape {n.shape} and toxic {y.shape}; give one number a dose in each")
    if not 0 <= dose < len(n):
        raise ValueError(f"dose is {dose}; give one of 0 to {len(n) - 1}")
    if not np.isin(n, (0, COHORT, FULL)).all() or n[dose] == 0 or (y > n).any():
        raise ValueError(f"{toxic} toxicities in {treated} at dose {dose}: give 0, 3 or 6 treated, 3 or 6 at this dose")
    above = n[dose + 1 :].any()
    if y[dose] <= 1 and (n[dose] == FULL or (y[dose] == 0 and not above)):
        return Decision(-1, dose) if above or dose == len(n) - 1 else Decision(dose + 1, -1)
    if y[dose] <= 1:
        return Decision(dose, -1)
    if de_escalation and dose and n[dose - 1] < FULL:
        return Decision(dose - 1, -1)
    return Decision(-1, dose - 1)


def characteristics(toxicity: Any, de_escalation: bool = False) -> Characteristics:
    """What the design does where the doses have these probabilities of toxicity, by following every course it may take.

    toxicity: (dose,). Raises ValueError for what is no probability.
    """
    p = probabilities(toxicity, "toxicity", "dose")
    if p.ndim != 1 or not len(p):
        raise ValueError(f"toxicity has {p.shape=}; give one probability a dose")
    chances = stats.binom.pmf(np.arange(COHORT + 1)[:, None], COHORT, p)
    select, treated, none = np.zeros(len(p)), np.zeros(len(p)), 0.0
    start = (0,) * len(p)
    # Courses that have led to the same counts go on as one.
    open_: dict[tuple, float] = {(0, start, start): 1.0}
    while open_:
        following: dict[tuple, float] = {}
        for (dose, n, y), chance in open_.items():
            treated[dose] += COHORT * chance
            for more in range(COHORT + 1):
                now = chance * float(chances[more, dose])
                if not now:
                    continue
                n_now = (*n[:dose], n[dose] + COHORT, *n[dose + 1 :])
                y_now = (*y[:dose], y[dose] + more, *y[dose + 1 :])
                follows = decision(dose, n_now, y_now, de_escalation)
                if follows.dose >= 0:
                    state = (follows.dose, n_now, y_now)
                    following[state] = following.get(state, 0.0) + now
                elif follows.mtd >= 0:
                    select[follows.mtd] += now
                else:
                    none += now
        open_ = following
    return Characteristics(select, none, treated, treated * p)
