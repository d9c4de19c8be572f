"""Operating characteristics of a trial: what its estimates do over replicates, each with its Monte-Carlo error."""

from typing import NamedTuple

import numpy as np

from analysis.statistics.estimate import Estimate


class Figure(NamedTuple):
    """A figure estimated by simulation. mcse: its Monte-Carlo standard error."""

    value: float
    mcse: float


class Characteristics(NamedTuple):
    """mean, empirical_se: of the estimates. model_se: mean of the standard errors that the trials report.

    power: share of trials with p < alpha. bias: mean estimate less the truth. coverage: share of intervals that hold
    the truth. replicates: how many trials could be estimated.
    """

    mean: Figure
    empirical_se: Figure
    model_se: Figure
    power: Figure
    bias: Figure
    coverage: Figure
    replicates: int


def characteristics(estimate: Estimate, truth: float, alpha: float) -> Characteristics:
    """Characteristics of the estimates (replicate,) of a contrast whose true value is `truth`.

    Trials that could not be estimated are left out of all but the count. Raises ValueError for fewer than two.
    Morris, White & Crowther 2019, Stat Med 38:2074, table 6.
    """
    sound = np.isfinite(estimate.value) & np.isfinite(estimate.se)
    n = int(sound.sum())
    if n < 2:
        raise ValueError(f"{n} of {len(sound)} trials could be estimated; enrol more subjects or run more replicates")
    value, se = estimate.value[sound], estimate.se[sound]
    covered = (estimate.lower[sound] <= truth) & (truth <= estimate.upper[sound])
    spread = float(value.std(ddof=1))
    return Characteristics(
        mean=Figure(float(value.mean()), spread / n**0.5),
        empirical_se=Figure(spread, spread / (2 * (n - 1)) ** 0.5),
        model_se=Figure(float(se.mean()), float(se.std(ddof=1)) / n**0.5),
        power=share(estimate.p[sound] < alpha),
        bias=Figure(float(value.mean()) - truth, spread / n**0.5),
        coverage=share(covered),
        replicates=n,
    )


def share(hits: np.ndarray) -> Figure:
    """Share of True among `hits`, (replicate,), with its binomial standard error."""
    p = float(np.mean(hits))
    return Figure(p, (p * (1 - p) / len(hits)) ** 0.5)
