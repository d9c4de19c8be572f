"""The choice of the tier for stiff twins: how tight its implicit method must be, learnt from pilot patients."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from solvers import stiff
from solvers.engine import Engine
from solvers.lived import factor, finely, kept
from solvers.policy import Policy
from solvers.solve import Plan
from solvers.twin import Twin

TIGHT = 1e-3  # of the tolerance: of the method when the pilots are solved for reference
LEAST = 1e-6  # of a state, relative to which it is solved then, as no one knows its size yet
TRIED = (1.0, 0.1, 0.01)  # of the tolerance


def choose(
    twin: Twin,
    policy: Policy,
    plan: Plan,
    seed: int,
    patients: np.ndarray,
    values: Mapping[str, np.ndarray],
    tolerance: float,
) -> Engine:
    """As `solvers.pilots.choose`. Raises ValueError where the pilots cannot be solved to the tolerance."""
    assert twin.ode is not None
    ode = twin.ode
    begun = Engine("stiff", tolerance, floors=(LEAST,) * len(ode.states), rtol=TIGHT * tolerance)
    lived, engine = finely(twin, policy, plan, seed, begun, 0)(patients, values, begun, 1)
    engine = engine._replace(counts=(), halvings=())
    if lived.p:
        start = lived.acted[:, :, 0]
        jumps = np.moveaxis(lived.acted[:, :, 1:] - lived.ended[:, :, :-1], 2, 0)
        jumps = np.concatenate([jumps, np.zeros((1, *start.shape))])

        def again(y: Any, p: Any, jumps: Any, rtol: Any) -> tuple:
            def tick(carry: tuple, added: Any) -> tuple:
                y, time, total = carry
                y, error = stiff.step(ode.field, y, p, time, plan.tick, rtol, engine.floors)
                seen = twin.observe(y, p, time + plan.tick)
                y = ode.state(*(a + b for a, b in zip(y, added, strict=True)))
                outputs = jnp.stack([jnp.asarray(seen[item.name], float) for item in twin.outputs])
                return (y, time + plan.tick, total + error), outputs

            outputs: Any
            begin = (ode.state(*y), jnp.zeros(()), jnp.zeros(()))
            (_, _, total), outputs = jax.lax.scan(tick, begin, jumps)
            return outputs, total

        replayed = jax.jit(jax.vmap(again, in_axes=(1, 0, 2, None), out_axes=(2, 0)))

        def replay(rtol: float) -> tuple[np.ndarray, np.ndarray]:
            outputs, gathered = replayed(start, lived.p, jumps, rtol)
            return np.asarray(outputs), np.asarray(gathered)

        truth, _ = replay(TIGHT * tolerance)
        for share in TRIED:
            told = kept(engine._replace(rtol=share * tolerance), *replay(share * tolerance), truth)
            if told is not None:
                finer = factor(*replay(told.finer().rtol), truth)
                return told._replace(finer_factor=max(told.factor, finer))
    raise ValueError(
        f"the {len(patients)} pilot patients of twin '{twin.name}' cannot be solved to a tolerance of {tolerance:g} by "
        f"an explicit or an implicit method; look at its parameters, ask for less, or take shorter ticks"
    )
