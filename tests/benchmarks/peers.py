"""The same tasks by solvers that others wrote: numbalsoda, diffrax, SciPy.

Each takes parameters, (parameter, patient), and gives outputs, (time, output, patient).
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from models import Task, flat
from scipy.integrate import solve_ivp

from solvers import lanes

RTOL, ATOL = 1e-6, 1e-9  # of all peers; at these numbalsoda meets the errors that are asked
LANES = 512  # of diffrax
HERE = importlib.util.find_spec("numbalsoda") is not None


def segments(task: Task) -> list[np.ndarray]:
    """The times between one dose and the next, both ends in."""
    starts = task.doses if len(task.doses) else np.zeros(1)
    ends = [*starts[1:], task.times[-1]]
    return [task.times[(task.times >= a) & (task.times <= b)] for a, b in zip(starts, ends, strict=True)]


def _observed(task: Task) -> Callable[..., np.ndarray]:
    outputs = flat(task)[1]
    return jax.jit(jax.vmap(jax.vmap(lambda y, p: jnp.stack(outputs(0.0, tuple(y), tuple(p))), (0, None)), (2, 1), 2))


def _source(task: Task) -> str:
    """The right-hand side as numba reads it, from the same equations."""
    program = lanes.program(*flat(task), task.states, task.parameters)
    infix = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
    lines = []
    for i, node in enumerate(program.nodes):
        args = [f"v{j}" for j in node.args]
        match node.op:
            case "constant":
                value = repr(float(node.given))
            case "state":
                value = f"u[{node.given}]"
            case "parameter":
                value = f"p[{node.given}]"
            case "time":
                value = "t"
            case "neg":
                value = f"-{args[0]}"
            case op if op in infix:
                value = f" {infix[op]} ".join(args)
            case op:
                value = f"math.{op}({', '.join(args)})"
        lines.append(f"    v{i} = {value}")
    lines += [f"    du[{i}] = v{node}" for i, node in enumerate(program.slopes)]
    return "def rhs(t, u, du, p):\n" + "\n".join(lines) + "\n"


def numbalsoda(task: Task) -> Callable[[np.ndarray], np.ndarray]:
    import math

    import numba
    from numbalsoda import lsoda, lsoda_sig

    space: dict[str, Any] = {"math": math}
    exec(_source(task), space)
    address = numba.cfunc(lsoda_sig)(space["rhs"]).address
    parts, dose, observe = segments(task), task.dose, _observed(task)
    firsts = np.array([int(np.searchsorted(task.times, part[0])) for part in parts])
    lengths = np.array([len(part) for part in parts])
    times = task.times

    @numba.njit
    def march(y: np.ndarray, p: np.ndarray, out: np.ndarray) -> None:
        for i in range(p.shape[0]):
            u, data = y[i].copy(), p[i].copy()
            for k in range(len(firsts)):
                u[0] += dose
                at, many = firsts[k], lengths[k]
                usol, _ = lsoda(address, u, times[at : at + many], data, RTOL, ATOL, 100000)
                # A sample at the time of a dose is taken before it.
                first = 0 if k == 0 and dose == 0.0 else 1
                for j in range(first, many):
                    out[i, at + j] = usol[j]
                u = usol[many - 1].copy()

    def solve(p: np.ndarray) -> np.ndarray:
        y = task.initial(p)
        out = np.empty((p.shape[1], len(times), len(task.states)))
        out[:, 0] = y.T
        march(np.ascontiguousarray(y.T), np.ascontiguousarray(p.T), out)
        return np.asarray(observe(np.moveaxis(out, 0, 2), p))

    return solve


def by_diffrax(task: Task) -> Callable[[np.ndarray], np.ndarray]:
    rhs, _ = flat(task)
    parts, observe = segments(task), _observed(task)
    controller = diffrax.PIDController(rtol=RTOL, atol=ATOL)

    def one(y: Any, p: Any) -> Any:
        seen = [y[None]]
        for part in parts:
            y = y.at[0].add(task.dose)
            solution = diffrax.diffeqsolve(
                diffrax.ODETerm(lambda t, y, p: jnp.stack(rhs(t, tuple(y), tuple(p)))),
                diffrax.Tsit5(),
                part[0],
                part[-1],
                None,
                y,
                p,
                saveat=diffrax.SaveAt(ts=part[1:]),
                stepsize_controller=controller,
                max_steps=100_000,
            )
            seen.append(solution.ys)
            y = solution.ys[-1]
        return jnp.concatenate(seen)

    compiled = jax.jit(jax.vmap(one, (1, 1), 2))

    def solve(p: np.ndarray) -> np.ndarray:
        ends = []
        for start in range(0, p.shape[1], LANES):
            part = p[:, np.minimum(np.arange(start, start + LANES), p.shape[1] - 1)]
            ends.append(np.asarray(compiled(task.initial(part), part)))
        return np.asarray(observe(np.concatenate(ends, 2)[..., : p.shape[1]], p))

    return solve


def by_scipy(task: Task) -> Callable[[np.ndarray], np.ndarray]:
    space: dict[str, Any] = {"math": __import__("math")}
    exec(_source(task), space)
    parts, observe = segments(task), _observed(task)

    def field(t: float, y: np.ndarray, p: list[float], into: list[float]) -> list[float]:
        space["rhs"](t, y, into, p)
        return into

    def solve(p: np.ndarray) -> np.ndarray:
        out = np.empty((len(task.times), len(task.states), p.shape[1]))
        for i in range(p.shape[1]):
            y = task.initial(p[:, i : i + 1])[:, 0]
            out[0, :, i] = y
            into = [0.0] * len(y)
            for part in parts:
                y = y + np.eye(len(y))[0] * task.dose
                found = solve_ivp(
                    functools.partial(field, p=p[:, i].tolist(), into=into),
                    (part[0], part[-1]),
                    y,
                    "LSODA",
                    part[1:],
                    rtol=RTOL,
                    atol=ATOL,
                )
                at = int(np.searchsorted(task.times, part[0])) + 1
                out[at : at + len(part) - 1, :, i] = found.y.T
                y = found.y[:, -1]
        return np.asarray(observe(out, p))

    return solve
