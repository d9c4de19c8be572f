"""Figures of the responses: outcomes over time, one patient under every arm, means by arm."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboards.plots.style import axes, axis, colours, faded, finished, safe, shade, whiskers
from dashboards.responses import arm_means as means_of_arms
from dashboards.responses import life, trajectory
from dashboards.results import Results
from dashboards.written import number as written
from dashboards.written import wrapped


def trajectories(results: Results, outcome: str, endpoint: str | None = None, apart: str | None = None) -> go.Figure:
    """Median, 25-75 % and 5-95 % of patients over time by arm; the range that an endpoint asks about is shaded.

    apart: where given, each arm has a panel of its own, one below the other.
    """
    table = trajectory(results, outcome)
    arms = colours(results.study)
    steps = outcome in [action.name for action in results.study.twin.actions]
    shape = {"shape": "vh" if steps else "linear"}  # an amount belongs to the time since the record before
    panels = len(arms) if apart else 1
    figure = make_subplots(rows=panels, shared_xaxes=True, shared_yaxes="all", vertical_spacing=0.12 / panels)
    for i, (arm, colour) in enumerate(arms.items()):
        lines, place = table[table["arm"] == arm], {"row": 1 + i if apart else 1, "col": 1}
        days = lines["time [days]"]
        for low, high, opacity in (("5 %", "95 %", 0.10), ("25 %", "75 %", 0.25)):
            edge = {"x": days, "mode": "lines", "legendgroup": arm, "showlegend": False, "hoverinfo": "skip"}
            outer = opacity < 0.2 and not steps
            edge["line"] = {"width": 1.0 if outer else 0.0, "color": faded(colour, 0.5), **shape}
            figure.add_scatter(y=lines[low], **edge, **place)
            figure.add_scatter(y=lines[high], fill="tonexty", fillcolor=faded(colour, opacity), **edge, **place)
        figure.add_scatter(
            x=days,
            y=lines["50 %"],
            mode="lines",
            name=safe(arm),
            legendgroup=arm,
            line={"color": colour, "width": 2.5, **shape},
            customdata=lines[["5 %", "95 %"]],
            hovertemplate="day %{x:.3g}: median %{y:.3g} (5-95 %: %{customdata[0]:.3g} to %{customdata[1]:.3g})",
            **place,
        )
    axes(figure, "time from randomisation [days]", axis(results.study, outcome))
    for row in range(1, panels + 1):
        if endpoint is not None:
            shade(figure, results.study, outcome, results.endpoint(endpoint), row)
        if row < panels:
            figure.update_xaxes(title_text=None, row=row, col=1)
    top = float(table["95 %"].max())
    if steps:
        figure.update_yaxes(rangemode="tozero", range=[0, top * 1.08 or 1])
    return finished(figure, results.source, 380 if not apart else 160 + 190 * panels)


def patient(results: Results, number: int, endpoint: str | None = None) -> go.Figure:
    """One patient under every arm: lines are what was, dots what the visits measured, steps what was given."""
    study = results.study
    table = life(results, number)
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
                name=safe(arm),
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
                    name=safe(f"{arm}, measured at visits"),
                    legendgroup=arm,
                    showlegend=row == 1,
                    marker={"color": colour, "size": 8, "line": {"color": "white", "width": 1}},
                    hovertemplate="day %{x:.3g}: measured %{y:.3g}",
                    row=row,
                    col=1,
                )
        figure.update_yaxes(title_text=wrapped(safe(axis(study, outcome)), 22), row=row, col=1)
        if outcome in actions:
            figure.update_yaxes(rangemode="tozero", row=row, col=1)
        elif endpoint is not None:
            shade(figure, study, outcome, results.endpoint(endpoint), row)
    figure.update_xaxes(title_text="time from randomisation [days]", row=len(outcomes), col=1)
    source = f"{study.name}: patient {number:,}; trialtwin {results.made_by.get('trialtwin', '')}"
    return finished(figure, source, 220 + int(170 * sum(weights)))


def arm_means(results: Results, *endpoints: str) -> go.Figure:
    """True mean of endpoints of one unit under each arm, with 95 % intervals."""
    table = means_of_arms(results, *endpoints)
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
            name=safe(arm),
            width=0.9,
            marker={"color": colour},
            error_x=whiskers(lines),
            hovertemplate=f"%{{x:.4g}} {shown}",
        )
        figure.add_scatter(
            y=places,
            x=lines["upper"].fillna(lines["value"]),
            mode="text",
            text=[f"  {written(value, 1)}" for value in lines["value"]],
            textposition="middle right",
            cliponaxis=False,
            showlegend=False,
            hoverinfo="skip",
        )
    of = (
        "share of patients"
        if all(results.endpoint(each).kind in ("ever", "responder") for each in endpoints)
        else "mean"
    )
    axes(figure, f"{of} [{shown}]" if shown else of, "")
    figure.update_yaxes(
        autorange="reversed",
        tickvals=np.arange(len(endpoints)) * step + (len(arms) - 1) / 2,
        ticktext=[wrapped(safe(title), 22) for title in table["title"].unique()],
        showgrid=False,
        title_text="endpoint",
    )
    figure.update_xaxes(
        range=[min(0.0, 1.25 * table["lower"].min()), 1.3 * table["upper"].fillna(table["value"]).max() or 1]
    )
    if shown == "%" and 1.3 * table["upper"].max() > 100:
        figure.update_xaxes(tickvals=list(range(0, 101, 20)))  # the room beyond is for the numbers
    figure.update_layout(barmode="overlay")
    return finished(figure, results.source, 190 + 48 * len(table))
