"""The march in JAX: blocks of lanes of one width, each through all steps."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from solvers.exact import exponential
from solvers.exact.plan import Plan
from solvers.exact.rule import Rule, jumping
from solvers.exact.step import Carry, Patient, Stepper

WIDTH = 64  # lanes in a block: the matrices of a step stay in the innermost cache
BLOCKS = 16  # blocks in a call: with results of a few MB, memory is used again, not asked for


class Blocks:
    """march(...) of one model; compiled anew for another rule or other points in time."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        self.programs: dict[Any, Any] = {}

    def march(self, rule: Rule, plan: Plan, time: float, y: Any, p: Any, jumps: Any) -> tuple:
        """y: (state, n); p: (parameter, n); jumps: (row, state that jumps, n or 1). As `Marched`."""
        key = (rule, *(array.tobytes() for array in plan[:6]), jumps.shape[2] == 1)
        if key not in self.programs:
            self.programs[key] = jax.jit(functools.partial(_march, self.stepper, rule, plan))
        count, capacity = y.shape[1], WIDTH * BLOCKS
        parts = []
        for first in range(0, count, capacity):
            size = min(capacity, count - first)
            lanes = np.minimum(np.arange(first, first + capacity), count - 1)
            own = jumps if jumps.shape[2] == 1 else jumps[..., lanes]
            found = self.programs[key](time, -(-size // WIDTH), y[:, lanes], p[:, lanes], own)
            parts.append([np.asarray(each)[..., :size] for each in found])
        return tuple(np.concatenate(each, axis=-1) for each in zip(*parts, strict=True))


def _march(
    stepper: Stepper,
    rule: Rule,
    plan: Plan,
    time: Any,
    blocks: Any,
    y: Any,
    p: Any,
    jumps: Any,
) -> tuple:
    """The first `blocks` blocks of as many as y has room for."""
    layout = stepper.structure
    which = jumping(rule)
    capacity = y.shape[1]
    shared = jumps.shape[2] == 1
    number = len(stepper.seen.outputs)

    def block(b: Any, buffers: tuple) -> tuple:
        at = b * WIDTH
        cut = functools.partial(jax.lax.dynamic_slice_in_dim, start_index=at, slice_size=WIDTH, axis=-1)
        own = cut(p)
        patient = stepper.patient(tuple(own[i] for i in range(layout.n_parameters)))
        begun = cut(y)
        doses = jumps if shared else cut(jumps)
        table, tree = _table(stepper, rule, patient, plan)
        carry, values = stepper.start(patient, time, {i: begun[i] for i in range(layout.n_states)})
        seen = jnp.zeros((plan.rows, number, WIDTH))
        if plan.marks[0] == 0:
            seen = seen.at[0].set(jnp.stack(values))

        def step(carry: tuple[Carry, Any], now: tuple) -> tuple:
            life, seen = carry
            t, eta, kind, jump, slot = now
            if which:
                life = stepper.jump(patient, time + t, life, {i: doses[jump, k] for k, i in enumerate(which)})
            known = jax.tree.unflatten(tree, [leaf[kind] for leaf in table])
            life, values = stepper.whole(patient, known, time + t, eta, life)
            for o, value in enumerate(values):
                seen = jax.lax.dynamic_update_slice(seen, value[None, None], (slot, o, 0))
            return (life, seen), None

        steps = (plan.starts, plan.etas, plan.kinds, plan.jumps, plan.slots)
        (life, seen), _ = jax.lax.scan(step, (carry, seen), jax.tree.map(jnp.asarray, steps))
        end = jnp.stack([life.states[i] for i in range(layout.n_states)])
        results = (end, stepper.error(patient, life, rule), seen)
        return tuple(
            jax.lax.dynamic_update_slice_in_dim(buffer, result, at, axis=-1)
            for buffer, result in zip(buffers, results, strict=True)
        )

    empty = (jnp.zeros_like(y), jnp.zeros(capacity), jnp.zeros((plan.rows, number, capacity)))
    ends, errors, seen = jax.lax.fori_loop(0, blocks, block, empty)
    return ends, errors, seen[: int(plan.marks.max()) + 1]


def _table(stepper: Stepper, rule: Rule, patient: Patient, plan: Plan) -> tuple[list, Any]:
    """What is known of each kind of step: leaves (kind, lane), or numbers where all kinds and patients share them."""
    found = [stepper.known(patient, length, exponential.squarings(rule.norm, length)) for length in plan.lengths]
    leaves, trees = zip(*(jax.tree.flatten(known) for known in found), strict=True)

    def stacked(*kinds: Any) -> Any:
        return jnp.stack([jnp.broadcast_to(jnp.asarray(each, float), (WIDTH,)) for each in kinds])

    return [stacked(*column) for column in zip(*leaves, strict=True)], trees[0]
