"""The policy: decides the next action from the time, what can be seen, and its own memory."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Seen(NamedTuple):
    """What the clinic sees at the start of a tick.

    visit: whether this tick is a visit. measured: outputs by name with measurement error; NaN where it is no visit.
    """

    visit: Any
    measured: Mapping[str, Any]


class Policy(NamedTuple):
    """Pure functions for one patient.

    begin(p) -> memory, once a life; `p` holds the patient's covariates and the TYPICAL parameters, because a clinic
    knows no one's random effects. decide(time [h], seen, memory) -> (amounts by action name, memory).
    by_patient: whether the patient takes the action by his own hand, so that adherence applies.
    """

    name: str
    begin: Callable[[Any], Any]
    decide: Callable[[Any, Seen, Any], tuple[Mapping[str, Any], Any]]
    by_patient: bool = True
