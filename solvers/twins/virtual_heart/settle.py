"""The steady state: the beat that ends as it began."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers.twins.virtual_heart.beat import Beat
from solvers.twins.virtual_heart.layout import CAVITIES

PLAIN = 3  # beats that are lived before the first extrapolation, and after one that is undone
MEMORY = 8  # beats that it looks back on
RANK = 1e-7  # directions that add less than this share are noise
BOLD = 0.1  # of a volume or the resistance: how far one extrapolation may move it
WORSE = 2.0  # times the change of the beat before: the extrapolation is undone
SETTLED = 1e-9  # of all blood, of the resistance: the distance that is left, as extrapolation sees it
# What no homeostat reaches by: blood that stretches the vessels [m3], and a share of the resistance it began with.
MOST_BLOOD, LEAST_RESISTANCE = 5e-3, 0.02
SLOW = (*(f"V_{name}" for name in CAVITIES), "p0", "fac", "x_b")  # the rest follows these within a beat or two


class Settled(NamedTuple):
    """state, row: at the end of the last beat, by names and as one row; seen: of it. beats: how many it took.
    converged: whether it is there. reached: whether the homeostat kept within what is possible on its way.

    change: of the last beat; left: the distance from the steady state; both as shares of all blood, or of resistance.
    """

    state: Any
    row: Any
    seen: Any
    beats: Any
    change: Any
    left: Any
    converged: Any
    reached: Any


class _Search(NamedTuple):
    """x: state before the next beat. moved, after: by how much the last MEMORY beats changed what is slow, (MEMORY,
    slow), and the states that they led to, (MEMORY, state), of which `known` are. back, was: after the beat before an
    extrapolation, and its change. bold: whether x was extrapolated."""

    x: Any
    moved: Any
    after: Any
    known: Any
    back: Any
    was: Any
    bold: Any
    beats: Any
    change: Any
    left: Any


def settle(beat: Beat, state: Any, c: Any, most: int = 200) -> Settled:
    """Settled, of one patient, after at most that many beats.

    Anderson's extrapolation of the map of one beat: of the last few beats that mixture of which one more beat would
    change least (Anderson 1965, J ACM 12:547; Walker & Ni 2011, SIAM J Numer Anal 49:1715). A mixture of states of the
    same blood has as much of it, so that without the homeostat volume is kept. Under vmap each patient stops at his own
    beat. How little one beat changes tells little where change is slow: what ends it is the extrapolated distance.
    """
    # Behind barriers, or XLA writes the rows anew into everything that reads them.
    start, numbers = jax.lax.optimization_barrier((jnp.stack(state), jnp.stack(c)))
    slow = np.array([state._fields.index(name) for name in SLOW])
    volumes = slow[: len(CAVITIES)]
    scale = jnp.ones(len(SLOW)).at[: len(CAVITIES)].set(jnp.sum(start[volumes])).at[len(CAVITIES)].set(state.p0)

    def size(moved: Any) -> Any:
        return jnp.max(jnp.abs(moved[slow]) / scale)

    def extrapolated(s: _Search) -> tuple[Any, Any]:
        """Where the last beats point to, and how much of the way there is taken."""
        r = s.moved.T
        # Differences to the newest, which is the last; of those not known yet, nothing.
        given = jnp.arange(MEMORY - 1) >= MEMORY - s.known
        dr = jnp.where(given, r[:, -1:] - r[:, :-1], 0.0)
        share = _least_squares(dr, r[:, -1])
        move = -jnp.where(given, share, 0.0) @ (s.after[-1] - s.after[:-1])
        bounded = slow[: len(CAVITIES) + 1]
        way = BOLD / jnp.maximum(jnp.max(jnp.abs(move[bounded]) / jnp.abs(s.after[-1, bounded])), BOLD)
        return move, way

    def one(s: _Search) -> _Search:
        end = beat.brief(s.x, c, numbers, going(s))
        old, change = s.x, size(end - s.x)
        s = s._replace(
            moved=jnp.concatenate([s.moved[1:], ((end - s.x)[slow] / scale)[None]]),
            after=jnp.concatenate([s.after[1:], end[None]]),
            known=jnp.minimum(s.known + 1, MEMORY),
            beats=s.beats + 1,
            change=change,
        )
        move, way = extrapolated(s)
        undone = s.bold & ~(change <= WORSE * s.was)
        ready = (s.known >= PLAIN) & ~undone
        x = jnp.where(undone, s.back, jnp.where(ready, end + way * move, end))
        return s._replace(
            x=x,
            known=jnp.where(undone, 0, s.known),
            back=jnp.where(undone, s.back, end),
            was=jnp.where(undone, s.was, change),
            bold=ready,
            left=jnp.where(ready, size(end - old + move), jnp.inf),
        )

    def possible(x: Any) -> Any:
        kept = x[slow[len(CAVITIES)]] > LEAST_RESISTANCE * state.p0
        return kept & (jnp.sum(x[volumes]) < MOST_BLOOD)

    def going(s: _Search) -> Any:
        return (s.beats < most - 1) & possible(s.after[-1]) & (jnp.maximum(s.left, s.change) > SETTLED)

    far, many = jnp.asarray(jnp.inf), jnp.tile(start, (MEMORY, 1))
    s = _Search(start, jnp.zeros((MEMORY, len(slow))), many, 0, start, far, jnp.asarray(False), 0, far, far)
    s = jax.lax.while_loop(going, one, s)
    # One beat more, to look at.
    row, seen = beat.whole(s.after[-1], c, numbers)
    converged = jnp.maximum(s.left, s.change) <= SETTLED
    return Settled(type(state)(*row), row, seen, s.beats + 1, s.change, s.left, converged, possible(s.after[-1]))


def _least_squares(columns: Any, target: Any) -> Any:
    """The mixture of columns, (row, column), that is nearest to the target, (row,); columns which add less than RANK of
    their length to those right of them, the newer ones, have no share. Gram and Schmidt's way, twice.
    """
    rows, many = columns.shape
    size = jnp.maximum(jnp.sqrt(jnp.sum(columns**2, axis=0)), 1e-300)
    newest_first = (columns / size)[:, ::-1].T

    def project(k: Any, found: tuple[Any, Any]) -> tuple[Any, Any]:
        basis, over = found
        rest, share = newest_first[k], jnp.zeros(many)
        for _ in range(2):
            part = jnp.sum(basis * rest, axis=1)
            rest, share = rest - jnp.sum(part[:, None] * basis, axis=0), share + part
        left = jnp.sqrt(jnp.sum(rest**2))
        new = left > RANK
        row = jnp.where(new, rest / jnp.where(new, left, 1.0), 0.0)
        return basis.at[k].set(row), over.at[:, k].set(share.at[k].set(jnp.where(new, left, 0.0)))

    basis, over = jax.lax.fori_loop(0, many, project, (jnp.zeros((many, rows)), jnp.zeros((many, many))))
    aims = jnp.sum(basis * target, axis=1)

    def solve(i: Any, shares: Any) -> Any:
        k = many - 1 - i
        own = over[k, k]
        rest = aims[k] - jnp.sum(over[k] * shares)
        return shares.at[k].set(jnp.where(own > 0.0, rest / jnp.where(own > 0.0, own, 1.0), 0.0))

    return jax.lax.fori_loop(0, many, solve, jnp.zeros(many))[::-1] / size
