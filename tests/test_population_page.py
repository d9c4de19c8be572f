"""The Population page: every chart and table says who the patients are, from the stored aggregates alone."""

import sys
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import dashboards
from analysis.summary import summarise
from dashboards import people, results
from dashboards.chart import python, tabulated
from dashboards.plots import population
from dashboards.results import Results
from trials import study as studies
from trials.run import run as simulate

PAGE = Path(str(dashboards.__file__)).with_name("pages") / "population.py"


@pytest.fixture(scope="module")
def read(small_run: Path) -> Results:
    return results.read(small_run)


def opened(monkeypatch: pytest.MonkeyPatch, run: Path) -> AppTest:
    monkeypatch.setattr(sys, "argv", [str(PAGE), str(run)])
    page = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert not page.exception
    return page


def test_the_page_shows_its_charts_and_counts(monkeypatch, small_run, read):
    page = opened(monkeypatch, small_run)
    assert len(page.get("plotly_chart")) == 5
    eligible = int(read.cohort["eligible"].sum())
    assert [metric.value for metric in page.metric] == ["1,000", f"{eligible:,}", f"{eligible:,}", "0"]


def test_every_variable_that_varies_can_be_chosen(monkeypatch, small_run, read):
    page = opened(monkeypatch, small_run)
    box = next(box for box in page.selectbox if box.key == "variable")
    names = [one.name for one in people.varying(read)]
    assert len(box.options) == len(names) > 15
    for name in ("cyp2c9", "ec50"):
        page.selectbox(key="variable").select(name).run()
        assert not page.exception
        assert any(header.value == f"Distribution of {name}" for header in page.subheader)


def test_correlations_of_parameters_and_of_the_eligible_can_be_chosen(monkeypatch, small_run):
    page = opened(monkeypatch, small_run)
    for key, value in (("kind", "parameter"), ("kind", "all"), ("among", "eligible")):
        next(group for group in page.get("button_group") if group.key == key).set_value(value)
        assert not page.run().exception
        assert len(page.get("plotly_chart")) == 5


def test_the_funnel_counts_the_candidates_who_are_left(read):
    table = people.funnel(read)
    age = read.cohort["age"].values
    assert table["step"].tolist() == ["candidates", "age >= 50 years", "a sound life under every arm"]
    assert table["patients"].tolist() == [1000, (age >= 50).sum(), (age >= 50).sum()]
    assert table["share of candidates [%]"].iloc[0] == 100


def test_a_distribution_holds_every_patient_and_its_shares_are_a_whole(read):
    for name in ("age", "sex", "clearance"):
        table = people.distribution(read, name)
        assert table.groupby("who")["patients"].sum().to_dict() == dict(
            zip(("candidates", "eligible", "pool"), read.group("people")["patients"].values.tolist(), strict=True)
        )
        assert np.allclose(table.groupby("who")["share [%]"].sum(), 100)


def test_a_variable_that_there_is_not_is_refused(read):
    with pytest.raises(ValueError, match="variable 'shoe' is not of the population; write one of: sex, age"):
        people.distribution(read, "shoe")


def test_attained_and_target_differ_by_what_is_said(read):
    table = people.attained(read)
    assert len(table) > 100
    assert np.allclose(table["attained"] - table["target"], table["difference"])
    age = table[(table["variable"] == "age") & (table["statistic"] == "mean")].iloc[0]
    assert age["attained"] == pytest.approx(read.cohort["age"].values.mean())
    assert abs(age["difference [SD]"]) < 0.05


def test_every_source_is_named(read):
    table = people.sources(read)
    assert table["name"].tolist() == [one.name for one in read.study.population.variables]
    assert set(table["evidence"]) <= {"fitted", "published", "assumed"}
    assert (table["source"].str.len() > 3).all()


RECORDS = """
study: records
title: Three <b>doses</b> of *theophylline*
twin: theophylline
population: {reference: patients.csv, size: 300}
tick: 6 h
record: every 6 h
visits: 0, 1, 2 days
arms:
  low:  {policy: fixed-oral, dose: 100 mg, every: 12 h, from: 0 days}
  mid:  {policy: fixed-oral, dose: 150 mg, every: 12 h, from: 0 days}
  high: {policy: fixed-oral, dose: 200 mg, every: 12 h, from: 0 days}
outcomes: [concentration, dose]
endpoints:
  primary: {time in range: concentration, between: 2 to 8 mg/L, until: 2 days}
  toxic: {ever: concentration, at least: 500 mg/L, until: 2 days}
trial: {replicates: 5, subjects: 30, allocation: 1:1:1, block: 3}
analysis: {contrast: high - low, method: t-test, sided: 2, alpha: 5 %}
"""


def test_three_arms_of_ones_own_records_are_shown_and_have_no_target(monkeypatch, tmp_path):
    (tmp_path / "patients.csv").write_text("weight [kg],severity [1]\n60,1\n70,2\n70,3\n85,1\n", encoding="utf-8")
    (tmp_path / "study.yaml").write_text(RECORDS, encoding="utf-8")
    simulate(studies.read(tmp_path / "study.yaml"), tmp_path / "run")
    summarise(tmp_path / "run")
    page = opened(monkeypatch, tmp_path / "run")
    assert "your own records" in page.info[0].value
    assert len(page.get("plotly_chart")) == 3
    monkeypatch.setattr(sys, "argv", [str(PAGE), str(tmp_path / "run")])
    other = AppTest.from_file(str(PAGE.with_name("responses.py")), default_timeout=60).run()
    assert not other.exception
    other.selectbox(key="endpoint").select("toxic").run()  # in nobody, under no arm
    assert not other.exception


FIGURES = [
    (population.funnel, people.funnel, ()),
    (population.distribution, people.distribution, ("weight",)),
    (population.distribution, people.distribution, ("vkorc1",)),
    (population.correlations, people.correlations, ("eligible", None)),
    (population.attained_statistics, people.attained, ()),
    (population.attained_correlations, people.attained, ()),
]


@pytest.mark.parametrize(("figure", "table", "names"), FIGURES)
def test_a_figure_has_titles_source_data_and_the_python_that_draws_it(read, figure, table, names):
    drawn = figure(read, *names)
    assert drawn.data
    assert all(axis.title.text for axis in (*drawn.select_xaxes(), *drawn.select_yaxes()))
    assert any("Source: warfarin-genotype" in note.text.replace("<br>", " ") for note in drawn.layout.annotations)
    assert len(tabulated(read, table, *names))
    known: dict = {}
    exec(python(read, figure, *names).replace("figure.show()", ""), known)
    assert known["figure"].to_json() == drawn.to_json()
