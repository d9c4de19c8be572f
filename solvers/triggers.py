"""What happens to a patient when his own state gets somewhere: found within a step, done, and the step ended."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

NEAR = 1e-10  # of a step: how near an event is found
TRIES = 60  # bisections alone would be 34


class Jump(NamedTuple):
    """when(y, p) -> a number; as it comes from below 0 to 0 or above, y becomes act(y, p)."""

    when: Callable[[Any, Any], Any]
    act: Callable[[Any, Any], Any]


def at_once(triggers: tuple[Jump, ...], before: Any, y: Any, p: Any) -> Any:
    """The state after what an action triggers that takes a patient from `before` to y."""
    for trigger in triggers:
        fires = (trigger.when(before, p) < 0) & (trigger.when(y, p) >= 0)
        y = jax.tree.map(lambda new, old, fires=fires: jnp.where(fires, new, old), trigger.act(y, p), y)
    return y


def through(
    triggers: tuple[Jump, ...],
    part: Callable[..., tuple[Any, Any, Any]],
    field: Callable[[Any, Any, Any], Any],
    t: Any,
    y: Any,
    first: Any,
    h: Any,
    p: Any,
) -> tuple[Any, Any, Any]:
    """A step with what is triggered in it: state, slopes and error at its end.

    part(t, y, first, h, p) -> state, slopes and error after a step; first: field(t, y, p), the slopes. The event lies
    where a step up to it ends: by Newton's method within a bracket. A second event in a step makes the error infinite,
    so that smaller steps are taken. One that comes and goes within a step is not seen.
    Derivatives are those of the event's time too; they have no meaning where an event only touches its limit.
    """

    def level(i: int, y: Any) -> Any:
        return jnp.asarray(triggers[i].when(y, p), float)

    def falls(i: int, t: Any, y: Any) -> Any:
        """Whether `when` falls from here."""
        return jax.jvp(functools.partial(level, i), (y,), (field(t, y, p),))[1] < 0

    every = range(len(triggers))
    y_end, last, error = part(t, y, first, h, p)
    crossed = []
    for i in every:
        before = level(i, y)
        crossed.append(((before < 0) | ((before == 0) & falls(i, t, y))) & (level(i, y_end) >= 0))

    def upto(share: Any) -> tuple[Any, Any]:
        reached, _, error = part(t, y, first, share * h, p)
        return reached, error

    def fire(carry: tuple) -> tuple:
        found = [_located(part, each.when, t, y, first, h, p) for each in triggers]
        found = [jnp.where(on, share, 2.0) for on, share in zip(crossed, found, strict=True)]
        which, share = jnp.argmin(jnp.stack(found)), jnp.min(jnp.stack(found))
        reached, speed, before = jax.jvp(upto, (share,), (jnp.ones(()),), has_aux=True)
        levels = [jax.jvp(functools.partial(level, i), (reached,), (speed,)) for i in every]
        value, slope = (jnp.stack(each)[which] for each in zip(*levels, strict=True))
        # The share has no derivative yet: by the implicit function it moves as `when` does.
        slope, speed = jax.lax.stop_gradient((slope, speed))
        shift = (jax.lax.stop_gradient(value) - value) / jnp.where(slope == 0.0, jnp.inf, slope)
        reached = jax.tree.map(lambda a, b: a + b * shift, reached, speed)
        share = share + shift
        now = t + share * h
        jumped = reached
        for i in every:
            jumped = jax.tree.map(
                lambda new, old, i=i: jnp.where(which == i, new, old), triggers[i].act(reached, p), jumped
            )
        end, slopes, after = part(now, jumped, field(now, jumped, p), (1.0 - share) * h, p)
        again = ~(slope > 0)
        for i in every:
            # What fired is to rounding where it fires; it may fire again if it falls from there.
            armed = (level(i, jumped) < 0) | (
                (which == i) & (level(i, jumped) <= level(i, reached)) & falls(i, now, jumped)
            )
            again |= armed & (level(i, end) >= 0)
        return end, slopes, jnp.where(again, jnp.inf, before + after), jnp.zeros((), bool)

    # A loop that most steps do not enter; a choice would be computed on both sides for lanes side by side.
    begin = (y_end, last, jnp.asarray(error, float), jnp.any(jnp.stack(crossed)))
    return jax.lax.while_loop(lambda carry: carry[3], fire, begin)[:3]


def _located(part: Callable[..., tuple], when: Callable, *step: Any) -> Any:
    """The share of a step at which `when` has come to 0 or above. It has no derivative."""
    t, y, first, h, p = jax.lax.stop_gradient(step)

    def level(share: Any) -> Any:
        return jnp.asarray(when(part(t, y, first, share * h, p)[0], p), float)

    def tried(carry: tuple) -> tuple:
        share, low, high, _, number = carry
        value, slope = jax.jvp(level, (share,), (jnp.ones(()),))
        low, high = jnp.where(value < 0, share, low), jnp.where(value < 0, high, share)
        newton = share - value / slope
        new = jnp.where((newton > low) & (newton < high), newton, (low + high) / 2)
        return new, low, high, jnp.abs(new - share), number + 1

    begin = (jnp.asarray(0.5), jnp.zeros(()), jnp.ones(()), jnp.ones(()), 0)
    share, _, high, _, _ = jax.lax.while_loop(lambda c: (c[3] > NEAR / 4) & (c[4] < TRIES), tried, begin)
    # Not before it, or what does not change `when` would be triggered again.
    return jnp.minimum(share + NEAR, high)
