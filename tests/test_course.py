"""Courses under amounts given beforehand: the two tasks of the benchmark, against solutions made elsewhere."""

import sys
from pathlib import Path

import numpy as np
import pytest

from solvers.course import _fast, course
from solvers.status import Status

sys.path.insert(0, str(Path(__file__).with_name("benchmarks")))
import models  # the tasks, beside those who are timed on them

# Tolerances at which the errors that the tasks ask for are met, and the tier that is taken.
TASKS = {
    "T1": (models.T1, 2.7e-6, 2.7e-6, "exact"),
    "T1 explicitly": (models.T1, 2.5e-5, 2.7e-6, "explicit"),
    "T2": (models.T2, 1e-4, 1.5e-5, "explicit"),
}


def solver(task, tolerance, exactly):
    amounts = {"dose": np.where(np.isin(task.times[:-1], task.doses), task.dose, 0.0)}
    pilots = dict(zip(task.parameters, task.patients(64, seed=7), strict=True))
    solve, engine = course(models.twin(task), float(task.times[1]), amounts, pilots, tolerance, exactly=exactly)

    def outputs(p):
        found = solve(dict(zip(task.parameters, p, strict=True)))
        return np.stack(list(found.outputs.values()), 1), found

    return outputs, engine


@pytest.fixture(scope="module", params=TASKS)
def asked(request):
    task, tolerance, error, tier = TASKS[request.param]
    solve, engine = solver(task, tolerance, request.param != "T1 explicitly")
    assert engine.tier == tier
    return task, error, solve, engine


def test_the_largest_error_is_what_the_task_asks_for(asked, shared):
    task, error, solve, _ = asked
    truth = np.load(shared / "reference/solver/reference.npz")[task.name.lower()]
    found, told = solve(task.patients(200)[:, : truth.shape[2]])
    assert (told.status == Status.OK).all()
    assert task.error(found, truth).max() <= error


def test_the_error_that_is_told_bounds_the_true_one(asked):
    task, _, solve, engine = asked
    if engine.code != "c":
        pytest.skip("there is no C compiler here, and the truth would take an hour")
    fresh = task.patients(2000, seed=11)
    amounts = {"dose": np.where(np.isin(task.times[:-1], task.doses), task.dose, 0.0)}
    # Four times the steps: errors a thousand times as small.
    fine = _fast(models.twin(task), engine.finer().finer(), float(task.times[1]), len(task.times) - 1, amounts)
    truth = np.stack(list(fine(dict(zip(task.parameters, fresh, strict=True)))[0].outputs.values()), 1)
    found, told = solve(fresh)
    scale = np.abs(truth) + 1e-3 * np.abs(truth).max(0)
    true = np.divide(np.abs(found - truth), scale, out=np.zeros_like(truth), where=scale > 0).max((0, 1))
    assert (told.error <= engine.tolerance).all()
    assert (true <= told.error).mean() >= 0.99
    assert (true <= 3 * told.error).all()


def test_a_patient_keeps_his_bits_in_any_company(asked):
    task, _, solve, _ = asked
    some = task.patients(70, seed=2)
    whole = solve(some)[0]
    for who in (slice(3, 4), slice(60, 70), [69, 0, 33]):
        assert np.array_equal(solve(some[:, who])[0], whole[:, :, who])


def test_a_nan_parameter_spares_the_neighbours(asked):
    task, _, solve, _ = asked
    some = task.patients(9, seed=2)
    whole, _ = solve(some)
    some[0, 4] = np.nan
    found, told = solve(some)
    others = np.arange(9) != 4
    assert np.array_equal(found[:, :, others], whole[:, :, others])
    assert told.status[4] != Status.OK and (told.status[others] == Status.OK).all()


def test_wrong_use_is_refused_in_a_sentence():
    task = models.T1
    twin, pilots = models.twin(task), dict(zip(task.parameters, task.patients(4), strict=True))
    with pytest.raises(ValueError, match="twin 't1' has no action 'pill'; write one of: dose"):
        course(twin, 1.0, {"pill": np.ones(3)}, pilots)
    with pytest.raises(ValueError, match="an amount of 'dose' is not finite; give numbers"):
        course(twin, 1.0, {"dose": np.array([1.0, np.nan])}, pilots)
    with pytest.raises(ValueError, match="ticks -1 h; give one a tick, of above 0 h"):
        course(twin, -1.0, {"dose": np.ones(3)}, pilots)
    with pytest.raises(ValueError, match="tolerance is 1e-15; write a number from 1e-12"):
        course(twin, 1.0, {"dose": np.ones(3)}, pilots, 1e-15)
