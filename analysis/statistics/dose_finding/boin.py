"""The Bayesian optimal interval design."""

from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, stats

from analysis.statistics.probability import counts, share

FIRST = 3  # patients at a dose before it can be eliminated
NEVER = -1


class Boundaries(NamedTuple):
    """Limits of the share of toxicities: escalate at or below the first, de-escalate at or above the second."""

    escalate: float
    de_escalate: float


class Table(NamedTuple):
    """By number treated at a dose, (treated,): escalate with at most, de-escalate and eliminate with at least so many
    toxicities; NEVER where no number will do."""

    treated: np.ndarray
    escalate: np.ndarray
    de_escalate: np.ndarray
    eliminate: np.ndarray


class Decision(NamedTuple):
    """dose: of the next cohort, -1 where the first is too toxic and the trial stops. highest: that may be given."""

    dose: int
    highest: int


def boundaries(target: float, safe: float | None = None, toxic: float | None = None) -> Boundaries:
    """Limits that make wrong decisions least likely.

        lambda_e = log((1 - f1) / (1 - f)) / log(f (1 - f1) / (f1 (1 - f)))
        lambda_d = log((1 - f) / (1 - f2)) / log(f2 (1 - f) / (f (1 - f2)))

    target: f. safe: f1, the highest toxicity that calls for a higher dose, 0.6 f where None. toxic: f2, the lowest that
    calls for a lower one, 1.4 f. Raises ValueError unless 0 < f1 < f < f2 < 1. Liu & Yuan 2015, JRSS C 64:507.
    """
    f = share(target, "target")
    f1, f2 = 0.6 * f if safe is None else safe, 1.4 * f if toxic is None else toxic
    if not 0 < f1 < f < f2 < 1:
        raise ValueError(f"safe {f1:g}, target {f:g} and toxic {f2:g} do not increase within 0 to 1; give such as do")
    return Boundaries(
        float(np.log((1 - f1) / (1 - f)) / np.log(f * (1 - f1) / (f1 * (1 - f)))),
        float(np.log((1 - f) / (1 - f2)) / np.log(f2 * (1 - f) / (f * (1 - f2)))),
    )


def table(
    target: float, treated: Any, cutoff: float = 0.95, safe: float | None = None, toxic: float | None = None
) -> Table:
    """The decisions at each number treated, (treated,).

    A dose and all above it are eliminated where P(toxicity > target | Beta(1 + y, 1 + n - y)) > cutoff and n >= 3.
    """
    limits = boundaries(target, safe, toxic)
    share(cutoff, "cutoff")
    n = counts(treated, "treated", "treated").astype(int)
    if n.ndim != 1 or (n < 1).any():
        raise ValueError(f"treated is {n.tolist()}; give numbers from 1 on")
    # Limits times n are told from whole numbers by more than rounding.
    escalate = np.floor(limits.escalate * n + 1e-10).astype(int)
    away = np.ceil(limits.de_escalate * n - 1e-10).astype(int)
    gone = []
    for each in n:
        y = np.arange(each + 1)
        over = _too_toxic(y, np.full(len(y), each), target, cutoff)
        gone.append(int(y[over][0]) if over.any() else NEVER)
    eliminate = np.array(gone)
    away = np.where(eliminate != NEVER, np.minimum(away, eliminate), away)
    return Table(n, escalate, np.where(away <= n, away, NEVER), eliminate)


def decision(
    dose: int,
    treated: Any,
    toxic_counts: Any,
    target: float,
    cutoff: float = 0.95,
    safe: float | None = None,
    toxic: float | None = None,
) -> Decision:
    """What follows a cohort at that dose. treated, toxic_counts: (dose,), of the whole trial so far.

    Doses that were eliminated once stay so, as their counts do. Raises ValueError for what does not fit.
    """
    n, y = _counts(treated, toxic_counts)
    if not 0 <= dose < len(n) or n[dose] == 0:
        raise ValueError(f"dose is {dose} with {n.tolist()} treated; give the dose of the last cohort, from 0")
    rule = table(target, [int(n[dose])], cutoff, safe, toxic)
    over = np.flatnonzero(_too_toxic(y, n, target, cutoff))
    highest = int(over[0]) - 1 if len(over) else len(n) - 1
    if highest < 0:
        return Decision(-1, -1)
    following = dose
    if y[dose] <= rule.escalate[0]:
        following = dose + 1
    elif rule.de_escalate[0] != NEVER and y[dose] >= rule.de_escalate[0]:
        following = dose - 1
    return Decision(int(np.clip(following, 0, highest)), highest)


def isotonic(treated: Any, toxic_counts: Any) -> np.ndarray:
    """Toxicity of each dose, never falling from dose to dose, (dose,); NaN where nobody was treated.

    Pooled (y + 0.05) / (n + 0.1), weighted by the inverse variance of Beta(y + 0.05, n - y + 0.05). Yuan et al. 2016.
    """
    n, y = _counts(treated, toxic_counts)
    found = np.full(len(n), np.nan)
    tried = n > 0
    if tried.any():
        law = stats.beta(y[tried] + 0.05, n[tried] - y[tried] + 0.05)
        found[tried] = optimize.isotonic_regression(law.mean(), weights=1.0 / law.var()).x
    return found


def mtd(
    treated: Any,
    toxic_counts: Any,
    target: float,
    cutoff: float = 0.95,
    bounded: bool = False,
    toxic: float | None = None,
) -> int:
    """The dose, of those tried and not eliminated, whose isotonic toxicity is nearest to the target; -1 for none.

    Of several as near the highest where they are below the target, else the lowest. bounded: only doses whose toxicity
    is below the limit of de-escalation. Liu & Yuan 2015, JRSS C 64:507; Yan et al. 2020, J Stat Softw 94(13).
    """
    n, y = _counts(treated, toxic_counts)
    limit = boundaries(target, None, toxic).de_escalate
    over = np.flatnonzero(_too_toxic(y, n, target, share(cutoff, "cutoff")))
    allowed = n > 0
    allowed[over[0] if len(over) else len(n) :] = False
    if not allowed.any() or (len(over) and over[0] == 0):
        return -1
    doses = np.flatnonzero(allowed)
    # A hair per dose breaks ties as the rule wants.
    estimates = isotonic(n[doses], y[doses]) + np.arange(1, len(doses) + 1) * 1e-10
    if bounded:
        doses, estimates = doses[estimates < limit], estimates[estimates < limit]
    return int(doses[np.abs(estimates - target).argmin()]) if len(doses) else -1


def _too_toxic(y: np.ndarray, n: np.ndarray, target: float, cutoff: float) -> np.ndarray:
    return (n >= FIRST) & (stats.beta.sf(target, 1.0 + y, 1.0 + n - y) > cutoff)


def _counts(treated: Any, toxic: Any) -> tuple[np.ndarray, np.ndarray]:
    n, y = counts(treated, "treated", "dose"), counts(toxic, "toxic", "dose")
    if n.ndim != 1 or n.shape != y.shape:
        raise ValueError(f"treated has shape {n.shape} and toxic {y.shape}; give one number a dose in each")
    if (y > n).any():
        raise ValueError("more are toxic than were treated at a dose; give toxic <= treated")
    return n, y
