"""Pilot patients: on what steps a study must be solved, and what the steps' errors tell of the outputs' error.

A step that a block of patients shares would make a patient depend on his neighbours. So the steps are chosen once,
from the first patients of the study, and everyone is solved on them, with an error estimate of his own.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers import code, exact
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
WAYS = sorted(((n, g) for n in COUNTS for g in HALVINGS), key=lambda way: (way[0] + way[1], way[0]))
# Of the exact tier, whose steps are parts of a tick halved again and again.
EXACT_WAYS = sorted(((2**n, g) for n in range(6) for g in range(13)), key=lambda way: (way[0] + way[1], way[0]))
ABOVE = 2.0  # times the largest norm of a pilot's linear block: up to which patients are solved with the pilots' mesh
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
    exactly: bool = True,
) -> Engine:
    """The engine of one arm, from its pilots: patients and values as a solver takes them, (n,).

    The exact tier where the equations have the structure for it and the pilots keep the tolerance by it; elsewhere, and
    without `exactly`, the explicit one.
    Raises ValueError for a tolerance out of reach, and where no pilot can be solved to it by an explicit method.
    """
    check_tolerance(tolerance)
    if twin.ode is None:
        return Engine("own", tolerance)
    pair = TSITOURAS
    engine = Engine("explicit", tolerance, pair.name, "c" if code.code(twin, pair) else "jax")
    pilots = _truth(twin, policy, plan, seed, patients, values, engine)
    if exactly and (known := _exact(twin, plan, pilots)) and (found := _mesh(plan, known, EXACT_WAYS)):
        # Of fewer steps than those of the pilots' own solution.
        own = exact.rounding(found.norm, plan.tick, found.counts, found.halvings)
        return found._replace(floors=(), rounding=own)
    if found := _mesh(plan, pilots, WAYS):
        return found
    raise ValueError(
        f"twin '{twin.name}' cannot be solved to a tolerance of {tolerance:g} with {max(COUNTS)} steps a tick of "
        f"{plan.tick:g} h; ask for less, or for shorter ticks"
    )


def _mesh(plan: Plan, pilots: Pilots, ways: Sequence[tuple[int, int]]) -> Engine | None:
    """The engine on the fewest steps by which the pilots keep the tolerance, None where no steps do."""
    engine = pilots.engine
    table = _local(plan, engine, pilots.lived, pilots.again, pilots.truth, ways)
    candidates = ways[: len(table)]
    some = np.array([sum(way) for way in candidates])
    for bound in engine.tolerance * 2.0 ** np.arange(8.0, -30.0, -0.5):
        allowed = np.where(table <= bound, some[:, None], np.inf)
        if np.isinf(allowed.min(0)).any():
            break
        best = allowed.argmin(0)
        if len(best) < plan.ticks:
            best = np.full(plan.ticks, np.flatnonzero(np.isfinite(allowed).all(1))[0])
        tried = engine._replace(
            counts=tuple(int(candidates[i][0]) for i in best), halvings=tuple(int(candidates[i][1]) for i in best)
        )
        outputs, gathered = pilots.replay(tried)
        beyond = np.maximum(_error(outputs, pilots.truth) - engine.rounding, 0.0)
        # Where an error is found that none is told of, no factor helps: inf.
        ratio = np.divide(beyond, gathered, out=np.where(beyond > 0, np.inf, 0.0), where=gathered > 0)
        tried = tried._replace(factor=SAFETY * float(ratio.max()))
        if math.isfinite(tried.factor) and np.max(tried.told(gathered)) <= ROOM * engine.tolerance:
            return tried
    return None


def _exact(twin: Twin, plan: Plan, pilots: Pilots) -> Pilots | None:
    """The pilots as the exact tier replays them; None for other equations, and where it does not agree."""
    found = code.exactly(twin)
    if found is None:
        return None
    p = tuple(np.asarray(each) for each in found.equations.parameters(pilots.lived.p))
    norm = ABOVE * float(
        np.max(jax.vmap(lambda p: found.stepper.patient(p).norm, axis_size=len(pilots.truth[0, 0]))(p))
    )
    coarse, finest = EXACT_WAYS[-1]
    engine = pilots.engine._replace(
        tier="exact",
        counts=(coarse,) * plan.ticks,
        halvings=(finest,) * plan.ticks,
        rounding=exact.rounding(norm, plan.tick, (coarse,) * plan.ticks, (finest,) * plan.ticks),
        norm=norm,
    )
    again = replayer(twin, engine, plan.tick)
    replay = _replayed(engine, pilots.lived, again)
    truth = replay(engine)[0]
    if not _error(truth, pilots.truth).max() <= 2.0 * REFERENCE * engine.tolerance + engine.rounding:
        return None
    return Pilots(pilots.lived, engine, again, replay, truth)


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
    raise ValueError(
        f"the {len(patients)} pilot patients of twin '{twin.name}' cannot be solved to a tolerance of {tolerance:g} "
        f"with {FINE[-1]} steps a tick of {plan.tick:g} h; look at its parameters, or take shorter ticks"
    )


def _fine(twin: Twin, policy: Policy, plan: Plan, seed: int, engine: Engine) -> Callable[..., tuple[Lived, Engine]]:
    """Compiles fine(patients, values, engine, count) -> sound lives on `count` steps a tick, and the engine with those
    steps and with floors."""
    assert twin.ode is not None
    states = len(twin.ode.states)
    halvings = np.full(plan.ticks, max(HALVINGS))
    blank = engine._replace(floors=(math.inf,) * states)

    def keep(acted: Any, ended: Any) -> tuple:
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
        floors = np.where(peak > 0, FLOOR * peak, np.inf)
        p = jax.vmap(twin.namespace)({name: value[sound] for name, value in given.items()})
        meshed = engine._replace(counts=(count,) * plan.ticks, halvings=tuple(halvings.tolist()))
        return Lived(acted, ended, p), meshed._replace(floors=tuple(floors.tolist()))

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
    plan: Plan, engine: Engine, lived: Lived, again: Replay, truth: np.ndarray, ways: Sequence[tuple[int, int]]
) -> np.ndarray:
    """The largest error of any pilot, (way, tick): of the states, relative to their largest, and of the outputs on the
    scale of the tolerance.

    truth: of the outputs, (tick, output, patient). ways: counts and halvings to step through a tick, the cheapest
    first; the last ones are left out where those before are good everywhere.
    """
    ticks = np.arange(plan.ticks)
    if plan.ticks > SAMPLED:
        ticks = np.unique(np.linspace(0, plan.ticks - 1, SAMPLED).astype(int))
    pilots = lived.acted.shape[1]
    y = lived.acted[:, :, ticks].reshape(len(lived.acted), -1)
    p = jax.tree.map(lambda leaf: np.repeat(np.asarray(leaf), len(ticks)), lived.p)
    times, floors = np.tile(plan.tick * ticks, pilots), np.asarray(engine.floors)
    end, true = again.single(y, p, times, *ways[-1], floors)
    largest = np.repeat(np.abs(truth).max(0), len(ticks), axis=1)
    scale = np.abs(true) + 1e-3 * largest
    rows: list[np.ndarray] = []
    for way in ways:
        got, seen = again.single(y, p, times, *way, floors)
        off = np.max(FLOOR * np.abs(got - end) / floors[:, None], axis=0)
        off = np.maximum(off, np.max(np.abs(seen - true) / np.where(scale > 0, scale, 1.0), axis=0))
        rows.append(np.nan_to_num(off, nan=np.inf).reshape(pilots, -1).max(0))
        if rows[-1].max() <= NEGLIGIBLE * engine.tolerance:
            break
    table = np.array(rows)
    return table if len(ticks) == plan.ticks else table.max(1, keepdims=True)


def _error(outputs: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Largest error of any output at any time, (patient,), relative to |output| + 0.001 max |output|.

    outputs, truth: (tick, output, patient).
    """
    scale = np.abs(truth) + 1e-3 * np.abs(truth).max(0, keepdims=True)
    off = np.divide(np.abs(outputs - truth), scale, out=np.zeros_like(truth), where=scale > 0)
    return np.nan_to_num(off, nan=np.inf).max((0, 1))
