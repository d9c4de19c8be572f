"""Pilot patients: on what steps a study must be solved, and what the steps' errors tell of the outputs' error.

A step that a block of patients shares would make a patient depend on his neighbours. So the steps are chosen once,
from the first patients of the study, and everyone is solved on them, with an error estimate of his own.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers import playback
from solvers.code import code
from solvers.delivery import room
from solvers.engine import TOLERANCE, Engine, check_tolerance
from solvers.pairs import TSITOURAS
from solvers.policy import Policy
from solvers.replay import Replay
from solvers.replay import replay as replayer
from solvers.solve import Plan, life
from solvers.status import Status
from solvers.twin import Twin

PILOTS = 64
COUNTS = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    14,
    16,
    18,
    20,
    24,
    28,
    32,
    40,
    48,
    64,
    96,
    128,
    192,
    256,
    384,
    512,
    1024,
)
HALVINGS = (0, 2, 4, 7, 10, 14, 18)
NEGLIGIBLE = 1e-5  # of the tolerance: a tick that is as good as that needs no finer steps
SAMPLED = 256  # ticks looked at one by one; longer plans have the same steps in all
REFERENCE = 1.0 / 50.0  # of the tolerance: how well the pilots themselves are solved
FINE = (64, 256, 1024, 4096)  # steps of a tick that are tried for them; beyond, no explicit method is
ROOM = 0.8  # of the tolerance: where the worst pilot's estimate must lie
FLOOR = 0.01  # of a state's largest value: below it, errors are told relative to it
SAFETY = 2.5  # times the worst ratio of true to gathered error among the pilots


class Lived(NamedTuple):
    """Pilots solved finely. acted, ended: states after the action and at the end of each tick, (state, patient, tick).
    p: what the twin's functions take."""

    acted: np.ndarray
    ended: np.ndarray
    p: Any


class Pilots(NamedTuple):
    """replay(engine) -> outputs, (tick, output, patient), and gathered errors, (patient,), on the steps of an engine.
    truth: outputs on far finer steps. engine: with floors."""

    lived: Lived
    engine: Engine
    again: Replay
    replay: Callable[[Engine], tuple]
    truth: np.ndarray


def choose(
    twin: Twin,
    policy: Policy,
    plan: Plan,
    seed: int,
    patients: np.ndarray,
    values: Mapping[str, np.ndarray],
    tolerance: float = TOLERANCE,
) -> Engine:
    """The engine of one arm, from its pilots: patients and values as a solver takes them, (n,).

    Raises ValueError for a tolerance out of reach, and where no pilot can be solved to it by an explicit method.
    """
    check_tolerance(tolerance)
    if twin.ode is None:
        return Engine("own", tolerance)
    pair = TSITOURAS
    engine = Engine("explicit", tolerance, pair.name, "c" if code(twin, pair) else "jax")
    if plan.before or twin.ode.triggers or room(twin, policy, plan.tick, plan.late):
        return _common(twin, policy, plan, seed, patients, values, engine)
    lived, engine, again, replay, truth = _truth(twin, policy, plan, seed, patients, values, engine)
    candidates, table = _local(plan, engine, lived, again, truth)
    for bound in tolerance * 2.0 ** np.arange(8.0, -30.0, -0.5):
        some = np.array([each[0] + each[1] for each in candidates])
        allowed = np.where(table <= bound, some[:, None], np.inf)
        if np.isinf(allowed.min(0)).any():
            break
        best = allowed.argmin(0)
        if len(best) < plan.ticks:
            best = np.full(plan.ticks, np.flatnonzero(np.isfinite(allowed).all(1))[0])
        tried = engine._replace(
            counts=tuple(int(candidates[i][0]) for i in best), halvings=tuple(int(candidates[i][1]) for i in best)
        )
        outputs, gathered = replay(tried)
        factor, worst = _factor(outputs, gathered, truth)
        if worst <= ROOM * tolerance:
            return tried._replace(factor=factor)
    raise _out_of_reach(twin, plan, tolerance)


def _factor(outputs: np.ndarray, gathered: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """From gathered errors to those of outputs, and the largest of any pilot by it."""
    factor = SAFETY * float(np.max(_error(outputs, truth) / np.maximum(gathered, 1e-300)))
    return factor, float(np.max(factor * gathered))


def _out_of_reach(twin: Twin, plan: Plan, tolerance: float) -> ValueError:
    return ValueError(
        f"twin '{twin.name}' cannot be solved to a tolerance of {tolerance:g} with {max(COUNTS)} steps a tick of "
        f"{plan.tick:g} h; ask for less, or for shorter ticks"
    )


def _unsolved(twin: Twin, plan: Plan, tolerance: float, pilots: int) -> ValueError:
    return ValueError(
        f"the {pilots} pilot patients of twin '{twin.name}' cannot be solved to a tolerance of {tolerance:g} "
        f"with {FINE[-1]} steps a tick of {plan.tick:g} h; look at its parameters, or take shorter ticks"
    )


def _common(
    twin: Twin,
    policy: Policy,
    plan: Plan,
    seed: int,
    patients: np.ndarray,
    values: Mapping[str, np.ndarray],
    engine: Engine,
) -> Engine:
    """The same steps in every piece of every tick: a patient's pieces are his own."""
    tolerance, most = engine.tolerance, max(HALVINGS)
    live = playback.lived(
        twin, policy, plan, seed, _floored(engine, np.zeros(len(twin.ode.states)) if twin.ode else [])
    )
    for fine in FINE:
        of = live(patients, values, fine, most)
        if not len(of.patients):
            continue
        engine = _floored(engine, of.peaks)
        again = playback.replay(twin, policy, plan, seed, engine, of)
        truth = again(2 * fine, most)[0]
        if _error(again(fine, most)[0], truth).max() <= REFERENCE * tolerance:
            break
    else:
        raise _unsolved(twin, plan, tolerance, len(patients))
    best: tuple[int, int, float] | None = None
    for halvings in HALVINGS:
        low, high = 0, sum(1 for count in COUNTS if best is None or count + halvings < best[0] + best[1])
        while low < high:
            middle = (low + high) // 2
            factor, worst = _factor(*again(COUNTS[middle], halvings), truth)
            if worst <= ROOM * tolerance:
                best, high = (COUNTS[middle], halvings, factor), middle
            else:
                low = middle + 1
    if best is None:
        raise _out_of_reach(twin, plan, tolerance)
    return engine._replace(counts=(best[0],) * plan.ticks, halvings=(best[1],) * plan.ticks, factor=best[2])


def _floored(engine: Engine, peaks: Any) -> Engine:
    return engine._replace(floors=tuple(FLOOR * peak if peak > 0 else math.inf for peak in map(float, peaks)))


def _truth(
    twin: Twin,
    policy: Policy,
    plan: Plan,
    seed: int,
    patients: np.ndarray,
    values: Mapping[str, np.ndarray],
    engine: Engine,
) -> Pilots:
    """The pilots' lives on steps so fine that twice as many change their outputs by a fiftieth of the tolerance."""
    again = replayer(twin, engine, plan.tick)
    fine, tolerance = _fine(twin, policy, plan, seed, engine), engine.tolerance
    for count in FINE:
        lived, engine = fine(patients, values, engine, count)
        if not lived.p:
            continue
        replay = _replayed(engine, lived, again)
        truth = replay(engine.finer(2))[0]
        if _error(replay(engine)[0], truth).max() <= REFERENCE * tolerance:
            return Pilots(lived, engine, again, replay, truth)
    raise _unsolved(twin, plan, tolerance, len(patients))


def _fine(twin: Twin, policy: Policy, plan: Plan, seed: int, engine: Engine) -> Callable[..., tuple[Lived, Engine]]:
    """Compiles fine(patients, values, engine, count) -> sound lives on `count` steps a tick, and the engine with those
    steps and with floors."""
    assert twin.ode is not None
    states = len(twin.ode.states)
    halvings = np.full(plan.ticks, max(HALVINGS))
    blank = engine._replace(floors=(math.inf,) * states)

    def keep(given: Any, acted: Any, ended: Any) -> tuple:
        return jnp.stack(acted), jnp.stack(ended)

    # The settings are given at run time, so that studies that differ in them alone have one program.
    def lived(patient: Any, given: Mapping[str, Any], counts: Any, settings: Any) -> tuple:
        whole = life(twin, policy, plan, seed, blank, patient, given, settings, (counts, halvings), keep)
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
        return Lived(acted, ended, p), _floored(meshed, peak)

    return fine


def _replayed(engine: Engine, lived: Lived, again: Replay) -> Callable[[Engine], tuple]:
    """replay(engine) -> outputs at the ends of ticks, (tick, output, patient), and gathered errors, (patient,), of the
    pilots when they are given what they were given."""
    start = lived.acted[:, :, 0]
    jumps = np.moveaxis(lived.acted[:, :, 1:] - lived.ended[:, :, :-1], 2, 0)
    jumps = np.concatenate([jumps, np.zeros((1, *start.shape))])
    floors = np.asarray(engine.floors)

    def replay(tried: Engine) -> tuple:
        return again.whole(start, lived.p, jumps, np.asarray(tried.counts), np.asarray(tried.halvings), floors)

    return replay


def _local(
    plan: Plan, engine: Engine, lived: Lived, again: Replay, truth: np.ndarray
) -> tuple[list[tuple[int, int]], np.ndarray]:
    """Ways to step through a tick, the cheapest first, and the largest error of any pilot, (way, tick): of the states,
    relative to their largest, and of the outputs on the scale of the tolerance.

    truth: of the outputs, (tick, output, patient).
    """
    ticks = np.arange(plan.ticks)
    if plan.ticks > SAMPLED:
        ticks = np.unique(np.linspace(0, plan.ticks - 1, SAMPLED).astype(int))
    pilots = lived.acted.shape[1]
    y, end = (array[:, :, ticks].reshape(len(array), -1) for array in (lived.acted, lived.ended))
    p = jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf), len(ticks)), lived.p)
    times, floors = np.tile(plan.tick * ticks, pilots), np.asarray(engine.floors)
    finest = max(COUNTS), max(HALVINGS)
    true = again.single(y, p, times, *finest, floors)[1]
    largest = np.repeat(np.abs(truth).max(0), len(ticks), axis=1)
    scale = np.abs(true) + 1e-3 * largest
    ways = sorted(((n, g) for n in COUNTS for g in HALVINGS), key=lambda way: (way[0] + way[1], way[0]))
    rows: list[np.ndarray] = []
    for way in ways:
        got, seen = again.single(y, p, times, *way, floors)
        off = np.max(FLOOR * np.abs(got - end) / floors[:, None], axis=0)
        off = np.maximum(off, np.max(np.abs(seen - true) / np.where(scale > 0, scale, 1.0), axis=0))
        rows.append(np.nan_to_num(off, nan=np.inf).reshape(pilots, -1).max(0))
        if rows[-1].max() <= NEGLIGIBLE * engine.tolerance:
            break
    table = np.array(rows)
    return ways[: len(rows)], table if len(ticks) == plan.ticks else table.max(1, keepdims=True)


def _error(outputs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Largest error of any output at any time, (patient,), relative to |output| + 0.001 max |output|.

    outputs, truth: (tick, output, patient).
    """
    scale = np.abs(truth) + 1e-3 * np.abs(truth).max(0, keepdims=True)
    off = np.divide(np.abs(outputs - truth), scale, out=np.zeros_like(truth), where=scale > 0)
    return np.nan_to_num(off, nan=np.inf).max((0, 1))
