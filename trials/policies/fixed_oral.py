"""A fixed regimen by mouth: the same dose at the same interval, whatever is seen."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from solvers.policy import Policy, Seen, Setting
from solvers.twin import Twin
from trials.dosing import OptionError, amount, dose_setting, due, moment, span_setting, text
from trials.policies import Form


def build(options: Mapping[str, Any], twin: Twin, tick: float) -> Policy:
    action = twin.actions[0]
    dose = amount("dose", text(options, "dose"), action)
    every = moment("every", text(options, "every"), tick, least=tick)
    start = moment("from", text(options, "from"), tick)
    written = text(options, "doses")
    if written != "all" and not (written.isascii() and written.isdigit() and 0 < int(written) < 1_000_000):
        raise OptionError("doses", f"doses '{written}' is no number of doses; write a whole number, or all")
    settings = {
        "dose": dose_setting("each dose", dose, action),
        "every": span_setting("interval between doses", every, tick, tick),
        "from": span_setting("time of the first dose", start, tick),
    }
    if written != "all":
        settings["doses"] = Setting("how many doses", "1", float(written), (1.0, max(60.0, 2.0 * float(written))), 1.0)

    def decide(time: Any, seen: Seen, memory: Any, s: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
        last = s["from"] + (s["doses"] - 0.5) * s["every"] if "doses" in s else float("inf")
        return {action.name: jnp.where(due(time, s["from"], s["every"]) & (time < last), s["dose"], 0.0)}, memory

    return Policy("fixed-oral", lambda p, s: (), decide, settings=settings)


form = Form(
    title="the same dose at the same interval",
    keys={
        "dose": "amount of each dose, such as 5 mg",
        "every": "interval between doses, such as 24 h",
        "from": "time of the first dose",
        "doses": "how many doses, or all",
    },
    defaults={"from": "0 days", "doses": "all"},
    build=build,
)
