"""Figures of what drives an output: indices, their interplay, convergence and course, regressions, worth of knowing."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards import drivers
from dashboards.plots.style import INK, MISSED, PALETTE, QUIET, axes, faded, finished, safe, whiskers
from dashboards.plots.surrogates import above
from dashboards.results import Results, question
from dashboards.written import labelled, number, scale, wrapped

MOST = 20  # inputs of a figure
LINES = 6  # inputs that have a line of their own
BARS = (PALETTE[0], PALETTE[4], PALETTE[3])
DIVERGING = [(0.0, PALETTE[1]), (0.5, "#FFFFFF"), (1.0, PALETTE[0])]


def indices(results: Results, of: str, method: str, output: str) -> go.Figure:
    """Every measure of the leading inputs with its 95 % interval; the measure that ranks them in the darkest colour."""
    table = drivers.indices(results, of, method, output)
    facts = drivers.facts(results, of, method, output)
    names = list(dict.fromkeys(table["input"]))[:MOST]
    alike = _alike(table, facts.leading)
    figure = go.Figure()
    for i, measure in enumerate(alike):
        lines = table[(table["measure"] == measure) & table["input"].isin(names)]
        figure.add_bar(
            y=[_input(name) for name in lines["input"]],
            x=lines["value"],
            orientation="h",
            name=safe(drivers.WORDS.get(measure, measure)),
            marker={"color": BARS[i % len(BARS)]},
            error_x=whiskers(lines),
            customdata=np.stack([lines["title"].map(safe), lines["lower"], lines["upper"]], axis=1),
            hovertemplate="%{customdata[0]}: %{x:.3g} (%{customdata[1]:.3g} to %{customdata[2]:.3g})",
        )
    shown = str(table["unit"][table["measure"] == facts.leading].iloc[0])
    what = drivers.WORDS.get(facts.leading, facts.leading) if len(alike) == 1 else "sensitivity index"
    what = "share of the output's variance" if facts.leading in drivers.OF_VARIANCE else what
    axes(figure, labelled(what, shown), "input", 34)
    figure.update_layout(barmode="group", bargap=0.25, legend={"traceorder": "normal"})
    figure.update_yaxes(autorange="reversed", tickfont={"size": 12}, showgrid=False)
    figure.add_vline(x=0, line={"color": QUIET, "width": 1})
    return finished(figure, _source(results, facts), 190 + len(names) * (14 + 14 * len(alike)))


def _alike(table: pd.DataFrame, leading: str) -> list[str]:
    """Measures that share the leading one's axis, that one first; a signed mean effect is for the screening figure."""
    shown = dict(zip(table["measure"], table["unit"], strict=True))
    return [leading, *(each for each in shown if each not in (leading, "mu") and shown[each] == shown[leading])]


def screening(results: Results, of: str, method: str, output: str) -> go.Figure:
    """Morris' plane: how large an input's effect is, and how much it varies, by curvature or interplay."""
    table = drivers.indices(results, of, method, output)
    wide = table.pivot(index="input", columns="measure", values="value")
    size, spread = wide["mu_star"], wide["sigma"]
    leading = size.nlargest(8).index
    figure = go.Figure()
    top = float(np.nanmax([size.max(), spread.max(), 1e-12])) * 1.15
    figure.add_scatter(
        x=[0, top],
        y=[0, top],
        mode="lines",
        line={"color": QUIET, "width": 1, "dash": "dot"},
        name="above: mainly curved or interacting",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=size,
        y=spread,
        mode="markers+text",
        text=[safe(drivers.short(name)) if name in leading else "" for name in wide.index],
        textposition="top center",
        cliponaxis=False,
        marker={"color": PALETTE[0], "size": 9},
        showlegend=False,
        customdata=[safe(drivers.short(name)) for name in wide.index],
        hovertemplate="%{customdata}: μ* %{x:.3g}, σ %{y:.3g}",
    )
    shown = str(table["unit"].iloc[0])
    axes(figure, labelled("mean size of the effect μ*", shown), labelled("spread of the effect σ", shown))
    figure.update_xaxes(range=[0, top])
    figure.update_yaxes(range=[0, top])
    return finished(figure, _source(results, drivers.facts(results, of, method, output)), 420)


def pairs(results: Results, of: str, method: str, output: str) -> go.Figure:
    """Second-order indices of the leading inputs: what two do together beyond what each does alone."""
    table = drivers.pairs(results, of, method, output)
    names = drivers.ranked(results, of, method, output)[:8]
    both = pd.concat([table, table.rename(columns={"input": "with", "with": "input"})])
    wide = both.pivot(index="input", columns="with", values="value").reindex(index=names, columns=names)
    clear = (both["lower"] > 0) | (both["upper"] < 0)
    both["text"] = np.where(clear, [number(value, 2) for value in both["value"]], "")
    text = both.pivot(index="input", columns="with", values="text").reindex(index=names, columns=names).fillna("")
    largest = float(np.nanmax(np.abs(wide.to_numpy()), initial=0.01))
    labels = [safe(drivers.short(name)) for name in names]
    figure = go.Figure(
        go.Heatmap(
            z=wide.to_numpy(),
            x=labels,
            y=labels,
            text=text.to_numpy(),
            texttemplate="%{text}",
            textfont={"size": 10},
            colorscale=DIVERGING,
            zmin=-largest,
            zmax=largest,
            xgap=1,
            ygap=1,
            colorbar=above("second-order index S2"),
            hovertemplate="%{y} with %{x}: %{z:.3g}<extra></extra>",
        )
    )
    axes(figure, "input", "input")
    figure.update_yaxes(autorange="reversed", showgrid=False, tickfont={"size": 11})
    figure.update_xaxes(showgrid=False, tickangle=-60, tickfont={"size": 11}, tickvals=labels)
    figure = finished(figure, _source(results, drivers.facts(results, of, method, output)), 330 + 32 * len(names))
    figure.update_layout(margin_t=80)
    return _lower(figure, int(5.5 * max(map(len, labels))))


def convergence(results: Results, of: str, method: str, output: str) -> go.Figure:
    """The leading measure of the leading inputs against the size of the analysis, with the final 95 % interval."""
    table = drivers.convergence(results, of, method, output)
    facts = drivers.facts(results, of, method, output)
    names = list(dict.fromkeys(table["input"]))[:LINES]
    figure = go.Figure()
    for name, colour in zip(names, PALETTE, strict=False):
        lines = table[table["input"] == name]
        figure.add_scatter(
            x=lines["size"],
            y=lines["value"],
            mode="lines+markers",
            name=_input(name),
            line={"color": colour, "width": 2},
            error_y=whiskers(lines.fillna({"lower": lines["value"], "upper": lines["value"]})) | {"color": colour},
            hovertemplate="size %{x}: %{y:.3g}",
        )
    sizes = sorted(set(table["size"]))
    shown = str(table["unit"].iloc[0])
    axes(figure, "size of the analysis", labelled(drivers.WORDS.get(facts.leading, facts.leading), shown))
    figure.update_xaxes(type="log", tickvals=sizes, ticktext=[f"{size:,}" for size in sizes], minor={"ticks": ""})
    return finished(figure, _source(results, facts), 400)


def over_time(results: Results, of: str, method: str, trace: str, measure: str) -> go.Figure:
    """A measure of the leading inputs over time: stacked where it is a share of variance, lines otherwise."""
    table = drivers.over_time(results, of, method, trace, measure)
    names, stacked = list(dict.fromkeys(table["input"])), measure == "S1"
    figure = go.Figure()
    for name, colour in zip(names[:LINES], PALETTE, strict=False):
        lines = table[table["input"] == name]
        fill = {"stackgroup": "shares", "fillcolor": faded(colour, 0.55)} if stacked else {}
        figure.add_scatter(
            x=lines["time [days]"],
            # Noise may take a share below 0, which a stack cannot show.
            y=lines["value"].clip(lower=0.0) if stacked else lines["value"],
            mode="lines",
            name=_input(name),
            line={"color": colour, "width": 0.5 if stacked else 2},
            hovertemplate="day %{x:.3g}: %{y:.3g}",
            **fill,
        )
    shown = str(table["unit"].iloc[0])
    axes(figure, "time from randomisation [days]", labelled(drivers.WORDS.get(measure, measure), shown))
    if stacked:
        figure.update_yaxes(rangemode="tozero")
    said = drivers.facts(results, of, method, drivers.first_output(results, of, method))
    return finished(figure, _source(results, said), 400)


def tornado(results: Results, output: str) -> go.Figure:
    """Mean of an output where each input is lowest and where it is highest, or at its levels, with 95 % intervals."""
    table = drivers.tornado(results, output)
    names = list(dict.fromkeys(table["input"]))[:MOST]
    table = table[table["input"].isin(names)]
    ends = table.groupby("input")["mean"].agg(["min", "max"]).loc[names]
    figure = go.Figure()
    figure.add_scatter(
        x=ends.assign(gap=np.nan).to_numpy().ravel(),
        y=np.repeat([_input(name) for name in names], 3),
        mode="lines",
        line={"color": "#D5DCE2", "width": 8},
        showlegend=False,
        hoverinfo="skip",
    )
    kinds = {"lowest tenth": ("input low", PALETTE[0], "circle"), "highest tenth": ("input high", PALETTE[1], "circle")}
    looks = table["part"].map(kinds).where(table["part"].isin(list(kinds)), None)
    for look in [*kinds.values(), None]:
        lines = table[[each == look for each in looks]]
        if lines.empty:
            continue
        label, colour, symbol = look or ("a level", QUIET, "diamond")
        figure.add_scatter(
            x=lines["mean"],
            y=[_input(name) for name in lines["input"]],
            mode="markers",
            name=label,
            marker={"color": colour, "size": 9, "symbol": symbol},
            error_x={"type": "data", "array": 1.96 * lines["se"], "color": colour, "thickness": 1.2, "width": 3},
            customdata=np.stack([lines["title"].map(safe), lines["part"].map(safe), lines["patients"]], axis=1),
            hovertemplate="%{customdata[0]}, %{customdata[1]}: %{x:.4g} (%{customdata[2]:,} patients)",
        )
    axes(figure, _output(results, output), "input", 30)
    figure.update_yaxes(
        autorange="reversed",
        tickfont={"size": 12},
        categoryorder="array",
        categoryarray=[_input(name) for name in names],
    )
    return finished(figure, results.source, 180 + 30 * len(names))


def ranks(results: Results, output: str) -> go.Figure:
    """Partial rank correlations and standardised rank coefficients on the stored patients, with 95 % intervals."""
    table = drivers.ranks(results, output)
    names = list(dict.fromkeys(table["input"]))[:MOST]
    figure = go.Figure()
    for i, measure in enumerate(_alike(table, "prcc")):
        lines = table[(table["measure"] == measure) & table["input"].isin(names)].set_index("input").loc[names]
        figure.add_scatter(
            x=lines["value"],
            y=np.arange(len(lines)) + (-0.14, 0.14)[i % 2],
            mode="markers",
            name=drivers.WORDS.get(measure, measure),
            marker={"color": BARS[i], "size": 9, "symbol": ("circle", "diamond")[i % 2]},
            error_x=whiskers(lines) | {"color": BARS[i]},
            customdata=lines["title"].map(safe),
            hovertemplate="%{customdata}: %{x:.3g}",
        )
    axes(figure, "coefficient", "input")
    figure.add_vline(x=0, line={"color": QUIET, "width": 1})
    figure.update_yaxes(
        autorange="reversed",
        tickvals=np.arange(len(names)),
        ticktext=[_input(name) for name in names],
        tickfont={"size": 12},
    )
    facts = drivers.facts(results, "patients", drivers.FREE, output)
    return finished(figure, _source(results, facts), 190 + 32 * len(names))


def parts(results: Results, output: str) -> go.Figure:
    """Shares of the variance of a trial's estimate by where they come from."""
    table = drivers.parts(results, output)
    figure = go.Figure()
    figure.add_bar(
        y=[safe(part) for part in table["part"]],
        x=table["share"],
        orientation="h",
        marker={"color": [(*PALETTE, MISSED)[i % 8] for i in range(len(table))]},
        error_x={"type": "data", "array": 1.96 * table["se"].fillna(0.0), "color": INK, "thickness": 1.5, "width": 4},
        showlegend=False,
        hovertemplate="%{y}: %{x:.1f} %",
    )
    figure.add_scatter(
        y=[safe(part) for part in table["part"]],
        x=(table["share"] + 1.96 * table["se"].fillna(0.0)).clip(lower=0.0),
        mode="text",
        text=[f"  {number(share, 0)} %" for share in table["share"]],
        textposition="middle right",
        cliponaxis=False,
        showlegend=False,
        hoverinfo="skip",
    )
    axes(figure, "share of the variance of one trial's estimate [%]", "where it comes from", 34)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    lowest, highest = (table["share"] + side * 1.96 * table["se"].fillna(0.0) for side in (-1, 1))
    figure.update_xaxes(range=[min(0.0, 1.1 * lowest.min()), max(115.0, 1.2 * highest.max())])
    figure.update_xaxes(tickvals=list(range(-100, 101, 25)))
    return finished(figure, results.source, 190 + 40 * len(table))


def worth(results: Results, output: str) -> go.Figure:
    """How much of what is uncertain about an effect would be gone, were an unknown known, with 95 % intervals."""
    table = drivers.worth(results, output).sort_values("reduction", ascending=False, kind="stable").head(MOST)
    figure = go.Figure()
    figure.add_bar(
        y=[_input(name) for name in table["unknown"]],
        x=table["reduction"],
        orientation="h",
        marker={"color": PALETTE[0]},
        error_x={"type": "data", "array": 1.96 * table["reduction_se"].fillna(0.0), "color": INK, "thickness": 1.5},
        showlegend=False,
        hovertemplate="%{y}: %{x:.1f} %",
    )
    axes(figure, "variance that would be gone [%]", "unknown", 34)
    figure.update_yaxes(autorange="reversed", showgrid=False, tickfont={"size": 12})
    figure.update_xaxes(rangemode="tozero")
    return finished(figure, results.source, 180 + 26 * len(table))


def _input(name: str) -> str:
    return wrapped(safe(drivers.short(name)), 20)


def _output(results: Results, output: str) -> str:
    name, _, who = output.rpartition(": ")
    endpoint = results.endpoint(name)
    by = scale(endpoint)
    contrast = who == results.contrast
    return labelled(
        f"{who.replace(' - ', ' − ')}, {question(results.study, endpoint)}", by.difference if contrast else by.unit
    )


def _source(results: Results, facts: drivers.Facts) -> str:
    version = results.made_by.get("trialtwin", "")
    return f"{results.study.name}: {facts.title}, {facts.effort}; {facts.source}; trialtwin {version}"


def _lower(figure: go.Figure, room: int) -> go.Figure:
    """Room beneath for slanted labels of the axis; its title and the source move down with it."""
    figure.update_layout(margin_b=figure.layout.margin.b + room + 24)
    figure.update_xaxes(title_standoff=room // 2)
    for note in figure.layout.annotations:
        if note.text and note.text.startswith("Source: "):
            note.yshift -= room + 24
    return figure
