"""Combination tests: p-values of separate stages, of which later ones may be planned by what earlier ones showed."""

from typing import Any, NamedTuple

import numpy as np
from scipy import special

from analysis.statistics.arrays import plain
from analysis.statistics.sequential.design import Design
from analysis.statistics.sequential.final import final
from analysis.statistics.sequential.looks import LOOK
from analysis.statistics.sequential.repeated import repeated_p
from analysis.statistics.sequential.roots import beyond, root
from analysis.statistics.sequential.stages import Stages


class Combined(NamedTuple):
    """After each stage, (..., stage).

    stage_p: of the stage alone, one-sided. z: of all stages so far. reject: whether z has reached the bound now.
    repeated_p: see `repeated.repeated_p`; NaN for rules without one. lower, upper: repeated confidence limits.
    stop: first stage at which the trial stops, from 1 on, 0 if it has not, (...). p, value, final_lower, final_upper:
    by stage-wise ordering at that stage, (...); NaN if it has not stopped.
    trouble: codes of Trouble, (...); what a stage without a statistic leaves unknown is NaN.
    """

    stage_p: np.ndarray
    z: np.ndarray
    reject: np.ndarray
    repeated_p: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    stop: np.ndarray
    p: np.ndarray
    value: np.ndarray
    final_lower: np.ndarray
    final_upper: np.ndarray
    trouble: np.ndarray


def weights_of(rates: Any) -> np.ndarray:
    """Weights of the stages, roots of what each was planned to add to the information, (..., look)."""
    return np.sqrt(np.diff(np.asarray(rates, dtype=float), prepend=0.0, axis=-1))


def inverse_normal(p: Any, weights: Any) -> np.ndarray:
    """Statistic after each stage, (..., stage), standard normal under the null hypothesis.

        Z_k = sum_(j<=k) w_j Phi^-1(1 - p_j) / sqrt(sum_(j<=k) w_j^2)

    p: one-sided, of each stage, (..., stage). weights: fixed beforehand, (..., stage), at least as many. Raises
    ValueError for what is no p-value.
    Lehmacher & Wassmer 1999, Biometrics 55:1286.
    """
    each = plain(p, "p", LOOK)
    if np.any((each < 0.0) | (each > 1.0)):
        raise ValueError(f"p goes from {np.nanmin(each):g} to {np.nanmax(each):g}; give p-values of 0 to 1")
    return _combine(-special.ndtri(each), weights)


def combination_test(plan: Design, stages: Stages) -> Combined:
    """Inverse-normal test of the stages held so far, with repeated and final inference on the effect.

    plan: a one-sided design whose rates give the weights. stages: of `stages.means`, `rates` or `survival`, (...,
    stage). The repeated limits are the effects at which the combined statistic would just have met the bound of either
    side. The final estimate takes the mean of Z_k to be effect x sum_(j<=k) w_j sqrt(I_j) / sqrt(sum w_j^2), with
    I_j the information of the stage. Raises ValueError for a two-sided design, or more stages than looks.
    Lehmacher & Wassmer 1999, Biometrics 55:1286; Wassmer & Brannath 2016, chapters 6 and 8.
    """
    held = stages.information.shape[-1]
    if plan.sided != 1:
        raise ValueError("a combination test has one side; give a one-sided design, with alpha / 2 for each of two")
    if held > plan.rates.shape[-1]:
        raise ValueError(f"there are {held} stages and {plan.rates.shape[-1]} looks; plan for as many")
    if plan.rates.ndim > 1:
        raise ValueError("a combination test takes one design for all trials; give one, or call it for each")
    good = np.flatnonzero(stages.trouble == 0)
    sound = stages._replace(
        statistic=lambda effect, i: stages.statistic(effect, good[i]),
        information=stages.information[good],
        scale=stages.scale[good],
    )
    columns = []
    for each in _test(plan, sound):
        column = np.full((len(stages.trouble), *each.shape[1:]), np.nan)
        column[good] = each
        columns.append(column.reshape((*stages.lead, *each.shape[1:])))
    columns.append(stages.trouble.reshape(stages.lead))
    told = Combined(*columns)
    return told._replace(reject=told.reject == 1.0, stop=np.nan_to_num(told.stop).astype(int))


def _test(plan: Design, stages: Stages) -> tuple:
    """The columns of Combined but the last, of rows that are sound."""
    held = stages.information.shape[-1]
    w = weights_of(plan.rates)[:held]
    count = len(stages.information)
    apart = stages.statistic(np.full(count, stages.null), np.arange(count))
    z = _combine(apart, w)
    over = z >= plan.upper[:held]
    ends = over | (z < plan.futility[:held])
    if held == plan.rates.shape[-1]:
        ends[:, -1] = True
    stop = np.where(ends.any(-1), ends.argmax(-1) + 1, 0)
    limits = [_limits(stages, w, sign * plan.upper[:held]) for sign in (1.0, -1.0)]
    ended = _ended(plan, stages, w, z, np.maximum(stop, 1))
    p, value, first, last = (np.where(stop == 0, np.nan, each) for each in ended)
    known = plan.efficacy.kind not in ("given-spending", "haybittle-peto")
    repeated = repeated_p(z, plan.rates, plan.efficacy, 1, plan.heeded) if known else np.full_like(z, np.nan)
    value, first, last, *limits = (_report(stages, each) for each in (value, first, last, *limits))
    if stages.direction < 0.0:
        first, last, limits = last, first, limits[::-1]
    return special.ndtr(-apart), z, over, repeated, *limits, stop, p, value, first, last


def _ended(plan: Design, stages: Stages, weights: np.ndarray, z: np.ndarray, stop: np.ndarray) -> tuple:
    """p-value, estimate and limits by stage-wise ordering, at each row's stage."""
    total = np.sqrt(np.cumsum(weights**2))
    means = np.cumsum(weights * np.sqrt(stages.information), -1) / total
    held = len(weights)
    # Looks that were not held have no part in what is found, but are asked for a mean.
    later = means[:, -1:] * np.sqrt(plan.rates[held:] / plan.rates[held - 1])
    means = np.concatenate([means, later], -1)
    there, scale = (np.take_along_axis(each, stop[:, None] - 1, -1)[:, 0] for each in (z, stages.scale))
    said = final(there, stop, plan.rates, plan.upper, plan.alpha, 1, plan.heeded, means=means)
    return said.p, *(stages.null + each * scale for each in said[1:])


def _limits(stages: Stages, weights: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Effects at which the combined statistic of each stage meets its bound, (row, stage); infinite where none does."""
    count, held = stages.information.shape
    rows = np.arange(count)
    found = []
    for k in range(held):

        def short(effect: np.ndarray, i: np.ndarray, k: int = k) -> np.ndarray:
            return bound[k] - _combine(stages.statistic(effect, i), weights)[:, k]

        if not np.isfinite(bound[k]):
            found.append(np.full(count, -bound[k]))
            continue
        if np.isfinite(stages.least):
            # Beyond what the effect can be, the statistic stays on its side of the bound.
            low, high = np.full(count, stages.least), np.full(count, stages.most)
            low_met, high_met = short(low, rows) >= 0.0, short(high, rows) <= 0.0
            middle = root(short, low, high)
            found.append(np.where(low_met, low, np.where(high_met, high, middle)))
            continue
        unit = stages.scale[:, k] / np.sqrt(stages.information[:, : k + 1].sum(-1))
        start = np.full(count, stages.null)
        high = beyond(short, start, unit)
        low = -beyond(lambda x, i, short=short: -short(-x, i), -start, unit)  # type: ignore[misc]
        found.append(root(short, low, high))
    return np.stack(found, -1)


def _report(stages: Stages, effect: np.ndarray) -> np.ndarray:
    signed = stages.direction * effect
    return np.exp(signed) if stages.log else signed


def _combine(z: np.ndarray, weights: Any) -> np.ndarray:
    w = np.asarray(weights, dtype=float)[..., : z.shape[-1]]
    return np.cumsum(w * z, -1) / np.sqrt(np.cumsum(w**2, -1))
