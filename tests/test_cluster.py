"""The local cluster: real processes, of one thread, on the loopback only."""

import os
import signal
import socket

import psutil
import pytest

from cluster.local import cores, local


def environment(name):
    return os.getpid(), os.environ.get(name)


def listening():
    """Addresses on which this process and its children listen."""
    me = psutil.Process()
    return {
        connection.laddr.ip
        for process in (me, *me.children(recursive=True))
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }


def fail(number):
    raise RuntimeError(f"task {number} failed")


def test_tasks_run_in_processes_of_one_thread_that_listen_on_the_loopback_alone():
    with socket.socket() as taken:  # Dask's usual port being taken is no obstacle
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        addresses, results = set(), []
        for result in local(2)(environment, ["OMP_NUM_THREADS", "XLA_FLAGS", "PYTHONSAFEPATH"]):
            results.append(result)
            addresses |= listening()
    assert addresses == {"127.0.0.1"}
    assert len(results) == 3 and all(pid != os.getpid() for pid, _ in results)
    assert {value for _, value in results} >= {"1"}
    assert any("intra_op_parallelism_threads=1" in value for _, value in results)


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_dies_at_a_task_is_told_of():
    with pytest.raises(RuntimeError, match="ended its process several times"):
        list(local(1)(die, [1]))


def test_the_first_failure_of_a_task_is_raised():
    with pytest.raises(RuntimeError, match=r"task \d failed"):
        list(local(1)(fail, [1, 2, 3]))


def test_nothing_to_do_starts_nothing():
    assert list(local(2)(fail, [])) == []
    assert not listening()


def test_fewer_than_one_worker_is_refused():
    with pytest.raises(ValueError, match="0 workers can do nothing"):
        local(0)
    assert cores() >= 1
