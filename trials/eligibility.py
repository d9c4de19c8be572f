"""Who may enter: criteria on covariates, such as `age >= 50 years` or `cyp2c9 in *1*2, *1*3`."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from populations.population import Variable
from solvers.quantity import quantity

COMPARISONS: dict[str, Callable] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_NUMBER = re.compile(r"^\s*([A-Za-z_]\w*)\s*(>=|<=|>|<)\s*(.+?)\s*$")
_LEVEL = re.compile(r"^\s*([A-Za-z_]\w*)\s+(is not|is|in)\s+(.+?)\s*$")


class Criterion(NamedTuple):
    """One line of eligibility. For a number: comparison and threshold [unit]; for levels: the codes that pass."""

    text: str
    covariate: str
    comparison: str
    threshold: float
    codes: tuple[int, ...]

    def met(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which patients meet it, (patient,) bool."""
        value = values[self.covariate]
        if self.codes:
            return np.isin(value, self.codes)
        return COMPARISONS[self.comparison](value, self.threshold)


def criterion(text: str, variables: Sequence[Variable]) -> Criterion:
    """Reads one criterion. Raises ValueError for an unknown covariate, level or unit."""
    match = _NUMBER.match(text) or _LEVEL.match(text)
    if match is None:
        raise ValueError(f"eligibility '{text}' is no criterion; write one such as age >= 50 years or sex is female")
    name, comparison, right = match.groups()
    covariates = {variable.name: variable for variable in variables if variable.kind == "covariate"}
    if name not in covariates:
        raise ValueError(f"eligibility '{text}': no covariate '{name}'; write one of: {', '.join(covariates)}")
    variable = covariates[name]
    if not variable.levels:
        if comparison not in COMPARISONS:
            raise ValueError(f"eligibility '{text}': {name} is a number; write one such as {name} >= 1 {variable.unit}")
        try:
            threshold = quantity(right, variable.unit)
        except ValueError as error:
            raise ValueError(f"eligibility '{text}': {error}") from error
        return Criterion(text, name, comparison, threshold, ())
    if comparison in COMPARISONS:
        raise ValueError(f"eligibility '{text}': {name} has levels; write one such as {name} is {variable.levels[0]}")
    named = [level.strip() for level in right.split(",")] if comparison == "in" else [right]
    for level in named:
        if level not in variable.levels:
            raise ValueError(f"eligibility '{text}': no level '{level}'; write one of: {', '.join(variable.levels)}")
    if comparison == "is not":
        named = [level for level in variable.levels if level not in named]
    return Criterion(text, name, comparison, float("nan"), tuple(variable.levels.index(level) for level in named))


def eligible(criteria: Sequence[Criterion], values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which patients meet every criterion, (patient,) bool."""
    met = np.ones(len(next(iter(values.values()))), bool)
    for each in criteria:
        met &= each.met(values)
    return met
