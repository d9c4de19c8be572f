"""What a trial is likely to show: assurance before it starts, predictive probability while it runs."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level
from analysis.statistics.bayes.laws import Beta, Law, Normal, beta_binomial, normal_normal, quantile
from analysis.statistics.bayes.superiority import LEVELS, superiority
from analysis.statistics.probability import counts, positive, share

FLAT = Beta(1.0, 1.0)


def normal_power(effect: Any, se: Any, alpha: float = 0.025, sided: int = 1, null: float = 0.0) -> np.ndarray:
    """P(effect shown) of an estimate with that standard error: Phi((effect - null) / se - z); two-sided both tails."""
    level(alpha, sided)
    z, drift = stats.norm.isf(alpha / sided), (np.asarray(effect, dtype=float) - null) / positive(se, "se")
    return stats.norm.sf(z - drift) + (stats.norm.cdf(-z - drift) if sided == 2 else 0.0)


def normal_assurance(prior: Normal, se: Any, alpha: float = 0.025, sided: int = 1, null: float = 0.0) -> np.ndarray:
    """Power on average over a normal prior of the effect, in closed form.

        Phi((m - null - z se) / sqrt(se^2 + s^2)),   and the other tail with two sides

    se: of the estimate, such as sd sqrt(2 / n) of a difference. O'Hagan, Stevens & Campbell 2005, Pharm Stat 4:187.
    """
    level(alpha, sided)
    error, spread = positive(se, "se"), positive(prior.sd, "sd")
    z, wide = stats.norm.isf(alpha / sided) * error, np.hypot(error, spread)
    above = stats.norm.cdf((np.asarray(prior.mean) - null - z) / wide)
    return above + (stats.norm.cdf((null - z - np.asarray(prior.mean)) / wide) if sided == 2 else 0.0)


def assurance(power: Callable[[np.ndarray], np.ndarray], prior: Law) -> float:
    """Average of a power over the prior of the effect, by quadrature. power: from effects (effect,) to (effect,)."""
    node, weight = np.polynomial.legendre.leggauss(16)
    edges = np.concatenate([[0.0], LEVELS, [1.0]])
    half = np.diff(edges)[:, None] / 2
    at = quantile(prior, (edges[:-1, None] + half * (1 + node)).ravel())
    return float((half * weight).ravel() @ np.asarray(power(at), dtype=float))


def predictive_normal(
    prior: Normal, estimate: Any, se: Any, final_se: Any, alpha: float = 0.025, null: float = 0.0
) -> np.ndarray:
    """P(the final estimate is above its one-sided limit), given the estimate so far and the prior of the effect.

    With information 1/se^2 now and 1/final_se^2 in the end the final estimate is normal about the mix of the estimate
    and the posterior mean. estimate, se: now; final_se: smaller. Spiegelhalter, Freedman & Blackburn 1986, Control Clin
    Trials 7:8.
    """
    level(alpha, 1)
    now, end = positive(se, "se"), positive(final_se, "final_se")
    if not (end < now).all():
        raise ValueError("the final standard error is not below that of now; give the one with all subjects")
    law = normal_normal(prior, estimate, now)
    # The rest of the trial: what it adds to the information, and what is known of its estimate.
    done = (end / now) ** 2
    rest = np.hypot((end**-2.0 - now**-2.0) ** -0.5, law.sd)
    mean = done * np.asarray(estimate, dtype=float) + (1.0 - done) * law.mean
    return stats.norm.cdf((mean - null - stats.norm.isf(alpha) * end) / ((1.0 - done) * rest))


def predictive_beta(
    responders: tuple[int, int],
    treated: tuple[int, int],
    final: tuple[int, int],
    *,
    threshold: float = 0.975,
    margin: float = 0.0,
    priors: tuple[Beta, Beta] = (FLAT, FLAT),
    success: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> float:
    """P(the trial of two arms succeeds in the end), summed exactly over all responders that may still come.

    responders, treated: so far, final: treated in the end; of treatment and control. Success is P(p_T > p_C + margin |
    all data) > threshold, or what `success` says of final responders of treatment and control, two arrays.
    """
    laws = [beta_binomial(prior, x, n) for prior, x, n in zip(priors, responders, treated, strict=True)]
    left = counts(np.asarray(final) - np.asarray(treated), "what is left to treat", "arm").astype(int)
    share(threshold, "threshold")
    more = [np.arange(each + 1) for each in left]
    x, y = (each + done for each, done in zip(more, responders, strict=True))
    if success is None:
        # The more of the treated respond the surer it is: for each y the fewest x are found by halving.
        none, enough = np.full(len(y), -1), np.full(len(y), len(x))
        while (enough - none > 1).any():
            middle = np.clip((none + enough) // 2, 0, len(x) - 1)
            treatment, control = (
                beta_binomial(prior, each, n) for prior, each, n in zip(priors, (x[middle], y), final, strict=True)
            )
            shown = superiority(treatment, control, margin) > threshold
            open_ = enough - none > 1
            none, enough = np.where(open_ & ~shown, middle, none), np.where(open_ & shown, middle, enough)
        shown = more[0][:, None] >= enough
    else:
        shown = np.asarray(success(*np.meshgrid(x, y, indexing="ij")))
    masses = [_mass(each, int(n), law) for each, n, law in zip(more, left, laws, strict=True)]
    return float(masses[0] @ shown @ masses[1])


def _mass(more: np.ndarray, left: int, law: Beta) -> np.ndarray:
    return stats.betabinom.pmf(more, left, law.a, law.b) if left else np.ones(1)
