"""What tests share: a small study, and one real run of it."""

import fcntl
import json
import logging
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# What is compiled is shared by all processes of a session, and nothing is written to the user's home.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["TRIALTWIN_CACHE"] = tempfile.mkdtemp(prefix="trialtwin-cache-")

import trials
from analysis.summary import summarise
from cluster.local import local
from trials.run import run
from trials.study import read

# The same examples every time.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

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
    """A finished run of the small study: simulated by two processes, conducted and analysed.

    One process of the tests makes it; each has a copy of its own.
    """
    base = tmp_path_factory.getbasetemp()
    made = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made"
    made.mkdir(exist_ok=True)
    with (made / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made / "done").exists():
            path = made / "study.yaml"
            path.write_text(small_text, encoding="utf-8")
            run(read(path), made / "run", map=local(2), chunk=512)
            summarise(made / "run")
            (made / "done").touch()
    folder = tmp_path_factory.mktemp("small")
    shutil.copy(made / "study.yaml", folder)
    shutil.copytree(made / "run", folder / "run")
    return folder / "run"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference outputs; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder of reference data, ../shared, is absent")
    return SHARED


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `case` meets every case of the oracle file that its module names as TOPIC."""
    if "case" not in metafunc.fixturenames or not hasattr(metafunc.module, "TOPIC"):
        return
    path = SHARED / "oracles" / f"{metafunc.module.TOPIC}.json"
    if path.exists():
        cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
        metafunc.parametrize("case", [pytest.param(each, id=each["id"]) for each in cases])
    else:
        absent = pytest.mark.skip(reason="the folder of known answers, ../shared/oracles, is absent")
        metafunc.parametrize("case", [pytest.param(None, marks=absent, id="absent")])


@pytest.fixture
def agrees() -> Callable[..., None]:
    """Compares what was found with every number of a case's `expected`, at the tolerance that `close` gives a key.

    found: like `expected`, its mappings and lists of the same keys and lengths. close: from the path of a number, such
    as ("plain", "surv", 3), to keywords of pytest.approx. What `expected` says to be null is not compared.
    """

    def compare(found: Any, expected: Any, close: Callable[[tuple], dict], path: tuple = ()) -> int:
        if isinstance(expected, dict):
            missing = set(expected) - set(found)
            assert not missing, f"{path}: no answer to {sorted(missing)}"
            return sum(compare(found[key], each, close, (*path, key)) for key, each in expected.items())
        if isinstance(expected, list):
            assert len(found) == len(expected), path
            return sum(compare(a, b, close, (*path, i)) for i, (a, b) in enumerate(zip(found, expected, strict=True)))
        if expected is None:
            return 0
        if isinstance(expected, str | bool):
            assert found == expected, path
            return 1
        assert math.isfinite(found) or found == expected, path
        assert float(found) == pytest.approx(expected, **close(path)), path
        return 1

    def check(found: Any, expected: Any, close: Callable[[tuple], dict]) -> None:
        assert compare(found, expected, close) > 0

    return check


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
