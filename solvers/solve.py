"""The solve loop: observe -> policy -> adherence -> advance, tick by tick, in blocks of lanes of one width.

Written for one patient; lanes come by vmap. No lane reads another, the width is fixed and short blocks are padded,
so that a patient's bits do not depend on who is solved beside him.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers.delivery import delivery
from solvers.engine import Engine
from solvers.luck import Luck, luck
from solvers.policy import Infusion, Policy, Seen
from solvers.status import Status
from solvers.steady import Regimen, steady
from solvers.twin import Twin

WIDTH = 256  # lanes in a block; tests/benchmarks/width.py measures others
ALONE = 16  # lanes of a block of patients who are solved again, each with steps of his own
ADAPTED = 1e-7  # error that is told of them: the adaptive solver is held to 1e-9 in every tick


class Fold(NamedTuple):
    """A number per life gathered at every tick, so that no trajectory need be kept.

    step(total, before, after, time, tick) -> total: outputs by name at both ends of the tick that starts at `time` [h].
    initial: of the total, a number or a tuple of some. result: the number that the total at the end tells.
    """

    name: str
    initial: Any
    step: Callable[[Any, Mapping[str, Any], Mapping[str, Any], Any, float], Any]
    result: Callable[[Any], Any] = lambda total: total


class Plan(NamedTuple):
    """When things happen. tick [h]; ticks: how many; records, visits: tick numbers, increasing, from 0 to `ticks`.

    outcomes: names of outputs and actions to record. taken: probability that a self-administered action is taken.
    late [h]: how late, the standard deviation of the normal of which lateness is the absolute value. before: what
    patients have long been on when they enter; None where they enter untreated.
    """

    tick: float
    ticks: int
    records: tuple[int, ...]
    visits: tuple[int, ...]
    outcomes: tuple[str, ...]
    folds: tuple[Fold, ...] = ()
    taken: float = 1.0
    late: float = 0.0
    before: Regimen | None = None


class Lives(NamedTuple):
    """What happened to a block of patients under one arm.

    recorded: outcome -> (patient, record); an action is the amount given since the record before.
    measured: output -> (patient, visit), with error. folds: name -> (patient,). status: (patient,) of Status.
    error: (patient,), estimated, of the outputs, relative to |output| + 0.001 max |output|; 0 for a twin's own
    closed form. kept: what else was asked for, each (patient, tick).
    """

    recorded: dict[str, np.ndarray]
    measured: dict[str, np.ndarray]
    folds: dict[str, np.ndarray]
    status: np.ndarray
    error: np.ndarray
    kept: Any = ()


def solver(
    twin: Twin, policy: Policy, plan: Plan, seed: int, engine: Engine, width: int = WIDTH
) -> Callable[..., Lives]:
    """Compiles one arm. Returns solve(patients, values) -> Lives.

    patients: their numbers, (n,) with n <= width; they key the random numbers. values: parameters and covariates by
    name, each (n,). Who is estimated to be off by more than the engine's tolerance is solved again on finer steps, and
    then adaptively, with steps of his own; where they do not help either, he is INACCURATE.
    Raises ValueError for a plan that names an unknown outcome or a block wider than `width`.
    """
    _check_outcomes(twin, plan)
    names = [variable.name for variable in twin.variables]
    # A program of its own: those that go through the ticks are several, and begin alike.
    begin = jax.jit(jax.vmap(functools.partial(_born, twin, plan, seed)))

    # The settings are constants of these programs.
    def compiled(by: Engine) -> Callable[..., Any]:
        return jax.jit(jax.vmap(functools.partial(_lived, twin, policy, plan, by, settings=policy.numbers)))

    meshed, adaptive = compiled(engine), compiled(Engine("own", engine.tolerance))
    # What can be solved on finer steps costs far less than what takes steps of its own.
    finer = [] if engine.tier == "own" else [compiled(engine.finer())]
    if engine.tier != "stiff" and twin.ode:
        finer.append(adaptive)

    def block(program: Callable[..., Any], born: tuple, count: int) -> Lives:
        return jax.tree.map(lambda leaf: np.array(leaf)[:count], Lives(*program(*born)))

    def solve(patients: np.ndarray, values: Mapping[str, np.ndarray]) -> Lives:
        count = len(patients)
        if not 0 < count <= width:
            raise ValueError(f"a block takes 1 to {width} patients, got {count}")
        lanes = _padded(np.arange(count), width)
        born = begin(np.asarray(patients)[lanes], {name: np.asarray(values[name], float)[lanes] for name in names})
        whole = block(meshed, born, count)
        for program in finer:
            again = np.flatnonzero(_inaccurate(whole, engine))
            for start in range(0, len(again), ALONE):
                some = again[start : start + ALONE]
                lanes = _padded(some, ALONE)
                own = jax.tree.map(lambda leaf, at=lanes: np.asarray(leaf)[at], born)
                better = block(program, own, len(some))
                if program is adaptive:
                    better = better._replace(error=np.where(better.status == Status.OK, ADAPTED, np.nan))
                jax.tree.map(lambda all_of_them, new, at=some: all_of_them.__setitem__(at, new), whole, better)
        whole.status[_inaccurate(whole, engine) & (whole.status == Status.OK)] = int(Status.INACCURATE)
        return whole

    return solve


def _padded(lanes: np.ndarray, width: int) -> np.ndarray:
    """Lanes of a block that is filled up with its last patient."""
    return lanes[np.minimum(np.arange(width), len(lanes) - 1)]


def _inaccurate(lives: Lives, engine: Engine) -> np.ndarray:
    """Who may be off by more than the tolerance, or left the finite numbers, as too long a step makes one."""
    return ~(lives.error <= engine.tolerance) & (lives.status != Status.BAD_PARAMETER)


def free_solver(
    twin: Twin,
    policy: Policy,
    plan: Plan,
    seed: int,
    engine: Engine,
    keep: Callable[[Any, Any, Any], tuple] = lambda given, acted, ended: (),
) -> Callable[..., Lives]:
    """Compiles one arm so that its therapy stays free. Returns solve(patients, values, settings) -> Lives.

    patients, values: as `solver` takes them, without padding: another number of patients compiles again. settings:
    every setting of the policy by name, each (n,). With the policy's own settings the lives are those of `solver`
    within the tolerance: steps are as fine everywhere as the engine has them anywhere. keep: as `life` takes it.
    """
    _check_outcomes(twin, plan)
    finest = engine.everywhere()
    compiled = jax.jit(jax.vmap(functools.partial(life, twin, policy, plan, seed, finest, keep=keep)))
    names = [variable.name for variable in twin.variables]

    def solve(patients: np.ndarray, values: Mapping[str, np.ndarray], settings: Mapping[str, np.ndarray]) -> Lives:
        given = {name: np.asarray(values[name], float) for name in names}
        numbers = {name: np.asarray(settings[name], float) for name in policy.settings}
        recorded, measured, folds, status, error, *kept = compiled(np.asarray(patients), given, numbers)
        return jax.tree.map(np.asarray, Lives(recorded, measured, folds, status, error, tuple(kept)))

    return solve


def _check_outcomes(twin: Twin, plan: Plan) -> None:
    known = [item.name for item in twin.outcomes]
    for outcome in plan.outcomes:
        if outcome not in known:
            raise ValueError(f"outcome '{outcome}' is unknown to twin '{twin.name}'; write one of: {', '.join(known)}")


def life(
    twin: Twin,
    policy: Policy,
    plan: Plan,
    seed: int,
    engine: Engine,
    patient: Any,
    values: Mapping[str, Any],
    settings: Mapping[str, Any],
    mesh: tuple[Any, Any] | None = None,
    keep: Callable[[Any, Any, Any], Any] = lambda given, acted, ended: (),
) -> tuple:
    """One patient's life under one arm; the fields of Lives, without the patient axis.

    mesh: counts and halvings of the steps of each tick, (tick,) each; those of the engine where None. keep: of what
    is given, the states after it, as `Delivered` has them, and those at the end of the tick; what it gives is stacked
    over ticks and follows the fields.
    """
    return _lived(twin, policy, plan, engine, *_born(twin, plan, seed, patient, values), settings, mesh, keep)


def _born(twin: Twin, plan: Plan, seed: int, patient: Any, values: Mapping[str, Any]) -> tuple[Any, Luck]:
    """What a patient brings into all his lives: what the twin's functions take, and his luck."""
    outputs = len(twin.outputs)
    own = luck(patient, seed, ticks=plan.ticks, visits=plan.visits, outputs=outputs, taken=plan.taken, late=plan.late)
    return twin.namespace(values), own


def _lived(
    twin: Twin,
    policy: Policy,
    plan: Plan,
    engine: Engine,
    p: Any,
    chance: Luck,
    settings: Mapping[str, Any],
    mesh: tuple[Any, Any] | None = None,
    keep: Callable[[Any, Any, Any], Any] = lambda given, acted, ended: (),
) -> tuple:
    """`life`, of a patient who was born."""
    by = delivery(twin, policy, plan.tick, plan.late, engine)
    counts, halvings = mesh or (np.asarray(engine.counts, int), np.asarray(engine.halvings, int))
    if not len(counts):
        counts = halvings = np.zeros(plan.ticks, int)
    # Numbers of steps that are known while compiling let a derivative go backwards through them.
    alike = (engine.counts[0], engine.halvings[0]) if mesh is None and engine.uniform else None
    typical = {parameter.name: parameter.typical for parameter in twin.parameters}
    known = {covariate.name: getattr(p, covariate.name) for covariate in twin.covariates}
    outputs = {output.name: output for output in twin.outputs}
    lasting = {action.name for action in twin.actions if action.lasting}
    is_visit = np.isin(np.arange(plan.ticks + 1), plan.visits)
    visit_before = np.maximum(np.cumsum(is_visit) - 1, 0)

    def look(y: Any, time: Any, visit: Any, which: Any) -> tuple[dict, dict, Any]:
        z = jnp.where(visit, chance.noise[which], 0.0)
        true = {name: jnp.asarray(value, float) for name, value in twin.observe(y, p, time).items()}
        measured = {name: outputs[name].measure(true[name], z[i, 0], z[i, 1]) for i, name in enumerate(outputs)}
        health = _health(twin, y, p, true)
        shown = {name: visit | outputs[name].device for name in outputs}
        return true, {name: jnp.where(shown[name], value, jnp.nan) for name, value in measured.items()}, health

    def gather(totals: dict, before: Mapping[str, Any], after: Mapping[str, Any], time: Any) -> dict:
        return {fold.name: fold.step(totals[fold.name], before, after, time, plan.tick) for fold in plan.folds}

    def tick(carry: tuple, now: tuple) -> tuple:
        y, memory, totals, before, worst, track, waiting = carry
        number, visit, which, takes, count, halved, lateness = now
        time = number * plan.tick
        true, measured, health = look(y, time, visit, which)
        after_first = number > 0
        totals = jax.tree.map(
            lambda new, old: jnp.where(after_first, new, old), gather(totals, before, true, time - plan.tick), totals
        )
        amounts, memory = policy.decide(time, Seen(visit, measured), memory, settings)
        # What a clinic or a device does is done; only what the patient takes himself can be missed.
        missable = amounts.keys() - lasting if policy.by_patient and takes is not None else set()
        given = {name: _kept(amount, takes if name in missable else 1.0) for name, amount in amounts.items()}
        delay = lateness if policy.by_patient and lateness is not None else 0.0
        done = by.tick(once, y, track, waiting, p, given, delay, time, *(alike or (count, halved)))
        carry = (done.y, memory, totals, true, jnp.maximum(worst, health), done.track, done.pending)
        return carry, (true, measured, _amounts(twin, given), keep(given, done.acted, done.y))

    y, error, settled = twin.initial(p), jnp.zeros(()), jnp.ones((), bool)
    if plan.before:
        entered = steady(twin, plan.before, plan.tick, engine)(p, jnp.max(counts), jnp.max(halvings))
        y, error, settled = entered.y, entered.error, entered.settled
    memory = policy.begin(twin.namespace(typical | known), settings)
    totals = {fold.name: jax.tree.map(lambda start: jnp.asarray(start, float), fold.initial) for fold in plan.folds}
    start, _, worst = look(y, 0.0, False, 0)
    once, track, waiting = by.begin(y, p)
    numbers = jnp.arange(plan.ticks, dtype=float)
    visits_by_tick = jnp.asarray(is_visit[:-1]), jnp.asarray(visit_before[:-1])
    steps = (numbers, *visits_by_tick, chance.taken, jnp.asarray(counts), jnp.asarray(halvings), chance.late)
    seen_by_tick: Any
    carry, seen_by_tick = jax.lax.scan(tick, (y, memory, totals, start, worst, track, waiting), steps)
    y, _, totals, before, worst, track, waiting = carry
    true, measured, given, kept = seen_by_tick
    end, measured_end, health = look(y, plan.ticks * plan.tick, bool(is_visit[-1]), int(visit_before[-1]))
    totals = gather(totals, before, end, (plan.ticks - 1) * plan.tick)
    totals = {fold.name: fold.result(totals[fold.name]) for fold in plan.folds}

    records, visits = np.asarray(plan.records, int), np.asarray(plan.visits, int)
    recorded = {}
    for outcome in plan.outcomes:
        if outcome in outputs:
            recorded[outcome] = jnp.append(true[outcome], end[outcome])[records]
        else:
            running = jnp.concatenate([jnp.zeros(1), jnp.cumsum(given[outcome])])[records]
            recorded[outcome] = jnp.diff(running, prepend=0.0)
    seen = {name: jnp.append(measured[name], measured_end[name])[visits] for name in outputs if name in plan.outcomes}
    worst = jnp.maximum(jnp.maximum(worst, health), _within_bounds(twin, p))
    if waiting:
        worst = jnp.where(waiting.lost & (worst == Status.OK), int(Status.OVERFLOW), worst)
    if plan.before:
        worst = jnp.where(settled | (worst == Status.BAD_PARAMETER), worst, int(Status.UNSETTLED))
    return recorded, seen, totals, worst.astype(jnp.int8), error + by.error(y, track), *kept


def _kept(amount: Any, kept: Any) -> Any:
    if isinstance(amount, Infusion):
        return Infusion(jnp.asarray(amount.amount, float) * kept, jnp.asarray(amount.over, float))
    return jnp.asarray(amount, float) * kept


def _amounts(twin: Twin, given: Mapping[str, Any]) -> dict[str, Any]:
    whole = {name: dose.amount if isinstance(dose, Infusion) else dose for name, dose in given.items()}
    return {action.name: whole.get(action.name, jnp.zeros(())) for action in twin.actions}


def _health(twin: Twin, y: Any, p: Any, true: Mapping[str, Any]) -> jax.Array:
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves((y, dict(true)))]))
    inside = jnp.all(
        jnp.stack([(true[item.name] >= item.bounds[0]) & (true[item.name] <= item.bounds[1]) for item in twin.outputs])
    )
    status = jnp.where(inside, int(Status.OK), int(Status.OUT_OF_BOUNDS))
    if twin.trouble:  # what it knows of itself tells more than an outcome that is beyond its bounds
        own = twin.trouble(y, p)
        status = jnp.where(own > int(Status.OK), own, status)
    return jnp.where(finite, status, int(Status.NOT_FINITE))


def _within_bounds(twin: Twin, p: Any) -> jax.Array:
    inside = [
        (getattr(p, item.name) >= item.bounds[0]) & (getattr(p, item.name) <= item.bounds[1]) for item in twin.variables
    ]
    return jnp.where(jnp.all(jnp.stack(inside)), int(Status.OK), int(Status.BAD_PARAMETER))
