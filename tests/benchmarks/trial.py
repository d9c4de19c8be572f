"""Claim: the whole demonstration study runs in under two minutes on 2 cores, under 1.5 GiB in each process.

10,000 candidates, two arms, 50 draws of 200, 2,000 replicates, from an empty folder to the written summary. Prints wall
time, the largest resident memory of a process, and patients per second and core. Run it with ./dev bench trial.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from analysis.summary import summarise
from cluster.local import local
from trials.run import run
from trials.study import find, read

WORKERS = 2
LIMIT_SECONDS, LIMIT_BYTES = 120, 1.5 * 2**30


def peak(pid: int) -> int:
    """Largest resident memory that a process has had [bytes]; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def watch(peaks: dict[int, int], stop: threading.Event) -> None:
    """Keeps the largest memory of this process and its children; the kernel's own high-water mark misses nothing."""
    me = psutil.Process()
    while not stop.wait(0.2):
        for process in (me, *me.children(recursive=True)):
            peaks[process.pid] = max(peaks.get(process.pid, 0), peak(process.pid))


def main() -> int:
    peaks: dict[int, int] = {}
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(peaks, stop))
    watcher.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            outcome = run(read(find("warfarin-genotype")), folder, map=local(WORKERS))
            simulated = time.perf_counter()
            summarise(Path(folder))
            ended = time.perf_counter()
    finally:
        stop.set()
        watcher.join()
    solved = sum(record.solved for record in outcome.computed)
    busy = sum(record.seconds for record in outcome.computed)
    seconds, largest = ended - began, max(peaks.values())
    print(f"processor                         {os.cpu_count()} cores, {WORKERS} workers")
    print(f"lives solved                      {solved:,}")
    print(f"wall time, whole study            {seconds:.1f} s (limit {LIMIT_SECONDS} s)")
    print(f"  of which simulation             {simulated - began:.1f} s, with the start of the workers and compilation")
    print(f"largest memory of a process       {largest / 2**30:.2f} GiB (limit {LIMIT_BYTES / 2**30:.1f} GiB)")
    print(f"patients per second and core      {solved / busy:.0f} while working")
    print(f"ratio to the limit of time        {seconds / LIMIT_SECONDS:.2f}")
    return int(seconds > LIMIT_SECONDS or largest > LIMIT_BYTES)


if __name__ == "__main__":
    sys.exit(main())
