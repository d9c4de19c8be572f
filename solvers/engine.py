"""The engine: how a twin is solved in one study, as data that is chosen once, kept with the run and reused."""

import json
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp

from solvers import exact
from solvers.code import code, exactly
from solvers.elementary import fast
from solvers.explicit import march
from solvers.pairs import TSITOURAS
from solvers.twin import Twin

TOLERANCE = 1e-5
EVEN = 6  # halvings that a finer engine of the exact tier turns into equal steps
LEAST = 1e-12  # a tolerance below it asks more than float64 has
PAIRS = {pair.name: pair for pair in (TSITOURAS,)}


class Engine(NamedTuple):
    """tier: "own" for a twin that brings its own scheme, "exact" for one whose equations `exact.structure` knows,
    "explicit" for a pair on a mesh.

    tolerance: of the outputs, relative to |output| + 0.001 max |output| over the life. counts, halvings: of the steps
    of each tick, as `explicit.steps` has them. code: "c" for machine code over lanes, "jax" where there was no
    compiler. floors: one a state [its unit], added to it where an error is told relative to it. factor: from the error
    that is gathered to the error of the outputs, learnt from pilot patients. rounding: what it cannot be below. norm:
    of a linear block, up to which rounding stays below that [1/h].
    """

    tier: Literal["own", "exact", "explicit"]
    tolerance: float
    pair: str = TSITOURAS.name
    code: Literal["jax", "c"] = "jax"
    counts: tuple[int, ...] = ()
    halvings: tuple[int, ...] = ()
    floors: tuple[float, ...] = ()
    factor: float = 0.0
    rounding: float = 0.0
    norm: float = 0.0

    def told(self, gathered: Any) -> Any:
        """The error of the outputs, from the one that is gathered step by step."""
        return self.factor * gathered + self.rounding

    def finer(self, times: int) -> "Engine":
        """With so many times the steps, and room for as much larger a norm."""
        counts, halvings = self.counts, self.halvings
        if self.tier == "exact":
            # Each halved step is as long as all before it, however many there are: where two rules still differ by too
            # much over such a step, only steps of the first one's length help.
            counts = tuple(count << min(halved, EVEN) for count, halved in zip(counts, halvings, strict=True))
            halvings = tuple(max(halved - EVEN, 0) for halved in halvings)
        counts = tuple(times * count for count in counts)
        norm, rounding = times * self.norm, times * self.rounding
        return self._replace(counts=counts, halvings=halvings, norm=norm, rounding=rounding)

    def everywhere(self) -> "Engine":
        """With the finest steps of any tick in all: for a therapy that acts at other times than the pilots' did."""
        if not self.counts:
            return self
        ticks = len(self.counts)
        return self._replace(counts=(max(self.counts),) * ticks, halvings=(max(self.halvings),) * ticks)

    def written(self) -> str:
        return json.dumps(self._asdict(), sort_keys=True)


def read(text: str) -> Engine:
    """The engine that `written` wrote. Raises ValueError for what is none."""
    try:
        fields = json.loads(text)
        lists: dict[str, Any] = {name: tuple(fields[name]) for name in ("counts", "halvings", "floors")}
        pair, code = str(fields["pair"]), fields["code"]
        numbers: dict[str, Any] = {name: float(fields[name]) for name in ("factor", "rounding", "norm")}
        return Engine(fields["tier"], float(fields["tolerance"]), pair, code, **lists, **numbers)
    except (TypeError, KeyError) as error:
        raise ValueError(f"'{text[:60]}' describes no engine; run the study again") from error


def check_tolerance(tolerance: float) -> None:
    """Raises ValueError for a tolerance that float64 cannot keep, or that is none."""
    if not LEAST <= tolerance < 1.0:
        raise ValueError(f"tolerance is {tolerance:g}; write a number from {LEAST:g} to below 1")


class Mover(NamedTuple):
    """begin(y, p, tick) -> (known, track): what is found once a life, and of its error at the start.
    move(known, y, track, p, action, time, tick, count, halvings) -> (state at time + tick, track).
    error(y, track) -> the error of a life."""

    begin: Callable[..., tuple[Any, Any]]
    move: Callable[..., tuple[Any, Any]]
    error: Callable[[Any, Any], Any]


def mover(twin: Twin, engine: Engine) -> Mover:
    """How a life goes through its ticks."""
    if engine.tier == "own" or twin.ode is None:
        return _own(twin)
    return _exact(twin, engine) if engine.tier == "exact" else _explicit(twin, engine)


def _own(twin: Twin) -> Mover:
    def move(known: Any, y: Any, track: Any, p: Any, action: Any, time: Any, tick: float, *mesh: Any) -> tuple:
        return twin.advance(y, p, action, time, tick), track

    # A scheme of its own is exact, or has its error told by its author.
    return Mover(lambda y, p, tick: ((), jnp.zeros(())), move, lambda y, track: track)


def _explicit(twin: Twin, engine: Engine) -> Mover:
    ode, step = twin.ode, stepper(twin, engine)
    assert ode is not None

    def move(
        known: Any, y: Any, track: Any, p: Any, action: Any, time: Any, tick: float, count: Any, halvings: Any
    ) -> tuple:
        y, error = step(ode.jump(y, action, p), p, time, tick, count, halvings)
        return y, track + error

    return Mover(lambda y, p, tick: ((), jnp.zeros(())), move, lambda y, track: engine.told(track))


def _exact(twin: Twin, engine: Engine) -> Mover:
    """Raises ValueError where the equations have another structure than when the engine was chosen."""
    ode, found = twin.ode, exactly(twin)
    if ode is None or found is None:
        raise ValueError(f"twin '{twin.name}' was solved exactly and its equations are others now; begin a new run")
    scheme, equations = found
    deepest = exact.depth(engine.counts, engine.halvings)

    def begin(y: Any, p: Any, tick: float) -> tuple:
        table = exact.prepare(scheme, equations.parameters(p), tick, deepest, engine.norm)
        return table, exact.begin(scheme, table.patient, 0.0, tuple(y), engine.norm)

    def move(
        known: Any, y: Any, track: Any, p: Any, action: Any, time: Any, tick: float, count: Any, halvings: Any
    ) -> tuple:
        y, track = exact.advance(scheme, known, time, count, halvings, tuple(ode.jump(y, action, p)), track)
        return ode.state(*y), track

    return Mover(begin, move, lambda y, track: engine.told(exact.error(scheme, tuple(y), track)))


def stepper(twin: Twin, engine: Engine) -> Callable[..., tuple[Any, Any]]:
    """step(y, p, time, length, count, halvings) -> (state, sum of the steps' errors), without an action.

    Raises ValueError where the engine is machine code and here is no compiler for it.
    """
    ode, pair = twin.ode, PAIRS[engine.pair]
    assert ode is not None
    machine = code(twin, pair) if engine.code == "c" else None
    if machine is None:
        if engine.code == "c":
            raise ValueError(
                f"twin '{twin.name}' was solved by machine code and there is no C compiler here; install gcc or clang, "
                "or begin a new run"
            )
        field = fast(ode.field)
        return lambda y, p, time, length, count, halvings: march(
            pair, field, y, p, time, length, count, halvings, engine.floors
        )
    library, equations = machine

    def step(y: Any, p: Any, time: Any, length: Any, count: Any, halvings: Any) -> tuple[Any, Any]:
        of = type(p)

        def reference(t: Any, length: Any, count: Any, halving: Any, y: Any, p: Any, floors: Any) -> tuple[Any, Any]:
            whole = count.astype(int), halving.astype(int)
            return march(pair, ode.field, ode.state(*y), of(*p), t, length, *whole, floors)

        # A step has no derivative by their number, so that they travel as floats.
        now, lasts, many, halved = (jnp.asarray(each, float) for each in (time, length, count, halvings))
        numbers = equations.parameters(p)
        after, error = library.advance(now, lasts, many, halved, tuple(y), numbers, engine.floors, reference)
        return ode.state(*after), error

    return step
