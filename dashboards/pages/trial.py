"""Trial: what one trial would report, how often it would be right, and in whom it works."""

import streamlit as st

from dashboards import conducted, page
from dashboards.chart import chart
from dashboards.plots import trial
from dashboards.results import POOL, Results, again
from dashboards.written import decimals, number, scale
from trials import schema

FIRST = 100  # trials whose intervals are drawn


def figures_of_merit(results: Results, name: str) -> None:
    """The answer in four numbers, each with what is not known of it."""
    by, label = scale(results.endpoint(name)), results.contrast
    truth = results.row(f"{name}: difference, truth", label)
    places = decimals((truth.se or 0.0) * by.factor, (truth.value or 0.0) * by.factor)
    low, value, high = (
        number(None if each is None else each * by.factor, places) for each in (truth.lower, truth.value, truth.upper)
    )
    told = [("True difference", value, f"{by.difference}, 95 % interval {low} to {high}".lstrip(", "))]
    for what, title in (("power", "Power of one trial"), ("coverage", "Coverage")):
        row = results.row(f"{name}: {what}", label)
        error = 100 * (row.mcse or 0.0)
        places = decimals(error, 100 * (row.value or 0.0))
        shown = f"{number(None if row.value is None else 100 * row.value, places)} %"
        told.append((title, shown, f"its Monte-Carlo error {number(error, places)}"))
    of = f"of {results.count('candidates'):,} candidates, each under every arm"
    page.figures([*told, ("Virtual patients", f"{results.count(POOL):,}", of)])


def planned(results: Results, name: str) -> str:
    """How many subjects the usual powers need."""
    table = conducted.power_by_size(results, name)
    least, most = int(table["subjects"].min()), int(table["subjects"].max())
    told = []
    for power in (80.0, 90.0):
        size = conducted.size_for(results, name, power)
        if size is None:
            told.append(f"{power:g} % needs more than {most:,} subjects")
        else:
            told.append(f"{power:g} % needs {'at most' if size <= least else 'about'} {number(size, 0)} subjects")
    return f" {'; '.join(told)}."


def power(results: Results, name: str) -> None:
    st.header("How large should it be", anchor=False)
    if not results.has(schema.POWER):
        st.info(f"This run was analysed before power was; analyse it again with: `{again(results.folder)}`")
        return
    left, right = st.columns(2, gap="large")
    with left:
        aid = "Share of trials that show a difference. Whiskers: 95 % Monte-Carlo intervals; dotted: 80 and 90 %."
        chart(
            results,
            trial.power_by_size,
            conducted.power_by_size,
            name,
            place="by-size",
            title="Power by size",
            aid=aid + planned(results, name),
        )
    with right:
        aid = (
            "Were the true difference another and the trials otherwise as they are: their estimates are moved, their "
            "standard errors kept."
        )
        chart(
            results,
            trial.power_by_effect,
            conducted.power_by_effect,
            name,
            place="by-effect",
            title="Power by effect",
            aid=aid,
        )


results = page.results()
page.heading(results.study, "Trial", "What one trial would report, how often it would be right, and in whom it works.")
name = page.endpoint(results)
figures_of_merit(results, name)

st.header("What trials would report", anchor=False)
left, right = st.columns(2, gap="large")
with left:
    chart(
        results,
        trial.estimates_of_trials,
        conducted.estimates,
        name,
        place="estimates",
        title="Estimates",
        aid="Each trial reports one difference; a sound estimator scatters them around the truth.",
    )
with right:
    chart(
        results,
        trial.intervals_of_trials,
        conducted.estimates,
        name,
        FIRST,
        place="intervals",
        title="Does the interval hold the truth?",
        aid="Each line is one trial's interval, in the order of the estimates.",
    )
st.subheader("Operating characteristics", anchor=False)
st.caption("Of every endpoint; Monte-Carlo standard errors in parentheses. Truth: each patient his own control.")
st.dataframe(
    conducted.characteristics(results),
    hide_index=True,
    column_config={"endpoint": st.column_config.TextColumn(width="medium")},
    key="characteristics",
)

power(results, name)

st.header("In whom, and how sure", anchor=False)
left, right = st.columns(2, gap="large")
with left:
    chart(
        results,
        trial.forest,
        conducted.subgroups,
        name,
        place="forest",
        title="Effect by subgroup",
        aid="True difference in everyone (diamond) and by subgroup. Whiskers: 95 % intervals.",
    )
with right:
    chart(
        results,
        trial.spread_by_source,
        conducted.spread,
        name,
        place="spread",
        title="Spread by source",
        aid="Blue: of one patient. Grey: of the mean. Whiskers: 95 % intervals of the standard deviations.",
    )
