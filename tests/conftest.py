"""What tests share: a small study, and one real run of it."""

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# What is compiled is shared by all processes of a session, and nothing is written to the user's home.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["TRIALTWIN_CACHE"] = tempfile.mkdtemp(prefix="trialtwin-cache-")

import trials
from analysis.summary import summarise
from cluster.local import local
from trials.run import run
from trials.study import read

SHARED = Path(__file__).parents[2] / "shared"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
DEMO = Path(str(trials.__file__)).parent / "library" / "warfarin-genotype.yaml"


def small(text: str) -> str:
    """The demonstration study at a size for tests."""
    for large, little in (
        ("size: 10000", "size: 1000"),
        ("draws: 50, patients: 200", "draws: 4, patients: 32"),
        ("replicates: 2000, subjects: 450", "replicates: 60, subjects: 100"),
    ):
        assert large in text
        text = text.replace(large, little)
    return text


@pytest.fixture(scope="session")
def small_text() -> str:
    return small(DEMO.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, small_text: str) -> Path:
    """A finished run of the small study: simulated by two processes, conducted and analysed."""
    folder = tmp_path_factory.mktemp("small")
    path = folder / "study.yaml"
    path.write_text(small_text, encoding="utf-8")
    run(read(path), folder / "run", map=local(2), chunk=512)
    summarise(folder / "run")
    return folder / "run"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference outputs; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder of reference data, ../shared, is absent")
    return SHARED


def pytest_unconfigure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ["TRIALTWIN_CACHE"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _quiet_workers() -> None:
    # A cluster's own chatter at shutdown is no part of any test.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)


@pytest.fixture(autouse=True)
def _own_main() -> Iterator[None]:
    """Streamlit puts a page in the place of `__main__`, which processes that are started later would then import."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture
def browser() -> Iterator:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is absent; install chromium to run this test")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield launched
        launched.close()
