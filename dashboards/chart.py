"""The frame of every chart: title, reading aid, figure, and below it what can be taken away."""

import hashlib
import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboards.page import plain
from dashboards.plots.style import CONFIG
from dashboards.results import Results

Name = str | int | float | None

# The mode bar has one button, which draws the picture in the browser; it is pressed by the row below the chart.
PICTURE = {**CONFIG, "responsive": False, "displayModeBar": True, "modeBarButtons": [["toImage"]]}
WIDTH = 960  # pixels of a downloaded picture, whatever the screen

STYLE = """<style>
.js-plotly-plot .modebar-container { display: none; }
.stMainBlockContainer { padding-top: 3.2rem; max-width: 76rem; }
.st-key-pages { gap: 0 .6rem; border-bottom: 1px solid #E4E4E4; padding-bottom: .4rem; margin-bottom: .6rem; }
.stMainBlockContainer h1 { font-size: 2.1rem; padding: 0 0 .4rem; }
.stMainBlockContainer h2 { font-size: 1.5rem; padding: 1.4rem 0 .2rem; }
.stMainBlockContainer h3 { font-size: 1.2rem; padding: .6rem 0 0; }
[class*="st-key-row-"] { gap: .25rem .9rem; margin: -1.9rem 0 1rem; position: relative; z-index: 1; }
[class*="st-key-row-"] button, [class*="st-key-row-"] button p {
  color: #5A6672; font-size: .82rem; min-height: 1.6rem; }
[class*="st-key-row-"] button { padding: 0; }
[class*="st-key-row-"] button:hover, [class*="st-key-row-"] button:hover p { color: #0072B2; }
</style>"""

BUTTONS = (
    '<span>Download</span><button type="button" data-format="png">PNG</button>'
    '<button type="button" data-format="svg">SVG</button>'
)

BUTTON_STYLE = """
:host { display: block; }
span, button { font: .82rem/1.6rem "Source Sans", "Source Sans Pro", sans-serif; color: #5A6672; }
button { background: none; border: 0; padding: 0; margin-left: .8rem; cursor: pointer; }
button:hover, button:focus-visible { color: #0072B2; text-decoration: underline; }
"""

PRESS = """
export default function ({ data, parentElement }) {
  for (const button of parentElement.querySelectorAll("button")) {
    button.onclick = () => {
      const chart = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`);
      const press = chart && chart.querySelector(".modebar-btn");
      if (!press) return;
      chart._context.toImageButtonOptions = {
        format: button.dataset.format, filename: data.file, width: data.width,
        height: chart._fullLayout.height, scale: button.dataset.format === "png" ? 2 : 1,
      };
      press.click();
    };
  }
}
"""


@st.cache_resource
def _pictures() -> Callable[..., Any]:
    return st.components.v2.component("trialtwin.pictures", html=BUTTONS, css=BUTTON_STYLE, js=PRESS)


def chart(
    results: Results,
    figure: Callable[..., go.Figure],
    table: Callable[..., pd.DataFrame],
    *names: Name,
    title: str,
    aid: str,
    place: str = "",
    made_from: str = "",
) -> None:
    """A figure with title, reading aid and source, to take away as PNG, SVG and CSV, and the Python that draws it.

    figure(results, *names) draws it; table(results, *names) is its data, and may take fewer of the names.
    place: a name of its own for a chart whose names change at every move, so that it stays the same chart.
    made_from: changes with data that are not of the summary, which the figure is drawn from.
    """
    exact = slug(figure, *names)
    key = slug(figure, place) if place else exact
    st.subheader(plain(title), anchor=False)
    st.caption(plain(aid))
    with st.container(key=f"chart-{key}"):
        drawn = _drawn(exact, str(results.folder), results.made_from + made_from, results, figure, names)
        st.plotly_chart(drawn, theme=None, config=PICTURE, key=key, alt=title)
    file = f"{results.study.name}-{exact}"
    with st.container(key=f"row-{key}", horizontal=True, vertical_alignment="center"):
        _pictures()(
            data={"chart": f"chart-{key}", "file": file, "width": WIDTH}, key=f"pictures-{key}", width="content"
        )
        st.download_button(
            "CSV",
            lambda: tabulated(results, table, *names).to_csv(index=False),
            f"{file}.csv",
            "text/csv",
            key=f"csv-{key}",
            on_click="ignore",
            type="tertiary",
        )
        with st.popover("Python", type="tertiary", key=f"code-{key}"):
            st.code(python(results, figure, *names), language="python")


def python(results: Results, figure: Callable[..., go.Figure], *names: Name) -> str:
    """The lines of Python that draw a figure of a run."""
    arguments = ", ".join(["results", *(repr(name) for name in names)])
    read = "read" if results.rows else "planned"
    imports = sorted([f"from {figure.__module__} import {figure.__name__}", f"from dashboards.results import {read}"])
    return "\n".join(
        [
            "from pathlib import Path",
            "",
            *imports,
            "",
            f"results = {read}(Path({str(results.folder)!r}))",
            f"figure = {figure.__name__}({arguments})",
            "figure.show()",
        ]
    )


def tabulated(results: Results, table: Callable[..., pd.DataFrame], *names: Name) -> pd.DataFrame:
    """The table of a figure; one that takes fewer names than the figure is given the first of them."""
    known = list(inspect.signature(table).parameters.values())[1:]
    some = names if any(each.kind is each.VAR_POSITIONAL for each in known) else names[: len(known)]
    return table(results, *some)


def slug(figure: Callable, *names: Name) -> str:
    """A short name for a figure of these names, fit for keys, classes and files."""
    written = "-".join([figure.__name__, *(str(name) for name in names if name is not None)])
    short = re.sub(r"[^a-z0-9]+", "-", written.lower()).strip("-")[:60].strip("-")
    # What is cut or folded away must still tell figures apart.
    exact = hashlib.sha256(repr((figure.__module__, figure.__name__, names)).encode()).hexdigest()[:6]
    return f"{short}-{exact}"


@st.cache_resource(max_entries=256, show_spinner=False)
def _drawn(
    key: str, folder: str, made_from: str, _results: Results, _figure: Callable[..., go.Figure], _names: tuple
) -> go.Figure:
    figure = _figure(_results, *_names)
    return drawn_once(figure, key + made_from)


def drawn_once(figure: go.Figure, revision: str) -> go.Figure:
    """The same figure, written so that plotly sees when it is given again and does not draw it again.

    Streamlit gives every chart twice. Plotly takes equal templates and equal binary arrays for changes: what the
    template says is written into the figure, arrays are lists. revision: another one, other data.
    """
    layout = figure.layout.to_plotly_json() | {"datarevision": revision}
    template = layout.pop("template", {})
    dress, of_traces = dict(template.get("layout", {})), template.get("data", {})
    axes = {name: dress.pop(name, {}) for name in ("xaxis", "yaxis", "coloraxis")}
    note = dress.pop("annotationdefaults", {})
    layout = under(dress, layout)
    for name in ("xaxis", "yaxis", *layout):
        kind = name.rstrip("0123456789")
        if kind in axes and (name in layout or kind != "coloraxis"):
            layout[name] = under(axes[kind], layout.get(name, {}))
    for each in figure.data:
        if each.type == "bar":  # plotly draws no grid between bars, but takes a colour of it for the wish for one
            across = (each.yaxis or "y") if each.orientation == "h" else (each.xaxis or "x")
            layout[f"{across[0]}axis{across[1:]}"].setdefault("showgrid", False)
    layout["annotations"] = [under(note, each) for each in layout.get("annotations", ())]
    traces = [listed(under(of_traces.get(each.type, [{}])[0], each.to_plotly_json())) for each in figure.data]
    once = go.Figure(traces, listed(layout), _validate=False)  # every part was checked when it was added
    once.layout.template = None
    return once


def under(given: dict, own: dict) -> dict:
    """What is given, and over it what is a figure's own."""
    both = {**given, **own}
    for name in given.keys() & own.keys():
        if isinstance(given[name], dict) and isinstance(own[name], dict):
            both[name] = under(given[name], own[name])
    return both


def listed(value: Any) -> Any:
    """The same with lists for arrays, which plotly can compare."""
    if isinstance(value, dict):
        return {name: listed(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [listed(each) for each in value]
    return value.tolist() if isinstance(value, np.ndarray) else value
