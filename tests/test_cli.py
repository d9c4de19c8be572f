"""The command as its user meets it: answers, refusals by one sentence and status 2, nothing half-written."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from dashboards import cli


class Answer(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def trialtwin(capsys, monkeypatch):
    """The command, in this process; a test below calls it as a program."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["trialtwin", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code
        out, err = capsys.readouterr()
        return Answer(code if isinstance(code, int) else int(code is not None), out, err)

    return call


def assert_refused(result, *words):
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


def test_help_names_every_command(trialtwin):
    result = trialtwin("--help")
    assert result.returncode == 0
    for command in ("run", "check", "status", "report", "show", "pictures", "twins", "populations"):
        assert command in result.stdout


def test_a_wrong_study_is_one_sentence_and_leaves_nothing(trialtwin, small_text, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(small_text.replace("start: 5 mg", "start: -5 mg"), encoding="utf-8")
    for command in (("check", path), ("run", path, "--out", tmp_path / "out")):
        assert_refused(trialtwin(*command), "wrong.yaml:", "start '-5 mg' is not possible")
    assert not (tmp_path / "out").exists()


def test_an_empty_eligibility_is_refused_before_anything_is_written(trialtwin, small_text, tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text(small_text.replace("age >= 50 years", "age > 100 years"), encoding="utf-8")
    assert_refused(trialtwin("run", path, "--out", tmp_path / "out"), "none of 1,000 candidates is eligible")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("age [years],cyp2c9,vkorc1\n", ["no rows"]),
        ("weight [kg],cyp2c9,vkorc1\n70,*1*1,GG\n", ["patients.csv:1", "age"]),
        ("age [years],cyp2c9,vkorc1\n70,*1*1,GG\nold,*1*1,GG\n", ["patients.csv:3", "old"]),
        ("age [years],cyp2c9,vkorc1\n70,*9*9,GG\n", ["patients.csv:2", "*9*9"]),
    ],
)
def test_records_that_do_not_fit_are_refused_with_their_line(trialtwin, content, words, small_text, tmp_path):
    (tmp_path / "patients.csv").write_text(content, encoding="utf-8")
    path = tmp_path / "study.yaml"
    path.write_text(small_text.replace("reference: us-adults ", "reference: patients.csv "), encoding="utf-8")
    assert_refused(trialtwin("run", path, "--out", tmp_path / "out"), *words)
    assert not (tmp_path / "out").exists()


def test_unreadable_runs_are_refused(trialtwin, tmp_path):
    for command in ("status", "report", "show"):
        assert_refused(trialtwin(command, tmp_path), "holds no run; make one with: trialtwin run")
    broken = tmp_path / "broken"
    (broken / "cohort.zarr").mkdir(parents=True)
    (broken / "cohort.zarr" / "zarr.json").write_text("{", encoding="utf-8")
    (broken / "study.yaml").write_text("study: x\n", encoding="utf-8")
    assert_refused(trialtwin("status", broken))


def test_a_port_that_is_taken_is_refused(trialtwin, small_run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_refused(trialtwin("show", small_run, "--port", port), f"port {port} cannot be had", "--port")
    assert_refused(trialtwin("show", small_run, "--port", 70000), "port 70000 cannot be had")


def test_unknown_things_name_the_known_ones(trialtwin, tmp_path):
    assert_refused(trialtwin("twins", "heart"), "warfarin-inr")
    assert_refused(trialtwin("populations", "show", "martians"), "us-adults")
    assert_refused(trialtwin("run", "nothing-such"), "warfarin-genotype")
    assert_refused(trialtwin("run", "warfarin-genotype", "--cluster", "moon", "--out", tmp_path / "out"), "local")
    assert_refused(trialtwin("populations", "fit", "--data", tmp_path / "no.csv", "--out", tmp_path / "out.yaml"))
    assert not list(tmp_path.iterdir())


def test_check_tells_the_cost(trialtwin, small_text, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(small_text, encoding="utf-8")
    result = trialtwin("check", path)
    assert result.returncode == 0, result.stderr
    for word in ("sound", "core-hours", "MB before compression", "GB a process", "1,000 candidates"):
        assert word in result.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["study.yaml"]


def test_twins_and_populations_are_listed_with_units_and_sources(trialtwin):
    result = trialtwin("twins", "warfarin-inr")
    assert result.returncode == 0 and "0.314" in result.stdout and "L/h" in result.stdout
    assert "Hamberg 2007" in result.stdout
    assert "us-adults" in trialtwin("populations").stdout
    shown = trialtwin("populations", "show", "us-adults", "--size", "1024")
    assert shown.returncode == 0 and "rank correlation" in shown.stdout and "systolic" in shown.stdout


def test_the_program_itself_exits_with_2(tmp_path):
    program = [sys.executable, "-c", "from dashboards.cli import main; main()"]
    result = subprocess.run([*program, "check", str(tmp_path / "x.yaml")], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.strip() == f"Error: {tmp_path}/x.yaml: cannot be read (No such file or directory); " + (
        "give the path of a study file"
    )


def test_a_run_ends_by_saying_how_to_look_at_it(trialtwin, small_text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.yaml"
    text = small_text.replace("size: 1000", "size: 512").replace("draws: 4, patients: 32", "draws: 0, patients: 32")
    path.write_text(text, encoding="utf-8")
    first = trialtwin("run", "study.yaml", "--out", "out", "--workers", "1")
    assert first.returncode == 0, first.stderr
    assert "patients/s" in first.stderr and "3/3 blocks" in first.stderr
    for word in ("out/report.html", "show out", "power", "in truth", "coverage"):
        assert word in first.stdout
    assert {file.name for file in (tmp_path / "out").iterdir()} >= {
        "study.yaml",
        "cohort.zarr",
        "summary.json",
        "report.html",
        "run.log",
    }
    log = (tmp_path / "out" / "run.log").read_text(encoding="utf-8")
    assert "arm genotype, chunk 0" in log and "computed 3 of 3 blocks" in log
    summary = (tmp_path / "out" / "summary.json").read_bytes()
    again = trialtwin("run", "study.yaml", "--out", "out")
    assert again.returncode == 0 and "Nothing was left to compute" in again.stdout
    assert (tmp_path / "out" / "summary.json").read_bytes() == summary
    told = trialtwin("status", "out")
    assert told.returncode == 0 and "3 of 3 blocks are done" in told.stdout
    assert Path(tmp_path / "out" / "report.html").stat().st_size > 1_000_000
