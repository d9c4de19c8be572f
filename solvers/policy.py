"""The policy: decides the next action from the time, what can be seen, and its own memory."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Seen(NamedTuple):
    """What the clinic sees at the start of a tick.

    visit: whether this tick is a visit. measured: outputs by name with measurement error; NaN where it is no visit.
    """

    visit: Any
    measured: Mapping[str, Any]


class Setting(NamedTuple):
    """One number of a therapy, which can be changed without another program.

    value, bounds: [unit]; bounds are what makes sense, and a policy need not bear others. step: where the number
    comes in steps from the lower bound, their size [unit]; 0 where any will do.
    """

    title: str
    unit: str
    value: float
    bounds: tuple[float, float]
    step: float = 0.0


class Infusion(NamedTuple):
    """An amount at a constant rate over a time [h]; at once where that is 0."""

    amount: Any
    over: Any


class Policy(NamedTuple):
    """Pure functions for one patient.

    begin(p, settings) -> memory, once a life; `p` holds the patient's covariates and the TYPICAL parameters, because a
    clinic knows no one's random effects. decide(time [h], seen, memory, settings) -> (amounts by action name, memory);
    an amount may be an Infusion. longest: of its infusions [h], whatever the settings; 0 where it gives none.
    by_patient: whether the patient takes the actions by his own hand, so that adherence applies to those not lasting.
    settings: the numbers of the therapy by name; the functions are given their values, which may be traced. What
    shapes the program (which rules there are) is no setting.
    """

    name: str
    begin: Callable[[Any, Mapping[str, Any]], Any]
    decide: Callable[[Any, Seen, Any, Mapping[str, Any]], tuple[Mapping[str, Any], Any]]
    by_patient: bool = True
    settings: Mapping[str, Setting] = {}
    longest: float = 0.0

    @property
    def numbers(self) -> dict[str, float]:
        """The settings as the study has them, by name."""
        return {name: setting.value for name, setting in self.settings.items()}

    def changed(self, settings: Mapping[str, float]) -> dict[str, float]:
        """All settings, with some changed. Raises ValueError for one that there is not, or that is out of bounds."""
        numbers = self.numbers
        for name, value in settings.items():
            if name not in self.settings:
                known = ", ".join(self.settings) or "(there is none)"
                raise ValueError(f"policy '{self.name}' has no setting '{name}'; write one of: {known}")
            low, high = self.settings[name].bounds
            if not (math.isfinite(value) and low <= value <= high):
                unit = self.settings[name].unit
                raise ValueError(f"setting '{name}' is {value:g}; write a number from {low:g} to {high:g} {unit}")
            numbers[name] = float(value)
        return numbers
