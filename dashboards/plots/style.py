"""What figures share: palette, font, axes with units, the source beneath, text made harmless."""

import html

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.results import range_of
from dashboards.written import labelled, wrapped
from trials.endpoints import Endpoint
from trials.study import Study

# Okabe & Ito 2008, Color Universal Design: told apart by every kind of colour vision.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#8C510A", "#4D4D4D")
MISSED = "#CC79A7"
QUIET = "#7A7A7A"
INK = "#222222"
TARGET = "#009E73"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_AXIS = {"gridcolor": "#EEEEEE", "linecolor": "#BBBBBB", "showline": True, "zeroline": False, "ticks": ""}
_BAR = {"outlinewidth": 0, "ticks": ""}
# All that a figure needs of a template: plotly's own are ten times as long and sent with every figure.
DRESS = go.layout.Template(
    layout={
        "autotypenumbers": "strict",
        "colorway": PALETTE,
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "font": {"size": 13}},
        "dragmode": False,  # on a telephone a finger scrolls the page
        "xaxis": {**_AXIS, "title": {"standoff": 8, "font": {"size": 13}}},
        "yaxis": {**_AXIS, "title": {"standoff": 15, "font": {"size": 13}}},
        "coloraxis": {"colorbar": _BAR},
        "annotationdefaults": {"arrowcolor": INK, "arrowhead": 0, "arrowwidth": 1},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.01, "yanchor": "bottom", "font": {"size": 13}},
    },
    data={
        "heatmap": [{"colorbar": _BAR}],
        "contour": [{"colorbar": _BAR}],
        "bar": [{"marker": {"line": {"width": 0}}}],
    },
)

CONFIG = {"displaylogo": False, "responsive": True, "displayModeBar": False, "showTips": False, "plotlyServerURL": ""}
CHARACTER = 0.56  # of the font's size: the width of one, on average
NUMBER = 5  # characters of a number on an axis
LINE = 46  # characters of a line that a telephone shows beneath a figure


def colours(study: Study) -> dict[str, str]:
    """The colour of each arm, by its place in the study."""
    return {arm.name: PALETTE[i % len(PALETTE)] for i, arm in enumerate(study.arms)}


def title(study: Study, outcome: str) -> str:
    """An output by its title; an action, whose title tells what and how, by its name."""
    output = next((output for output in study.twin.outputs if output.name == outcome), None)
    return (output.title or output.name) if output else outcome.replace("_", " ")


def axis(study: Study, outcome: str) -> str:
    """The title of an outcome's axis, with its unit."""
    units = {item.name: item.unit for item in study.twin.outputs}
    units |= {item.name: item.unit for item in study.twin.actions}
    return labelled(title(study, outcome), units[outcome])


def whiskers(table: pd.DataFrame) -> dict:
    """Error bars from the columns value, lower and upper."""
    return {
        "type": "data",
        "symmetric": False,
        "array": table["upper"] - table["value"],
        "arrayminus": table["value"] - table["lower"],
        "color": INK,
        "thickness": 1.5,
        "width": 4,
    }


def shade(figure: go.Figure, study: Study, outcome: str, endpoint: Endpoint, row: int | None = None) -> None:
    """Marks the range that an endpoint asks of an outcome, on the axes of that outcome alone."""
    asked, low, high = range_of(study, endpoint)
    if asked != outcome:
        return
    place = {} if row is None else {"row": row, "col": 1}
    edges = [edge for edge in (low, high) if np.isfinite(edge)]
    if len(edges) == 2:
        figure.add_hrect(y0=low, y1=high, fillcolor=TARGET, opacity=0.12, line_width=0, layer="below", **place)
    for edge in edges:
        figure.add_hline(y=edge, line={"color": TARGET, "width": 1, "dash": "dot"}, **place)


def axes(figure: go.Figure, x: str, y: str, width: int = 38) -> None:
    """Titles of the axes; `width` characters of that of x have room on a telephone."""
    figure.update_xaxes(title_text=wrapped(safe(x), width))
    figure.update_yaxes(title_text=wrapped(safe(y), 34))


def finished(figure: go.Figure, source: str, height: int) -> go.Figure:
    """The figure with its source beneath, in the common dress; the last thing done to it. height: pixels."""
    lines = wrapped(safe(f"Source: {source}"), LINE + 6)
    depth = figure.layout.xaxis.title.text.count("<br>") if figure.layout.xaxis.title.text else 0
    below = 62 + 17 * depth
    figure.add_annotation(
        text=lines,
        xref="paper",
        yref="paper",
        x=1,
        y=0,
        xanchor="right",
        yanchor="top",
        yshift=-below + 4,
        align="right",
        showarrow=False,
        font={"size": 11, "color": "#666666"},
    )
    return figure.update_layout(
        template=DRESS,
        height=height,
        margin={"l": _beside(figure), "r": 16, "t": 20, "b": below + 16 + 14 * (1 + lines.count("<br>"))},
    )


def _beside(figure: go.Figure) -> int:
    """Pixels for labels and title of the axes of y: left to plotly, it would draw every figure twice to find out."""
    most = 20.0
    for axis in figure.select_yaxes():
        if axis.visible is False or (axis.anchor and axis.overlaying):
            continue
        number = axis.plotly_name.removeprefix("yaxis")
        size = axis.tickfont.size or 13
        room = 0.0 if axis.showticklabels is False else CHARACTER * size * _longest(figure, axis, f"y{number}")
        if axis.title.text:
            room += (15 if axis.title.standoff is None else axis.title.standoff) + 18 * (
                1 + axis.title.text.count("<br>")
            )
        most = max(most, room + 8)
    return round(most)


def _longest(figure: go.Figure, axis: go.layout.YAxis, name: str) -> int:
    """Characters of the longest label of an axis; of numbers, as many as they may have."""
    labels = axis.ticktext
    if labels is None:
        flat = [trace for trace in figure.data if hasattr(trace, "yaxis")]  # what is on polar axes has none
        given = [trace.y for trace in flat if (trace.yaxis or "y") == name]
        labels = [label for y in given if y is not None for label in y if isinstance(label, str)]
    lines = [html.unescape(line) for label in labels for line in str(label).split("<br>")]
    return max([len(line) for line in lines], default=NUMBER)


def faded(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def safe(text: str) -> str:
    """Text of the study, which figures would read as markup."""
    return html.escape(text, quote=False)
