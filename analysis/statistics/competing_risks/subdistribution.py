"""Regression of the subdistribution hazard of one of several causes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.arrays import plain
from analysis.statistics.competing_risks.follow_up import CENSORED, COMPETING, OF_INTEREST, follow_up, one_set
from analysis.statistics.trouble import Trouble

STEPS, TOLERANCE = 50, 1e-11


class Subdistribution(NamedTuple):
    """A fit. coefficients: logarithms of ratios, (covariate,); covariance: robust; model_covariance: inverse of the
    information; both (covariate, covariate). times, hazards: of the cause, and the baseline's steps there, (time,).
    loglik, loglik_null: partial, at the fit and at 0. trouble: a code; where it is not 0 the fit is NaN."""

    coefficients: np.ndarray
    covariance: np.ndarray
    model_covariance: np.ndarray
    times: np.ndarray
    hazards: np.ndarray
    loglik: float
    loglik_null: float
    subjects: int
    events: int
    trouble: int

    @property
    def se(self) -> np.ndarray:
        """Robust standard errors, (covariate,)."""
        return np.sqrt(np.diag(self.covariance))


class _Risk(NamedTuple):
    """Subjects in order of time, and at each distinct time of the cause who is at risk with what weight."""

    times: np.ndarray
    kinds: np.ndarray
    fixed: np.ndarray
    varying: np.ndarray
    factors: np.ndarray  # (time, covariate): of the covariates whose effect changes
    at: np.ndarray
    remain: np.ndarray  # (time, subject): G(t-) of the subject's group
    own: np.ndarray  # (subject,): G(X-)
    groups: np.ndarray

    def weights(self, j: int) -> np.ndarray:
        later = self.times >= self.at[j]
        return np.where(later, 1.0, np.where(self.kinds == COMPETING, self.remain[j] / self.own, 0.0))

    def covariates(self, j: int) -> np.ndarray:
        if not self.varying.shape[1]:
            return self.fixed
        return np.hstack([self.fixed, self.varying * self.factors[j]])

    def failed(self, j: int) -> np.ndarray:
        return (self.kinds == OF_INTEREST) & (self.times == self.at[j])


def fine_gray(
    times: Any,
    causes: Any,
    covariates: Any,
    cause: int = 1,
    groups: Any = None,
    varying: Any = None,
    function: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Subdistribution:
    """Proportional hazards of the subdistribution, by Fine and Gray, as in R's cmprsk.

        hazard of F(t) given x: h_0(t) exp(b' x),   weight of i at t: 1 while X_i >= t,
        G(t-) / G(X_i-) after a competing event at X_i < t, else 0

    with G of Kaplan and Meier for censoring, in each of `groups` where given, Breslow's likelihood for ties, and the
    robust variance with the part that comes of estimating G, group by group (cmprsk adds up this part over all groups,
    and so differs where there are several). times, causes: (subject,), 0 is censored; covariates:
    (subject, covariate). varying: covariates that are multiplied by function(times), (time, covariate), as well.
    NaN anywhere leaves a subject out. In the trouble: NO_EVENTS, SINGULAR, SEPARATED, NOT_CONVERGED.
    Fine & Gray 1999, J Am Stat Assoc 94:496.
    """
    observed = follow_up(times, causes, cause)
    if observed.times.ndim != 1:
        raise ValueError(f"times has {observed.times.shape=}; give one set of data, (subject,)")
    count = len(observed.times)
    fixed = _columns(covariates, "covariates", count)
    if (varying is None) != (function is None):
        raise ValueError("of varying and function one is missing; give covariates and a function of times, or neither")
    changing = np.empty((count, 0)) if varying is None else _columns(varying, "varying", count)
    strata = np.zeros(count) if groups is None else plain(groups, "groups")
    if strata.shape != (count,):
        raise ValueError(f"groups has {strata.shape=}; give one label a subject, {count}")
    known = observed.known & ~np.isnan(np.column_stack([fixed, changing, strata])).any(1)
    observed = one_set(observed._replace(known=known))
    risk = _risk(observed.times, observed.kinds, fixed[known], changing[known], strata[known], function)
    size = fixed.shape[1] + changing.shape[1]
    if size == 0:
        raise ValueError("there is no covariate; give at least one")
    events = int((risk.kinds == OF_INTEREST).sum())

    def fit(trouble: Trouble, beta: Any = None, robust: Any = None, model: Any = None, steps: Any = None) -> tuple:
        nothing = np.full((size, size), np.nan)
        return (
            nothing[0] if beta is None else beta,
            nothing if robust is None else robust,
            nothing if model is None else model,
            risk.at,
            np.full(len(risk.at), np.nan) if steps is None else steps,
            *likelihoods,
            len(risk.times),
            events,
            int(trouble),
        )

    likelihoods = (np.nan, np.nan)
    if not events:
        return Subdistribution(*fit(Trouble.NO_EVENTS))
    beta = np.zeros(size)
    null, score, information, _ = _derivatives(risk, beta)
    scale = np.sqrt(np.diag(information))
    if not (scale > 0).all() or np.linalg.matrix_rank(information / np.outer(scale, scale), tol=1e-9) < size:
        return Subdistribution(*fit(Trouble.SINGULAR))
    whiten = np.linalg.inv(np.linalg.cholesky(information))
    loglik = null
    for _ in range(STEPS):
        step = np.linalg.solve(information, score)
        for _ in range(30):
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                at = _derivatives(risk, beta + step)
            if at[0] >= loglik - 1e-9 * abs(loglik):
                break
            step = step / 2
        beta = beta + step
        loglik, score, information, _ = at
        # Where coefficients run away their information vanishes.
        if np.linalg.eigvalsh(whiten @ information @ whiten.T)[0] < 1e-8:
            return Subdistribution(*fit(Trouble.SEPARATED))
        if (np.abs(step) * scale < TOLERANCE).all():
            break
    else:
        return Subdistribution(*fit(Trouble.NOT_CONVERGED))
    likelihoods = (loglik, null)
    model = np.linalg.inv(information)
    influence, hazards = _influence(risk, beta)
    return Subdistribution(*fit(Trouble.NONE, beta, model @ (influence.T @ influence) @ model, model, hazards))


def predicted(fit: Subdistribution, covariates: Any, at: Any) -> np.ndarray:
    """Cumulative incidence of subjects with these covariates, (subject, time); of a fit without varying covariates.

        F(t | x) = 1 - exp(-exp(b' x) sum of the baseline's steps by t)

    Raises ValueError where the numbers of covariates differ.
    """
    x = np.atleast_2d(plain(covariates, "covariates", "covariate"))
    if x.shape[1] != len(fit.coefficients):
        raise ValueError(f"covariates has {x.shape=}; the fit has {len(fit.coefficients)}")
    steps = np.append(0.0, np.cumsum(fit.hazards))
    reached = steps[np.searchsorted(fit.times, plain(at, "at", "time").ravel(), side="right")]
    return -np.expm1(-np.exp(x @ fit.coefficients)[:, None] * reached)


def _columns(values: Any, name: str, count: int) -> np.ndarray:
    found = plain(values, name)
    found = found[:, None] if found.ndim == 1 else found
    if found.ndim != 2 or len(found) != count:
        raise ValueError(f"{name} has {found.shape=}; give (subject, covariate) for {count} subjects")
    return found


def _risk(
    times: np.ndarray,
    kinds: np.ndarray,
    fixed: np.ndarray,
    varying: np.ndarray,
    groups: np.ndarray,
    function: Callable[[np.ndarray], np.ndarray] | None,
) -> _Risk:
    order = np.argsort(times, kind="stable")
    times, kinds, fixed, varying, groups = (each[order] for each in (times, kinds, fixed, varying, groups))
    at = np.unique(times[kinds == OF_INTEREST])
    factors = np.ones((len(at), varying.shape[1]))
    if function is not None:
        factors = np.asarray(function(at), dtype=float).reshape(len(at), -1)
        if factors.shape[1] not in (1, varying.shape[1]) or not np.isfinite(factors).all():
            raise ValueError(f"function gives {factors.shape=}; give one number a time and varying covariate")
    remain, own = np.ones((len(at), len(times))), np.ones(len(times))
    for label in np.unique(groups):
        inside = groups == label
        where, left = _uncensored(times[inside], kinds[inside])
        remain[:, inside] = left[np.searchsorted(where, at, side="left")][:, None]
        own[inside] = left[np.searchsorted(where, times[inside], side="left")]
    return _Risk(times, kinds, fixed, varying, factors, at, remain, own, groups)


def _uncensored(times: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times of censoring, and the probability of none before each, and after the last."""
    where, censored = np.unique(times[kinds == CENSORED], return_counts=True)
    at_risk = len(times) - np.searchsorted(times, where, side="left")
    return where, np.append(1.0, np.cumprod(1.0 - censored / at_risk))


def _derivatives(risk: _Risk, beta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Log partial likelihood, score, information and the baseline's steps."""
    size = len(beta)
    loglik, score, information, hazards = 0.0, np.zeros(size), np.zeros((size, size)), np.zeros(len(risk.at))
    for j in range(len(risk.at)):
        x, failed = risk.covariates(j), risk.failed(j)
        eta = x @ beta
        e = risk.weights(j) * np.exp(eta)
        total, events = e.sum(), failed.sum()
        mean = e @ x / total
        centred = x - mean
        loglik += eta[failed].sum() - events * np.log(total)
        score += centred[failed].sum(0)
        information += events / total * (centred.T * e) @ centred
        hazards[j] = events / total
    return float(loglik), score, information, hazards


def _influence(risk: _Risk, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each subject adds to the score, (subject, covariate), also by way of the censoring's distribution."""
    count = len(risk.times)
    influence, hazards = np.zeros((count, len(beta))), np.zeros(len(risk.at))
    censoring = np.unique(risk.times[risk.kinds == CENSORED])
    before = np.searchsorted(risk.times, censoring, side="left")  # subjects whose time is earlier
    labels = np.unique(risk.groups)
    q = np.zeros((len(labels), len(censoring), len(beta)))
    for j, time in enumerate(risk.at):
        x, failed = risk.covariates(j), risk.failed(j)
        e = risk.weights(j) * np.exp(x @ beta)
        total = e.sum()
        hazards[j] = failed.sum() / total
        centred = x - e @ x / total
        expected = centred * (e * hazards[j])[:, None]
        influence += centred * failed[:, None] - expected
        # Censoring at u <= t bears on those whose competing event came before u.
        for g, label in enumerate(labels):
            carried = ((risk.kinds == COMPETING) & (risk.groups == label) & (risk.times < time))[:, None] * expected
            summed = np.vstack([np.zeros(len(beta)), np.cumsum(carried, axis=0)])
            q[g] += np.where(censoring[:, None] <= time, summed[before], 0.0)
    for g, label in enumerate(labels):
        inside = risk.groups == label
        ours = risk.times[inside]
        at_risk = len(ours) - np.searchsorted(ours, censoring, side="left")
        censored = (ours == censoring[:, None])[:, risk.kinds[inside] == CENSORED].sum(1)
        share = np.where(at_risk > 0, 1.0 / np.maximum(at_risk, 1), 0.0)[:, None] * q[g]
        compensator = np.vstack(
            [np.zeros(len(beta)), np.cumsum(share * (censored / np.maximum(at_risk, 1))[:, None], axis=0)]
        )
        psi = -compensator[np.searchsorted(censoring, ours, side="right")]
        own = risk.kinds[inside] == CENSORED
        psi[own] += share[np.searchsorted(censoring, ours[own])]
        influence[inside] += psi
    return influence, hazards
