"""How many patients are solved together: measured for large runs, kept with the run."""

import json

import pytest

from trials import engines, store, width
from trials.run import run
from trials.study import read

LINEAR = """
study: linear
title: A linear twin
twin: theophylline
population: {reference: us-adults, size: 2048, sampling: sobol, seed: 3, uncertainty: {draws: 0, patients: 10}}
eligibility: []
tick: 6 h
record: every 12 h
visits: 0, 1 days
arms:
  low: {policy: fixed-oral, dose: 200 mg, every: 12 h}
  high: {policy: fixed-oral, dose: 300 mg, every: 12 h}
outcomes: [concentration]
endpoints:
  primary: {time in range: concentration, between: 5 to 15 mg/L, until: 24 h}
trial: {replicates: 10, subjects: 100}
analysis: {contrast: high - low, method: t-test}
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(LINEAR, encoding="utf-8")
    return read(path)


@pytest.fixture
def measured(monkeypatch):
    """What was measured, without the measuring."""
    found = []

    def fastest(plan, solved_by, widths):
        found.append(widths)
        return widths[-1]

    monkeypatch.setattr(width, "fastest", fastest)
    return found


def test_small_runs_are_not_measured(study, measured):
    assert width.of(study, engines.chosen(study), width.PAYS - 1, 2048) == width.WIDTH
    assert not measured


def test_a_width_divides_the_chunk_and_is_measured_once(study, measured, monkeypatch, tmp_path):
    monkeypatch.setenv("TRIALTWIN_CACHE", str(tmp_path / "cache"))
    solved_by = engines.chosen(study)
    assert width.of(study, solved_by, width.PAYS, 1536) == 512
    assert width.of(study, solved_by, width.PAYS, 1536) == 512
    assert measured == [[256, 512]]
    assert width.of(study, solved_by, width.PAYS, 256) == 256
    assert width.of(study, solved_by, width.PAYS, 4096) == 512  # what is known will do
    next((tmp_path / "cache" / "widths").iterdir()).write_text("7", encoding="utf-8")
    assert width.of(study, solved_by, width.PAYS, 4096) == 1024


def test_the_fastest_is_one_of_them(study, monkeypatch):
    monkeypatch.setattr(width, "ROUNDS", 1)
    assert width.fastest(study, engines.chosen(study), [256, 512]) in (256, 512)


def test_a_run_keeps_its_width(study, measured, monkeypatch, tmp_path):
    monkeypatch.setenv("TRIALTWIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(width, "PAYS", 0)
    run(study, tmp_path / "run")
    kept = json.loads(str(store.open_group(tmp_path / "run", "").attrs["engine"]))
    assert kept["width"] == 1024
    monkeypatch.setattr(width, "PAYS", 10**9)  # going on, nothing is measured and nothing changes
    assert not run(study, tmp_path / "run").computed
    assert len(measured) == 1
