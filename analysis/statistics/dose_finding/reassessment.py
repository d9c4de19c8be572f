"""The continual reassessment method with one parameter."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level as checked_level
from analysis.statistics.probability import counts, positive, probabilities, share

PRIOR_SD = 1.34**0.5
MODELS = ("empiric", "logistic")


class Posterior(NamedTuple):
    """mean, variance: of the parameter, (...). plug_in: toxicity at its mean; expected: mean toxicity; lower, upper: of
    toxicity at the ends of the interval mean -+ z sd; over: P(toxicity > target); each (..., dose). mtd: (...)."""

    mean: np.ndarray
    variance: np.ndarray
    plug_in: np.ndarray
    expected: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    over: np.ndarray
    mtd: np.ndarray


class Decision(NamedTuple):
    """dose: of the next patients, -1 where the trial stops. mtd: what the model holds to be it, -1 for none."""

    dose: int
    mtd: int


def posterior(
    skeleton: Any,
    target: float,
    treated: Any,
    toxic: Any,
    *,
    model: str = "empiric",
    sd: float = PRIOR_SD,
    intercept: float = 3.0,
    estimate: str = "plug-in",
    alpha: float = 0.1,
) -> Posterior:
    """What the toxicities tell of each dose; the MTD is the dose whose estimate is nearest to the target.

        empiric    p_d(b) = s_d^exp(b)
        logistic   logit p_d(b) = c + exp(b) x_d,  x_d such that p_d(0) = s_d;   b ~ N(0, sd^2)

    skeleton s: (dose,), increasing, between 0 and 1. treated, toxic: (..., dose). model: one of MODELS; intercept: c.
    estimate: 'plug-in', at the mean of b, or 'mean', of the toxicity; of two as near the lower dose. alpha: 1 less the
    level of the interval. By quadrature, error below 1e-10. Raises ValueError for what does not fit.
    O'Quigley, Pepe & Fisher 1990, Biometrics 46:33; Cheung 2011, Dose Finding by the CRM.
    """
    s, n, y = _data(skeleton, treated, toxic)
    share(target, "target")
    checked_level(alpha, 2)
    if model not in MODELS:
        raise ValueError(f"'{model}' is no model of toxicity; write one of: {', '.join(MODELS)}")
    if estimate not in ("plug-in", "mean"):
        raise ValueError(f"'{estimate}' is no estimate; write plug-in or mean")
    wide = float(positive(sd, "sd"))
    # The narrowest that the posterior can be sets the panels: a patient adds at most 3 to 1 / variance on average, and
    # more where the data contradict the model.
    panel = 2.0 / np.sqrt(wide**-2 + 6.0 * n.sum(-1).max(initial=0.0))
    b, weight = _panels(-12.0 * wide, 12.0 * wide, panel)

    def log_likelihood(nodes: np.ndarray) -> np.ndarray:
        yes, no = _logs(s, nodes, model, intercept)
        return y @ yes.T + (n - y) @ no.T + stats.norm.logpdf(nodes, 0.0, wide)

    logs = log_likelihood(b)
    top = logs.max(-1, keepdims=True)
    density = np.exp(logs - top) * weight
    total = density.sum(-1)
    mean = density @ b / total
    variance = (density * (b - mean[..., None]) ** 2).sum(-1) / total
    curves = np.exp(_logs(s, b, model, intercept)[0])
    half = stats.norm.isf(alpha / 2) * np.sqrt(variance)
    plug_in, one, other = (np.exp(_logs(s, at, model, intercept)[0]) for at in (mean, mean - half, mean + half))
    expected = (density @ curves) / total[..., None]
    over = np.empty(n.shape)
    for dose, each in enumerate(s):
        lower, upper = _above(each, target, model, intercept, 12.0 * wide)
        nodes, mass = _panels(lower, upper, panel)
        over[..., dose] = (np.exp(log_likelihood(nodes) - top) * mass).sum(-1) / total
    used = plug_in if estimate == "plug-in" else expected
    mtd = np.abs(used - target).argmin(-1)
    return Posterior(
        mean, variance, plug_in, expected, np.minimum(one, other), np.maximum(one, other), np.clip(over, 0, 1), mtd
    )


def decision(
    skeleton: Any,
    target: float,
    treated: Any,
    toxic: Any,
    *,
    skipping: bool = False,
    too_toxic: float = 1.0,
    enough: float = np.inf,
    **options: Any,
) -> Decision:
    """Which dose comes next: the MTD of `posterior`, within the rules of the trial.

    Without skipping no more than one dose above the highest tried so far, the first where none was. Stops without
    an MTD where P(toxicity of the first dose > target) is above `too_toxic`, and with it where that dose has been given
    to `enough` patients. treated, toxic: (dose,). options: of `posterior`.
    """
    found = posterior(skeleton, target, treated, toxic, **options)
    n = np.asarray(treated, dtype=float)
    if n.ndim != 1:
        raise ValueError(f"treated has shape {n.shape}; give one trial, (dose,)")
    mtd = int(found.mtd)
    if n[0] > 0 and found.over[0] > too_toxic:
        return Decision(-1, -1)
    tried = np.flatnonzero(n)
    highest = (int(tried[-1]) if len(tried) else -1) + 1
    dose = mtd if skipping else min(mtd, highest)
    return Decision(-1, mtd) if n[dose] >= enough else Decision(dose, mtd)


def _data(skeleton: Any, treated: Any, toxic: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    s = probabilities(skeleton, "skeleton", "dose")
    if s.ndim != 1 or not len(s) or not ((s > 0) & (s < 1)).all() or (np.diff(s) <= 0).any():
        raise ValueError(
            f"the skeleton is {s.tolist()}; give probabilities between 0 and 1 that increase from dose to dose"
        )
    n, y = counts(treated, "treated", "dose"), counts(toxic, "toxic", "dose")
    if n.shape != y.shape or n.shape[-1] != len(s):
        raise ValueError(f"treated {n.shape} and toxic {y.shape} do not fit {len(s)} doses; give (..., dose)")
    if (y > n).any():
        raise ValueError("more are toxic than were treated at a dose; give toxic <= treated")
    return s, n, y


def _logs(s: np.ndarray, b: np.ndarray, model: str, intercept: float) -> tuple[np.ndarray, np.ndarray]:
    """log p and log(1 - p) of each dose at each value of the parameter, (..., dose)."""
    slope = np.exp(np.asarray(b))[..., None]
    if model == "empiric":
        yes = slope * np.log(s)
        # Where p is within an ulp of 1 the logarithm of 1 - p is that of -log p.
        return yes, np.log(-np.expm1(np.minimum(yes, -1e-300)))
    score = intercept + slope * (np.log(s / (1.0 - s)) - intercept)
    return -np.logaddexp(0.0, -score), -np.logaddexp(0.0, score)


def _above(s: float, target: float, model: str, intercept: float, end: float) -> tuple[float, float]:
    """Values of the parameter, within -end to end, at which that dose is more toxic than the target."""
    if model == "empiric":
        steepness, upward = np.log(target) / np.log(s), False
    else:
        dose = np.log(s / (1.0 - s)) - intercept
        upward = dose > 0
        steepness = (np.log(target / (1.0 - target)) - intercept) / dose if dose else -1.0
    if steepness <= 0:
        # Toxicity stays on one side of the target whatever the parameter.
        return (-end, end) if intercept > np.log(target / (1.0 - target)) else (end, end)
    edge = float(np.clip(np.log(steepness), -end, end))
    return (edge, end) if upward else (-end, edge)


def _panels(lower: float, upper: float, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss-Legendre's rule of 16 points on panels of about that width."""
    node, weight = np.polynomial.legendre.leggauss(16)
    edges = np.linspace(lower, upper, max(int(np.ceil((upper - lower) / width)), 1) + 1)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + node)).ravel(), (half * weight).ravel()
