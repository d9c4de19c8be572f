"""Claim: a model compiles in under 5 s, once per machine, and in under 0.5 s from what is kept of it.

An arm of a study of every kind, in processes of their own, first with an empty cache and then with what that left.
Compiling: XLA's programs for the first block of lives. Choosing the steps from pilots, which is kept too and for which
the machine code of the equations is made, is told apart. Tracing the Python of a twin comes in every process, and is
told beside.
    ./dev bench compile
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pages import STUDY

COLD, KEPT = 5.0, 0.5  # s
ARMS = {
    "theophylline": ("low", "theophylline"),
    "warfarin-genotype": ("genotype", "warfarin-inr"),
    "closed-loop": ("hybrid", "glucose"),
}
MEASURED = """
import json, sys, time
import solvers  # sets the flags, before jax
import jax
import numpy as np
from solvers.solve import WIDTH, solver
from trials import engines, schema, study
from trials.people import people

spent = {"trace": 0.0, "xla": 0.0}

def heard(event, seconds, **rest):
    if event.endswith(("jaxpr_trace_duration", "jaxpr_to_mlir_module_duration")):
        spent["trace"] += seconds
    if event.endswith("backend_compile_duration"):
        spent["xla"] += seconds

plan = study.read(study.find(sys.argv[1]))
arm = plan.arm(sys.argv[2])
drawn = people(plan, schema.CANDIDATES, np.arange(WIDTH))
began = time.perf_counter()
engine = engines.of(plan, arm)
pilots = time.perf_counter() - began
jax.monitoring.register_event_duration_secs_listener(heard)
solve = solver(plan.twin, arm.policy, plan.plan, plan.seed, engine)
began = time.perf_counter()
solve(drawn.luck, drawn.values)
whole = time.perf_counter() - began
began = time.perf_counter()
solve(drawn.luck, drawn.values)
print(json.dumps([pilots, spent["trace"], spent["xla"], whole, time.perf_counter() - began]))
"""


def measured(study: str, arm: str, cache: Path) -> list[float]:
    """Seconds: of choosing the steps, tracing, compiling, the first block in all, and another."""
    told = subprocess.run(
        [sys.executable, "-c", MEASURED, study, arm],
        env=os.environ | {"TRIALTWIN_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(told.stdout.splitlines()[-1])


def main() -> int:
    slow = []
    print(f"{'twin':16}{'cache':>8}{'pilots':>9}{'tracing':>9}{'compiling':>11}{'first block':>13}{'another':>9}   [s]")
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "study.yaml"
        own.write_text(STUDY.format(size=256), encoding="utf-8")
        for study, (arm, twin) in ARMS.items():
            for state, limit in (("empty", COLD), ("kept", KEPT)):
                found = measured(str(own) if study == twin else study, arm, Path(folder) / twin)
                pilots, tracing, compiling, first, again = found
                print(f"{twin:16}{state:>8}{pilots:9.2f}{tracing:9.2f}{compiling:11.2f}{first:13.2f}{again:9.2f}")
                if compiling > limit:
                    slow.append(f"{twin} ({state})")
    if slow:
        print(f"beyond its limit: {', '.join(slow)}")
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
