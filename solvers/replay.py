"""Pilots taken through their ticks once more, on other steps: by machine code, or by JAX where there is none."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers.code import Code, code
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
    pair = PAIRS[engine.pair]
    machine = code(twin, pair) if engine.code == "c" else None
    return _by_code(machine, tick) if machine else _by_jax(twin.ode, twin.observe, twin.outputs, pair, tick)


def _by_code(machine: Code, tick: float) -> Replay:
    library = machine.library

    def whole(
        start: np.ndarray, p: Any, jumps: np.ndarray, counts: np.ndarray, halvings: np.ndarray, floors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        ticks = len(counts)
        given, tables = _numbers(machine, p)
        # What is added after a tick is added before the next.
        added = [None, *(jump if jump.any() else None for jump in jumps[:-1])]
        seen = np.arange(ticks + 1) > 0
        marched = library.march(
            0.0, start, given, counts, halvings, np.full(ticks, tick), floors.tolist(), added, seen, tables
        )
        return marched.outputs, marched.error

    def single(
        y: np.ndarray, p: Any, times: np.ndarray, count: int, halvings: int, floors: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        given, tables = _numbers(machine, p)
        ends, outputs = np.empty_like(y), np.empty((len(library.program.outputs), *y.shape[1:]))
        mesh, seen = ([count], [halvings], [tick], floors.tolist(), None), [False, True]
        for i, time in enumerate(times):
            marched = library.march(float(time), y[:, :, i], given, *mesh, seen, tables)
            ends[:, :, i], outputs[:, :, i] = marched.y, marched.outputs[0]
        return ends, outputs

    return Replay(whole, single)


def _numbers(machine: Code, p: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """Parameters and tables, the patients last."""
    return np.stack([np.asarray(each) for each in machine.parameters(p)]), [np.asarray(t).T for t in machine.tables(p)]


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

    def whole(*arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        seen, total = all_lived(*arguments)
        return np.asarray(seen), np.asarray(total)

    def single(*arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        ends, seen = all_stepped(*arguments)
        return np.asarray(ends), np.asarray(seen)

    return Replay(whole, single)
