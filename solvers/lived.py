"""Pilots' lives on given steps: where they were after every action, and at the end of every tick."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers.engine import Engine
from solvers.policy import Policy
from solvers.replay import Replay
from solvers.solve import Plan, life
from solvers.status import Status
from solvers.twin import Twin

FLOOR = 0.01  # of a state's largest value: below it, errors are told relative to it
ROOM = 0.8  # of the tolerance: where the worst pilot's estimate must lie
SAFETY = 2.5  # times the worst ratio of true to gathered error among the pilots


class Lived(NamedTuple):
    """Pilots solved finely. acted, ended: states after the action and at the end of each tick, (state, patient, tick).
    p: what the twin's functions take."""

    acted: np.ndarray
    ended: np.ndarray
    p: Any


class Pilots(NamedTuple):
    """replay(engine) -> outputs, (tick, output, patient), and gathered errors, (patient,), on the steps of an engine.
    truth: outputs on far finer steps. engine: with floors, and the steps of the lives."""

    lived: Lived
    engine: Engine
    again: Replay
    replay: Callable[[Engine], tuple[np.ndarray, np.ndarray]]
    truth: np.ndarray


def finely(
    twin: Twin, policy: Policy, plan: Plan, seed: int, engine: Engine, halved: int
) -> Callable[..., tuple[Lived, Engine]]:
    """Compiles fine(patients, values, engine, count) -> sound lives, and the engine with their steps and with floors.

    count, halved: of the steps of every tick; a tier that finds steps of its own ignores them.
    """
    halvings = np.full(plan.ticks, halved)

    def keep(given: Any, acted: Any, ended: Any) -> tuple:
        return jnp.stack(acted), jnp.stack(ended)

    # The settings are given at run time, so that studies that differ in them alone have one program.
    def lived(patient: Any, given: Mapping[str, Any], counts: Any, settings: Any) -> tuple:
        whole = life(twin, policy, plan, seed, engine, patient, given, settings, (counts, halvings), keep)
        return whole[3], whole[5], whole[6]

    compiled = jax.jit(jax.vmap(lived, in_axes=(0, 0, None, None)))

    def fine(
        patients: np.ndarray, values: Mapping[str, np.ndarray], engine: Engine, count: int
    ) -> tuple[Lived, Engine]:
        given = {item.name: np.asarray(values[item.name], float) for item in twin.variables}
        whole = compiled(patients, given, np.full(plan.ticks, count), policy.numbers)
        status, acted, ended = (np.asarray(each) for each in whole)
        sound = status == Status.OK
        if not sound.any():
            return Lived(acted, ended, ()), engine
        acted, ended = np.moveaxis(acted[sound], 2, 0), np.moveaxis(ended[sound], 2, 0)
        peak = np.maximum(np.abs(acted).max((1, 2)), np.abs(ended).max((1, 2)))
        p = jax.vmap(twin.namespace)({name: value[sound] for name, value in given.items()})
        meshed = engine._replace(counts=(count,) * plan.ticks, halvings=tuple(halvings.tolist()))
        return Lived(acted, ended, p), floored(meshed, peak)

    return fine


def floored(engine: Engine, peaks: np.ndarray) -> Engine:
    """The engine with floors from the largest value of each state, (state,)."""
    return engine._replace(floors=tuple(FLOOR * peak if peak > 0 else math.inf for peak in map(float, peaks)))


def error(outputs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Largest error of any output at any time, (patient,), relative to |output| + 0.001 max |output|.

    outputs, truth: (tick, output, patient).
    """
    scale = np.abs(truth) + 1e-3 * np.abs(truth).max(0, keepdims=True)
    off = np.divide(np.abs(outputs - truth), scale, out=np.zeros_like(truth), where=scale > 0)
    return np.nan_to_num(off, nan=np.inf).max((0, 1))


def factor(outputs: np.ndarray, gathered: np.ndarray, truth: np.ndarray, rounding: float = 0.0) -> float:
    """From gathered errors, (patient,), to those of outputs, with room for patients unlike the pilots.

    rounding: what is told of everyone besides. inf where there is an error and none was gathered.
    """
    beyond = np.maximum(error(outputs, truth) - rounding, 0.0)
    ratio = np.divide(beyond, gathered, out=np.where(beyond > 0, np.inf, 0.0), where=gathered > 0)
    return SAFETY * float(ratio.max())


def kept(engine: Engine, outputs: np.ndarray, gathered: np.ndarray, truth: np.ndarray) -> Engine | None:
    """The engine with that factor, None where by it some pilot leaves the tolerance."""
    told = engine._replace(factor=factor(outputs, gathered, truth, engine.rounding))
    return told if math.isfinite(told.factor) and np.max(told.told(gathered)) <= ROOM * engine.tolerance else None
