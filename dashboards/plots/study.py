"""The design of a study as a picture: the way in, a lane for each arm, visits, endpoints."""

import plotly.graph_objects as go

from dashboards.design import Gate, begins, end, gates, regimen, titrates
from dashboards.plots.style import FONT, INK, QUIET, axes, colours, faded, finished, safe
from dashboards.results import Results, question
from dashboards.written import number, wrapped
from trials.study import Study

LETTERS = 48  # characters of a line above a lane that a telephone shows
LINE = 16  # pixels of a line of text
LANE = 20  # pixels of a lane
BOXES = 56  # pixels of the boxes above
ABOVE = 74  # pixels between boxes and lanes: the legend, which takes two lines on a telephone


def design(results: Results) -> go.Figure:
    """The design of a finished run, with the numbers of those who got in."""
    return outline(results.study, gates(results.study, results), results.source)


def outline(study: Study, way: list[Gate], source: str) -> go.Figure:
    """The design of a study. The vertical axis counts pixels, so that text and lanes never meet."""
    figure, y = go.Figure(), 0
    last = end(study)
    if study.criteria:
        y = _label(figure, "Eligible", "; ".join(each.text for each in study.criteria), y) + 8
    y = _heading(figure, "What each arm does", y)
    for arm, colour in colours(study).items():
        each = study.arm(arm)
        y = _label(figure, arm, regimen(each), y)
        first, changes = begins(each), titrates(each)
        y += LANE // 2 + 2
        _lane(figure, arm, [(0.0, last, faded(colour, 0.18)), (first, last, faded(colour, 0.55))], y)
        if changes is not None:
            _lane(figure, arm, [(changes, last, colour)], y)
        days = [float(day) for day in study.visit_days]
        figure.add_scatter(
            x=days,
            y=[y] * len(days),
            mode="markers",
            marker={"color": "white", "size": 9, "line": {"color": INK, "width": 1.5}},
            name="visit",
            legendgroup="visit",
            showlegend=arm == study.arms[0].name,
            hovertemplate="visit on day %{x:g}<extra></extra>",
        )
        y += LANE // 2 + 12
    y = _heading(figure, "What is asked", y + 4)
    for endpoint in study.endpoints:
        y = _label(figure, endpoint.name, question(study, endpoint), y) + 7
        until = endpoint.until / 24.0
        figure.add_scatter(
            x=[0.0, until],
            y=[y, y],
            mode="lines+markers",
            line={"color": QUIET, "width": 2},
            marker={"symbol": "line-ns-open", "size": 9, "color": QUIET},
            showlegend=False,
            name=safe(endpoint.name),
            hovertemplate="day %{x:g}",
        )
        y += 15
    for day in study.visit_days:
        figure.add_vline(x=float(day), line={"color": "#DDDDDD", "width": 1, "dash": "dot"}, layer="below")
    axes(figure, "time from randomisation [days]", "")
    titrated = any(titrates(arm) is not None for arm in study.arms)
    for shown, name, opacity in ((True, "treated", 0.55), (titrated, "dose may change at visits", 1.0)):
        if shown:
            colour = faded("#4D4D4D", opacity)
            marker = {"symbol": "square", "size": 12, "color": colour}
            figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, name=name)
    finished(figure, source, 100)
    figure.update_xaxes(range=[-0.02 * last, 1.02 * last])
    figure.update_yaxes(range=[y + 4, 0], visible=False, fixedrange=True)
    _way_in(figure, way, y)
    margin = figure.layout.margin
    top = ABOVE + BOXES + 6
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": top, "b": margin.b},
        height=y + top + margin.b,
        legend={"y": 1 + 5 / y, "yanchor": "bottom", "font": {"size": 12}},
    )
    return figure


def _heading(figure: go.Figure, text: str, y: int) -> int:
    _text(figure, f"<b>{text}</b>", y, 13, "#5A6672")
    return y + 24


def _label(figure: go.Figure, name: str, text: str, y: int) -> int:
    """A name in bold and a sentence, above their lane."""
    lines = wrapped(f"{name}  {text}", LETTERS).split("<br>")
    first = safe(lines[0])
    if lines[0].startswith(name):
        first = f"<b>{safe(name)}</b>{safe(lines[0].removeprefix(name))}"
    _text(figure, "<br>".join([first, *(safe(line) for line in lines[1:])]), y, 12, INK)
    return y + LINE * len(lines) + 2


def _text(figure: go.Figure, text: str, y: int, size: int, colour: str) -> None:
    figure.add_annotation(
        text=text,
        x=0,
        xref="paper",
        xanchor="left",
        y=y,
        yanchor="top",
        align="left",
        showarrow=False,
        font={"size": size, "color": colour, "family": FONT},
        bgcolor="white",
        borderpad=0,
    )


def _lane(figure: go.Figure, arm: str, parts: list[tuple[float, float, str]], y: int) -> None:
    for start, stop, colour in parts:
        figure.add_shape(
            type="rect",
            x0=start,
            x1=stop,
            y0=y - LANE / 2,
            y1=y + LANE / 2,
            line_width=0,
            fillcolor=colour,
            layer="between",
        )


def _way_in(figure: go.Figure, way: list[Gate], height: int) -> None:
    """Boxes above the lanes, from the candidates to those of one trial."""
    step, gap = 1.0 / len(way), 0.03
    for i, gate in enumerate(way):
        left, right = i * step + (gap / 2 if i else 0), (i + 1) * step - (gap / 2 if i < len(way) - 1 else 0)
        low, high = 1 + ABOVE / height, 1 + (ABOVE + BOXES) / height
        figure.add_shape(
            type="rect",
            xref="paper",
            yref="paper",
            x0=left,
            x1=right,
            y0=low,
            y1=high,
            line={"color": "#C5CDD5", "width": 1},
            fillcolor="#F5F7F9",
            layer="below",
        )
        known = "–" if gate.patients is None else number(gate.patients)
        figure.add_annotation(
            text=f"<b>{known}</b><br>{gate.name}",
            xref="paper",
            yref="paper",
            x=(left + right) / 2,
            y=(low + high) / 2,
            xanchor="center",
            yanchor="middle",
            showarrow=False,
            font={"size": 12, "color": INK},
            hovertext=safe(gate.why),
        )
        if i:
            figure.add_annotation(
                text="›",
                xref="paper",
                yref="paper",
                x=i * step,
                y=(low + high) / 2,
                xanchor="center",
                yanchor="middle",
                showarrow=False,
                font={"size": 16, "color": QUIET},
            )
