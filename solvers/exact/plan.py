"""The steps of a march, one after another, as data."""

import functools
from typing import NamedTuple

import numpy as np

from solvers.exact.rule import Rule, levels


class Plan(NamedTuple):
    """Steps one after another. For each: where it starts, its length, its kind, the row of its jump (0: none), and the
    row where its outputs go: those of a point that is not kept go where the next that is will be written.

    marks: of the beginning and after each step, the row of its outputs, -1 for none. lengths: of each kind. rows: there
    are, one more than kept where the last point is not.
    """

    starts: np.ndarray
    etas: np.ndarray
    kinds: np.ndarray
    jumps: np.ndarray
    slots: np.ndarray
    marks: np.ndarray
    lengths: tuple[float, ...]
    rows: int


@functools.lru_cache(maxsize=64)
def planned(rule: Rule, lengths: tuple[float, ...], kept: tuple[bool, ...]) -> Plan:
    kinds: dict[float, int] = {}
    rows: list[tuple] = []
    marks = [0 if kept[0] else -1]
    time, slot, jump = 0.0, int(kept[0]), 0
    for k, ((count, halvings), length) in enumerate(zip(rule.mesh, lengths, strict=True)):
        start = time
        jump += bool(rule.jumps[k])
        for i, level in enumerate(levels(count, halvings)):
            eta = length / count * 0.5**level
            # Lengths that differ by rounding only are one.
            kind = kinds.setdefault(float(f"{eta:.12g}"), len(kinds))
            rows.append((start, eta, kind, jump if rule.jumps[k] and i == 0 else 0, slot))
            start += eta
            marks.append(-1)
        marks[-1] = slot if kept[k + 1] else -1
        time += length
        slot += kept[k + 1]
    starts, etas, numbers, jumps, slots = (np.array(column) for column in zip(*rows, strict=True))
    return Plan(starts, etas, numbers, jumps, slots, np.array(marks), tuple(kinds), slot + (not kept[-1]))
