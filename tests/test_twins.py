"""The contract of twins: every file of solvers/twins keeps it, with no edit here."""

import functools
import math

import jax
import numpy as np
import pytest

from solvers import twins
from solvers.pilots import choose
from solvers.policy import Policy
from solvers.solve import Plan, solver
from solvers.status import Status
from solvers.twin import Parameter

TICK = 12.0


@pytest.fixture(params=twins.names())
def twin(request):
    return twins.load(request.param)


def still(twin, amount=0.0):
    """A policy that gives the same amount at every tick."""
    return Policy("still", lambda p, s: (), lambda time, seen, memory, s: ({twin.actions[0].name: amount}, memory))


def plan(twin, ticks=4):
    return Plan(tick(twin), ticks, tuple(range(ticks + 1)), (0, ticks), tuple(output.name for output in twin.outputs))


def values(twin, count):
    return {name: np.full(count, value) for name, value in twin.typical().items()}


def amount(twin):
    return min(10.0, twin.actions[0].bounds[1])


def tick(twin):
    """What devices show is looked at every few minutes; other twins are seen at visits."""
    return 1 / 12 if any(output.device for output in twin.outputs) else TICK


WIDTH = 64


@functools.cache
def _engine(name):
    twin = twins.load(name)
    return choose(twin, still(twin, amount(twin)), plan(twin), 1, np.arange(4), values(twin, 4))


@functools.cache
def _compiled(name, amount, taken, by_patient):
    twin = twins.load(name)
    policy = still(twin, amount)._replace(by_patient=by_patient)
    return solver(twin, policy, plan(twin)._replace(taken=taken), 1, _engine(name), WIDTH)


def lived(twin, amount, given, taken=1.0, by_patient=True):
    """Lives of the first patients, as many as there are values, with that amount at every tick."""
    count = len(given[twin.parameters[0].name])
    solve = _compiled(twin.name, amount, taken, by_patient)
    parts = [range(start, min(start + WIDTH, count)) for start in range(0, count, WIDTH)]
    blocks = [solve(np.array(part), {name: of[part] for name, of in given.items()}) for part in parts]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *blocks)


def test_its_name_is_that_of_its_file(twin):
    assert twin.name in twins.names()
    assert twins.load(twin.name) is twin


def test_every_number_has_a_unit_a_source_and_its_evidence(twin):
    for item in (*twin.parameters, *twin.covariates):
        assert item.unit.strip() and item.source.strip()
        assert item.evidence in ("fitted", "published", "assumed")
    for output in twin.outputs:
        assert output.unit.strip() and output.source.strip()


def test_names_are_unique(twin):
    names = [item.name for item in (*twin.parameters, *twin.covariates, *twin.outputs, *twin.actions)]
    assert len(set(names)) == len(names)


def test_the_typical_patient_lives(twin):
    lives = lived(twin, amount(twin), values(twin, 8))
    assert (lives.status == Status.OK).all()
    for recorded in lives.recorded.values():
        assert recorded.shape == (8, 5)
        assert np.isfinite(recorded).all()


def test_an_action_changes_what_is_seen(twin):
    idle, treated = lived(twin, 0.0, values(twin, 2)), lived(twin, amount(twin), values(twin, 2))
    assert any(not np.allclose(idle.recorded[name], treated.recorded[name]) for name in idle.recorded)


def test_two_half_ticks_are_one_tick(twin):
    p = twin.namespace(twin.typical())
    y = twin.advance(twin.initial(p), p, twin.action(**{twin.actions[0].name: amount(twin)}), 0.0, TICK)
    whole = twin.advance(y, p, twin.action(), TICK, TICK)
    half = twin.advance(twin.advance(y, p, twin.action(), TICK, TICK / 2), p, twin.action(), 1.5 * TICK, TICK / 2)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(half), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)  # the solver's own error over one tick


def test_what_the_clinic_does_is_not_missed(twin):
    two = values(twin, 2)
    own, given = (lived(twin, amount(twin), two, 0.0, by_patient) for by_patient in (True, False))
    treated, idle = lived(twin, amount(twin), two), lived(twin, 0.0, two)
    for name in treated.recorded:
        assert np.array_equal(given.recorded[name], treated.recorded[name])
        assert np.array_equal(own.recorded[name], idle.recorded[name])


def test_a_patient_without_finite_parameters_is_a_status_and_spares_his_neighbours(twin):
    sick = values(twin, 4)
    sick[twin.parameters[0].name][2] = math.nan
    lives, healthy = lived(twin, amount(twin), sick), lived(twin, amount(twin), values(twin, 4))
    assert lives.status.tolist() == [1, 1, int(Status.BAD_PARAMETER), 1]
    for name, recorded in lives.recorded.items():
        assert np.array_equal(recorded[[0, 1, 3]], healthy.recorded[name][[0, 1, 3]])


def test_measurement_error_has_the_declared_spread(twin):
    count = 512
    lives = lived(twin, amount(twin), values(twin, count))
    for output in twin.outputs:
        true = lives.recorded[output.name][:, -1]
        measured = lives.measured[output.name][:, -1]
        scale = true.mean()
        if output.log_error:
            error, declared = np.log(measured / true), output.log_error
        else:
            error = measured - true
            declared = math.hypot(output.additive_error, output.proportional_error * scale)
        if declared:
            # the SD of 512 normal draws has a relative standard error of 3.1 %; four of them
            assert error.std() == pytest.approx(declared, rel=0.125)
            assert abs(error.mean()) < 4 * declared / count**0.5


def test_a_parameter_without_unit_does_not_load():
    with pytest.raises(ValueError, match="has no unit"):
        Parameter("clearance", "", 1.0, "somewhere", "published")


def test_a_parameter_without_source_does_not_load():
    with pytest.raises(ValueError, match="has no source"):
        Parameter("clearance", "L/h", 1.0, " ", "published")


def test_a_parameter_in_an_unknown_unit_does_not_load():
    with pytest.raises(ValueError, match="is no unit"):
        Parameter("clearance", "L/fortnights_of_rain", 1.0, "somewhere", "published")


def test_unknown_twin_names_the_known_ones():
    with pytest.raises(ValueError, match="warfarin-inr"):
        twins.load("warfarin")
