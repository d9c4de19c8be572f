"""Endpoints as the study file declares them, and what they need gathered at every tick.

How they are computed from what a trial observed is `analysis.endpoints`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from solvers.quantity import quantity, quantity_range
from solvers.solve import Fold
from solvers.twin import Twin

Kind = Literal["share", "first", "ever", "responder", "worn share", "worn mean"]

# The key that opens an endpoint names its kind.
KINDS: dict[str, Kind] = {
    "time in range": "share",
    "first in range": "first",
    "ever": "ever",
    "responder": "responder",
    "worn time in range": "worn share",
    "worn mean": "worn mean",
}
KEYS: dict[Kind, tuple[str, ...]] = {
    "share": ("between", "until"),
    "first": ("between", "until"),
    "ever": ("at least", "until"),
    "responder": ("at least",),
    "worn share": ("between", "until"),
    "worn mean": ("as", "until"),
}
# What a worn device's values may be turned into before they are averaged: unit (that of the outcome where empty).
TRANSFORMED = {"value": "", "gmi": "%", "lbgi": "1", "hbgi": "1"}


class Endpoint(NamedTuple):
    """One number or event time per patient.

    share: share of the time until `until` [h] that `outcome` lies within `between`; first: days until a visit finds it
    there; ever: whether a visit finds it at or above `at_least`; responder: whether endpoint `outcome` is at least
    `at_least`. worn share, worn mean: of what a device shows at every tick until then, share of the time within
    `between`, mean of what `transform` makes of it; a trial has it of those observed until the end.
    """

    name: str
    kind: Kind
    outcome: str
    between: tuple[float, float]
    at_least: float
    until: float
    transform: str = ""
    of: str = ""  # unit of the outcome

    @property
    def unit(self) -> str:
        if self.kind == "worn mean":
            return TRANSFORMED[self.transform] or self.of
        return "day" if self.kind == "first" else "1"

    @property
    def worn(self) -> bool:
        return self.kind in ("worn share", "worn mean")

    @property
    def fold(self) -> str | None:
        """Name of the number that every tick adds to, None where the visits suffice."""
        if self.kind in ("share", "worn share"):
            return f"{self.outcome}_share_{self.between[0]:g}_{self.between[1]:g}_{self.until:g}h"
        if self.kind == "ever":
            return f"{self.outcome}_peak_{self.until:g}h"
        if self.kind == "worn mean":
            return f"{self.outcome}_mean_{self.transform}_{self.until:g}h"
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
    missing = [key for key in KEYS[kind] if key not in entry and key != "as"]
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
        transform = entry.get("as", "value")
        if kind.startswith("worn") and not outputs[outcome].device:
            devices = ", ".join(each.name for each in twin.outputs if each.device) or "(there is none)"
            raise ValueError(f"no device shows '{outcome}'; write one of: {devices}")
        if transform not in TRANSFORMED:
            raise ValueError(f"as '{transform}' is unknown; write one of: {', '.join(TRANSFORMED)}")
        if transform != "value" and unit != "mg/dL":
            raise ValueError(f"as '{transform}' is of glucose in mg/dL, and '{outcome}' is in {unit}; leave it out")
        return Endpoint(name, kind, outcome, between, at_least, quantity(entry["until"], "h"), transform, unit)
    except ValueError as error:
        raise ValueError(f"endpoint '{name}': {error}") from error


def _responder(name: str, of: str, entry: Mapping[str, str], earlier: Mapping[str, Endpoint]) -> Endpoint:
    shares = [each.name for each in earlier.values() if each.kind in ("share", "worn share")]
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


def transformed(values: Any, transform: str) -> Any:
    """Glucose [mg/dL] as itself, as glucose management indicator [%], or as the risk of lows or highs.

        gmi = 3.31 + 0.02392 G,   f = 1.509 (ln(G)^1.084 - 5.381),   lbgi = 10 f^2 where f < 0,   hbgi where f > 0

    Arrays of numpy or jax. Bergenstal 2018, Diabetes Care 41:2275; Kovatchev 2006, Diabetes Care 29:2433.
    """
    if transform == "value":
        return values
    if transform == "gmi":
        return 3.31 + 0.02392 * values
    xp = values.__array_namespace__()
    f = 1.509 * (xp.log(xp.maximum(values, 1.0)) ** 1.084 - 5.381)
    side = xp.minimum(f, 0.0) if transform == "lbgi" else xp.maximum(f, 0.0)
    return 10.0 * side * side


def fold(each: Endpoint) -> Fold | None:
    """What the solve loop gathers at every tick for the true value of an endpoint."""
    if each.fold is None:
        return None
    outcome, until = each.outcome, each.until
    if each.kind == "worn mean":

        def add(total: Any, before: Any, after: Any, time: Any, tick: float) -> Any:
            mean = (transformed(before[outcome], each.transform) + transformed(after[outcome], each.transform)) / 2.0
            return total + mean * (tick / until) * (time + tick <= until + 1e-9)

        return Fold(each.fold, 0.0, add)
    if each.kind in ("share", "worn share"):
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
