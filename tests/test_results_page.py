"""The Results page: in Streamlit's own harness, and in a real browser."""

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

import pytest
from streamlit.testing.v1 import AppTest

import dashboards
from dashboards import results
from dashboards.server import command

APP = Path(str(dashboards.__file__)).with_name("app.py")
CHARTS = 9


def opened(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> AppTest:
    monkeypatch.delenv("TRIALTWIN_RUN", raising=False)
    monkeypatch.setattr(sys, "argv", [str(APP), *arguments])
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not page.exception
    return page


def test_the_page_shows_every_chart_with_its_data(monkeypatch, small_run):
    page = opened(monkeypatch, str(small_run))
    assert page.title[0].value == "Genotype\\-guided against fixed start of warfarin"
    assert len(page.get("plotly_chart")) == CHARTS
    assert len(page.get("download_button")) == CHARTS
    assert [metric.label for metric in page.metric][1:] == ["Power of one trial", "Coverage", "Virtual patients"]


def test_another_endpoint_and_patient_can_be_chosen(monkeypatch, small_run):
    read = results.read(small_run)
    page = opened(monkeypatch, str(small_run))
    for endpoint in read.study.endpoints[1:]:
        page.selectbox[0].select(endpoint.name).run()
        assert not page.exception
        assert len(page.get("plotly_chart")) == CHARTS
    number = int(results.pool(read)[-1])
    page.number_input[0].set_value(number).run()
    assert not page.exception
    assert any(header.value.startswith(f"Patient {number}") for header in page.subheader)


def test_a_patient_who_is_not_eligible_is_said_to_be_so(monkeypatch, small_run):
    read = results.read(small_run)
    number = next(i for i in range(read.study.size) if i not in set(results.pool(read).tolist()))
    page = opened(monkeypatch, str(small_run))
    page.number_input[0].set_value(number).run()
    assert not page.exception
    assert f"Patient {number} is not eligible" in page.info[0].value
    assert len(page.get("plotly_chart")) == CHARTS - 1


def test_without_a_run_the_page_says_how_to_make_one(monkeypatch):
    page = opened(monkeypatch)
    assert "trialtwin run" in page.info[0].value


def test_the_run_may_come_from_the_environment(monkeypatch, small_run):
    monkeypatch.setattr(sys, "argv", [str(APP)])
    monkeypatch.setenv("TRIALTWIN_RUN", str(small_run))
    page = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not page.exception
    assert len(page.get("plotly_chart")) == CHARTS


def test_a_folder_that_is_no_run_gives_a_sentence(monkeypatch, tmp_path):
    page = opened(monkeypatch, str(tmp_path))
    assert "holds no run" in page.error[0].value


def test_a_run_that_is_not_analysed_says_what_to_do(monkeypatch, small_run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(small_run, copy)
    (copy / "summary.json").unlink()
    page = opened(monkeypatch, str(copy))
    assert "trialtwin run" in page.error[0].value.replace("\\", "")


@pytest.fixture
def server(small_run: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a dashboard of the small run, served as `trialtwin show` serves it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen(command(small_run, port), stdout=out, stderr=out, cwd=tmp_path)
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


def test_a_browser_draws_every_chart_and_asks_no_other_host(browser, server):
    for width in (1280, 390):
        view = browser.new_page(viewport={"width": width, "height": 900})
        hosts: set[str | None] = set()
        errors: list[str] = []
        view.on("request", lambda request, seen=hosts: seen.add(urlsplit(request.url).hostname))
        view.on("websocket", lambda socket, seen=hosts: seen.add(urlsplit(socket.url).hostname))
        view.on("console", lambda message, seen=errors: seen.append(message.text) if message.type == "error" else None)
        view.on("pageerror", lambda error, seen=errors: seen.append(str(error)))
        view.goto(server)
        charts = "[...document.querySelectorAll('.js-plotly-plot')]"
        drawn = f"{charts}.filter(chart => chart.querySelector('.main-svg .trace')).length"
        view.wait_for_function(f"{drawn} >= {CHARTS}", timeout=60_000)
        assert view.evaluate(drawn) == CHARTS
        assert view.evaluate("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"
        assert hosts - {None} == {"127.0.0.1"}
        assert not errors
        view.close()
