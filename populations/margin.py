"""One variable drawn by a distribution of its own, and what is not known of that distribution."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from populations import wording
from populations.distributions import Categorical, Distribution, LogitNormal, LogNormal, Normal
from populations.inputs import Input, Quantiles
from solvers.quantity import quantity
from solvers.twin import Parameter

# Source of what a study file says of a variable.
STUDY_FILE = "study file"

# What numbers of chance are drawn from: numpy's generator, or given points of the unit cube.
Generator = np.random.Generator | Quantiles


class _Own:
    """What the variables here have in common, whatever is drawn."""

    def identity(self) -> dict[str, Any]:
        """All numbers that the draws depend on, as plain data."""
        data = dataclasses.asdict(self)  # type: ignore[call-overload]
        return data | {"kind": type(getattr(self, "distribution", self)).__name__}


@dataclasses.dataclass(frozen=True)
class Margin(_Own):
    """A continuous variable, drawn on the scale of its normal score z = location + scale ndtri(u).

    location_se, scale_se: standard errors of `location` and of the logarithm of `scale`; 0 where known.
    For normal, log-normal and logit-normal this is the usual uncertainty of mean and SD on the transformed scale.
    """

    name: str
    distribution: Distribution
    location_se: float = 0.0
    scale_se: float = 0.0
    location: float = 0.0
    scale: float = 1.0

    def ppf(self, u: np.ndarray) -> np.ndarray:
        if self.location == 0.0 and self.scale == 1.0:
            return self.distribution.ppf(u)
        shifted = ndtr(self.location + self.scale * ndtri(u))
        # A far tail may round to 0 or 1, where an unbounded distribution is infinite.
        return self.distribution.ppf(np.clip(shifted, 1e-300, 1.0 - 2.0**-53))

    @property
    def typical(self) -> float:
        return self.distribution.median

    def describe(self, unit: str) -> str:
        return self.distribution.describe(unit)

    @property
    def input(self) -> Input:
        return Input(self.name, self.name, "normal", self.name)

    @property
    def unknowns(self) -> tuple[Input, ...]:
        """What `resampled` draws, in its order; none where the distribution is known."""
        if self.location_se == self.scale_se == 0.0:
            return ()
        location = Input(f"{self.name}: location", f"typical {self.name}", "normal", self.name)
        return (location, Input(f"{self.name}: scale", f"spread of {self.name}", "normal", self.name))

    @property
    def known(self) -> np.ndarray:
        """What `resampled` changes, as numbers: location and log scale."""
        return np.array([self.location, math.log(self.scale)])

    def resampled(self, rng: Generator) -> "Margin":
        """The margin as it may as well be."""
        location, scale = rng.standard_normal(2)
        return dataclasses.replace(self, location=self.location_se * location, scale=math.exp(self.scale_se * scale))


@dataclasses.dataclass(frozen=True)
class Frequencies(_Own):
    """A categorical variable; `subjects` is how many people its shares rest on, None where they are known."""

    name: str
    distribution: Categorical
    subjects: int | None = None

    def ppf(self, u: np.ndarray) -> np.ndarray:
        return self.distribution.ppf(u)

    @property
    def typical(self) -> float:
        return self.distribution.mode

    def describe(self, unit: str) -> str:
        return self.distribution.describe(unit)

    @property
    def input(self) -> Input:
        distribution = self.distribution
        return Input(self.name, self.name, "levels", self.name, distribution.levels, distribution.shares)

    @property
    def unknowns(self) -> tuple[Input, ...]:
        """What `resampled` draws, in its order; none where the shares are known."""
        if self.subjects is None:
            return ()
        of = f"share of {self.name}"
        return tuple(
            Input(f"{self.name}: {level}", f"{of} {level}", "normal", self.name) for level in self.distribution.levels
        )

    @property
    def known(self) -> np.ndarray:
        """What `resampled` changes, as numbers: the shares, of which the last follows from the others."""
        return np.array(self.distribution.shares[:-1])

    def resampled(self, rng: Generator) -> "Frequencies":
        """Shares ~ Dirichlet(subjects x shares): the posterior of counts, without a prior."""
        if self.subjects is None:
            return self
        return dataclasses.replace(self, distribution=dirichlet(self.distribution, self.subjects, rng))


@dataclasses.dataclass(frozen=True)
class Constant(_Own):
    """A parameter that all patients share; relative_se is the standard error of its estimate, 0 where known."""

    name: str
    value: float
    relative_se: float = 0.0

    @property
    def typical(self) -> float:
        return self.value

    @property
    def unknowns(self) -> tuple[Input, ...]:
        return (Input(self.name, self.name, "normal", self.name),) if self.relative_se else ()

    @property
    def known(self) -> np.ndarray:
        """What `resampled` changes, as a number."""
        return np.array([self.value])

    def resampled(self, rng: Generator) -> "Constant":
        z = float(rng.standard_normal())
        if self.value > 0:
            value = self.value * math.exp(z * math.sqrt(math.log1p(self.relative_se**2)))
        else:
            value = self.value + z * self.relative_se * abs(self.value)
        return dataclasses.replace(self, value=value)

    def describe(self, unit: str) -> str:
        return "fixed"


def dirichlet(categorical: Categorical, subjects: float, rng: Generator) -> Categorical:
    """Shares drawn from a Dirichlet of `subjects` x shares; a level of share 0 keeps it."""
    # Normalised gammas: numpy's dirichlet refuses a share of 0.
    gammas = rng.standard_gamma(subjects * np.array(categorical.shares))
    return dataclasses.replace(categorical, shares=tuple(float(share) for share in gammas / gammas.sum()))


def ignorance(subjects: int | None) -> dict[str, float]:
    """Standard errors of the location and of the log-scale of normal scores, of an estimate from `subjects`."""
    if subjects is None:
        return {}
    return {"location_se": 1.0 / math.sqrt(subjects), "scale_se": 1.0 / math.sqrt(2.0 * max(subjects - 1, 1))}


def covariate(name: str, unit: str, levels: tuple[str, ...], texts: Mapping[str, str]) -> Margin | Frequencies:
    """A covariate as a study file gives it: a distribution in `unit`, or shares of `levels`; `subjects` with either.

    unit: "" where neither twin nor reference knows the covariate; it then has the unit or the levels that are written.
    Raises ValueError that begins with the covariate.
    """
    try:
        rest = {str(key): str(text) for key, text in texts.items()}
        subjects = _subjects(rest.pop("subjects")) if "subjects" in rest and "subjects" not in levels else None
        if "distribution" in rest:
            if levels:
                raise ValueError(f"a distribution, but it has levels; write the share of each: {', '.join(levels)}")
            return Margin(name, wording.distribution(rest, unit or "1"), **ignorance(subjects))
        if unit and not levels:
            known = ", ".join(wording.KINDS)
            raise ValueError(f"a number without a distribution; write distribution: and one of: {known}")
        return Frequencies(name, wording.categorical(rest, levels), subjects)
    except ValueError as error:
        raise ValueError(f"covariate '{name}': {error}") from error


def parameter(known: Parameter, texts: Mapping[str, str]) -> Margin | Constant:
    """A parameter of a twin, with what a study file says otherwise.

    texts: typical [unit]; cv; sd, which is that of the value for a normal, of the logarithm or logit otherwise;
    relative_se; subjects; or a distribution and its keys, with subjects.
    Raises ValueError that begins with the parameter.
    """
    try:
        return _parameter(known, {str(key): str(text) for key, text in texts.items()})
    except ValueError as error:
        raise ValueError(f"parameter '{known.name}': {error}") from error


def _parameter(known: Parameter, texts: dict[str, str]) -> Margin | Constant:
    subjects = _subjects(texts.pop("subjects")) if "subjects" in texts else known.subjects
    if "distribution" in texts:
        # The published uncertainty belongs to the published distribution.
        own = subjects if subjects is not known.subjects else None
        return Margin(known.name, wording.distribution(texts, known.unit), **ignorance(own))
    odd = [key for key in texts if key not in ("typical", "cv", "sd", "relative_se")]
    if odd:
        raise ValueError(f"'{odd[0]}' is not known; write typical, cv, sd, relative_se, subjects or distribution")
    if "cv" in texts and "sd" in texts:
        raise ValueError("both cv and sd are there; write one of them")
    typical = _read(texts, "typical", known.unit, known.typical)
    relative_se = _read(texts, "relative_se", "1", known.relative_se or 0.0)
    if relative_se < 0:
        raise ValueError(f"relative_se is {relative_se:g}; write 0 or more")
    spread = _spread(known, texts, typical)
    if spread is None:
        return Constant(known.name, typical, relative_se)
    se = ignorance(subjects)
    if relative_se > 0:
        se["location_se"] = _location_se(spread, relative_se)
    return Margin(known.name, spread, **se)


def _spread(known: Parameter, texts: Mapping[str, str], typical: float) -> Distribution | None:
    kind = known.spread.kind if known.spread else ("normal" if "sd" in texts else "log-normal")
    if "cv" in texts:
        cv = quantity(texts["cv"], "1")
        if kind == "logit-normal":
            raise ValueError("a logit-normal has no cv; write sd, that of the logit")
        sd = math.sqrt(math.log1p(cv * cv)) if kind == "log-normal" else cv * abs(typical)
        if cv < 0:
            raise ValueError(f"cv is {texts['cv']}; write 0 % or more")
    else:
        sd = _read(texts, "sd", known.unit if kind == "normal" else "1", known.spread.sd if known.spread else 0.0)
        if sd < 0:
            raise ValueError(f"sd is {texts['sd']}; write 0 or more")
    if sd == 0:
        return None
    made: dict[str, type[Distribution]] = {"normal": Normal, "log-normal": LogNormal, "logit-normal": LogitNormal}
    return made[kind](typical, sd)  # type: ignore[call-arg]


def _location_se(spread: Distribution, relative_se: float) -> float:
    """Standard error of the normal score's location whose typical value has this relative standard error."""
    if isinstance(spread, LogNormal):
        return math.sqrt(math.log1p(relative_se**2)) / spread.log_sd
    if isinstance(spread, LogitNormal):
        # d logit(p) / dp = 1 / (p (1 - p))
        return relative_se / (1.0 - spread.center) / spread.logit_sd
    assert isinstance(spread, Normal)
    return relative_se * abs(spread.location) / spread.scale


def _read(texts: Mapping[str, str], key: str, unit: str, default: float) -> float:
    if key not in texts:
        return default
    try:
        return quantity(texts[key], unit)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _subjects(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 2:
        raise ValueError(f"subjects: '{text}' is no number of people; write a whole number of at least 2")
    return int(text)
