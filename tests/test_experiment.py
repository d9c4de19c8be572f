"""Experiments on a study: the same bits anywhere, resumed, extended, and kept apart from the cohort."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from analysis.experiments import ask
from analysis.sensitivity import load
from cluster.local import local
from solvers.status import Status
from trials import schema, store
from trials.experiment import Experiment, read, stored
from trials.run import cohort, lived, run
from trials.study import Study
from trials.study import read as read_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, small_text: str) -> Study:
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    short = small_text.replace("28, 56, 84 days", "28 days").replace("until: 84 days", "until: 28 days")
    path.write_text(short, encoding="utf-8")
    return read_study(path)


def saltelli(study: Study, size: int) -> Experiment:
    return ask(study, load("sobol"), "patients", size).experiment


def lives_of(folder: Path, experiment: Experiment) -> xr.Dataset:
    lives = lived(folder, experiment.group)[2].load()
    assert (lives[schema.STATUS].values == Status.OK).all()
    return lives


def same(one: xr.Dataset, other: xr.Dataset) -> None:
    """Bit by bit, NaN included; both complete."""
    assert set(one.data_vars) == set(other.data_vars) and one.sizes == other.sizes
    for name in one.data_vars:
        assert one[name].values.tobytes() == other[name].values.tobytes(), name


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, study: Study) -> tuple[Path, Experiment, xr.Dataset]:
    folder = tmp_path_factory.mktemp("finished") / "run"
    experiment = saltelli(study, 32)  # 32 blocks of 24 rows: three blocks of lanes
    run(study, folder, experiment=experiment)
    return folder, experiment, lives_of(folder, experiment)


def test_workers_and_chunks_do_not_change_a_bit(tmp_path, study, finished):
    run(study, tmp_path / "run", map=local(2), chunk=256, experiment=finished[1])
    same(lives_of(tmp_path / "run", finished[1]), finished[2])


def test_a_finished_experiment_recomputes_nothing(study, finished):
    folder, experiment, _ = finished
    assert run(study, folder, experiment=experiment).computed == ()
    assert stored(folder) == [experiment.group]
    kept = read(folder, experiment.group)
    assert kept.identity == experiment.identity
    np.testing.assert_array_equal(kept.points, experiment.points)


def test_more_points_go_on_from_those_that_are_there(tmp_path, study, finished):
    few = saltelli(study, 16)  # 384 rows: the second block of lanes is half full
    run(study, tmp_path / "run", experiment=few)
    outcome = run(study, tmp_path / "run", experiment=finished[1])
    assert len(outcome.computed) == 3  # who they are, and two arms
    # Of 768 rows the first whole block of 256 was there.
    assert all(record.solved == 512 for record in outcome.computed if record.arm)
    same(lives_of(tmp_path / "run", finished[1]), finished[2])


SCRIPT = """
import os, signal, sys
from pathlib import Path
from analysis.experiments import ask
from analysis.sensitivity import load
from trials.run import run
from trials.study import read

if __name__ == "__main__":
    study = read(sys.argv[1])
    seen = []
    def progress(record, done, total):
        if record is not None and record.arm:
            os.kill(os.getpid(), signal.SIGKILL)
    experiment = ask(study, load("sobol"), "patients", 32).experiment
    run(study, sys.argv[2], chunk=256, progress=progress, experiment=experiment)
"""


def test_killed_in_the_middle_it_ends_with_the_same_bits(tmp_path, study, finished):
    (tmp_path / "study.yaml").write_text(study.text, encoding="utf-8")
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    killed = subprocess.run(
        [sys.executable, tmp_path / "script.py", tmp_path / "study.yaml", tmp_path / "run"],
        env=os.environ | {"PYTHONSAFEPATH": "1"},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    outcome = run(study, tmp_path / "run", experiment=finished[1])
    assert 0 < len(outcome.computed) < outcome.total
    same(lives_of(tmp_path / "run", finished[1]), finished[2])


def test_rows_share_their_luck_where_they_should(study, finished):
    experiment, lives = finished[1], finished[2]
    inputs = experiment.points.shape[1]
    blocks = experiment.luck.reshape(-1, 2 * (inputs + 1) + 2)
    # A and all rows that take one input from B live with the luck of A, but for that which takes the luck.
    assert (blocks[:, : inputs + 1] == blocks[:, :1]).all()
    assert (blocks[:, inputs + 1] == blocks[:, -1]).all()
    assert (blocks[:, 0] != blocks[:, -1]).all()
    # Same person and other luck: another life, unless no dose was missed and no measurement told.
    inr = lives["inr"].values.reshape(2, len(blocks), blocks.shape[1], -1)
    assert (inr[:, :, 0] != inr[:, :, inputs + 1]).any(axis=-1).mean() > 0.5


def test_the_same_person_with_the_same_luck_lives_the_same_life(tmp_path, study, finished):
    experiment = finished[1]
    twice = experiment._replace(
        name="twice",
        identity="twice",
        points=np.repeat(experiment.points[:5], 2, axis=0),
        luck=np.repeat(experiment.luck[:5], 2),
    )
    run(study, tmp_path / "run", experiment=twice)
    inr = lives_of(tmp_path / "run", twice)["inr"].values
    np.testing.assert_array_equal(inr[:, ::2], inr[:, 1::2])
    np.testing.assert_array_equal(inr[:, ::2], finished[2]["inr"].values[:, :5])


def test_populations_that_the_evidence_allows_share_their_patients_luck(tmp_path, study):
    names = tuple(one.name for one in study.population.unknowns)
    points = np.full((3, len(names)), 0.5)
    points[1, names.index("ec50: location")] = 0.95
    experiment = Experiment("population", "three", names, points, np.zeros(3, int), 40, "three")
    run(study, tmp_path / "run", experiment=experiment)
    lives = lived(tmp_path / "run", experiment.group)[2].load()
    assert lives.sizes[schema.PATIENT] == 120
    ec50 = lives["ec50"].values.reshape(3, 40)
    np.testing.assert_array_equal(ec50[0], ec50[2])
    assert (ec50[1] > ec50[0]).all()
    np.testing.assert_allclose(ec50[0], study.population.draw(0, 40)["ec50"], rtol=1e-9)
    np.testing.assert_array_equal(lives[schema.DRAW].values.reshape(3, 40)[:, 0], [1, 2, 3])
    inr = lives["inr"].values.reshape(2, 3, 40, -1)
    np.testing.assert_array_equal(inr[:, 0], inr[:, 2])


def test_an_experiment_leaves_the_cohort_as_it_is(tmp_path, study):
    folder = tmp_path / "run"
    run(study, folder)
    before = cohort(folder)[1].load()
    experiment = saltelli(study, 8)
    run(study, folder, experiment=experiment)
    same(cohort(folder)[1].load(), before)
    assert run(study, folder).computed == ()
    assert len(lives_of(folder, experiment)["inr"][0]) == 8 * 24


def test_an_experiment_alone_is_no_finished_run(finished):
    with pytest.raises(ValueError, match="are not written; finish it with: trialtwin run"):
        cohort(finished[0])


def test_another_version_of_the_study_is_refused(tmp_path, study, finished, small_text):
    other = tmp_path / "study.yaml"
    other.write_text(study.text.replace("replicates: 60", "replicates: 61"), encoding="utf-8")
    changed = read_study(other)
    assert changed.text != study.text
    with pytest.raises(ValueError, match="another version of the study; run it first"):
        run(changed, finished[0], experiment=finished[1])


def test_an_experiment_that_is_not_there_is_a_sentence(finished):
    with pytest.raises(ValueError):
        lived(finished[0], "experiments/none")


def test_damaged_lives_are_computed_again(tmp_path, study, finished):
    experiment = finished[1]._replace(points=finished[1].points[:256], luck=finished[1].luck[:256])
    folder = tmp_path / "run"
    run(study, folder, experiment=experiment)
    before = lives_of(folder, experiment)
    shard = next((folder / store.COHORT / experiment.group / "inr" / "c").rglob("0"))
    while shard.is_dir():
        shard = next(shard.iterdir())
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF
    shard.write_bytes(bytes(content))
    assert len(run(study, folder, experiment=experiment).computed) == 1
    same(lives_of(folder, experiment), before)
