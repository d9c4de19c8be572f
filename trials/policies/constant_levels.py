"""Actions held at constant levels, each from a time on: drugs by their dose, a new valve, a pacemaker's settings.

An action that no line names is at 0. Of several lines for one action the last that applies counts, so that a dose that
rises by a fixed plan is a line for each step.
"""

from collections.abc import Mapping
from typing import Any

from solvers.policy import Policy, Seen
from solvers.twin import Twin
from trials import levels
from trials.policies import Form


def build(options: Mapping[str, Any], twin: Twin, tick: float) -> Policy:
    given = levels.levels("levels", options["levels"], twin, tick)

    def decide(time: Any, seen: Seen, memory: Any, s: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
        return levels.held(given, time, s), memory

    return Policy("constant-levels", lambda p, s: (), decide, settings=levels.settings(given, tick))


form = Form(
    title="drugs, valves and devices at constant levels",
    keys={"levels": levels.KEY},
    defaults={},
    build=build,
)
