"""Claim: a page is first painted in under 3 s and answers in under 1 s, at a million patients as at ten thousand.

Runs a study of theophylline (closed form, two arms, five records) at both sizes, analyses them and screens what drives
them, serves them and opens every page by its address in a fresh tab of Chromium: the median of three openings, and the
slowest of three answers. First painted: its heading is there. Prints seconds to that and to the first chart, the ratio
of the sizes, and the memory of the analysis. Beside them a page of Streamlit that holds a heading and one empty chart:
what no page can be faster than here, and what most of the time to the first chart is.
    ./dev bench pages [PATIENTS]
"""

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from playwright.sync_api import Page, TimeoutError, sync_playwright

from cluster.local import local
from dashboards.server import OPTIONS, command
from trials.run import run
from trials.study import read

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PAGES = ("Study", "Population", "Responses", "Trial", "Sensitivity", "Twin")
COLD = "the very first page"
EMPTY = "an empty chart"
OPENED = 3  # times
FEW, MANY = 10_000, 1_000_000
PAINT, ANSWER, MEMORY = 3.0, 1.0, 2 * 2**30  # seconds, seconds, bytes
STUDY = """
study: theophylline-{size}
title: Two doses of theophylline
twin: theophylline
population: {{reference: us-adults, size: {size}, sampling: random}}
eligibility: [age >= 40 years]
tick: 6 h
record: every 12 h
visits: 0, 1, 2 days
arms:
  low:  {{policy: fixed-oral, dose: 200 mg, every: 12 h, from: 0 days}}
  high: {{policy: fixed-oral, dose: 300 mg, every: 12 h, from: 0 days}}
outcomes: [concentration]
endpoints:
  primary: {{time in range: concentration, between: 5 to 15 mg/L, until: 2 days}}
  responders: {{responder: primary, at least: 50 %}}
trial: {{replicates: 500, subjects: 200, allocation: 1:1}}
analysis: {{contrast: high - low, method: t-test, sided: 2, alpha: 5 %}}
"""
SUMMARISE = """
import json, resource, sys, time
from pathlib import Path
from analysis.summary import summarise
began = time.perf_counter()
summarise(Path(sys.argv[1]))
print(json.dumps([time.perf_counter() - began, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""
HEADED = "() => document.querySelector('[data-testid=stMain] h1')?.textContent.trim()"
PAINTED = "() => document.querySelector('.js-plotly-plot .main-svg .trace, .js-plotly-plot .main-svg .shapelayer path')"
# What the charts show, and nothing of the boxes above them, which change before anything is computed.
TEXT = """() => [...document.querySelectorAll('.js-plotly-plot')].map(
  chart => chart.textContent + [...chart.querySelectorAll('path')].map(path => path.getAttribute('d')).join()
).join()"""
QUIET = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  return app && app.getAttribute('data-test-script-state') === 'notRunning';
}"""
ANSWERED = f"before => ({QUIET})() && ({TEXT})() !== before"


FLOOR = """
import plotly.graph_objects as go, streamlit as st
st.title("floor")
st.plotly_chart(go.Figure(go.Scatter(x=[0, 1], y=[0, 1])))
"""


class Measured(NamedTuple):
    """Of one size. simulate, analyse, answer (by page): seconds. memory: bytes of the analysis. opened: by page."""

    simulate: float
    analyse: float
    memory: int
    opened: dict[str, "Opened"]
    answer: dict[str, float]


class Opened(NamedTuple):
    """Seconds from asking for a page to its heading and to its first chart, NaN for a page that has none."""

    paint: float
    chart: float


def made(folder: Path, size: int) -> tuple[float, float, int]:
    """A finished run of so many patients: seconds to simulate and to analyse, and the bytes that analysing took."""
    folder.mkdir(parents=True)
    path = folder / "study.yaml"
    path.write_text(STUDY.format(size=size), encoding="utf-8")
    began = time.perf_counter()
    run(read(path), folder / "run", map=local(2), chunk=2048 if size < 100_000 else 16_384)
    simulated = time.perf_counter() - began
    told = subprocess.run(
        [sys.executable, "-c", SUMMARISE, str(folder / "run")], check=True, capture_output=True, text=True
    )
    seconds, memory = json.loads(told.stdout.splitlines()[-1])
    screen = [
        str(Path(sys.executable).with_name("trialtwin")),
        "sensitivity",
        str(folder / "run"),
        "--method",
        "morris",
    ]
    subprocess.run(screen, check=True, capture_output=True)
    return simulated, seconds, memory


@contextlib.contextmanager
def served(served_by: list[str], port: int) -> Iterator[str]:
    """The address of what a command serves at a port."""
    process = subprocess.Popen(served_by, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):
                break
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def port() -> int:
    """One that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def timed(page: Page, address: str) -> Opened:
    """How fast a page opens."""
    began, seconds = time.perf_counter(), []
    page.goto(address, wait_until="commit")
    for there in (HEADED, PAINTED):
        with contextlib.suppress(TimeoutError):
            page.wait_for_function(there, timeout=30_000, polling=20)
            seconds.append(time.perf_counter() - began)
            continue
        seconds.append(float("nan"))
    return Opened(*seconds)


def answered(page: Page, turn: int) -> float:
    """Seconds from another choice (a box's next entry and back, a slider's next step) to the page that it gives."""
    page.wait_for_function(QUIET, timeout=60_000)
    sliders, boxes = page.get_by_role("slider"), page.get_by_role("combobox")
    try:
        sliders.or_(boxes).first.wait_for(timeout=5_000)
    except TimeoutError:
        return float("nan")
    if sliders.count():
        sliders.first.focus()
    else:
        boxes.first.click()
        # Down to the next entry; from the last, where that goes nowhere, up to the one before.
        page.keyboard.press("ArrowUp" if turn % 2 else "ArrowDown")
    before = page.evaluate(TEXT)
    began = time.perf_counter()
    page.keyboard.press("ArrowRight" if sliders.count() else "Enter")
    with contextlib.suppress(TimeoutError):
        page.wait_for_function(ANSWERED, arg=before, timeout=30_000, polling=20)
        return time.perf_counter() - began
    return float("nan")


def opened(browser: Any, address: str) -> Opened:
    """Medians of a browser that was there before."""
    visitor, took = browser.new_context(viewport={"width": 1280, "height": 900}), []
    for _ in range(1 + OPENED):
        page = visitor.new_page()
        took.append(timed(page, address))
        page.close()
    visitor.close()
    return Opened(*map(statistics.median, zip(*took[1:], strict=True)))


def floor(browser: Any, folder: Path) -> Opened:
    """How fast a page opens that has nothing but a heading and a chart."""
    script, at = folder / "floor.py", port()
    script.write_text(FLOOR, encoding="utf-8")
    options = [f"--{key}={value}" for key, value in {**OPTIONS, "server.port": at}.items()]
    with served([sys.executable, "-m", "streamlit", "run", str(script), *options], at) as address:
        return opened(browser, address)


def measured(browser: Any, folder: Path, size: int) -> Measured:
    """Makes a run and opens its pages. Before them the first one alone, for which the browser fetches its scripts."""
    simulate, analyse, memory = made(folder, size)
    found, answer = {EMPTY: floor(browser, folder)}, {}
    at = port()
    with served(command(folder / "run", at), at) as address:
        visitor = browser.new_context(viewport={"width": 1280, "height": 900})
        page = visitor.new_page()
        found[COLD] = timed(page, address)
        visitor.close()
        for name in PAGES:
            found[name] = opened(browser, f"{address}/{'' if name == PAGES[0] else name.lower()}")
            visitor = browser.new_context(viewport={"width": 1280, "height": 900})
            page = visitor.new_page()
            timed(page, f"{address}/{'' if name == PAGES[0] else name.lower()}")
            # Figures of names that were never asked for are drawn anew: the first answer is the slowest.
            answer[name] = float(np.max([answered(page, turn) for turn in range(OPENED)]))
            visitor.close()
    return Measured(simulate, analyse, memory, found, answer)


def main() -> int:
    sizes = (FEW, int(sys.argv[1]) if len(sys.argv) > 1 else MANY)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        few, many = (measured(browser, Path(folder) / str(size), size) for size in sizes)
        browser.close()
    print(f"{'patients':42}{sizes[0]:>12,}{sizes[1]:>12,}   ratio")

    def line(what: str, one: float, other: float, form: str = "12.2f") -> None:
        print(f"{what:42}{one:{form}}{other:{form}}{other / one:8.2f}")

    line("simulating [s]", few.simulate, many.simulate)
    line("analysing [s]", few.analyse, many.analyse)
    line("memory of analysing [MiB]", few.memory / 2**20, many.memory / 2**20, "12.0f")
    for name in few.opened:
        line(f"first paint of {name} [s] (limit {PAINT:g})", few.opened[name].paint, many.opened[name].paint)
    for name in few.opened:
        line(f"first chart of {name} [s]", few.opened[name].chart, many.opened[name].chart)
    for name in few.answer:
        line(f"another choice on {name} [s] (limit {ANSWER:g})", few.answer[name], many.answer[name])
    slow = [name for name, each in many.opened.items() if not each.paint <= PAINT]
    # The Study page has nothing to choose; elsewhere no answer is no fast one.
    slow += [name for name, each in many.answer.items() if not each <= ANSWER and name != PAGES[0]]
    if slow or many.memory > MEMORY:
        print(f"beyond its limits: {', '.join(slow) or 'memory'}")
    return int(bool(slow) or many.memory > MEMORY)


if __name__ == "__main__":
    sys.exit(main())
