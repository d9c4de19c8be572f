"""Results: what happened under each arm, to whom, and what a trial would make of it."""

import os
import re
import sys
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from analysis.summary import SUMMARY
from dashboards import plots
from dashboards import results as read
from dashboards.results import Patient, Results, question
from dashboards.written import decimals, number, scale
from trials.endpoints import Endpoint


def plain(text: str) -> str:
    """Text of the study, which Streamlit would read as Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~$:])", r"\\\1", text)


# The study holds functions, which only a resource may.
@st.cache_resource(max_entries=2, show_spinner="Reading the run")
def opened(folder: str, changed: int) -> tuple[Results, int]:
    """The run, and the patient to begin with. changed: when its summary was written."""
    results = read.read(Path(folder))
    return results, read.ordinary(results, results.study.endpoints[0])


@st.cache_data(max_entries=64, show_spinner=False)
def lived(folder: str, changed: int, patient: int) -> Patient:
    return read.patient(opened(folder, changed)[0], patient)


def chart(results: Results, name: str, title: str, aid: str, figure: go.Figure, table: pd.DataFrame) -> None:
    """A figure with its reading aid, and its data to take away."""
    st.subheader(plain(title), anchor=False)
    st.caption(plain(aid))
    st.plotly_chart(figure, theme=None, config=plots.CONFIG, key=name, alt=title)
    file = f"{results.study.name}-{name}.csv"
    st.download_button(
        "Download the data (CSV)", table.to_csv(index=False), file, "text/csv", key=f"{name}-csv", on_click="ignore"
    )


def figures_of_merit(results: Results, endpoint: Endpoint) -> None:
    by, label = scale(endpoint), results.contrast
    truth = results.row(f"{endpoint.name}: difference, truth", label)
    places = decimals((truth.se or 0.0) * by.factor, (truth.value or 0.0) * by.factor)
    low, value, high = (
        number(None if each is None else each * by.factor, places) for each in (truth.lower, truth.value, truth.upper)
    )
    columns = st.columns(4)
    columns[0].metric(plain(f"True difference [{by.difference}]"), value)
    columns[0].caption(f"95 % interval {low} to {high}")
    for column, name, title in ((columns[1], "power", "Power of one trial"), (columns[2], "coverage", "Coverage")):
        row = results.row(f"{endpoint.name}: {name}", label)
        error = 100 * (row.mcse or 0.0)
        places = decimals(error, 100 * (row.value or 0.0))
        column.metric(title, f"{number(None if row.value is None else 100 * row.value, places)} %")
        column.caption(f"Monte-Carlo standard error {number(error, places)}")
    columns[3].metric("Virtual patients", f"{results.count(read.POOL):,}")
    columns[3].caption(f"of {results.count('candidates'):,} candidates, each under every arm")


def one_patient(results: Results, endpoint: Endpoint, first: int, folder: str, changed: int) -> None:
    st.header("One patient", anchor=False)
    study = results.study
    asked = st.number_input(f"Number of the patient, 0 to {study.size - 1}", 0, study.size - 1, first, 1, key="number")
    patient = lived(folder, changed, int(asked))
    statuses = patient.outcome["status"].unique().tolist()
    if statuses == ["not eligible"]:
        st.info(f"Patient {patient.number} is not eligible and was not simulated; choose another, such as {first}.")
    else:
        if statuses != ["ok"]:
            st.warning(
                f"Patient {patient.number}: {', '.join(statuses)}; left out of the trial's pool under every arm."
            )
        aid = (
            "Lines: what truly was. Dots: what the visits measured. The same person lives each life with the same luck."
        )
        chart(
            results,
            "patient",
            f"Patient {patient.number:,} under every arm",
            aid,
            plots.patient(results, patient, endpoint),
            read.life(study, patient),
        )
        st.dataframe(_side_by_side(patient.outcome), hide_index=True, key="patient-endpoints")
    st.caption("Covariates are known to the clinic; parameters of the twin to nobody.")
    st.dataframe(patient.who[["name", "value", "unit", "title", "kind"]], hide_index=True, key="patient-who")


def _side_by_side(outcome: pd.DataFrame) -> pd.DataFrame:
    """The endpoints of a patient, a column an arm."""
    shown = outcome.assign(value=[number(value) for value in outcome["value"]])
    wide = shown.pivot(index=["endpoint", "unit", "title"], columns="arm", values="value").reset_index()
    order = pd.Categorical(wide["endpoint"], outcome["endpoint"].unique())
    return wide.iloc[order.codes.argsort()][["endpoint", *outcome["arm"].unique(), "unit", "title"]]


def show(folder: Path) -> None:
    changed = (folder / SUMMARY).stat().st_mtime_ns if (folder / SUMMARY).exists() else 0
    try:
        results, first = opened(str(folder), changed)
    except ValueError as error:
        st.title("Results", anchor=False)
        st.error(plain(str(error)))
        return
    study = results.study
    st.title(plain(study.title), anchor=False)
    st.caption(plain(results.source))
    named = read.named(study)
    chosen = st.selectbox("Endpoint", list(named), format_func=lambda name: f"{name}: {question(study, named[name])}")
    endpoint = named[chosen or study.endpoints[0].name]
    figures_of_merit(results, endpoint)

    st.header("What happened", anchor=False)
    for outcome in study.plan.outcomes:
        title = plots.title(study, outcome)
        aid = "Line: the median patient. Darker ribbon: the middle half of patients; lighter ribbon: 5 to 95 %."
        if read.range_of(study, endpoint)[0] == outcome:
            aid += " Green: what the endpoint asks for."
        if outcome in [action.name for action in study.twin.actions]:
            aid += " Taken since the record before; it falls to 0 where doses were skipped or missed."
        figure, table = plots.trajectories(results, outcome, endpoint), read.trajectory(results, outcome)
        chart(results, f"trajectory-{outcome}", f"{title[:1].upper()}{title[1:]} over time", aid, figure, table)
    aid = "Over all patients of the pool, in truth. Whiskers: 95 % interval by their number."
    means = read.arm_means(results, [endpoint])
    chart(results, "arms", "By arm", aid, plots.arm_means(results, [endpoint]), means)
    shares = [each for each in study.endpoints if each.kind in ("responder", "ever")]
    if shares:
        means = read.arm_means(results, shares)
        chart(results, "responders", "Share of patients, by arm", aid, plots.arm_means(results, shares), means)

    one_patient(results, endpoint, first, str(folder), changed)

    st.header("What the trial would do", anchor=False)
    table = read.estimates(results, endpoint)
    aid = "Each trial reports one difference; a sound estimator scatters them around the truth."
    chart(results, "estimates", "What trials would report", aid, plots.estimates_of_trials(results, endpoint), table)
    aid = "Each line is one trial's interval."
    chart(
        results,
        "intervals",
        "Does the interval hold the truth?",
        aid,
        plots.intervals_of_trials(results, endpoint),
        table.head(100),
    )

    st.header("In whom, and how sure", anchor=False)
    aid = "True difference in everyone (diamond) and by subgroup. Whiskers: 95 % intervals."
    table = read.subgroups(results, endpoint)
    chart(results, "subgroups", "Effect by subgroup", aid, plots.forest(results, endpoint), table)
    aid = "Blue: of one patient. Grey: of the mean. Whiskers: 95 % intervals of the standard deviations."
    table = read.spread(results, endpoint)
    chart(results, "spread", "Spread by source", aid, plots.spread_by_source(results, endpoint), table)


folder = read.asked(sys.argv[1:], os.environ)
if folder is None:
    st.title("Results", anchor=False)
    st.info("No run was given. Make one with `trialtwin run STUDY --out RUN`, and open it with `trialtwin show RUN`.")
else:
    show(folder)
