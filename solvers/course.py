"""The course of many patients under amounts that are given beforehand: no policy looks at them, so that whole courses
run in machine code."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers import exact
from solvers.code import code, equations
from solvers.code import exactly as scheme_of
from solvers.delivery import room
from solvers.engine import PAIRS, TOLERANCE, Engine
from solvers.pilots import choose
from solvers.policy import Infusion, Policy
from solvers.solve import ADAPTED, ALONE, Plan, solver
from solvers.status import Status
from solvers.twin import Twin

BLOCK = 8192  # patients at a time


class Course(NamedTuple):
    """outputs: by name, (point, patient), at the ends of ticks and the start; what is given at a point comes after it.
    error: (patient,), estimated, relative to |output| + 0.001 max |output|. status: (patient,) of Status."""

    outputs: dict[str, np.ndarray]
    error: np.ndarray
    status: np.ndarray


def course(
    twin: Twin,
    tick: float,
    amounts: Mapping[str, np.ndarray],
    pilots: Mapping[str, np.ndarray],
    tolerance: float = TOLERANCE,
    over: Mapping[str, np.ndarray] | None = None,
    exactly: bool = True,
) -> tuple[Callable[[Mapping[str, np.ndarray]], Course], Engine]:
    """Prepares solve(values) -> Course, and tells the engine that it uses.

    tick [h]; amounts: of the twin's actions by name, (tick,) each, given at the starts of ticks. pilots, values:
    parameters and covariates by name, (patient,). over: for how long each amount is infused [h], (tick,) each, by the
    names of those that are. exactly: whether the exact tier may be taken.
    Raises ValueError for an action that there is not, for amounts of different lengths, and where an action does not
    add to the states.
    """
    known = [action.name for action in twin.actions]
    for name, values in amounts.items():
        if name not in known:
            raise ValueError(f"twin '{twin.name}' has no action '{name}'; write one of: {', '.join(known) or '(none)'}")
        if not np.isfinite(values).all():
            raise ValueError(f"an amount of '{name}' is not finite; give numbers")
    over = dict(over or {})
    for name, values in over.items():
        if name not in amounts or not (np.isfinite(values).all() and np.min(values, initial=0.0) >= 0.0):
            raise ValueError(f"'{name}' is infused over {values} h; give its amounts too, and times of at least 0 h")
    lengths = {len(values) for values in (*amounts.values(), *over.values())}
    if len(lengths) != 1 or not tick > 0:
        raise ValueError(f"amounts have lengths {sorted(lengths)} and ticks {tick:g} h; give one a tick, of above 0 h")
    ticks = lengths.pop()
    table = {name: np.asarray(values, float) for name, values in amounts.items()}

    def decide(time: Any, seen: Any, memory: Any, settings: Any) -> tuple:
        now = jnp.round(time / tick).astype(int)
        given: dict[str, Any] = {name: jnp.asarray(values)[now] for name, values in table.items()}
        for name, values in over.items():
            given[name] = Infusion(given[name], jnp.asarray(values)[now])
        return given, memory

    longest = max((float(np.max(values, initial=0.0)) for values in over.values()), default=0.0)
    policy = Policy("as given", lambda p, settings: (), decide, by_patient=False, longest=longest)
    outputs = tuple(item.name for item in twin.outputs)
    plan = Plan(tick, ticks, tuple(range(ticks + 1)), (0,), outputs)
    numbers = np.arange(len(next(iter(pilots.values()))))
    engine = choose(twin, policy, plan, 0, numbers, pilots, tolerance, exactly)
    whole = solver(twin, policy, plan, 0, engine, BLOCK)
    adaptive = solver(twin, policy, plan, 0, Engine("own", tolerance), ALONE)

    def alone(values: Mapping[str, np.ndarray]) -> tuple[Course, np.ndarray]:
        count, parts = len(next(iter(values.values()))), []
        for start in range(0, count, ALONE):
            some = {name: each[start : start + ALONE] for name, each in values.items()}
            lives = adaptive(np.arange(len(next(iter(some.values())))), some)
            error = np.where(lives.status == Status.OK, ADAPTED, np.nan)
            parts.append(Course({name: lives.recorded[name].T for name in outputs}, error, lives.status))
        found = _joined(parts)
        seen = np.stack(list(found.outputs.values()), 1)
        return found, np.stack([seen.min(0), seen.max(0)])

    # Machine code takes whole courses on one mesh; events within ticks are each patient's own.
    together = engine.code == "c" and not room(twin, policy, tick, plan.late)
    fast = _fast(twin, engine, tick, ticks, table) if together else None
    finer: list[Callable[..., tuple[Course, np.ndarray]]] = [alone]
    if together:
        finer.insert(0, _fast(twin, engine.finer(), tick, ticks, table))

    def solve(values: Mapping[str, np.ndarray]) -> Course:
        count = len(next(iter(values.values())))
        parts = []
        for start in range(0, count, BLOCK):
            part = {name: np.asarray(each, float)[start : start + BLOCK] for name, each in values.items()}
            if fast is None:
                lives = whole(np.arange(len(next(iter(part.values())))), part)
                parts.append(Course({name: lives.recorded[name].T for name in outputs}, lives.error, lives.status))
            else:
                parts.append(_sound(twin, *fast(part), part, engine, finer))
        return _joined(parts)

    return solve, engine


def _joined(parts: list[Course]) -> Course:
    if len(parts) == 1:
        return parts[0]
    outputs = {name: np.concatenate([part.outputs[name] for part in parts], 1) for name in parts[0].outputs}
    return Course(outputs, *(np.concatenate([part[i] for part in parts]) for i in (1, 2)))


def _fast(
    twin: Twin, engine: Engine, tick: float, ticks: int, table: Mapping[str, np.ndarray]
) -> Callable[[Mapping[str, np.ndarray]], tuple[Course, np.ndarray]]:
    """solve(values) -> Course, before anyone's status is known, and (2, output, patient): least and largest outputs."""
    found = equations(twin)
    assert found is not None and twin.ode is not None
    march = _march(twin, engine, tick)
    ode, names = twin.ode, tuple(item.name for item in twin.outputs)
    given = np.array([table[name] for name in table]).T  # (tick, action)
    distinct, which = np.unique(given, axis=0, return_inverse=True)

    def begun(values: Mapping[str, Any]) -> tuple:
        p = twin.namespace(values)
        y = twin.initial(p)
        other = ode.state(*(2.0 * each + 1.0 for each in y))

        def added(amounts: Any, y: Any) -> Any:
            after = ode.jump(y, twin.action(**dict(zip(table, amounts, strict=True))), p)
            return jnp.stack(after) - jnp.stack(y)

        jumps = [added(amounts, y) for amounts in distinct]
        odd = [jnp.max(jnp.abs(jump - added(amounts, other))) for jump, amounts in zip(jumps, distinct, strict=True)]
        numbers = found.parameters(p), found.tables(p)
        return jnp.stack(y), *numbers, jnp.stack(jumps), jnp.max(jnp.stack(odd))

    compiled = jax.jit(jax.vmap(begun, out_axes=(1, 0, 1, 2, 0)))

    def fast(values: Mapping[str, np.ndarray]) -> tuple[Course, np.ndarray]:
        count = len(next(iter(values.values())))
        # As many lanes as a power of two: other numbers of patients need no other program.
        lanes = np.minimum(np.arange(1 << (count - 1).bit_length()), count - 1)
        y, p, tables, jumps, odd = jax.tree.map(
            lambda leaf: np.asarray(leaf)[..., :count], compiled({name: each[lanes] for name, each in values.items()})
        )
        if np.nanmax(odd, initial=0.0) > 1e-9 * (1.0 + np.nanmax(np.abs(jumps), initial=0.0)):
            raise ValueError(f"an action of twin '{twin.name}' does not add to its states; run it as a study")
        # Whoever is beside him, a patient meets a jump at the same ticks.
        wanted = [jump if act or jump.any() else None for jump, act in zip(jumps, distinct.any(1), strict=True)]
        y, error, seen, ranges = march(y, np.stack(p), tables, [wanted[i] for i in which.ravel()])
        outputs = {name: seen[:, i] for i, name in enumerate(names)}
        return Course(outputs, engine.told(error), np.full(count, int(Status.OK), np.int8)), ranges

    return fast


def _march(twin: Twin, engine: Engine, tick: float) -> Callable[..., tuple]:
    """march(y, p, tables, jumps): (state, patient), (parameter, patient), (row, patient) each, one a tick.

    As `exact.Marched`, of all ticks.
    """
    if engine.tier == "exact":
        scheme = scheme_of(twin)
        built = exact.machine(scheme.stepper) if scheme else None
        assert built is not None
        return lambda y, p, tables, jumps: built.march(
            0.0, tick, y, p, engine.counts, engine.halvings, engine.norm, jumps
        )
    machine, ticks = code(twin, PAIRS[engine.pair]), len(engine.counts)
    assert machine is not None
    march, record = machine.library.march, np.ones(ticks + 1, bool)
    mesh = engine.counts, engine.halvings, np.full(ticks, tick), engine.floors

    def marched(y: np.ndarray, p: np.ndarray, tables: Sequence[np.ndarray], jumps: list) -> tuple:
        return march(0.0, y, p, *mesh, jumps, record, tables)

    return marched


def _sound(
    twin: Twin,
    found: Course,
    ranges: np.ndarray,
    values: Mapping[str, np.ndarray],
    engine: Engine,
    finer: Sequence[Callable[[Mapping[str, np.ndarray]], tuple[Course, np.ndarray]]],
) -> Course:
    """With those solved again, more and more finely, whose error is beyond the tolerance; and the status of each."""
    sound = np.ones(len(found.error), bool)
    for variable in twin.variables:
        low, high = variable.bounds
        sound &= (values[variable.name] >= low) & (values[variable.name] <= high)
    for better in finer:
        again = np.flatnonzero(sound & ~(found.error <= engine.tolerance))
        if not len(again):
            break
        new, ranges[..., again] = better({name: each[again] for name, each in values.items()})
        for name, seen in new.outputs.items():
            found.outputs[name][:, again] = seen
        found.error[again], found.status[again] = new.error, new.status
    for item, least, largest in zip(twin.outputs, *ranges, strict=True):
        found.status[~((least >= item.bounds[0]) & (largest <= item.bounds[1]))] = int(Status.OUT_OF_BOUNDS)
        found.status[~np.isfinite(least + largest)] = int(Status.NOT_FINITE)
    found.status[~sound] = int(Status.BAD_PARAMETER)
    found.status[(found.status == Status.OK) & ~(found.error <= engine.tolerance)] = int(Status.INACCURATE)
    return found
