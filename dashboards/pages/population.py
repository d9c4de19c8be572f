"""Population: who the virtual patients are, who of them may enter the trial, and where every number comes from."""

from pathlib import Path

import streamlit as st

from dashboards import page, people
from dashboards.chart import chart
from dashboards.plots import population
from dashboards.results import Results
from dashboards.written import number

BEYOND = "The outermost bars also hold the 0.1 % of values beyond them on either side."


def counted(results: Results) -> None:
    funnel = people.funnel(results)
    candidates, pool = int(funnel["patients"].iloc[0]), int(funnel["patients"].iloc[-1])
    eligible = int(funnel["patients"].iloc[-2])
    failed = int(people.failures(results)["lives"].sum())
    page.figures(
        [
            ("Candidates", f"{candidates:,}", f"drawn from {Path(results.study.recipe.reference).name}"),
            ("Eligible", f"{eligible:,}", f"{number(100 * eligible / candidates, 1)} % of candidates"),
            ("May enter the trial", f"{pool:,}", "eligible, with a sound life under every arm"),
            ("Failed lives", f"{failed:,}", f"of {eligible * len(results.study.arms):,}, left out under every arm"),
        ]
    )


def left_out(results: Results) -> None:
    st.header("Who may enter", anchor=False)
    chart(
        results,
        population.funnel,
        people.funnel,
        title="From candidates to the trial's pool",
        aid="Bars: who is left after this criterion and all above it. Only the eligible live under the arms.",
    )
    failed = people.failures(results)
    if len(failed):
        st.markdown("**Lives that failed**, by arm and reason. `trialtwin status` names the patients.")
        st.dataframe(failed, hide_index=True, key="failures")


@st.fragment
def distributions(results: Results) -> None:
    st.header("Who they are", anchor=False)
    variables = {each.name: each for each in people.varying(results)}
    if not variables:
        st.info("All patients are alike: no covariate or parameter of this study varies.")
        return
    written = {
        name: f"{people.called(one)} ({one.kind})" if one.title in ("", name) else f"{people.called(one)}: {one.title}"
        for name, one in variables.items()
    }
    # What decides on eligibility is looked at first.
    asked = [each.covariate for each in results.study.criteria]
    order = sorted(variables, key=lambda name: asked.index(name) if name in asked else len(asked))
    chosen = st.selectbox("Covariate or parameter", order, format_func=written.__getitem__, key="variable")
    one = variables[str(chosen)]
    aid = f"{one.evidence.capitalize()}: {one.description}. Source: {one.source}."
    chart(
        results,
        population.distribution,
        people.distribution,
        one.name,
        place="distribution",
        title=f"Distribution of {people.called(one)}",
        aid=aid if one.levels else f"{aid} {BEYOND}",
    )
    with st.expander("All covariates and parameters of the eligible, in numbers"):
        table = people.described(results)
        config = {
            "shape": st.column_config.BarChartColumn("shape", width="small", y_min=0),
            **{name: st.column_config.NumberColumn(name, format="%.4g") for name in table.columns[4:9]},
        }
        st.dataframe(table, hide_index=True, key="described", column_config=config)


@st.fragment
def correlations(results: Results) -> None:
    st.header("What goes together", anchor=False)
    numbers = [each for each in people.varying(results) if not each.levels]
    kinds = {
        kind: label
        for kind, label in (("covariate", "Covariates"), ("parameter", "Parameters"))
        if sum(each.kind == kind for each in numbers) > 1
    }
    if len(numbers) < 2:
        st.info("Fewer than two numbers vary, so there is nothing to correlate.")
        return
    of = [*kinds, "all"]
    left, right = st.columns(2)
    kind = left.segmented_control(
        "Correlations of", of, format_func=lambda each: kinds.get(each, "All"), default=of[0], key="kind", required=True
    )
    among = right.segmented_control(
        "Among",
        [people.CANDIDATES, people.ELIGIBLE],
        format_func=str.capitalize,
        default=people.CANDIDATES,
        key="among",
        required=True,
    )
    chart(
        results,
        population.correlations,
        people.correlations,
        among,
        None if kind == "all" else kind,
        place="correlations",
        title="Rank correlations",
        aid="Spearman's: 1 where two numbers rise together, −1 where one falls as the other rises. "
        f"Written from {population.WRITTEN:g} on; exactly in the CSV.",
    )


def attained(results: Results) -> None:
    st.header("Is it the population that was asked for?", anchor=False)
    table = people.attained(results)
    if table.empty:
        st.info("The patients are rows of your own records, drawn whole: there is no target beside them to attain.")
        return
    reference = Path(results.study.recipe.reference).name
    chart(
        results,
        population.attained_statistics,
        people.attained,
        title="Means, spreads and quantiles",
        aid=f"Each mark is a statistic of the candidates less that of {reference}; on the line nothing is amiss. "
        "What is left is chance, and what the distributions cannot follow.",
    )
    if (table["statistic"] == "rank correlation").any():
        chart(
            results,
            population.attained_correlations,
            people.attained,
            title="Correlations attained",
            aid=f"Each dot is a pair of covariates; on the line candidates and {reference} agree.",
        )
    with st.expander("Attained against target, in numbers"):
        st.dataframe(table, hide_index=True, key="attained")


results = page.results()
page.heading(
    results.study,
    "Population",
    "Who the virtual patients are, who may enter the trial, and where the numbers come from.",
)
counted(results)
left_out(results)
distributions(results)
correlations(results)
attained(results)
st.header("Where every number comes from", anchor=False)
st.caption("Covariates are known to the clinic, parameters of the twin to nobody.")
st.dataframe(people.sources(results), hide_index=True, key="sources")
