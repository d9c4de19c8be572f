"""What a run promises: the same bits however it is cut, killed or extended, and nothing silently wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from analysis import truth
from analysis.summary import read as read_summary
from analysis.summary import summarise
from cluster.local import local
from solvers.status import Status
from trials import run as runs
from trials import schema, store
from trials.run import cohort, run
from trials.study import read


def study(tmp_path, text, **replacements):
    for old, new in replacements.values():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return read(path)


def assert_same_lives(a: Path, b: Path, patients: int | None = None):
    """Both complete, and equal to the bit in every variable of both groups."""
    for group in ("", "uncertainty"):
        (_, one), (_, other) = cohort(a, group), cohort(b, group)
        if patients is not None and not group:
            one, other = (data.isel(patient=slice(0, patients)) for data in (one, other))
        assert set(one.variables) == set(other.variables)
        eligible = one[schema.ELIGIBLE].values
        assert eligible.sum() > 10
        assert np.isfinite(one["inr"].values[:, eligible]).all()
        for name in one.variables:
            x, y = one[name].values, other[name].values
            assert x.dtype == y.dtype and x.tobytes() == y.tobytes(), (group, name)


def test_result_does_not_depend_on_workers_or_chunk_size(small_run, small_text, tmp_path):
    # small_run: two processes, chunks of 512; here: this process, with threads of its own, chunks of 2,048
    run(study(tmp_path, small_text), tmp_path / "one", chunk=2048)
    assert_same_lives(small_run, tmp_path / "one")
    run(study(tmp_path, small_text), tmp_path / "two", map=local(1), chunk=512)
    assert_same_lives(small_run, tmp_path / "two")


def test_a_finished_run_recomputes_nothing(small_run):
    plan, _ = cohort(small_run)
    outcome = run(plan, small_run, map=forbidden)
    assert outcome.computed == () and outcome.total == 9


def forbidden(function, tasks):
    assert list(tasks) == []
    return iter(())


KILLED = """
import sys
from cluster.local import local
from trials.run import run
from trials.study import read

def progress(record, done, total):
    print(done, flush=True)

if __name__ == "__main__":
    run(read(sys.argv[1]), sys.argv[2], map=local(2), chunk=512, progress=progress)
"""


@pytest.mark.parametrize("after", [1, 4])
def test_a_killed_run_goes_on_and_ends_the_same(after, small_run, small_text, tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED, encoding="utf-8")
    plan = study(tmp_path, small_text)
    command = [sys.executable, str(script), str(tmp_path / "study.yaml"), str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= after:  # somewhere in the tasks that the two workers are at
                os.killpg(process.pid, signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    before = runs.state(tmp_path / "run")
    assert after <= before.done < before.total
    with pytest.raises(ValueError, match="are not written; finish it with"):
        for group in ("", "uncertainty"):
            cohort(tmp_path / "run", group)
    outcome = run(plan, tmp_path / "run", map=map)
    assert len(outcome.computed) == before.total - before.done
    assert_same_lives(small_run, tmp_path / "run")


def test_more_patients_are_added_without_recomputing_a_block(small_run, small_text, tmp_path):
    smaller = study(tmp_path, small_text, size=("size: 1000", "size: 600"))
    run(smaller, tmp_path / "run", chunk=512)
    outcome = run(study(tmp_path, small_text), tmp_path / "run")
    # 600 patients fill blocks of 256 up to 768: of 1,000 (1,024 in whole blocks) only one block is new
    assert sorted((record.arm, record.chunk) for record in outcome.computed) == [("", 1), ("fixed", 1), ("genotype", 1)]
    _, data = cohort(tmp_path / "run")
    first, last = 768, 1024
    drawn = smaller.population.draw(first, last)
    assert {record.solved for record in outcome.computed if record.arm} == {int((drawn["age"] >= 50).sum())}
    assert data.sizes[schema.PATIENT] == 1000
    assert_same_lives(small_run, tmp_path / "run")


def test_one_more_arm_is_added_without_recomputing_a_block(small_text, tmp_path):
    two = study(tmp_path, small_text, size=("size: 1000", "size: 300"))
    run(two, tmp_path / "run", chunk=512)
    third = "  low: {policy: fixed-oral, dose: 3 mg, every: 24 h}\nadherence"
    three = study(
        tmp_path,
        small_text,
        size=("size: 1000", "size: 300"),
        arm=("adherence", third),
        allocation=("1:1, block: 4", "1:1:1, block: 6"),
    )
    before = cohort(tmp_path / "run")[1].load()
    outcome = run(three, tmp_path / "run")
    assert {record.arm for record in outcome.computed} == {"low"}
    _, after = cohort(tmp_path / "run")
    assert after[schema.ARM].values.tolist() == ["fixed", "genotype", "low"]
    assert after["inr"].values[:2].tobytes() == before["inr"].values.tobytes()
    doses = after["dose"].sel(arm="low").values[after[schema.ELIGIBLE].values]
    assert set(np.unique(doses)) == {0.0, 3.0}


def test_a_changed_arm_alone_is_recomputed(small_text, tmp_path):
    run(study(tmp_path, small_text, size=("size: 1000", "size: 300")), tmp_path / "run")
    changed = study(tmp_path, small_text, size=("size: 1000", "size: 300"), dose=("start: 5 mg", "start: 6 mg"))
    outcome = run(changed, tmp_path / "run")
    assert {record.arm for record in outcome.computed} == {"fixed"}


def test_trial_and_analysis_change_without_recomputing_a_block(small_text, tmp_path):
    run(study(tmp_path, small_text, size=("size: 1000", "size: 300")), tmp_path / "run")
    changed = study(
        tmp_path,
        small_text,
        size=("size: 1000", "size: 300"),
        trial=("dropout: 10 % per year", "dropout: 20 % per year"),
        analysis=("alpha: 5 %", "alpha: 1 %"),
        endpoint=("at least: 60 %", "at least: 70 %"),
    )
    assert run(changed, tmp_path / "run", map=forbidden).computed == ()


def test_another_range_of_the_endpoint_gathers_anew_in_the_same_folder(small_text, tmp_path):
    sizes = {"size": ("size: 1000", "size: 300"), "draws": ("draws: 4", "draws: 0")}
    run(study(tmp_path, small_text, **sizes), tmp_path / "run")
    wider = study(tmp_path, small_text, **sizes, range=("inr, between: 2.0 to 3.0", "inr, between: 2.0 to 3.5"))
    assert {record.arm for record in run(wider, tmp_path / "run").computed} == {"fixed", "genotype"}
    plan, data = cohort(tmp_path / "run")
    assert plan.endpoints[0].fold in data and "inr_share_2_3_2016h" not in data
    eligible = data[schema.ELIGIBLE].values
    assert np.isfinite(data[plan.endpoints[0].fold].values[:, eligible]).all()


def test_the_store_opens_with_xarray_alone(small_run):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = xr.open_zarr(small_run / "cohort.zarr")
    assert data.sizes == {"arm": 2, "patient": 1000, "time": 85, "visit": 8}
    assert data["arm"].values.tolist() == ["fixed", "genotype"]
    assert data["inr"].dims == ("arm", "patient", "time")
    assert set(data.coords) == {"arm", "patient", "time", "visit", "draw"}
    uncertain = xr.open_zarr(small_run / "cohort.zarr", group="uncertainty")
    assert np.array_equal(uncertain["draw"].values, np.repeat([1, 2, 3, 4], 32))
    assert data["dose"].attrs["units"] == "mg" and data["weight"].attrs["units"] == "kg"
    assert data["cyp2c9"].attrs["levels"][0] == "*1*1"
    assert "warfarin-genotype" in data.attrs["study"] and data.attrs["seed"] == 20261122
    assert all(np.isfinite(data[name].values).all() for name in ("age", "clearance", "draw"))


def test_a_run_leaves_what_it_promises(small_run):
    plan, _ = cohort(small_run)
    assert (small_run / "study.yaml").read_text(encoding="utf-8") == plan.text
    rows = json.loads((small_run / "summary.json").read_text(encoding="utf-8"))
    keys = {"name", "value", "lower", "upper", "se", "mcse", "unit", "replicates"}
    for row in rows:
        assert set(row) in ({"arm", *keys}, {"contrast", *keys})
    assert not list(small_run.rglob("*.partial"))


def test_only_the_eligible_live(small_run):
    _, data = cohort(small_run)
    eligible = data[schema.ELIGIBLE].values
    assert np.array_equal(eligible, data["age"].values >= 50)
    assert (data[schema.STATUS].values[:, eligible] == Status.OK).all()
    assert (data[schema.STATUS].values[:, ~eligible] == Status.NOT_ELIGIBLE).all()
    assert np.isnan(data["inr"].values[:, ~eligible]).all()


def test_patients_have_the_same_luck_under_every_arm(small_run):
    _, data = cohort(small_run)
    eligible = data[schema.ELIGIBLE].values
    at_start = data["inr_measured"].values[:, eligible, 0]
    assert np.array_equal(at_start[0], at_start[1])
    missed = data["dose"].values[:, eligible, 1:6] == 0  # before titration, a day without a dose is one not taken
    assert np.array_equal(missed[0], missed[1])
    # 5 % of 5 days of some 430 patients; four standard errors
    assert missed[0].mean() == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / missed[0].size) ** 0.5)


def test_the_inr_that_titration_read_is_the_one_that_is_stored(small_text, tmp_path):
    plan = study(tmp_path, small_text, size=("size: 1000", "size: 256"), taken=("taken: 95 %", "taken: 100 %"))
    run(plan, tmp_path / "run")
    _, data = cohort(tmp_path / "run")
    eligible = data[schema.ELIGIBLE].values
    seen = data["inr_measured"].sel(arm="fixed").values[eligible]
    given = data["dose"].sel(arm="fixed").values[eligible]
    days = data[schema.VISIT].values.astype(int)
    expected = np.zeros_like(given)
    for patient, inr in enumerate(seen):
        dose, skip = 5.0, False
        for day in range(84):
            if day in days and day >= 5:
                value = inr[days.tolist().index(day)]
                skip = value > 4.0
                raised = 1.2 if value < 1.5 else 1.1 if value < 2.0 else 1.0
                lowered = 1.0 if value <= 3.0 else 0.9 if value <= 4.0 else 0.8
                dose *= raised * lowered
            expected[patient, day + 1] = 0.0 if skip else dose
            skip = False
    assert (expected == 0).any(1).sum() > len(seen) * 0.05
    np.testing.assert_allclose(given, expected, rtol=1e-9)


def copied(small_run, tmp_path):
    shutil.copytree(small_run, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_lost_shard_is_refused_when_read_and_made_again_when_run(small_run, tmp_path):
    folder = copied(small_run, tmp_path)
    (folder / "cohort.zarr" / "inr" / "c" / "1" / "0" / "0").unlink()
    with pytest.raises(ValueError, match="patients 0-511 of arm 'genotype' are not written; finish it with"):
        cohort(folder)
    outcome = run(cohort(small_run)[0], folder)
    assert [(record.arm, record.chunk) for record in outcome.computed] == [("genotype", 0)]
    assert_same_lives(small_run, folder)


def test_a_cut_shard_is_refused(small_run, tmp_path):
    folder = copied(small_run, tmp_path)
    shard = folder / "cohort.zarr" / "inr" / "c" / "0" / "1" / "0"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(ValueError, match="patients 512-1023 of arm 'fixed' are not written"):
        cohort(folder)


def test_a_flipped_bit_is_found_when_read_and_healed_when_run(small_run, tmp_path):
    folder = copied(small_run, tmp_path)
    shard = folder / "cohort.zarr" / "inr" / "c" / "0" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(bytes(content))
    plan, data = cohort(folder)
    with pytest.raises(ValueError, match=r"(?i)checksum"):
        data["inr"].values  # noqa: B018
    (folder / "summary.json").unlink()
    with pytest.raises(ValueError, match="patients 0-511 of arm 'fixed' are damaged; heal them with"):
        summarise(folder)
    assert [(record.arm, record.chunk) for record in run(plan, folder).computed] == [("fixed", 0)]
    assert summarise(folder) == read_summary(small_run)


@pytest.mark.parametrize("name", ["summary.json", "cohort.zarr/trials/zarr.json", "cohort.zarr/bands/inr/zarr.json"])
def test_what_is_derived_is_made_again_where_it_is_broken(name, small_run, tmp_path):
    folder = copied(small_run, tmp_path)
    before = (folder / "summary.json").read_bytes()
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    summarise(folder)
    assert (folder / "summary.json").read_bytes() == before
    assert json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["inr/zarr.json", "time/zarr.json", "uncertainty/zarr.json"])
def test_broken_metadata_is_one_sentence_that_names_the_file(name, small_run, tmp_path, capfd):
    folder = copied(small_run, tmp_path)
    path = folder / "cohort.zarr" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for act in (runs.state, lambda folder: run(cohort(small_run)[0], folder)):
        with pytest.raises(ValueError, match=f"{name} is broken"):
            act(folder)
    assert capfd.readouterr().err == ""


def test_a_broken_store_is_one_sentence(small_run, tmp_path):
    folder = copied(small_run, tmp_path)
    (folder / "cohort.zarr" / "zarr.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"zarr\.json is broken"):
        cohort(folder)
    with pytest.raises(ValueError, match="holds no run"):
        cohort(tmp_path / "nowhere")


def test_other_patients_are_not_written_over(small_run, small_text, tmp_path):
    other = study(tmp_path, small_text, seed=("seed: 20261122", "seed: 7"))
    with pytest.raises(ValueError, match="holds other patients"):
        run(other, small_run)
    later = study(tmp_path, small_text, record=("record: every 1 day", "record: every 7 days"))
    with pytest.raises(ValueError, match="other times"):
        run(later, small_run)


def test_one_store_has_one_writer(small_run):
    plan, _ = cohort(small_run)
    with store.writer(small_run), pytest.raises(ValueError, match="is being written by another run"):
        run(plan, small_run)


def test_a_chunk_is_whole_blocks(small_text, tmp_path):
    for chunk in (300, 0, -256):
        with pytest.raises(ValueError, match="multiple of 256"):
            run(study(tmp_path, small_text), tmp_path / "run", chunk=chunk)
    assert not (tmp_path / "run").exists()


def test_an_exception_in_a_worker_names_arm_and_patients(small_run, tmp_path):
    plan, _ = cohort(small_run)
    folder = copied(small_run, tmp_path)
    marker = folder / "markers" / "candidates" / "arm-genotype" / "1.json"
    marker.unlink()

    def lose_the_store(function, tasks):
        (folder / "cohort.zarr" / "zarr.json").unlink()
        return local(1)(function, tasks)

    with pytest.raises(RuntimeError, match=r"arm 'genotype', chunk 1, patients 512-1023"):
        run(plan, folder, map=lose_the_store)


def test_a_sick_patient_is_counted_and_kept_out_of_the_trial(small_text, tmp_path):
    old = "covariates: {age: {distribution: normal, mean: 100 years, sd: 10 years}}"
    plan = study(tmp_path, small_text, size=("size: 1000", f"size: 512\n  {old}"))
    run(plan, tmp_path / "run")
    _, data = cohort(tmp_path / "run")
    sick = data["age"].values > 120  # the twin's bound
    assert 5 < sick.sum() < 30
    assert (data[schema.STATUS].values[:, sick] == Status.BAD_PARAMETER).all()
    assert not truth.pool(data)[sick].any() and truth.pool(data)[~sick & data[schema.ELIGIBLE].values].all()
    state = runs.state(tmp_path / "run")
    ledger = [failure for failure in state.failures if failure["arm"] == "fixed" and not failure["group"]]
    assert {failure["patient"] for failure in ledger} == set(np.flatnonzero(sick))
    assert all(failure["values"]["age"] > 120 and "bounds" in failure["reason"] for failure in ledger)
