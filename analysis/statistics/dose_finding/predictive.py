"""Designs of one arm that look at the predictive probability of success, by Lee and Liu."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.probability import counts, positive, share


class Rule(NamedTuple):
    """looks: numbers of patients at which the trial looks, the last its most, (look,). futile: stop with so many
    responders or fewer, -1 for never; promising: stop with so many or more, n + 1 for never, (look,)."""

    looks: np.ndarray
    futile: np.ndarray
    promising: np.ndarray


class Characteristics(NamedTuple):
    """promising: P(the drug is called promising). expected: number of patients. early: P(stop before the last look)."""

    promising: float
    expected: float
    early: float


class Found(NamedTuple):
    """A design that keeps both errors. theta: what P(rate > low) must be in the end; floor: of the predictive
    probability; alpha and power: at the rates of the search; expected, early: at the low one."""

    most: int
    theta: float
    floor: float
    rule: Rule
    alpha: float
    power: float
    expected: float
    early: float


def predictive_probability(
    responders: Any, treated: Any, most: int, low: float, theta: float, prior: tuple[float, float] = (1.0, 1.0)
) -> np.ndarray:
    """Probability that the trial, when all are in, will show P(rate > low) > theta.

        PP = sum_y BetaBin(y; m, a + x, b + n - x) [P(rate > low | a + x + y, b + N - x - y) > theta],   m = N - n

    responders x, treated n: of one shape; most: N; prior: a, b. Raises ValueError for what does not fit.
    Lee & Liu 2008, Clin Trials 5:93.
    """
    x = counts(np.atleast_1d(responders), "responders", "set")
    n = counts(np.atleast_1d(treated), "treated", "set")
    a, b = _prior(prior)
    if (x > n).any() or (n > most).any():
        raise ValueError(f"{x.max():g} responders of {n.max():g} treated, {most} at most; give no more of each")
    least = _least(most, share(low, "low"), share(theta, "theta"), (a, b))
    shape = np.broadcast_shapes(np.shape(responders), np.shape(treated))
    return _predicted(x, n, most, least, (a, b)).reshape(shape)


def boundaries(
    looks: Sequence[int],
    low: float,
    theta: float,
    floor: float,
    ceiling: float = 1.0,
    prior: tuple[float, float] = (1.0, 1.0),
) -> Rule:
    """Numbers of responders that stop the trial: futile where PP < floor, promising where PP > ceiling.

    looks: increasing, the last is that of all patients, where the trial is promising or not.
    """
    at = counts(looks, "looks", "look").astype(int)
    if at.ndim != 1 or not len(at) or at[0] < 1 or (np.diff(at) <= 0).any():
        raise ValueError(f"looks are {at.tolist()}; give numbers of patients that increase")
    if not 0.0 <= floor <= ceiling <= 1.0:
        raise ValueError(f"floor {floor:g} and ceiling {ceiling:g}; give 0 <= floor <= ceiling <= 1")
    least = _least(int(at[-1]), share(low, "low"), share(theta, "theta"), _prior(prior))
    return _rule(at, least, _tables(at, least, _prior(prior)), floor, ceiling)


def characteristics(rule: Rule, rate: float) -> Characteristics:
    """What the rule does where that share responds, exactly, by recursion from look to look."""
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"rate is {rate}; give a number from 0 to 1")
    chance, before, promising, expected = np.ones(1), 0, 0.0, 0.0
    early = 0.0
    for look, (n, futile, good) in enumerate(zip(*rule, strict=True)):
        chance = np.convolve(chance, stats.binom.pmf(np.arange(n - before + 1), n - before, rate))
        x = np.arange(n + 1)
        stop = (x <= futile) | (x >= good)
        promising += float(chance[x >= good].sum())
        stopped = float(chance[stop].sum())
        expected += int(n) * stopped
        early += stopped if look < len(rule.looks) - 1 else 0.0
        chance, before = np.where(stop, 0.0, chance), int(n)
    return Characteristics(promising, expected, early)


def search(
    most: Sequence[int],
    low: float,
    high: float,
    *,
    first: int = 10,
    every: int = 1,
    thetas: Any = None,
    floors: Any = None,
    ceiling: float = 1.0,
    alpha: float = 0.05,
    beta: float = 0.2,
    prior: tuple[float, float] = (1.0, 1.0),
) -> list[Found]:
    """Of each largest number the design with the most power that keeps both errors; numbers without one are left out.

    most: numbers to try. Looks from `first` patients on, every `every`. thetas, floors: to try; 0.80 to 0.99 and 0.001
    to 0.2 where None. low, high, alpha, beta: as in `simon`. Lee & Liu 2008, Clin Trials 5:93.
    """
    if not share(low, "low") < share(high, "high"):
        raise ValueError(
            f"the rate that is too low, {low:g}, is not below the one worth while, {high:g}; give a lower one"
        )
    thetas = np.arange(0.80, 0.995, 0.01) if thetas is None else np.atleast_1d(np.asarray(thetas, dtype=float))
    floors = np.append(0.001, np.arange(0.01, 0.205, 0.01)) if floors is None else np.atleast_1d(floors)
    found = []
    for n in most:
        looks = np.array([*range(first, n, every), n])
        best: Found | None = None
        tried: set[tuple] = set()
        # Few limits at the end are apart, so few thetas are.
        limits = {_least(n, low, share(float(theta), "theta"), _prior(prior)): float(theta) for theta in thetas[::-1]}
        for least, theta in limits.items():
            tables = _tables(looks, least, _prior(prior))
            for floor in floors:
                rule = _rule(looks, least, tables, float(floor), ceiling)
                key = (*rule.futile, *rule.promising)
                if key in tried:
                    continue
                tried.add(key)
                null, power = characteristics(rule, low), characteristics(rule, high).promising
                if null.promising <= alpha and power >= 1.0 - beta and (best is None or power > best.power):
                    best = Found(n, theta, float(floor), rule, null.promising, power, null.expected, null.early)
        if best:
            found.append(best)
    return found


def _predicted(x: Any, n: Any, most: int, least: int, prior: tuple[float, float]) -> np.ndarray:
    """P(`least` responders or more in the end)."""
    x, n = np.broadcast_arrays(x, n)
    left = (most - n).astype(int)
    chance = stats.betabinom.sf(least - x - 1, np.maximum(left, 1), prior[0] + x, prior[1] + n - x)
    return np.where(x >= least, 1.0, np.where(left > 0, chance, 0.0))


def _tables(looks: np.ndarray, least: int, prior: tuple[float, float]) -> list[np.ndarray]:
    """Predictive probability of each look but the last, by number of responders."""
    return [_predicted(np.arange(n + 1.0), float(n), int(looks[-1]), least, prior) for n in looks[:-1]]


def _rule(looks: np.ndarray, least: int, tables: list[np.ndarray], floor: float, ceiling: float) -> Rule:
    futile = [int((chance < floor).sum()) - 1 for chance in tables]
    promising = [len(chance) - int((chance > ceiling).sum()) for chance in tables]
    return Rule(looks, np.array([*futile, least - 1]), np.array([*promising, least]))


def _least(most: int, low: float, theta: float, prior: tuple[float, float]) -> int:
    """Fewest responders of all with which P(rate > low) > theta; most + 1 where no number will do."""
    x = np.arange(most + 1)
    enough = stats.beta.sf(low, prior[0] + x, prior[1] + most - x) > theta
    return int(x[enough][0]) if enough.any() else most + 1


def _prior(prior: tuple[float, float]) -> tuple[float, float]:
    a, b = positive(prior, "prior")
    return float(a), float(b)
