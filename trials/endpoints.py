"""Endpoints as the study file declares them, and what they need gathered at every tick.

How they are computed from what a trial observed is `analysis.endpoints`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from solvers.quantity import quantity, quantity_range
from solvers.solve import Fold
from solvers.twin import Twin

Kind = Literal["share", "first", "ever", "responder"]

# The key that opens an endpoint names its kind.
KINDS: dict[str, Kind] = {
    "time in range": "share",
    "first in range": "first",
    "ever": "ever",
    "responder": "responder",
}
KEYS: dict[Kind, tuple[str, ...]] = {
    "share": ("between", "until"),
    "first": ("between", "until"),
    "ever": ("at least", "until"),
    "responder": ("at least",),
}


class Endpoint(NamedTuple):
    """One number or event time per patient.

    share: share of the time until `until` [h] that `outcome` lies within `between`; first: days until a visit finds it
    there; ever: whether a visit finds it at or above `at_least`; responder: whether endpoint `outcome` is at least
    `at_least`.
    """

    name: str
    kind: Kind
    outcome: str
    between: tuple[float, float]
    at_least: float
    until: float

    @property
    def unit(self) -> str:
        return "day" if self.kind == "first" else "1"

    @property
    def fold(self) -> str | None:
        """Name of the number that every tick adds to, None where the visits suffice."""
        if self.kind == "share":
            return f"{self.outcome}_share_{self.between[0]:g}_{self.between[1]:g}_{self.until:g}h"
        if self.kind == "ever":
            return f"{self.outcome}_peak_{self.until:g}h"
        return None


def endpoint(name: str, entry: Any, earlier: Mapping[str, Endpoint], twin: Twin, outcomes: Sequence[str]) -> Endpoint:
    """Reads one endpoint. Raises ValueError for an unknown kind, key, outcome or unit."""
    if not isinstance(entry, dict) or not entry:
        raise ValueError(
            f"endpoint '{name}' is no mapping; write one such as {{time in range: inr, between: 2.0 to 3.0}}"
        )
    opening = next(iter(entry))
    if opening not in KINDS:
        raise ValueError(f"endpoint '{name}': kind '{opening}' is unknown; start with one of: {', '.join(KINDS)}")
    kind = KINDS[opening]
    for key, value in entry.items():
        if key not in (opening, *KEYS[kind]):
            raise ValueError(f"endpoint '{name}': unknown key '{key}'; write one of: {', '.join(KEYS[kind])}")
        if not isinstance(value, str):
            raise ValueError(f"endpoint '{name}': '{key}' is no plain text; write one value")
    missing = [key for key in KEYS[kind] if key not in entry]
    if missing:
        raise ValueError(f"endpoint '{name}' lacks '{missing[0]}'; add it")
    outcome = entry[opening]
    try:
        if kind == "responder":
            return _responder(name, outcome, entry, earlier)
        outputs = {output.name: output for output in twin.outputs}
        if outcome not in outputs:
            raise ValueError(f"outcome '{outcome}' is no output of the twin; write one of: {', '.join(outputs)}")
        if outcome not in outcomes:
            raise ValueError(f"outcome '{outcome}' is not recorded; add it to outcomes")
        unit = outputs[outcome].unit
        between = quantity_range(entry["between"], unit) if "between" in entry else (float("nan"), float("nan"))
        at_least = quantity(entry["at least"], unit) if "at least" in entry else float("nan")
        return Endpoint(name, kind, outcome, between, at_least, quantity(entry["until"], "h"))
    except ValueError as error:
        raise ValueError(f"endpoint '{name}': {error}") from error


def _responder(name: str, of: str, entry: Mapping[str, str], earlier: Mapping[str, Endpoint]) -> Endpoint:
    shares = [each.name for each in earlier.values() if each.kind == "share"]
    if of not in shares:
        raise ValueError(f"'{of}' is no time in range above it; write one of: {', '.join(shares) or '(there is none)'}")
    threshold = quantity(entry["at least"], "1")
    if not 0 < threshold <= 1:
        raise ValueError(f"at least '{entry['at least']}' is no share; write one such as 60 %")
    return Endpoint(name, "responder", of, (float("nan"), float("nan")), threshold, earlier[of].until)


def share_within(before: Any, after: Any, low: float, high: float) -> Any:
    """Share of a stretch of time spent within [low, high] by a value that moves linearly from `before` to `after`.

    Arrays of one shape, of numpy or jax; NaN where an end is NaN.
    Rosendaal 1993, Thromb Haemost 69:236.
    """
    xp = before.__array_namespace__()
    lowest, highest = xp.minimum(before, after), xp.maximum(before, after)
    span = highest - lowest
    overlap = xp.minimum(highest, high) - xp.maximum(lowest, low)
    flat = span == 0.0
    within = xp.where((lowest >= low) & (lowest <= high), 1.0, 0.0)
    share = xp.where(flat, within, xp.maximum(overlap, 0.0) / xp.where(flat, 1.0, span))
    return xp.where(xp.isnan(span), xp.nan, share)


def fold(each: Endpoint) -> Fold | None:
    """What the solve loop gathers at every tick for the true value of an endpoint."""
    if each.fold is None:
        return None
    outcome, until = each.outcome, each.until
    if each.kind == "share":
        low, high = each.between

        def step(total: Any, before: Any, after: Any, time: Any, tick: float) -> Any:
            share = share_within(before[outcome], after[outcome], low, high)
            counted = time + tick <= until + 1e-9
            return total + share * (tick / until) * counted

        return Fold(each.fold, 0.0, step)

    def rise(total: Any, before: Any, after: Any, time: Any, tick: float) -> Any:
        xp = after[outcome].__array_namespace__()
        counted = time + tick <= until + 1e-9
        return xp.where(counted, xp.maximum(total, xp.maximum(before[outcome], after[outcome])), total)

    return Fold(each.fold, float("-inf"), rise)
