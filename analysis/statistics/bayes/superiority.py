"""Which of several arms is the better, from the laws of their parameters."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.statistics.arrays import plain
from analysis.statistics.bayes.laws import Beta, Gamma, Law, Normal, frozen, quantile

# Where panels end, as levels of each law: graded towards the ends, where densities may be infinite.
TAILS = (*(10.0**-decade for decade in range(14, 1, -1)), 0.03, 0.1, 0.25)
LEVELS = np.array([*TAILS, 0.5, *(1.0 - each for each in TAILS[::-1])])


def superiority(treatment: Law, control: Law, margin: float = 0.0) -> np.ndarray:
    """P(treatment > control + margin) of two independent parameters, of the shape of their laws.

        int F_C(x - margin) dF_T(x)

    Exact for two normal laws, else by quadrature, error below 1e-10. Where lower is better, 1 less it.
    """
    if isinstance(treatment, Normal) and isinstance(control, Normal):
        t, c = frozen(treatment), frozen(control)
        gap = Normal(t.mean() - c.mean() - margin, np.hypot(t.std(), c.std()))
        return np.asarray(frozen(gap).sf(0.0))
    return _first_beats(treatment, [control], margin)


def probability_best(arms: Sequence[Law], highest: bool = True) -> np.ndarray:
    """P(an arm is the best of all), (..., arm), for independent parameters, by quadrature.

        P_k = int prod over j != k of F_j(x) dF_k(x)

    arms: one law each; highest: or the lowest. Error below 1e-9, but for a Beta whose second shape is below 0.3: part
    of it lies nearer to 1 than numbers can tell. Raises ValueError for no arms.
    """
    if not arms:
        raise ValueError("there are no arms; give the law of each")
    if len(arms) == 1:
        return np.ones((*np.shape(frozen(arms[0]).mean()), 1))
    chances = [_first_beats(arm, [*arms[:k], *arms[k + 1 :]], 0.0, highest) for k, arm in enumerate(arms)]
    return np.stack(np.broadcast_arrays(*chances), axis=-1)


def best_of_draws(draws: Any, highest: bool = True) -> np.ndarray:
    """Share of the draws in which an arm is the best, (..., arm). draws: (..., draw, arm); of equal ones the first."""
    found = plain(draws, "draws", "draw", "arm")
    if np.isnan(found).any():
        raise ValueError("a draw is missing; give a number for each draw and arm")
    best = (found if highest else -found).argmax(-1)
    return (best[..., None] == np.arange(found.shape[-1])).mean(-2)


def _first_beats(first: Law, others: Sequence[Law], margin: float, highest: bool = True) -> np.ndarray:
    """P(first > every other + margin), or below every one, over the levels u of the first."""
    one, rest = frozen(first), [frozen(each) for each in others]
    shape = np.broadcast_shapes(*(np.shape(each.mean()) for each in (one, *rest)))
    # In u nothing is steep but where another law passes from 0 to 1: panels end at its quantiles too.
    own = np.array([0.0, *LEVELS, 1.0]).reshape(-1, *[1] * len(shape))
    passes = []
    for law in others:
        steps = _steps(law).reshape(-1, *[1] * len(shape))
        passes.append(np.broadcast_to(one.cdf(quantile(law, steps) + margin), (len(steps), *shape)))
    edges = np.sort(np.concatenate([np.broadcast_to(own, (len(own), *shape)), *passes]), axis=0)
    node, weight = np.polynomial.legendre.leggauss(12)
    half = np.diff(edges, axis=0) / 2
    total = np.zeros(shape)
    for x, w in zip(node, weight, strict=True):
        at = quantile(first, np.clip(edges[:-1] + half * (1 + x), 0.0, 1.0))
        product = w * half
        for each in rest:
            product = product * (each.cdf(at - margin) if highest else each.sf(at - margin))
        total += product.sum(0)
    return np.clip(total, 0.0, 1.0)


def _steps(law: Law) -> np.ndarray:
    """Levels between which the distribution function is smooth: all of them where it starts or ends steeply."""
    ends = (law.a, law.b) if isinstance(law, Beta) else (law.shape,) if isinstance(law, Gamma) else ()
    return LEVELS if any(np.min(end) < 2 for end in ends) else LEVELS[1::3]
