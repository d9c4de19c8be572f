"""Pilots taken through their ticks once more, on other steps: by machine code, or by JAX where there is none."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers import exact
from solvers.code import Equations, code, exactly
from solvers.elementary import fast
from solvers.engine import PAIRS, Engine
from solvers.explicit import march
from solvers.pairs import Pair
from solvers.twin import Ode, Output, Twin


class Replay(NamedTuple):
    """whole(start, p, jumps, counts, halvings, floors) -> outputs at the ends of ticks, (tick, output, patient), and
    the gathered errors, (patient,). start: (state, patient); jumps: (tick, state, patient), after each tick; counts,
    halvings: (tick,).

    single(y, p, times, count, halvings, floors) -> states and outputs after each of some ticks, (state or output,
    patient, tick). y: before it, (state, patient, tick); times: of its start, (tick,).
    """

    whole: Callable[..., tuple[np.ndarray, np.ndarray]]
    single: Callable[..., tuple[np.ndarray, np.ndarray]]


def replay(twin: Twin, engine: Engine, tick: float) -> Replay:
    """How the pilots of a twin are replayed."""
    assert twin.ode is not None
    if engine.tier == "exact":
        found = exactly(twin)
        assert found is not None
        stepper, equations = found
        built = exact.machine(stepper) if engine.code == "c" else None
        if built:
            return _by_march(functools.partial(_exact_march, built, engine.norm), equations, len(twin.outputs), tick)
        deepest = exact.depth(engine.counts, engine.halvings)  # no way that is tried goes deeper
        return _by_scheme(stepper, equations, engine.norm, tick, deepest)
    pair = PAIRS[engine.pair]
    machine = code(twin, pair) if engine.code == "c" else None
    if machine:
        return _by_march(machine.library.march, machine.equations, len(twin.outputs), tick)
    return _by_jax(twin.ode, twin.observe, twin.outputs, pair, tick)


def _exact_march(machine: exact.Machine, norm: float, time: float, y: Any, p: Any, *mesh: Any) -> Any:
    """With the arguments of lanes' march."""
    counts, halvings, lengths, _, added, seen, _ = mesh
    return machine.march(time, lengths[0], y, p, counts, halvings, norm, added, seen)


def _by_march(march: Callable[..., Any], equations: Equations, seen: int, tick: float) -> Replay:
    def whole(
        start: np.ndarray, p: Any, jumps: np.ndarray, counts: np.ndarray, halvings: np.ndarray, floors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        ticks = len(counts)
        given, tables = _numbers(equations, p)
        # What is added after a tick is added before the next.
        added = [None, *(jump if jump.any() else None for jump in jumps[:-1])]
        record = np.arange(ticks + 1) > 0
        marched = march(
            0.0, start, given, counts, halvings, np.full(ticks, tick), floors.tolist(), added, record, tables
        )
        return marched.outputs, marched.error

    def single(
        y: np.ndarray, p: Any, times: np.ndarray, count: int, halvings: int, floors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        given, tables = _numbers(equations, p)
        ends, outputs = np.empty_like(y), np.empty((seen, *y.shape[1:]))
        mesh, record = ([count], [halvings], [tick], floors.tolist(), None), [False, True]
        for i, time in enumerate(times):
            marched = march(float(time), y[:, :, i], given, *mesh, record, tables)
            ends[:, :, i], outputs[:, :, i] = marched.y, marched.outputs[0]
        return ends, outputs

    return Replay(whole, single)


def _numbers(equations: Equations, p: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """Parameters and tables, the patients last."""
    parameters = np.stack([np.asarray(each) for each in equations.parameters(p)])
    return parameters, [np.asarray(table).T for table in equations.tables(p)]


@functools.lru_cache(maxsize=8)
def _by_scheme(stepper: exact.Stepper, equations: Equations, norm: float, tick: float, deepest: int) -> Replay:

    def begun(y: Any, p: Any) -> tuple:
        table = exact.prepare(stepper, equations.parameters(p), tick, deepest, norm)
        return table, exact.begin(stepper, table.patient, 0.0, tuple(y), norm)

    def lived(y: Any, p: Any, jumps: Any, counts: Any, halvings: Any) -> tuple:
        table, track = begun(y, p)

        def step(carry: tuple, now: tuple) -> tuple:
            y, track, time = carry
            added, count, halved = now
            y, track = exact.advance(stepper, table, time, count, halved, y, track)
            seen = jnp.stack(equations.outputs(time + tick, y, equations.parameters(p)))
            return (tuple(a + b for a, b in zip(y, added, strict=True)), track, time + tick), seen

        y = tuple(y[i] for i in range(len(equations.states)))
        seen: Any
        (y, track, _), seen = jax.lax.scan(step, (y, track, jnp.zeros(())), (jumps, counts, halvings))
        return seen, exact.error(stepper, y, track)

    def stepped(y: Any, p: Any, time: Any, count: Any, halvings: Any) -> tuple:
        end, _ = exact.advance(stepper, (known := begun(y, p))[0], time, count, halvings, tuple(y), known[1])
        return jnp.stack(end), jnp.stack(equations.outputs(time + tick, end, equations.parameters(p)))

    all_lived = jax.jit(jax.vmap(lived, in_axes=(1, 0, 2, None, None), out_axes=(2, 0)))
    through = jax.vmap(stepped, in_axes=(1, None, 0, None, None), out_axes=1)
    all_stepped = jax.jit(jax.vmap(through, in_axes=(1, 0, None, None, None), out_axes=1))
    return _arrays(lambda *given: all_lived(*given[:-1]), lambda *given: all_stepped(*given[:-1]))


# Compiled once for all arms and studies of a twin.
@functools.lru_cache(maxsize=8)
def _by_jax(ode: Ode, observe: Callable, outputs: tuple[Output, ...], pair: Pair, tick: float) -> Replay:
    field = fast(ode.field)

    def see(y: Any, p: Any, time: Any) -> Any:
        seen = observe(y, p, time)
        return jnp.stack([jnp.asarray(seen[item.name], float) for item in outputs])

    def lived(y: Any, p: Any, jumps: Any, counts: Any, halvings: Any, floors: Any) -> tuple:
        def step(carry: tuple, now: tuple) -> tuple:
            y, total, time = carry
            added, count, halved = now
            y, error = march(pair, field, y, p, time, tick, count, halved, floors)
            seen = see(y, p, time + tick)
            y = ode.state(*(a + b for a, b in zip(y, added, strict=True)))
            return (y, total + error, time + tick), seen

        seen: Any
        (_, total, _), seen = jax.lax.scan(
            step, (ode.state(*y), jnp.zeros(()), jnp.zeros(())), (jumps, counts, halvings)
        )
        return seen, total

    def stepped(y: Any, p: Any, time: Any, count: Any, halvings: Any, floors: Any) -> tuple:
        end, _ = march(pair, field, ode.state(*y), p, time, tick, count, halvings, floors)
        return jnp.stack(end), see(end, p, time + tick)

    all_lived = jax.jit(jax.vmap(lived, in_axes=(1, 0, 2, None, None, None), out_axes=(2, 0)))
    through = jax.vmap(stepped, in_axes=(1, None, 0, None, None, None), out_axes=1)
    all_stepped = jax.jit(jax.vmap(through, in_axes=(1, 0, None, None, None, None), out_axes=1))

    return _arrays(all_lived, all_stepped)


def _arrays(all_lived: Callable[..., tuple], all_stepped: Callable[..., tuple]) -> Replay:
    def whole(*arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        seen, gathered = all_lived(*arguments)
        return np.asarray(seen), np.asarray(gathered)

    def single(*arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        ends, seen = all_stepped(*arguments)
        return np.asarray(ends), np.asarray(seen)

    return Replay(whole, single)
