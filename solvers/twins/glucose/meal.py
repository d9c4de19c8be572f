"""What a patient eats, and what he tells his pump of it.

Five meals a day at about the same times. Each starts on a whole five minutes and its rate rises and falls linearly
between such times, at most about 5 g/min: so the rate has no jumps, and its bends lie where ticks begin.

The emptying of the stomach depends on the meal D: what was in the stomach when it began, and what was eaten since. That
is what is in the stomach and what has left it since the meal began. Two states take turns in gathering what has left;
the one whose turn is not falls to nothing until it is. The turn passes on within five minutes of a meal's beginning,
when the stomach empties as for the one meal and as for the other, by their share of the turn: so that has no jumps
either.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

DAYS = 28  # beyond, the days recur
GRID = 1.0 / 12.0  # h, five minutes
SPEED = 25.0  # g in five minutes

# Times [h] and shares of a day's carbohydrate of the five meals of simglucose's reference day: 45/70/15/80/10 g.
TIMES = (7.0, 12.0, 16.0, 18.0, 23.0)
SHARES = (45 / 220, 70 / 220, 15 / 220, 80 / 220, 10 / 220)
FARTHEST = 0.75  # h from the usual time, so that meals keep their order and half an hour between them

FALL = 20.0  # 1/h, of what has left, while it is not its turn: e^-10 in half an hour


class Meals(NamedTuple):
    """All meals of a life, (1 + 5 DAYS,); the first stands for none, before the others.

    start, end [h]; rate: the highest [mg/h]; counted: what the pump was told until then [g].
    """

    start: jax.Array
    end: jax.Array
    rate: jax.Array
    counted: jax.Array


CHANCES = (4, DAYS, len(TIMES))


def meals(drawn: jax.Array, p: Any) -> Meals:
    """The meals of a patient. drawn: his own standard normals, CHANCES."""
    moved, sized, erred, luck = drawn
    told = jax.scipy.special.ndtr(luck) >= p.missed_bolus
    away = jnp.clip(p.meal_time_sd * moved, -FARTHEST, FARTHEST)
    usual = 24.0 * jnp.arange(DAYS)[:, None] + jnp.asarray(TIMES)
    start = jnp.round((usual + away) / GRID) * GRID
    size = p.carbohydrate * jnp.asarray(SHARES) * jnp.exp(p.meal_size_sd * sized)
    spans = jnp.ceil(size / SPEED)
    counted = jnp.where(told, size * jnp.exp(p.counting_bias + p.counting_sd * erred), 0.0)
    before = jnp.zeros(1)
    return Meals(
        jnp.append(before - 1.0, start.ravel()),
        jnp.append(before, (start + (spans + 1.0) * GRID).ravel()),
        jnp.append(before, (1000.0 * size / spans / GRID).ravel()),
        jnp.append(before, jnp.cumsum(counted.ravel())),
    )


class Now(NamedTuple):
    """The meals of a moment: eaten at `rate` [mg/h]; even: how much of the turn the even state has; counted: told so
    far [g]."""

    rate: Any
    even: Any
    counted: Any


def now(time: Any, all: Meals) -> Now:
    """The meals of `time` [h]: the last that has begun, and the one before, which may last."""
    time = time - 24.0 * DAYS * jnp.floor(time / (24.0 * DAYS))
    day = jnp.floor(time / 24.0)
    # The same number for everyone, so that all look at one place: who has not begun this meal yet has none of its turn.
    number = len(TIMES) * day
    for usual in TIMES:
        number = number + (time - 24.0 * day >= usual - FARTHEST)
    here, before = number.astype(int), jnp.maximum(number - 1.0, 0.0).astype(int)

    def eaten(i: Any) -> tuple[Any, Any]:
        turn = jnp.clip((time - all.start[i]) / GRID, 0.0, 1.0)
        return all.rate[i] * jnp.clip((all.end[i] - time) / GRID, 0.0, turn), turn

    rate, turn = eaten(here)
    begun = time > all.start[here] - 1e-6  # a tick's time is rounded
    is_even = 2.0 * jnp.floor(number / 2.0) == number
    return Now(
        rate + eaten(before)[0],
        jnp.where(is_even, turn, 1.0 - turn),
        jnp.where(begun, all.counted[here], all.counted[before]),
    )
