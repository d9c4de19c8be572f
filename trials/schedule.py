"""When things happen in a study: ticks, records and visits."""

import itertools
import re
from collections.abc import Sequence

from solvers.quantity import quantity
from solvers.solve import Plan
from solvers.twin import Twin
from trials.document import Document
from trials.studyfile import StudyFile

LONGEST = 100_000  # ticks; beyond, the tick is too short for the study


def times(text: str) -> list[float]:
    """Reads `0, 3, 5 days` as hours, [0, 72, 120]: a number without a unit takes the one that follows it."""
    parts = [part.strip() for part in text.split(",")]
    hours: list[float] = []
    unit = ""
    for part in reversed(parts):
        match = re.fullmatch(r"([\d.]+)\s*(\D.*)?", part)
        if match is None:
            raise ValueError(f"'{part}' is no time; write a list such as 0, 7, 28 days")
        unit = match[2] or unit
        hours.append(quantity(f"{match[1]} {unit}", "h"))
    return hours[::-1]


def _on_ticks(source: Document, key: str, hours: Sequence[float], tick: float) -> tuple[int, ...]:
    numbers = []
    for hour in hours:
        number = round(hour / tick) if hour / tick < LONGEST else LONGEST + 1
        if number > LONGEST:
            source.refuse((key,), f"{key} {hour / 24:g} days lie beyond {LONGEST:,} ticks; choose a longer tick")
        if abs(hour / tick - number) > 1e-9:
            source.refuse((key,), f"{key}: {hour:g} h falls between ticks of {tick:g} h; write a multiple of the tick")
        numbers.append(number)
    for earlier, later in itertools.pairwise(numbers):
        if later <= earlier:
            source.refuse(
                (key,), f"{key}: {later * tick:g} h does not come after {earlier * tick:g} h; write them in order"
            )
    return tuple(numbers)


def schedule(source: Document, file: StudyFile, twin: Twin) -> Plan:
    try:
        visit_hours = times(file.visits)
    except ValueError as error:
        source.refuse(("visits",), f"visits: {error}")
    visits = _on_ticks(source, "visits", visit_hours, file.tick)
    ticks = visits[-1]
    if ticks == 0:
        source.refuse(("visits",), "visits end at 0; write a later last visit")
    match = re.fullmatch(r"\s*every\s+(.+)", file.record)
    try:
        if match:
            every = quantity(match[1], "h")
            if every <= 0:
                raise ValueError(f"'{file.record}' does not advance; write one such as every 1 day")
            if ticks * file.tick / every > LONGEST:
                raise ValueError(f"'{file.record}' makes more than {LONGEST:,} records; write a longer interval")
            record_hours = [i * every for i in range(int(ticks * file.tick / every + 1e-9) + 1)]
        else:
            record_hours = times(file.record)
    except ValueError as error:
        source.refuse(("record",), f"record: {error}")
    records = _on_ticks(source, "record", record_hours, file.tick)
    if records[-1] > ticks:
        source.refuse(("record",), "record goes on after the last visit; end it there")
    known = [item.name for item in twin.outcomes]
    if not file.outcomes:
        source.refuse(("outcomes",), f"outcomes are empty; write some of: {', '.join(known)}")
    for i, outcome in enumerate(file.outcomes):
        if outcome not in known:
            source.refuse(("outcomes", i), f"outcome '{outcome}' is unknown; write one of: {', '.join(known)}")
        if outcome in file.outcomes[:i]:
            source.refuse(("outcomes", i), f"outcome '{outcome}' stands twice; keep one of them")
    return Plan(file.tick, ticks, records, visits, tuple(file.outcomes), (), file.adherence.taken, file.adherence.late)
