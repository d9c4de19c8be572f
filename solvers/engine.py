"""The engine: how a twin is solved in one study, as data that is chosen once, kept with the run and reused."""

import json
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp

from solvers.code import code
from solvers.elementary import fast
from solvers.explicit import march, stretch
from solvers.pairs import TSITOURAS
from solvers.twin import Twin

TOLERANCE = 1e-5
LEAST = 1e-12  # a tolerance below it asks more than float64 has
PAIRS = {pair.name: pair for pair in (TSITOURAS,)}


class Engine(NamedTuple):
    """tier: "own" for a twin that brings its own scheme, "explicit" for a pair on a mesh.

    tolerance: of the outputs, relative to |output| + 0.001 max |output| over the life. counts, halvings: of the steps
    of each tick, as `explicit.steps` has them. code: "c" for machine code over lanes, "jax" where there was no
    compiler, or the twin has triggers. floors: one a state [its unit], added to it
    where an error is told relative to it. factor: from the sum of
    the steps' errors to the error of the outputs, learnt from pilot patients.
    """

    tier: Literal["own", "explicit"]
    tolerance: float
    pair: str = TSITOURAS.name
    code: Literal["jax", "c"] = "jax"
    counts: tuple[int, ...] = ()
    halvings: tuple[int, ...] = ()
    floors: tuple[float, ...] = ()
    factor: float = 0.0

    def finer(self, times: int) -> "Engine":
        """With so many times the steps."""
        return self._replace(counts=tuple(times * count for count in self.counts))

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
        lists = {name: tuple(fields[name]) for name in ("counts", "halvings", "floors")}
        pair, code = str(fields["pair"]), fields["code"]
        return Engine(fields["tier"], float(fields["tolerance"]), pair, code, factor=fields["factor"], **lists)
    except (TypeError, KeyError) as error:
        raise ValueError(f"'{text[:60]}' describes no engine; run the study again") from error


def check_tolerance(tolerance: float) -> None:
    """Raises ValueError for a tolerance that float64 cannot keep, or that is none."""
    if not LEAST <= tolerance < 1.0:
        raise ValueError(f"tolerance is {tolerance:g}; write a number from {LEAST:g} to below 1")


Mover = Callable[[Any, Any, Any, Any, float, Any, Any], tuple[Any, Any]]


def mover(twin: Twin, engine: Engine, stretched: bool = False) -> Mover:
    """move(y, p, action, time, tick, count, halvings) -> (state at time + tick, error of the outputs that it adds).

    stretched: whether each patient has times and ticks of his own.
    """
    if engine.tier == "own" or twin.ode is None:
        # A scheme of its own is exact, or has its error told by its author.
        return lambda y, p, action, time, tick, count, halvings: (twin.advance(y, p, action, time, tick), 0.0)
    ode, step = twin.ode, stepper(twin, engine, stretched)

    def move(y: Any, p: Any, action: Any, time: Any, tick: float, count: Any, halvings: Any) -> tuple[Any, Any]:
        y, error = step(ode.jump(y, action, p), p, time, tick, count, halvings)
        return y, engine.factor * error

    return move


def stepper(twin: Twin, engine: Engine, stretched: bool = False) -> Callable[..., tuple[Any, Any]]:
    """step(y, p, time, length, count, halvings) -> (state, sum of the steps' errors), without an action.

    stretched: whether each patient has times and lengths of his own: lanes of machine code share steps from 0 to 1, and
    each has them stretched to his own.

    Raises ValueError where the engine is machine code and here is no compiler for it.
    """
    ode, pair = twin.ode, PAIRS[engine.pair]
    assert ode is not None
    machine = code(twin, pair, stretched) if engine.code == "c" else None
    if machine is None:
        if engine.code == "c":
            raise ValueError(
                f"twin '{twin.name}' was solved by machine code and there is no C compiler here; install gcc or clang, "
                "or begin a new run"
            )
        field = fast(ode.field)
        return lambda y, p, time, length, count, halvings: march(
            pair, field, y, p, time, length, count, halvings, engine.floors, ode.triggers
        )
    library, given = machine
    field = stretch(ode.field) if stretched else ode.field

    def step(y: Any, p: Any, time: Any, length: Any, count: Any, halvings: Any) -> tuple[Any, Any]:
        of = type(p)

        def reference(t: Any, length: Any, count: Any, halving: Any, y: Any, p: Any, floors: Any) -> tuple[Any, Any]:
            whole = count.astype(int), halving.astype(int)
            own = (of(*p[:-2]), *p[-2:]) if stretched else of(*p)
            return march(pair, field, ode.state(*y), own, t, length, *whole, floors)

        # A step has no derivative by their number, so that they travel as floats.
        now, lasts, many, halved = (jnp.asarray(each, float) for each in (time, length, count, halvings))
        numbers = tuple(getattr(p, name) for name in given)
        if stretched:
            numbers, now, lasts = (*numbers, now, lasts), jnp.zeros(()), jnp.ones(())
        after, error = library.advance(now, lasts, many, halved, tuple(y), numbers, engine.floors, reference)
        return ode.state(*after), error

    return step
