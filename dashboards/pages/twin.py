"""Twin: one patient, before and after a change of what he is or of what he is given."""

import math

import pandas as pd
import streamlit as st

from dashboards import page, portraits, twin
from dashboards.chart import chart
from dashboards.page import plain
from dashboards.plots.twin import before_after
from dashboards.portraits import Portrait
from dashboards.results import Results
from dashboards.twin import AFTER, BEFORE, TYPICAL, Change, Slider
from dashboards.written import number

GROUPS = (
    ("therapy", "Therapy", True),
    ("covariate", "Patient: what the clinic knows", True),
    ("parameter", "Patient: what differs between people", False),
    ("shared", "What all people share", False),
)
# On a telephone what the sliders do comes before them; elsewhere it stays in sight beside them.
STYLE = """<style>
@media (max-width: 640px) {
  .st-key-bedside > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] {
    flex-direction: column-reverse; }
}
@media (min-width: 641px) {
  .st-key-bedside > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"]
  > [data-testid="stColumn"]:last-child { position: sticky; top: 4rem; align-self: flex-start; }
}
</style>"""

ONE, MIDDLE = "A patient of the study", "The typical patient"


def key(slider: Slider, arm: str, patient: int | str) -> str:
    """Where a slider's place is kept: a change of therapy goes on to the next patient."""
    return f"twin {slider.name} {arm}" if slider.kind == "therapy" else f"twin {slider.name} {patient}"


def reset(sliders: tuple[Slider, ...], arm: str, patient: int | str) -> None:
    for slider in sliders:
        st.session_state[key(slider, arm, patient)] = slider.before


def chosen(results: Results) -> tuple[str, int | str]:
    """Arm and patient that are looked at."""
    arms = [arm.name for arm in results.study.arms]
    columns = st.columns([1, 1.4, 1], vertical_alignment="bottom")
    arm = columns[0].selectbox("Arm", arms, key="twin-arm")
    whom = columns[1].segmented_control("Patient", [MIDDLE, ONE], default=MIDDLE, required=True, key="twin-whom")
    if whom != ONE:
        columns[2].caption("The middle of the eligible; his luck is that of patient 0.")
        return str(arm), TYPICAL
    last = results.study.size - 1
    asked = columns[2].number_input(f"Number, 0 to {last:,}", 0, last, 0, 1, key="twin-number")
    return str(arm), int(asked)


def controls(sliders: tuple[Slider, ...], arm: str, patient: int | str) -> dict[Slider, float]:
    """The sliders by group; those that were moved, and where to."""
    moved = {}
    for kind, title, opened in GROUPS:
        group = [slider for slider in sliders if slider.kind == kind]
        if not group:
            continue
        with st.expander(f"{title} ({len(group)})", expanded=opened):
            for slider in group:
                place = key(slider, arm, patient)
                st.session_state.setdefault(place, slider.before)
                if st.session_state[place] not in slider.values:
                    st.session_state[place] = slider.before
                offer = st.selectbox if slider.levels else st.select_slider
                written = slider.written if slider.levels else lambda value, of=slider: plain(of.written(value))
                value = offer(
                    plain(slider.label), slider.values, format_func=written, help=plain(slider.help), key=place
                )
                if value is not None and value != slider.before:
                    moved[slider] = float(value)
    return moved


def endpoints(table: pd.DataFrame) -> None:
    """The endpoints before and after, one that is met or not in words."""
    lines = []
    for row in table.to_dict("records"):
        if row["kind"] in ("ever", "responder"):
            before, after = (_met(row[life]) for life in (BEFORE, AFTER))
            difference = "–" if before == after else f"now {after}"
        else:
            before, after = (f"{number(row[life])} {row['unit']}".strip() for life in (BEFORE, AFTER))
            sign = "+" if row["difference"] > 0 else ""
            difference = f"{sign}{number(row['difference'])} {row['unit of the difference']}".strip()
            difference = "–" if row["difference"] == 0 else difference
        title = str(row["title"])
        before, after = (value.replace(" ", "\u00a0") for value in (before, after))
        lines.append([title[:1].upper() + title[1:], before, after, difference])
    shown = pd.DataFrame(lines, columns=["Endpoint, in truth", "Before", "After", "Difference"])
    st.table(shown.set_index("Endpoint, in truth").map(plain).rename(index=plain), border="horizontal")


def _met(value: float) -> str:
    return "–" if math.isnan(value) else ("yes" if value else "no")


@st.fragment
def bedside(results: Results, arm: str, patient: int | str) -> None:
    study = results.study
    with st.spinner(f"Compiling arm '{arm}' of the twin, once"):
        twin.prepare(study, arm)
    sliders = twin.sliders(study, arm, patient)
    st.html(STYLE)
    left, right = st.container(key="bedside").columns([1, 2], gap="medium")
    with left:
        st.button("Reset all", on_click=reset, args=(sliders, arm, patient), icon=":material/restart_alt:")
        moved = controls(sliders, arm, patient)
    changes: list[str | int | float] = []
    for slider, value in moved.items():
        changes += [slider.name, slider.levels[int(value)] if slider.levels else value]
    with right:
        said = "; ".join(twin.written(moved))
        st.markdown(f"**Changed** {plain(said)}" if said else "Nothing is changed yet: move a slider.")
        troubles = twin.troubles(results, arm, patient, *changes)
        for life, reason in troubles.items():
            st.warning(plain(f"The life {life} cannot be told: {reason}. Move a slider back, or reset."))
        endpoints(twin.compared(results, arm, patient, *changes))
        chart(
            results,
            before_after,
            twin.courses,
            arm,
            patient,
            *changes,
            title="Before and after",
            aid="Dotted: as he is, under the arm as written. Solid: with the sliders, and the same luck. "
            "Dots: what the visits measured. Green: what an endpoint asks for.",
            place="twin",
        )
        of = portraits.portrait(study.twin)
        if of and not troubles:
            own(results, of, arm, patient, *changes)


def own(results: Results, of: Portrait, arm: str, patient: int | str, *changes: Change) -> None:
    """The twin's own pictures, one at a time."""
    st.header("Pictures", anchor=False)
    names = list(of.drawings)
    name = st.pills("Picture", names, default=names[0], required=True, wrap=True, key="twin-picture")
    drawn = of.drawings[str(name)]
    with st.spinner("Probing the twin at the end of the study; compiled once"):
        portraits.seen(results, arm, patient, *changes)
    chart(
        results,
        portraits.picture,
        portraits.table,
        str(name),
        arm,
        patient,
        *changes,
        title=drawn.title,
        aid=drawn.aid,
        place=str(name),
    )


results = page.planned()
page.heading(
    results.study,
    "Twin",
    "One patient, solved anew at every move of a slider: what would another dose, or another body, have done?",
)
arm, patient = chosen(results)
if not twin.admitted(results.study, patient):
    st.caption("This patient is not eligible, so the study did not simulate him; here he can still be looked at.")
bedside(results, arm, patient)
