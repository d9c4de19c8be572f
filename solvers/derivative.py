"""Derivatives of a life by forward mode: how what happens to a patient moves with each of his numbers."""

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
    """Compiles one arm with its derivatives. Returns solve(patients, values) -> Slopes, as `solvers.solve.solver`.

    numbers: parameters and covariates by which to differentiate. Raises ValueError for one that the twin lacks or that
    has levels.
    """
    known = {variable.name: variable for variable in twin.variables}
    for name in numbers:
        if name not in known:
            raise ValueError(f"'{name}' is no number of twin '{twin.name}'; write some of: {', '.join(known)}")
        if getattr(known[name], "levels", ()):
            raise ValueError(f"'{name}' has levels, and no derivative; leave it out")

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
    names = list(known)

    def solve(patients: np.ndarray, values: Mapping[str, np.ndarray]) -> Slopes:
        parts = []
        for start in range(0, len(patients), WIDTH):
            lanes = np.minimum(np.arange(start, start + WIDTH), len(patients) - 1)  # padding repeats the last patient
            parts.append(compiled(patients[lanes], {name: np.asarray(values[name], float)[lanes] for name in names}))
        joined = jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(patients)], *parts)
        return Slopes(*joined)

    return solve
