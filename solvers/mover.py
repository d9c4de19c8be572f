"""How a life goes through its ticks, by the tier of its engine."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from solvers import exact, stiff
from solvers.code import code, exactly
from solvers.elementary import fast
from solvers.engine import PAIRS, Engine
from solvers.explicit import march, stretch
from solvers.twin import Twin


class Mover(NamedTuple):
    """begin(y, p, tick) -> (known, track): what is found once a life, and of its error at the start.
    move(known, y, track, p, action, time, tick, count, halvings) -> (state at time + tick, track).
    error(y, track) -> the error of a life."""

    begin: Callable[..., tuple[Any, Any]]
    move: Callable[..., tuple[Any, Any]]
    error: Callable[[Any, Any], Any]


def mover(twin: Twin, engine: Engine, stretched: bool = False) -> Mover:
    """How a life goes through its ticks. stretched: whether each patient has times and ticks of his own."""
    if engine.tier == "own" or twin.ode is None:
        return _own(twin)
    if engine.tier == "exact":
        return _exact(twin, engine)
    return _stepping(
        twin, engine, stepper(twin, engine, stretched) if engine.tier == "explicit" else _stiff(twin, engine)
    )


def _own(twin: Twin) -> Mover:
    def move(known: Any, y: Any, track: Any, p: Any, action: Any, time: Any, tick: float, *mesh: Any) -> tuple:
        return twin.advance(y, p, action, time, tick), track

    # A scheme of its own is exact, or has its error told by its author.
    return Mover(lambda y, p, tick: ((), jnp.zeros(())), move, lambda y, track: track)


def _stepping(twin: Twin, engine: Engine, step: Callable[..., tuple[Any, Any]]) -> Mover:
    ode = twin.ode
    assert ode is not None

    def move(
        known: Any, y: Any, track: Any, p: Any, action: Any, time: Any, tick: float, count: Any, halvings: Any
    ) -> tuple:
        y, error = step(ode.jump(y, action, p), p, time, tick, count, halvings)
        return y, track + error

    return Mover(lambda y, p, tick: ((), jnp.zeros(())), move, lambda y, track: engine.told(track))


def _stiff(twin: Twin, engine: Engine) -> Callable[..., tuple[Any, Any]]:
    assert twin.ode is not None
    field = twin.ode.field
    return lambda y, p, time, length, count, halvings: stiff.step(field, y, p, time, length, engine.rtol, engine.floors)


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
    field = stretch(ode.field) if stretched else ode.field

    def step(y: Any, p: Any, time: Any, length: Any, count: Any, halvings: Any) -> tuple[Any, Any]:
        def reference(t: Any, length: Any, count: Any, halving: Any, y: Any, p: Any, floors: Any) -> tuple[Any, Any]:
            whole = count.astype(int), halving.astype(int)
            return march(pair, field, ode.state(*y), machine.equations.patient(p), t, length, *whole, floors)

        # A step has no derivative by their number, so that they travel as floats.
        now, lasts, many, halved = (jnp.asarray(each, float) for each in (time, length, count, halvings))
        own: tuple[Any, ...] = ()
        if stretched:
            own, now, lasts = (now, lasts), jnp.zeros(()), jnp.ones(())
        numbers = (*machine.equations.parameters(p), *own, *machine.equations.tables(p))
        after, error = machine.library.advance(now, lasts, many, halved, tuple(y), numbers, engine.floors, reference)
        return ode.state(*after), error

    return step
