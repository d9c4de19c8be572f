"""Many patients over many intervals."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers.exact.blocks import Blocks
from solvers.exact.exponential import squarings
from solvers.exact.machine import Machine, NoCompiler
from solvers.exact.plan import planned
from solvers.exact.rule import Rule, jumping, levels
from solvers.exact.step import Stepper
from solvers.exact.structure import Structure

Code = Literal["c", "jax"]
ATTEMPTS = 3  # rules, each finer than the one before, that a patient is given


class Marched(NamedTuple):
    """y: (state, patient). error: (patient,), as estimated, relative. outputs: (record, output, patient)."""

    y: np.ndarray
    error: np.ndarray
    outputs: np.ndarray


class Solver(NamedTuple):
    """march(time, y, p, intervals, jumps=None, record=None) -> Marched; advance(t, length, y, p) -> (y, error).

    `advance` is one patient's, pure, and absolute in its error: one number, the largest of the driven states'.
    code: what `march` runs; the last bits depend on it.
    """

    rule: Rule
    code: Code
    march: Callable[..., Marched]
    advance: Callable[[Any, Any, tuple, tuple], tuple[tuple, Any]]


def solver(structure: Structure, rhs: Callable, outputs: Callable, rule: Rule, code: Code | None = None) -> Solver:
    """Solves rhs(t, y, p) of this structure by one rule. outputs(t, y, p) -> tuple of scalars.

    code: None takes C where it can be had. Raises ValueError, with the reason, where C is asked for and cannot.
    """
    alone = Stepper(structure, rhs, outputs, rule.nodes, lanes=False)
    run: Any = None
    if code != "jax":
        try:
            run = Machine(alone, jumping(rule)).march
        except NoCompiler as error:
            if code == "c":
                raise ValueError(f"no machine code: {error}; leave `code` out to have JAX instead") from error
    code = "c" if run else "jax"
    run = run or Blocks(Stepper(structure, rhs, outputs, rule.nodes, lanes=True)).march

    def march(time: float, y: Any, p: Any, intervals: Any, jumps: Any = None, record: Any = None) -> Marched:
        """Lives of n patients.

        y: (state, n); p: (parameter, n); intervals: (interval,) lengths; jumps: (interval, state, n or 1), added before
        the interval; record: (interval + 1,), where outputs are kept, each before the jump of its point (None: all).
        Error: the largest over the life of |error| / (|output| + 0.001 max |output| so far). Who is over the rule's
        tolerance is solved again by finer rules, alone; inf or NaN where that does not help.
        Raises ValueError for shapes that do not fit, and for a jump that the rule has no place for.
        """
        y, p, lengths = np.asarray(y, float), np.asarray(p, float), np.asarray(intervals, float)
        kept = np.ones(len(lengths) + 1, bool) if record is None else np.asarray(record, bool)
        _check(structure, rule, y, p, lengths, jumps, kept)
        doses = _doses(rule, jumps)

        def solved(rule: Rule, lanes: Any) -> tuple:
            own = doses if doses.shape[2] == 1 else doses[..., lanes]
            return run(rule, planned(rule, tuple(lengths), tuple(kept)), time, y[:, lanes], p[:, lanes], own)

        found = Marched(*solved(rule, slice(None)))
        finite = np.isfinite(y).all(axis=0) & np.isfinite(p).all(axis=0)
        finer = rule
        for _ in range(ATTEMPTS):
            over = np.flatnonzero(finite & ~(found.error <= rule.tolerance))
            if not len(over):
                break
            finer = finer.finer()
            for whole, part in zip(found, solved(finer, over), strict=True):
                whole[..., over] = part
        return found

    return Solver(rule, code, march, functools.partial(_advance, alone, rule))


def _doses(rule: Rule, jumps: Any) -> np.ndarray:
    """(1 + intervals with a jump, states that jump, n or 1); the first row is zero."""
    when = [k for k, states in enumerate(rule.jumps) if states]
    if jumps is None or not when:
        return np.zeros((1 + len(when), len(jumping(rule)), 1))
    given = np.asarray(jumps, float)[np.ix_(when, jumping(rule))]
    return np.concatenate([np.zeros_like(given[:1]), given])


def _check(structure: Structure, rule: Rule, y: Any, p: Any, lengths: Any, jumps: Any, kept: Any) -> None:
    count = y.shape[-1]
    if y.shape != (structure.n_states, count) or p.shape != (structure.n_parameters, count) or not count:
        expected = f"({structure.n_states}, n) and ({structure.n_parameters}, n)"
        raise ValueError(f"{y.shape=} and {p.shape=} must be {expected} with n of at least 1")
    if lengths.shape != (len(rule.mesh),) or kept.shape != (len(rule.mesh) + 1,):
        raise ValueError(
            f"{lengths.shape=} and {kept.shape=}: the rule is for {len(rule.mesh)} intervals; choose another"
        )
    if jumps is None:
        return
    if np.shape(jumps)[:2] != (len(lengths), structure.n_states) or np.shape(jumps)[2] not in (1, count):
        raise ValueError(f"jumps have the shape {np.shape(jumps)}; write (interval, state, patient), or 1 for patient")
    at = [(interval, state) for interval, states in enumerate(rule.jumps) for state in states]
    unforeseen = np.ones((len(lengths), structure.n_states), bool)
    unforeseen[tuple(zip(*at, strict=True)) or ([], [])] = False
    if np.any(np.asarray(jumps)[unforeseen]):
        raise ValueError("a state jumps where the rule has no place for it; choose a rule with these jumps")


def _advance(stepper: Stepper, rule: Rule, t: Any, length: Any, y: tuple, p: tuple) -> tuple[tuple, Any]:
    """y after `length` from t, and the largest error of the driven states, in their units."""
    patient = stepper.patient(tuple(jnp.asarray(each, float) for each in p))
    count, halvings = rule.tick
    eta = length / count * 0.5**halvings
    matrices = stepper.small(patient, eta, 0.5 ** (times := squarings(rule.norm, rule.length / count * 0.5**halvings)))
    matrices = stepper.often_squared(matrices, times)
    table = [stepper.finished(patient, eta, matrices)]
    for level in reversed(range(halvings)):
        # The exponential of a step is the square of that of its half.
        matrices = stepper.often_squared(matrices, 1)
        table.append(stepper.finished(patient, length / count * 0.5**level, matrices))
    known = jax.tree.map(lambda *each: jnp.stack([jnp.asarray(value, float) for value in each]), *table)

    def step(carry: tuple, level: Any) -> tuple:
        t, states, error, first = carry
        eta = length / count * 0.5**level
        own = jax.tree.map(lambda leaf: leaf[halvings - level], known)
        states, error, first = stepper.step(patient, own, t, eta, states, error, first)
        return (t + eta, states, error, first), None

    states = {i: jnp.asarray(value, float) for i, value in enumerate(y)}
    begun = jnp.asarray(t, float)
    error = {each.state: jnp.zeros(()) for each in stepper.structure.driven}
    carry = (begun, states, error, stepper.begin(patient, begun, states))
    (_, states, error, _), _ = jax.lax.scan(step, carry, jnp.asarray(levels(count, halvings)))
    worst = rule.scale * jnp.max(jnp.stack([jnp.zeros(()), *error.values()]))
    # The squarings are those of the rule's own norm and length.
    worst = jnp.where(patient.norm * length <= rule.norm * rule.length * (1 + 1e-12), worst, jnp.inf)
    return tuple(states[i] for i in range(len(y))), worst
