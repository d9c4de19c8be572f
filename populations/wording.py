"""Distributions as a study file words them, e.g. {distribution: normal, mean: 60 years, sd: 10 years}."""

import math
from collections.abc import Callable

from populations.distributions import (
    Beta,
    Categorical,
    Distribution,
    Gamma,
    LogitNormal,
    LogNormal,
    Normal,
    Quantiles,
    Triangular,
    TruncatedNormal,
    Uniform,
    Weibull,
    amount,
    require,
)
from populations.recipe import Texts
from solvers.quantity import quantity


class _Reader:
    """The keys of one distribution in a study file, each read in its unit; `done` refuses those left over."""

    def __init__(self, kind: str, texts: Texts, unit: str) -> None:
        self.kind, self.unit = kind, unit
        self.texts = {key: str(text) for key, text in texts.items() if key != "distribution"}
        self.known: list[str] = []

    def read(self, key: str, unit: str | None = None, default: str | None = None) -> float:
        self.known.append(key)
        text = self.texts.pop(key, default)
        if text is None:
            raise ValueError(
                f"distribution '{self.kind}' lacks '{key}'; write it, such as {key}: {self._example(unit)}"
            )
        try:
            return quantity(text, self.unit if unit is None else unit)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error

    def _example(self, unit: str | None) -> str:
        return amount(5.0, self.unit if unit is None else unit)

    def done(self) -> None:
        if self.texts:
            odd, known = ", ".join(self.texts), ", ".join(dict.fromkeys(self.known))
            raise ValueError(f"distribution '{self.kind}' has no '{odd}'; write only: {known}")


def _log_normal(keys: _Reader) -> Distribution:
    if "mean" in keys.texts:
        mean, sd = keys.read("mean"), keys.read("sd")
        require(mean > 0 and sd > 0, f"mean is {mean:g}, sd {sd:g}", "a log-normal needs both above 0")
        log_variance = math.log1p((sd / mean) ** 2)
        return LogNormal(mean * math.exp(-log_variance / 2.0), math.sqrt(log_variance))
    median, cv = keys.read("median"), keys.read("cv", "1")
    return LogNormal(median, math.sqrt(math.log1p(cv * cv)))


def _quantiles(keys: _Reader) -> Distribution:
    table = {}
    for key in list(keys.texts):
        try:
            probability = quantity(key, "1")
        except ValueError as error:
            raise ValueError(f"quantile '{key}' is no probability; write one such as 50 %") from error
        require(probability not in table, f"quantile {key} is there twice", "write it once")
        table[probability] = keys.read(key)
    require(len(table) > 1, "a table of quantiles needs two or more", "write 0 %, 50 %, 100 % and their values")
    p = sorted(table)
    return Quantiles(tuple(p), tuple(table[each] for each in p))


def _bounded(keys: _Reader) -> Distribution:
    low, high = ("0", "1") if keys.unit == "1" else (None, None)
    shapes = keys.read("a", "1"), keys.read("b", "1")
    return Beta(*shapes, keys.read("lower", default=low), keys.read("upper", default=high))


KINDS: dict[str, Callable[[_Reader], Distribution]] = {
    "normal": lambda k: Normal(k.read("mean"), k.read("sd")),
    "log-normal": _log_normal,
    "logit-normal": lambda k: LogitNormal(k.read("typical"), k.read("sd", "1")),
    "uniform": lambda k: Uniform(k.read("lower"), k.read("upper")),
    "triangular": lambda k: Triangular(k.read("lower"), k.read("mode"), k.read("upper")),
    "beta": _bounded,
    "gamma": lambda k: Gamma(k.read("mean"), k.read("sd")),
    "weibull": lambda k: Weibull(k.read("shape", "1"), k.read("scale")),
    "truncated-normal": lambda k: TruncatedNormal(k.read("mean"), k.read("sd"), k.read("lower"), k.read("upper")),
    "quantiles": _quantiles,
}


def distribution(texts: Texts, unit: str) -> Distribution:
    """Reads a continuous distribution, e.g. {distribution: normal, mean: 60 years, sd: 10 years}, in `unit`.

    Raises ValueError naming the known distributions, or the keys that this one has, or the quantity that is no such.
    """
    kind = str(texts.get("distribution", "")).strip()
    if kind not in KINDS:
        raise ValueError(f"distribution '{kind}' is not known; write one of: {', '.join(KINDS)}")
    keys = _Reader(kind, texts, unit)
    made = KINDS[kind](keys)
    keys.done()
    return made


def categorical(texts: Texts, levels: tuple[str, ...] = ()) -> Categorical:
    """Reads the share of each level, e.g. {female: 60 %, male: 40 %}; of known `levels`, those left out have none.

    Raises ValueError for a level that there is not, or shares that do not add up.
    """
    shares = {}
    for level, text in texts.items():
        if levels and level not in levels:
            raise ValueError(f"level '{level}' is not known; write one of: {', '.join(levels)}")
        try:
            shares[level] = quantity(str(text), "1")
        except ValueError as error:
            raise ValueError(f"{level}: {error}") from error
    named = levels or tuple(shares)
    return Categorical(named, tuple(shares.get(level, 0.0) for level in named))
