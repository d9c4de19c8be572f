"""The report: whole, by itself, escaped, and read in a real browser."""

import html
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from analysis import truth
from dashboards import checks, report, results
from solvers import twins

HOSTILE = "<script>alert('title')</script> & [x](javascript:1)"


class Elements(HTMLParser):
    """Tags with their attributes, and the titles of sections in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.titles: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside == "h2":
            self.titles.append(data)
        self.inside = ""


@pytest.fixture(scope="module")
def folder(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small run with a hostile title, and its report."""
    copy = tmp_path_factory.mktemp("report") / "run"
    shutil.copytree(small_run, copy)
    path = copy / "study.yaml"
    text = path.read_text(encoding="utf-8")
    title = next(line for line in text.splitlines() if line.startswith("title:"))
    path.write_text(text.replace(title, f'title: "{HOSTILE}"'), encoding="utf-8")
    assert report.write(copy) == copy / report.REPORT
    return copy


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / report.REPORT).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def elements(page: str) -> Elements:
    found = Elements()
    found.feed(page)
    assert len(found.tags) > 500
    return found


def test_every_parameter_of_the_twin_stands_there_with_unit_and_source(page):
    twin = twins.load("warfarin-inr")
    assert len(twin.parameters) == 20
    for parameter in twin.parameters:
        assert f'<td class="k">{parameter.name}</td>' in page, parameter.name
        assert html.escape(parameter.title) in page
        assert html.escape(parameter.source) in page
    assert "0.314 L/h" in page
    assert "CV 31&nbsp;%" in page


def test_it_loads_nothing_from_anywhere(elements):
    links = [value for _, attrs in elements.tags for name, value in attrs.items() if name in ("src", "href", "action")]
    assert links
    assert all(str(link).startswith("#") for link in links)
    assert not {tag for tag, _ in elements.tags} & {"link", "img", "iframe", "object", "embed", "base", "form"}


def test_the_browser_is_told_to_refuse_every_request(elements):
    policies = [attrs.get("content") or "" for tag, attrs in elements.tags if tag == "meta" and "http-equiv" in attrs]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'")


def test_plotly_stands_there_once(page):
    assert page.count("* plotly.js v") == 1
    assert len(page.encode()) < 8_000_000


def test_text_of_the_study_is_no_markup(page):
    assert "<script>alert" not in page
    assert page.count(html.escape(HOSTILE)) >= 2


def test_why_believe_this_comes_last(elements):
    assert elements.titles[0] == "Answer"
    assert elements.titles[-1] == "Why believe this"


def test_it_says_what_was_assumed_and_what_was_not_validated(page):
    why = page[page.index('id="why"') :]
    assert "No comparison with a published trial" in why
    assert "Assumed, with no data behind it: base (INR without warfarin)." in why
    assert "cyp2c9 (CYP2C9 genotype) and vkorc1 (VKORC1 genotype)" in why
    assert "probability 95&nbsp;%, independently from tick to tick" in why
    assert "The rule of the policy titrated-oral (fixed and genotype) is assumed" in why


def test_the_answer_has_the_numbers_of_the_summary(folder, page):
    read = results.read(folder)
    truth = read.row("primary: difference, truth", read.contrast)
    power = read.row("primary: power", read.contrast)
    answer = report.answer(read)
    assert html.escape(answer).replace(" %", "&nbsp;%") in page
    assert f"{100 * truth.value:.1f} percentage points" in answer
    assert f"power of {100 * power.value:.0f}" in answer
    assert "over the population's own uncertainty" in answer


def test_no_half_written_report_is_left(folder):
    assert not list(folder.glob("*.partial"))


def test_a_damaged_block_does_not_pass(folder, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    assert checks.stored_as_written(copy).passed is True
    shard = next(path for path in (copy / "cohort.zarr" / "inr" / "c").rglob("*") if path.is_file())
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 0xFF
    shard.write_bytes(content)
    damaged = checks.stored_as_written(copy)
    assert damaged.passed is False
    assert damaged.verdict == "NOT PASSED"


def test_lives_that_are_not_the_twins_do_not_pass(folder):
    read = results.read(folder)
    other = read.cohort.copy()
    other["inr"] = other["inr"] * 1.001
    found = checks.solved_again(read, other)
    assert [check.passed for check in found] == [False]


def test_a_value_beyond_its_bounds_does_not_pass(folder):
    read = results.read(folder)
    assert checks.lives_are_sound(read, read.cohort).passed is True
    other = read.cohort.copy()
    values = other["inr"].values.copy()
    values[1, np.flatnonzero(truth.pool(read.cohort))[0], 5] = np.inf
    other["inr"] = (other["inr"].dims, values)
    assert checks.lives_are_sound(read, other).passed is False


def test_a_browser_draws_every_figure_without_a_request_or_an_error(browser, folder, page):
    figures = page.count("<figure ")
    assert figures >= 10
    for width in (1280, 390):
        view = browser.new_page(viewport={"width": width, "height": 900})
        requests: list[str] = []
        errors: list[str] = []
        view.on("request", lambda request, seen=requests: seen.append(request.url))
        view.on("console", lambda message, seen=errors: seen.append(message.text))
        view.on("pageerror", lambda error, seen=errors: seen.append(str(error)))
        view.goto((folder / report.REPORT).as_uri())
        # By a locator: the page's own policy refuses a script of the test as any other.
        drawn = view.locator("figure:has(.js-plotly-plot .main-svg .trace)")
        drawn.nth(figures - 1).wait_for(state="attached", timeout=30_000)
        assert view.evaluate("document.documentElement.scrollWidth") <= width, "the page is wider than the screen"
        assert all(url.startswith(("file:", "data:", "blob:")) for url in requests)
        assert not errors
        view.close()
