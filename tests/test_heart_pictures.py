"""Pictures of a heart: units, what is drawn, and that each number stands where it belongs."""

import json
import sys
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import dashboards
from dashboards import heart, heart_portrait, portraits, results, twin
from dashboards.chart import drawn_once, python
from dashboards.heart import AVC, AVO, EVENTS, JOULE, MEASURES, MVC, MVO, QRS, Beat, beat_of
from dashboards.plots import heart as figures
from dashboards.plots.bullseye import MISSING, bullseye
from solvers import twins
from solvers.twins import virtual_heart
from solvers.twins.virtual_heart import electrocardiogram as ecg
from solvers.twins.virtual_heart import pacing
from solvers.twins.virtual_heart.activation import FREE_WALL_NODES, SEPTAL_NODES, activate
from solvers.twins.virtual_heart.anatomy import POSITIONS, RING_NAMES, SEGMENTS
from solvers.twins.virtual_heart.beat import Beat as Mechanics
from solvers.twins.virtual_heart.conduction import HEALTHY
from solvers.twins.virtual_heart.constants import constants, initial
from solvers.twins.virtual_heart.observed import observed, patches
from solvers.twins.virtual_heart.pacing import Intrinsic
from solvers.twins.virtual_heart.parameters import ML, MMHG, reference

APP = Path(str(dashboards.__file__)).with_name("app.py")
SOURCE = "a study: patient 3 under crt"
STEPS = 400
CYCLE = 0.8  # s
WALLS = (73.57e-6, 18.89e-6, 36.77e-6)  # m3, the published healthy walls
PATCHES = {f"L{k}": node for k, node in enumerate(FREE_WALL_NODES, 1)} | {
    f"S{k}": node for k, node in enumerate(SEPTAL_NODES, 1)
}


def made_up(scale=1.0):
    """Waves with known numbers: loops are ellipses, patches do work in turn, valves open for a part of the beat."""
    turn = 2.0 * jnp.pi * jnp.arange(STEPS) / STEPS
    waves = {"time": CYCLE * jnp.arange(STEPS) / STEPS}
    for name, (p, dp, V, dV) in {
        "LV": (60.0, 50.0, 100.0, 40.0),
        "RV": (15.0, 10.0, 110.0, 35.0),
        "LA": (8.0, 2.0, 50.0, 20.0),
        "RA": (3.0, 1.0, 50.0, 20.0),
    }.items():
        waves |= {f"p_{name}": (p + dp * jnp.sin(turn)) * MMHG, f"V_{name}": scale * (V + dV * jnp.cos(turn)) * ML}
    waves |= {"p_aorta": (90.0 - 20.0 * jnp.sin(turn)) * MMHG, "p_lung_artery": (20.0 - 5.0 * jnp.sin(turn)) * MMHG}
    for name, middle in (("aortic", 0.5), ("pulmonic", 0.5), ("mitral", 0.9), ("tricuspid", 0.9)):
        waves[f"q_{name}"] = 400e-6 * jnp.maximum(jnp.cos(turn - 2.0 * jnp.pi * middle) - 0.5, 0.0)
    for name, node in PATCHES.items():
        waves[f"ls_{name}"] = 2.0 * jnp.exp(0.01 * (node + 1) * scale * jnp.cos(turn))
        waves[f"stress_{name}"] = 1e4 + 5e3 * jnp.sin(turn)
    return waves


def recorded(left=1.0):
    """Activation of the healthy heart, of which the left bundle conducts or does not, and its shape."""
    return activate(HEALTHY, Intrinsic(0.15, left=left), pacing.OFF), ecg.shape(HEALTHY, *WALLS)


@pytest.fixture(scope="module")
def before() -> Beat:
    return beat_of(jax.device_get(made_up()), *recorded())


@pytest.fixture(scope="module")
def after() -> Beat:
    return beat_of(jax.device_get(made_up(1.1)), *recorded(left=0.0))


@pytest.fixture(scope="module")
def lived():
    """A real beat of the healthy heart after some others, with what the mechanics noted of the one before it."""
    mechanics, (activation, shape) = Mechanics(n_step=425), recorded()
    times = jnp.concatenate([activation.left, activation.septum, activation.right[None]]) - activation.onset
    c = constants(reference(), times, activation.onset, mechanics.layout)

    def live(state):
        end = mechanics.beats(state, c, 60)
        noted = observed(end.state, end.seen, c, mechanics.layout, mechanics.n_step)
        own = patches(end.state, end.seen, c, mechanics.layout, mechanics.n_step)
        return mechanics.probe(end.state, c), noted, own

    options = {"xla_backend_optimization_level": 0}  # compiling takes longer than running here
    waves, noted, own = jax.device_get(jax.jit(live, compiler_options=options)(initial(c, mechanics.layout)))
    return beat_of(waves, activation, shape), noted, own


def drawn(before: Beat, after: Beat):
    return {name: each.figure(before, after, SOURCE) for name, each in heart_portrait.portrait.drawings.items()}


def sectors(figure, column):
    """Of one disk: (angle, inner radius) -> (value or colour, what is told)."""
    polar = "polar" if column == 1 else f"polar{column}"
    bars = [trace for trace in figure.data if trace.type == "barpolar" and trace.subplot == polar]
    found = {}
    for bar in bars:
        colours = [bar.marker.color] * len(bar.theta) if isinstance(bar.marker.color, str) else bar.marker.color
        for at, base, r, width, colour, told in zip(
            bar.theta, bar.base, bar.r, bar.width, colours, bar.customdata, strict=True
        ):
            found[float(at), float(base)] = (float(r), float(width), colour, list(told))
    return found


def test_a_beat_agrees_with_what_the_mechanics_noted_of_it(lived):
    beat, noted, own = lived
    # From one beat to the next in the steady state: what is noted is of the one before.
    for name, value in (("LV", noted["LV_work"]), ("RV", noted["RV_work"])):
        assert beat.stroke_work(name) == pytest.approx(float(value), rel=1e-3)  # trapezoids against flow times pressure
    assert beat.volume["LV"].max() == pytest.approx(float(noted["EDV"]), rel=1e-4)
    assert beat.pressure["aorta"].max() == pytest.approx(float(noted["SBP"]), rel=1e-4)
    events = beat.events
    assert events[AVO] - events[MVC] == pytest.approx(float(noted["IVCT"]), abs=0.1)
    assert events[AVC] - events[AVO] == pytest.approx(float(noted["ET"]), abs=0.1)
    assert events[MVO] - events[AVC] == pytest.approx(float(noted["IVRT"]), abs=0.1)
    for name, node in PATCHES.items():
        assert beat.peak[node] == pytest.approx(float(own[name]["strain_min"]), abs=0.01)
        assert beat.work[node] == pytest.approx(float(own[name]["work"]), abs=0.01)


def test_activation_of_segments_is_that_of_the_reference(shared):
    cases = json.loads((shared / "reference/virtual-heart/activation.json").read_text())
    for case, left in (("healthy_normal", 1.0), ("healthy_lbbb", 0.0)):
        beat = beat_of(jax.device_get(made_up()), *recorded(left))
        for wall in ("L", "S"):
            for node, seconds in zip(cases["order_segments"][wall], cases[case][wall], strict=True):
                assert beat.activation[node] == pytest.approx(1e3 * seconds, abs=1e-3)  # both to 1 us


def test_a_beat_is_in_the_units_of_the_clinic(before):
    assert before.cycle == pytest.approx(800.0) and before.time[[0, -1]].tolist() == pytest.approx([0.0, 798.0])
    assert before.pressure["LV"].max() == pytest.approx(110.0)
    assert before.volume["LV"].min() == pytest.approx(60.0)
    assert before.flow["aortic"].max() == pytest.approx(200.0)
    assert before.stroke_work("LV") == pytest.approx(np.pi * 50.0 * 40.0, rel=1e-4)  # area of the ellipse
    assert before.stroke_work("LV") * JOULE == pytest.approx(0.8377, rel=1e-3)
    # Loops of stress and logarithm of length are ellipses too: pi 5 kPa 0.01 (node + 1).
    assert before.work == pytest.approx(np.pi * 5.0 * 0.01 * np.arange(1, 19), rel=1e-3)
    assert before.events[QRS] == pytest.approx(150.0)
    # A flow above 5 mL/s of 400 (cos - 1/2): half open for this much of the beat.
    half = np.arccos(0.5 + 5.0 / 400.0) / (2.0 * np.pi)
    times = {AVO: 0.5 - half, AVC: 0.5 + half, MVO: 0.9 - half, MVC: (0.9 + half) % 1.0}
    for name, share in times.items():
        assert before.events[name] == pytest.approx(800.0 * share, abs=0.2)  # the waves are bent within a step of 2 ms
    assert set(before.events) == set(EVENTS)


def test_strain_is_measured_from_qrs(before):
    at = before.events[QRS] / before.cycle
    for node in (0, 17):
        expected = 100.0 * (np.exp(0.01 * (node + 1) * (-1.0 - np.cos(2.0 * np.pi * at))) - 1.0)
        assert before.peak[node] == pytest.approx(expected, abs=1e-3)


def test_a_valve_that_does_not_open_has_no_times():
    waves = jax.device_get(made_up()) | {"q_aortic": np.zeros(STEPS)}
    beat = beat_of(waves, *recorded())
    assert all(np.isnan(beat.events[name]) for name in (MVC, AVO, AVC, MVO)) and np.isfinite(beat.events[QRS])
    figure = figures.wiggers(beat, SOURCE)
    assert [note.text for note in figure.layout.annotations if note.text in EVENTS] == [QRS]


def test_a_heart_of_other_patches_is_refused():
    waves = {name: value for name, value in jax.device_get(made_up()).items() if not name.endswith("_L12")}
    with pytest.raises(ValueError, match="wall 'L' of the heart has 11 patches; give a heart with one for each"):
        beat_of(waves, *recorded())


def test_every_picture_has_units_its_source_and_its_table(before, after):
    drawings = drawn(before, after)
    assert len(drawings) == 8
    for name, figure in drawings.items():
        notes = [note.text.replace("<br>", " ") for note in figure.layout.annotations]
        assert any(note.startswith("Source:") and SOURCE in note for note in notes), name
        if "polar" in figure.layout.to_plotly_json():
            assert figure.layout.coloraxis.colorbar.title.text.endswith("]"), name
        else:
            lowest = list(figure.select_xaxes())[-1]
            assert all("[" in axis.title.text or "mm/" in axis.title.text for axis in [*figure.select_yaxes(), lowest])
        table = heart_portrait.portrait.drawings[name].table(before, after)
        assert len(table) >= 18 and any("[" in column for column in table.columns), name


def test_every_picture_is_drawn_the_same_when_it_is_given_again(before, after):
    for name, figure in drawn(before, after).items():
        once = drawn_once(figure, "x")
        assert once.layout.template.to_plotly_json() == {} and '"bdata"' not in once.to_json(), name


def test_loops_close_and_hold_every_point_of_the_table(before, after):
    figure, table = figures.loops(before, after, SOURCE), heart.loops(before, after)
    assert [trace.name for trace in figure.data] == [
        f"{side} ventricle, {life}" for side in ("left", "right") for life in ("before", "after")
    ]
    for trace in figure.data:
        ventricle, life = trace.name.split(", ")
        here = table[(table["ventricle"] == ventricle) & (table["life"] == life)]
        assert len(here) == STEPS + 1
        assert np.array_equal(trace.x, here["volume [mL]"]) and np.array_equal(trace.y, here["pressure [mmHg]"])
        assert (trace.x[0], trace.y[0]) == (trace.x[-1], trace.y[-1])
    low, high = figure.layout.xaxis.range
    assert low < table["volume [mL]"].min() and high > table["volume [mL]"].max()
    assert "EDV 140 mL, ESV 60 mL, EF 57 %" in figure.data[0].hovertemplate
    assert "6,283 mmHg mL (0.84 J)" in figure.data[0].hovertemplate
    assert "EDV 154 mL" in figure.data[1].hovertemplate


def test_a_real_loop_closes(lived):
    beat = lived[0]
    step = np.abs(np.diff(beat.volume["LV"])).max()
    assert abs(beat.volume["LV"][0] - beat.volume["LV"][-1]) < step


def test_wiggers_rows_share_time_and_mark_each_event(after):
    figure, table = figures.wiggers(after, SOURCE), heart.wiggers(after)
    rows = [axis.title.text for axis in figure.select_yaxes()]
    assert rows == ["pressure [mmHg]", "volume [mL]", "flow [mL/s]", "lead II [mV]"]
    assert [trace.name for trace in figure.data] == [
        *("aorta", "left ventricle", "left atrium", "left ventricle"),
        *("mitral valve", "aortic valve", "electrocardiogram"),
    ]
    for trace, column in zip(figure.data, table.columns[1:-1], strict=True):
        assert np.array_equal(trace.x, table["time [ms]"]) and np.array_equal(trace.y, table[column])
    assert all(tuple(axis.range) == (0, after.cycle) for axis in figure.select_xaxes())
    marked = {note.text: note.x for note in figure.layout.annotations if note.text in EVENTS}
    assert marked == pytest.approx(dict(after.events))
    assert sorted(shape.x0 for shape in figure.layout.shapes) == pytest.approx(sorted(after.events.values()))
    told = table[table["event"] != ""]
    for name, at in after.events.items():
        row = told[told["event"].str.contains(EVENTS[name])]
        assert len(row) == 1 and 0 <= at - row["time [ms]"].iloc[0] < 2.0


def test_leads_stand_in_three_rows_of_four_and_keep_their_voltages(before, after):
    figure, table = figures.leads(before, after, SOURCE), heart.leads(before, after)
    notes = {note.text[3:-4]: (note.x, note.y) for note in figure.layout.annotations if note.text.startswith("<b>")}
    assert set(notes) == set(ecg.LEADS)
    columns = sorted({x for x, _ in notes.values()})
    rows = sorted({y for _, y in notes.values()}, reverse=True)
    place = {lead: (rows.index(y), columns.index(x)) for lead, (x, y) in notes.items()}
    assert [lead for _, lead in sorted((at, lead) for lead, at in place.items())] == [
        *("I", "aVR", "V1", "V4", "II", "aVL", "V2", "V5", "III", "aVF", "V3", "V6")
    ]
    for trace, life in zip(figure.data, ("before", "after"), strict=True):
        for lead in ecg.LEADS:
            points = [each for each in trace.customdata if each[0] == lead and each[1] is not None]
            here = table[(table["life"] == life) & (table["lead"] == lead)]
            seen = np.array([each[2] for each in points if 0 <= each[1] < 600])
            known = np.interp(
                [each[1] for each in points if 0 <= each[1] < 600], here["time from QRS [ms]"], here["potential [mV]"]
            )
            assert len(seen) == 300 and np.allclose(seen, known, atol=1e-12)
            assert np.ptp(seen) > 0.05
        known = np.array([y for y in trace.y if y is not None])
        low, high = figure.layout.yaxis.range
        assert known.min() > low and known.max() < high
    # Squares of 1 mm: 40 ms and 0.1 mV, every fifth stronger; each row's 0 lies on a line.
    x, y = figure.layout.xaxis, figure.layout.yaxis
    assert (x.dtick, x.minor.dtick, y.dtick, y.minor.dtick) == (200, 40, 0.5, 0.1)
    assert all((level - 0.1) / 0.5 == pytest.approx(round((level - 0.1) / 0.5)) for level in rows)


def test_strains_of_septum_and_free_wall_are_means_of_their_segments(before, after):
    figure, table = figures.strains(before, after, SOURCE), heart.strains(before, after)
    assert len(figure.data) == 2 * (18 + 2)
    for axis, life in (("y", "before"), ("y2", "after")):
        for wall, count in (("septum", 6), ("free wall", 12)):
            here = table[(table["life"] == life) & (table["wall"] == wall)]
            assert here["segment"].nunique() == count
            mean = here.groupby("time [ms]")["strain [%]"].mean()
            own = [trace for trace in figure.data if trace.yaxis == axis and trace.name == f"{wall}, mean"]
            assert len(own) == 1 and np.allclose(own[0].y, mean)
    for axis in figure.select_yaxes():
        assert axis.range[0] < table["strain [%]"].min() and axis.range[1] > table["strain [%]"].max()
    marked = [(note.text, note.yref) for note in figure.layout.annotations if note.text in EVENTS]
    assert set(marked) == {(name, f"{axis} domain") for name in (QRS, MVC, AVC) for axis in ("y", "y2")}


@pytest.mark.parametrize("measure", MEASURES)
def test_sectors_cover_each_ring_once_and_carry_their_segments_value(before, after, measure):
    figure, table = bullseye(before, after, SOURCE, measure), heart.bullseye(before, after, measure)
    # Anterior at the top, then against the clock by way of the septum; basal outside. AHA 2002, Circulation 105:539.
    angles = dict(zip(POSITIONS, (90.0, 150.0, 210.0, 270.0, 330.0, 30.0), strict=True))
    for column, life in ((1, "before"), (2, "after")):
        found = sectors(figure, column)
        assert len(found) == 18
        for ring in {base for _, base in found}:
            edges = sorted((at - 30.0, at + 30.0) for at, base in found if base == ring)
            assert all(here[1] == pytest.approx(then[0]) for here, then in pairwise(edges))
            assert edges[-1][1] - edges[0][0] == pytest.approx(360.0)
        assert {(r, width) for r, width, _, _ in found.values()} == {(1.0, 60.0)}
        inner = sorted({base for _, base in found}, reverse=True)  # basal first
        assert np.diff(inner).tolist() == [-1.0, -1.0]
        for segment in SEGMENTS:
            _, _, value, told = found[angles[segment.position], inner[RING_NAMES.index(segment.ring)]]
            row = table[table["segment"] == segment.name].iloc[0]
            assert value == row.iloc[2 if life == "before" else 3]
            assert [int(told[0]), told[1]] == [segment.number, segment.name]
    both = table.iloc[:, 2:4].to_numpy()
    scale = figure.layout.coloraxis
    assert scale.cmin <= both.min() and scale.cmax >= both.max()
    assert np.allclose(table.iloc[:, 4], both[:, 1] - both[:, 0])


def test_a_segment_without_a_value_is_shown_as_missing(before, after):
    gone = SEGMENTS[8]
    strain, activation, work = (np.array(each) for each in (before.strain, before.activation, before.work))
    strain[gone.node], activation[gone.node], work[gone.node] = np.nan, np.nan, np.nan
    holed = before._replace(strain=strain, activation=activation, work=work)
    for measure in MEASURES:
        figure = bullseye(holed, after, SOURCE, measure)
        found = sectors(figure, 1)
        missing = [told for _, _, colour, told in found.values() if colour == MISSING]
        assert len(found) == 18 and [told[1:] for told in missing] == [[gone.name, "–"]]
        assert all(colour != MISSING for _, _, colour, _ in sectors(figure, 2).values())
        assert any("no value" in trace.hovertemplate for trace in figure.data if trace.type == "barpolar")
        whole = bullseye(before, before, SOURCE, measure).layout.coloraxis
        assert np.isfinite([whole.cmin, whole.cmax, figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax]).all()
    lines = [trace for trace in figures.strains(holed, after, SOURCE).data if trace.yaxis == "y"]
    assert len(lines) == 19 and gone.name not in {trace.name for trace in lines}
    assert all(np.isfinite(np.asarray(trace.y)).all() for trace in lines)


def test_nothing_known_of_any_segment_is_drawn_all_the_same(before):
    blank = before._replace(strain=np.full_like(before.strain, np.nan), work=np.full(18, np.nan))
    for measure in ("peak", "work"):
        figure = bullseye(blank, blank, SOURCE, measure)
        assert {colour for _, _, colour, _ in sectors(figure, 1).values()} == {MISSING}
    assert not figures.strains(blank, blank, SOURCE).data


# A twin under the heart's name that carries one state and can be probed; it stands in for the mechanics.
STUDY = """
study: two-doses
title: Two doses
twin: virtual-heart
population: {reference: us-adults, size: 64}
tick: 12 h
record: every 12 h
visits: 0, 1, 3 days
arms:
  low: {policy: fixed-oral, dose: 200 mg, every: 12 h}
  high: {policy: fixed-oral, dose: 400 mg, every: 12 h}
outcomes: [concentration]
endpoints: {primary: {time in range: concentration, between: 5 to 15 mg/L}}
trial: {subjects: 20, allocation: 1:1, block: 2, replicates: 10}
analysis: {contrast: high - low}
"""


def probed(state, p, action):
    return made_up(1.0 + 0.01 * state.central / p.V + 1e-4 * action.dose), *recorded()


@pytest.fixture
def stub(monkeypatch):
    """Theophylline under the name of the heart, with a heart's probe."""
    model = twins.load("theophylline")
    own = model._replace(name="virtual-heart", probe=probed)
    monkeypatch.setattr(virtual_heart, "twin", own, raising=False)
    return own


def test_only_a_twin_that_can_be_probed_and_has_pictures_shows_some(stub):
    assert portraits.portrait(stub) is heart_portrait.portrait
    assert portraits.portrait(stub._replace(probe=None)) is None
    assert portraits.portrait(stub._replace(name="theophylline")) is None


@pytest.fixture
def planned(stub, tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    return results.planned(tmp_path)


def test_pictures_are_of_both_lives_at_the_end_of_the_study(planned):
    changes = ("clearance", 0.02, twin.THERAPY + "dose", 300.0)
    data = twin.lives(planned, "high", 3, *changes)
    table = portraits.table(planned, "loops", "high", 3, *changes)
    left = table[table["ventricle"] == "left ventricle"]
    for life, dose in (("before", 400.0), ("after", 300.0)):
        end = float(data["concentration"].sel(arm=life).values[0, -1])
        assert end > 1.0
        edv = left[left["life"] == life]["volume [mL]"].max()
        assert edv == pytest.approx(140.0 * (1.0 + 0.01 * end + 1e-4 * dose))
    figure = portraits.picture(planned, "loops", "high", 3, *changes)
    assert np.array_equal(figure.data[0].x, left[left["life"] == "before"]["volume [mL]"])
    assert any(
        "two-doses: patient 3 under high" in note.text.replace("<br>", " ") for note in figure.layout.annotations
    )


def test_the_python_beside_a_picture_draws_it(planned, monkeypatch):
    shown = []
    monkeypatch.setattr("plotly.graph_objects.Figure.show", lambda figure: shown.append(figure))
    exec(python(planned, portraits.picture, "work", "high", "typical").replace("read(", "planned("), {})
    assert shown[0] == portraits.picture(planned, "work", "high", "typical")


def test_what_there_is_no_picture_of_is_refused(planned):
    with pytest.raises(ValueError, match="has no picture 'lungs'; those that it has: loops, beat before"):
        portraits.picture(planned, "lungs", "high", "typical")


def opened(monkeypatch, folder):
    monkeypatch.setattr(sys, "argv", [str(APP), str(folder)])
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    page.switch_page("pages/twin.py").run()
    assert not page.exception
    return page


def test_the_twin_page_shows_each_picture_of_a_heart(planned, monkeypatch):
    page = opened(monkeypatch, planned.folder)
    assert [header.value for header in page.header] == ["Pictures"]
    for name, each in heart_portrait.portrait.drawings.items():
        page.pills(key="twin-picture").set_value(name).run()
        assert not page.exception and not page.error
        assert len(page.get("plotly_chart")) == 2
        assert each.title in {header.value.replace("\\", "") for header in page.subheader}


def test_the_twin_page_of_another_twin_has_no_pictures_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "study.yaml").write_text(STUDY.replace("virtual-heart", "theophylline"), encoding="utf-8")
    page = opened(monkeypatch, tmp_path)
    assert not page.header and len(page.get("plotly_chart")) == 1
