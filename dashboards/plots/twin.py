"""Figures of one patient: before and after a change."""

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.plots.style import PALETTE, QUIET, axis, faded, finished, safe, shade
from dashboards.results import Results, asks_range
from dashboards.twin import AFTER, BEFORE, courses, drawn, source
from dashboards.written import wrapped
from trials import schema

LOOKS = {BEFORE: (QUIET, 2.0, "dot"), AFTER: (PALETTE[0], 2.5, "solid")}


def before_after(results: Results, arm: str, patient: int | str, *changes: str | int | float) -> go.Figure:
    """Outcomes of one patient under an arm as it is (dotted) and with changes to patient or therapy (solid).

    The 5-95 % band of all patients under the arm lies behind, where an analysis has made it.
    """
    study = results.study
    table = courses(results, arm, patient, *changes)
    actions = [action.name for action in study.twin.actions]
    outcomes = drawn(study)
    weights = [0.55 if outcome in actions else 1.0 for outcome in outcomes]
    figure = make_subplots(rows=len(outcomes), shared_xaxes=True, vertical_spacing=0.06, row_heights=weights)
    for row, outcome in enumerate(outcomes, start=1):
        _crowd(figure, results, arm, outcome, row, outcome in actions)
        for life, (colour, width, dash) in LOOKS.items():
            here = table[(table["outcome"] == outcome) & (table["life"] == life)]
            lived, seen = here[here["kind"] == "true"], here[here["kind"] == "measured"]
            figure.add_scatter(
                x=lived["time [days]"],
                y=lived["value"],
                mode="lines",
                name=life,
                legendgroup=life,
                showlegend=row == 1,
                line={"color": colour, "width": width, "dash": dash, "shape": "vh" if outcome in actions else "linear"},
                hovertemplate=f"{life}, day %{{x:.3g}}: %{{y:.4g}}",
                row=row,
                col=1,
            )
            if len(seen):
                figure.add_scatter(
                    x=seen["time [days]"],
                    y=seen["value"],
                    mode="markers",
                    name=f"{life}, measured",
                    legendgroup=life,
                    showlegend=False,
                    marker={
                        "color": "white" if life == BEFORE else colour,
                        "size": 7,
                        "line": {"color": colour if life == BEFORE else "white", "width": 1.5},
                    },
                    hovertemplate=f"{life}, day %{{x:.3g}}: measured %{{y:.4g}}",
                    row=row,
                    col=1,
                )
        figure.update_yaxes(title_text=wrapped(safe(axis(study, outcome)), 22), row=row, col=1)
        if outcome in actions:
            figure.update_yaxes(rangemode="tozero", row=row, col=1)
        else:
            asking = [each for each in study.endpoints if asks_range(study, each, outcome)]
            if asking:
                shade(figure, study, outcome, asking[0], row)
    figure.update_xaxes(title_text="time from randomisation [days]", row=len(outcomes), col=1)
    figure = finished(figure, source(results, arm, patient), 200 + int(190 * sum(weights)))
    return figure.update_layout(uirevision=f"{arm} {patient}")


def _crowd(figure: go.Figure, results: Results, arm: str, outcome: str, row: int, steps: bool) -> None:
    """The middle 90 % of all patients under the arm."""
    if steps or not results.rows or outcome not in results.bands:
        return
    bands = results.bands[outcome].sel({schema.ARM: arm})
    edge = {"x": bands[schema.TIME].values, "mode": "lines", "hoverinfo": "skip", "legendgroup": "all"}
    edge |= {"line": {"width": 0}, "row": row, "col": 1}
    figure.add_scatter(y=bands.isel(quantile=0).values, showlegend=False, **edge)
    figure.add_scatter(
        y=bands.isel(quantile=-1).values,
        fill="tonexty",
        fillcolor=faded(QUIET, 0.13),
        name="5-95 % of all patients",
        showlegend=row == 1,
        **edge,
    )
