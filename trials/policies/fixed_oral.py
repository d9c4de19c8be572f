"""A fixed regimen by mouth: the same dose at the same interval, whatever is seen."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from solvers.policy import Policy, Seen
from solvers.twin import Twin
from trials.dosing import OptionError, amount, due, moment, text
from trials.policies import Form


def build(options: Mapping[str, Any], twin: Twin, tick: float) -> Policy:
    action = twin.actions[0]
    dose = amount("dose", text(options, "dose"), action)
    every = moment("every", text(options, "every"), tick, least=tick)
    start = moment("from", text(options, "from"), tick)
    written = text(options, "doses")
    if written != "all" and not (written.isascii() and written.isdigit() and 0 < int(written) < 1_000_000):
        raise OptionError("doses", f"doses '{written}' is no number of doses; write a whole number, or all")
    last = start + (float(written) - 0.5) * every if written != "all" else float("inf")

    def decide(time: Any, seen: Seen, memory: Any) -> tuple[Mapping[str, Any], Any]:
        return {action.name: jnp.where(due(time, start, every) & (time < last), dose, 0.0)}, memory

    return Policy("fixed-oral", lambda p: (), decide)


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
