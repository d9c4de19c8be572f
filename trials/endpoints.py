"""Endpoints as the study file declares them, and what they need gathered at every tick.

How they are computed from what a trial observed is `analysis.endpoints`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax

from solvers.quantity import quantity, quantity_range
from solvers.solve import Fold
from solvers.twin import Twin

Kind = Literal["share", "mean", "area", "highest", "lowest", "variation", "episodes", "first", "ever", "responder"]


class Opening(NamedTuple):
    """What an endpoint's first key says: its kind, whether it is of a worn device, the keys that it needs, and those
    that it may have."""

    kind: Kind
    worn: bool
    needed: tuple[str, ...]
    possible: tuple[str, ...] = ()


OPENINGS: dict[str, Opening] = {
    "time in range": Opening("share", False, ("between", "until")),
    "mean": Opening("mean", False, ("until",), ("as",)),
    "area": Opening("area", False, ("until",)),
    "highest": Opening("highest", False, ("until",)),
    "lowest": Opening("lowest", False, ("until",)),
    "first in range": Opening("first", False, ("between", "until")),
    "ever": Opening("ever", False, ("at least", "until")),
    "responder": Opening("responder", False, ("at least",)),
    "worn time in range": Opening("share", True, ("between", "until")),
    "worn mean": Opening("mean", True, ("until",), ("as",)),
    "worn area": Opening("area", True, ("until",)),
    "worn highest": Opening("highest", True, ("until",)),
    "worn lowest": Opening("lowest", True, ("until",)),
    "worn variation": Opening("variation", True, ("until",)),
    "worn episodes": Opening("episodes", True, ("below", "lasting", "until")),
}
# What values may be turned into before they are averaged: unit (that of the outcome where empty).
TRANSFORMED = {"value": "", "gmi": "%", "lbgi": "risk index", "hbgi": "risk index"}


class Endpoint(NamedTuple):
    """One number or event time per patient.

    Until `until` [h], share: of the time that `outcome` lies within `between`; mean: of what `transform` makes of it;
    area: under its curve [unit x h]; highest, lowest: of it; variation: its coefficient of variation in time; episodes:
    how often it stays below `below` for `lasting` [h] or longer, a new one only after as long at or above. first: days
    until a visit finds it within `between`; ever: whether a visit finds it at or above `at_least`; responder: whether
    endpoint `outcome` is at least `at_least`.

    In truth a share, mean and area are of lines between ticks, highest and lowest of ticks. A trial knows visits; of
    what a device shows, `worn`, it knows every tick, of those observed until the end.
    """

    name: str
    kind: Kind
    outcome: str
    between: tuple[float, float]
    at_least: float
    until: float
    worn: bool = False
    transform: str = "value"
    of: str = "1"  # unit of the outcome
    below: float = math.nan
    lasting: float = math.nan

    @property
    def unit(self) -> str:
        """ "1" for a share, which is shown in per cent."""
        match self.kind:
            case "mean":
                return TRANSFORMED[self.transform] or self.of
            case "area":
                return "h" if self.of == "1" else f"{self.of}*h"
            case "highest" | "lowest":
                return self.of
            case "episodes":
                return "episodes"
            case "first":
                return "day"
        return "1"

    @property
    def numeric(self) -> bool:
        """Whether it is a number that every patient has, so that means are compared."""
        return self.kind not in ("first", "ever", "responder")

    @property
    def smooth(self) -> bool:
        """Whether it has a derivative that says something."""
        return self.numeric and self.kind != "episodes"

    @property
    def fold(self) -> str | None:
        """Name of the number that every tick adds to, None where the visits suffice."""
        match self.kind:
            case "share":
                what = f"share_{self.between[0]:g}_{self.between[1]:g}"
            case "ever":
                what = "peak"
            case "mean":
                what = "mean" if self.transform == "value" else self.transform
            case "episodes":
                what = f"episodes_{self.below:g}_{self.lasting:g}h"
            case "first" | "responder":
                return None
            case _:
                what = self.kind
        return f"{self.outcome}_{what}_{self.until:g}h"


def endpoint(name: str, entry: Any, earlier: Mapping[str, Endpoint], twin: Twin, outcomes: Sequence[str]) -> Endpoint:
    """Reads one endpoint. Raises ValueError for an unknown kind, key, outcome or unit."""
    if not isinstance(entry, dict) or not entry:
        raise ValueError(
            f"endpoint '{name}' is no mapping; write one such as {{time in range: inr, between: 2.0 to 3.0}}"
        )
    first = next(iter(entry))
    if first not in OPENINGS:
        raise ValueError(f"endpoint '{name}': kind '{first}' is unknown; start with one of: {', '.join(OPENINGS)}")
    kind, worn, needed, possible = OPENINGS[first]
    for key, value in entry.items():
        if key not in (first, *needed, *possible):
            raise ValueError(f"endpoint '{name}': unknown key '{key}'; write one of: {', '.join((*needed, *possible))}")
        if not isinstance(value, str):
            raise ValueError(f"endpoint '{name}': '{key}' is no plain text; write one value")
    missing = [key for key in needed if key not in entry]
    if missing:
        raise ValueError(f"endpoint '{name}' lacks '{missing[0]}'; add it")
    outcome = entry[first]
    try:
        if kind == "responder":
            return _responder(name, outcome, entry, earlier)
        outputs = {output.name: output for output in twin.outputs}
        if outcome not in outputs:
            raise ValueError(f"outcome '{outcome}' is no output of the twin; write one of: {', '.join(outputs)}")
        if outcome not in outcomes:
            raise ValueError(f"outcome '{outcome}' is not recorded; add it to outcomes")
        if worn and not outputs[outcome].device:
            devices = ", ".join(each.name for each in twin.outputs if each.device) or "(there is none)"
            raise ValueError(f"no device shows '{outcome}'; write one of: {devices}")
        unit = outputs[outcome].unit
        transform = entry.get("as", "value")
        if transform not in TRANSFORMED:
            raise ValueError(f"as '{transform}' is unknown; write one of: {', '.join(TRANSFORMED)}")
        if transform != "value" and unit != "mg/dL":
            raise ValueError(f"as '{transform}' is of glucose in mg/dL, and '{outcome}' is in {unit}; leave it out")
        return Endpoint(
            name,
            kind,
            outcome,
            quantity_range(entry["between"], unit) if "between" in entry else (math.nan, math.nan),
            quantity(entry["at least"], unit) if "at least" in entry else math.nan,
            quantity(entry["until"], "h"),
            worn,
            transform,
            unit,
            quantity(entry["below"], unit) if "below" in entry else math.nan,
            quantity(entry["lasting"], "h") if "lasting" in entry else math.nan,
        )
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
    step, initial, result = GATHERED[each.kind](each)

    def until(total: Any, before: Mapping[str, Any], after: Mapping[str, Any], time: Any, tick: float) -> Any:
        xp = after[each.outcome].__array_namespace__()
        counted = time + tick <= each.until + 1e-9
        added = step(total, before[each.outcome], after[each.outcome], tick)
        return jax.tree.map(lambda new, old: xp.where(counted, new, old), added, total)

    return Fold(each.fold, initial, until, result)


Gathered = tuple[Callable[[Any, Any, Any, float], Any], Any, Callable[[Any], Any]]


def _share(each: Endpoint) -> Gathered:
    def step(total: Any, before: Any, after: Any, tick: float) -> Any:
        return total + share_within(before, after, *each.between) * (tick / each.until)

    return step, 0.0, _same


def _mean(each: Endpoint) -> Gathered:
    length = 1.0 if each.kind == "area" else each.until

    def step(total: Any, before: Any, after: Any, tick: float) -> Any:
        ends = transformed(before, each.transform) + transformed(after, each.transform)
        return total + ends / 2.0 * (tick / length)

    return step, 0.0, _same


def _extreme(each: Endpoint) -> Gathered:
    lowest = each.kind == "lowest"

    def step(total: Any, before: Any, after: Any, tick: float) -> Any:
        xp = after.__array_namespace__()
        larger = xp.minimum if lowest else xp.maximum
        return larger(total, larger(before, after))

    return step, float("inf") if lowest else float("-inf"), _same


def _variation(each: Endpoint) -> Gathered:
    def step(total: Any, before: Any, after: Any, tick: float) -> Any:
        mean, square = total
        share = tick / each.until / 2.0
        return mean + (before + after) * share, square + (before * before + after * after) * share

    def result(total: Any) -> Any:
        mean, square = total
        xp = mean.__array_namespace__()
        return xp.sqrt(xp.maximum(square - mean * mean, 1e-300)) / mean

    return step, (0.0, 0.0), result


def _episodes(each: Endpoint) -> Gathered:
    """A total has for how long it was below and at or above without a break [h], whether an episode lasts, and how many
    began. A tick is below or above where both its ends are."""
    enough = each.lasting - 1e-9

    def step(total: Any, before: Any, after: Any, tick: float) -> Any:
        under, over, lasts, count = total
        xp = after.__array_namespace__()
        under = xp.where((before < each.below) & (after < each.below), under + tick, 0.0)
        over = xp.where((before >= each.below) & (after >= each.below), over + tick, 0.0)
        begins = (under >= enough) & (lasts == 0.0)
        lasts = xp.where(begins, 1.0, xp.where(over >= enough, 0.0, lasts))
        return under, over, lasts, count + xp.where(begins, 1.0, 0.0)

    return step, (0.0, 0.0, 0.0, 0.0), lambda total: total[3]


def _same(total: Any) -> Any:
    return total


GATHERED: dict[str, Callable[[Endpoint], Gathered]] = {
    "share": _share,
    "mean": _mean,
    "area": _mean,
    "highest": _extreme,
    "lowest": _extreme,
    "ever": _extreme,
    "variation": _variation,
    "episodes": _episodes,
}
