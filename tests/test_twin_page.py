"""The Twin page: one patient solved anew, as he is stored and with changes."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import dashboards
from dashboards import results, twin
from dashboards.plots.twin import before_after
from dashboards.results import Results
from solvers import twins
from trials import document, schema
from trials.store import COHORT
from trials.study import Study, study

APP = Path(str(dashboards.__file__)).with_name("app.py")


@pytest.fixture(scope="module")
def read(small_run: Path) -> Results:
    return results.read(small_run)


@pytest.fixture(params=twins.names())
def short(request) -> Study:
    """A short study of every twin there is."""
    model = twins.load(request.param)
    output, action = model.outputs[0], model.actions[0]
    # What devices show is looked at every few minutes, of people who wear them.
    worn = any(each.device for each in model.outputs)
    people, tick, visits = ("type-1-adults", "5 min", "0, 4 h") if worn else ("us-adults", "12 h", "0, 1 days")
    low, high = (f"policy: fixed-oral, dose: {dose} {action.unit}, every: {h} h" for dose, h in ((2, 24), (4, 12)))
    if worn:
        low, high = "policy: basal-bolus", "policy: basal-bolus, bolus: 120 %"
    elif action.unit == "1":
        low, high = (f"policy: constant-levels, levels: {action.name} {level}" for level in (0.5, 1))
    text = f"""
    study: short
    title: Two doses
    twin: {model.name}
    population: {{reference: {people}, size: 64}}
    tick: {tick}
    record: every {"1 h" if worn else "12 h"}
    visits: {visits}
    arms:
      low: {{{low}}}
      high: {{{high}}}
    outcomes: [{output.name}, {action.name}]
    endpoints: {{primary: {{time in range: {output.name}, between: 0.1 to 2 {output.unit.replace("1", "")}}}}}
    trial: {{subjects: 20, allocation: 1:1, block: 2, replicates: 10}}
    analysis: {{contrast: high - low}}
    """
    return study(document.parse(text, "study.yaml"), Path())


def test_before_is_the_stored_life_of_the_patient(read):
    for arm in read.study.arms:
        for patient in (3, 700):
            anew = twin.lives(read, arm.name, patient, "age", 75.0)
            assert not set(read.study.plan.outcomes) - set(anew)
            stored = read.cohort.sel({schema.ARM: arm.name}).isel({schema.PATIENT: patient})
            if not bool(stored[schema.ELIGIBLE]):
                continue
            for name in (*read.study.plan.outcomes, "inr_measured", *(fold.name for fold in read.study.plan.folds)):
                before = anew[name].sel({schema.ARM: "before"}).values[0]
                assert np.isfinite(stored[name].values).all()
                # Where the therapy is free, steps are finer: each is within the tolerance of the truth.
                np.testing.assert_allclose(before, stored[name].values, rtol=2 * read.study.tolerance, atol=1e-9)


def test_at_least_one_of_the_patients_compared_is_eligible(read):
    assert read.cohort[schema.ELIGIBLE].values[[3, 700]].any()


def test_nothing_changed_makes_no_difference(read):
    table = twin.compared(read, "genotype", 700)
    assert (table["difference"] == 0).all() and len(table) == len(read.study.endpoints)
    data = twin.lives(read, "genotype", 700)
    assert np.array_equal(data["inr"].sel(arm="before"), data["inr"].sel(arm="after"))


def test_therapy_and_patient_can_be_changed_and_before_stays(read):
    as_is = twin.lives(read, "fixed", 700)
    moved = twin.lives(read, "fixed", 700, "vkorc1", "AA", twin.THERAPY + "start", 2.5)
    assert np.array_equal(as_is["inr"].sel(arm="before"), moved["inr"].sel(arm="before"))
    first = moved["dose"].values[:, 0, :5].max(1)
    assert first.tolist() == [5.0, 2.5]
    assert not np.allclose(moved["inr"].sel(arm="before"), moved["inr"].sel(arm="after"))


def test_a_failed_life_is_told_in_words(read):
    told = twin.troubles(read, "fixed", twin.TYPICAL, "inr_span", 1e5)
    assert told == {"after": "an outcome left its possible range"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (("age", 17.0), "age is 17.0; write a number from 18 to 120 year"),
        (("cyp2c9", "*9*9"), r"cyp2c9 '\*9\*9' is no level; write one of: \*1\*1"),
        (("shoe", 43.0), "has no 'shoe'; write one of: absorption_rate"),
        ((twin.THERAPY + "start", 300.0), "setting 'start' is 300; write a number from 0 to 20 mg"),
        (("age",), "1 changes are given; give names and values in turn"),
    ],
)
def test_what_cannot_be_is_refused(read, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        twin.lives(read, "fixed", twin.TYPICAL, *changes)


def test_a_patient_that_there_is_not_is_refused(read):
    with pytest.raises(ValueError, match="no patient 1000; give a number from 0 to 999, or 'typical'"):
        twin.sliders(read.study, "fixed", 1000)


def test_every_twin_can_be_moved_to_the_ends_of_its_sliders(short):
    empty = results.Results(Path("nowhere"), short, None, {}, {})
    bounds = {variable.name: variable.bounds for variable in short.twin.variables}
    for slider in twin.sliders(short, "low", 5):
        assert slider.before in slider.values and len(slider.values) > 1
        assert list(slider.values) == sorted(set(slider.values))
        assert len({slider.written(value) for value in slider.values}) == len(slider.values)
        for value in (slider.values[0], slider.values[-1]):
            low, high = bounds.get(slider.name, (-np.inf, np.inf))
            assert low <= value <= high
            change = slider.levels[int(value)] if slider.levels else value
            assert "before" not in twin.troubles(empty, "low", 5, slider.name, change)
    assert {slider.kind for slider in twin.sliders(short, "low", 5)} >= {"parameter", "therapy"}
    moved = {"dose": 3.0, "bolus": 0.9, short.twin.actions[0].name: 0.7}
    setting, value = next(each for each in moved.items() if each[0] in short.arm("high").policy.settings)
    figure = before_after(empty, "high", twin.TYPICAL, twin.THERAPY + setting, value)
    outcomes = {item.name for item in short.twin.outcomes}
    assert set(twin.drawn(short)) == (outcomes if len(outcomes) <= 8 else set(short.plan.outcomes))
    assert len(list(figure.select_yaxes())) == len(twin.drawn(short))
    assert all(axis.title.text for axis in figure.select_yaxes())


def test_the_typical_patient_would_be_enrolled(read):
    assert twin.admitted(read.study, twin.TYPICAL)
    assert not all(twin.admitted(read.study, patient) for patient in range(20))


def opened(monkeypatch: pytest.MonkeyPatch, folder: Path) -> AppTest:
    monkeypatch.setattr(sys, "argv", [str(APP), str(folder)])
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    page.switch_page("pages/twin.py").run()
    assert not page.exception
    return page


def shown(page: AppTest) -> list[list[str]]:
    return page.table[0].value.to_numpy().tolist()


def test_a_slider_changes_the_page_and_reset_takes_it_back(monkeypatch, small_run):
    page = opened(monkeypatch, small_run)
    assert all(row[2] == "–" for row in shown(page))
    start = next(slider for slider in page.select_slider if slider.label == "First dose")
    assert start.value == 5.0
    start.set_value(9.0).run()
    assert not page.exception
    assert any(row[2] != "–" for row in shown(page))
    assert any("first dose: 5 mg → 9 mg" in each.value.replace("\\", "") for each in page.markdown)
    page.button[0].click().run()
    assert all(row[2] == "–" for row in shown(page))


def test_another_arm_and_patient_can_be_chosen(monkeypatch, small_run):
    page = opened(monkeypatch, small_run)
    page.selectbox(key="twin-arm").select("genotype").run()
    page.segmented_control[0].set_value("A patient of the study").run()
    page.number_input[0].set_value(700).run()
    assert not page.exception
    assert len(page.get("plotly_chart")) == 1
    assert any("genotype" in slider.label for slider in page.select_slider)


def test_an_unfinished_run_suffices(monkeypatch, small_run, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(small_run / "study.yaml", folder)
    assert not (folder / COHORT).exists()
    page = opened(monkeypatch, folder)
    assert len(page.get("plotly_chart")) == 1
    assert len(shown(page)) == len(results.planned(folder).study.endpoints)
