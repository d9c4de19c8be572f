"""Figures of surrogates: polynomials in place of lives, and marked as such."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards import drivers, surrogates
from dashboards.plots.style import INK, PALETTE, axes, faded, finished, safe
from dashboards.results import Results
from dashboards.written import labelled, number, wrapped

COLUMNS = 2


def surface(results: Results, of: str, method: str, output: str, x: str, y: str) -> go.Figure:
    """A surrogate over two inputs on their physical scales, all others in their middle."""
    one = surrogates.surface_of(results, of, method, output)
    table = surrogates.surface(results, of, method, output, x, y)
    wide = table.pivot(index=f"quantile of {y}", columns=f"quantile of {x}", values="predicted")
    places = []
    for name in (x, y):
        axis = surrogates.axis_of(one, name)
        kept = table[[f"quantile of {name}", name]].drop_duplicates().sort_values(f"quantile of {name}")[name]
        places.append([safe(each) for each in kept] if axis.kind == "levels" else kept.to_numpy())
    figure = go.Figure()
    look = {
        "z": wide.to_numpy(),
        "x": places[0],
        "y": places[1],
        "colorscale": "Cividis",
        "colorbar": above(labelled("predicted", one.unit)),
        "hovertemplate": "%{x}, %{y}: %{z:.3g}<extra></extra>",
    }
    if all(not isinstance(place, list) for place in places):
        figure.add_contour(**look, contours={"showlabels": True, "labelfont": {"size": 11, "color": "white"}})
    else:
        figure.add_heatmap(**look)
    axes(figure, _title(one, x), _title(one, y), 34)
    figure.update_xaxes(title_standoff=24)  # with a bar of colours plotly forgets the labels of the ticks
    return finished(figure, _source(results, one), 500).update_layout(margin_t=80)


def above(title: str) -> dict:
    """A bar of colours above a figure, where a telephone has room for it."""
    place = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "ypad": 6, "len": 1.0}
    return {
        **place,
        "title": {"text": safe(title), "side": "top", "font": {"size": 13}},
        "thickness": 10,
        "outlinewidth": 0,
    }


def profiles(results: Results, of: str, method: str, output: str, *changes: str | float) -> go.Figure:
    """A surrogate along each of its leading inputs, all others where the changes put them, ± one RMSE."""
    one = surrogates.surface_of(results, of, method, output)
    table = surrogates.profiles(results, of, method, output, *changes)
    fixed = surrogates.at(changes)
    names = list(dict.fromkeys(table["input"]))
    rows = -(-len(names) // COLUMNS)
    figure = make_subplots(rows=rows, cols=COLUMNS, vertical_spacing=0.34 / rows, horizontal_spacing=0.1)
    for i, name in enumerate(names):
        place = {"row": i // COLUMNS + 1, "col": i % COLUMNS + 1}
        lines, axis = table[table["input"] == name], surrogates.axis_of(one, name)
        x = lines["label"].map(safe) if axis.kind == "levels" else lines["value"]
        here = fixed.get(name, 0.5)
        nearest = int(np.abs(lines["quantile"].to_numpy() - here).argmin())
        if axis.kind == "levels":
            figure.add_scatter(
                x=x,
                y=lines["predicted"],
                mode="markers",
                marker={"color": PALETTE[0], "size": 8},
                error_y={"type": "data", "array": lines["rmse"], "color": faded(PALETTE[0], 0.5), "width": 4},
                showlegend=False,
                hovertemplate="%{x}: %{y:.3g}<extra></extra>",
                **place,
            )
        else:
            figure.add_scatter(
                x=np.concatenate([x, x[::-1]]),
                y=np.concatenate([lines["predicted"] - lines["rmse"], (lines["predicted"] + lines["rmse"])[::-1]]),
                fill="toself",
                fillcolor=faded(PALETTE[0], 0.14),
                line={"width": 0},
                showlegend=False,
                hoverinfo="skip",
                **place,
            )
            figure.add_scatter(
                x=x,
                y=lines["predicted"],
                mode="lines",
                line={"color": PALETTE[0], "width": 2},
                showlegend=False,
                hovertemplate="%{x:.3g}: %{y:.3g}<extra></extra>",
                **place,
            )
        figure.add_scatter(
            x=[x.iloc[nearest]],
            y=[lines["predicted"].iloc[nearest]],
            mode="markers",
            marker={"color": PALETTE[1], "size": 11, "line": {"color": "white", "width": 1.5}},
            showlegend=False,
            hoverinfo="skip",
            **place,
        )
        figure.update_xaxes(title_text=wrapped(_title(one, name), 24), **place)
        if place["col"] == 1:
            figure.update_yaxes(title_text=wrapped(safe(labelled("predicted", one.unit)), 16), **place)
    low = float((table["predicted"] - table["rmse"]).min())
    high = float((table["predicted"] + table["rmse"]).max())
    pad = 0.05 * (high - low or 1.0)
    figure.update_yaxes(range=[low - pad, high + pad])
    figure = finished(figure, _source(results, one), 140 + 230 * rows)
    return figure.update_xaxes(title_font={"size": 12, "color": INK}, tickfont={"size": 11})


def _title(one: surrogates.Surface, name: str) -> str:
    return safe(labelled(drivers.short(name), surrogates.axis_of(one, name).unit))


def _source(results: Results, one: surrogates.Surface) -> str:
    by = one.data.attrs.get("title", "polynomial chaos")
    return (
        f"{results.study.name}: {one.title}. Surrogate, Q² {one.q2:.2f}, RMSE {number(one.rmse)} {one.difference}: "
        f"not simulated; {by}; trialtwin {results.made_by.get('trialtwin', '')}"
    )
