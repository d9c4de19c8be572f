"""Figures: axes with units, one colour an arm, the numbers of the summary."""

import html
import math
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from analysis import truth
from dashboards import conducted, responses, results
from dashboards.plots import responses as response_plots
from dashboards.plots import study, style, trial
from dashboards.results import POOL, Results
from dashboards.written import needed, number, with_error, with_interval


@pytest.fixture(scope="module")
def read(small_run: Path) -> Results:
    return results.read(small_run)


@pytest.fixture(scope="module")
def figures(read: Results) -> dict[str, go.Figure]:
    primary = read.study.endpoints[0].name
    drawn = {
        f"trajectory of {name}": response_plots.trajectories(read, name, primary) for name in read.study.plan.outcomes
    }
    drawn |= {"patient": response_plots.patient(read, responses.ordinary(read, primary), primary)}
    for name in (endpoint.name for endpoint in read.study.endpoints):
        drawn |= {
            f"{name}: arms": response_plots.arm_means(read, name),
            f"{name}: estimates": trial.estimates_of_trials(read, name),
            f"{name}: intervals": trial.intervals_of_trials(read, name),
            f"{name}: forest": trial.forest(read, name),
            f"{name}: spread": trial.spread_by_source(read, name),
            f"{name}: power by size": trial.power_by_size(read, name),
            f"{name}: power by effect": trial.power_by_effect(read, name),
        }
    return drawn


def test_every_axis_has_a_title_and_every_figure_its_source(figures):
    assert len(figures) == 2 + 1 + 4 * 7
    for name, figure in figures.items():
        assert figure.data, name
        assert all(axis.title.text for axis in figure.select_yaxes()), name
        assert list(figure.select_xaxes())[-1].title.text, name
        assert any("Source: warfarin-genotype" in note.text.replace("<br>", " ") for note in figure.layout.annotations)


def test_units_are_shown_as_people_write_them(figures):
    def x(name: str) -> str:
        return list(figures[name].select_xaxes())[-1].title.text.replace("<br>", " ")

    assert "[days]" in x("trajectory of inr")
    assert x("good_control: arms") == "share of patients [%]"
    assert "[percentage points]" in x("primary: estimates")
    assert "[days]" in x("first_therapeutic: forest")
    assert next(figures["trajectory of dose"].select_yaxes()).title.text == "dose [mg]"


def test_an_arm_has_one_colour_in_every_figure(read, figures):
    colours = style.colours(read.study)
    assert len(set(colours.values())) == len(read.study.arms)
    for name in ("trajectory of inr", "trajectory of dose", "patient"):
        for trace in figures[name].data:
            if trace.name in colours:
                assert trace.line.color == colours[trace.name], name
    bars = {trace.name: trace.marker.color for trace in figures["primary: arms"].data if trace.type == "bar"}
    assert bars == colours


def test_the_target_of_the_endpoint_is_shaded_on_its_outcome_alone(figures):
    assert [(shape.y0, shape.y1) for shape in figures["trajectory of inr"].layout.shapes if shape.type == "rect"] == [
        (2.0, 3.0)
    ]
    assert not figures["trajectory of dose"].layout.shapes


def test_the_histogram_counts_every_trial(read, figures):
    for endpoint in read.study.endpoints:
        bars = figures[f"{endpoint.name}: estimates"].data[0]
        sound = np.isfinite(read.trials["value"].sel(endpoint=endpoint.name).values)
        assert sound.sum() > 50
        assert sum(bars.y) == sound.sum()


def test_intervals_that_miss_the_truth_are_as_many_as_the_coverage_says(read):
    for endpoint in read.study.endpoints:
        table = conducted.estimates(read, endpoint.name)
        coverage = read.row(f"{endpoint.name}: coverage", read.contrast)
        assert len(table) == coverage.replicates
        assert table["holds the truth"].mean() == pytest.approx(coverage.value, abs=1e-12)


def test_the_forest_shows_everyone_and_every_subgroup(read):
    table = conducted.subgroups(read, "primary")
    assert table["subgroup"].iloc[0] == "everyone"
    assert set(table["covariate"][1:]) == {"cyp2c9", "vkorc1", "age"}
    for covariate in ("cyp2c9", "vkorc1", "age"):
        assert table["patients"][table["covariate"] == covariate].sum() == table["patients"].iloc[0]
    truth = read.row("primary: difference, truth", read.contrast)
    assert table["value"].iloc[0] == pytest.approx(100 * truth.value)


def test_an_endpoint_that_there_is_not_is_refused(read):
    with pytest.raises(ValueError, match="endpoint 'death' is not of warfarin-genotype; write one of: primary, good"):
        conducted.estimates(read, "death")


def test_the_power_of_the_studys_own_size_is_that_of_its_trials(read):
    for endpoint in read.study.endpoints:
        table = conducted.power_by_size(read, endpoint.name)
        own = table[table["study"]]
        power = read.row(f"{endpoint.name}: power", read.contrast)
        assert list(own["subjects"]) == [read.study.trial.subjects]
        assert own["power [%]"].item() == pytest.approx(100 * power.value)
        assert own["trials"].item() == read.study.trial.replicates


def test_the_size_for_a_power_lies_between_those_that_were_tried(read, monkeypatch):
    table = conducted.power_by_size(read, "primary").head(3)
    table["subjects"], table["power [%]"] = [100, 200, 400], [50.0, 70.0, 90.0]
    monkeypatch.setattr(conducted, "power_by_size", lambda *_: table)
    assert conducted.size_for(read, "primary", 80.0) == pytest.approx(300.0)
    assert conducted.size_for(read, "primary", 95.0) is None
    assert conducted.size_for(read, "primary", 40.0) == 100.0


def test_the_design_names_arms_visits_criteria_and_endpoints_and_counts_the_way_in(read):
    figure = study.design(read)
    said = " ".join(note.text for note in figure.layout.annotations).replace("<br>", " ")
    for arm in read.study.arms:
        assert f"<b>{arm.name}</b>" in said
    for endpoint in read.study.endpoints:
        assert f"<b>{endpoint.name}</b>" in said
    assert html.escape(read.study.criteria[0].text, quote=False) in said
    for gate in ("candidates", "eligible", POOL):
        assert f"<b>{read.count(gate):,}</b>" in said
    visits = [trace for trace in figure.data if trace.name == "visit"]
    assert len(visits) == len(read.study.arms)
    assert all(list(trace.x) == list(read.study.visit_days) for trace in visits)


def test_a_patient_is_shown_as_stored(read):
    number_of = int(np.flatnonzero(truth.pool(read.cohort))[3])
    patient = responses.patient(read, number_of)
    life = responses.life(read, number_of)
    for i, arm in enumerate(read.study.arms):
        shown = life[(life["arm"] == arm.name) & (life["outcome"] == "inr") & (life["kind"] == "recorded")]
        assert np.isfinite(shown["value"]).all()
        assert np.array_equal(shown["value"], read.cohort["inr"].values[i, number_of])
    assert set(patient.outcome["status"]) == {"ok"}
    assert set(patient.who["name"]) == {variable.name for variable in read.study.population.variables}


def test_a_patient_that_there_is_not_is_refused(read):
    with pytest.raises(ValueError, match="no patient 1000; give a number from 0 to 999"):
        responses.patient(read, 1000)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no run; make one with: trialtwin run"):
        results.read(tmp_path)


def test_numbers_have_the_digits_that_their_error_allows():
    assert with_error(77.7, 0.93) == "77.7 (0.9)"
    assert with_error(0.0413, 0.0694) == "0.04 (0.07)"
    assert with_error(94.8, 0.0) == "94.8 (0)" or with_error(94.8, 0.0).startswith("94.8")
    assert (
        with_interval(8.34, 7.44, 9.25) == "8.3 (7.4 to 9.3)" or with_interval(8.34, 7.44, 9.25) == "8.3 (7.4 to 9.2)"
    )
    assert number(-0.00001, 2) == "0.00"
    assert number(-1234.5, 1) == "−1,234.5"
    assert number(math.nan) == "–"
    assert number(2.0) == "2"
    assert number(0.685) == "0.685"


def test_a_number_needed_to_treat_says_harm_and_open_ends():
    assert needed(10.0, 8.6, 12.0) == "10 (8.6 to 12)"
    assert needed(-14.2, -20.0, -11.0) == "harm 14 (11 to 20)"
    assert needed(40.0, None, None) == "40 (no two ends)"
    assert needed(math.inf, None, None) == "–"
