"""Study: what is asked, how it is done, and how far it is."""

from pathlib import Path

import streamlit as st

from dashboards import design, page
from dashboards.chart import PICTURE, chart
from dashboards.page import plain
from dashboards.plots import study as plots
from dashboards.progress import progress, written
from dashboards.report import answer
from dashboards.results import Results, again
from trials.study import Study

AID = "Circles: visits. Colour: the arm, as in every figure. The boxes lead from those who were drawn to one trial."


def how_far(folder: Path) -> None:
    """The progress of a run that is not finished; begins the page anew when it is."""
    try:
        far = progress(folder)
    except ValueError as error:
        st.error(plain(str(error)))
        return
    share = far.done / far.total if far.total else 0.0
    st.progress(share, f"{far.done:,} of {far.total:,} blocks are simulated")
    if far.simulated:
        try:
            page.opened(folder)
        except ValueError:
            st.info(
                "Every life is simulated; the trials and their analysis are not there yet. This page goes on by "
                f"itself when they are. If nothing is at work, finish the run with: `{again(folder)}`"
            )
        else:
            st.rerun()
    elif far.working:
        speed = "–" if far.speed is None else f"{far.speed:,.0f} / s"
        left = "–" if far.left is None else written(far.left)
        page.figures(
            [
                ("Lives simulated", speed, "over the last two minutes"),
                ("Time left", left, "then come the trials and their analysis"),
                ("Failed lives", f"{far.failed:,}", "kept in the ledger, and left out of the trials"),
            ]
        )
    else:
        st.warning(f"The run is not finished, and nothing is writing it. Go on with: `{again(folder)}`")
    if len(far.lives):
        wide = far.lives.pivot_table(index="ended", columns="arm", values="lives", fill_value=0, sort=False)
        page.table(wide.map("{:,.0f}".format).reset_index())


def described(study: Study) -> None:
    st.header("What is asked", anchor=False)
    page.table(design.endpoints(study))
    st.header("How it is done", anchor=False)
    page.table(design.settings(study))
    with st.expander("The study file, with its defaults filled in"):
        st.code(study.text, language="yaml", wrap_lines=True)
        st.download_button(
            "Download", study.text, f"{study.name}.yaml", "text/yaml", key="file", on_click="ignore", type="tertiary"
        )


def finished(results: Results) -> None:
    st.info(plain(answer(results)))
    chart(results, plots.design, design.schedule, title="The design", aid=AID)
    described(results.study)


def unfinished(study: Study, folder: Path) -> None:
    st.fragment(how_far, run_every=2.0)(folder)
    st.subheader("The design", anchor=False)
    st.caption(AID)
    figure = plots.outline(study, design.gates(study), f"{study.name}, not finished")
    st.plotly_chart(figure, theme=None, config=PICTURE, key="outline", alt="The design")
    described(study)


study, folder = page.study(), page.folder()
page.heading(study, "Study", "What is asked, how it is done, and how far it is.")
try:
    results = page.opened(folder)
except ValueError:
    unfinished(study, folder)
else:
    finished(results)
