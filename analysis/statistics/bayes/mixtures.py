"""Priors that are mixtures: what earlier trials tell, made robust against a conflict with the new one."""

from typing import Any, NamedTuple

import numpy as np
from scipy import special, stats

from analysis.statistics.bayes.laws import Beta, Normal, beta_binomial, frozen, normal_normal
from analysis.statistics.bayes.superiority import superiority
from analysis.statistics.probability import positive, probabilities, share

UNKNOWN = Normal(0.0, 100.0)


class Mixture(NamedTuple):
    """weights: (component,), sum 1. law: its components, one law with parameters (component,)."""

    weights: np.ndarray
    law: Beta | Normal


def mixture(weights: Any, law: Beta | Normal) -> Mixture:
    """A mixture of these components. Raises ValueError where weights do not sum to 1, or do not fit."""
    found = probabilities(weights, "weights", "component")
    if abs(found.sum() - 1.0) > 1e-9:
        raise ValueError(f"the weights of the mixture sum to {found.sum():.6g}; give such as sum to 1")
    if found.ndim != 1 or np.shape(frozen(law).mean()) != found.shape:
        raise ValueError(
            f"{found.shape} weights for laws of shape {np.shape(frozen(law).mean())}; give one a component"
        )
    return Mixture(found, law)


def meta_analytic(estimates: Any, ses: Any, heterogeneity: float, mean: Normal = UNKNOWN) -> Mixture:
    """Prior of a new trial's parameter from earlier ones: the meta-analytic predictive law, as a mixture over tau.

        y_j ~ N(theta_j, se_j^2),   theta_j, theta_new ~ N(mu, tau^2),   tau ~ half-normal(heterogeneity)

    The mean mu is integrated in closed form, tau by Gauss-Legendre's rule of 60 points, each a normal component.
    estimates, ses: (trial,). mean: the prior of mu. Neuenschwander et al. 2010, Clin Trials 7:5.
    """
    y, variance = np.atleast_1d(np.asarray(estimates, dtype=float)), positive(np.atleast_1d(ses), "ses") ** 2
    if y.ndim != 1 or y.shape != variance.shape or not np.isfinite(y).all():
        raise ValueError(f"estimates {y.shape} and standard errors {variance.shape}; give one number a trial of each")
    scale = float(positive(heterogeneity, "heterogeneity"))
    node, weight = np.polynomial.legendre.leggauss(60)
    # Graded: most of what tau does happens near 0.
    root = (1.0 + node) / 2.0
    tau, mass = 6.0 * scale * root**2, weight * root * np.exp(-0.5 * (6.0 * root**2) ** 2)
    precision = 1.0 / (variance + tau[:, None] ** 2)
    known = mean.sd**-2.0
    total = precision.sum(1) + known
    centre = ((precision * y).sum(1) + known * mean.mean) / total
    quadratic = (precision * (y - centre[:, None]) ** 2).sum(1) + known * (centre - mean.mean) ** 2
    logs = np.log(mass) + 0.5 * (np.log(precision).sum(1) - np.log(total) - quadratic)
    return Mixture(special.softmax(logs), Normal(centre, np.sqrt(1.0 / total + tau**2)))


def robust(informative: Mixture, vague: Beta | Normal, weight: float = 0.2) -> Mixture:
    """The prior with a vague component of that weight added. vague: one law of the same kind.

    Schmidli et al. 2014, Biometrics 70:1023.
    """
    if type(vague) is not type(informative.law):
        raise ValueError(f"a {type(vague).__name__} cannot join components of {type(informative.law).__name__}")
    added = [np.append(each, other) for each, other in zip(informative.law, vague, strict=True)]
    law = Beta(*added) if isinstance(vague, Beta) else Normal(*added)
    return mixture(np.append((1.0 - share(weight, "weight")) * informative.weights, weight), law)


def updated(prior: Mixture, first: float, second: float) -> Mixture:
    """The posterior: each component by its own update, and its weight by how well it foretold the data.

    first, second: responders and treated, of a mixture of Beta; estimate and its standard error, of Normal.
    """
    law: Beta | Normal
    if isinstance(prior.law, Beta):
        law = beta_binomial(prior.law, first, second)
        fits = special.betaln(law.a, law.b) - special.betaln(*prior.law)
    else:
        law = normal_normal(prior.law, first, second)
        fits = stats.norm.logpdf(first, prior.law.mean, np.hypot(prior.law.sd, second))
    with np.errstate(divide="ignore"):
        return Mixture(special.softmax(np.log(prior.weights) + fits), law)


def moments(of: Mixture) -> tuple[float, float]:
    """Mean and standard deviation."""
    law = frozen(of.law)
    mean = float(of.weights @ law.mean())
    return mean, float(np.sqrt(of.weights @ (law.var() + law.mean() ** 2) - mean**2))


def tail(of: Mixture, above: float) -> float:
    """P(parameter > above)."""
    return float(of.weights @ frozen(of.law).sf(above))


def mixture_superiority(treatment: Mixture, control: Mixture, margin: float = 0.0) -> float:
    """P(treatment > control + margin) of independent mixtures; as `superiority`, over every pair of components."""
    t = type(treatment.law)(*(np.asarray(each)[:, None] for each in treatment.law))
    return float(treatment.weights @ superiority(t, control.law, margin) @ control.weights)
