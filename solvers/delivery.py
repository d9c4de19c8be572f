"""How what a policy gives reaches a patient within a tick: late, after a lag, whole or as an infusion.

A tick is solved in pieces between a patient's own events. Where every action comes whole at the start of its tick there
is one piece, and nothing waits.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from solvers import pending
from solvers.engine import Engine
from solvers.mover import mover
from solvers.pending import Pending
from solvers.policy import Infusion, Policy
from solvers.twin import Action, Parameter, Twin

MOST = 32  # events of one kind and one action that may wait at once; beyond, a life is a status
SPREADS = 6.0  # standard deviations: as late, and as long a lag, as room is kept for
SAME = 1e-14  # of the time: events that differ by rounding come at once


class Delivered(NamedTuple):
    """State at the end of a tick, what is gathered of its error, what is still on its way, and of each state the
    largest that it was at the ends of pieces, or after the action where there is one piece."""

    y: Any
    track: Any
    pending: Any
    acted: Any


class Delivery(NamedTuple):
    """begin(y, p) -> (known, track, pending): what is found once a life, of its error, and what is on its way then.
    tick(known, y, track, pending, p, given, late, time, count, halvings) -> Delivered, over the tick from `time` [h].
    error(y, track) -> the error of a life.

    given: by action, an amount or an Infusion. late [h]: how late it is taken. What is due at the very end of a tick
    comes with the next.
    """

    begin: Callable[..., tuple[Any, Any, Any]]
    tick: Callable[..., Delivered]
    error: Callable[[Any, Any], Any]


def room(twin: Twin, policy: Policy, tick: float, late: float) -> int:
    """How many events may wait at once; 0 where every action comes whole at the start of its tick.

    late [h]: standard deviation of how late a patient takes a dose. An action is given once a tick at most.
    Raises ValueError for an infusion into a twin that has no rate for it.
    """
    slots, waits = 0, False
    for action in twin.actions:
        wait = (SPREADS * late if policy.by_patient and not action.lasting else 0.0) + _longest_lag(twin, action)
        over = policy.longest if action.infused else 0.0
        slots += _some(wait, tick) + (_some(wait + over, tick) if over else 0)
        waits = waits or wait > 0 or over > 0
        if twin.ode is None and not twin.parts and (action.infused or action.bioavailability):
            raise ValueError(
                f"action '{action.name}' of twin '{twin.name}', which is solved by its own advance, cannot be infused "
                "or have a bioavailability; write the twin with ode_twin"
            )
    return slots if waits else 0


def _some(wait: float, tick: float) -> int:
    return min(MOST, math.ceil(min(wait / tick, MOST)) + 1)


def _longest_lag(twin: Twin, action: Action) -> float:
    if not action.lag:
        return 0.0
    parameter = next(item for item in twin.variables if item.name == action.lag)
    assert isinstance(parameter, Parameter)
    spread, most = parameter.spread, parameter.typical
    if spread and spread.kind == "log-normal":
        most *= math.exp(SPREADS * spread.sd)
    elif spread:
        most = most + SPREADS * spread.sd if spread.kind == "normal" else 1.0
    return min(most, parameter.bounds[1])


def delivery(twin: Twin, policy: Policy, tick: float, late: float, engine: Engine) -> Delivery:
    """How actions reach a patient under a policy."""
    slots = room(twin, policy, tick, late)
    by = mover(twin, engine, stretched=slots > 0)
    fields = twin.action()._fields

    def begin(y: Any, p: Any) -> tuple[Any, Any, Any]:
        return *by.begin(y, p, tick), pending.empty(slots, len(fields)) if slots else ()

    def whole(
        known: Any, y: Any, track: Any, waiting: Any, p: Any, given: Mapping[str, Any], late: Any, time: Any, *mesh: Any
    ) -> Delivered:
        for name, amount in given.items():
            if isinstance(amount, Infusion):
                raise ValueError(
                    f"policy '{policy.name}' infuses '{name}' and tells no longest infusion; give `longest`"
                )
        action = twin.action(**given)
        acted = twin.ode.jump(y, action, p) if twin.ode else y
        y, track = by.move(known, y, track, p, action, time, tick, *mesh)
        return Delivered(y, track, waiting, acted)

    def ordered(waiting: Pending, p: Any, given: Mapping[str, Any], late: Any, time: Any) -> Pending:
        for each in twin.actions:
            if each.name not in given:
                continue
            dose = given[each.name]
            due = time + (0.0 if each.lasting else late) + (jnp.maximum(getattr(p, each.lag), 0.0) if each.lag else 0.0)
            amount = dose.amount if isinstance(dose, Infusion) else dose
            unit = {name: jnp.asarray([float(name == field) for field in fields]) for name in (each.name, each.rate)}
            if not isinstance(dose, Infusion):
                waiting = pending.added(waiting, due, amount * unit[each.name], amount != 0)
                continue
            if not each.infused:
                raise ValueError(
                    f"policy '{policy.name}' infuses '{each.name}', which twin '{twin.name}' only takes whole; write "
                    "infused=True where the action is declared"
                )
            slow = dose.over > 0
            rate = jnp.where(slow, amount / jnp.where(slow, dose.over, 1.0), 0.0)
            begin = jnp.where(slow, 0.0, amount) * unit[each.name] + rate * unit[each.rate]
            waiting = pending.added(waiting, due, begin, amount != 0)
            waiting = pending.added(waiting, due + dose.over, -rate * unit[each.rate], rate != 0)
        return waiting

    def pieces(
        known: Any,
        y: Any,
        track: Any,
        waiting: Pending,
        p: Any,
        given: Mapping[str, Any],
        late: Any,
        time: Any,
        *mesh: Any,
    ) -> Delivered:
        end = time + tick

        def piece(carry: tuple) -> tuple:
            y, waiting, now, track, largest = carry
            values, waiting = pending.taken(waiting, now + SAME * (jnp.abs(now) + tick))
            action = twin.action(**dict(zip(fields, values, strict=True)))
            acted = twin.ode.jump(y, action, p) if twin.ode else y
            stop = jnp.minimum(pending.following(waiting), end)
            y, track = by.move(known, y, track, p, action, now, stop - now, *mesh)
            largest = jax.tree.map(
                lambda *each: jnp.maximum(each[0], jnp.maximum(*map(jnp.abs, each[1:]))), largest, acted, y
            )
            return y, waiting, stop, track, largest

        start = (y, ordered(waiting, p, given, late, time), time, track, jax.tree.map(jnp.abs, y))
        y, waiting, _, track, largest = jax.lax.while_loop(lambda carry: carry[2] < end, piece, start)
        return Delivered(y, track, waiting, largest)

    return Delivery(begin, pieces if slots else whole, by.error)
