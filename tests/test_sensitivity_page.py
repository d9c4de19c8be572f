"""The Sensitivity page: indices, regressions, surrogates and the worth of knowing, as they are kept with a run."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
import xarray as xr
from scipy.special import ndtri
from streamlit.testing.v1 import AppTest

import dashboards
from analysis import kept, ranks, truth
from analysis.drivers import regress
from analysis.sensitivity.problem import Column, Problem
from analysis.sensitivity.surrogate import fit
from dashboards import drivers, pictures, reading, results, surrogates
from dashboards.chart import drawn_once
from dashboards.plots import sensitivity as drawn
from dashboards.plots import surrogates as predicted
from dashboards.results import Results
from trials import schema

APP = Path(str(dashboards.__file__)).with_name("app.py")
INPUTS = ("clearance", "ec50", "vkorc1", "luck")
STRENGTH = np.array([0.1, 0.4, 0.3, 0.05])  # of the total index of each input; ec50 leads
EFFECT = "primary: genotype - fixed"


def outputs(read: Results) -> list[str]:
    who = [*(arm.name for arm in read.study.arms), read.contrast]
    return [f"{endpoint.name}: {one}" for endpoint in read.study.endpoints for one in who]


def indices(read: Results, measures: tuple[str, ...], converged: bool) -> xr.Dataset:
    """Indices as `analysis.drivers` writes them, with numbers that are known."""
    names = outputs(read)
    count = len(names)
    value = np.broadcast_to(
        np.stack([STRENGTH * factor for factor in np.linspace(0.6, 1.0, len(measures))]), (count, len(measures), 4)
    )
    days = np.linspace(0.0, 84.0, 5)
    second = np.full((count, 4, 4), 0.02)
    second[:, range(4), range(4)] = np.nan
    return xr.Dataset(
        {
            "value": (("output", "measure", "input"), value),
            "lower": (("output", "measure", "input"), value - 0.03),
            "upper": (("output", "measure", "input"), value + 0.03),
            "by_size": (("size", "output", "measure", "input"), np.stack([value * 0.9, value * 1.02, value])),
            "converged": ("output", np.full(count, converged)),
            "verdict": ("output", [("converged" if converged else "not converged") + ": said why"] * count),
            "second_value": (("output", "input", "input_2"), second),
            "second_lower": (("output", "input", "input_2"), second - 0.01),
            "second_upper": (("output", "input", "input_2"), second + 0.01),
            "time_value": (
                ("trace", "time_measure", "input", schema.TIME),
                np.broadcast_to(STRENGTH[:, None] * np.linspace(0.2, 1.0, 5), (1, len(measures), 4, 5)).copy(),
            ),
        },
        coords={
            "output": names,
            "measure": list(measures),
            "input": list(INPUTS),
            "input_2": list(INPUTS),
            "size": [16, 32, 64],
            "title": ("input", [f"what {name} is" for name in INPUTS]),
            "unit": ("output", ["1"] * count),
            "trace": ["inr: fixed"],
            "trace_unit": ("trace", ["1"]),
            "time_measure": list(measures),
            schema.TIME: days,
        },
        attrs={
            "title": f"A method of {measures[-1]}",
            "source": "A paper 2001",
            "leading": measures[-1],
            "lives": 1280,
            "used": 640,
            "dropped": 10,
            "handled": "blocks with a failed life are left out",
            "chance": ["vkorc1_call", "luck"],
            "size": 64,
            "made_from": "numbers",
        },
    )


def surrogate(read: Results) -> xr.Dataset:
    """Of 0.5 + 0.1 z(ec50) - 0.05 (vkorc1 is AA), which a polynomial meets exactly."""
    problem = Problem((Column("ec50", "ec50", "normal"), Column("vkorc1", "vkorc1", "levels", (0.5, 0.3, 0.2))))
    rng = np.random.default_rng(3)
    points = rng.random((256, 2))
    truth = 0.5 + 0.1 * ndtri(points[:, 0]) - 0.05 * (points[:, 1] > 0.8)
    quantile = (np.arange(201) + 0.5) / 201
    codes = np.searchsorted([0.5, 0.8], quantile, side="right").astype(float)
    data = fit(problem, points, np.stack([truth, truth], axis=1)).to_dataset()
    data = data.assign_coords(
        {
            "output": [EFFECT, "primary: fixed"],
            "title": ("column", ["what ec50 is", "what vkorc1 is"]),
            "column_unit": ("column", ["mg/L", "1"]),
            "quantile": ("grid", quantile),
        }
    )
    data["physical"] = (("column", "grid"), np.stack([4.0 * np.exp(0.4 * ndtri(quantile)), codes]))
    return data.assign_attrs(levels=json.dumps({"vkorc1": ["GG", "GA", "AA"]}))


def information(read: Results) -> xr.Dataset:
    pairs = (1, 3)
    worth = np.array([[0.001, 0.004, 0.0]])
    return xr.Dataset(
        {
            "share": (("output", "part"), np.array([[0.7, 0.2, 0.1]])),
            "variance": (("output", "part"), np.array([[0.0007, 0.0002, 0.0001]])),
            "variance_se": (("output", "part"), np.array([[0.0001, 0.00005, np.nan]])),
            "evppi": (("output", "unknown"), worth),
            "evppi_se": (("output", "unknown"), np.full(pairs, 0.0005)),
            "reduction": (("output", "unknown"), np.array([[0.1, 0.5, 0.0]])),
            "reduction_se": (("output", "unknown"), np.full(pairs, 0.02)),
            "evpi": ("output", [0.006]),
        },
        {
            "output": [EFFECT],
            "part": ["patients", "measurement", "ignorance"],
            "unknown": ["clearance", "ec50", "people"],
        },
    )


def written(read: Results, folder: Path) -> None:
    groups = {
        f"{schema.SENSITIVITY}/patients/sobol": indices(read, ("S1", "ST"), True),
        f"{schema.SENSITIVITY}/patients/morris": indices(read, ("mu", "sigma", "mu_star"), False),
        f"{schema.SENSITIVITY}/population/sobol": indices(read, ("S1", "ST"), False),
        f"{schema.SURROGATES}/patients/chaos": surrogate(read),
        schema.INFORMATION: information(read),
    }
    kept.write(folder, groups)
    regress(read.study, folder)


@pytest.fixture(scope="module")
def folder(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("sensitivity") / "run"
    shutil.copytree(small_run, copy)
    written(results.read(copy), copy)
    return copy


@pytest.fixture(scope="module")
def read(folder: Path) -> Results:
    return results.read(folder)


def opened(monkeypatch: pytest.MonkeyPatch, folder: Path) -> AppTest:
    monkeypatch.setattr(sys, "argv", [str(APP), str(folder)])
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    page.switch_page("pages/sensitivity.py").run()
    assert not page.exception
    return page


def sources(page: AppTest) -> list[str]:
    """What is said below each chart, in the order of the page."""
    layouts = [json.loads(chart.proto.spec)["layout"] for chart in page.get("plotly_chart")]
    return [" ".join(note["text"].replace("<br>", " ") for note in each["annotations"]) for each in layouts]


def test_indices_are_those_that_are_kept_the_leading_input_first(read):
    table = drivers.indices(read, "patients", "sobol", EFFECT)
    total = table[table["measure"] == "ST"]
    assert total["input"].tolist() == ["ec50", "vkorc1", "clearance", "luck"]
    assert total["value"].tolist() == sorted(STRENGTH, reverse=True)
    assert (total["lower"] < total["value"]).all() and (total["value"] < total["upper"]).all()
    assert set(total["unit"]) == {""}


def test_effects_of_shares_are_told_in_percentage_points(read):
    table = drivers.indices(read, "patients", "morris", EFFECT)
    leading = table[table["measure"] == "mu_star"]
    assert leading["value"].iloc[0] == pytest.approx(40.0)
    assert set(leading["unit"]) == {"percentage points"}


def test_the_interval_of_convergence_is_that_of_the_whole(read):
    table = drivers.convergence(read, "patients", "sobol", EFFECT)
    first = table[table["input"] == "ec50"]
    assert first["size"].tolist() == [16, 32, 64]
    assert np.isnan(first["lower"].iloc[:-1]).all() and first["lower"].iloc[-1] == pytest.approx(0.37)


def test_the_tornado_holds_the_means_of_the_stored_patients(read):
    table = drivers.tornado(read, EFFECT)
    assert set(table["input"]) == set(drivers.ranks(read, EFFECT)["input"])
    inside = truth.pool(read.cohort)
    clearance, effect = (read.cohort[name].values for name in ("clearance", str(read.study.endpoints[0].fold)))
    low = np.argsort(clearance[inside])[: round(inside.sum() / 10)]
    own = (effect[1] - effect[0])[inside][low]  # genotype - fixed
    bar = table[(table["input"] == "clearance") & (table["part"] == "lowest tenth")].iloc[0]
    assert bar["patients"] == pytest.approx(len(low), abs=1)
    assert bar["mean"] == pytest.approx(100.0 * own.mean(), abs=100.0 * own.std() / 10)
    assert set(table["unit"]) == {"percentage points"}
    assert set(drivers.tornado(read, "primary: fixed")["unit"]) == {"%"}


def test_a_regression_on_stored_patients_is_no_experiment(read):
    assert drivers.methods(read, "patients") == ["morris", "sobol"]
    table = drivers.ranks(read, EFFECT)
    strength = table[table["measure"] == "prcc"]["value"].abs()
    assert strength.is_monotonic_decreasing and strength.iloc[0] > 0.1


def test_a_surrogate_is_seen_on_the_scale_of_its_inputs(read):
    one = surrogates.surface_of(read, "patients", "chaos", EFFECT)
    assert surrogates.moving(one) == ["ec50", "vkorc1"]
    assert surrogates.axis_of(one, "vkorc1").labels == ("GG", "GA", "AA")
    middle, error = surrogates.what_if(read, "patients", "chaos", EFFECT)
    assert (middle, error) == (pytest.approx(50.0), pytest.approx(0.0, abs=1e-6))
    axis = surrogates.axis_of(one, "vkorc1")
    at_aa, _ = surrogates.what_if(read, "patients", "chaos", EFFECT, "vkorc1", float(axis.quantiles[2]))
    assert at_aa == pytest.approx(45.0)
    table = surrogates.surface(read, "patients", "chaos", EFFECT, "ec50", "vkorc1")
    assert set(table["vkorc1"]) == {"GG", "GA", "AA"}
    assert table["predicted"].max() - table["predicted"].min() > 30.0


def test_an_output_without_a_surrogate_is_refused(read):
    with pytest.raises(ValueError, match="no surrogate of 'high_inr: fixed'; write one of: primary: genotype - fixed"):
        surrogates.surface_of(read, "patients", "chaos", "high_inr: fixed")


def test_what_is_worth_most_to_know_comes_first(read):
    table = drivers.worth(read, EFFECT)
    assert table["unknown"].tolist() == ["ec50", "clearance", "people"]
    assert table["evppi"].iloc[0] == pytest.approx(0.4)  # percentage points
    assert drivers.parts(read, EFFECT)["share"].sum() == pytest.approx(100.0)


def test_every_figure_has_titles_and_its_source(read):
    of = ("patients", "sobol", EFFECT)
    figures = {
        "indices": drawn.indices(read, *of),
        "screening": drawn.screening(read, "patients", "morris", EFFECT),
        "pairs": drawn.pairs(read, *of),
        "convergence": drawn.convergence(read, *of),
        "stack": drawn.over_time(read, "patients", "sobol", "inr: fixed", "S1"),
        "lines": drawn.over_time(read, "patients", "sobol", "inr: fixed", "ST"),
        "tornado": drawn.tornado(read, EFFECT),
        "ranks": drawn.ranks(read, EFFECT),
        "surface": predicted.surface(read, "patients", "chaos", EFFECT, "ec50", "vkorc1"),
        "profiles": predicted.profiles(read, "patients", "chaos", EFFECT, "ec50", 0.9),
        "parts": drawn.parts(read, EFFECT),
        "worth": drawn.worth(read, EFFECT),
    }
    for name, figure in figures.items():
        assert figure.data, name
        assert all(axis.title.text for axis in figure.select_xaxes()), name
        assert next(figure.select_yaxes()).title.text, name
        assert any("Source: warfarin-genotype" in note.text.replace("<br>", " ") for note in figure.layout.annotations)
    for name in ("surface", "profiles"):
        said = " ".join(note.text.replace("<br>", " ") for note in figures[name].layout.annotations)
        assert "Surrogate, Q² 1.00" in said and "not simulated" in said


def test_the_page_shows_what_is_kept_and_its_verdict(monkeypatch, folder):
    page = opened(monkeypatch, folder)
    page.selectbox(key="method-patients").select("sobol").run()
    assert not page.exception
    assert page.success[0].value.replace("\\", "") == "Converged: said why."
    captions = [caption.value.replace("\\", "") for caption in page.caption]
    assert (
        "1,280 lives; 10 rows left out or replaced (blocks with a failed life are left out); "
        "left to chance: vkorc1 call, luck"
    ) in captions
    # indices, pairs, convergence, time; tornado, ranks; surface, profiles; parts, worth
    assert len(page.get("plotly_chart")) == 10
    shown: list[go.Figure] = []
    monkeypatch.setattr(go.Figure, "show", lambda figure: shown.append(figure))
    snippets = [code.value for code in page.code if "figure.show()" in code.value]
    for chart, snippet in zip(page.get("plotly_chart"), snippets, strict=True):
        exec(snippet, {})
        spec = json.loads(chart.proto.spec)
        assert json.loads(drawn_once(shown[-1], spec["layout"]["datarevision"]).to_json()) == spec
    page.selectbox(key="method-patients").select("morris").run()
    assert not page.exception
    assert page.warning[0].value.replace("\\", "") == "Not converged: said why."


def test_every_endpoint_arm_and_input_set_can_be_looked_at(monkeypatch, folder, read):
    page = opened(monkeypatch, folder)
    for endpoint in read.study.endpoints:
        page.selectbox(key="endpoint").select(endpoint.name).run()
        assert not page.exception
        assert page.get("plotly_chart")
    page.selectbox(key="of").select("fixed").run()
    assert not page.exception
    page.segmented_control[0].set_value("population").run()
    assert not page.exception
    assert "Not converged" in page.warning[0].value


def test_groupings_are_listed_by_what_they_hold_and_can_be_chosen(monkeypatch, folder, read, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    for groups in ({"pk": ["clearance", "central_volume"]}, {"pd": ["ec50", "steepness"]}):
        data = indices(read, ("S1", "ST"), False).assign_attrs(groups=json.dumps(groups))
        kept.write(copy, {f"{schema.SENSITIVITY}/patients/{kept.called('sobol', groups)}": data})
    page = opened(monkeypatch, copy)
    chosen = page.selectbox(key="method-patients")
    assert len(chosen.options) == 4
    assert "A method of ST; pk = clearance, central volume" in chosen.options
    assert "A method of ST; pd = ec50, steepness" in chosen.options
    chosen.select(kept.called("sobol", {"pd": ["ec50", "steepness"]})).run()
    assert not page.exception
    assert page.warning[0].value.replace("\\", "") == "Not converged: said why."
    assert "pd = ec50, steepness" in sources(page)[0]


def test_the_surrogate_with_the_smallest_error_is_shown_unless_another_is_chosen(monkeypatch, folder, read, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    worse = surrogate(read)
    worse = worse.assign(rmse=worse["rmse"] + 0.1, q2=worse["q2"] - 0.5)
    worse = worse.assign_attrs(title="Another expansion", error="leave-one-out over 256")
    kept.write(copy, {f"{schema.SURROGATES}/patients/another": worse})
    assert surrogates.methods(results.read(copy), "patients", EFFECT) == ["chaos", "another"]
    page = opened(monkeypatch, copy)
    chosen = page.selectbox(key="surrogate-by-patients")
    assert chosen.value == "chaos" and len(chosen.options) == 2
    assert "Another expansion: error 10 percentage points, leave-one-out over 256" in chosen.options
    chosen.select("another").run()
    assert not page.exception
    assert any("Another expansion" in told.value and "50 %" in told.value for told in page.warning)
    assert sum("not simulated; Another expansion" in source for source in sources(page)) == 2


def test_without_an_analysis_the_page_says_how_to_make_one(monkeypatch, small_run):
    page = opened(monkeypatch, small_run)
    assert "trialtwin sensitivity" in page.info[0].value and "--method sobol" in page.info[0].value


@pytest.mark.parametrize(
    ("of", "method", "words"),
    [
        ("patients", "sobol", "Of everything that makes one life differ"),
        ("patients", "sobol+pk-3f2a91c0", "Of everything that makes one life differ"),
        ("patients", "chaos-sparse", "Of everything that makes one life differ"),
        ("patients", "efast", "What chance adds is left out. Whiskers: 95 %"),
        ("patients", "chaos-quadrature", "What chance adds is left out. Whiskers: how far the last two degrees"),
        ("population", "efast", "the mean of the same patients"),
        ("population", "sobol", "the mean of the same patients"),
    ],
)
def test_indices_are_said_to_be_shares_of_what_their_variance_holds(of, method, words):
    assert words in reading.shares(of, method, "ST")


def test_measures_that_are_no_shares_are_not_called_shares():
    assert reading.shares("patients", "morris", "mu_star").startswith("The longer the bar")
    assert reading.shares("patients", "elasticities", "elasticity").startswith("The longer the bar")


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("sobol", "first eighth, quarter and half"),
        ("efast", "one, two and all four curves"),
        ("chaos-quadrature", "terms of degree 1 alone, of up to 2"),
    ],
)
def test_the_curve_of_convergence_is_said_to_be_of_what_it_is(method, words):
    assert words in reading.growth(method)


def test_what_drives_the_effect_is_a_picture_of_runs_that_know_it(read, small_run):
    assert [picture.name for picture in pictures.pictures(read)][-1] == pictures.DRIVEN
    assert pictures.DRIVEN not in [picture.name for picture in pictures.pictures(results.read(small_run))]


def test_ranks_of_patients_who_do_not_differ_are_refused(monkeypatch, read):
    monkeypatch.setattr(
        "analysis.ranks.true", lambda endpoint, cohort, endpoints: np.zeros((2, cohort.sizes["patient"]))
    )
    with pytest.raises(ValueError, match=r"no endpoint differs between the \d+ patients of the run.*; give the study"):
        ranks.ranks(read.study, read.folder)


def test_an_analysis_made_again_is_shown_at_once(monkeypatch, folder, read, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    page = opened(monkeypatch, copy)
    before = drivers.version(read, drivers.REGRESSION)
    assert page.success
    kept.write(copy, {f"{schema.SENSITIVITY}/patients/sobol": indices(read, ("S1", "ST"), False)})
    page.run()
    assert not page.exception
    assert "Not converged" in page.warning[0].value
    assert drivers.version(read, drivers.REGRESSION) == before
