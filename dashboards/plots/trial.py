"""Figures of the trial: what its replicates report, in whom it works, what is uncertain."""

import numpy as np
import plotly.graph_objects as go

from dashboards.conducted import estimates, spread, subgroups
from dashboards.conducted import power_by_effect as by_effect
from dashboards.conducted import power_by_size as by_size
from dashboards.plots.style import INK, MISSED, PALETTE, QUIET, TARGET, axes, faded, finished, safe, whiskers
from dashboards.results import Results, question
from dashboards.written import scale, wrapped


def estimates_of_trials(results: Results, endpoint: str) -> go.Figure:
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
    axes(figure, _difference(results, endpoint), "number of trials")
    figure.add_vline(x=0, line={"color": QUIET, "width": 1})
    figure.update_yaxes(range=[0, top * 1.2])
    return finished(figure, results.source, 400)


def intervals_of_trials(results: Results, endpoint: str, first: int = 100) -> go.Figure:
    """Intervals of the first trials in the order of their estimates, coloured by whether they hold the truth."""
    table = estimates(results, endpoint, first).sort_values("value").reset_index(drop=True)
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
    axes(figure, _difference(results, endpoint), f"first {len(table)} trials, by their estimate")
    figure.add_vline(x=0, line={"color": QUIET, "width": 1})
    figure.update_yaxes(range=[0, len(table) + 1], showticklabels=False, showgrid=False)
    return finished(figure, results.source, 200 + 4 * len(table))


def forest(results: Results, endpoint: str) -> go.Figure:
    """True difference in everyone and by subgroup, with 95 % intervals."""
    table = subgroups(results, endpoint)
    labels = [
        wrapped(f"{safe(f'{covariate} {subgroup}'.strip().replace('_', ' '))} ({patients:,})", 20)
        for covariate, subgroup, patients in zip(table["covariate"], table["subgroup"], table["patients"], strict=True)
    ]
    whole = np.arange(len(table)) == 0
    figure = go.Figure()
    figure.add_scatter(
        x=table["value"],
        y=labels,
        mode="markers",
        error_x=whiskers(table) | {"color": INK},
        marker={
            "color": np.where(whole, TARGET, INK),
            "size": np.where(whole, 13, 8),
            "symbol": np.where(whole, "diamond", "square"),
        },
        showlegend=False,
        customdata=table[["lower", "upper"]],
        hovertemplate="%{y}: %{x:.3g} (%{customdata[0]:.3g} to %{customdata[1]:.3g})",
    )
    axes(figure, _difference(results, endpoint), "subgroup (patients)", 26)
    figure.add_vline(x=0, line={"color": QUIET, "width": 1})
    figure.update_yaxes(autorange="reversed", tickfont={"size": 12}, title_standoff=8)
    return finished(figure, results.source, 190 + 30 * len(table))


def spread_by_source(results: Results, endpoint: str) -> go.Figure:
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
    axes(figure, f"standard deviation [{scale(results.endpoint(endpoint)).difference}]", "source of spread", 26)
    figure.update_yaxes(autorange="reversed", tickfont={"size": 12})
    figure.update_xaxes(rangemode="tozero")
    return finished(figure, results.source, 190 + 62 * len(table))


def power_by_size(results: Results, endpoint: str) -> go.Figure:
    """Power against the number of subjects, with 95 % Monte-Carlo intervals; the study's own size stands out."""
    table = by_size(results, endpoint)
    figure = go.Figure()
    _levels(figure)
    figure.add_scatter(
        x=table["subjects"],
        y=table["power [%]"],
        mode="lines+markers",
        line={"color": PALETTE[0], "width": 2},
        marker={"size": 7},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": table["upper"] - table["power [%]"],
            "arrayminus": table["power [%]"] - table["lower"],
            "color": INK,
            "thickness": 1.2,
            "width": 3,
        },
        name="trials of other sizes",
        customdata=table[["lower", "upper"]],
        hovertemplate="%{x} subjects: %{y:.1f} % (%{customdata[0]:.1f} to %{customdata[1]:.1f})",
    )
    own = table[table["study"]]
    figure.add_scatter(
        x=own["subjects"],
        y=own["power [%]"],
        mode="markers",
        marker={"symbol": "diamond", "size": 13, "color": TARGET, "line": {"color": "white", "width": 1}},
        name="this study",
        hovertemplate="this study, %{x} subjects: %{y:.1f} %",
    )
    axes(figure, "subjects in a trial", "power [%]")
    figure.update_yaxes(range=[0, 104], tickvals=[0, 20, 40, 60, 80, 100])
    figure.update_xaxes(rangemode="tozero")
    return finished(figure, results.source, 380)


def power_by_effect(results: Results, endpoint: str) -> go.Figure:
    """Power against the true effect, were it another, with its 95 % Monte-Carlo band; the true effect stands out."""
    table = by_effect(results, endpoint)
    effects = table["effect"]
    figure = go.Figure()
    _levels(figure)
    edge = {"x": effects, "mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
    figure.add_scatter(y=table["lower"], **edge)
    figure.add_scatter(y=table["upper"], fill="tonexty", fillcolor=faded(PALETTE[0], 0.2), **edge)
    figure.add_scatter(
        x=effects,
        y=table["power [%]"],
        mode="lines",
        line={"color": PALETTE[0], "width": 2.5},
        name="this study, were the effect another",
        hovertemplate="%{x:.3g}: %{y:.1f} %",
    )
    truth = _truth(results, endpoint)
    figure.add_scatter(
        x=[truth, truth],
        y=[0, 104],
        mode="lines",
        line={"color": TARGET, "width": 3, "dash": "dash"},
        name="truth",
        hovertemplate="truth %{x:.3g}",
    )
    axes(figure, _difference(results, endpoint), "power [%]")
    figure.add_vline(x=0, line={"color": QUIET, "width": 1})
    figure.update_yaxes(range=[0, 104], tickvals=[0, 20, 40, 60, 80, 100])
    return finished(figure, results.source, 380)


def _levels(figure: go.Figure) -> None:
    """The powers that trials are planned for."""
    for level in (80, 90):
        figure.add_hline(y=level, line={"color": QUIET, "width": 1, "dash": "dot"}, layer="below")


def _difference(results: Results, endpoint: str) -> str:
    each, (first, second) = results.endpoint(endpoint), results.study.contrast
    return f"{first} − {second}, {question(results.study, each)} [{scale(each).difference}]"


def _truth(results: Results, endpoint: str) -> float:
    return float(subgroups(results, endpoint)["value"].iloc[0])
