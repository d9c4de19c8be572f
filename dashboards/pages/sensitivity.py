"""Sensitivity: what the outcome hangs on, how sure that is, and what it would be worth to know more."""

import pandas as pd
import streamlit as st

from dashboards import drivers, page, reading, surrogates
from dashboards.chart import chart
from dashboards.page import plain
from dashboards.plots import sensitivity as drawn
from dashboards.plots import surrogates as predicted
from dashboards.plots.style import title
from dashboards.results import Results, range_of
from dashboards.written import decimals, number
from trials import schema


def how(results: Results) -> str:
    return f"`trialtwin sensitivity {results.folder} --method sobol`"


def chosen_output(results: Results, endpoint: str) -> str:
    """The endpoint under an arm, or the contrast of the arms; its name."""
    who = [results.contrast, *(arm.name for arm in results.study.arms)]
    named = {results.contrast: f"the effect: {results.contrast.replace(' - ', ' − ')}"}
    one = st.selectbox("Of", who, format_func=lambda each: named.get(each, f"the patients under {each}"), key="of")
    return f"{endpoint}: {one}"


def method_of(results: Results) -> tuple[str, str] | None:
    """Inputs and method that are looked at, None where none was run."""
    sets = [of for of in drivers.INPUTS if drivers.methods(results, of)]
    if not sets:
        return None
    columns = st.columns([1.6, 1], vertical_alignment="bottom")
    of = columns[0].segmented_control(
        "What is varied", sets, format_func=drivers.INPUTS.__getitem__, default=sets[0], required=True, key="inputs"
    )
    of = str(of or sets[0])
    names = drivers.methods(results, of)
    order = sorted(names, key=lambda name: (not name.startswith("sobol"), name))
    method = columns[1].selectbox(
        "Method", order, format_func=lambda name: drivers.titled(results, of, name), key=f"method-{of}"
    )
    return of, str(method or order[0])


def indices(results: Results, of: str, method: str, output: str) -> None:
    name = f"{schema.SENSITIVITY}/{of}/{method}"
    if not drivers.knows(results, name, output):
        st.info(plain(f"{drivers.titled(results, of, method)} has no index of {output}: choose another endpoint."))
        return
    facts = drivers.facts(results, of, method, output)
    told = plain(facts.verdict[:1].upper() + facts.verdict[1:] + ".") if facts.verdict else ""
    if told:
        {True: st.success, False: st.warning, None: st.info}[facts.converged](told)
    made_from = drivers.version(results, name)
    st.caption(plain(reading.made_of(results, name)))
    chart(
        results,
        drawn.indices,
        drivers.indices,
        of,
        method,
        output,
        title="What it hangs on",
        aid=reading.shares(of, method, facts.leading),
        made_from=made_from,
    )
    if {"mu_star", "sigma"} <= set(drivers.measures(results, of, method)):
        chart(
            results,
            drawn.screening,
            drivers.indices,
            of,
            method,
            output,
            title="Large, and of which kind",
            aid="To the right: matters. High up: its effect depends on where it is, or on the others.",
            made_from=made_from,
        )
    if drivers.has_pairs(results, of, method, output):
        chart(
            results,
            drawn.pairs,
            drivers.pairs,
            of,
            method,
            output,
            title="What two do together",
            aid="Second-order indices: the share of variance that two inputs explain only jointly. Numbers stand "
            "where the 95 % interval leaves out 0.",
            made_from=made_from,
        )
    if drivers.has_curve(results, of, method):
        chart(
            results,
            drawn.convergence,
            drivers.convergence,
            of,
            method,
            output,
            title="Is it enough?",
            aid=reading.growth(method),
            made_from=made_from,
        )
    over_time(results, of, method, output, made_from)


def over_time(results: Results, of: str, method: str, output: str, made_from: str) -> None:
    traces = drivers.traces(results, of, method)
    if not traces:
        return
    endpoint, _, who = output.rpartition(": ")
    own = f"{range_of(results.study, results.endpoint(endpoint))[0]}: {who}"
    st.subheader("When it matters", anchor=False)
    columns = st.columns(2)
    trace = columns[0].selectbox("Outcome", traces, index=traces.index(own) if own in traces else 0, key="trace")
    known = drivers.time_measures(results, of, method)
    leading = drivers.facts(results, of, method, output).leading
    measure = columns[1].selectbox(
        "Measure",
        known,
        index=known.index(leading) if leading in known else 0,
        format_func=lambda name: drivers.WORDS.get(name, name),
        key=f"measure-{method}",
    )
    name = title(results.study, str(trace).partition(":")[0])
    chart(
        results,
        drawn.over_time,
        drivers.over_time,
        of,
        method,
        str(trace),
        str(measure),
        title=f"{name[:1].upper()}{name[1:]} over time",
        aid="The leading inputs at every time. Where all lives are equal, as before the first dose, there is no index.",
        made_from=made_from,
    )


def regression(results: Results, output: str) -> None:
    if not drivers.has_regression(results, output):
        return
    st.header("Without an experiment", anchor=False)
    st.markdown("From the patients of the run, correlated as they are: free, but one input may stand for another.")
    made_from = drivers.version(results, drivers.REGRESSION)
    chart(
        results,
        drawn.tornado,
        drivers.tornado,
        output,
        title="Tornado",
        aid="The mean in the tenth of patients in whom an input is lowest, in whom it is highest, or at each level. "
        "Inputs vary together: nothing else is held fixed. Whiskers: 95 % intervals.",
        made_from=made_from,
    )
    chart(
        results,
        drawn.ranks,
        drivers.ranks,
        output,
        title="Regression on ranks",
        aid=f"It explains {100.0 * drivers.explained(results, output):.0f} % of the variance of ranks; the rest is "
        "chance, bends and interplay. Inputs of levels have no sign. Whiskers: 95 % intervals.",
        made_from=made_from,
    )


def surrogate(results: Results, output: str) -> None:
    known = [of for of in drivers.INPUTS if surrogates.methods(results, of, output)]
    if not known:
        return
    st.header("What if: the surrogate", anchor=False)
    of = known[0]
    if len(known) > 1:
        of = st.segmented_control(
            "Inputs of the surrogate",
            known,
            format_func=drivers.INPUTS.__getitem__,
            default=known[0],
            required=True,
            key="surrogate-of",
        )
    ranked = surrogates.methods(results, str(of), output)
    method = ranked[0]
    if len(ranked) > 1:
        method = st.selectbox(
            "Surrogate, that with the smallest error first",
            ranked,
            format_func=lambda name: surrogates.titled(results, str(of), name, output),
            key=f"surrogate-by-{of}",
        )
    one = surrogates.surface_of(results, str(of), str(method), output)
    trust = (
        f"{surrogates.titled(results, str(of), str(method), output)}. A polynomial in place of the lives: it predicts "
        f"{100.0 * one.q2:.0f} % of their variance (Q²)."
    )
    if one.q2 >= 0.8:
        st.info(plain(f"{trust} Nothing below was simulated."))
    else:
        st.warning(plain(f"{trust} The rest is chance and what it cannot follow. Nothing below was simulated."))
    made_from = drivers.version(results, surrogates.group_of(str(of), str(method)))
    names = surrogates.moving(one)
    columns = st.columns(2)
    x = columns[0].selectbox("Across", names, format_func=drivers.short, key="surface-x")
    others = [name for name in names if name != x]
    if others:
        y = columns[1].selectbox("Up", others, format_func=drivers.short, key="surface-y")
        chart(
            results,
            predicted.surface,
            surrogates.surface,
            str(of),
            str(method),
            output,
            str(x),
            str(y),
            title="Response surface",
            aid=f"Surrogate, Q² {one.q2:.2f}: not simulated. All other inputs are in their middle.",
            made_from=made_from,
        )
    what_if(results, str(of), str(method), output, one, names[:6], made_from)


@st.fragment
def what_if(
    results: Results, of: str, method: str, output: str, one: surrogates.Surface, names: list[str], made_from: str
) -> None:
    left, right = st.columns([1, 2], gap="medium")
    changes: list[str | float] = []
    with left:
        st.subheader("Another patient" if of == "patients" else "Another population", anchor=False)
        for name in names:
            axis = surrogates.axis_of(one, name)
            places = list(range(len(axis.quantiles)))
            middle = min(places, key=lambda i: abs(axis.quantiles[i] - 0.5))
            place = st.select_slider(
                plain(drivers.short(name)),
                places,
                value=middle,
                format_func=[plain(label) for label in axis.labels].__getitem__,
                help=plain(axis.title),
                key=f"if {of} {name}",
            )
            changes += [name, float(axis.quantiles[place])]
        value, error = surrogates.what_if(results, of, method, output, *changes)
        digits = decimals(error, value)
        st.metric(plain(f"Predicted {one.unit}".strip()), f"{number(value, digits)} ± {number(error, digits)}")
        st.caption("± one root mean squared error, of lives that the surrogate had not seen.")
    with right:
        chart(
            results,
            predicted.profiles,
            surrogates.profiles,
            of,
            method,
            output,
            *changes,
            title="From there, one input at a time",
            aid=f"Surrogate, Q² {one.q2:.2f}: not simulated. Each input alone is moved from the point (orange). "
            "Ribbon: ± one root mean squared error.",
            place=f"profiles {of}",
            made_from=made_from,
        )


def information(results: Results, output: str) -> None:
    split, worth = drivers.has_information(results, output)
    if not (split or worth):
        return
    st.header("What is uncertain, and what knowing it is worth", anchor=False)
    made_from = drivers.version(results, schema.INFORMATION)
    if split:
        chart(
            results,
            drawn.parts,
            drivers.parts,
            output,
            title="Where the uncertainty of a trial comes from",
            aid="Variance of one trial's estimate: who is enrolled, what visits measure and lose, and what is not "
            "known of the population. Whiskers: 95 % intervals.",
            made_from=made_from,
        )
    if worth:
        chart(
            results,
            drawn.worth,
            drivers.worth,
            output,
            title="What to learn first",
            aid="How much of our ignorance of the true effect would be gone on average, were one unknown known. "
            "Whiskers: 95 % intervals.",
            made_from=made_from,
        )
        table = drivers.worth(results, output)
        unit = str(table["unit of evppi"].iloc[0])
        shown = pd.DataFrame(
            {
                "unknown": table["unknown"].map(drivers.short),
                "worth of knowing it": [number(value) for value in table["evppi"]],
                "± standard error": [number(value) for value in table["evppi_se"]],
            }
        )
        st.caption(
            plain(
                f"Expected gain of the choice between the arms, in {unit} for each patient. To know everything would "
                f"be worth {number(float(table['evpi'].iloc[0]))}."
            )
        )
        st.dataframe(shown, hide_index=True, key="worth")


results = page.results()
page.heading(
    results.study,
    "Sensitivity",
    "What the outcome hangs on, how sure that is, and what it would be worth to know more.",
)
left, right = st.columns([2, 1])
with left:
    endpoint = page.endpoint(results)
with right:
    output = chosen_output(results, endpoint)
chosen = method_of(results)
if chosen is None:
    st.info(f"No sensitivity analysis yet: make one with {how(results)}.")
else:
    indices(results, *chosen, output)
regression(results, output)
surrogate(results, output)
information(results, output)
