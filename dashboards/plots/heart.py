"""Figures of one beat of a heart, before and after a change: loops, waves, electrocardiogram, strains."""

from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards import heart
from dashboards.heart import AVC, CHAMBERS, EVENTS, JOULE, MVC, QRS, Beat
from dashboards.plots.style import INK, PALETTE, QUIET, axes, faded, finished
from dashboards.twin import AFTER, BEFORE
from dashboards.written import number, wrapped
from solvers.twins.virtual_heart.anatomy import SEGMENTS

TIME = "time from activation of the right atrium [ms]"
DASHES = {BEFORE: "dot", AFTER: "solid"}
VENTRICLES = {"LV": PALETTE[0], "RV": PALETTE[1]}
WALLS = {True: ("septum", PALETTE[1]), False: ("free wall", PALETTE[0])}
WAVES = {"aorta": PALETTE[1], "LV": PALETTE[0], "LA": PALETTE[2], "mitral": PALETTE[4], "aortic": PALETTE[3]}

NEAR = 0.13  # of a beat: names of events that are nearer would meet on a telephone

# Of the paper: a small square is 1 mm.
SQUARE_MS, SQUARE_MV = 40, 0.1
PAPER, MAJOR, MINOR = "#FFFDFC", "#F0C4B4", "#FAE9E2"
ORDER = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
LEFT_OF_QRS = 320  # ms that a lead shows before QRS, where its name stands


def loops(before: Beat, after: Beat, source: str) -> go.Figure:
    """Pressure-volume loops of both ventricles."""
    table = heart.loops(before, after)
    figure = go.Figure()
    for name, colour in VENTRICLES.items():
        for life, beat in ((BEFORE, before), (AFTER, after)):
            here = table[(table["life"] == life) & (table["ventricle"] == CHAMBERS[name])]
            largest, least = beat.volume[name].max(), beat.volume[name].min()
            work = beat.stroke_work(name)
            told = (
                f"EDV {number(largest, 0)} mL, ESV {number(least, 0)} mL, "
                f"EF {number(100 * (1 - least / largest), 0)} %<br>"
                f"stroke work {number(work, 0)} mmHg mL ({number(work * JOULE, 2)} J)"
            )
            figure.add_scatter(
                x=here["volume [mL]"],
                y=here["pressure [mmHg]"],
                mode="lines",
                name=f"{CHAMBERS[name]}, {life}",
                line={"color": colour, "width": 2.5, "dash": DASHES[life]},
                customdata=here["time [ms]"],
                hovertemplate=f"{CHAMBERS[name]}, {life}, %{{customdata:.0f}} ms: %{{x:.0f}} mL, %{{y:.1f}} mmHg<br>"
                f"{told}<extra></extra>",
            )
    axes(figure, "volume [mL]", "pressure [mmHg]")
    figure.update_xaxes(range=_room(table["volume [mL]"].to_numpy()))
    figure.update_yaxes(rangemode="tozero")
    return finished(figure, source, 460)


def wiggers(beat: Beat, source: str) -> go.Figure:
    """Wiggers' diagram: pressures, volume, flows and lead II over one beat, and when the valves move."""
    rows = (
        (
            "pressure [mmHg]",
            1.6,
            {name: (heart.PRESSURES[name], beat.pressure[name]) for name in ("aorta", "LV", "LA")},
        ),
        ("volume [mL]", 0.9, {"LV": ("left ventricle", beat.volume["LV"])}),
        ("flow [mL/s]", 1.0, {name: (f"{name} valve", beat.flow[name]) for name in ("mitral", "aortic")}),
        ("lead II [mV]", 0.8, {"II": ("electrocardiogram", beat.ecg["II"])}),
    )
    figure = make_subplots(
        rows=len(rows), shared_xaxes=True, vertical_spacing=0.025, row_heights=[weight for _, weight, _ in rows]
    )
    for row, (title, _, waves) in enumerate(rows, start=1):
        unit = title.partition("[")[2].rstrip("]")
        for name, (label, values) in waves.items():
            figure.add_scatter(
                x=beat.time,
                y=values,
                mode="lines",
                name=label,
                showlegend=row in (1, 3),
                line={"color": WAVES.get(name, INK), "width": 2},
                hovertemplate=f"{label}, %{{x:.0f}} ms: %{{y:.3g}} {unit}<extra></extra>",
                row=row,
                col=1,
            )
        figure.update_yaxes(title_text=title, nticks=5, row=row, col=1)
    top = 1.22 * max(beat.pressure[name].max() for name in ("aorta", "LV"))  # room for the names of events
    figure.update_yaxes(range=[min(0.0, beat.pressure["LV"].min()) - 0.02 * top, top], row=1, col=1)
    figure.update_xaxes(range=[0, beat.cycle], nticks=8)
    figure.update_xaxes(title_text=wrapped(TIME, 38), row=len(rows), col=1)
    _mark(figure, beat, tuple(EVENTS))
    return finished(figure, source, 720)


def leads(before: Beat, after: Beat, source: str) -> go.Figure:
    """The twelve leads on squared paper, at 25 mm/s and 10 mm/mV: one beat, begun again at the end of the strip."""
    longest = max(before.cycle, after.cycle)
    wide = 5 * SQUARE_MS * int(np.ceil((longest + LEFT_OF_QRS / 3) / (5 * SQUARE_MS)))
    levels = _levels((before, after))
    figure = go.Figure()
    for life, beat, colour in ((BEFORE, before, QUIET), (AFTER, after, PALETTE[0])):
        x, y, told = [], [], []
        at = np.arange(0.0, wide, beat.time[1])
        for row, names in enumerate(ORDER):
            for column, lead in enumerate(names):
                since = at - LEFT_OF_QRS
                mV = np.interp(since + beat.events[QRS], beat.time, beat.ecg[lead], period=beat.cycle)
                x += [*(at + column * wide), None]
                y += [*(mV + levels[row]), None]
                told += [*([lead, ms, value] for ms, value in zip(since, mV, strict=True)), [lead, None, None]]
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines",
            name=life,
            line={"color": colour, "width": 1.5 if life == BEFORE else 1.8},
            customdata=told,
            hovertemplate=f"%{{customdata[0]}}, {life}, %{{customdata[1]:.0f}} ms from QRS: "
            "%{customdata[2]:.2f} mV<extra></extra>",
        )
    for row, names in enumerate(ORDER):
        for column, lead in enumerate(names):
            figure.add_annotation(
                x=column * wide + SQUARE_MS / 2,
                y=levels[row] + 0.1,
                text=f"<b>{lead}</b>",
                showarrow=False,
                xanchor="left",
                yanchor="bottom",
                font={"size": 11},
            )
    grid = {"showticklabels": False, "gridcolor": MAJOR, "showline": False}
    top = levels[0] + max(beat.ecg[lead].max() for beat in (before, after) for lead in ORDER[0])
    bottom = levels[-1] + min(beat.ecg[lead].min() for beat in (before, after) for lead in ORDER[-1])
    low, high = (0.5 * whole(edge / 0.5) for whole, edge in ((np.floor, bottom - 0.1), (np.ceil, top + 0.1)))
    axes(figure, f"25 mm/s: small square {SQUARE_MS} ms", f"10 mm/mV: small square {SQUARE_MV} mV")
    figure.update_xaxes(range=[0, 4 * wide], dtick=5 * SQUARE_MS, **grid)
    figure.update_yaxes(range=[low, high], dtick=5 * SQUARE_MV, **grid)
    figure.update_xaxes(minor={"dtick": SQUARE_MS, "showgrid": True, "gridcolor": MINOR})
    figure.update_yaxes(minor={"dtick": SQUARE_MV, "showgrid": True, "gridcolor": MINOR})
    figure = finished(figure, source, 200 + int(64 * (high - low)))
    return figure.update_layout(plot_bgcolor=PAPER)


def strains(before: Beat, after: Beat, source: str) -> go.Figure:
    """Strain of every segment (thin) and of the two walls (bold), the septum against the free wall."""
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.05)
    for row, (life, beat) in enumerate(((BEFORE, before), (AFTER, after)), start=1):
        for septal, (wall, colour) in WALLS.items():
            own = [segment for segment in SEGMENTS if segment.septal == septal]
            known = [segment for segment in own if np.isfinite(beat.strain[segment.node]).all()]
            drawn = [(segment.name, beat.strain[segment.node], faded(colour, 0.45), 1.0) for segment in known]
            if known:
                drawn.append((wall, beat.strain[[segment.node for segment in known]].mean(axis=0), colour, 3.0))
            for name, strain, ink, width in drawn:
                figure.add_scatter(
                    x=beat.time,
                    y=strain,
                    mode="lines",
                    name=f"{name}, mean" if name == wall else name,
                    showlegend=row == 1 and name == wall,
                    line={"color": ink, "width": width},
                    hovertemplate=f"{name}, {life}, %{{x:.0f}} ms: %{{y:.1f}} %<extra></extra>",
                    row=row,
                    col=1,
                )
        figure.update_yaxes(title_text=f"strain {life} [%]", row=row, col=1)
        _mark(figure, beat, (QRS, MVC, AVC), row)
    figure.update_yaxes(range=_room(np.stack([before.strain, after.strain])), nticks=6)
    figure.update_xaxes(range=[0, max(before.cycle, after.cycle)], nticks=8)
    figure.update_xaxes(title_text=wrapped(TIME, 38), row=2, col=1)
    return finished(figure, source, 560)


def _room(values: np.ndarray) -> list[float]:
    """The range of an axis that shows all values, and a little more."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    return [low - 0.04 * (high - low), high + 0.04 * (high - low)]


def _levels(beats: tuple[Beat, ...]) -> list[float]:
    """Where 0 of each row of leads lies [mV], on the lines of the paper: as close as no lead meets the one below it."""
    levels = [0.0]
    for upper, lower in pairwise(ORDER):
        room = max(
            beat.ecg[below].max() - beat.ecg[above].min()
            for beat in beats
            for above, below in zip(upper, lower, strict=True)
        )
        levels.append(levels[-1] - 5 * SQUARE_MV * float(np.ceil(room / (5 * SQUARE_MV) + 0.5)))
    return levels


def _mark(figure: go.Figure, beat: Beat, names: tuple[str, ...], row: int | None = None) -> None:
    """Dotted lines at events, over the whole figure or one row of it, with their names at the top."""
    here = {"xref": "x", "yref": "paper" if row is None else f"y{row if row > 1 else ''} domain"}
    times = sorted((at, name) for name, at in beat.events.items() if name in names and np.isfinite(at))
    line = {"color": QUIET, "width": 1, "dash": "dot"}
    shares = [at / beat.cycle for at, _ in times]
    for k, (at, name) in enumerate(times):
        after_one = k > 0 and shares[k] - shares[k - 1] < NEAR
        before_one = k + 1 < len(times) and shares[k + 1] - shares[k] < NEAR
        side = "center" if after_one == before_one else "left" if after_one else "right"
        side = "left" if shares[k] < NEAR / 2 else "right" if shares[k] > 1 - NEAR / 2 else side
        figure.add_shape(type="line", x0=at, x1=at, y0=0, y1=1, line=line, **here)
        figure.add_annotation(
            x=at,
            y=1,
            text=name,
            hovertext=f"{EVENTS[name]}, {at:.0f} ms",
            showarrow=False,
            xanchor=side,
            yanchor="top",
            font={"size": 11, "color": QUIET},
            **here,
        )
