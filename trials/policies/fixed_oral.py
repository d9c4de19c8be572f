"""A fixed regimen by mouth: the same dose at the same interval, whatever is seen."""

from collections.abc import Mapping
from typing import Any

from solvers.policy import Policy
from solvers.twin import Twin
from trials.dosing import REGIMEN, REGIMEN_DEFAULTS, given, regimen, text
from trials.policies import Form


def build(options: Mapping[str, Any], twin: Twin, tick: float) -> Policy:
    return regimen("fixed-oral", options, given(text(options, "gives"), twin), tick)


form = Form(
    title="the same dose at the same interval",
    keys=REGIMEN,
    defaults=REGIMEN_DEFAULTS,
    build=build,
)
