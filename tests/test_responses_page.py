"""The Responses page: what patients do under each arm, each against himself, from the stored aggregates alone."""

import sys
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import dashboards
from analysis import truth
from analysis.endpoints import true
from dashboards import effects, responses, results
from dashboards.chart import python, tabulated
from dashboards.plots import effects as drawn_effects
from dashboards.plots import responses as drawn_responses
from dashboards.results import Results

PAGE = Path(str(dashboards.__file__)).with_name("pages") / "responses.py"


@pytest.fixture(scope="module")
def read(small_run: Path) -> Results:
    return results.read(small_run)


def opened(monkeypatch: pytest.MonkeyPatch, run: Path) -> AppTest:
    monkeypatch.setattr(sys, "argv", [str(PAGE), str(run)])
    page = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert not page.exception
    return page


def charts(page: AppTest) -> int:
    return len(page.get("plotly_chart"))


def test_the_page_shows_its_charts_and_the_true_means(monkeypatch, small_run, read):
    page = opened(monkeypatch, small_run)
    assert charts(page) == 2 + 2 + 3 + 2 + 1
    mean = read.row("primary: mean, truth", "fixed").value
    assert page.metric[0].value == f"{100 * mean:.1f}"


def test_every_endpoint_can_be_chosen_and_one_of_yes_or_no_has_no_waterfall(monkeypatch, small_run, read):
    page = opened(monkeypatch, small_run)
    for endpoint in read.study.endpoints[1:]:
        page.selectbox(key="endpoint").select(endpoint.name).run()
        assert not page.exception
        assert charts(page) == (7 if effects.binary(read, endpoint.name) else 10)


def test_patients_can_be_split_by_any_variable(monkeypatch, small_run):
    page = opened(monkeypatch, small_run)
    for name in ("weight", "ec50", "vkorc1"):
        page.selectbox(key="split").select(name).run()
        assert not page.exception
        assert any(header.value == f"By {name}" for header in page.subheader)


def test_the_first_patient_shown_has_the_median_effect_and_another_can_be_asked_for(monkeypatch, small_run, read):
    page = opened(monkeypatch, small_run)
    assert page.number_input(key="number").value == responses.ordinary(read, "primary")
    number = int(np.flatnonzero(truth.pool(read.cohort))[-1])
    page.number_input(key="number").set_value(number).run()
    assert not page.exception
    assert any(header.value.startswith(f"Patient {number}") for header in page.subheader)


def test_a_patient_who_is_not_eligible_is_said_to_be_so(monkeypatch, small_run, read):
    number = int(np.flatnonzero(~read.cohort["eligible"].values)[0])
    page = opened(monkeypatch, small_run)
    page.number_input(key="number").set_value(number).run()
    assert not page.exception
    assert f"Patient {number} is not eligible" in page.info[0].value
    assert charts(page) == 9


def test_the_median_patient_is_the_one_whose_own_effect_is_nearest_to_the_median(read):
    named = results.named(read.study)
    values, inside = true(named["primary"], read.cohort, named), np.flatnonzero(truth.pool(read.cohort))
    effect = (values[1] - values[0])[inside]  # genotype - fixed
    assert responses.ordinary(read, "primary") == inside[np.argmin(np.abs(effect - np.median(effect)))]


def test_signs_of_effects_are_a_whole_for_every_endpoint(read):
    table = effects.signs(read)
    pool = read.count(results.POOL)
    assert set(table["endpoint"]) == {endpoint.name for endpoint in read.study.endpoints}
    assert (table.groupby("endpoint")["patients"].sum() == pool).all()
    assert np.allclose(table.groupby("endpoint")["share [%]"].sum(), 100)


def test_the_waterfall_rises_and_its_mean_is_the_true_difference(read):
    table = effects.waterfall(read, "primary")
    effect = table["effect"].to_numpy()
    assert (np.diff(effect) >= 0).all()
    truth_of_all = 100 * read.row("primary: difference, truth", read.contrast).value
    # The curve has 201 points of some 430 patients; a trapezoid between them is off by less than half a point.
    assert np.trapezoid(effect, table["patients below [%]"]) / 100 == pytest.approx(truth_of_all, abs=0.5)


def test_by_variable_the_effect_is_the_difference_of_the_arms(read):
    for variable in ("weight", "cyp2c9"):
        table = effects.by_variable(read, "primary", variable)
        table = table[table["patients"] > 0]
        by = {who: table[table["who"] == who]["value"].to_numpy() for who in ("fixed", "genotype", read.contrast)}
        assert len(by["fixed"]) > 2
        assert np.allclose(by["genotype"] - by["fixed"], by[read.contrast])


def test_what_moves_the_effect_most_comes_first(read):
    table = effects.modifiers(read, "primary")
    assert (np.diff(table["spread"]) <= 0).all()
    assert (table["lowest"] <= table["mean"]).all() and (table["mean"] <= table["highest"]).all()
    assert set(table["variable"][:6]) & {"cyp2c9", "vkorc1"}  # the arms differ by the genotype alone


FIGURES = [
    (drawn_responses.trajectories, responses.trajectory, ("inr", "primary", None)),
    (drawn_responses.trajectories, responses.trajectory, ("dose", "primary", "apart")),
    (drawn_responses.arm_means, responses.arm_means, ("primary",)),
    (drawn_effects.values, effects.values, ("first_therapeutic",)),
    (drawn_effects.signs, effects.signs, ()),
    (drawn_effects.waterfall, effects.waterfall, ("primary",)),
    (drawn_effects.histogram, effects.histogram, ("first_therapeutic",)),
    (drawn_effects.by_variable, effects.by_variable, ("good_control", "cyp2c9")),
    (drawn_effects.by_variable, effects.by_variable, ("primary", "clearance")),
    (drawn_effects.modifiers, effects.modifiers, ("high_inr",)),
    (drawn_responses.patient, responses.life, (3, "primary")),
]


@pytest.mark.parametrize(("figure", "table", "names"), FIGURES)
def test_a_figure_has_titles_source_data_and_the_python_that_draws_it(read, figure, table, names):
    drawn = figure(read, *names)
    assert drawn.data
    assert list(drawn.select_xaxes())[-1].title.text
    assert all(axis.title.text for axis in drawn.select_yaxes())
    assert any("Source: warfarin-genotype" in note.text.replace("<br>", " ") for note in drawn.layout.annotations)
    assert len(tabulated(read, table, *names))
    known: dict = {}
    exec(python(read, figure, *names).replace("figure.show()", ""), known)
    assert known["figure"].to_json() == drawn.to_json()


def test_an_arm_has_one_panel_where_they_are_apart(read):
    apart = drawn_responses.trajectories(read, "inr", "primary", "apart")
    assert {trace.yaxis for trace in apart.data} == {"y", "y2"}
    assert len({trace.yaxis for trace in drawn_responses.trajectories(read, "inr", "primary").data}) == 1
