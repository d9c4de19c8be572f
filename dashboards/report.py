"""The report of a run: one HTML file that needs nothing beside it, and no network."""

from collections.abc import Iterable
from pathlib import Path

import plotly.graph_objects as go

from dashboards import conducted, credibility, markup, responses
from dashboards import results as read
from dashboards.checks import checks
from dashboards.markup import escaped, framed, listed, tabulated
from dashboards.plots import responses as response_plots
from dashboards.plots import style
from dashboards.plots import trial as trial_plots
from dashboards.results import POOL, Results, question
from dashboards.written import decimals, labelled, needed, number, scale, unit, with_error, with_interval
from solvers.twin import Output
from trials import store
from trials.endpoints import Endpoint

REPORT = "report.html"
LEDGER = 20  # failed lives listed


def write(folder: Path) -> Path:
    """Writes report.html into the folder of a run, whole or not at all. Raises ValueError where it is not analysed."""
    path = Path(folder) / REPORT
    store.write_text(path, page(read.read(Path(folder))))
    return path


def page(results: Results) -> str:
    """The whole report."""
    study = results.study
    sections = [
        ("Answer", "answer", _answer(results)),
        ("Who was simulated", "who", _who(results)),
        ("What happened", "figures", _figures(results)),
        ("What the trial would do", "trial", _trial(results)),
        ("In whom it pays", "subgroups", _subgroups(results)),
        ("What is uncertain, and why", "uncertainty", _uncertainty(results)),
        ("The study as run", "study", _study(results)),
        ("Why believe this", "why", _why(results)),
    ]
    return markup.document(study.title, f"In-silico trial · {study.name}", sections)


def _answer(results: Results) -> str:
    study, primary = results.study, results.study.endpoints[0]
    first, second = study.contrast
    return (
        f"<p>Does <b>{escaped(first)}</b> instead of <b>{escaped(second)}</b> change the "
        f"{escaped(question(study, primary))}?</p>"
        f'<p class="answer">{escaped(answer(results))}</p>{_cards(results)}'
        '<p class="small">All of this happened to virtual patients. What it may be used for, what it rests on and '
        "what was "
        'not validated stands under <a href="#why">Why believe this</a>.</p>'
    )


def answer(results: Results) -> str:
    """The answer to the study's question, in two sentences with numbers."""
    study, primary, label = results.study, results.study.endpoints[0], results.contrast
    by, (first, second) = scale(primary), study.contrast
    truth = results.row(f"{primary.name}: difference, truth", label)
    means = [results.row(f"{primary.name}: mean, truth", arm) for arm in study.contrast]
    sure = truth.lower is not None and truth.upper is not None and (truth.lower > 0 or truth.upper < 0)
    verb = ("raises" if (truth.value or 0) > 0 else "lowers") if sure else "does not clearly change"
    places = decimals((truth.se or 0) * by.factor, (truth.value or 0) * by.factor)

    def shown(value: float | None) -> str:
        return number(None if value is None else value * by.factor, places)

    ignorance = results.rows.get((f"{primary.name}: difference, over the population's own uncertainty", label))
    beyond = (
        f"; {shown(ignorance.lower)} to {shown(ignorance.upper)} over the population's own uncertainty"
        if ignorance
        else ""
    )
    mean = results.row(f"{primary.name}: difference, mean of the trials", label)
    power = results.row(f"{primary.name}: power", label)
    level = 100 * (1 - study.analysis.alpha * (1 if study.analysis.sided == "2" else 2))
    return (
        f"In virtual patients {first} instead of {second} {verb} the {question(study, primary)}, from "
        f"{shown(means[1].value)} "
        f"to {shown(means[0].value)} {by.unit}: a difference of {shown(truth.value)} {by.difference} (95 % interval "
        f"{shown(truth.lower)} to {shown(truth.upper)} by the number of patients{beyond}). One trial of "
        f"{study.trial.subjects:,} subjects shows it with a power of {_percent(power.value, power.mcse)} % "
        "(Monte-Carlo standard "
        f"error {_percent(power.mcse, power.mcse)}), and on average reports a {level:g} % interval of "
        f"{shown(mean.lower)} to "
        f"{shown(mean.upper)}."
    ).replace(" :", ":")


def _percent(value: float | None, error: float | None) -> str:
    return number(None if value is None else 100 * value, decimals(100 * (error or 0), 100 * (value or 0)))


def _cards(results: Results) -> str:
    primary, label = results.study.endpoints[0], results.contrast
    by = scale(primary)
    truth = results.row(f"{primary.name}: difference, truth", label)
    power, coverage = (results.row(f"{primary.name}: {what}", label) for what in ("power", "coverage"))
    value, lower, upper = (
        None if each is None else each * by.factor for each in (truth.value, truth.lower, truth.upper)
    )
    places = decimals((truth.se or 0) * by.factor)
    cards = [
        (
            number(value, places),
            f"{by.difference}: true difference (95 % interval {number(lower, places)} to {number(upper, places)})",
        ),
        (f"{_percent(power.value, power.mcse)} %", f"power of one trial (MCSE {_percent(power.mcse, power.mcse)})"),
        (
            f"{_percent(coverage.value, coverage.mcse)} %",
            f"of intervals hold the truth (MCSE {_percent(coverage.mcse, coverage.mcse)})",
        ),
        (f"{results.count(POOL):,}", "virtual patients, each under every arm"),
    ]
    responder = _responder(results)
    if responder is not None:
        row = results.row(f"{responder.name}: number needed to treat, truth", label)
        shown = needed(row.value, row.lower, row.upper)
        what = "to treat" if (row.value or 0) >= 0 else "to harm"
        figure, _, rest = shown.removeprefix("harm ").partition(" ")
        cards.insert(3, (figure, f"patients {what} for one more with {question(results.study, responder)} {rest}"))
    return (
        '<div class="cards">'
        + "".join(f'<div class="card"><b>{escaped(a)}</b><span>{escaped(b)}</span></div>' for a, b in cards)
        + "</div>"
    )


def _responder(results: Results) -> Endpoint | None:
    return next((endpoint for endpoint in results.study.endpoints if endpoint.kind == "responder"), None)


def _who(results: Results) -> str:
    study = results.study
    criteria = "; ".join(each.text for each in study.criteria) or "none: every candidate"
    failed = {arm.name: results.row("failed lives, left out of the pool", arm.name).value or 0 for arm in study.arms}
    rows = [
        [
            "Candidates drawn",
            number(results.count("candidates")),
            f"population '{study.recipe.reference}', {study.recipe.sampling} sampling, seed {study.seed}",
        ],
        ["Eligible", number(results.count("eligible")), f"criteria: {criteria}"],
        *(
            [f"Failed lives under {arm}", number(count), "left out of the trial's pool, under every arm"]
            for arm, count in failed.items()
        ),
        ["In the trial's pool", number(results.count(POOL)), "eligible, with a sound life under every arm"],
    ]
    text = tabulated(["", "patients", ""], rows, numeric={1})
    text += (
        f"<p>Each eligible candidate lives under every arm, with the same luck in measurement and adherence. "
        f"{study.trial.replicates:,} trials of {study.trial.subjects:,} subjects are then drawn from the pool: "
        "enrolled, "
        "randomised, observed at the visits, some lost.</p>"
    )
    if not any(failed.values()):
        return text + "<p>No life failed.</p>"
    ledger = [failure for marker in store.markers(results.folder) for failure in marker.failures if marker.group == ""]
    lines = [[str(each["patient"]), each["arm"], each["reason"]] for each in ledger[:LEDGER]]
    more = (
        f"<p class='small'>The first {len(lines)} of {len(ledger)} in the ledger.</p>"
        if len(ledger) > len(lines)
        else ""
    )
    return text + "<h3>Failed lives</h3>" + tabulated(["patient", "arm", "reason"], lines, numeric={0}) + more


def _figures(results: Results) -> str:
    study, primary = results.study, results.study.endpoints[0]
    actions = [action.name for action in study.twin.actions]
    drawn: list[tuple[str, str, go.Figure]] = []
    for outcome in study.plan.outcomes:
        asked = read.asks_range(study, primary, outcome)
        aid = "Line: the median patient. Darker ribbon: the middle half of patients; lighter ribbon: 5 to 95 %."
        if asked:
            aid += " Green: the range that the primary endpoint asks for."
        if outcome in actions:
            aid += " The amount taken since the record before; it falls to 0 where doses were skipped or missed."
        drawn.append(
            (
                _capital(f"{style.title(study, outcome)} over time"),
                aid,
                response_plots.trajectories(results, outcome, primary.name),
            )
        )
    ordinary = responses.ordinary(results, primary.name)
    drawn.append(
        (
            "One patient, under every arm",
            f"Patient {ordinary:,}, whose own difference is the median one. Lines: what truly was; dots: what the "
            "visits "
            "measured. The same person lives each life with the same luck.",
            response_plots.patient(results, ordinary, primary.name),
        )
    )
    shares = [endpoint for endpoint in study.endpoints if endpoint.kind in ("responder", "ever")]
    if shares:
        aid = "Share of all patients of the pool, in truth; whiskers: 95 % interval by their number."
        drawn.append(
            ("Share of patients, by arm", aid, response_plots.arm_means(results, *(each.name for each in shares)))
        )
    for endpoint in study.endpoints:
        if endpoint not in shares:
            aid = "Mean over all patients of the pool, in truth; whiskers: 95 % interval by their number."
            drawn.append(
                (
                    _capital(f"{question(study, endpoint)}, by arm"),
                    aid,
                    response_plots.arm_means(results, endpoint.name),
                )
            )
    return "".join(framed(f"what-{i}", *each) for i, each in enumerate(drawn))


def _trial(results: Results) -> str:
    primary = results.study.endpoints[0]
    histogram = framed(
        "trial-estimates",
        "What trials would report",
        "Each trial reports one difference. A sound estimator scatters them around the truth (dashed); their width "
        "is what a "
        "single trial may be off by.",
        trial_plots.estimates_of_trials(results, primary.name),
    )
    caterpillar = framed(
        "trial-intervals",
        "Does the interval hold the truth?",
        "Each line is one trial's interval. About one in twenty 95 % intervals should miss the dashed line, on "
        "either side.",
        trial_plots.intervals_of_trials(results, primary.name),
    )
    table = conducted.characteristics(results)
    return (
        "<p>Operating characteristics, each with its Monte-Carlo standard error in parentheses. Truth is the mean "
        "over the "
        "whole pool, each patient his own control, without measurement error; a bias beyond its error is what visits, "
        "measurement and loss do to the estimate.</p>"
        + tabulated(list(table.columns), table.to_numpy().tolist(), numeric=set(range(1, 9)), wide={0})
        + histogram
        + caterpillar
    )


def _subgroups(results: Results) -> str:
    study, primary = results.study, results.study.endpoints[0]
    if not study.subgroups:
        return "<p>The study file asks for no subgroups.</p>"
    by, responder, arms = scale(primary), _responder(results), [arm.name for arm in study.arms]
    table = conducted.subgroups(results, primary.name)
    rows: list[list[str]] = []
    for line in table.to_dict("records"):
        where = f"{line['covariate']} {line['subgroup']}".strip()
        cells = [where, f"{line['patients']:,}", *(number(line[f"mean, {arm}"], 1) for arm in arms)]
        cells.append(with_interval(line["value"], line["lower"], line["upper"]))
        if responder is not None:
            cells.append(_needed(results, responder, len(rows)))
        rows.append(cells)
    head = [
        "subgroup",
        "patients",
        *(f"{arm} [{by.unit}]" if by.unit else arm for arm in arms),
        f"difference [{by.difference}] (95 % interval)",
    ]
    if responder is not None:
        head.append(f"number needed to treat for one more {responder.name} (95 % interval)")
    text = (
        f"<p>{escaped(_capital(question(study, primary)))}: true means under each arm and true difference "
        f"({escaped(' − '.join(study.contrast))}), in everyone and by subgroup.</p>"
    )
    if responder is not None:
        text += (
            f'<p class="small">{escaped(responder.name)}: {escaped(question(study, responder))}. Where the interval of '
            "the "
            "difference holds "
            "0, the number needed to treat runs through infinity and its interval has no two ends; “harm” marks a "
            "number needed "
            "to harm.</p>"
        )
    text += tabulated(head, rows, numeric=set(range(1, len(head))), kept={0})
    aid = (
        "Right of the line the difference is above 0. Diamond: everyone; squares: subgroups; whiskers: 95 % intervals."
    )
    return text + framed("subgroup-forest", "Effect by subgroup", aid, trial_plots.forest(results, primary.name))


def _needed(results: Results, responder: Endpoint, line: int) -> str:
    if line == 0:
        row = results.row(f"{responder.name}: number needed to treat, truth", results.contrast)
    else:
        names = [
            name
            for name, who in results.rows
            if who == results.contrast and name.startswith(f"{results.study.endpoints[0].name}: difference in ")
        ]
        where = names[line - 1].partition(": difference in ")[2]
        row = results.row(f"{responder.name}: number needed to treat in {where}", results.contrast)
    return needed(row.value, row.lower, row.upper)


def _uncertainty(results: Results) -> str:
    primary, label = results.study.endpoints[0], results.contrast
    by, table = scale(primary), conducted.spread(results, primary.name)
    rows = [[line["source"], with_error(line["sd"], line["se"])] for line in table.to_dict("records")]
    text = (
        "<p>Four sources of spread, kept apart. The first two concern one patient, the last two the mean. More "
        "subjects shrink "
        "the third; only more knowledge of patients shrinks the fourth.</p>"
        + tabulated(["source", f"standard deviation [{by.difference}] (its standard error)"], rows, numeric={1})
    )
    row = results.rows.get((f"{primary.name}: difference, over the population's own uncertainty", label))
    if row is not None:
        shown = with_interval(
            *(None if each is None else each * by.factor for each in (row.value, row.lower, row.upper))
        )
        text += (
            f"<p>Over {row.replicates} populations that the evidence allows as well, the true difference is "
            f"{escaped(shown)} "
            f"{by.difference} (1.96 of the last standard deviation to either side).</p>"
        )
    else:
        text += "<p>The population's own uncertainty was not drawn: the study file asks for fewer than 2 draws.</p>"
    aid = "Blue: of one patient. Grey: of the mean. Whiskers: 95 % intervals of the standard deviations."
    return text + framed("spread", "Spread by source", aid, trial_plots.spread_by_source(results, primary.name))


def _study(results: Results) -> str:
    attributes = dict(store.open_group(results.folder, "").attrs)
    made = {
        "seed": results.study.seed,
        **results.made_by,
        **{key: attributes.get(key, "") for key in ("machine", "python", "numpy")},
    }
    rows = [[key, str(each)] for key, each in made.items()]
    return (
        f"<p>With its defaults filled in; it reads back as the same study.</p><pre>{escaped(results.study.text)}</pre>"
        "<h3>What made it</h3>" + tabulated(["", ""], rows)
    )


def _why(results: Results) -> str:
    study, twin = results.study, results.study.twin
    variables = study.population.variables
    parameters = [variable for variable in variables if variable.kind == "parameter"]
    covariates = [variable for variable in variables if variable.kind == "covariate"]
    head = ["name", "typical value", "between patients", "evidence", "what it is", "source"]

    def lines(of: Iterable) -> list[list[str]]:
        return [
            [each.name, credibility.value(each), each.description, each.evidence, each.title, each.source]
            for each in of
        ]

    rules = [[rule.arm, rule.policy, rule.options, rule.described] for rule in credibility.rules(study)]
    outputs = [
        [output.name, labelled(output.title or output.name, output.unit), _error(output), output.source]
        for output in twin.outputs
    ]
    found = checks(results)
    tested = [[check.title, check.how, check.error, check.limit, check.verdict] for check in found]
    failed = sum(check.passed is False for check in found)
    passed = sum(check.passed is True for check in found)
    verdict = f"{passed} of {passed + failed} checks passed" + (
        "." if not failed else "; look at those that did not before using any number above."
    )
    return (
        "<h3>What this may be used for</h3>"
        + listed(credibility.may_be_used(results))
        + "<h3>What it may not be used for</h3>"
        + listed(credibility.may_not_be_used(results))
        + f"<h3>The twin: {escaped(twin.title)}</h3>"
        + f"<p>Source: {escaped(twin.source)}. Solved by: {escaped(twin.method)}.</p>"
        + f"<pre>{escaped(credibility.described(twin))}</pre>"
        + f"<h3>Its parameters ({len(parameters)})</h3>"
        + tabulated(head, lines(parameters), wide={2, 4, 5}, kept={0, 1})
        + "<h3>What of a patient is seen, and with what error</h3>"
        + tabulated(["name", "what it is", "measurement error", "source"], outputs, wide={1, 2, 3})
        + f"<h3>Who the patients are: covariates ({len(covariates)})</h3>"
        + tabulated(head, lines(covariates), wide={2, 4, 5}, kept={0, 1})
        + "<h3>What the arms do</h3>"
        + tabulated(["arm", "policy", "as written", "what the policy says of itself"], rules, wide={2, 3}, kept={1})
        + f"<h3>What was checked</h3><p>Computed when this report was written: {escaped(verdict)} The last ones, of "
        "the estimates, ask whether a trial of this design finds the truth; visits that cannot see it do not pass.</p>"
        + tabulated(
            ["check", "how", "error", "at most", "verdict"], tested, wide={0, 1}, kept={2, 3, 4}, bad="NOT PASSED"
        )
        + "<h3>What was not validated</h3>"
        + listed(credibility.not_validated(results))
    )


def _error(output: Output) -> str:
    found = []
    for kind, words in (
        ("additive", "additive SD"),
        ("proportional", "proportional SD"),
        ("log", "SD of the logarithm"),
    ):
        size = getattr(output, f"{kind}_error")
        if size:
            of = f" {unit(output.unit)}".rstrip() if kind == "additive" else ""
            found.append(f"{words} {number(size)}{of}")
    return ", ".join(found) or "none"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
