"""This machine: worker processes of one thread each, on the loopback, started by spawn."""

import contextlib
import logging
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]

# One thread a process: a worker is a core, and the bits do not depend on how XLA would split an array.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "PYTHONSAFEPATH": "1",  # a folder in the current directory must not hide a package
}


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def local(workers: int | None = None) -> Iterator[Map]:
    """Starts `workers` processes (one a core by default) and yields a map over them.

    The map yields results as they are finished, in any order; the first exception of a task is raised, and what is
    still waiting is dropped. Raises ValueError for fewer than one worker.
    """
    workers = cores() if workers is None else workers
    if workers < 1:
        raise ValueError(f"{workers} workers can do nothing; give 1 or more")
    import dask
    import distributed

    context = multiprocessing.get_context("spawn")
    settings = {
        "distributed.worker.multiprocessing-method": context.get_start_method(),
        "distributed.worker.daemon": False,
        "distributed.nanny.environ": ONE_THREAD,
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.scheduler.allowed-failures": 1,
        "distributed.comm.timeouts.connect": "60s",
    }
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="trialtwin-"))
        stack.enter_context(dask.config.set(settings))
        cluster = stack.enter_context(
            distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                local_directory=scratch,
                silence_logs=logging.CRITICAL,
                memory_limit=0,
            )
        )
        client = stack.enter_context(distributed.Client(cluster))

        def over(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
            futures = client.map(function, list(items), pure=False)
            try:
                for future in distributed.as_completed(futures):
                    yield future.result()
            finally:
                client.cancel(futures)

        yield over
