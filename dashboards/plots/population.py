"""Figures of the population: who was left out, distributions, correlations, what was to be attained."""

from pathlib import Path

import numpy as np
import plotly.graph_objects as go

from dashboards import people
from dashboards.plots.style import INK, PALETTE, QUIET, TARGET, axes, faded, finished, safe
from dashboards.results import Results
from dashboards.written import labelled, number, wrapped

PALE = "#B8C4CE"
COLOURS = {people.CANDIDATES: "#8E9BA6", people.ELIGIBLE: PALETTE[0], people.POOL: PALETTE[3]}
NAMES = {
    people.CANDIDATES: "candidates",
    people.ELIGIBLE: "eligible",
    people.POOL: "eligible with a sound life under every arm",
}
# From Okabe & Ito's blue to their vermilion through white: told apart by every kind of colour vision.
WRITTEN = 0.2  # correlations from here on have their number in the picture
DIVERGING = [[0.0, PALETTE[0]], [0.5, "#FFFFFF"], [1.0, PALETTE[1]]]
SYMBOLS = ("diamond", "x", "triangle-down", "triangle-left", "circle", "triangle-right", "triangle-up")


def funnel(results: Results) -> go.Figure:
    """Candidates left after each criterion of eligibility, one after another, and how many meet each alone."""
    table = people.funnel(results)
    steps = [
        f"{wrapped(safe(step), 20)}<br><b>{n:,}</b> ({number(share)} %)"
        for step, n, share in zip(table["step"], table["patients"], table["share of candidates [%]"], strict=True)
    ]
    figure = go.Figure()
    figure.add_bar(
        y=np.arange(len(table)),
        x=table["patients"],
        orientation="h",
        width=0.62,
        marker={"color": [PALE, *[PALETTE[4]] * (len(table) - 2), PALETTE[0]]},
        showlegend=False,
        customdata=table["share of candidates [%]"],
        hovertemplate="%{x:,} left, %{customdata:.3g} % of candidates<extra></extra>",
    )
    alone = table[table[people.ALONE].notna()]
    if len(alone) > 1:
        figure.add_scatter(
            y=alone.index,
            x=alone[people.ALONE].astype(int),
            mode="markers",
            marker={"symbol": "line-ns-open", "size": 24, "color": INK, "line": {"width": 2}},
            name="meet this criterion, whatever the others",
            hovertemplate="%{x:,} meet it alone<extra></extra>",
        )
    axes(figure, "number of patients", "")
    top = float(table["patients"].max())
    figure.update_xaxes(range=[0, 1.02 * top or 1], tickformat=",", nticks=4, tickangle=0)
    figure.update_yaxes(
        tickvals=np.arange(len(table)), ticktext=steps, autorange="reversed", showgrid=False, title_text="step"
    )
    return finished(figure, _source(results), 170 + 58 * len(table))


def distribution(results: Results, name: str) -> go.Figure:
    """Shares of candidates and eligible patients with each value of a covariate or parameter."""
    one = people.variable(results, name)
    table = people.distribution(results, name)
    shown = [people.CANDIDATES, people.ELIGIBLE]
    counts = {who: table["patients"][table["who"] == who].tolist() for who in NAMES}
    if counts[people.POOL] != counts[people.ELIGIBLE]:
        shown.append(people.POOL)
    figure = go.Figure()
    if one.levels:
        for who in shown:
            lines = table[table["who"] == who]
            figure.add_bar(
                y=[safe(level) for level in lines["level"]],
                x=lines["share [%]"],
                orientation="h",
                name=NAMES[who],
                marker={"color": COLOURS[who]},
                customdata=lines["patients"],
                hovertemplate="%{x:.3g} % (%{customdata:,} patients)",
                text=[f" {number(share, 1)}" for share in lines["share [%]"]],
                textposition="outside",
                cliponaxis=False,
            )
        axes(figure, "share of the group [%]", safe(people.called(one)))
        figure.update_xaxes(range=[0, 1.18 * table["share [%]"].max() or 1])
        figure.update_yaxes(autorange="reversed", showgrid=False)
        figure.update_layout(barmode="group", bargap=0.25)
        return finished(figure, _source(results), 190 + 22 * len(one.levels) * len(shown))
    for who in shown:
        lines = table[table["who"] == who]
        low, high = lines["from"].to_numpy(), lines["to"].to_numpy()
        logarithmic = _even_ratios(low, high)
        edges = [*low, high[-1]]
        filled = who == people.CANDIDATES
        figure.add_scatter(
            x=[edges[0], *edges],
            y=[0, *lines["share [%]"], 0],
            mode="lines",
            line={"shape": "hv", "color": COLOURS[who], "width": 0 if filled else 2},
            fill="tozeroy" if who != people.POOL else "none",
            fillcolor=faded(COLOURS[who], 0.45 if filled else 0.12),
            name=NAMES[who],
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=np.sqrt(low * high) if logarithmic else (low + high) / 2,
            y=lines["share [%]"],
            mode="markers",
            marker={"color": COLOURS[who], "opacity": 0, "size": 8},
            name=NAMES[who],
            showlegend=False,
            customdata=lines[["from", "to", "patients"]],
            hovertemplate="%{customdata[0]:.4g} to %{customdata[1]:.4g}: %{y:.3g} % (%{customdata[2]:,} patients)",
        )
    axes(figure, labelled(one.title or people.called(one), one.unit), "share of the group [%]")
    if logarithmic:
        figure.update_xaxes(type="log", tickformat="~r", nticks=8, minor={"showgrid": False})
    figure.update_yaxes(rangemode="tozero")
    return finished(figure, _source(results), 360)


def correlations(results: Results, among: str = people.CANDIDATES, kind: str | None = "covariate") -> go.Figure:
    """Rank correlations of pairs of numbers among the first candidates, or the eligible of them."""
    table = people.correlations(results, among, kind)
    names = list(dict.fromkeys([*table["second"], *table["first"]]))
    place = {name: i for i, name in enumerate(names)}
    matrix = np.full((len(names), len(names)), np.nan)
    for a, b, value in table.itertuples(index=False):
        matrix[place[a], place[b]] = value
    labels = [safe(people.called(people.variable(results, name))) for name in names]
    figure = go.Figure()
    figure.add_heatmap(
        z=matrix[1:, :-1],
        x=labels[:-1],
        y=labels[1:],
        zmin=-1,
        zmax=1,
        colorscale=DIVERGING,
        xgap=1,
        ygap=1,
        hoverongaps=False,
        text=[[f"{value:.1f}" if abs(value) >= WRITTEN else "" for value in line] for line in matrix[1:, :-1]],
        texttemplate="%{text}" if len(names) <= 14 else None,
        hovertemplate="%{y} and %{x}: %{z:.3f}<extra></extra>",
        colorbar={
            "title": {"text": "rank correlation", "side": "right", "font": {"size": 12}},
            "thickness": 10,
            "len": 0.6,
            "y": 1,
            "yanchor": "top",
            "x": 1,
            "xanchor": "right",
            "tickvals": [-1, -0.5, 0, 0.5, 1],
        },
    )
    of = "the" if among == people.CANDIDATES else "the eligible of the"
    axes(figure, f"{of} first {people.first(results):,} candidates", kind or "covariate or parameter", 24)
    figure.update_xaxes(tickangle=-90, showgrid=False, tickfont={"size": 11}, title_standoff=4)
    figure.update_yaxes(autorange="reversed", showgrid=False, tickfont={"size": 11})
    figure = finished(figure, _source(results), 230 + 28 * len(names))
    longest = max((len(label) for label in labels), default=0)
    return _lowered(figure, int(5.6 * longest))


def attained_statistics(results: Results) -> go.Figure:
    """How far mean, SD and quantiles of each covariate lie from those of the reference, in its SDs."""
    table = people.attained(results)
    table = table[table["statistic"] != "rank correlation"]
    figure = go.Figure()
    for i, statistic in enumerate(table["statistic"].unique()):
        lines = table[table["statistic"] == statistic]
        figure.add_scatter(
            x=lines["difference [SD]"],
            y=[safe(name.replace("_", " ")) for name in lines["variable"]],
            mode="markers",
            name="SD" if statistic == "sd" else str(statistic),
            marker={
                "symbol": SYMBOLS[i % len(SYMBOLS)],
                "size": 9,
                "color": PALETTE[i % len(PALETTE)],
                "line": {"width": 1.5, "color": PALETTE[i % len(PALETTE)]},
            },
            customdata=lines[["target", "attained", "unit"]],
            hovertemplate="target %{customdata[0]:.5g}, attained %{customdata[1]:.5g} %{customdata[2]}",
        )
    furthest = float(table["difference [SD]"].abs().max()) if len(table) else 0.0
    reach = max(0.05, 1.15 * furthest)
    axes(figure, "attained − target [standard deviations of the reference]", "covariate", 24)
    figure.add_vline(x=0, line={"color": TARGET, "width": 2})
    figure.update_xaxes(range=[-reach, reach])
    figure.update_yaxes(autorange="reversed")
    return finished(figure, _of_first(results), 230 + 26 * table["variable"].nunique())


def attained_correlations(results: Results) -> go.Figure:
    """Rank correlations of the candidates against those of the reference."""
    table = people.attained(results)
    table = table[table["statistic"] == "rank correlation"]
    figure = go.Figure()
    figure.add_scatter(
        x=[-1, 1],
        y=[-1, 1],
        mode="lines",
        line={"color": TARGET, "width": 2},
        name="attained as it was to be",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=table["target"],
        y=table["attained"],
        mode="markers",
        marker={"color": PALETTE[0], "size": 8, "opacity": 0.75, "line": {"color": "white", "width": 1}},
        name="a pair of covariates",
        text=[safe(pair.replace("_", " ").replace(" ~ ", " and ")) for pair in table["variable"]],
        hovertemplate="%{text}: target %{x:.3f}, attained %{y:.3f}<extra></extra>",
    )
    axes(figure, "rank correlation in the reference", "rank correlation attained")
    figure.update_xaxes(range=[-1.05, 1.05], tickvals=[-1, -0.5, 0, 0.5, 1])
    figure.update_yaxes(range=[-1.05, 1.05], tickvals=[-1, -0.5, 0, 0.5, 1])
    figure.add_hline(y=0, line={"color": QUIET, "width": 0.5})
    return finished(figure, _of_first(results), 420)


def _source(results: Results) -> str:
    study, candidates = results.study, int(people.funnel(results)["patients"].iloc[0])
    version = results.made_by.get("trialtwin", "")
    return f"{study.name}: {candidates:,} candidates of {Path(study.recipe.reference).name}; trialtwin {version}"


def _of_first(results: Results) -> str:
    study = results.study
    return (
        f"{study.name}: the first {people.first(results):,} candidates against {study.recipe.reference}; "
        f"trialtwin {results.made_by.get('trialtwin', '')}"
    )


def _even_ratios(low: np.ndarray, high: np.ndarray) -> bool:
    """Whether the bars from `low` to `high` are of one width on a logarithmic axis."""
    return len(low) > 1 and low[0] > 0 and high[-1] - low[-1] > 1.01 * (high[0] - low[0])


def _lowered(figure: go.Figure, pixels: int) -> go.Figure:
    """Room for upright labels below the axis: its title and the source move down."""
    figure.update_layout(margin={"b": figure.layout.margin.b + pixels}, height=figure.layout.height + pixels)
    figure.layout.annotations[-1].yshift -= pixels
    return figure.update_xaxes(title_standoff=8)
