"""Marginal effects by logistic regression and standardisation (g-computation), over any number of replicates."""

from typing import Any, NamedTuple

import numpy as np
from scipy import special, stats

from analysis.statistics.arrays import level, plain, together
from analysis.statistics.binary.logistic import Fitted, fitted
from analysis.statistics.binary.tables import subjects
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.trouble import Trouble, troubled

MEASURES = ("difference", "ratio", "odds")
VARIANCES = ("ge", "ge-hc0", "ge-hc1", "ge-hc2", "ge-hc3", "ye", "ye-pooled")


class Standardised(NamedTuple):
    """estimate: of the contrast. share_a, share_b, se_a, se_b: of each arm, had all subjects been in it; each (...)."""

    estimate: Estimate
    share_a: np.ndarray
    share_b: np.ndarray
    se_a: np.ndarray
    se_b: np.ndarray


def standardised(
    values: Any,
    arms: Any,
    contrast: tuple[int, int],
    covariates: Any,
    alpha: float = 0.05,
    sided: int = 2,
    measure: str = "difference",
    variance: str = "ge",
    interaction: bool = False,
    firth: bool = False,
    strata: Any = None,
) -> Standardised:
    """Effect on the share of responders, had all subjects of both arms been in a, against all in b.

        share_k = mean_i p(x_i, arm k),   logit p = b_0 + b_1 [arm = a] + b' x (+ b'' x [arm = a] with interaction)

    variance of the shares:
        ge               J C J', J the mean gradients, C the model's covariance of b; covariates are taken as fixed
        ge-hc0 ... -hc3  the same with White's covariance: squared residuals (HC1: n / (n - p) of them; HC2, HC3: over
                         1 - h, and its square, h the leverages)
        ye               robust where the model is wrong, covariates random:
                         V_aa = Var_a(y - m_a) / f_a + 2 Cov_a(y, m_a) - Var(m_a),
                         V_ab = Cov_a(y, m_b) + Cov_b(y, m_a) - Cov(m_a, m_b),  over n,
                         m predictions, f_a the arm's share of subjects, Var_a within arm a
        ye-pooled        the same with Var_a(y) - 2 Cov_a(y, m_a) + Var(m_a) for Var_a(y - m_a), as RobinCar

    strata: of randomisation by permuted blocks, numbers (..., subject); they lessen the variances of Ye by
    sum_z f_z R_z (diag(f) - f f') R_z, R_z the mean residuals of arms in stratum z over f. Have them in the model too.

    measure: "difference"; "ratio" or "odds", whose se, test and interval are of their log. Test and interval by the
    normal distribution. values: 0, 1 or NaN; values, arms: (..., subject); covariates: (..., covariate, subject), or
    None for none; who has NaN in any is left out. Separation and other Troubles leave NaN.
    Ge et al. 2011, Drug Inf J 45:481; Ye et al. 2023, Stat Theory Relat Fields 7:159; MacKinnon & White 1985, J Econom
    29:305; FDA 2023, Adjusting for Covariates in Randomized Clinical Trials, III.C.
    """
    level(alpha, sided)
    if measure not in MEASURES:
        raise ValueError(f"measure is {measure!r}; give one of {', '.join(MEASURES)}")
    if variance not in VARIANCES:
        raise ValueError(f"variance is {variance!r}; give one of {', '.join(VARIANCES)}")
    y, arms = subjects(values, arms, contrast)
    y = np.where(np.isin(arms, contrast), y, np.nan)
    labels = None
    if strata is not None:
        if not variance.startswith("ye"):
            raise ValueError(f"variance {variance!r} knows no strata; give 'ye' or 'ye-pooled'")
        y, labels = together(values=y, strata=plain(strata, "strata"))
        y = np.where(np.isnan(labels), np.nan, y)
    treated = (arms == contrast[0]) * 1.0
    others = np.zeros((*y.shape, 0))
    if covariates is not None:
        others = np.moveaxis(plain(covariates, "covariates", "covariate", "subject"), -2, -1)
    try:
        shape = np.broadcast_shapes(y.shape, others.shape[:-1])
    except ValueError as error:
        raise ValueError(
            f"covariates have {others.shape[:-1]}, values {y.shape}; give one of each a subject"
        ) from error
    y, treated = np.broadcast_to(y, shape), np.broadcast_to(treated, shape)
    others = np.broadcast_to(others, (*shape, others.shape[-1]))
    design = _design(treated, others, interaction)
    found = fitted(y, design, firth)
    used = found.problem.used
    one, none = np.ones(shape), np.zeros(shape)
    parts = [_predicted(found, _design(arm, others, interaction)) for arm in (one, none)]
    in_arms = used & (treated == 1), used & (treated == 0)
    empty = (in_arms[0].sum(-1) == 0) | (in_arms[1].sum(-1) == 0)
    trouble = troubled(shape[:-1], (empty, Trouble.EMPTY_ARM), *((found.trouble == code, code) for code in Trouble))
    n = used.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = [np.where(used, part, 0.0).sum(-1) / n for part, _ in parts]
        if variance.startswith("ye"):
            predicted = [part for part, _ in parts]
            spread = _ye(y, in_arms, used, predicted, variance == "ye-pooled")
            if labels is not None:
                spread = spread - _by_blocks(y, in_arms, used, predicted, labels)
        else:
            means = np.stack([gradient.sum(-2) / n[..., None] for _, gradient in parts], -2)
            spread = np.einsum("...ki,...ij,...lj->...kl", means, _covariance(found, variance), means)
        return _contrasted(shares, spread, measure, alpha, sided, n, trouble)


def _contrasted(
    shares: list[np.ndarray],
    spread: np.ndarray,
    measure: str,
    alpha: float,
    sided: int,
    n: np.ndarray,
    trouble: np.ndarray,
) -> Standardised:
    a, b = shares
    slopes = {"difference": (1.0, 1.0), "ratio": (1 / a, 1 / b), "odds": (1 / (a * (1 - a)), 1 / (b * (1 - b)))}
    sa, sb = slopes[measure]
    se = np.sqrt(sa**2 * spread[..., 0, 0] + sb**2 * spread[..., 1, 1] - 2 * sa * sb * spread[..., 0, 1])
    scales = {"difference": (a, b), "ratio": (np.log(a), np.log(b)), "odds": (special.logit(a), special.logit(b))}
    value = np.subtract(*scales[measure])
    estimate = interval(value, se, stats.norm(), value / se, alpha, sided, n, trouble=trouble)
    if measure != "difference":
        value, lower, upper = (np.exp(each) for each in (estimate.value, estimate.lower, estimate.upper))
        estimate = estimate._replace(value=value, lower=lower, upper=upper)
    return Standardised(estimate, a, b, np.sqrt(spread[..., 0, 0]), np.sqrt(spread[..., 1, 1]))


def _design(treated: np.ndarray, others: np.ndarray, interaction: bool) -> np.ndarray:
    parts = [treated[..., None], others]
    return np.concatenate([*parts, others * treated[..., None]] if interaction else parts, -1)


def _predicted(found: Fitted, design: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, (..., subject), and their gradients, (..., subject, coefficient), of the subjects that count."""
    used = found.problem.used
    rows = np.concatenate([np.ones((*used.shape, 1)), design], -1)
    rows = np.where(used[..., None], np.nan_to_num(rows), 0.0)
    p = special.expit(np.einsum("...ni,...i->...n", rows, found.coefficients))
    return p, (p * (1 - p))[..., None] * rows


def _covariance(found: Fitted, variance: str) -> np.ndarray:
    if variance == "ge":
        return found.covariance
    design, y, used, _, _ = found.problem
    p, inverse = special.expit(found.fit.eta), found.fit.inverse
    squares = np.where(used, y - p, 0.0) ** 2
    n, width = used.sum(-1)[..., None], design.shape[-1]
    if variance == "ge-hc1":
        squares = squares * n / (n - width)
    elif variance != "ge-hc0":
        h = p * (1 - p) * np.einsum("...ni,...ij,...nj->...n", design, inverse, design, optimize=True)
        squares = squares / (1 - h) ** (1 if variance == "ge-hc2" else 2)
    middle = np.einsum("...ni,...n,...nj->...ij", design, squares, design, optimize=True)
    outer = np.einsum("...ij,...jk->...ik", found.back, inverse)
    return np.einsum("...ij,...jk,...lk->...il", outer, middle, outer)


def _covariance_of(first: np.ndarray, second: np.ndarray, who: np.ndarray) -> np.ndarray:
    """Sample covariance within `who`, (...)."""
    n = who.sum(-1)
    first, second = (np.where(who, each, 0.0) for each in (first, second))
    middle = first.sum(-1) / n
    return (np.where(who, first - middle[..., None], 0.0) * second).sum(-1) / (n - 1)


def _ye(
    y: np.ndarray,
    in_arms: tuple[np.ndarray, np.ndarray],
    used: np.ndarray,
    means: list[np.ndarray],
    pooled: bool,
) -> np.ndarray:
    n, within = used.sum(-1), []
    for arm, mean in zip(in_arms, means, strict=True):
        both, all_ = _covariance_of(y, mean, arm), _covariance_of(mean, mean, used)
        residual = _covariance_of(y, y, arm) - 2 * both + all_ if pooled else _covariance_of(y - mean, y - mean, arm)
        within.append(residual * n / arm.sum(-1) + 2 * both - all_)
    between = _covariance_of(y, means[1], in_arms[0]) + _covariance_of(y, means[0], in_arms[1])
    between = between - _covariance_of(means[0], means[1], used)
    return np.stack([np.stack([within[0], between], -1), np.stack([between, within[1]], -1)], -2) / n[..., None, None]


def _by_blocks(
    y: np.ndarray,
    in_arms: tuple[np.ndarray, np.ndarray],
    used: np.ndarray,
    means: list[np.ndarray],
    strata: np.ndarray,
) -> np.ndarray:
    """What randomisation in blocks within strata takes from the variances."""
    n = used.sum(-1)
    f = np.stack([arm.sum(-1) / n for arm in in_arms], -1)
    free = f[..., :, None] * np.eye(2) - f[..., :, None] * f[..., None, :]
    found = np.zeros((*n.shape, 2, 2))
    for label in np.unique(strata[used]):
        inside, residuals = used & (strata == label), []
        for arm, mean in zip(in_arms, means, strict=True):
            here = inside & arm
            residuals.append(np.where(here, y - mean, 0.0).sum(-1) / np.maximum(here.sum(-1), 1))
        r = np.stack(residuals, -1) / f
        found = found + (inside.sum(-1) / n)[..., None, None] * r[..., :, None] * free * r[..., None, :]
    return found / n[..., None, None]
