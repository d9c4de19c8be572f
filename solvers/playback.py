"""Pilots' whole lives on the same steps in every tick: for events within ticks, and for what came before the study.

The pilots live once with the policy, finely, and then again on other steps, given what they were given.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers.engine import Engine
from solvers.policy import Policy, Seen
from solvers.solve import Plan, life
from solvers.status import Status
from solvers.twin import Twin


class Playback(NamedTuple):
    """patients: numbers of those who can be solved. values: theirs. given: by action, an amount or an Infusion of
    (patient, tick). peaks: the largest of each state, (state,)."""

    patients: np.ndarray
    values: Mapping[str, np.ndarray]
    given: Mapping[str, Any]
    peaks: np.ndarray


def lived(
    twin: Twin, policy: Policy, plan: Plan, seed: int, engine: Engine
) -> Callable[[np.ndarray, Mapping[str, np.ndarray], int, int], Playback]:
    """Compiles live(patients, values, count, halvings), which solves them with the policy on those steps in all."""

    def keep(given: Any, acted: Any, ended: Any) -> tuple:
        return given, jnp.stack([jnp.maximum(jnp.abs(a), jnp.abs(b)) for a, b in zip(acted, ended, strict=True)])

    def one(patient: Any, values: Mapping[str, Any], settings: Any, mesh: tuple) -> tuple:
        whole = life(twin, policy, plan, seed, engine, patient, values, settings, mesh, keep)
        return whole[3], whole[5], whole[6].max(0)

    compiled = jax.jit(jax.vmap(one, in_axes=(0, 0, None, None)))

    def live(patients: np.ndarray, values: Mapping[str, np.ndarray], count: int, halvings: int) -> Playback:
        own = {item.name: np.asarray(values[item.name], float) for item in twin.variables}
        mesh = np.full(plan.ticks, count), np.full(plan.ticks, halvings)
        status, given, peaks = jax.tree.map(np.asarray, compiled(np.asarray(patients), own, policy.numbers, mesh))
        sound = status == Status.OK
        kept = {name: each[sound] for name, each in own.items()}
        given = jax.tree.map(lambda each: each[sound], given)
        return Playback(np.asarray(patients)[sound], kept, given, peaks[sound].max(0, initial=0.0))

    return live


def replay(
    twin: Twin, policy: Policy, plan: Plan, seed: int, engine: Engine, of: Playback
) -> Callable[[int, int], tuple[np.ndarray, np.ndarray]]:
    """Compiles again(count, halvings) -> outputs at the ends of ticks, (tick, output, patient), and gathered errors,
    (patient,), of the lives that were `lived`."""

    def decide(time: Any, seen: Seen, memory: Any, given: Mapping[str, Any]) -> tuple:
        now = jnp.round(time / plan.tick).astype(int)
        return jax.tree.map(lambda each: each[now], given), memory

    names = tuple(item.name for item in twin.outputs)
    given = Policy("as given", lambda p, settings: (), decide, policy.by_patient, longest=policy.longest)
    seen = plan._replace(records=tuple(range(1, plan.ticks + 1)), outcomes=names, folds=())
    whole = engine._replace(factor=1.0)

    def one(patient: Any, values: Mapping[str, Any], settings: Any, mesh: tuple) -> tuple:
        found = life(twin, given, seen, seed, whole, patient, values, settings, mesh)
        return jnp.stack([found[0][name] for name in names], 1), found[4]

    compiled = jax.jit(jax.vmap(one, in_axes=(0, 0, 0, None)))

    def again(count: int, halvings: int) -> tuple[np.ndarray, np.ndarray]:
        mesh = np.full(plan.ticks, count), np.full(plan.ticks, halvings)
        outputs, gathered = compiled(of.patients, dict(of.values), of.given, mesh)
        return np.moveaxis(np.asarray(outputs), 0, 2), np.asarray(gathered)

    return again
