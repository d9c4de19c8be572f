"""Responses: what happened to patients under each arm, to whom it mattered, and one of them as an example."""

import pandas as pd
import streamlit as st

from dashboards import effects, page, people, responses
from dashboards.chart import chart
from dashboards.plots import effects as drawn
from dashboards.plots import responses as lived
from dashboards.plots.style import title
from dashboards.responses import Patient
from dashboards.results import Results, asks_range, question
from dashboards.written import number, scale, with_interval

TOGETHER, APART = "In one picture", "One picture an arm"
MOST = 6  # arms whose means stand above the charts


def counted(results: Results, endpoint: str) -> None:
    by = scale(results.endpoint(endpoint))
    arms = [arm.name for arm in results.study.arms]
    told = "true share of patients" if effects.binary(results, endpoint) else "true mean"
    figures = []
    for arm in arms[:MOST]:
        mean = (results.row(f"{endpoint}: mean, truth", arm).value or 0.0) * by.factor
        figures.append((f"Under {arm} [{by.unit}]", number(mean, 1), told))
    row = results.row(f"{endpoint}: difference, truth", results.contrast)
    value, lower, upper = (None if each is None else each * by.factor for each in (row.value, row.lower, row.upper))
    interval = with_interval(value, lower, upper).partition("(")[2].rstrip(")")
    figures.append(
        (results.contrast, with_interval(value, None, None), f"{by.difference}, 95 % interval {interval}".lstrip(", "))
    )
    higher = effects.signs(results, endpoint).iloc[0]
    share = f"{number(higher['share [%]'], 1)} %"
    figures.append((str(higher["effect"]).capitalize(), share, "of patients, each his own control"))
    page.figures(figures)


@st.fragment
def over_time(results: Results, endpoint: str) -> None:
    st.header("Over time", anchor=False)
    study = results.study
    apart = None
    if len(study.arms) > 1:
        how = st.segmented_control("Arms", [TOGETHER, APART], default=TOGETHER, key="arms", required=True)
        apart = "apart" if how == APART else None
    for outcome in study.plan.outcomes:
        name = title(study, outcome)
        aid = "Line: the median patient. Darker ribbon: the middle half of patients; lighter ribbon: 5 to 95 %."
        if asks_range(study, results.endpoint(endpoint), outcome):
            aid += " Green: what the endpoint asks for."
        if outcome in [action.name for action in study.twin.actions]:
            aid += " Taken since the record before; it falls to 0 where doses were skipped or missed."
        chart(
            results,
            lived.trajectories,
            responses.trajectory,
            outcome,
            endpoint,
            apart,
            place=outcome,
            title=f"{name[:1].upper()}{name[1:]} over time",
            aid=aid,
        )


def by_arm(results: Results, endpoint: str) -> None:
    st.header("By arm", anchor=False)
    chart(
        results,
        lived.arm_means,
        responses.arm_means,
        endpoint,
        place="arms",
        title="Share of patients" if effects.binary(results, endpoint) else "Mean of patients",
        aid="Over all patients of the pool, in truth. Whiskers: 95 % interval by their number.",
    )
    if not effects.binary(results, endpoint):
        chart(
            results,
            drawn.values,
            effects.values,
            endpoint,
            place="values",
            title="From patient to patient",
            aid="How many patients end where. The same patients live under every arm.",
        )


def individually(results: Results, endpoint: str) -> None:
    st.header("In one and the same patient", anchor=False)
    first, second = results.study.contrast
    chart(
        results,
        drawn.signs,
        effects.signs,
        title="Who has more of it, and under which arm",
        aid="Every patient lived under both arms with the same luck, so his own effect is known. "
        "Whether more is better is for the endpoint to say.",
    )
    if effects.binary(results, endpoint):
        st.caption("An endpoint of yes or no has no waterfall: an effect is yes, none or no, as above.")
        return
    chart(
        results,
        drawn.waterfall,
        effects.waterfall,
        endpoint,
        place="waterfall",
        title="Waterfall of effects",
        aid=f"{first} − {second} in every patient: {question(results.study, results.endpoint(endpoint))}. From the "
        "lowest effect to the highest.",
    )
    chart(
        results,
        drawn.histogram,
        effects.histogram,
        endpoint,
        place="histogram",
        title="Spread of effects",
        aid="No bar holds effects of both signs. The outermost bars also hold the 0.1 % beyond them on either side.",
    )


@st.fragment
def by_whom(results: Results, endpoint: str) -> None:
    st.header("In whom", anchor=False)
    variables = {each.name: each for each in people.varying(results)}
    if not variables:
        st.info("All patients are alike: there is nobody in whom the effect could differ.")
        return
    ranked = effects.modifiers(results, endpoint)["variable"].tolist()
    chart(
        results,
        drawn.modifiers,
        effects.modifiers,
        endpoint,
        place="modifiers",
        title="What the effect depends on",
        aid="The mean effect in the group where it is lowest and in that where it is highest; groups are levels, or "
        "tenths of patients. Sorted by the spread between groups, less what chance gives. One at a time: groups "
        "may differ in other ways too.",
    )
    order = [*ranked, *(name for name in variables if name not in ranked)]
    chosen = st.selectbox(
        "Split patients by",
        order,
        format_func=lambda name: f"{people.called(variables[name])} ({variables[name].kind})",
        key="split",
    )
    chart(
        results,
        drawn.by_variable,
        effects.by_variable,
        endpoint,
        str(chosen),
        place="split",
        title=f"By {people.called(variables[str(chosen)])}",
        aid="Above: each arm. Below: the effect in the same patients. Whiskers: 95 % intervals by the number of "
        "patients." + ("" if variables[str(chosen)].levels else " Each point is a tenth of patients."),
    )


@st.cache_resource(max_entries=64, show_spinner=False)
def _patient(folder: str, made_from: str, number: int, _results: Results) -> Patient:
    return responses.patient(_results, number)


@st.fragment
def one_patient(results: Results, endpoint: str) -> None:
    st.header("One patient", anchor=False)
    study, examples = results.study, responses.examples(results, endpoint)
    first = responses.ordinary(results, endpoint)
    st.session_state.setdefault("number", first)

    def take() -> None:
        if st.session_state["example"] is not None:
            st.session_state["number"] = examples[st.session_state["example"]]

    left, right = st.columns([1, 2], vertical_alignment="bottom")
    asked = left.number_input(f"Number of the patient, 0 to {study.size - 1}", 0, study.size - 1, step=1, key="number")
    if examples:
        right.pills(
            "or one whose own effect lies at",
            list(examples),
            format_func=lambda place: "median" if place == 0.5 else f"{100 * place:g} %",
            key="example",
            on_change=take,
        )
    patient = _patient(str(results.folder), results.made_from, int(asked), results)
    statuses = patient.outcome["status"].unique().tolist()
    if statuses == ["not eligible"]:
        st.info(f"Patient {patient.number} is not eligible and was not simulated; choose another, such as {first}.")
    else:
        if statuses != ["ok"]:
            st.warning(
                f"Patient {patient.number}: {', '.join(statuses)}; left out of the trial's pool under every arm."
            )
        chart(
            results,
            lived.patient,
            responses.life,
            patient.number,
            endpoint,
            place="patient",
            title=f"Patient {patient.number:,} under every arm",
            aid="Lines: what truly was. Dots: what the visits measured. The same person lives each life with the same "
            "luck.",
        )
        st.dataframe(_side_by_side(results, patient.outcome), hide_index=True, key="patient-endpoints")
    st.caption("Covariates are known to the clinic; parameters of the twin to nobody.")
    st.dataframe(patient.who[["name", "value", "unit", "title", "kind"]], hide_index=True, key="patient-who")


def _side_by_side(results: Results, outcome: pd.DataFrame) -> pd.DataFrame:
    """The endpoints of a patient, a column an arm; those of yes or no in words."""
    told = outcome["endpoint"].map(lambda name: effects.binary(results, name))
    written = [
        ("yes" if value else "no") if yes and value == value else number(value)
        for value, yes in zip(outcome["value"], told, strict=True)
    ]
    shown = outcome.assign(value=written, unit=outcome["unit"].where(~told, ""))
    wide = shown.pivot(index=["endpoint", "unit", "title"], columns="arm", values="value").reset_index()
    order = pd.Categorical(wide["endpoint"], outcome["endpoint"].unique())
    return wide.iloc[order.codes.argsort()][["endpoint", *outcome["arm"].unique(), "unit", "title"]]


results = page.results()
page.heading(results.study, "Responses", "What happened under each arm, to whom, and to one patient as an example.")
endpoint = page.endpoint(results)
counted(results, endpoint)
over_time(results, endpoint)
by_arm(results, endpoint)
individually(results, endpoint)
by_whom(results, endpoint)
one_patient(results, endpoint)
