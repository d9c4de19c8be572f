"""The engine: how a twin is solved in one study, as data that is chosen once, kept with the run and reused."""

import json
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp

from solvers import stiff
from solvers.code import code
from solvers.elementary import fast
from solvers.explicit import march, stretch
from solvers.pairs import TSITOURAS
from solvers.twin import Twin

TOLERANCE = 1e-5
FINER = 2  # times the steps, for those who are off
LEAST = 1e-12  # a tolerance below it asks more than float64 has
PAIRS = {pair.name: pair for pair in (TSITOURAS,)}


class Engine(NamedTuple):
    """tier: "own" for a scheme that the twin brings, "explicit" for a pair on a mesh, "stiff" for an implicit method.

    tolerance: of the outputs, relative to |output| + 0.001 max |output| over the life. counts, halvings: of the steps
    of each tick, as `explicit.steps` has them. code: "c" for machine code over lanes, "jax" where there was no
    compiler. floors: one a state [its unit], added to it
    where an error is told relative to it. factor: from the sum of
    the steps' errors to the error of the outputs, learnt from pilot patients.
    """

    tier: Literal["own", "explicit", "stiff"]
    tolerance: float
    pair: str = TSITOURAS.name
    code: Literal["jax", "c"] = "jax"
    counts: tuple[int, ...] = ()
    halvings: tuple[int, ...] = ()
    floors: tuple[float, ...] = ()
    factor: float = 0.0
    finer_factor: float = 0.0
    rtol: float = 0.0

    def finer(self) -> "Engine":
        """With twice the steps, or what amounts to it for a method of order five."""
        counts = tuple(FINER * count for count in self.counts)
        return self._replace(counts=counts, factor=self.finer_factor, rtol=self.rtol / FINER**5)

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
            name: float(fields[name]) for name in ("tolerance", "factor", "finer_factor", "rtol")
        }
        return Engine(fields["tier"], pair=pair, code=code, **numbers, **lists)
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
    ode = twin.ode
    step = stepper(twin, engine, stretched) if engine.tier == "explicit" else _implicit(twin, engine)

    def move(y: Any, p: Any, action: Any, time: Any, tick: float, count: Any, halvings: Any) -> tuple[Any, Any]:
        y, error = step(ode.jump(y, action, p), p, time, tick, count, halvings)
        return y, engine.factor * error

    return move


def _implicit(twin: Twin, engine: Engine) -> Callable[..., tuple[Any, Any]]:
    assert twin.ode is not None
    field = twin.ode.field
    return lambda y, p, time, length, count, halvings: stiff.step(field, y, p, time, length, engine.rtol, engine.floors)


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
            pair, field, y, p, time, length, count, halvings, engine.floors
        )
    field = stretch(ode.field) if stretched else ode.field

    def step(y: Any, p: Any, time: Any, length: Any, count: Any, halvings: Any) -> tuple[Any, Any]:
        def reference(t: Any, length: Any, count: Any, halving: Any, y: Any, p: Any, floors: Any) -> tuple[Any, Any]:
            whole = count.astype(int), halving.astype(int)
            return march(pair, field, ode.state(*y), machine.patient(p), t, length, *whole, floors)

        # A step has no derivative by their number, so that they travel as floats.
        now, lasts, many, halved = (jnp.asarray(each, float) for each in (time, length, count, halvings))
        own: tuple[Any, ...] = ()
        if stretched:
            own, now, lasts = (now, lasts), jnp.zeros(()), jnp.ones(())
        numbers = (*machine.parameters(p), *own, *machine.tables(p))
        after, error = machine.library.advance(now, lasts, many, halved, tuple(y), numbers, engine.floors, reference)
        return ode.state(*after), error

    return step
