"""The steady state: the beat that ends as it began."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers.twins.virtual_heart.beat import Beat
from solvers.twins.virtual_heart.layout import CAVITIES

PLAIN = 3  # beats that are lived before the first extrapolation
MEMORY = 8  # beats that it looks back on
RANK = 1e-7  # directions that add less than this share are noise
BOLD = 0.3  # of a volume or the resistance: how far one extrapolation may move it
WORSE = 3.0  # times the least change so far: the extrapolation is undone
SETTLED = 3e-7  # of all blood, of the resistance: the distance that is left, as extrapolation sees it
SLOW = (*(f"V_{name}" for name in CAVITIES), "p0", "fac", "x_b")  # the rest follows these within a beat or two


class Settled(NamedTuple):
    """state: at the end of the last beat; seen: of it. beats: how many it took. converged: whether it is there.

    change: of the last beat; left: the distance from the steady state; both as shares of all blood, or of resistance.
    """

    state: Any
    seen: Any
    beats: Any
    change: Any
    left: Any
    converged: Any


class _Search(NamedTuple):
    """x: state before the next beat. before, after: states around the last MEMORY beats, (MEMORY, state), of which
    `known` are. best, least: after the beat of least change, and that change. bold: whether x was extrapolated."""

    x: Any
    y: Any
    before: Any
    after: Any
    known: Any
    best: Any
    least: Any
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
    leaves, shape = jax.tree.flatten(state)
    start = jnp.stack(leaves)
    none = jax.tree.leaves(beat.nothing())
    slow = np.array([state._fields.index(name) for name in SLOW])
    volumes = slow[: len(CAVITIES)]
    scale = jnp.ones(len(SLOW)).at[: len(CAVITIES)].set(jnp.sum(start[volumes])).at[len(CAVITIES)].set(state.p0)

    def size(moved: Any) -> Any:
        return jnp.max(jnp.abs(moved[slow]) / scale)

    def extrapolated(s: _Search) -> tuple[Any, Any]:
        """Where the last beats point to, and how much of the way there is taken."""
        r = ((s.after - s.before)[:, slow] / scale).T
        # Differences to the newest, which is the last; of those not known yet, nothing.
        given = jnp.arange(MEMORY - 1) >= MEMORY - s.known
        dr = jnp.where(given, r[:, -1:] - r[:, :-1], 0.0)
        norm = jnp.maximum(jnp.linalg.norm(dr, axis=0), 1e-300)
        share = jnp.linalg.lstsq(dr / norm, r[:, -1], rcond=RANK)[0] / norm
        move = -jnp.where(given, share, 0.0) @ (s.after[-1] - s.after[:-1])
        bounded = slow[: len(CAVITIES) + 1]
        way = BOLD / jnp.maximum(jnp.max(jnp.abs(move[bounded]) / jnp.abs(s.after[-1, bounded])), BOLD)
        return move, way

    def one(s: _Search) -> _Search:
        lived = beat.beat(jax.tree.unflatten(shape, list(s.x)), c)
        end = jnp.stack(jax.tree.leaves(lived.state))
        change = size(end - s.x)
        s = s._replace(
            y=jnp.stack(jax.tree.leaves(lived.seen)),
            before=jnp.concatenate([s.before[1:], s.x[None]]),
            after=jnp.concatenate([s.after[1:], end[None]]),
            known=jnp.minimum(s.known + 1, MEMORY),
            beats=s.beats + 1,
            change=change,
        )
        move, way = extrapolated(s)
        ready = (s.beats >= PLAIN) & (s.known >= 2)
        undone = s.bold & ~(change <= WORSE * s.least)
        x = jnp.where(undone, s.best, jnp.where(ready, end + way * move, end))
        closer = change < s.least
        return s._replace(
            x=x,
            known=jnp.where(undone, 0, s.known),
            best=jnp.where(closer, end, s.best),
            least=jnp.where(closer, change, s.least),
            bold=ready & ~undone,
            left=jnp.where(ready & ~undone, size(end - s.before[-1] + move), jnp.inf),
        )

    def going(s: _Search) -> Any:
        return (s.beats < most) & (jnp.maximum(s.left, s.change) > SETTLED)

    far, many = jnp.asarray(jnp.inf), jnp.zeros((MEMORY, len(leaves)))
    s = _Search(start, jnp.stack(none), many, many, 0, start, far, jnp.asarray(False), 0, far, far)
    s = jax.lax.while_loop(going, one, s)
    state, seen = (
        jax.tree.unflatten(*of) for of in ((shape, list(s.after[-1])), (jax.tree.structure(beat.nothing()), list(s.y)))
    )
    return Settled(state, seen, s.beats, s.change, s.left, jnp.maximum(s.left, s.change) <= SETTLED)
