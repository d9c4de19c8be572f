"""The recipe of a population: what a study file says of its patients, as text."""

import dataclasses
import re
from collections.abc import Mapping

from solvers.quantity import quantity

Texts = Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a study file says of its population.

    reference: a name of the library, or a .csv or .parquet file, relative to `folder`.
    covariates: what replaces or joins those of the reference: a distribution, or the share of each level. In a library
    reference a replaced sex or age still chooses the cell that the other covariates come from; another one keeps its
    rank within the cell. parameters: typical, cv, sd, relative_se, subjects, or a distribution.
    correlations: rank correlations, by 'clearance ~ central_volume', of variables with a distribution of their own.
    columns, weight: headers in records.
    """

    reference: str
    sampling: str
    seed: int
    folder: str = "."
    covariates: Mapping[str, Texts] = dataclasses.field(default_factory=dict)
    parameters: Mapping[str, Texts] = dataclasses.field(default_factory=dict)
    correlations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    weight: str | None = None


def pairs(correlations: Mapping[str, str]) -> dict[tuple[str, str], float]:
    """Rank correlations by the two variables that they join.

    Raises ValueError for a key that is not `a ~ b`, a pair written twice, or a correlation that is not within -1 to 1.
    """
    read: dict[tuple[str, str], float] = {}
    for key, text in correlations.items():
        names = [name.strip() for name in key.split("~")]
        if len(names) != 2 or not all(names) or names[0] == names[1]:
            raise ValueError(
                f"correlation '{key}' joins no two variables; write one such as clearance ~ central_volume"
            )
        first, second = names
        if (first, second) in read or (second, first) in read:
            raise ValueError(f"correlation '{key}' is there twice; write it once")
        try:
            read[first, second] = quantity(str(text), "1")
        except ValueError as error:
            raise ValueError(f"correlation '{key}': {error}") from error
        if not -1.0 < read[first, second] < 1.0:
            raise ValueError(f"correlation '{key}' is {text}; write a number between -1 and 1")
    return read


# Keys that hold a value of the variable, whatever the distribution.
_VALUES = ("mean", "median", "lower", "scale", "0 %", "50 %")


def written_unit(texts: Texts) -> str:
    """The unit of a covariate that only the study file knows; '1' for plain numbers, '' for levels."""
    if "distribution" not in texts:
        return ""
    for key in _VALUES:
        written = re.match(r"^\s*[+-]?[\d.]+(?:[eE][+-]?\d+)?\s*(.*?)\s*$", str(texts.get(key, "")))
        if written and written[1]:
            return written[1]
    return "1"
