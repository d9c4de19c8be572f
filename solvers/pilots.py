"""Pilot patients: on what steps a study must be solved, and what the steps' errors tell of the outputs' error.

A step that a block of patients shares would make a patient depend on his neighbours. So the steps are chosen once,
from the first patients of the study, and everyone is solved on them, with an error estimate of his own.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np

from solvers import code, exact, playback, stiffness
from solvers.delivery import room
from solvers.engine import FINER, PAIRS, TOLERANCE, Engine, check_tolerance
from solvers.lived import Lived, Pilots, error, factor, finely, floored, kept
from solvers.pairs import BOGACKI_SHAMPINE, TSITOURAS, Pair
from solvers.policy import Policy
from solvers.replay import Replay
from solvers.replay import replay as replayer
from solvers.solve import Plan
from solvers.twin import Twin
from solvers.ways import COUNTS, EXACT_WAYS, HALVINGS, WAYS, Ways

PILOTS = 64
ABOVE = 2.0  # times the largest norm of a pilot's linear block: up to which patients are solved with the pilots' mesh
REFERENCE = 1.0 / 50.0  # of the tolerance: how well the pilots themselves are solved
ROUGH = 1e-4  # tolerance from which a pair of lower order may keep it with less work, where stability sets the steps
FINE = (64, 256, 1024, 4096)  # steps of a tick that are tried for them; beyond, no explicit method is


def choose(
    twin: Twin,
    policy: Policy,
    plan: Plan,
    seed: int,
    patients: np.ndarray,
    values: Mapping[str, np.ndarray],
    tolerance: float = TOLERANCE,
    exactly: bool | None = None,
) -> Engine:
    """The engine of one arm, from its pilots: patients and values as a solver takes them, (n,).

    The exact tier where the equations have the structure for it, nothing happens within ticks and the pilots keep the
    tolerance by it; elsewhere the explicit one; the implicit one for a twin that is too stiff. exactly: whether the
    exact tier may be taken; None: where all is linear. Tick by tick, with something driven, it was about as fast as
    machine code on explicit steps and compiled for several times as long; whole courses it solves twice as fast.
    Raises ValueError for a tolerance out of reach, and where no pilot can be solved to it by any.
    """
    check_tolerance(tolerance)
    if twin.ode is None:
        return Engine("own", tolerance)

    def by(pair: Pair) -> Engine:
        return Engine("explicit", tolerance, pair.name, "c" if code.code(twin, pair) else "jax")

    engine = by(TSITOURAS)
    if plan.before or twin.ode.triggers or room(twin, policy, plan.tick, plan.late):
        common = _common(twin, policy, plan, seed, patients, values, engine)
        if common is None:
            raise ValueError(
                f"the {len(patients)} pilot patients of twin '{twin.name}' cannot be solved to a tolerance of "
                f"{tolerance:g} with {FINE[-1]} steps between events; look at its parameters, or ask for less"
            )
        return common
    if pilots := _truth(twin, policy, plan, seed, patients, values, engine):
        known = _exact(twin, plan, pilots, exactly) if exactly is not False else None
        if known and (found := _meshed(plan, known, EXACT_WAYS)):
            # Of fewer steps than those of the pilots' own solution.
            own = exact.rounding(found.norm, plan.tick, found.counts, found.halvings)
            return found._replace(floors=(), rounding=own)
        found = _meshed(plan, pilots, WAYS)
        if tolerance >= ROUGH and (again := _paired(twin, plan, pilots, by(BOGACKI_SHAMPINE))):
            rough = _meshed(plan, again, WAYS)
            found = min((each for each in (found, rough) if each), key=_work, default=None)
        if found:
            return found
    return stiffness.choose(twin, policy, plan, seed, patients, values, tolerance)


def _work(engine: Engine) -> int:
    """Evaluations of the right-hand side in a life."""
    return PAIRS[engine.pair].evaluations * (sum(engine.counts) + sum(engine.halvings))


def _meshed(plan: Plan, pilots: Pilots, ways: Sequence[tuple[int, int]]) -> Engine | None:
    """The engine with the cheapest steps on which all pilots keep the tolerance, None where there are none."""
    tried_by, engine, before = Ways(plan, pilots, ways), pilots.engine, None
    for bound in engine.tolerance * 2.0 ** np.arange(8.0, -30.0, -0.5):
        best = tried_by.cheapest(bound)
        if best is None:
            break
        if best == before:
            continue
        before = best
        best = best * (plan.ticks // len(best))
        counts, halvings = zip(*best, strict=True)
        tried = engine._replace(counts=counts, halvings=halvings)
        told = kept(tried, *pilots.replay(tried), pilots.truth)
        if told is not None:
            finer = factor(*pilots.replay(told.finer()), pilots.truth, told.rounding)
            return told._replace(finer_factor=max(told.factor, finer))
    return None


def _exact(twin: Twin, plan: Plan, pilots: Pilots, driven: bool | None) -> Pilots | None:
    """The pilots as the exact tier replays them; None for other equations, and where it does not agree.

    driven: whether states may be that are driven by the linear ones.
    """
    found = code.exactly(twin)
    if found is None or (found.stepper.structure.driven and not driven):
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
    if not error(truth, pilots.truth).max() <= 2.0 * REFERENCE * engine.tolerance + engine.rounding:
        return None
    return Pilots(pilots.lived, engine, again, replay, truth)


def _common(
    twin: Twin,
    policy: Policy,
    plan: Plan,
    seed: int,
    patients: np.ndarray,
    values: Mapping[str, np.ndarray],
    engine: Engine,
) -> Engine | None:
    """The same steps in every piece of every tick: a patient's pieces are his own. None where there are none."""
    assert twin.ode is not None
    tolerance, most = engine.tolerance, max(HALVINGS)
    live = playback.lived(twin, policy, plan, seed, floored(engine, np.zeros(len(twin.ode.states))))
    for fine in FINE:
        of = live(patients, values, fine, most)
        if not len(of.patients):
            continue
        engine = floored(engine, of.peaks)
        again = playback.replay(twin, policy, plan, seed, engine, of)
        truth = again(FINER * fine, most)[0]
        if error(again(fine, most)[0], truth).max() <= REFERENCE * tolerance:
            break
    else:
        return None
    best: tuple[int, int, float] | None = None
    for halvings in HALVINGS:
        low, high = 0, sum(1 for count in COUNTS if best is None or count + halvings < best[0] + best[1])
        while low < high:
            middle = (low + high) // 2
            told = kept(engine, *again(COUNTS[middle], halvings), truth)
            if told is None:
                low = middle + 1
            else:
                best, high = (COUNTS[middle], halvings, told.factor), middle
    if best is None:
        return None
    count, halvings, told_by = best
    finer = max(told_by, factor(*again(FINER * count, halvings), truth))
    mesh = engine._replace(counts=(count,) * plan.ticks, halvings=(halvings,) * plan.ticks)
    return mesh._replace(factor=told_by, finer_factor=finer)


def _truth(
    twin: Twin,
    policy: Policy,
    plan: Plan,
    seed: int,
    patients: np.ndarray,
    values: Mapping[str, np.ndarray],
    engine: Engine,
) -> Pilots | None:
    """The pilots' lives on steps so fine that twice as many change their outputs by a fiftieth of the tolerance.

    None where no explicit method finds them in a reasonable number of steps."""
    again = replayer(twin, engine, plan.tick)
    assert twin.ode is not None
    blank = engine._replace(floors=(math.inf,) * len(twin.ode.states))
    fine, tolerance = finely(twin, policy, plan, seed, blank, max(HALVINGS)), engine.tolerance
    for count in FINE:
        lived, engine = fine(patients, values, engine, count)
        if not lived.p:
            continue
        replay = _replayed(engine, lived, again)
        truth = replay(engine.finer())[0]
        if error(replay(engine)[0], truth).max() <= REFERENCE * tolerance:
            return Pilots(lived, engine, again, replay, truth)
    return None


def _paired(twin: Twin, plan: Plan, pilots: Pilots, engine: Engine) -> Pilots | None:
    """The same lives as another pair replays them, on as fine steps as it needs; None where it does not agree."""
    again = replayer(twin, engine, plan.tick)
    agreed = REFERENCE * engine.tolerance
    for count in FINE:
        engine = engine._replace(
            counts=(count,) * plan.ticks, halvings=pilots.engine.halvings, floors=pilots.engine.floors
        )
        replay = _replayed(engine, pilots.lived, again)
        truth = replay(engine.finer())[0]
        if error(replay(engine)[0], truth).max() <= agreed and error(truth, pilots.truth).max() <= 2.0 * agreed:
            return Pilots(pilots.lived, engine, again, replay, truth)
    return None


def _replayed(engine: Engine, lived: Lived, again: Replay) -> Callable[[Engine], tuple[np.ndarray, np.ndarray]]:
    """replay(engine) -> outputs at the ends of ticks, (tick, output, patient), and gathered errors, (patient,), of the
    pilots when they are given what they were given."""
    start = lived.acted[:, :, 0]
    jumps = np.moveaxis(lived.acted[:, :, 1:] - lived.ended[:, :, :-1], 2, 0)
    jumps = np.concatenate([jumps, np.zeros((1, *start.shape))])
    floors = np.asarray(engine.floors)

    def replay(tried: Engine) -> tuple[np.ndarray, np.ndarray]:
        return again.whole(start, lived.p, jumps, np.asarray(tried.counts), np.asarray(tried.halvings), floors)

    return replay
