"""Distributions between patients, in the unit of their variable; `wording` reads them from a study file.

Each is frozen data with `ppf` (the value at probability u), `mean`, `sd`, `median` and `describe`. They are chaospy's
where chaospy inverts to 1e-10 in both tails; the others are scipy's, for the reason that each gives.
"""

import abc
import dataclasses
import functools
import math
from typing import Any

import chaospy
import numpy as np
from scipy import special, stats


class Distribution(abc.ABC):
    """One continuous variable between patients."""

    @abc.abstractmethod
    def ppf(self, u: np.ndarray) -> np.ndarray:
        """Value at probability `u`, both (patient,)."""

    @abc.abstractmethod
    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation."""

    @abc.abstractmethod
    def describe(self, unit: str) -> str:
        """The distribution in words, on one line."""

    @property
    def mean(self) -> float:
        return self.moments()[0]

    @property
    def sd(self) -> float:
        return self.moments()[1]

    @property
    def median(self) -> float:
        return float(self.ppf(np.array([0.5]))[0])


def amount(value: float, unit: str) -> str:
    """A number with its unit, as people write it."""
    return f"{value:.4g}" if unit == "1" else f"{value:.4g} {unit}"


def require(holds: bool, what: str, do: str) -> None:
    """Raises ValueError of `what` is so, and what to `do`, unless it holds."""
    if not holds:
        raise ValueError(f"{what}; {do}")


@functools.lru_cache(maxsize=256)
def _law(name: str, *arguments: float) -> Any:
    # Building one takes longer than inverting a panel.
    return getattr(chaospy, name)(*arguments)


@dataclasses.dataclass(frozen=True)
class Normal(Distribution):
    location: float
    scale: float

    def __post_init__(self) -> None:
        require(self.scale > 0, f"sd is {self.scale:g}", "write one above 0")

    def ppf(self, u: np.ndarray) -> np.ndarray:
        return _law("Normal", self.location, self.scale).inv(u)

    def moments(self) -> tuple[float, float]:
        return self.location, self.scale

    def describe(self, unit: str) -> str:
        return f"normal, mean {amount(self.location, unit)}, SD {amount(self.scale, unit)}"


@dataclasses.dataclass(frozen=True)
class LogNormal(Distribution):
    """exp(log(center) + log_sd Z)."""

    center: float
    log_sd: float

    def __post_init__(self) -> None:
        require(self.center > 0, f"median is {self.center:g}", "a log-normal needs one above 0")
        require(self.log_sd > 0, "the spread is 0", "write a cv or sd above 0")

    def ppf(self, u: np.ndarray) -> np.ndarray:
        return _law("LogNormal", math.log(self.center), self.log_sd).inv(u)

    @property
    def median(self) -> float:
        return self.center

    def moments(self) -> tuple[float, float]:
        mean = self.center * math.exp(self.log_sd**2 / 2.0)
        return mean, mean * self.cv

    @property
    def cv(self) -> float:
        """Coefficient of variation, sqrt(exp(log_sd^2) - 1)."""
        return math.sqrt(math.expm1(self.log_sd**2))

    def describe(self, unit: str) -> str:
        return f"log-normal, median {amount(self.center, unit)}, CV {100.0 * self.cv:.3g} %"


@dataclasses.dataclass(frozen=True)
class LogitNormal(Distribution):
    """1 / (1 + exp(-(logit(center) + logit_sd Z)))."""

    center: float
    logit_sd: float

    def __post_init__(self) -> None:
        require(0 < self.center < 1, f"typical is {self.center:g}", "a logit-normal needs one between 0 and 1")
        require(self.logit_sd > 0, f"sd is {self.logit_sd:g}", "write one above 0")

    def ppf(self, u: np.ndarray) -> np.ndarray:
        return special.expit(_law("Normal", float(special.logit(self.center)), self.logit_sd).inv(u))

    @property
    def median(self) -> float:
        return self.center

    def moments(self) -> tuple[float, float]:
        # No closed form: quadrature of a smooth function, 200 nodes reach rounding for any sd in use.
        nodes, weights = np.polynomial.hermite_e.hermegauss(200)
        values = special.expit(special.logit(self.center) + self.logit_sd * nodes)
        weights = weights / weights.sum()
        mean = float(weights @ values)
        return mean, math.sqrt(float(weights @ (values - mean) ** 2))

    def describe(self, unit: str) -> str:
        return f"logit-normal, median {amount(self.center, unit)}, SD of the logit {self.logit_sd:.4g}"


@dataclasses.dataclass(frozen=True)
class Uniform(Distribution):
    lower: float
    upper: float

    def __post_init__(self) -> None:
        require(self.lower < self.upper, f"lower is {self.lower:g}, upper {self.upper:g}", "write lower below upper")

    def ppf(self, u: np.ndarray) -> np.ndarray:
        return _law("Uniform", self.lower, self.upper).inv(u)

    def moments(self) -> tuple[float, float]:
        return (self.lower + self.upper) / 2.0, (self.upper - self.lower) / math.sqrt(12.0)

    def describe(self, unit: str) -> str:
        return f"uniform, {self.lower:.4g} to {amount(self.upper, unit)}"


@dataclasses.dataclass(frozen=True)
class Triangular(Distribution):
    lower: float
    mode: float
    upper: float

    def __post_init__(self) -> None:
        require(
            self.lower <= self.mode <= self.upper and self.lower < self.upper,
            f"lower is {self.lower:g}, mode {self.mode:g}, upper {self.upper:g}",
            "write them in rising order",
        )

    def ppf(self, u: np.ndarray) -> np.ndarray:
        return _law("Triangle", self.lower, self.mode, self.upper).inv(u)

    def moments(self) -> tuple[float, float]:
        a, c, b = self.lower, self.mode, self.upper
        return (a + b + c) / 3.0, math.sqrt((a * a + b * b + c * c - a * b - a * c - b * c) / 18.0)

    def describe(self, unit: str) -> str:
        return f"triangular, {self.lower:.4g} to {amount(self.upper, unit)}, mode {amount(self.mode, unit)}"


@dataclasses.dataclass(frozen=True)
class Beta(Distribution):
    a: float
    b: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        require(self.a > 0 and self.b > 0, f"a is {self.a:g}, b {self.b:g}", "write both above 0")
        require(self.lower < self.upper, f"lower is {self.lower:g}, upper {self.upper:g}", "write lower below upper")

    def ppf(self, u: np.ndarray) -> np.ndarray:
        return _law("Beta", self.a, self.b, self.lower, self.upper).inv(u)

    def moments(self) -> tuple[float, float]:
        total = self.a + self.b
        spread = math.sqrt(self.a * self.b / (total + 1.0)) / total
        return self.lower + (self.upper - self.lower) * self.a / total, (self.upper - self.lower) * spread

    def describe(self, unit: str) -> str:
        return f"beta, a {self.a:.4g}, b {self.b:.4g}, {self.lower:.4g} to {amount(self.upper, unit)}"


@dataclasses.dataclass(frozen=True)
class Gamma(Distribution):
    location: float
    scale: float

    def __post_init__(self) -> None:
        require(self.location > 0, f"mean is {self.location:g}", "a gamma needs one above 0")
        require(self.scale > 0, f"sd is {self.scale:g}", "write one above 0")

    def ppf(self, u: np.ndarray) -> np.ndarray:
        shape = (self.location / self.scale) ** 2
        return _law("Gamma", shape, self.location / shape).inv(u)

    def moments(self) -> tuple[float, float]:
        return self.location, self.scale

    def describe(self, unit: str) -> str:
        return f"gamma, mean {amount(self.location, unit)}, SD {amount(self.scale, unit)}"


@dataclasses.dataclass(frozen=True)
class Weibull(Distribution):
    shape: float
    scale: float

    def __post_init__(self) -> None:
        require(self.shape > 0, f"shape is {self.shape:g}", "write one above 0")
        require(self.scale > 0, f"scale is {self.scale:g}", "write one above 0")

    def ppf(self, u: np.ndarray) -> np.ndarray:
        # chaospy takes log(1 - u) and is off by 2e-8 at u = 1e-9 (shape 1.5); scipy takes log1p(-u).
        return stats.weibull_min.ppf(u, self.shape, scale=self.scale)

    def moments(self) -> tuple[float, float]:
        first, second = (math.gamma(1.0 + k / self.shape) for k in (1, 2))
        return self.scale * first, self.scale * math.sqrt(second - first * first)

    def describe(self, unit: str) -> str:
        return f"Weibull, shape {self.shape:.4g}, scale {amount(self.scale, unit)}"


@dataclasses.dataclass(frozen=True)
class TruncatedNormal(Distribution):
    """A normal of `location` and `scale` kept between two bounds; its own mean and SD are `mean` and `sd`."""

    location: float
    scale: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        require(self.scale > 0, f"sd is {self.scale:g}", "write one above 0")
        require(self.lower < self.upper, f"lower is {self.lower:g}, upper {self.upper:g}", "write lower below upper")

    def _bounds(self) -> tuple[float, float]:
        return (self.lower - self.location) / self.scale, (self.upper - self.location) / self.scale

    def ppf(self, u: np.ndarray) -> np.ndarray:
        # chaospy subtracts probabilities near 1: 4e-7 off where the lower bound is 5 SD above the mean.
        return stats.truncnorm.ppf(u, *self._bounds(), loc=self.location, scale=self.scale)

    def moments(self) -> tuple[float, float]:
        law = stats.truncnorm(*self._bounds(), loc=self.location, scale=self.scale)
        return float(law.mean()), float(law.std())

    def describe(self, unit: str) -> str:
        normal = f"normal, mean {amount(self.location, unit)}, SD {amount(self.scale, unit)}"
        return f"truncated {normal}, {self.lower:.4g} to {amount(self.upper, unit)}"


@dataclasses.dataclass(frozen=True)
class Quantiles(Distribution):
    """A table of quantiles, straight lines between them; the first probability is 0 and the last 1."""

    probabilities: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        p, x = np.array(self.probabilities), np.array(self.values)
        require(p.shape == x.shape and len(p) > 1, f"{p.size} probabilities, {x.size} values", "write one value each")
        require(
            p[0] == 0.0 and p[-1] == 1.0 and bool(np.all(np.diff(p) > 0)),
            f"the quantiles run from {100 * p[0]:g} % to {100 * p[-1]:g} %",
            "begin with 0 % (the least value) and end with 100 %",
        )
        require(bool(np.all(np.diff(x) >= 0)), "the values of the quantiles fall", "write them in rising order")

    def ppf(self, u: np.ndarray) -> np.ndarray:
        return np.interp(u, self.probabilities, self.values)

    def moments(self) -> tuple[float, float]:
        width, x = np.diff(self.probabilities), np.array(self.values)
        mean = float(width @ (x[:-1] + x[1:])) / 2.0
        low, high = x[:-1] - mean, x[1:] - mean
        return mean, math.sqrt(float(width @ (low * low + low * high + high * high)) / 3.0)

    def describe(self, unit: str) -> str:
        quartiles = ", ".join(f"{value:.4g}" for value in self.ppf(np.array([0.25, 0.5, 0.75])))
        return f"quantiles, 25, 50, 75 %: {quartiles}{'' if unit == '1' else ' ' + unit}"


@dataclasses.dataclass(frozen=True)
class Categorical:
    """One of `levels`, drawn as its index; `shares` sum to 1."""

    levels: tuple[str, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        named = ", ".join(f"{level} {100 * share:g} %" for level, share in zip(self.levels, self.shares, strict=True))
        require(all(0.0 <= share <= 1.0 for share in self.shares), f"the shares are {named}", "write 0 to 100 %")
        require(abs(sum(self.shares) - 1.0) < 1e-6, f"the shares are {named}, not 100 % in all", "make them add up")

    def ppf(self, u: np.ndarray) -> np.ndarray:
        """Index of the level at probability `u`, as a float, (patient,)."""
        bounds = np.cumsum(self.shares)
        # 'right': a level of share 0 is never drawn.
        return np.searchsorted(bounds[:-1] / bounds[-1], u, side="right").astype(float)

    @property
    def mode(self) -> float:
        return float(np.argmax(self.shares))

    def describe(self, unit: str) -> str:
        shares = zip(self.levels, self.shares, strict=True)
        return "categorical, " + ", ".join(f"{level} {100 * share:.3g} %" for level, share in shares)
