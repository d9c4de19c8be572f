"""A fixed regimen by infusion: the same dose over the same time at the same interval, whatever is seen."""

from collections.abc import Mapping
from typing import Any

from solvers.policy import Infusion, Policy, Seen, Setting
from solvers.twin import Twin
from trials.dosing import REGIMEN, REGIMEN_DEFAULTS, duration, given, regimen, text
from trials.policies import Form


def build(options: Mapping[str, Any], twin: Twin, tick: float) -> Policy:
    action = given(text(options, "gives"), twin, infused=True)
    whole = regimen("fixed-infusion", options, action, tick)
    over = duration("over", text(options, "over"))
    longest = 2.0 * over

    def decide(time: Any, seen: Seen, memory: Any, s: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
        amounts, memory = whole.decide(time, seen, memory, s)
        return {action.name: Infusion(amounts[action.name], s["over"])}, memory

    settings = {**whole.settings, "over": Setting("time that each dose takes", "h", over, (0.0, longest))}
    return whole._replace(decide=decide, by_patient=False, settings=settings, longest=longest)


form = Form(
    title="the same infusion at the same interval",
    keys={**REGIMEN, "over": "time that each dose takes, such as 30 min"},
    defaults=REGIMEN_DEFAULTS,
    build=build,
)
