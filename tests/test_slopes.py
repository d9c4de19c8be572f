"""Derivatives: against finite differences, each other, and what a linear twin must obey."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from analysis.drivers import differentiate
from analysis.slopes import DERIVATIVES, ELASTICITIES, ask
from cluster.local import local
from solvers.derivative import gradients, slopes
from solvers.solve import solver
from solvers.status import Status
from trials import engines, schema
from trials.run import lived
from trials.study import Study, read

THEOPHYLLINE = """
study: linear
title: A linear twin
twin: theophylline
population: {reference: us-adults, size: 512, sampling: sobol, seed: 3}
eligibility: []
tick: 1 h
record: every 1 h
visits: 0, 12, 24 h
arms:
  low: {policy: fixed-oral, dose: 200 mg, every: 12 h}
  high: {policy: fixed-oral, dose: 300 mg, every: 12 h}
outcomes: [concentration]
endpoints:
  primary: {time in range: concentration, between: 5 to 15 mg/L, until: 24 h}
trial: {replicates: 10, subjects: 100}
analysis: {contrast: high - low, method: t-test}
"""


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Study:
    path = tmp_path_factory.mktemp("linear") / "study.yaml"
    path.write_text(THEOPHYLLINE, encoding="utf-8")
    return read(path)


def test_derivatives_are_those_of_finite_differences(tmp_path, small_text):
    path = tmp_path / "study.yaml"
    path.write_text(small_text, encoding="utf-8")
    study = read(path)
    names = ("ec50", "steepness", "age")
    policy, plan = study.arms[1].policy, study.plan
    numbers = np.arange(24)
    values = study.population.draw(0, 24)
    found = slopes(study.twin, policy, plan, study.seed, engines.of(study, study.arms[1]), names)(numbers, values)
    solve = solver(study.twin, policy, plan, study.seed, engines.of(study, study.arms[1]))
    np.testing.assert_allclose(found.lives.recorded["inr"], solve(numbers, values).recorded["inr"], rtol=1e-12)
    for i, name in enumerate(names):
        step = 1e-5 * np.abs(values[name])
        up, down = (solve(numbers, values | {name: values[name] + sign * step}) for sign in (1, -1))
        by_hand = (up.recorded["inr"] - down.recorded["inr"]) / (2 * step[:, None])
        # Central differences of a smooth function: rounding over the step, 1e-16 / 1e-5, and the step squared.
        np.testing.assert_allclose(
            found.recorded["inr"][:, :, i], by_hand, rtol=1e-5, atol=1e-6 * np.abs(by_hand).max()
        )
        fold = plan.folds[0].name
        np.testing.assert_allclose(
            found.folds[fold][:, i],
            (up.folds[fold] - down.folds[fold]) / (2 * step),
            rtol=1e-4,
            atol=1e-6 * np.abs(by_hand).max(),
        )


def test_derivatives_backwards_are_those_forwards(tmp_path, small_text):
    path = tmp_path / "study.yaml"
    path.write_text(small_text, encoding="utf-8")
    study = read(path)
    arm, names, count = study.arms[0], ("ec50", "steepness", "clearance"), 70  # more than one block
    values, engine = study.population.draw(0, count), engines.of(study, study.arms[0])
    plan, ticks = study.plan, 28  # two weeks: titration has acted by then
    plan = plan._replace(ticks=ticks, records=tuple(range(0, ticks + 1, 2)), folds=())
    plan = plan._replace(visits=tuple(visit for visit in plan.visits if visit <= ticks))
    engine = engine.everywhere()
    engine = engine._replace(counts=engine.counts[:ticks], halvings=engine.halvings[:ticks])
    given = study.twin, arm.policy, plan, study.seed, engine, names
    forwards = slopes(*given)(np.arange(count), values)
    seen, backwards = gradients(*given, of=lambda recorded, folds: recorded["inr"][-1])(np.arange(count), values)
    assert backwards.shape == (count, 3)
    np.testing.assert_allclose(seen, forwards.lives.recorded["inr"][:, -1], rtol=1e-9)
    wanted = forwards.recorded["inr"][:, -1]
    np.testing.assert_allclose(backwards, wanted, rtol=1e-6, atol=1e-9 * np.abs(wanted).max())
    with pytest.raises(ValueError, match="is stiff, and has no derivatives by reverse mode"):
        gradients(*given[:4], engine._replace(tier="stiff"), names, lambda recorded, folds: 0.0)


def test_a_linear_twin_scales_with_its_clearance_and_volume(linear, tmp_path):
    # C(k CL, k V) = C(CL, V) / k, so by Euler the elasticities of both sum to -1 at every time.
    data = differentiate(linear, tmp_path / "run", ELASTICITIES, None)
    over = data["time_value"].sel(trace="concentration: high", time_measure="per 1 %")
    numbers = [str(name) for name in data["input"].values]
    middle = linear.population.patients(np.full((1, len(linear.population.inputs)), 0.5))
    solve = solver(linear.twin, linear.arms[1].policy, linear.plan, linear.seed, engines.of(linear, linear.arms[1]))
    concentration = solve(np.arange(1), middle).recorded["concentration"][0]
    scaled = [name for name in numbers if "clearance" in name or "volume" in name]
    assert len(scaled) == 2
    sums = over.sel(input=scaled).sum("input").values[1:] / (0.01 * concentration[1:])
    np.testing.assert_allclose(sums, -1.0, rtol=1e-9)


def test_a_bound_by_derivatives_is_no_smaller_than_the_index(linear, tmp_path):
    # Nothing jumps in this twin: brute-force total indices of the concentration at 6 h must lie below.
    data = differentiate(linear, tmp_path / "run", DERIVATIVES, 1024)
    bound = data["time_value"].sel(trace="concentration: low", time_measure="ST at most", time=0.25)
    inputs = [str(name) for name in bound["input"].values if np.isfinite(bound.sel(input=name))]
    assert inputs
    rng = np.random.default_rng(5)
    population, count = linear.population, 8000
    names = [one.name for one in population.inputs]
    points, others = rng.random((2, count, len(names)))
    solve = solver(
        linear.twin, linear.arms[0].policy, linear.plan, linear.seed, engines.of(linear, linear.arms[0]), count
    )

    def at(points: np.ndarray) -> np.ndarray:
        return solve(np.arange(count), population.patients(points)).recorded["concentration"][:, 6]

    before = at(points)
    for name in inputs:
        moved = points.copy()
        moved[:, names.index(name)] = others[:, names.index(name)]
        total = ((at(moved) - before) ** 2).mean() / 2 / before.var()  # Jansen 1999
        # For a straight line both are equal; each is known to a few per cent from so many patients.
        assert total < float(bound.sel(input=name)) * 1.15


def test_what_has_no_derivative_is_refused_by_name(tmp_path, small_text):
    path = tmp_path / "study.yaml"
    path.write_text(small_text, encoding="utf-8")
    study = read(path)
    policy, plan, engine = study.arms[0].policy, study.plan, engines.of(study, study.arms[0])
    with pytest.raises(ValueError, match="'cyp2c9' has levels, and no derivative; leave it out"):
        slopes(study.twin, policy, plan, study.seed, engine, ("cyp2c9",))
    with pytest.raises(ValueError, match="'mass' is no number of twin"):
        slopes(study.twin, policy, plan, study.seed, engine, ("mass",))


def test_a_study_without_a_smooth_endpoint_is_refused(tmp_path):
    path = tmp_path / "study.yaml"
    text = THEOPHYLLINE.replace(
        "time in range: concentration, between: 5 to 15 mg/L", "ever: concentration, at least: 5 mg/L"
    )
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="no endpoint of the study has a derivative"):
        ask(read(path), ELASTICITIES, 64)


PATIENTS = 200  # four blocks, the last of which is short


def same(one: xr.Dataset, other: xr.Dataset) -> None:
    """Bit by bit, NaN included."""
    assert set(one.data_vars) == set(other.data_vars) and one.sizes == other.sizes
    for name in one.data_vars:
        assert one[name].values.tobytes() == other[name].values.tobytes(), name


def lives_of(study: Study, folder: Path, size: int = PATIENTS) -> xr.Dataset:
    lives = lived(folder, ask(study, DERIVATIVES, size).group)[2].load()
    assert lives.sizes[schema.PATIENT] == size and (lives[schema.STATUS].values == Status.OK).all()
    return lives


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, linear: Study) -> tuple[Path, xr.Dataset]:
    """Bounds by derivatives, the lives in this process."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return folder, differentiate(linear, folder, DERIVATIVES, PATIENTS)


def test_stored_derivatives_are_those_of_the_solver(linear, finished):
    lives, arm = lives_of(linear, finished[0]), linear.arms[1]
    numbers = tuple(str(name) for name in lives[schema.NUMBER].values)
    rows = np.arange(130, PATIENTS)  # across blocks
    values = {one.name: lives[one.name].values[rows] for one in linear.twin.variables}
    own = slopes(linear.twin, arm.policy, linear.plan, linear.seed, engines.of(linear, arm), numbers)(rows, values)
    stored = lives.sel({schema.ARM: arm.name})["concentration_by"].values[rows]
    assert np.abs(stored).max() > 0
    np.testing.assert_allclose(stored, own.recorded["concentration"], rtol=1e-12, atol=1e-12 * np.abs(stored).max())
    assert lives["concentration_by"].dims == (schema.ARM, schema.PATIENT, schema.TIME, schema.NUMBER)


def test_derivatives_are_the_same_for_any_number_of_workers_and_order(linear, finished, tmp_path):
    folder = tmp_path / "two"
    same(differentiate(linear, folder, DERIVATIVES, PATIENTS, map=local(2)), finished[1])
    same(lives_of(linear, folder), lives_of(linear, finished[0]))

    def backwards(function, tasks):
        return map(function, reversed(list(tasks)))

    same(differentiate(linear, tmp_path / "back", DERIVATIVES, PATIENTS, map=backwards), finished[1])


SCRIPT = """
import os, signal, sys
from pathlib import Path
from analysis.drivers import differentiate
from trials.study import read

def progress(record, done, total):
    if record is not None and record.arm:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    differentiate(read(sys.argv[1]), Path(sys.argv[2]), "derivatives", int(sys.argv[3]), progress=progress)
"""


def test_derivatives_killed_after_the_first_block_go_on_to_the_same_bits(linear, finished, tmp_path):
    (tmp_path / "study.yaml").write_text(linear.text, encoding="utf-8")
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    killed = subprocess.run(
        [sys.executable, tmp_path / "script.py", tmp_path / "study.yaml", tmp_path / "run", str(PATIENTS)],
        env=os.environ | {"PYTHONSAFEPATH": "1"},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    seen = []
    data = differentiate(
        linear, tmp_path / "run", DERIVATIVES, PATIENTS, progress=lambda record, *_: seen.append(record)
    )
    # Four blocks of patients and of each of two arms; those of the patients and one of an arm were there.
    assert [record.arm for record in seen if record] == ["low"] * 3 + ["high"] * 4
    same(data, finished[1])
    same(lives_of(linear, tmp_path / "run"), lives_of(linear, finished[0]))


def test_more_patients_go_on_from_those_that_are_there_and_fewer_live_nothing(linear, tmp_path):
    seen = []
    folder, progress = tmp_path / "run", lambda record, *_: seen.append(record)
    few = differentiate(linear, folder, DERIVATIVES, 64)
    more = differentiate(linear, folder, DERIVATIVES, 128, progress=progress)
    assert sorted(record.arm for record in seen if record) == ["", "high", "low"]
    assert more.attrs["lives"] == 256
    seen.clear()
    same(differentiate(linear, folder, DERIVATIVES, 64, progress=progress), few)
    assert [record for record in seen if record] == []
