"""What drives a study: indices of a real run, their agreement, surrogates, the worth of knowing."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from analysis import drivers, outputs, ranks, whatif
from analysis import kept as keeping
from analysis.decomposition import decomposition
from analysis.drivers import drive
from analysis.experiments import ask
from analysis.operating import Figure
from analysis.sensitivity import load
from analysis.sensitivity.surrogate import Surrogate
from analysis.summary import summarise
from analysis.truth import pool
from analysis.worth import worth
from dashboards.cli import main
from solvers.solve import solver
from trials import engines, schema, store
from trials import experiment as experiments
from trials.entrants import entrants
from trials.run import cohort, lived, run
from trials.study import Study, read

BLOCKS, PATIENTS = 128, 1024
CONTRAST = "genotype - fixed"


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory, small_run: Path) -> Path:
    """The small run with Sobol's indices and a sparse chaos of its patients."""
    folder = tmp_path_factory.mktemp("driven") / "run"
    shutil.copytree(small_run, folder)
    study = read(folder / store.STUDY)
    drive(study, folder, load("sobol"), "patients", BLOCKS)
    drive(study, folder, load("chaos-sparse"), "patients", PATIENTS)
    return folder


@pytest.fixture(scope="module")
def study(driven: Path) -> Study:
    return read(driven / store.STUDY)


def kept(folder: Path, method: str) -> xr.Dataset:
    data = keeping.read(folder, f"sensitivity/patients/{method}")
    assert data is not None
    return data


@pytest.mark.parametrize("who", ["fixed", "genotype", CONTRAST])
def test_sobol_and_chaos_agree_within_their_stated_errors(driven, who):
    sobol, chaos = (kept(driven, name).sel(output=f"primary: {who}") for name in ("sobol", "chaos-sparse"))
    names = [str(name) for name in chaos["input"].values]
    assert {"cyp2c9", "vkorc1", "ec50", "clearance"} <= set(names)
    surrogate = whatif.stored(driven, "patients")["chaos-sparse"]
    unexplained = 1.0 - float(surrogate["q2"].sel(output=f"primary: {who}"))
    assert 0.0 < unexplained < 0.6
    # An expansion's interval is of its coefficients; a term that was chosen by chance takes 1 / rows of the rest.
    chosen = unexplained * surrogate.sizes["term"] / PATIENTS
    differ = []
    for name in names:
        one, other = (data.sel(measure="S1", input=name) for data in (sobol, chaos))
        error = np.hypot(*(float(data["upper"] - data["lower"]) / 2 for data in (one, other)))
        differ.append(abs(float(one["value"] - other["value"])) / (error + chosen))
        # What the expansion does not explain may belong to any total index.
        total, of_chaos = (data.sel(measure="ST", input=name) for data in (sobol, chaos))
        assert float(total["upper"]) + chosen > float(of_chaos["lower"])
        assert float(total["lower"]) < float(of_chaos["upper"]) + unexplained
    # Ten 95 % intervals: one in twenty may miss, none by far.
    assert np.sum(np.array(differ) > 1.0) <= 1
    assert max(differ) < 2.0
    leading = sobol.sel(measure="ST")["value"]
    assert float(leading.sel(input="ec50")) > 0.3 > float(leading.sel(input="central_volume"))


def test_few_points_are_said_not_to_suffice_and_the_effect_has_indices_of_its_own(driven, study):
    few = drive(study, driven, load("sobol"), "patients", 16)
    for who in ("fixed", CONTRAST):
        verdict = str(few["verdict"].sel(output=f"primary: {who}").values)
        assert not bool(few["converged"].sel(output=f"primary: {who}"))
        assert verdict.startswith("not converged") and "use --size" in verdict
    drive(study, driven, load("sobol"), "patients", BLOCKS)  # as it was, from the lives that are there


def test_fewer_rows_are_read_from_those_that_are_there(driven, study):
    lived = []
    drive(study, driven, load("sobol"), "patients", 16, progress=lambda record, *_: lived.append(record))
    assert [record for record in lived if record is not None] == []
    whole = drive(study, driven, load("sobol"), "patients", BLOCKS)
    assert whole.attrs["rows"] == 24 * BLOCKS
    assert [int(size) for size in whole["size"].values][-1] == BLOCKS


def test_an_experiment_leaves_the_analysis_of_the_trial_as_it_is(driven):
    estimated = driven / store.COHORT / schema.TRIALS / "zarr.json"
    before = estimated.stat().st_mtime_ns
    assert summarise(driven)
    assert estimated.stat().st_mtime_ns == before


def test_genotype_drives_the_fixed_start_and_not_the_guided_one(driven):
    sobol = kept(driven, "sobol")["value"].sel(measure="ST", input="vkorc1")
    # The guided dose depends on the genotype so that the outcome does not.
    assert float(sobol.sel(output="primary: fixed")) > 0.2
    assert float(sobol.sel(output="primary: genotype")) < 0.02


def test_indices_over_time_begin_where_nobody_differs(driven):
    over = kept(driven, "sobol")["time_value"]
    inr = over.sel(trace="inr: fixed", time_measure="ST")
    assert np.isnan(inr.isel(time=0)).all()  # every INR starts at its base
    assert np.isfinite(inr.isel(time=-1)).all()
    assert float(inr.sel(input="transit_time2").isel(time=-1)) < float(inr.sel(input="ec50").isel(time=-1))


def test_sobol_and_chaos_agree_over_time_within_their_stated_errors(driven, study):
    places = [10, 21, 42]  # of the times of the indices: a quarter and half of the study, and its end
    found = []
    for name, size in (("sobol", BLOCKS), ("chaos-sparse", PATIENTS)):
        method, kept_over = load(name), kept(driven, name)["time_value"].sel(trace="inr: fixed")
        asked = ask(study, method, "patients", size)
        _, experiment, lives = lived(driven, asked.experiment.group)
        over = outputs.traces(study, experiment, lives, drivers.TIMES)
        np.testing.assert_array_equal(kept_over["time"], over.days)
        names = [column.name for column in asked.problem.columns]
        points = experiment.points
        if "luck" in names:
            points = np.column_stack([points, (experiment.luck + 0.5) / 2**31])
        at_places = over.values[:, over.names.index("inr: fixed")][:, places]
        alone = method.analyse(asked.problem, points, at_places, size=size, seed=study.seed, resamples=300)
        error = (alone.upper - alone.lower)[:, 0] / 2
        found.append((kept_over.sel(time_measure="S1").isel(time=places).values.T, error, names))
    (sobol, error, names), (chaos, other, of_chaos) = found
    shared = [names.index(name) for name in of_chaos]
    differ = np.abs(sobol[:, shared] - chaos) / np.hypot(error[:, shared], other)
    assert sobol[:, shared].max() > 0.3  # ec50 leads
    # Thirty 95 % intervals: one in twenty may miss, none by far.
    assert (differ > 1.0).sum() <= 2 and differ.max() < 2.0


def test_every_method_tells_its_indices_over_time(driven, study):
    for name in ("chaos", "pawn", "delta"):  # from the lives of the sparse expansion
        over = drive(study, driven, load(name), "patients", PATIENTS)["time_value"].sel(trace="inr: fixed")
        leading = over.sel(time_measure=load(name).leading)
        assert np.isnan(leading.isel(time=0)).all()
        assert np.isfinite(leading.isel(time=slice(5, None))).all()
        last = leading.isel(time=-1)
        assert float(last.sel(input="ec50")) > 2 * float(last.sel(input="central_volume"))


def test_second_order_indices_are_there_and_symmetric(driven):
    second = kept(driven, "sobol")["second_value"].sel(output="primary: fixed").values
    np.testing.assert_allclose(second, second.T)
    assert np.isnan(np.diag(second)).all() and np.isfinite(second[0, 1])


def test_a_surrogate_answers_what_if_near_what_is_simulated(driven, study):
    data = whatif.stored(driven, "patients", ["chaos-sparse"])
    assert "not simulated" in data["chaos-sparse"].attrs["said"]
    asked = {"cyp2c9": "*1*3", "age": "70"}
    said = whatif.answer(data, asked)
    place = said.names.index("primary: fixed")
    assert 0.4 < said.q2[place] < 1.0
    eligible = entrants(study)
    names = [one.name for one in eligible.inputs]
    point = np.full((1, len(names)), 0.5)
    shares = eligible.inputs[names.index("cyp2c9")].shares
    point[0, names.index("cyp2c9")] = sum(shares[:2]) + shares[2] / 2
    values = study.population.patients(eligible.points(point, len(study.population.inputs)))
    lucks = np.arange(200)
    many = {name: np.repeat(value, len(lucks)) for name, value in values.items()} | {"age": np.full(len(lucks), 70.0)}
    lived = solver(study.twin, study.arms[0].policy, study.plan, study.seed, engines.of(study, study.arms[0]))(
        lucks, many
    )
    simulated = lived.folds[str(study.endpoints[0].fold)].mean()
    assert abs(said.values[place] - simulated) < 2 * said.rmse[place]


def test_every_expansion_keeps_its_surrogate_and_that_with_the_smallest_error_answers(driven, study):
    sparse = whatif.stored(driven, "patients", ["chaos-sparse"])["chaos-sparse"]
    drive(study, driven, load("chaos"), "patients", PATIENTS)
    lived = []
    drive(study, driven, load("chaos-quadrature"), "patients", 1, progress=lambda record, *_: lived.append(record))
    # Nodes alone: those that it is held against are the first of the others' sample.
    assert {record.group for record in lived if record} == {
        ask(study, load("chaos-quadrature"), "patients", 1).experiment.group
    }
    every = whatif.stored(driven, "patients")
    assert list(every) == keeping.surrogates(driven, "patients") == ["chaos", "chaos-quadrature", "chaos-sparse"]
    xr.testing.assert_identical(every["chaos-sparse"], sparse)
    said = whatif.answer(every, {"age": "70"})
    alone = {name: whatif.answer(whatif.stored(driven, "patients", [name]), {"age": "70"}) for name in every}
    for i, output in enumerate(said.names):
        errors = {name: one.rmse[one.names.index(output)] for name, one in alone.items() if output in one.names}
        assert said.rmse[i] == min(errors.values()) and errors[said.methods[i]] == said.rmse[i]
        assert said.values[i] == alone[said.methods[i]].values[alone[said.methods[i]].names.index(output)]
    assert "leave-one-out over 1,024" in sparse.attrs["error"]
    assert "over 256 others" in every["chaos-quadrature"].attrs["error"]
    with pytest.raises(
        ValueError, match="no surrogate by 'sobol'; write one of: chaos, chaos-quadrature, chaos-sparse"
    ):
        whatif.stored(driven, "patients", ["sobol"])


def test_the_error_of_a_surrogate_is_what_other_lives_differ_by(driven, study):
    drive(study, driven, load("chaos-quadrature"), "patients", 1)
    asked = ask(study, load("chaos-sparse"), "patients", PATIENTS)
    _, experiment, lives = lived(driven, asked.experiment.group)
    scalars = outputs.endpoints(study, experiment, lives)
    for name, rows in (("chaos-quadrature", slice(256, None)), ("chaos-sparse", slice(None))):
        data = whatif.stored(driven, "patients", [name])[name].sel(output=[f"primary: {CONTRAST}"])
        predicted = Surrogate.from_dataset(data).predict(experiment.points)[rows, 0]
        simulated = scalars.values[rows, scalars.names.index(f"primary: {CONTRAST}")]
        rmse = ((predicted - simulated) ** 2).mean() ** 0.5
        # Of 256 lives a root mean square is known to a tenth or so; rows that were fitted differ by less.
        assert 0.8 * rmse < float(data["rmse"][0]) < 1.25 * rmse


def test_a_surrogate_refuses_what_it_does_not_know(driven, tmp_path):
    data = whatif.stored(driven, "patients")
    with pytest.raises(ValueError, match="there is no such input; write one of: sex, age"):
        whatif.answer(data, {"mass": "3"})
    with pytest.raises(ValueError, match="the surrogate knows 50 to 80"):
        whatif.answer(data, {"age": "20"})
    with pytest.raises(ValueError, match=r"no such level; write one of: \*1\*1"):
        whatif.answer(data, {"cyp2c9": "*9*9"})
    with pytest.raises(ValueError, match="no number"):
        whatif.answer(data, {"age": "old"})
    with pytest.raises(ValueError, match="make one with: trialtwin sensitivity"):
        whatif.stored(tmp_path, "patients")


def test_the_cohort_is_regressed_free_of_charge(driven, study):
    data = drivers.regress(study, driven)
    inputs = [str(name) for name in data["input"].values]
    assert "ec50" in inputs and "weight" not in inputs
    by = data.sel(output="primary: genotype", measure="prcc")["value"]
    # A slow chain of clotting factors makes for late control.
    assert float(by.sel(input="transit_time2")) < -0.2
    assert keeping.has(driven, f"sensitivity/patients/{ranks.NAME}")
    bars = data.sel(output="primary: fixed")
    slow = bars["bar_mean"].values[bars["bar_input"].values == "transit_time2"]
    assert slow[0] > slow[1]


def test_failed_lives_are_counted_and_named(tmp_path, small_text):
    path = tmp_path / "study.yaml"
    # Some rates of absorption lie beyond the twin's bounds: those lives fail.
    wide = small_text.replace("  sampling: sobol\n", "  sampling: sobol\n  parameters: {absorption_rate: {cv: 60 %}}\n")
    short = wide.replace("28, 56, 84 days", "28 days").replace("until: 84 days", "until: 28 days")
    path.write_text(short, encoding="utf-8")
    study = read(path)
    data = drive(study, tmp_path / "run", load("sobol"), "patients", 64)
    failed = sum(
        count for arm in json.loads(data.attrs["statuses"]).values() for name, count in arm.items() if name != "ok"
    )
    assert failed > 0
    assert data.attrs["dropped"] > 0 and data.attrs["dropped"] % (data.attrs["rows"] // 64) == 0  # whole blocks
    assert data.attrs["used"] + data.attrs["dropped"] == data.attrs["rows"]
    assert "blocks with a failed life are left out" in data.attrs["handled"]
    assert np.isfinite(data["value"].sel(output="primary: fixed")).all()


def test_what_was_kept_of_another_study_is_not_told(driven, study, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(driven, folder)
    text = study.text.replace("5 mg", "6 mg")
    assert text != study.text
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    changed = read(tmp_path / "study.yaml")
    run(changed, folder)
    assert keeping.indices(folder) == [] and keeping.indices(driven) != []
    with pytest.raises(ValueError, match="or one of another version of the study"):
        whatif.stored(folder, "patients")
    group = next(name for name in experiments.stored(folder) if "saltelli" in name)
    with pytest.raises(ValueError, match="of another version of the study or the software"):
        lived(folder, group)


def test_an_analysis_that_was_killed_while_writing_is_made_again(driven, study, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(driven, folder)
    before = kept(folder, "sobol")
    shutil.rmtree(folder / store.COHORT / "sensitivity/patients/sobol")
    group = next(name for name in experiments.stored(folder) if "saltelli" in name)
    points = folder / store.COHORT / group / "points"
    shutil.rmtree(points)  # as if it was killed between the points and what is said of them
    attributes = folder / store.COHORT / group / "zarr.json"
    described = json.loads(attributes.read_text())
    del described["attributes"]["experiment"]
    attributes.write_text(json.dumps(described))
    assert group not in experiments.stored(folder)
    drive(study, folder, load("sobol"), "patients", BLOCKS)
    xr.testing.assert_identical(kept(folder, "sobol").drop_attrs(), before.drop_attrs())


def test_groups_are_varied_together(study):
    groups = {"pharmacokinetics": ["clearance", "central_volume", "peripheral_volume"]}
    asked = ask(study, load("sobol"), "patients", 8, groups)
    assert "pharmacokinetics" in asked.problem.inputs and "clearance" not in asked.problem.inputs
    alone = ask(study, load("sobol"), "patients", 8)
    assert len(asked.experiment.points) == len(alone.experiment.points) - 8 * 2 * 2
    assert asked.experiment.name != alone.experiment.name
    with pytest.raises(ValueError, match="no input 'mass'; write some of: sex, age"):
        ask(study, load("sobol"), "patients", 8, {"a": ["mass"]})
    with pytest.raises(ValueError, match="is in two groups"):
        ask(study, load("sobol"), "patients", 8, {"a": ["sex", "age"], "b": ["age"]})


PK = {"pk": ["clearance", "central_volume", "peripheral_volume"]}
BODY = {"body": ["clearance", "central_volume"], "who": ["sex", "age"]}


def test_groupings_are_kept_beside_each_other(driven, study):
    alone = kept(driven, "sobol")
    for groups in (PK, BODY):
        data = drive(study, driven, load("sobol"), "patients", 16, groups=groups)
        assert set(groups) < set(data["input"].values) and "clearance" not in data["input"].values
    names = [keeping.called("sobol", groups) for groups in (PK, BODY)]
    assert names[0] != names[1] and names[0].startswith("sobol+pk-") and names[1].startswith("sobol+body-who-")
    for name in ("sobol", *names):
        assert f"sensitivity/patients/{name}" in keeping.indices(driven)
    xr.testing.assert_identical(kept(driven, "sobol"), alone)
    # The order in which they are written, and a group of one, make no other grouping.
    again = {"who": ["age", "sex"], "body": ["central_volume", "clearance"], "ec50": ["ec50"]}
    assert keeping.called("sobol", again) == names[1]
    assert keeping.called("sobol", {"../A b%": ["sex", "age"]}).startswith("sobol+a-b-")


def test_groupings_of_an_expansion_share_their_lives(driven, study):
    lived, alone = [], kept(driven, "chaos-sparse").sel(output="primary: fixed", measure="ST")["value"]
    progress = lambda record, *_: lived.append(record)  # noqa: E731
    grouped = drive(study, driven, load("chaos-sparse"), "patients", PATIENTS, groups=PK, progress=progress)
    assert [record for record in lived if record is not None] == []
    together = float(grouped["value"].sel(output="primary: fixed", measure="ST", input="pk"))
    assert together >= float(alone.sel(input=PK["pk"]).max()) - 1e-12
    assert together <= float(alone.sel(input=PK["pk"]).sum()) + 1e-12


def test_inputs_without_a_scale_are_left_to_chance_where_they_must(study):
    asked = ask(study, load("morris"), "population", 4)
    assert asked.chance == ("people",)
    assert "people" not in asked.problem.inputs
    people = asked.experiment.points[:, 0]
    rows = len(asked.problem.inputs) + 1
    assert len(np.unique(people)) == 4 and (people.reshape(4, rows) == people.reshape(4, rows)[:, :1]).all()
    assert "people" in ask(study, load("sobol"), "population", 8).problem.inputs
    assert "people, " not in asked.remarks[0] and "drawn once a trajectory" in asked.remarks[0]
    with pytest.raises(ValueError, match="would look at few values of 'people'"):
        ask(study, load("chaos-quadrature"), "population", 1)
    with pytest.raises(ValueError, match="group 'a' holds 'people', which has no scale"):
        ask(study, load("chaos"), "population", 64, {"a": ["people", "ec50"]})
    with pytest.raises(ValueError, match="group 'luck' has the name of an input"):
        ask(study, load("sobol"), "patients", 8, {"luck": ["sex"]})


def test_the_variance_of_an_estimate_is_split_without_a_rest(driven, study):
    _, lives = cohort(driven)
    reported = store.open_group(driven, schema.TRIALS)["value"].sel(endpoint="primary").values
    parts = decomposition(study, lives, pool(lives), reported, "primary", Figure(0.01, 0.002))
    assert parts.variance[:2].sum() == pytest.approx(reported.var(ddof=1), rel=1e-9)
    assert parts.variance[2] == pytest.approx(0.01**2)
    assert parts.share.sum() == pytest.approx(1.0)
    assert parts.share[0] > abs(parts.share[1])  # who is enrolled matters more than how he is measured
    assert parts.se[2] == pytest.approx(2 * 0.01 * 0.002)


def test_what_is_worth_learning_is_told_from_populations_that_were_lived(driven, study):
    with pytest.raises(ValueError, match="4 draws are too few"):
        worth(driven)
    drive(study, driven, load("chaos"), "population", 128, patients=16)
    data = worth(driven, worthwhile=0.08)
    assert data.attrs["draws"] == 128 and data.attrs["worthwhile"] == 0.08
    one = data.sel(output=f"primary: {CONTRAST}")
    assert set(one["unknown"].values) >= {"ec50", "cyp2c9", "clearance"}
    assert (one["evppi"] >= 0).all() and (one["evppi"] <= one["evpi"] + 3 * one["evpi_se"]).all()
    assert ((one["reduction"] >= 0) & (one["reduction"] < 1)).all()
    np.testing.assert_allclose(data["share"].sum("part"), 1.0)
    assert set(data["part"].values) == {"patients", "measurement", "ignorance"}


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Exit status of the command, run in this process."""
    monkeypatch.setattr(sys, "argv", ["trialtwin", *(str(each) for each in arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command_asks_the_surrogate_and_runs_nothing(driven, monkeypatch, capsys):
    status = command(monkeypatch, "sensitivity", driven, "--what-if", "age=70", "--what-if", "cyp2c9=*1*3")
    told = capsys.readouterr()
    assert status == 0, told.err
    assert "not simulated" in told.out and "primary: genotype - fixed" in told.out
    assert "its error is leave-one-out over 1,024" in told.out
    arguments = ("--what-if", "age=70", "--method", "chaos-sparse")
    assert command(monkeypatch, "sensitivity", driven, *arguments) == 0
    by = [line for line in capsys.readouterr().out.splitlines() if "primary: " in line]
    assert by and all("chaos-sparse" in line for line in by)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--method", "sobole"), "method 'sobole' is unknown; write one of: regression"),
        (("--of", "doctors"), "--of is 'doctors'; write patients or population"),
        (("--size", "100"), "sizes are powers of two"),
        (("--what-if", "age"), "no NAME=VALUE"),
        (("--method", "sobol", "--group", "a=mass"), "no input 'mass'"),
        (("--method", "morris", "--method", "efast", "--size", "64"), "curves of 64 rows are too short"),
        (("--method", "regression", "--of", "population"), "leave --of population and --group out"),
    ],
)
def test_what_is_wrong_is_one_sentence(driven, monkeypatch, capsys, arguments, sentence):
    assert command(monkeypatch, "sensitivity", driven, *arguments) == 2
    told = capsys.readouterr().err
    assert sentence in told and len(told.strip().splitlines()) == 1
