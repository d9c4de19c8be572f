"""What every page begins with: the run that is shown, and a sentence on what to do where there is none."""

import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

import pandas as pd
import streamlit as st

from analysis.summary import SUMMARY
from dashboards import results as read
from dashboards.results import Results
from trials import document, store
from trials import study as studies
from trials.study import Study

CHOSEN, OPEN = "chosen endpoint", "open page"  # what a session keeps


def plain(text: str) -> str:
    """Text of the study, which Streamlit would read as Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~$:])", r"\\\1", text)


def end(box: Callable[[str], object], sentence: str) -> NoReturn:
    """Ends a page that has nothing to show, before its heading, with a sentence on what to do."""
    st.title(st.session_state.get(OPEN, ""), anchor=False)
    box(sentence)
    st.stop()
    raise AssertionError("st.stop returns nowhere")


def folder() -> Path:
    """The folder of the run; ends the page with a sentence where none was given."""
    asked = read.asked(sys.argv[1:], os.environ)
    if asked is None:
        end(
            st.info,
            "No run was given. Make one with `trialtwin run STUDY --out RUN`, and open it with `trialtwin show RUN`.",
        )
    return asked


# A study holds functions, which only a resource may.
@st.cache_resource(max_entries=4, show_spinner=False)
def _study(folder: Path, changed: int) -> Study:
    return studies.study(document.read(folder / store.STUDY), folder)


def study() -> Study:
    """The study of the run, finished or not; ends the page with a sentence where the folder holds none."""
    here = folder()
    if not (here / store.STUDY).exists():
        end(st.error, plain(f"{here} holds no run; make one with: trialtwin run STUDY --out {here}"))
    try:
        return _study(here, changed(here / store.STUDY))
    except ValueError as error:
        end(st.error, plain(str(error)))


@st.cache_resource(max_entries=2, show_spinner=False)
def _opened(folder: Path, study_changed: int, summary_changed: int) -> Results:
    return read.read(folder)


def opened(folder: Path) -> Results:
    """The results of a run, read once for all pages. Raises ValueError where it is not finished."""
    return _opened(folder, changed(folder / store.STUDY), changed(folder / SUMMARY))


def results() -> Results:
    """The results of the run; ends the page with a sentence where it is not finished."""
    study()
    try:
        with st.spinner("Reading the run"):
            return opened(folder())
    except ValueError as error:
        there = (folder() / SUMMARY).exists()
        told = str(error) if there else "the trials and their analysis are not there yet"
        end(st.warning, plain(f"Not finished: {told}.") + " The Study page tells how far it is and how to go on.")


@st.cache_resource(max_entries=2, show_spinner=False)
def _planned(folder: Path, changed: int) -> Results:
    return read.planned(folder)


def planned() -> Results:
    """The results of the run, or where it is not finished its study alone."""
    study()
    here = folder()
    try:
        return opened(here)
    except ValueError:
        return _planned(here, changed(here / store.STUDY))


def endpoint(results: Results) -> str:
    """The endpoint that is looked at, the same on every page; its name."""
    named = read.named(results.study)
    if "endpoint" not in st.session_state and st.session_state.get(CHOSEN) in named:
        st.session_state["endpoint"] = st.session_state[CHOSEN]  # a page left forgets its widgets
    written = {name: f"{name.replace('_', ' ')}: {read.question(results.study, each)}" for name, each in named.items()}
    chosen = st.selectbox("Endpoint", list(named), format_func=written.__getitem__, key="endpoint")
    st.session_state[CHOSEN] = chosen
    return str(chosen)


def heading(study: Study, page: str, what: str) -> None:
    """The top of a page: its name, what it answers, and the study."""
    st.caption(plain(study.title))
    st.title(page, anchor=False)
    st.markdown(plain(what))


def figures(told: Iterable[tuple[str, str, str]]) -> None:
    """Numbers side by side, as many as the screen has room for: label, number, what is not known of it."""
    with st.container(horizontal=True, gap="small"):
        for label, value, more in told:
            with st.container(width=164, gap=None):
                st.metric(plain(label), value)
                st.caption(plain(more))


def table(rows: pd.DataFrame) -> None:
    """A short table to read, whose lines break on a narrow screen; the first column names the rows."""
    written = rows.astype(str).map(plain)
    st.table(written.set_index(written.columns[0]).rename_axis(plain(str(written.columns[0]))))


def changed(path: Path) -> int:
    """When a file was written [ns]; 0 where it is not there."""
    return path.stat().st_mtime_ns if path.exists() else 0
