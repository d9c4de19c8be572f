"""Figures from tables of results: axes with units, a source beneath each, an arm in one colour throughout."""

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.results import Patient, Results, estimates, life, question, range_of, spread, subgroups, trajectory
from dashboards.results import arm_means as means_of_arms
from dashboards.written import labelled, number, scale, wrapped
from trials.endpoints import Endpoint
from trials.study import Study

# Okabe & Ito 2008, Color Universal Design: told apart by every kind of colour vision.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#8C510A", "#4D4D4D")
MISSED = "#CC79A7"
QUIET = "#7A7A7A"
INK = "#222222"
TARGET = "#009E73"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

CONFIG = {"displaylogo": False, "responsive": True, "displayModeBar": False, "showTips": False, "plotlyServerURL": ""}
LINE = 46  # characters of a line that a telephone shows beneath a figure


def colours(study: Study) -> dict[str, str]:
    """The colour of each arm, by its place in the study."""
    return {arm.name: PALETTE[i % len(PALETTE)] for i, arm in enumerate(study.arms)}


def title(study: Study, outcome: str) -> str:
    """An output by its title; an action, whose title tells what and how, by its name."""
    output = next((output for output in study.twin.outputs if output.name == outcome), None)
    return (output.title or output.name) if output else outcome.replace("_", " ")


def trajectories(results: Results, outcome: str, endpoint: Endpoint | None = None) -> go.Figure:
    """Median, 25-75 % and 5-95 % of patients over time by arm; the range that an endpoint asks about is shaded."""
    table = trajectory(results, outcome)
    steps = outcome in [action.name for action in results.study.twin.actions]
    shape = {"shape": "vh" if steps else "linear"}  # an amount belongs to the time since the record before
    figure = go.Figure()
    for arm, colour in colours(results.study).items():
        lines = table[table["arm"] == arm]
        days = lines["time [days]"]
        for low, high, opacity in (("5 %", "95 %", 0.10), ("25 %", "75 %", 0.25)):
            edge = {"x": days, "mode": "lines", "legendgroup": arm, "showlegend": False, "hoverinfo": "skip"}
            outer = opacity < 0.2 and not steps
            edge["line"] = {"width": 1.0 if outer else 0.0, "color": _faded(colour, 0.5), **shape}
            figure.add_scatter(y=lines[low], **edge)
            figure.add_scatter(y=lines[high], fill="tonexty", fillcolor=_faded(colour, opacity), **edge)
        figure.add_scatter(
            x=days,
            y=lines["50 %"],
            mode="lines",
            name=_safe(arm),
            legendgroup=arm,
            line={"color": colour, "width": 2.5, **shape},
            customdata=lines[["5 %", "95 %"]],
            hovertemplate="day %{x:.3g}: median %{y:.3g} (5-95 %: %{customdata[0]:.3g} to %{customdata[1]:.3g})",
        )
    _axes(figure, "time from randomisation [days]", _outcome(results.study, outcome))
    if endpoint is not None:
        _shade(figure, results.study, outcome, endpoint)
    top = float(table["95 %"].max())
    if endpoint is None or float(table["5 %"].min()) >= 0:
        figure.update_yaxes(
            rangemode="tozero" if steps else "normal", range=None if not steps else [0, top * 1.08 or 1]
        )
    return _finished(figure, results.source, 380)


def patient(results: Results, one: Patient, endpoint: Endpoint | None = None) -> go.Figure:
    """One patient under every arm: lines are what was, dots what the visits measured, steps what was given."""
    study = results.study
    table = life(study, one)
    actions = [action.name for action in study.twin.actions]
    outcomes = sorted(study.plan.outcomes, key=lambda outcome: outcome in actions)
    weights = [0.55 if outcome in actions else 1.0 for outcome in outcomes]
    figure = make_subplots(rows=len(outcomes), shared_xaxes=True, vertical_spacing=0.07, row_heights=weights)
    for row, outcome in enumerate(outcomes, start=1):
        for arm, colour in colours(study).items():
            here = table[(table["arm"] == arm) & (table["outcome"] == outcome)]
            lived, seen = here[here["kind"] == "recorded"], here[here["kind"] == "measured"]
            line = {"color": colour, "width": 2, "shape": "vh" if outcome in actions else "linear"}
            figure.add_scatter(
                x=lived["time [days]"],
                y=lived["value"],
                mode="lines",
                name=_safe(arm),
                legendgroup=arm,
                showlegend=row == 1,
                line=line,
                hovertemplate="day %{x:.3g}: %{y:.3g}",
                row=row,
                col=1,
            )
            if len(seen):
                figure.add_scatter(
                    x=seen["time [days]"],
                    y=seen["value"],
                    mode="markers",
                    name=_safe(f"{arm}, measured at visits"),
                    legendgroup=arm,
                    showlegend=row == 1,
                    marker={"color": colour, "size": 8, "line": {"color": "white", "width": 1}},
                    hovertemplate="day %{x:.3g}: measured %{y:.3g}",
                    row=row,
                    col=1,
                )
        figure.update_yaxes(title_text=wrapped(_safe(_outcome(study, outcome)), 22), row=row, col=1)
        if outcome in actions:
            figure.update_yaxes(rangemode="tozero", row=row, col=1)
        elif endpoint is not None:
            _shade(figure, study, outcome, endpoint, row)
    figure.update_xaxes(title_text="time from randomisation [days]", row=len(outcomes), col=1)
    source = f"{study.name}: patient {one.number:,}; trialtwin {results.made_by.get('trialtwin', '')}"
    return _finished(figure, source, 220 + int(170 * sum(weights)))


def arm_means(results: Results, endpoints: Sequence[Endpoint]) -> go.Figure:
    """True mean of endpoints of one unit under each arm, with 95 % intervals."""
    table = means_of_arms(results, endpoints)
    arms, shown = colours(results.study), str(table["unit"].iloc[0])
    # Numeric places, so that a value can stand beyond the whisker of its own bar.
    step = len(arms) + 1.0
    figure = go.Figure()
    for i, (arm, colour) in enumerate(arms.items()):
        lines = table[table["arm"] == arm]
        places = np.arange(len(lines)) * step + i
        figure.add_bar(
            y=places,
            x=lines["value"],
            orientation="h",
            name=_safe(arm),
            width=0.9,
            marker={"color": colour},
            error_x=_whiskers(lines),
            hovertemplate=f"%{{x:.4g}} {shown}",
        )
        figure.add_scatter(
            y=places,
            x=lines["upper"].fillna(lines["value"]),
            mode="text",
            text=[f"  {number(value, 1)}" for value in lines["value"]],
            textposition="middle right",
            cliponaxis=False,
            showlegend=False,
            hoverinfo="skip",
        )
    of = "share of patients" if all(each.kind in ("ever", "responder") for each in endpoints) else "mean"
    _axes(figure, f"{of} [{shown}]" if shown else of, "")
    figure.update_yaxes(
        autorange="reversed",
        tickvals=np.arange(len(endpoints)) * step + (len(arms) - 1) / 2,
        ticktext=[wrapped(_safe(title), 22) for title in table["title"].unique()],
        showgrid=False,
        title_text="endpoint",
    )
    figure.update_xaxes(
        range=[min(0.0, 1.25 * table["lower"].min()), 1.3 * table["upper"].fillna(table["value"]).max() or 1]
    )
    if shown == "%" and 1.3 * table["upper"].max() > 100:
        figure.update_xaxes(tickvals=list(range(0, 101, 20)))  # the room beyond is for the numbers
    figure.update_layout(barmode="overlay")
    return _finished(figure, results.source, 190 + 48 * len(table))


def estimates_of_trials(results: Results, endpoint: Endpoint) -> go.Figure:
    """Histogram of the trials' estimates, with the truth, their mean and the mean interval."""
    table = estimates(results, endpoint)
    values = table["value"].to_numpy()
    counts, edges = np.histogram(values, bins=min(max(int(len(values) ** 0.5), 8), 45))
    figure = go.Figure()
    figure.add_bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=counts,
        width=np.diff(edges),
        marker={"color": "#B8C4CE", "line": {"color": "white", "width": 1}},
        showlegend=False,
        hovertemplate="%{y} trials at %{x:.3g}",
    )
    top = float(counts.max())
    lower, upper, mean = (float(table[name].mean()) for name in ("lower", "upper", "value"))
    figure.add_scatter(
        x=[lower, mean, upper],
        y=[top * 1.08] * 3,
        mode="lines+markers",
        line={"color": INK, "width": 2},
        marker={"symbol": ["line-ns-open", "diamond", "line-ns-open"], "size": [12, 10, 12], "color": INK},
        name="mean of the trials and of their intervals",
        hovertemplate="%{x:.3g}",
    )
    truth = _truth(results, endpoint)
    figure.add_scatter(
        x=[truth, truth],
        y=[0, top * 1.16],
        mode="lines",
        line={"color": TARGET, "width": 3, "dash": "dash"},
        name="truth",
        hovertemplate="truth %{x:.3g}",
    )
    _axes(figure, _difference(results, endpoint), "number of trials")
    figure.add_vline(x=0, line={"color": QUIET, "width": 1})
    figure.update_yaxes(range=[0, top * 1.2])
    return _finished(figure, results.source, 400)


def intervals_of_trials(results: Results, endpoint: Endpoint, first: int = 100) -> go.Figure:
    """Intervals of the first trials in the order of their estimates, coloured by whether they hold the truth."""
    table = estimates(results, endpoint).head(first).sort_values("value").reset_index(drop=True)
    figure = go.Figure()
    for holds, colour, name, width in ((True, QUIET, "holds the truth", 1.2), (False, MISSED, "misses the truth", 2.5)):
        lines = table[table["holds the truth"] == holds]
        figure.add_scatter(
            x=lines[["lower", "upper"]].assign(gap=np.nan).to_numpy().ravel(),
            y=np.repeat(lines.index.to_numpy() + 1.0, 3),
            mode="lines",
            line={"color": colour, "width": width},
            name=f"{name} ({len(lines)})",
            legendgroup=name,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=lines["value"],
            y=lines.index + 1,
            mode="markers",
            marker={"color": colour, "size": 4 if holds else 7, "symbol": "circle" if holds else "x"},
            legendgroup=name,
            showlegend=False,
            customdata=lines[["trial", "lower", "upper"]],
            hovertemplate="trial %{customdata[0]}: %{x:.3g} (%{customdata[1]:.3g} to %{customdata[2]:.3g})",
        )
    truth = _truth(results, endpoint)
    figure.add_scatter(
        x=[truth, truth],
        y=[0, len(table) + 1],
        mode="lines",
        line={"color": TARGET, "width": 3, "dash": "dash"},
        name="truth",
        hovertemplate="truth %{x:.3g}",
    )
    _axes(figure, _difference(results, endpoint), f"first {len(table)} trials, by their estimate")
    figure.add_vline(x=0, line={"color": QUIET, "width": 1})
    figure.update_yaxes(range=[0, len(table) + 1], showticklabels=False, showgrid=False)
    return _finished(figure, results.source, 200 + 4 * len(table))


def forest(results: Results, endpoint: Endpoint) -> go.Figure:
    """True difference in everyone and by subgroup, with 95 % intervals."""
    table = subgroups(results, endpoint)
    labels = [
        wrapped(f"{_safe(f'{covariate} {subgroup}'.strip().replace('_', ' '))} ({patients:,})", 20)
        for covariate, subgroup, patients in zip(table["covariate"], table["subgroup"], table["patients"], strict=True)
    ]
    whole = np.arange(len(table)) == 0
    figure = go.Figure()
    figure.add_scatter(
        x=table["value"],
        y=labels,
        mode="markers",
        error_x=_whiskers(table) | {"color": INK},
        marker={
            "color": np.where(whole, TARGET, INK),
            "size": np.where(whole, 13, 8),
            "symbol": np.where(whole, "diamond", "square"),
        },
        showlegend=False,
        customdata=table[["lower", "upper"]],
        hovertemplate="%{y}: %{x:.3g} (%{customdata[0]:.3g} to %{customdata[1]:.3g})",
    )
    _axes(figure, _difference(results, endpoint), "subgroup (patients)", 26)
    figure.add_vline(x=0, line={"color": QUIET, "width": 1})
    figure.update_yaxes(autorange="reversed", tickfont={"size": 12}, title_standoff=8)
    return _finished(figure, results.source, 190 + 30 * len(table))


def spread_by_source(results: Results, endpoint: Endpoint) -> go.Figure:
    """Standard deviation of the contrast by where it comes from, with 95 % intervals."""
    table = spread(results, endpoint)
    figure = go.Figure()
    figure.add_bar(
        y=[wrapped(source, 22) for source in table["source"]],
        x=table["sd"],
        orientation="h",
        marker={"color": [PALETTE[4], PALETTE[4], "#B8C4CE", "#B8C4CE"][: len(table)]},
        error_x={"type": "data", "array": 1.96 * table["se"], "color": INK, "thickness": 1.5},
        showlegend=False,
        hovertemplate="SD %{x:.3g}",
    )
    _axes(figure, f"standard deviation [{scale(endpoint).difference}]", "source of spread", 26)
    figure.update_yaxes(autorange="reversed", tickfont={"size": 12})
    figure.update_xaxes(rangemode="tozero")
    return _finished(figure, results.source, 190 + 62 * len(table))


def _difference(results: Results, endpoint: Endpoint) -> str:
    first, second = results.study.contrast
    return f"{first} − {second}, {question(results.study, endpoint)} [{scale(endpoint).difference}]"


def _outcome(study: Study, outcome: str) -> str:
    units = {item.name: item.unit for item in study.twin.outputs}
    units |= {item.name: item.unit for item in study.twin.actions}
    return labelled(title(study, outcome), units[outcome])


def _truth(results: Results, endpoint: Endpoint) -> float:
    return float(subgroups(results, endpoint)["value"].iloc[0])


def _whiskers(table: pd.DataFrame) -> dict:
    return {
        "type": "data",
        "symmetric": False,
        "array": table["upper"] - table["value"],
        "arrayminus": table["value"] - table["lower"],
        "color": INK,
        "thickness": 1.5,
        "width": 4,
    }


def _shade(figure: go.Figure, study: Study, outcome: str, endpoint: Endpoint, row: int | None = None) -> None:
    asked, low, high = range_of(study, endpoint)
    if asked != outcome:
        return
    place = {} if row is None else {"row": row, "col": 1}
    edges = [edge for edge in (low, high) if np.isfinite(edge)]
    if len(edges) == 2:
        figure.add_hrect(y0=low, y1=high, fillcolor=TARGET, opacity=0.12, line_width=0, layer="below", **place)
    for edge in edges:
        figure.add_hline(y=edge, line={"color": TARGET, "width": 1, "dash": "dot"}, **place)


def _axes(figure: go.Figure, x: str, y: str, width: int = 38) -> None:
    """Titles of the axes; `width` characters of that of x have room on a telephone."""
    figure.update_xaxes(title_text=wrapped(_safe(x), width))
    figure.update_yaxes(title_text=wrapped(_safe(y), 34))


def _finished(figure: go.Figure, source: str, height: int) -> go.Figure:
    lines = wrapped(_safe(source), LINE + 6)
    depth = figure.layout.xaxis.title.text.count("<br>") if figure.layout.xaxis.title.text else 0
    below = 62 + 17 * depth
    figure.update_xaxes(
        showline=True,
        linecolor="#BBBBBB",
        gridcolor="#EEEEEE",
        zeroline=False,
        title_standoff=8,
        title_font_size=13,
        automargin=False,
    )
    figure.update_yaxes(
        showline=True, linecolor="#BBBBBB", gridcolor="#EEEEEE", zeroline=False, title_font_size=13, automargin=True
    )
    figure.add_annotation(
        text=f"Source: {lines}",
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
        template="plotly_white",
        height=height,
        font={"family": FONT, "size": 13, "color": INK},
        margin={"l": 20, "r": 16, "t": 20, "b": below + 16 + 14 * (1 + lines.count("<br>"))},
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.01, "yanchor": "bottom", "font": {"size": 13}},
        hovermode="closest",
        hoverlabel={"font": {"size": 13}},
        dragmode=False,  # on a telephone a finger scrolls the page
    )


def _faded(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def _safe(text: str) -> str:
    """Text of the study, which figures would read as markup."""
    return html.escape(text, quote=False)
