"""The state of a patient who has long been on a fixed regimen: what one more dose and interval leave as it was."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers import pending
from solvers.code import code
from solvers.delivery import SAME, delivery
from solvers.engine import TOLERANCE, Engine
from solvers.pairs import TSITOURAS
from solvers.policy import Infusion, Policy
from solvers.twin import Twin

FIRST = 3  # periods that are lived before Newton's method begins
STEPS = 30  # of it at most
NEARER = 0.5  # what a step of it leaves of the distance, at most
SETTLED = 1e-7  # of a state's largest: its last step; what that leaves is of the order of its square
PERIODIC = 1e-6  # of a state's largest: what one more period may change
MOVED = 1e-5  # of a state's largest: for the slopes, which by differences are not compiled once more
ALONE = 1e-6  # a state at the period's end is itself at its begin, and nothing else depends on it
TYPICAL = 64, 10  # steps and halvings of a tick on which the typical patient is looked at


class Regimen(NamedTuple):
    """The same amount of an action every so often [h], each over a time [h], at once where that is 0."""

    action: str
    amount: float
    every: float
    over: float = 0.0


class Steady(NamedTuple):
    """y: just before a dose. error: of the outputs, that a period adds. settled: whether y is periodic. grows: which
    states change by as much with each dose, (state,)."""

    y: Any
    error: Any
    settled: Any
    grows: Any


def steady(twin: Twin, regimen: Regimen, tick: float, engine: Engine) -> Callable[[Any, Any, Any], Steady]:
    """find(p, count, halvings) -> Steady, for one patient, on those steps in every tick [h].

    Newton's method on the map of one period, exact where the twin is linear; where a step of it does not
    come nearer, or turns a sign, one more period is lived instead. Not settled is who still waits for a dose when the
    next is due, and a twin whose own time does not come round with the interval.
    Raises ValueError where the interval is no whole number of ticks.
    """
    ticks = round(regimen.every / tick)
    if not ticks or abs(regimen.every / tick - ticks) > 1e-9:
        raise ValueError(f"a dose every {regimen.every:g} h falls between ticks of {tick:g} h; take a multiple")
    policy = Policy("before", lambda p, s: (), lambda *_: ({}, ()), by_patient=False, longest=regimen.over)
    by = delivery(twin, policy, tick, 0.0, engine)
    fields = twin.action()._fields

    def period(y: Any, p: Any, count: Any, halvings: Any, begin: float) -> tuple[Any, Any, Any, Any]:
        """State a period later, the largest of each, the error that it adds, and whether all that was given came."""
        known, track, nothing = by.begin(y, p)

        def one(carry: tuple, number: Any) -> tuple:
            y, waiting, largest, track = carry
            amount = jnp.where(number == 0, regimen.amount, 0.0)
            given = {regimen.action: Infusion(amount, jnp.asarray(regimen.over)) if regimen.over else amount}
            done = by.tick(known, y, track, waiting, p, given, 0.0, begin + number * tick, count, halvings)
            largest = jax.tree.map(lambda a, b: jnp.maximum(a, jnp.abs(b)), largest, done.acted)
            return (done.y, done.pending, largest, done.track), None

        carry: Any = (y, nothing, jax.tree.map(jnp.abs, y), track)
        carry, _ = jax.lax.scan(one, carry, jnp.arange(ticks, dtype=float))
        y, waiting, largest, track = carry
        error = by.error(y, track)
        if not waiting:
            return y, largest, error, jnp.ones((), bool)
        if twin.ode:  # what ends as the next dose is due has ended
            end = begin + regimen.every
            values, waiting = pending.taken(waiting, end + SAME * (abs(end) + tick))
            y = twin.ode.jump(y, twin.action(**dict(zip(fields, values, strict=True))), p)
        return y, largest, error, ~jnp.any(jnp.isfinite(waiting.time))

    def find(p: Any, count: Any, halvings: Any) -> Steady:
        leaves, shape = jax.tree.flatten(twin.initial(p))
        restored = functools.partial(jax.tree.unflatten, shape)
        free = len(leaves) - (len(twin.ode.held) if twin.ode else 0)

        def lived(x: Any, begin: float = -regimen.every) -> tuple[Any, Any, Any, Any]:
            """With all states, (state,) each, from those that are not held."""
            y, largest, error, came = period(restored([*x, *leaves[free:]]), p, count, halvings, begin)
            return jnp.stack(jax.tree.leaves(y)), jnp.stack(jax.tree.leaves(largest)), error, came

        def after(x: Any) -> tuple[Any, Any]:
            end, largest, _, _ = lived(x)
            return end[:free], jnp.maximum(largest[:free], 1e-300)

        def improved(carry: tuple) -> tuple:
            x, _, alone, scale, number = carry
            # All states in units of their largest, and each moved a little beside the patient as he is.
            moves = jnp.concatenate([jnp.zeros((1, free)), MOVED * jnp.diag(scale)])
            ends, largest = jax.vmap(lambda move: after(x + move))(moves)
            end, slopes = ends[0], ((ends[1:] - ends[0]) / (MOVED * scale)).T
            itself = jnp.all(jnp.abs(slopes - jnp.eye(free)) <= ALONE, axis=0)
            alone = jnp.where(number < FIRST, itself, alone)  # later, a level far off may look as if nothing held it
            matrix = jnp.eye(free) - jnp.where(alone[:, None] | alone[None, :], 0.0, slopes)
            moved = x + scale * jnp.linalg.solve(matrix, jnp.where(alone, 0.0, (end - x) / scale))

            def far(a: Any, b: Any) -> Any:
                return jnp.max(jnp.where(alone, 0.0, jnp.abs(a - b) / scale))

            # Equations may have periodic solutions where no patient comes, of the other sign.
            turned = jnp.any((moved * end < 0.0) & (jnp.abs(moved) > PERIODIC * scale))
            better = (far(moved, after(moved)[0]) < NEARER * far(x, end)) & (number >= FIRST) & ~turned
            step = jnp.where(number >= FIRST, far(x, moved), jnp.inf)
            return jnp.where(better, moved, jnp.where(alone, x, end)), step, alone, largest[0], number + 1

        start = jnp.stack(leaves[:free])
        # A step that is no number ends it too.
        x, step, alone, _, _ = jax.lax.while_loop(
            lambda carry: (carry[1] > SETTLED) & (carry[4] < STEPS),
            improved,
            (start, jnp.asarray(jnp.inf), jnp.zeros(free, bool), jnp.ones(free), 0),
        )
        end, largest, error, came = lived(x, 0.0)
        whole = jnp.concatenate([x, jnp.stack(leaves[free:])]) if leaves[free:] else x
        changed = ~(jnp.abs(end - whole) <= PERIODIC * jnp.maximum(largest, 1e-300))
        grows = came & changed & jnp.concatenate([alone, jnp.ones(len(leaves) - free, bool)])
        settled = (step <= SETTLED) & ~jnp.any(changed) & came
        return Steady(restored(list(whole)), error, settled, grows)

    return find


def unsettled(twin: Twin, regimen: Regimen, tick: float) -> str:
    """Why the typical patient never is in a steady state, in a sentence; '' where he comes to one."""
    engine = Engine("own", TOLERANCE)
    if twin.ode:
        by: Literal["c", "jax"] = "c" if code(twin, TSITOURAS) else "jax"
        engine = Engine("explicit", TOLERANCE, code=by, floors=(np.inf,) * len(twin.ode.states))
    find = jax.jit(steady(twin, regimen, tick, engine))
    found = find(twin.namespace(twin.typical()), *map(jnp.asarray, TYPICAL))
    if bool(found.settled):
        return ""
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in jax.tree.leaves_with_path(found.y)]
    growing = [name for name, grows in zip(names, np.asarray(found.grows), strict=True) if grows]
    what = f"{regimen.amount:g} of '{regimen.action}' every {regimen.every:g} h"
    if growing:
        return f"twin '{twin.name}' has no steady state under {what}: {', '.join(growing)} changes with every dose"
    return f"twin '{twin.name}' comes to no steady state under {what} in its typical patient"
