"""Sensor-augmented pump: a basal rate, and boluses for meals with correction. The sensor is seen, and doses nothing."""

from collections.abc import Mapping
from typing import Any

from trials.insulin import BASAL, Algorithm, Clinic, Now, pump


def give(now: Now, clinic: Clinic, memory: tuple, s: Mapping[str, Any]) -> tuple[Any, tuple]:
    return s["basal"] * clinic.basal, memory


form = pump("a basal rate and boluses for meals", "basal-bolus", Algorithm(lambda clinic, s: (), give), BASAL)
