"""The bull's-eye of the left ventricle: a number of each segment, before and after a change, on one scale of colours.

Seen from the apex, as the American Heart Association has it (Cerqueira 2002, Circulation 105:539): basal segments
outside, apical ones inside, anterior at the top, the septum on the left. The tip of the apex has no segment here.
"""

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from dashboards.heart import MEASURES, Beat, Measure
from dashboards.plots.style import INK, LINE, PALETTE, finished
from dashboards.twin import AFTER, BEFORE
from dashboards.written import number, unit, wrapped
from solvers.twins.virtual_heart.anatomy import POSITIONS, RING_NAMES, SEGMENTS

WIDTH = 360 / len(POSITIONS)  # degrees of a sector
TOP = 90.0  # degrees at which the anterior segments lie
# At the sides a telephone has room for two letters.
NAMES = ("anterior", "AS", "IS", "inferior", "IL", "AL")
KEY = "basal outside, apical inside; AS, IS: antero- and inferoseptal; AL, IL: antero- and inferolateral"
TIP = 0.5  # of a ring's width: the radius that is left free
MISSING, EDGE = "#DDDDDD", "#BBBBBB"
LATE = "Cividis"
# Through white at 0: shortening and work done are blue, stretch and work taken up vermilion.
LESS_IS_BLUE = [[0.0, PALETTE[0]], [0.5, "#FFFFFF"], [1.0, PALETTE[1]]]
MORE_IS_BLUE = [[0.0, PALETTE[1]], [0.5, "#FFFFFF"], [1.0, PALETTE[0]]]
SCALES = {"activation": LATE, "peak": LESS_IS_BLUE, "work": MORE_IS_BLUE}
DARK = 0.4  # of a colour's luminance, from which ink is read better on it than white


def bullseye(before: Beat, after: Beat, source: str, measure: str) -> go.Figure:
    """A number of each segment. measure: one of heart.MEASURES; a segment without a value is grey."""
    of = MEASURES[measure]
    lives = {BEFORE: getattr(before, measure), AFTER: getattr(after, measure)}
    low, high = _range(np.concatenate(list(lives.values())), of)
    figure = make_subplots(cols=2, specs=[[{"type": "polar"}] * 2], horizontal_spacing=0.1)
    for column, (life, values) in enumerate(lives.items(), start=1):
        for known in (True, False):
            some = [segment for segment in SEGMENTS if bool(np.isfinite(values[segment.node])) == known]
            if not some:
                continue
            here = {"row": 1, "col": column}
            theta = [_angle(segment.position) for segment in some]
            base = [_inner(segment.ring) for segment in some]
            own = [float(values[segment.node]) for segment in some]
            colour = {"color": own, "coloraxis": "coloraxis"} if known else {"color": MISSING}
            figure.add_barpolar(
                r=[1.0] * len(some),
                base=base,
                theta=theta,
                width=[WIDTH] * len(some),
                name=f"{life}{'' if known else ', no value'}",
                showlegend=False,
                marker={**colour, "line": {"color": EDGE, "width": 1}},
                customdata=[
                    [segment.number, segment.name, number(value)] for segment, value in zip(some, own, strict=True)
                ],
                hovertemplate=f"segment %{{customdata[0]}}, %{{customdata[1]}}, {life}: "
                f"{f'%{{customdata[2]}} {of.unit}' if known else 'no value'}<extra></extra>",
                **here,
            )
            figure.add_scatterpolar(
                r=[inner + 0.5 for inner in base],
                theta=theta,
                mode="text",
                text=[number(value, 0) for value in own],
                textfont={"size": 10, "color": [_ink(measure, value, low, high) for value in own]},
                hoverinfo="skip",
                showlegend=False,
                **here,
            )
    figure.update_polars(
        bgcolor="white",
        bargap=0,
        radialaxis={"visible": False, "range": [0, TIP + len(RING_NAMES)]},
        angularaxis={
            "tickvals": [_angle(position) for position in POSITIONS],
            "ticktext": NAMES,
            "tickfont": {"size": 10, "color": INK},
            "showgrid": False,
            "showline": False,
            "ticks": "",
        },
    )
    figure.update_layout(
        coloraxis={
            "colorscale": SCALES[measure],
            "cmin": low,
            "cmax": high,
            "colorbar": {
                "title": {"text": f"{of.title} [{unit(of.unit)}]", "side": "top", "font": {"size": 13}},
                "orientation": "h",
                "thickness": 10,
                "len": 0.9,
                "x": 0.5,
                "y": 1.1,
                "yanchor": "bottom",
                "nticks": 6,
                "tickformat": "~g",
            },
        }
    )
    note = {"xref": "paper", "yref": "paper", "xanchor": "center", "yanchor": "top", "y": 0, "showarrow": False}
    for life, polar in zip(lives, figure.select_polars(), strict=True):
        figure.add_annotation(text=f"<b>{life}</b>", x=sum(polar.domain.x) / 2, yshift=-14, **note)
    figure.add_annotation(text=wrapped(KEY, LINE + 6), x=0.5, yshift=-36, font={"size": 11}, **note)
    figure = finished(figure, source, 480)
    figure.layout.annotations[-1].yshift -= 20  # the source, below the key
    return figure.update_layout(margin={"t": 90, "b": figure.layout.margin.b + 20, "l": 16})


def _angle(position: str) -> float:
    """Degrees against the clock from the right at which the middle of a sector lies."""
    return (TOP + WIDTH * POSITIONS.index(position)) % 360.0


def _inner(ring: str) -> float:
    """The inner radius of a ring, of which each is 1 wide."""
    return TIP + len(RING_NAMES) - 1 - RING_NAMES.index(ring)


def _range(values: np.ndarray, of: Measure) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    high = float(np.abs(known).max() if of.middle else known.max()) if len(known) else 0.0
    high = high or 1.0
    return (-high if of.middle else 0.0), high


def _ink(measure: str, value: float, low: float, high: float) -> str:
    """White or ink, whichever is read better on the colour of a value."""
    if not np.isfinite(value):
        return INK
    scale = SCALES[measure]
    ((red, green, blue),) = sample_colorscale(scale, [(value - low) / (high - low)], colortype="tuple")
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > DARK else "white"
