"""At least 20,000 Saltelli lives of warfarin within a minute on two cores, and what their indices agree with.

Prints wall time, CPU time and lives per second of 512 blocks (24 rows under both arms: 24,576 lives of 84 days) from a
cold start, then the indices of time in range and of its effect by Sobol's method and by sparse polynomial chaos from
2,048 further patients, each with its stated error, and how many of the pairs agree within both errors.
"""

import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

from analysis.drivers import drive
from analysis.sensitivity import load
from cluster.local import local
from trials.study import find, read

BLOCKS = 512
PATIENTS = 2048


def seconds() -> float:
    """CPU time of this process and its finished children."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def first_order(data: xr.Dataset, output: str, name: str) -> tuple[float, float]:
    """First-order index and the half-width of its 95 % interval."""
    one = data.sel(output=output, measure="S1", input=name)
    return float(one["value"]), float(one["upper"] - one["lower"]) / 2


def main() -> None:
    study = read(find("warfarin-genotype"))
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        lived = []
        began, cpu = time.perf_counter(), seconds()

        def progress(record: object, done: int, total: int) -> None:
            lived.append(time.perf_counter() - began)

        sobol = drive(study, run, load("sobol"), "patients", BLOCKS, map=local(2), progress=progress)
        whole, used = time.perf_counter() - began, seconds() - cpu
        lives = sobol.attrs["lives"]
        print(f"{lives:,} lives of {study.plan.ticks * study.plan.tick / 24:g} days, 2 processes, from a cold start")
        print(f"  lived and stored  {lived[-1]:6.1f} s wall ({lives / lived[-1]:,.0f} lives/s)")
        print(f"  with the indices  {whole:6.1f} s wall, {used:.1f} s CPU (limit 60 s)")
        chaos = drive(study, run, load("chaos-sparse"), "patients", PATIENTS, map=local(2))
    print(f"\nfirst-order indices: Sobol, {BLOCKS} blocks, against sparse polynomial chaos, {PATIENTS:,} patients")
    agreeing = total = 0
    for output in ("primary: fixed", "primary: genotype", f"primary: {' - '.join(study.contrast)}"):
        print(f"{output}  (chaos: {chaos['verdict'].sel(output=output).item().split('; ')[-1]})")
        for name in chaos["input"].values:
            (a, error_a), (b, error_b) = first_order(sobol, output, name), first_order(chaos, output, name)
            agrees = abs(a - b) <= float(np.hypot(error_a, error_b)) + 0.001  # an index below that is none
            agreeing, total = agreeing + agrees, total + 1
            print(f"  {name:18} {a:6.3f} ± {error_a:.3f}   {b:6.3f} ± {error_b:.3f}   {'' if agrees else 'differ'}")
    print(
        f"{agreeing} of {total} pairs agree within their stated errors (95 % each; expected about {0.95 * total:.0f})"
    )


if __name__ == "__main__":
    main()
