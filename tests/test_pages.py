"""All pages of the dashboard: in Streamlit's own harness, and in a real browser."""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

import dashboards
from analysis.summary import summarise
from dashboards import results
from dashboards.chart import drawn_once
from dashboards.server import command
from trials.run import run
from trials.study import read

APP = Path(str(dashboards.__file__)).with_name("app.py")
PAGES = ("Study", "Population", "Responses", "Trial", "Sensitivity", "Twin")
CHARTS = {"Study": 1, "Population": 4, "Responses": 6, "Trial": 6, "Sensitivity": 0, "Twin": 1}  # at least


def opened(monkeypatch: pytest.MonkeyPatch, *arguments: str, page: str = "Study") -> AppTest:
    """A page of the dashboard, as Streamlit runs it."""
    monkeypatch.delenv("TRIALTWIN_RUN", raising=False)
    monkeypatch.setattr(sys, "argv", [str(APP), *arguments])
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    if page != "Study":
        app.switch_page(f"pages/{page.lower()}.py").run()
    assert not app.exception
    return app


@pytest.mark.parametrize("name", PAGES)
def test_a_page_draws_its_charts_each_with_its_data_and_its_python(monkeypatch, small_run, name):
    page = opened(monkeypatch, str(small_run), page=name)
    assert page.title[0].value == name
    charts = page.get("plotly_chart")
    assert len(charts) >= CHARTS[name]
    assert not page.error
    snippets = [code.value for code in page.code if "figure.show()" in code.value]
    assert len(snippets) == len(charts)
    assert sum(button.proto.label == "CSV" for button in page.get("download_button")) == len(charts)
    shown: list[go.Figure] = []
    monkeypatch.setattr(go.Figure, "show", lambda figure: shown.append(figure))
    for chart, snippet in zip(charts, snippets, strict=True):
        exec(snippet, {})
        spec = json.loads(chart.proto.spec)
        assert json.loads(drawn_once(shown[-1], spec["layout"]["datarevision"]).to_json()) == spec
        # Either would have plotly draw the chart again each time that Streamlit gives it.
        assert spec["layout"]["template"] is None and '"bdata"' not in chart.proto.spec


# Everything that the small run has not: three arms, no criterion, a one-sided test, no draws, an endpoint nobody meets.
OTHER = """
study: three-doses
title: Three doses <b>of theophylline</b> & more
twin: theophylline
population: {reference: us-adults, size: 300, sampling: random, seed: 3, uncertainty: {draws: 0, patients: 10}}
eligibility: []
tick: 6 h
record: every 12 h
visits: 0, 1, 2, 5 days
arms:
  low:  {policy: fixed-oral, dose: 200 mg, every: 12 h, from: 0 days}
  high: {policy: fixed-oral, dose: 300 mg, every: 12 h, from: 1 days}
  top:  {policy: fixed-oral, dose: 400 mg, every: 12 h, from: 0 days}
outcomes: [concentration]
endpoints:
  primary: {time in range: concentration, between: 5 to 15 mg/L, until: 2 days}
  toxic: {ever: concentration, at least: 200 mg/L, until: 5 days}
trial: {replicates: 20, subjects: 60, allocation: 1:1:2, block: 4, accrual: at once, dropout: 0 % per year}
analysis: {contrast: high - low, method: t-test, sided: 1, alpha: 5 %, subgroups: [age by 20 years]}
"""


@pytest.fixture(scope="module")
def other_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other")
    (folder / "study.yaml").write_text(OTHER, encoding="utf-8")
    run(read(folder / "study.yaml"), folder / "run")
    summarise(folder / "run")
    return folder / "run"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_another_study_and_its_endpoint_that_nobody_meets(monkeypatch, other_run, name):
    page = opened(monkeypatch, str(other_run), page=name)
    assert page.title[0].value == name
    assert not page.error and not page.warning
    charts = len(page.get("plotly_chart"))
    assert charts >= min(CHARTS[name], 1)
    if any(box.key == "endpoint" for box in page.selectbox):
        page.selectbox(key="endpoint").select("toxic").run()
        assert not page.exception and not page.error


def test_the_endpoint_chosen_on_one_page_is_kept_on_the_others(monkeypatch, small_run):
    endpoint = results.read(small_run).study.endpoints[2].name
    page = opened(monkeypatch, str(small_run), page="Trial")
    page.selectbox(key="endpoint").select(endpoint).run()
    assert not page.exception
    page.switch_page("pages/study.py").run()
    page.switch_page("pages/trial.py").run()
    assert not page.exception
    assert page.selectbox(key="endpoint").value == endpoint


def test_every_endpoint_can_be_looked_at(monkeypatch, small_run):
    page = opened(monkeypatch, str(small_run), page="Trial")
    charts = len(page.get("plotly_chart"))
    for endpoint in results.read(small_run).study.endpoints[1:]:
        page.selectbox(key="endpoint").select(endpoint.name).run()
        assert not page.exception
        assert len(page.get("plotly_chart")) == charts


@pytest.mark.parametrize("name", PAGES)
def test_without_a_run_a_page_says_how_to_make_one(monkeypatch, name):
    page = opened(monkeypatch, page=name)
    assert "trialtwin run" in page.info[0].value


@pytest.mark.parametrize("name", PAGES)
def test_a_folder_that_is_no_run_gives_a_sentence(monkeypatch, tmp_path, name):
    page = opened(monkeypatch, str(tmp_path), page=name)
    assert "holds no run" in page.error[0].value


def test_the_run_may_come_from_the_environment(monkeypatch, small_run):
    monkeypatch.setattr(sys, "argv", [str(APP)])
    monkeypatch.setenv("TRIALTWIN_RUN", str(small_run))
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not page.exception
    assert len(page.get("plotly_chart")) == CHARTS["Study"]


@pytest.fixture
def copied(small_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_run, tmp_path / "run"))


def test_a_run_that_lacks_blocks_tells_how_far_it_is_and_how_to_go_on(monkeypatch, copied):
    (copied / "markers" / "candidates" / "arm-genotype" / "1.json").unlink()
    page = opened(monkeypatch, str(copied))
    assert "Go on with: `trialtwin run" in page.warning[0].value
    # 1,000 candidates are two chunks of 512 and 128 of the uncertain populations one, each for its patients and arms.
    assert "8 of 9 blocks" in page.get("progress")[0].proto.text
    for name in PAGES[1:5]:
        page.switch_page(f"pages/{name.lower()}.py").run()
        assert not page.exception
        assert page.warning[0].value.startswith("Not finished"), name
        assert not page.get("plotly_chart"), name


def test_the_study_page_turns_to_the_finished_run_by_itself(monkeypatch, copied):
    (copied / "summary.json").rename(copied / "kept.json")
    page = opened(monkeypatch, str(copied))
    assert "the trials and their analysis are not there yet" in page.info[0].value
    (copied / "kept.json").rename(copied / "summary.json")
    page.run()
    assert not page.exception
    assert page.info[0].value.startswith("In virtual patients")
    assert not page.get("progress")


@pytest.fixture(scope="module")
def server(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dashboard of the small run, served as `trialtwin show` serves it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("server")
    log = folder / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen(command(small_run, port), stdout=out, stderr=out, cwd=folder)
        try:
            address = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 60
            while not healthy(address):
                assert time.monotonic() < deadline, log.read_text()
                with pytest.raises(subprocess.TimeoutExpired):  # it lives
                    process.wait(0.1)
            yield address
        finally:
            process.terminate()
            process.wait(20)


def healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


# Every chart is drawn, and has its row of four, once the script has run to its end.
DRAWN = """(least) => {
  const count = selector => document.querySelectorAll(selector).length;
  const charts = count('[class*=st-key-chart-]');
  const row = '[class*=st-key-row-]';
  const buttons = [...document.querySelectorAll(row + ' button')].concat(
    ...[...document.querySelectorAll(row + ' *')].filter(each => each.shadowRoot)
      .map(each => [...each.shadowRoot.querySelectorAll('button')]));
  const named = word => buttons.filter(each => each.innerText.includes(word)).length;
  return document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
    && charts >= least && count('[class*=st-key-chart-] .js-plotly-plot .cartesianlayer .subplot') >= charts
    && ['PNG', 'SVG', 'CSV', 'Python'].every(word => named(word) === charts);
}"""
# What lies beyond the edge and is not scrolled within a frame of its own.
WIDTH = "document.querySelector('[data-testid=stMain]').scrollWidth"


def test_a_browser_walks_through_every_page_and_takes_every_kind_of_download(browser, server):
    view = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    hosts: set[str | None] = set()
    errors: list[str] = []
    view.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    view.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).hostname))
    view.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    view.on("pageerror", lambda error: errors.append(str(error)))
    view.goto(server)
    for name in PAGES:
        view.get_by_role("link", name=name, exact=True).click()
        view.wait_for_function(f"document.querySelector('h1')?.innerText === '{name}'", timeout=60_000)
        view.wait_for_function(DRAWN, arg=CHARTS[name], timeout=60_000)
        if CHARTS[name]:
            took_away(view, view.locator("[class*=st-key-row-]").first)
        view.set_viewport_size({"width": 390, "height": 844})
        view.wait_for_function(f"{WIDTH} <= 390", timeout=10_000)
        view.wait_for_function(DRAWN, arg=CHARTS[name], timeout=60_000)
        view.set_viewport_size({"width": 1280, "height": 900})
        view.wait_for_function(f"{WIDTH} <= 1280", timeout=10_000)
    assert hosts - {None} == {"127.0.0.1"}
    assert not errors
    view.close()


def took_away(view, row) -> None:
    """Downloads a chart as picture, drawing and table, and looks at what came."""
    starts = {"PNG": b"\x89PNG\r\n\x1a\n", "SVG": b"<svg"}
    for word in ("PNG", "SVG", "CSV"):
        with view.expect_download(timeout=30_000) as coming:
            row.locator("button", has_text=word).click()
        content = Path(coming.value.path()).read_bytes()
        assert coming.value.suggested_filename.endswith(f".{word.lower()}")
        if word in starts:
            assert content.startswith(starts[word])
        else:
            head, *lines = content.decode().splitlines()
            assert lines and head.count(",") >= 1


def test_a_telephone_finds_every_page(browser, server):
    view = browser.new_page(viewport={"width": 390, "height": 844})
    view.goto(server)
    view.wait_for_function("document.querySelector('h1')?.innerText === 'Study'", timeout=60_000)
    for name in PAGES:
        view.get_by_role("link", name=name, exact=True).wait_for(timeout=10_000)
    view.get_by_role("link", name="Trial", exact=True).click()
    view.wait_for_function("document.querySelector('h1')?.innerText === 'Trial'", timeout=60_000)
    view.close()
