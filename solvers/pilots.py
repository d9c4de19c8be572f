"""Pilot patients: on what steps a study must be solved, and what the steps' errors tell of the outputs' error.

A step that a block of patients shares would make a patient depend on his neighbours. So the steps are chosen once,
from the first patients of the study, and everyone is solved on them, with an error estimate of his own.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from solvers import playback, stiffness
from solvers.code import code
from solvers.delivery import room
from solvers.engine import FINER, TOLERANCE, Engine, check_tolerance
from solvers.lived import FLOOR, Lived, error, finely, floored, kept, ratio
from solvers.pairs import TSITOURAS
from solvers.policy import Policy
from solvers.replay import Replay
from solvers.replay import replay as replayer
from solvers.solve import Plan
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


class Pilots(NamedTuple):
    """replay(engine) -> outputs, (tick, output, patient), and gathered errors, (patient,), on the steps of an engine.
    truth: outputs on far finer steps. engine: with floors."""

    lived: Lived
    engine: Engine
    again: Replay
    replay: Callable[[Engine], tuple[np.ndarray, np.ndarray]]
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

    A twin that is too stiff for explicit steps goes to the implicit tier. Raises ValueError for a tolerance out of
    reach, and where no pilot can be solved to it by any.
    """
    check_tolerance(tolerance)
    if twin.ode is None:
        return Engine("own", tolerance)
    pair = TSITOURAS
    engine = Engine("explicit", tolerance, pair.name, "c" if code(twin, pair) else "jax")
    if room(twin, policy, plan.tick, plan.late):
        common = _common(twin, policy, plan, seed, patients, values, engine)
        if common is None:
            raise ValueError(
                f"the {len(patients)} pilot patients of twin '{twin.name}' cannot be solved to a tolerance of "
                f"{tolerance:g} with {FINE[-1]} steps between events; look at its parameters, or ask for less"
            )
        return common
    found = _truth(twin, policy, plan, seed, patients, values, engine)
    meshed = _meshed(plan, found) if found else None
    return meshed or stiffness.choose(twin, policy, plan, seed, patients, values, tolerance)


def _meshed(plan: Plan, pilots: Pilots) -> Engine | None:
    """The engine with the cheapest steps on which all pilots keep the tolerance, None where there are none."""
    ways, tolerance = _Ways(plan, pilots), pilots.engine.tolerance
    for bound in tolerance * 2.0 ** np.arange(8.0, -30.0, -0.5):
        best = ways.cheapest(bound)
        if best is None:
            break
        best *= plan.ticks // len(best)
        counts, halvings = zip(*best, strict=True)
        tried = pilots.engine._replace(counts=counts, halvings=halvings)
        factor = kept(*pilots.replay(tried), pilots.truth, tolerance)
        if factor is not None:
            finer = ratio(*pilots.replay(tried.finer()), pilots.truth)
            return tried._replace(factor=factor, finer_factor=max(factor, finer))
    return None


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
            factor = kept(*again(COUNTS[middle], halvings), truth, tolerance)
            if factor is None:
                low = middle + 1
            else:
                best, high = (COUNTS[middle], halvings, factor), middle
    if best is None:
        return None
    count, halvings, factor = best
    finer = max(factor, ratio(*again(FINER * count, halvings), truth))
    mesh = engine._replace(counts=(count,) * plan.ticks, halvings=(halvings,) * plan.ticks)
    return mesh._replace(factor=factor, finer_factor=finer)


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


class _Ways:
    """Ways to step through a tick, (steps, halvings), the cheapest first, tried one by one as they are asked for.

    truth: of the outputs, (tick, output, patient).
    """

    def __init__(self, plan: Plan, pilots: Pilots) -> None:
        ticks = np.arange(plan.ticks)
        if plan.ticks > SAMPLED:
            ticks = np.unique(np.linspace(0, plan.ticks - 1, SAMPLED).astype(int))
        lived, engine, self.single = pilots.lived, pilots.engine, pilots.again.single
        self.ways = sorted(((n, g) for n in COUNTS for g in HALVINGS), key=lambda way: (way[0] + way[1], way[0]))
        self.errors: list[np.ndarray] = []
        self.each = len(ticks) == plan.ticks
        self.negligible = NEGLIGIBLE * engine.tolerance
        self.given = lived.acted[:, :, ticks], lived.p, plan.tick * ticks
        self.floors, self.end = np.asarray(engine.floors), lived.ended[:, :, ticks]
        # On the steps that led there, so that nothing is lost to others.
        self.true = self.single(*self.given, engine.counts[0], engine.halvings[0], self.floors)[1]
        self.scale = np.abs(self.true) + 1e-3 * np.abs(pilots.truth).max(0)[:, :, None]

    def cheapest(self, bound: float) -> list[tuple[int, int]] | None:
        """For each tick, or for all, the first way whose error is at most `bound`; None where none is."""
        i, best = 0, np.full(len(self.given[2]) if self.each else 1, -1)
        while (best < 0).any():
            if i == len(self.errors) and not self._tried():
                return None
            best[(best < 0) & (self.errors[i] <= bound)] = i
            i += 1
        return [self.ways[i] for i in best]

    def _tried(self) -> bool:
        """Tries one way more: the largest error of any pilot, (tick,) or of all, of the states, relative to their
        largest, and of the outputs on the scale of the tolerance. False where there is none to try."""
        if len(self.errors) == len(self.ways) or (self.errors and self.errors[-1].max() <= self.negligible):
            return False
        got, seen = self.single(*self.given, *self.ways[len(self.errors)], self.floors)
        off = np.max(FLOOR * np.abs(got - self.end) / self.floors[:, None, None], axis=0)
        off = np.maximum(off, np.max(np.abs(seen - self.true) / np.where(self.scale > 0, self.scale, 1.0), axis=0))
        worst = np.nan_to_num(off, nan=np.inf).max(0)
        self.errors.append(worst if self.each else worst.max(keepdims=True))
        return True
