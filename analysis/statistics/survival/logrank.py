"""Log-rank tests: of two arms or more, stratified, weighted by Fleming and Harrington."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level
from analysis.statistics.estimate import Estimate, interval
from analysis.statistics.survival.follow_up import FollowUp, contrasted, follow_up, packed
from analysis.statistics.survival.ordered import at_first, from_here, gathered, ordered, tied
from analysis.statistics.trouble import Trouble, troubled


class LogRank(NamedTuple):
    """A test of all arms. arms: their codes, (arm,); subjects, observed, expected: (..., arm), weighted where the test
    is; covariance of observed - expected: (..., arm, arm); chi2, df, p, trouble: (...,).
    """

    arms: np.ndarray
    subjects: np.ndarray
    observed: np.ndarray
    expected: np.ndarray
    covariance: np.ndarray
    chi2: np.ndarray
    df: np.ndarray
    p: np.ndarray
    trouble: np.ndarray


class Terms(NamedTuple):
    """What every subject adds to a test, 0 but for events, over all strata; each (..., row), or (..., arm, row).

    events: 1 or 0. member: of an arm. share: of the arm among those at risk. spread: (n - d) / (n - 1), how far tied
    events lower the variance. before: pooled survival just before that time, within the stratum.
    """

    events: np.ndarray
    member: np.ndarray
    share: np.ndarray
    spread: np.ndarray
    before: np.ndarray

    def weights(self, rho: float, gamma: float) -> np.ndarray:
        """Of each event, S(t-)^rho (1 - S(t-))^gamma, and 0 elsewhere."""
        return self.events * (self.before**rho * (1.0 - self.before) ** gamma if rho or gamma else 1.0)


def logrank(
    times: Any,
    events: Any,
    arms: Any,
    contrast: tuple[int, int],
    alpha: float = 0.05,
    sided: int = 2,
    *,
    strata: Any = None,
    entry: Any = None,
    rho: float = 0.0,
    gamma: float = 0.0,
) -> Estimate:
    """Log-rank test of two arms, and the log hazard ratio of a against b that its score tells (Peto's); each (...,).

        U = sum over events of w (1[in a] - n_a / n),   V = sum of w^2 (n_a n_b / n^2) (n - d) / (n - 1)
        value = U / V,   se = 1 / sqrt(V),   statistic = U / sqrt(V),   w = S(t-)^rho (1 - S(t-))^gamma

    with S the pooled Kaplan-Meier curve. Strata add their U and V. The value is above 0 where more of a have events
    than were expected: for a one-sided test that treatment averts events name the control first in the contrast.
    times, events, arms, strata, entry: (..., subject), NaN is left out.
    Peto & Peto 1972, J R Stat Soc A 135:185. Harrington & Fleming 1982, Biometrika 69:553.
    """
    level(alpha, sided)
    found, data = contrast_terms(times, events, arms, contrast, strata, entry, weighted=bool(rho or gamma))
    score, variance = scores(found, [weight_of(rho, gamma)])
    score, variance = score[..., 0], variance[..., 0, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        known = np.where(variance > 0, variance, np.nan)
        value, se = score / known, 1.0 / np.sqrt(known)
    trouble = troubled(variance.shape, *empty_arms(data, contrast), (~(variance > 0), Trouble.NO_EVENTS))
    subjects = data.used.sum(-1)
    return interval(value, se, stats.norm, value / se, alpha, sided, subjects, trouble=trouble)


def logrank_arms(
    times: Any, events: Any, arms: Any, *, strata: Any = None, entry: Any = None, rho: float = 0.0, gamma: float = 0.0
) -> LogRank:
    """Log-rank test of all the arms that there are, as R's survdiff; each (...,).

        chi2 = (O - E)' V^-1 (O - E),   V = sum of w^2 (diag(q) - q q') (n - d) / (n - 1),   q = n_arm / n

    over the arms of which anything was expected, less one. rho of 1 is the modification of Peto and Peto. Data and
    weights as in `logrank`.
    """
    weight = weight_of(rho, gamma)
    data = follow_up(times, events, entry, _others(arms, strata))
    codes = np.unique(data.others["arms"][data.used])
    if len(codes) < 2:
        raise ValueError(f"arms holds {len(codes)} arm of subjects with data; give two or more")
    inside = data.others["arms"][..., None, :] == codes[:, None]
    found = terms(data, inside, weighted=bool(rho or gamma))
    w = found.weights(*weight)[..., None, :]
    observed, expected = (w * found.member).sum(-1), (w * found.share).sum(-1)
    scaled = w**2 * found.spread[..., None, :] * found.share
    covariance = -scaled @ np.swapaxes(found.share, -1, -2)
    place = np.arange(len(codes))
    covariance[..., place, place] += scaled.sum(-1)
    there = expected > 0
    chi2 = _quadratic(observed - expected, covariance, there)
    df = np.maximum(there.sum(-1) - 1.0, 0.0)
    subjects = (inside & data.used[..., None, :]).sum(-1).astype(float)
    trouble = troubled(
        chi2.shape, ((subjects == 0).any(-1), Trouble.EMPTY_ARM), (~np.isfinite(chi2), Trouble.NO_EVENTS)
    )
    p = np.where(np.isfinite(chi2), stats.chi2.sf(chi2, np.maximum(df, 1.0)), np.nan)
    return LogRank(codes, subjects, observed, expected, covariance, chi2, df, p, trouble)


def contrast_terms(
    times: Any, events: Any, arms: Any, contrast: tuple[int, int], strata: Any, entry: Any, weighted: bool
) -> tuple[Terms, FollowUp]:
    """Terms of the first arm of a contrast against the second, and the data of both."""
    data = follow_up(times, events, entry, _others(arms, strata))
    a, b = contrasted(data.others["arms"], data.used, contrast)
    data = data._replace(used=a | b)
    return terms(data, a[..., None, :], weighted), data


def terms(data: FollowUp, inside: np.ndarray, weighted: bool) -> Terms:
    """inside: who belongs to which arm, (..., arm, subject). weighted: whether survival before events is needed."""
    columns = [data.times, data.events, *np.moveaxis(inside, -2, 0)]
    if data.entry is not None:
        columns.append(data.entry)
    used, times, events, *rest = packed(data.others.get("strata"), data.used, *columns)
    entry = rest.pop() if data.entry is not None else None
    rows = ordered(times, events, used, entry)
    at_risk = np.maximum(from_here(rows, rows.counts), 1.0)  # 0 only where nobody is
    failed = tied(rows, rows.events)
    member, share = [], []
    for each in rest:
        own = gathered(rows, each.astype(float))
        member.append(own)
        share.append(from_here(rows, own * rows.counts) / at_risk)
    spread = (at_risk - failed) / np.maximum(at_risk - 1.0, 1.0)
    flat = (*data.used.shape[:-1], -1)
    before = at_first(rows, _before(rows.first, failed, at_risk)).reshape(flat) if weighted else np.ones(1)
    return Terms(
        rows.events.reshape(flat),
        np.stack([each.reshape(flat) for each in member], -2),
        np.stack([each.reshape(flat) for each in share], -2),
        spread.reshape(flat),
        before,
    )


def scores(found: Terms, weights: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """U of the first arm by each (rho, gamma), (..., weight), and their covariance, (..., weight, weight)."""
    stack = np.stack([found.weights(*each) for each in weights], -2)
    share = found.share[..., 0, :]
    score = (stack * (found.member[..., 0, :] - share)[..., None, :]).sum(-1)
    variance = found.spread * share * (1.0 - share)
    return score, (stack * variance[..., None, :]) @ np.swapaxes(stack, -1, -2)


def weight_of(rho: float, gamma: float) -> tuple[float, float]:
    """rho and gamma as they are. Raises ValueError where they are no powers of a weight."""
    if not (np.isfinite(rho) and np.isfinite(gamma) and rho >= 0 and gamma >= 0):
        raise ValueError(f"rho and gamma are {rho} and {gamma}; give numbers from 0 on")
    return float(rho), float(gamma)


def empty_arms(data: FollowUp, contrast: tuple[int, int]) -> list[tuple[np.ndarray, Trouble]]:
    """The condition that an arm of the contrast has nobody, of each."""
    return [(~(data.used & (data.others["arms"] == code)).any(-1), Trouble.EMPTY_ARM) for code in contrast]


def _others(arms: Any, strata: Any) -> dict[str, Any]:
    return {"arms": arms} if strata is None else {"arms": arms, "strata": strata}


def _before(first: np.ndarray | None, failed: np.ndarray, at_risk: np.ndarray) -> np.ndarray:
    """Pooled survival before each row; right at the first row of a time."""
    opens = True if first is None else first == np.arange(failed.shape[-1])
    steps = np.cumprod(np.where(opens, 1.0 - failed / at_risk, 1.0), -1)
    return np.concatenate([np.ones_like(steps[..., :1]), steps[..., :-1]], -1)


def _quadratic(difference: np.ndarray, covariance: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(O - E)' V^-1 (O - E) over the arms that are there less the first of them; NaN where V is 0."""
    kept = there & (np.cumsum(there, -1) > 1)
    square = np.where(kept[..., :, None] & kept[..., None, :], covariance, 0.0)
    scale = np.sqrt(np.einsum("...ii->...i", square))
    sound = (scale > 0) | ~kept
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = np.where(scale > 0, 1.0 / scale, 0.0)
    inverse = np.linalg.pinv(square * unit[..., :, None] * unit[..., None, :], rcond=1e-12, hermitian=True)
    u = difference * unit * kept
    chi2 = (u[..., None, :] @ inverse @ u[..., :, None])[..., 0, 0]
    return np.where(kept.any(-1) & sound.all(-1), chi2, np.nan)
