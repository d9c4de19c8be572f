"""A size of a trial, and the search for it."""

import math
from collections.abc import Callable
from typing import NamedTuple

from scipy import optimize

from analysis.statistics.arrays import level

MOST = 1e9  # subjects
PLACES = tuple(i / 128 for i in range(1, 129))  # on the way to the largest effect
SAME = 1e-9  # a size this little above a whole number is that number


class Size(NamedTuple):
    """arms: subjects by arm, not rounded. subjects: the same, rounded up. power: with `arms`; achieved: with
    `subjects`. effect: as the method calls it."""

    arms: tuple[float, ...]
    subjects: tuple[int, ...]
    power: float
    achieved: float
    effect: float

    @property
    def total(self) -> int:
        return sum(self.subjects)


def solve(
    power_of: Callable[[tuple[float, ...], float], float],
    split: Callable[[float], tuple[float, ...]],
    n: float | None,
    power: float | None,
    effect: float | None,
    least: float,
    farther: Callable[[float], float],
) -> Size:
    """Size with what is missing of n (in all), power and effect.

    power_of: of subjects by arm and an effect. split: n by arm. least: the fewest subjects in all. farther: effects
    from none (at 0) to the largest there is (at 1), of which the nearest that has the power is found. Raises
    ValueError where not exactly one is missing, and where no size or effect has that power.
    """
    if [n, power, effect].count(None) != 1:
        raise ValueError("give exactly two of n, power and effect; the third is found")
    if power is not None and not 0.0 < power < 1.0:
        raise ValueError(f"power is {power}; give one between 0 and 1, such as 0.9")
    if n is not None and not least <= n <= MOST:
        raise ValueError(f"n is {n}; give a number of subjects of at least {math.ceil(least)} in all")
    if effect is None:
        assert n is not None and power is not None
        arms, asked = split(n), power

        def short(at: float) -> float:
            return power_of(arms, farther(at)) - asked

        enough = next((at for at in PLACES if short(at) >= 0), None)
        if enough is None or short(0.0) > 0:
            raise ValueError(f"no effect has a power of {power} with {n} subjects; give another power or n")
        effect = farther(optimize.brentq(short, max(enough - PLACES[0], 0.0), enough, xtol=1e-15, rtol=1e-14))
    elif n is None:
        assert power is not None
        known, wanted = effect, power
        if power_of(split(least), known) >= wanted:
            n = least
        elif power_of(split(MOST), known) < wanted:
            raise ValueError(f"no size has a power of {power} for an effect of {effect}; give a larger effect")
        else:
            log = optimize.brentq(
                lambda at: power_of(split(math.exp(at)), known) - wanted,
                math.log(least),
                math.log(MOST),
                xtol=1e-14,
                rtol=1e-14,
            )
            n = math.exp(log)
    arms = split(n)
    subjects = tuple(whole(each) for each in arms)
    return Size(arms, subjects, power_of(arms, effect), power_of(subjects, effect), effect)


def whole(n: float) -> int:
    """The least number of subjects that is not below n, but for rounding."""
    return math.ceil(n * (1 - SAME))


def two_arms(ratio: float) -> Callable[[float], tuple[float, ...]]:
    """How a number of subjects splits into arms a and b. Raises ValueError for a ratio that is not positive."""
    if not 0.0 < ratio < math.inf:
        raise ValueError(f"ratio is {ratio}; give subjects of arm a to one of arm b, such as 1 or 2")
    return lambda n: (n * ratio / (1 + ratio), n / (1 + ratio))


def positive(**values: float) -> None:
    """Raises ValueError for the first that is not a positive number."""
    for name, value in values.items():
        if not 0.0 < value < math.inf:
            raise ValueError(f"{name} is {value}; give a positive number")


def share(**values: float | None) -> None:
    """Raises ValueError for the first that is not between 0 and 1; None is passed over."""
    for name, value in values.items():
        if value is not None and not 0.0 < value < 1.0:
            raise ValueError(f"{name} is {value}; give a share between 0 and 1")


def tail(alpha: float, sided: int) -> float:
    """Level of each side."""
    level(alpha, sided)
    return alpha / sided
