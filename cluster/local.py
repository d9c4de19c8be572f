"""This machine: worker processes of one thread each, on the loopback, started by spawn."""

import contextlib
import logging
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


def local(workers: int | None = None) -> Map:
    """A map over `workers` processes of this machine, one a core by default.

    The processes start when the map is given something to do, and end with it. Results come as they are finished, in
    any order; the first exception of a task is raised, and what is still waiting is dropped. Raises ValueError for
    fewer than one worker.
    """
    workers = cores() if workers is None else workers
    if workers < 1:
        raise ValueError(f"{workers} workers can do nothing; give 1 or more")

    def over(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        todo = list(items)
        if not todo:
            return
        with _client(min(workers, len(todo))) as client:
            import distributed

            futures = client.map(function, todo, pure=False)
            try:
                for future in distributed.as_completed(futures):
                    yield future.result()
            except distributed.KilledWorker as error:
                raise RuntimeError(
                    f"a task ended its process several times ({error.task}), perhaps for lack of memory; "
                    "run it again with fewer workers"
                ) from error
            finally:
                client.cancel(futures)

    return over


def _flags() -> str:
    """XLA_FLAGS of a worker: one thread, and those of this process, on which results depend."""
    return f"{os.environ.get('XLA_FLAGS', '')} {ONE_THREAD['XLA_FLAGS']}".strip()


@contextlib.contextmanager
def _client(workers: int) -> Iterator[Any]:
    import dask
    import distributed

    settings = {
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.worker.daemon": False,
        "distributed.nanny.environ": ONE_THREAD,
        # Tasks hand back a small record; nothing of theirs is worth spilling.
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
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
                # Without an address its web server would listen on every interface.
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                local_directory=scratch,
                silence_logs=logging.CRITICAL,
                memory_limit=0,
                env={"XLA_FLAGS": _flags()},  # Dask's setting would give way to the flags of this process
            )
        )
        yield stack.enter_context(distributed.Client(cluster))
