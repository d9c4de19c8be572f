"""The choice of a rule from pilot patients: the fewest steps that keep the tolerance with room to spare."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from solvers.exact import exponential
from solvers.exact.march import solver
from solvers.exact.rule import Rule
from solvers.exact.step import Stepper
from solvers.exact.structure import Structure
from solvers.explicit import steps

NODES = 3
FINE = (4, 5)  # nodes and halvings of the pilots' own solution, in parts of an interval
PARTS = 16
MOST = 9  # halvings of a first step
MARGIN = 2.0  # the scale of the estimate is this times the worst that a pilot needs
ROUNDING = 1e-12
LEAST_SCALE = 1e-3
SAFETY = 3.0  # and the pilots keep the tolerance divided by this


def choose(
    structure: Structure,
    rhs: Callable,
    outputs: Callable,
    pilots_y: Any,
    pilots_p: Any,
    intervals: Any,
    jumps: Any,
    tolerance: float,
) -> Rule:
    """The rule for these intervals.

    pilots_y: (state, pilot); pilots_p: (parameter, pilot); intervals: (interval,); jumps: (interval, state, pilot or
    1) or None. tolerance: of outputs, relative as `march` has it. Every interval gets the cheapest mesh by which no
    pilot errs, from the right start, more than a share of the tolerance; the share shrinks until whole lives keep it.
    Raises ValueError where no mesh does.
    """
    y, p, lengths = np.asarray(pilots_y, float), np.asarray(pilots_p, float), np.asarray(intervals, float)
    count = y.shape[1]
    where: tuple[tuple[int, ...], ...] = ((),) * len(lengths)
    if jumps is not None:
        where = tuple(tuple(int(i) for i in np.flatnonzero(np.any(each != 0, axis=1))) for each in np.asarray(jumps))
    stepper = Stepper(structure, rhs, outputs, NODES, lanes=True)
    norms = np.asarray(jax.jit(lambda p: stepper.patient(tuple(p)).norm)(p))
    norm = 2.0 * float(np.max(np.broadcast_to(norms, (count,)), initial=0.0))
    if not np.isfinite(norm):
        raise ValueError("a pilot's linear block is not finite; look at its parameters")
    blank = Rule(NODES, ((1, 0),) * len(lengths), (1, 0), norm, float(lengths.max()), where, 1.0, np.inf)
    if not structure.driven:
        return blank._replace(tolerance=tolerance)

    fine = blank._replace(nodes=FINE[0], mesh=((PARTS, FINE[1]),) * len(lengths))

    def whole(t: Any, y: Any, p: Any) -> tuple:
        return (*y, *outputs(t, y, p))

    right = solver(structure, rhs, whole, fine).march(0.0, y, p, lengths, jumps).outputs
    states, seen = right[:, : structure.n_states], right[:, structure.n_states :]
    scale = np.abs(seen) + 1e-3 * np.abs(seen).max(axis=0)
    starts = states[:-1] + (0.0 if jumps is None else np.asarray(jumps, float))
    begins = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    uncertain = np.array(stepper.uncertain)

    meshes = sorted(
        ((parts, halvings) for parts in (1, 2, 4, 8, 16) for halvings in range(MOST + 1)), key=lambda m: (sum(m), m)
    )
    once = jax.jit(_once(structure, rhs, outputs, norm, float(lengths.max())))
    errors: dict[tuple[int, int], np.ndarray] = {}

    def local(mesh: tuple[int, int]) -> np.ndarray:
        """The largest error of an output at the end of each interval, relative."""
        if mesh not in errors:
            ends = np.asarray(once(*mesh, begins, lengths, starts, p))
            gaps = np.abs(ends - seen[1:]) / np.maximum(scale[1:], 1e-300)
            errors[mesh] = gaps[:, uncertain].max(axis=(1, 2), initial=0.0)
        return errors[mesh]

    share = 0.3
    while share > 1e-4:
        chosen: list = [None] * len(lengths)
        for mesh in meshes:
            open_ = [k for k, each in enumerate(chosen) if each is None]
            if not open_:
                break
            if sum(mesh) > 20:
                continue
            found = local(mesh)
            for k in open_:
                if found[k] <= share * tolerance:
                    chosen[k] = mesh
        if any(each is None for each in chosen):
            raise ValueError(f"no mesh keeps the tolerance {tolerance:g} in interval {chosen.index(None)}; loosen it")
        tick = (max(parts for parts, _ in chosen), max(halvings for _, halvings in chosen))
        rule = blank._replace(mesh=tuple(chosen), tick=tick)
        tried = solver(structure, rhs, outputs, rule).march(0.0, y, p, lengths, jumps)
        gaps = np.abs(tried.outputs - seen) / np.maximum(scale, 1e-300)
        true = gaps[:, uncertain].max(axis=(0, 1), initial=0.0)
        if true.max() <= tolerance / SAFETY:
            # What is of the size of rounding says nothing of the rule.
            ratio = true[true > ROUNDING] / np.maximum(tried.error[true > ROUNDING], ROUNDING)
            return rule._replace(scale=MARGIN * float(ratio.max(initial=LEAST_SCALE)), tolerance=tolerance)
        share /= 2.0
    raise ValueError(f"no mesh keeps the tolerance {tolerance:g} over whole lives; loosen it")


def _once(structure: Structure, rhs: Callable, outputs: Callable, norm: float, longest: float) -> Callable:
    """Every interval of every pilot, each from its own start, by a mesh that is data.

    (count, halvings, begins (interval,), lengths (interval,), starts (interval, state, pilot), p (parameter, pilot))
    -> outputs at the ends (interval, output, pilot).
    """
    stepper = Stepper(structure, rhs, outputs, NODES, lanes=False)
    times = exponential.squarings(norm, longest)

    def one(count: Any, halvings: Any, begin: Any, length: Any, y: Any, p: Any) -> Any:
        patient = stepper.patient(tuple(p[i] for i in range(structure.n_parameters)))
        states = {i: y[i] for i in range(structure.n_states)}
        error = {each.state: jnp.zeros(()) for each in structure.driven}

        def step(i: Any, carry: tuple) -> tuple:
            t, states, error = carry
            eta = steps(length, count, halvings, i)
            first = stepper.begin(patient, t, states)
            states, error, _ = stepper.step(patient, stepper.known(patient, eta, times), t, eta, states, error, first)
            return t + eta, states, error

        t, states, error = jax.lax.fori_loop(0, count + halvings, step, (begin, states, error))
        return jnp.stack(stepper.outputs(patient, t, states, error)[0])

    pilots = jax.vmap(one, in_axes=(None, None, None, None, -1, -1), out_axes=-1)
    return jax.vmap(pilots, in_axes=(None, None, 0, 0, 0, None))
