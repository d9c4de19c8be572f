"""The engine: how a twin is solved in one study, as data that is chosen once, kept with the run and reused."""

import json
from typing import Any, Literal, NamedTuple

from solvers.pairs import BOGACKI_SHAMPINE, TSITOURAS

TOLERANCE = 1e-5
FINER = 2  # times the steps, for those who are off
EVEN = 6  # halvings that a finer engine of the exact tier turns into equal steps
LEAST = 1e-12  # a tolerance below it asks more than float64 has
PAIRS = {pair.name: pair for pair in (TSITOURAS, BOGACKI_SHAMPINE)}


class Engine(NamedTuple):
    """tier: "own" for a scheme that the twin brings, "exact" where its equations have the structure for it, "explicit"
    for a pair on a mesh, "stiff" for an implicit method.

    tolerance: of the outputs, relative to |output| + 0.001 max |output| over the life. counts, halvings: of the steps
    of each tick, as `explicit.steps` has them. code: "c" for machine code over lanes, "jax" where there was no
    compiler, or the twin has triggers. floors: one a state [its unit], added to it where an error is told relative to
    it. factor: from the error that is gathered to the error of the outputs, learnt from pilot patients; finer_factor:
    the same on finer steps. rounding: what it cannot be below. norm: of a linear block, up to which rounding stays
    below that [1/h]. rtol: of the implicit method.
    """

    tier: Literal["own", "exact", "explicit", "stiff"]
    tolerance: float
    pair: str = TSITOURAS.name
    code: Literal["jax", "c"] = "jax"
    counts: tuple[int, ...] = ()
    halvings: tuple[int, ...] = ()
    floors: tuple[float, ...] = ()
    factor: float = 0.0
    finer_factor: float = 0.0
    rounding: float = 0.0
    norm: float = 0.0
    rtol: float = 0.0

    def told(self, gathered: Any) -> Any:
        """The error of the outputs, from the one that is gathered step by step."""
        return self.factor * gathered + self.rounding

    def finer(self) -> "Engine":
        """With twice the steps and room for twice the norm, or what amounts to it for a method of order five."""
        counts, halvings = self.counts, self.halvings
        if self.tier == "exact":
            # Each halved step is as long as all before it, however many there are: where two rules still differ by too
            # much over such a step, only steps of the first one's length help.
            counts = tuple(count << min(halved, EVEN) for count, halved in zip(counts, halvings, strict=True))
            halvings = tuple(max(halved - EVEN, 0) for halved in halvings)
        return self._replace(
            counts=tuple(FINER * count for count in counts),
            halvings=halvings,
            factor=self.finer_factor,
            norm=FINER * self.norm,
            rounding=FINER * self.rounding,
            rtol=self.rtol / FINER**5,
        )

    def everywhere(self) -> "Engine":
        """With the finest steps of any tick in all: for a therapy that acts at other times than the pilots' did."""
        if not self.counts:
            return self
        ticks = len(self.counts)
        return self._replace(counts=(max(self.counts),) * ticks, halvings=(max(self.halvings),) * ticks)

    @property
    def uniform(self) -> bool:
        """Whether all ticks have the same steps."""
        return len(set(self.counts)) == 1 and len(set(self.halvings)) == 1

    def written(self) -> str:
        return json.dumps(self._asdict(), sort_keys=True)


def read(text: str) -> Engine:
    """The engine that `written` wrote. Raises ValueError for what is none."""
    try:
        fields = json.loads(text)
        lists: dict[str, Any] = {name: tuple(fields[name]) for name in ("counts", "halvings", "floors")}
        pair, code = str(fields["pair"]), fields["code"]
        numbers: dict[str, Any] = {
            name: float(fields[name]) for name in ("tolerance", "factor", "finer_factor", "rounding", "norm", "rtol")
        }
        return Engine(fields["tier"], pair=pair, code=code, **numbers, **lists)
    except (TypeError, KeyError) as error:
        raise ValueError(f"'{text[:60]}' describes no engine; run the study again") from error


def check_tolerance(tolerance: float) -> None:
    """Raises ValueError for a tolerance that float64 cannot keep, or that is none."""
    if not LEAST <= tolerance < 1.0:
        raise ValueError(f"tolerance is {tolerance:g}; write a number from {LEAST:g} to below 1")
