"""Figures of how patients respond: endpoints under each arm, one patient's effect, and both by who he is."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards import effects, people
from dashboards.plots.style import INK, QUIET, axes, colours, faded, finished, safe, whiskers
from dashboards.results import Results, question
from dashboards.written import labelled, number, scale, wrapped
from trials import schema

SAME = "#B8C4CE"
SHOWN = 12  # variables of a ranking


def values(results: Results, endpoint: str) -> go.Figure:
    """How an endpoint is spread over the patients of the pool, under each arm."""
    table, by = effects.values(results, endpoint), scale(results.endpoint(endpoint))
    figure = go.Figure()
    for arm, colour in colours(results.study).items():
        lines = table[table["arm"] == arm]
        edges = [*lines["from"], *lines["to"].tail(1)]
        figure.add_scatter(
            x=[*edges[:1], *edges],
            y=[0, *lines["share [%]"], 0],
            mode="lines",
            line={"shape": "hv", "color": colour, "width": 2},
            fill="tozeroy",
            fillcolor=faded(colour, 0.12),
            name=safe(arm),
            legendgroup=arm,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=(lines["from"] + lines["to"]) / 2,
            y=lines["share [%]"],
            mode="markers",
            marker={"color": colour, "opacity": 0, "size": 8},
            name=safe(arm),
            legendgroup=arm,
            showlegend=False,
            customdata=lines[["from", "to", "patients"]],
            hovertemplate=f"%{{customdata[0]:.3g}} to %{{customdata[1]:.3g}} {by.unit}: %{{y:.3g}} %",
        )
    axes(figure, labelled(question(results.study, results.endpoint(endpoint)), by.unit), "share of patients [%]")
    figure.update_yaxes(rangemode="tozero")
    return finished(figure, results.source, 360)


def waterfall(results: Results, endpoint: str) -> go.Figure:
    """Own effects of all patients, from the lowest to the highest."""
    table = effects.waterfall(results, endpoint)
    x, effect = table["patients below [%]"], table["effect"].to_numpy()
    figure = go.Figure()
    for arm, part in zip(results.study.contrast, (np.maximum(effect, 0), np.minimum(effect, 0)), strict=True):
        colour = colours(results.study)[arm]
        figure.add_scatter(
            x=x,
            y=part,
            mode="lines",
            line={"width": 0},
            fill="tozeroy",
            fillcolor=faded(colour, 0.55),
            name=safe(f"higher under {arm}"),
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=x,
        y=effect,
        mode="lines",
        line={"color": INK, "width": 1.5},
        showlegend=False,
        hovertemplate="%{x:.3g} % of patients have less than %{y:.3g}<extra></extra>",
    )
    _mean(figure, results, endpoint, "h")
    by = scale(results.endpoint(endpoint))
    axes(figure, "patients in the order of their effect [%]", f"own effect [{by.difference}]")
    figure.update_xaxes(range=[0, 100])
    figure.update_yaxes(zeroline=True)
    return finished(figure, results.source, 400)


def histogram(results: Results, endpoint: str) -> go.Figure:
    """How own effects are spread over patients, and their mean."""
    table = effects.histogram(results, endpoint)
    first, second = (colours(results.study)[arm] for arm in results.study.contrast)
    middle = (table["from"] + table["to"]) / 2
    # A bar of whole numbers may begin half of one below 0 and still hold none below 0.
    shade = np.where(table["to"] <= 0, second, np.where((table["from"] < 0) & (table["to"] < 1), SAME, first))
    figure = go.Figure()
    figure.add_bar(
        x=middle,
        y=table["share [%]"],
        width=table["to"] - table["from"],
        marker={"color": [faded(each, 0.6) for each in shade], "line": {"color": "white", "width": 1}},
        showlegend=False,
        customdata=table[["from", "to", "patients"]],
        hovertemplate="%{customdata[0]:.3g} to %{customdata[1]:.3g}: %{y:.3g} % (%{customdata[2]:,} patients)"
        "<extra></extra>",
    )
    for arm, colour in zip(results.study.contrast, (first, second), strict=True):
        figure.add_bar(x=[None], y=[None], marker={"color": faded(colour, 0.6)}, name=safe(f"higher under {arm}"))
    _mean(figure, results, endpoint, "v")
    axes(figure, _effect(results, endpoint), "share of patients [%]")
    return finished(figure, results.source, 380)


def signs(results: Results, *endpoints: str) -> go.Figure:
    """Shares of patients with more, the same and less of each endpoint under the first arm of the contrast."""
    table = effects.signs(results, *endpoints)
    first, second = (colours(results.study)[arm] for arm in results.study.contrast)
    titles = [wrapped(safe(title), 22) for title in table["title"].unique()]
    figure = go.Figure()
    for word, colour in zip(table["effect"].unique(), (faded(first, 0.75), SAME, faded(second, 0.75)), strict=True):
        lines = table[table["effect"] == word]
        figure.add_bar(
            y=np.arange(len(lines)),
            x=lines["share [%]"],
            orientation="h",
            name=safe(word),
            width=0.6,
            marker={"color": colour},
            text=[f"{number(share, 0)} %" if share >= 12 else "" for share in lines["share [%]"]],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": INK if colour == SAME else "white", "size": 13},
            customdata=lines["patients"],
            hovertemplate="%{x:.3g} % of patients (%{customdata:,})",
        )
    axes(figure, "share of patients [%]", "")
    figure.update_yaxes(
        tickvals=np.arange(len(titles)), ticktext=titles, autorange="reversed", showgrid=False, title_text="endpoint"
    )
    figure.update_xaxes(range=[0, 100])
    figure.update_layout(barmode="stack", legend_traceorder="normal")
    return finished(figure, results.source, 190 + 64 * len(titles))


def by_variable(results: Results, endpoint: str, variable: str) -> go.Figure:
    """An endpoint under each arm, and its effect, by the levels or tenths of a covariate or parameter."""
    table, one = effects.by_variable(results, endpoint, variable), people.variable(results, variable)
    each = results.endpoint(endpoint)
    by = scale(each)
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.58, 0.42])
    arms = colours(results.study)
    for place, (who, colour) in enumerate([*arms.items(), (results.contrast, INK)]):
        lines, effect = table[table["who"] == who], who == results.contrast
        lines = lines[lines["patients"] > 0]
        if one.levels:  # numeric places, so that arms can stand beside each other
            x = np.array([one.levels.index(group) for group in lines["group"]], float)
            x += 0 if effect else 0.16 * (place - (len(arms) - 1) / 2)
        else:
            x = lines["middle"].to_numpy()
        figure.add_scatter(
            x=x,
            y=lines["value"],
            mode="markers" if one.levels else "lines+markers",
            line={"color": colour, "width": 1.5},
            marker={"color": colour, "size": 9 if one.levels else 7, "symbol": "diamond" if effect else "circle"},
            error_y=whiskers(lines) | {"color": faded(colour, 0.7)},
            name=safe(f"effect: {who}" if effect else who),
            customdata=lines[["group", "patients", "lower", "upper"]],
            hovertemplate="%{customdata[0]}: %{y:.3g} (%{customdata[2]:.3g} to %{customdata[3]:.3g}), "
            "%{customdata[1]:,} patients",
            row=2 if effect else 1,
            col=1,
        )
    figure.add_hline(y=0, line={"color": QUIET, "width": 1}, row=2, col=1)
    what = "share of patients" if each.kind in effects.BINARY else "mean"
    axes(figure, labelled(one.title or people.called(one), one.unit), "")
    figure.update_yaxes(title_text=labelled(what, by.unit), row=1, col=1)
    figure.update_yaxes(title_text=wrapped(f"effect [{by.difference}]", 16), row=2, col=1)
    if one.levels:
        ticks = {"tickvals": list(range(len(one.levels))), "ticktext": [safe(level) for level in one.levels]}
        figure.update_xaxes(**ticks, range=[-0.5, len(one.levels) - 0.5], showgrid=False)
    else:
        middles = table["middle"]
        if table["from"].min() > 0 and middles.max() > 6 * middles.min():
            figure.update_xaxes(type="log", tickformat="~r", nticks=8)
    figure.update_layout(legend_traceorder="normal")
    drawn = finished(figure, results.source, 500)
    return drawn.update_xaxes(title_text=None, row=1, col=1)


def modifiers(results: Results, endpoint: str) -> go.Figure:
    """The variables over whose groups the mean effect moves most: from its lowest to its highest group."""
    table = effects.modifiers(results, endpoint).head(SHOWN)
    labels = [wrapped(safe(name.replace("_", " ")), 20) for name in table["variable"]]
    figure = go.Figure()
    figure.add_scatter(
        x=table[["lowest", "highest"]].assign(gap=np.nan).to_numpy().ravel(),
        y=np.repeat(labels, 3),
        mode="lines",
        line={"color": SAME, "width": 9},
        name="from the lowest group to the highest",
        hoverinfo="skip",
    )
    for kind, symbol in (("covariate", "circle"), ("parameter", "circle-open")):
        lines = table[table["kind"] == kind]
        shown = [labels[i] for i in lines.index]
        for end, legend in (("lowest", True), ("highest", False)):
            figure.add_scatter(
                x=lines[end],
                y=shown,
                mode="markers",
                marker={"symbol": symbol, "color": INK, "size": 10, "line": {"color": INK, "width": 2}},
                name=f"mean effect in a group, by a {kind}",
                legendgroup=kind,
                showlegend=legend and len(lines) > 0,
                hovertemplate=f"{end} group: %{{x:.3g}}<extra></extra>",
            )
    axes(figure, _effect(results, endpoint), "split by", 26)
    figure.update_yaxes(categoryorder="array", categoryarray=labels[::-1], showgrid=False)
    _mean(figure, results, endpoint, "v")
    figure.add_vline(x=0, line={"color": QUIET, "width": 1})
    return finished(figure, results.source, 230 + 32 * len(table))


def _effect(results: Results, endpoint: str) -> str:
    (first, second), each = results.study.contrast, results.endpoint(endpoint)
    return f"{first} − {second}, {question(results.study, each)} [{scale(each).difference}]"


def _mean(figure: go.Figure, results: Results, endpoint: str, way: str) -> None:
    """A dashed line at the mean effect, with an entry in the legend."""
    found = results.group(schema.RESPONSES)["effect_mean"].sel(endpoint=endpoint)
    mean = float(found) * scale(results.endpoint(endpoint)).factor
    if not np.isfinite(mean):
        return
    line = {"color": INK, "width": 2, "dash": "dash"}
    (figure.add_vline if way == "v" else figure.add_hline)(**{"x" if way == "v" else "y": mean}, line=line)
    figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name=f"mean effect: {number(mean)}")
