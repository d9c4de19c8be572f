"""Claim: a heart of 21 patches beats ten thousand times a CPU-second, and 2,000 patients settle in half a minute.

Whole beats of 425 steps (2 ms at 0.85 s) of hearts that differ, in float64, on one core: in machine code, with what is
seen of a beat and without, and as a plain scan by JAX, interleaved, medians. The share of elementary functions: what
is saved where each gives back its operand. Then 2,000 patients of the twin in two processes at once, from rest to the
steady baseline under the homeostat, and 10,000 drawn wide, every parameter by up to half: who has which status.
    ./dev bench heart
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from solvers import lanes, twins
from solvers.lanes.compiler import built
from solvers.lanes.recurrence import SCHEDULED, Recurrence
from solvers.lanes.source import turning
from solvers.status import REASONS, Status
from solvers.twins.virtual_heart import life
from solvers.twins.virtual_heart.beat import STEPS, Lived, Means
from solvers.twins.virtual_heart.constants import constants, initial
from solvers.twins.virtual_heart.layout import constants_type, seen_start, state_type
from solvers.twins.virtual_heart.parameters import reference

ASKED, SETTLE = 10_000.0, 30.0  # beats per CPU-second, seconds
HEARTS, FEW, ROUNDS = 1_024, 64, 7
PATIENTS, WIDE, BLOCK = 2_000, 10_000, 500
LAYOUT = life.BEAT.layout
CHEAP = re.compile(r"\b(exp|log|tanh|sin|sin_near|pow)_\(")
SETTLED = """
import json, sys, time
began = time.process_time()
import numpy as np
import heart
solve = heart.baselines()
first = solve(heart.drawn(heart.BLOCK, 0, 0.0))
ready = time.process_time() - began
print("ready", flush=True)
sys.stdin.readline()
began, spent, sound = time.perf_counter(), time.process_time(), 0
for k in range(int(sys.argv[2]) // heart.BLOCK):
    sound += int((solve(heart.drawn(heart.BLOCK, 10 * int(sys.argv[1]) + k, 1.0)) == 1).sum())
print(json.dumps([ready, time.perf_counter() - began, time.process_time() - spent, sound]))
"""


def hearts(count: int) -> tuple[np.ndarray, np.ndarray]:
    """States and constants as rows, (heart, ...), of healthy hearts whose walls and pressures differ."""
    c = constants(reference(), np.zeros(len(LAYOUT.patches) - 2), 0.15, LAYOUT)
    rng = np.random.default_rng(1)
    numbers = np.repeat(np.stack(c)[None], count, 0)
    fields = constants_type(LAYOUT)._fields
    for name, sd in (("Am_ref", 0.1), ("Vw", 0.1), ("Sf_act", 0.2), ("control_MAP0", 0.1), ("cycle", 0.1)):
        own = np.exp(sd * rng.standard_normal(count))
        for i, field in enumerate(fields):
            if field.startswith(name):
                numbers[:, i] *= own
    return np.repeat(np.stack(initial(c, LAYOUT))[None], count, 0), numbers


def programs() -> dict[str, tuple[lanes.Program, np.ndarray]]:
    """Each kind of step, and what has been seen before a beat."""
    found, state, c = {}, state_type(LAYOUT), constants_type(LAYOUT)
    start = seen_start(LAYOUT)
    for step, nothing in (("step", start), ("brief_step", Means(0.0, 0.0))):
        shape = jax.tree.structure(Lived(state(*range(len(state._fields))), nothing))
        names = [f"y{k}" for k in range(shape.num_leaves)]

        def flat(i: Any, y: tuple, p: tuple, step: str = step, shape: Any = shape) -> tuple:
            return tuple(jax.tree.leaves(getattr(life.BEAT, step)(i, shape.unflatten(y), c(*p))))

        zero = np.array(jax.tree.leaves(nothing), float)
        found[step] = lanes.program(flat, lambda i, y, p: (), names, c._fields), zero
    return found


def by_code(code: Recurrence, states: np.ndarray, numbers: np.ndarray) -> Callable[[], Any]:
    run = jax.jit(jax.vmap(lambda y, p: code.turns(y, p, STEPS)))
    return lambda: jax.block_until_ready(run(states, numbers))


def by_scan(states: np.ndarray, numbers: np.ndarray) -> Callable[[], Any]:
    state, c = state_type(LAYOUT), constants_type(LAYOUT)

    def beat(x: Any, p: Any) -> Any:
        def one(y: Any, i: Any) -> tuple[Any, None]:
            lived = life.BEAT.brief_step(i, Lived(state(*y[:-2]), Means(y[-2], y[-1])), c(*p))
            return jnp.stack(jax.tree.leaves(lived)), None

        return jax.lax.scan(one, jnp.append(x, jnp.zeros(2)), jnp.arange(STEPS, dtype=float))[0]

    run = jax.jit(jax.vmap(beat), compiler_options={"xla_backend_optimization_level": 1})
    return lambda: jax.block_until_ready(run(states, numbers))


def drawn(count: int, seed: int, wide: float) -> dict[str, np.ndarray]:
    """Patients: by the twin's own spreads times `wide`, or, where that is negative, all by up to half."""
    twin, rng = twins.load("virtual-heart"), np.random.default_rng(seed)
    values = {name: np.full(count, value) for name, value in twin.typical().items()}
    for one in twin.parameters:
        if wide < 0.0:
            values[one.name] = one.typical * rng.uniform(0.5, 1.5, count)
        elif one.spread:
            values[one.name] = one.typical * np.exp(wide * one.spread.sd * rng.standard_normal(count))
    return values


def baselines() -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """Status of each patient at his baseline, as a run would tell it."""
    twin = twins.load("virtual-heart")

    def one(values: Any) -> Any:
        p = twin.namespace(values)
        y = twin.initial(p)
        seen = twin.observe(y, p, 0.0)
        inside = [(seen[item.name] >= item.bounds[0]) & (seen[item.name] <= item.bounds[1]) for item in twin.outputs]
        finite = jnp.all(jnp.isfinite(jnp.stack(list(seen.values())))) & jnp.all(jnp.isfinite(y.row))
        own = twin.trouble(y, p)
        inner = jnp.where(jnp.all(jnp.stack(inside)), int(Status.OK), int(Status.OUT_OF_BOUNDS))
        found = jnp.where(own > int(Status.OK), own, inner)
        return jnp.where(finite, found, int(Status.NOT_FINITE))

    run = jax.jit(jax.vmap(one))
    return lambda values: np.asarray(run(values))


def settled(cache: str) -> list[list[float]]:
    """Two processes at once, each with half of the patients: seconds to be ready, of the wall, of the processor; how
    many were sound."""
    command = [sys.executable, "-c", SETTLED]
    given = os.environ | {"TRIALTWIN_CACHE": cache}
    both = [
        subprocess.Popen(
            [*command, str(k), str(PATIENTS // 2)], env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for k in range(2)
    ]
    for each in both:
        assert each.stdout is not None
        each.stdout.readline()
    told = []
    for each in both:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in both:
        out, _ = each.communicate()
        told.append(json.loads(out.splitlines()[-1]))
    return told


def main() -> int:
    short = []
    states, numbers = hearts(HEARTS)
    runs: dict[str, tuple[Callable[[], Any], int]] = {}
    for step, (program, zero) in programs().items():
        code = lanes.recurrence(program)
        if code is None:
            print("there is no C compiler, and so no machine code")
            return 1
        rows = np.concatenate([states, np.repeat(zero[None], HEARTS, 0)], 1)
        runs["with what is seen" if step == "step" else "without"] = by_code(code, rows, numbers), HEARTS
        if step != "step":
            text = turning(program)
            start = text.index("static __attribute__((noinline)) void turn(")
            cheap = text[:start] + "INLINE vd cheap_(vd x) { return x; }\n" + CHEAP.sub("cheap_(", text[start:])
            plain = Recurrence(program, str(built(cheap, SCHEDULED)))
            runs["without, elementary functions left out"] = by_code(plain, rows, numbers), HEARTS
    runs["plain scan by JAX"] = by_scan(states[:FEW], numbers[:FEW]), FEW
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(ROUNDS + 1):
        for name, (run, many) in runs.items():
            began = time.process_time()
            run()
            if turn:  # the first compiles
                spent[name].append((time.process_time() - began) / many)
    print(f"{'beats of 21 patches, 425 steps':42}{'beats/CPU-s':>12}{'x scan':>8}")
    for name, took in spent.items():
        slow = statistics.median(b / a for a, b in zip(took, spent["plain scan by JAX"], strict=True))
        print(f"{name:42}{1 / statistics.median(took):12,.0f}{slow:8.1f}")
    rest = statistics.median(spent["without, elementary functions left out"]) / statistics.median(spent["without"])
    print(f"share of elementary functions: {1 - rest:.0%}")
    if 1 / statistics.median(spent["without"]) < ASKED:
        short.append("beats")

    with tempfile.TemporaryDirectory() as cache:
        cold, kept = settled(cache), settled(cache)
    wall, processor = max(each[1] for each in kept), sum(each[2] for each in kept)
    print(f"\n{PATIENTS:,} patients from rest to the baseline, two processes: {wall:.1f} s, {processor:.1f} CPU-s,")
    sound = sum(int(each[3]) for each in kept)
    print(f"  {sound:,} sound; imported and compiled in {cold[0][0]:.1f} CPU-s, from the cache in {kept[0][0]:.1f}")
    if wall > SETTLE:
        short.append("settling")

    solve, counts = baselines(), dict.fromkeys(Status, 0)
    for k in range(WIDE // BLOCK):
        for status, many in zip(*np.unique(solve(drawn(BLOCK, 100 + k, -1.0)), return_counts=True), strict=True):
            counts[Status(int(status))] += int(many)
    print(f"\n{WIDE:,} hearts, every parameter by up to half:")
    for status, many in counts.items():
        if many:
            print(f"  {many:6,}  {REASONS[status]}")
    if short:
        print(f"short of what is asked: {', '.join(short)}")
    return int(bool(short))


if __name__ == "__main__":
    sys.exit(main())
