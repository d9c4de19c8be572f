"""Derivatives of a life: how what happens to a patient moves with each of his numbers."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers.engine import Engine
from solvers.policy import Policy
from solvers.solve import Lives, Plan, life
from solvers.twin import Twin

WIDTH = 64  # patients at a time: every one carries a tangent for each number


class Slopes(NamedTuple):
    """Lives, and their derivatives by each number, last axis.

    recorded: outcome -> (patient, record, number). folds: name -> (patient, number). What a policy decides by
    comparing (a limit crossed at a visit) is taken as decided: a derivative sees no jump.
    """

    lives: Lives
    recorded: dict[str, np.ndarray]
    folds: dict[str, np.ndarray]


def slopes(
    twin: Twin, policy: Policy, plan: Plan, seed: int, engine: Engine, numbers: Sequence[str]
) -> Callable[..., Slopes]:
    """Compiles one arm with its derivatives by forward mode.

    Returns solve(patients, values) -> Slopes, as `solvers.solve.solver`.

    numbers: parameters and covariates by which to differentiate. Raises ValueError for one that the twin lacks or that
    has levels.
    """
    _check(twin, numbers)

    def one(patient: Any, values: Mapping[str, Any]) -> tuple:
        fixed = {name: value for name, value in values.items() if name not in numbers}

        def lived(moved: Mapping[str, Any]) -> tuple:
            whole = Lives(*life(twin, policy, plan, seed, engine, patient, fixed | dict(moved), policy.numbers))
            return (whole.recorded, whole.folds), whole

        derived, whole = jax.jacfwd(lived, has_aux=True)({name: values[name] for name in numbers})
        stack = functools.partial(jnp.stack, axis=-1)
        recorded, folds = ({name: stack([by[n] for n in numbers]) for name, by in part.items()} for part in derived)
        return whole, recorded, folds

    compiled = jax.jit(jax.vmap(one))
    return lambda patients, values: Slopes(*_blocks(twin, compiled, patients, values))


def gradients(
    twin: Twin,
    policy: Policy,
    plan: Plan,
    seed: int,
    engine: Engine,
    numbers: Sequence[str],
    of: Callable[[Mapping[str, Any], Mapping[str, Any]], Any],
) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Compiles one number of a life with its derivatives by reverse mode: all of them at the cost of a few lives.

    of(recorded, folds) -> the number, from what Lives has of one patient. Returns solve(patients, values) -> the
    numbers, (patient,), and their derivatives, (patient, number). Steps are as fine everywhere as the engine has them
    anywhere. Raises ValueError as `slopes`, and for a stiff twin, whose method goes forwards only.
    """
    _check(twin, numbers)
    if engine.tier == "stiff":
        raise ValueError(f"twin '{twin.name}' is stiff, and has no derivatives by reverse mode; take those by forward")
    # Machine code and steps whose number is data have no way back.
    back = engine.everywhere()._replace(code="jax")

    def one(patient: Any, values: Mapping[str, Any]) -> tuple:
        def lived(moved: Mapping[str, Any]) -> Any:
            fixed = {name: value for name, value in values.items() if name not in numbers}
            whole = Lives(*life(twin, policy, plan, seed, back, patient, fixed | dict(moved), policy.numbers))
            return of(whole.recorded, whole.folds)

        value, derived = jax.value_and_grad(lived)({name: values[name] for name in numbers})
        return value, jnp.stack([derived[name] for name in numbers])

    compiled = jax.jit(jax.vmap(one))
    return lambda patients, values: _blocks(twin, compiled, patients, values)


def _check(twin: Twin, numbers: Sequence[str]) -> None:
    known = {variable.name: variable for variable in twin.variables}
    for name in numbers:
        if name not in known:
            raise ValueError(f"'{name}' is no number of twin '{twin.name}'; write some of: {', '.join(known)}")
        if getattr(known[name], "levels", ()):
            raise ValueError(f"'{name}' has levels, and no derivative; leave it out")


def _blocks(twin: Twin, compiled: Callable, patients: np.ndarray, values: Mapping[str, np.ndarray]) -> Any:
    """What a program gives for all patients, block by block."""
    names, parts = [variable.name for variable in twin.variables], []
    for start in range(0, len(patients), WIDTH):
        lanes = np.minimum(np.arange(start, start + WIDTH), len(patients) - 1)  # padding repeats the last patient
        parts.append(compiled(patients[lanes], {name: np.asarray(values[name], float)[lanes] for name in names}))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(patients)], *parts)
