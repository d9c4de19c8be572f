"""What a run may be used for, what it rests on, and what was not validated, as far as the study tells."""

import importlib
import inspect
import sys
from typing import NamedTuple

from dashboards.results import Results, question
from dashboards.written import labelled, number, unit
from populations.reference import Reference
from populations.variable import Variable
from solvers import couple
from solvers.twin import Twin
from trials import policies
from trials.study import Arm, Study


class Rule(NamedTuple):
    """What an arm does: its options as run, and what its policy says of itself."""

    arm: str
    policy: str
    options: str
    described: str


def may_be_used(results: Results) -> list[str]:
    """The context of use."""
    study, primary = results.study, results.study.endpoints[0]
    first, second = study.contrast
    entry = " and ".join(each.text for each in study.criteria) or "no criterion"
    return [
        f"To compare {first} with {second}, exactly as the study file writes them, by {question(study, primary)}, in "
        f"virtual patients of the population '{study.recipe.reference}' with {entry}.",
        f"To plan a trial of this design: what power, bias and coverage {study.trial.subjects:,} subjects, these "
        "visits, "
        "this loss to follow-up and this analysis would have, were the twin and the population right.",
        "To see in whom the difference lies, as a hypothesis for a trial in people.",
    ]


def may_not_be_used(results: Results) -> list[str]:
    """What lies outside the context of use."""
    return [
        "To choose a treatment or a dose for any real patient.",
        f"For outcomes that the twin does not carry: it knows {_list(_outputs(results.study.twin))}, and nothing "
        "else of a "
        "patient: no other benefit, harm, cost or death.",
        "For other people, doses, durations or rules than those of the study file.",
        "As evidence that stands for a trial in people: nothing here was observed in one.",
    ]


def not_validated(results: Results) -> list[str]:
    """What was assumed, left out or not compared with people."""
    study, twin = results.study, results.study.twin
    found = [
        "No comparison with a published trial, or with any patient's record, was made in this run: the twin's "
        "agreement "
        f"with people is what its source reports ({twin.source}).",
        "The form of the twin is taken as true. The population's own uncertainty moves its numbers, never its "
        "equations.",
    ]
    if twin.couplings:
        found.append(
            f"That {_list(list(twin.couplings))} acts as a sigmoid Emax model of what is there at the moment, without "
            "delay or habituation, and that the twins have nothing else to do with each other, is assumed."
        )
    found += _of_parameters(study)
    found += _of_population(study)
    found += _of_rules(study)
    silent = [labelled(item.title or item.name, "1") for item in twin.outputs if not _measured_with_error(item)]
    if silent:
        found.append(f"Measured without error: {_list(silent)}.")
    found.append(
        "Measurement errors are independent from visit to visit and of the size that the twin states, in everyone."
    )
    taken = study.plan.taken
    if taken < 1:
        found.append(
            f"Adherence: each action is taken with probability {number(100 * taken)} %, independently from tick to "
            "tick, of "
            "the patient and of how he fares. Real lapses cluster."
        )
    else:
        found.append("Adherence is perfect: every action is taken.")
    if study.plan.late > 0:
        found.append(
            f"Doses are taken late, by the absolute value of a normal of standard deviation {study.plan.late:g} h, "
            "independently from dose to dose and of the patient: an assumption. None is early, and habits do not last."
        )
    if study.trial.dropout > 0:
        found.append(
            "Loss to follow-up has a constant hazard, the same in every arm and whatever the outcome; before it no "
            "visit is "
            "missed."
        )
    else:
        found.append("No one is lost to follow-up, and no visit is missed.")
    return found


def _of_parameters(study: Study) -> list[str]:
    found = []
    parameters = [variable for variable in study.population.variables if variable.kind == "parameter"]
    assumed = [variable for variable in study.population.variables if variable.evidence == "assumed"]
    if assumed:
        found.append(f"Assumed, with no data behind it: {_list(_named(assumed))}.")
    ours = {item.name: item for item in study.twin.parameters}
    exact = [variable for variable in parameters if not _uncertain(study, ours[variable.name])]
    draws = study.recipe.uncertainty.draws
    if not draws:
        found.append(
            "The population's own uncertainty was not drawn (draws: 0): intervals leave out what is not known of it."
        )
    elif exact:
        found.append(f"Taken as exactly known, because no uncertainty is reported: {_list(_names(exact))}.")
    same = [variable for variable in parameters if variable.description == "fixed"]
    if same:
        found.append(f"The same for all patients: {_list(_names(same))}.")
    pairs = list(study.recipe.correlations)
    varying = [variable for variable in parameters if variable not in same]
    if len(varying) > 1:
        but = f", but for {_list(pairs)}" if pairs else ""
        found.append(
            f"Parameters that vary between patients ({_list(_names(varying))}) are independent of each other and of "
            "the "
            f"covariates{but}, beyond what the twin's equations say. No covariance is given."
        )
    return found


def _uncertain(study: Study, parameter: object) -> bool:
    written = study.recipe.parameters.get(getattr(parameter, "name", ""), {})
    reported = getattr(parameter, "relative_se", None) or getattr(parameter, "subjects", None)
    return bool(reported or "subjects" in written or "relative_se" in written)


def _of_population(study: Study) -> list[str]:
    people = study.population.people
    covariates = [variable for variable in study.population.variables if variable.kind == "covariate"]
    theirs = {variable.name for variable in people.covariates}
    own = [variable for variable in covariates if variable.name not in theirs]
    found = []
    if isinstance(people, Reference):
        found.append(
            f"The patients are {people.title} ({people.source}), of whom those who meet the criteria enter; people who "
            "would be given this treatment may differ from them."
        )
    else:
        found.append("The patients are drawn from the rows of a file; what selected those rows selects these patients.")
    if own:
        sources = _list(sorted({variable.source for variable in own}))
        found.append(
            f"Drawn independently of all other covariates, by shares that come from elsewhere ({sources}): "
            f"{_list(_named(own))}. In people they may go with ancestry, sex or age."
        )
    if study.criteria:
        found.append(
            f"Eligibility ({'; '.join(each.text for each in study.criteria)}) is an assumption of the study file."
        )
    return found


def _of_rules(study: Study) -> list[str]:
    found = []
    for arm in study.arms:
        for value in arm.options.values():
            if isinstance(value, str) and value in study.twin.starts:
                found.append(
                    f"Arm {arm.name}: the starting rule '{value}' is computed with the twin's own typical parameters "
                    "from the "
                    "patient's covariates. The rule and the patients come of the same model, which flatters the rule."
                )
    assumed: dict[str, list[str]] = {}
    for rule in rules(study):
        if "assumed" in rule.described.lower():
            assumed.setdefault(rule.policy, []).append(rule.arm)
    for policy, arms in assumed.items():
        found.append(f"The rule of the policy {policy} ({_list(arms)}) is assumed, not published.")
    return found


def rules(study: Study) -> list[Rule]:
    """What each arm does."""
    return [_rule(arm) for arm in study.arms]


def _rule(arm: Arm) -> Rule:
    name = str(arm.options["policy"])
    module = sys.modules[policies.load(name).build.__module__]
    options = "; ".join(f"{key}: {_text(value)}" for key, value in arm.options.items() if key != "policy")
    return Rule(arm.name, name, options, " ".join((inspect.getdoc(module) or "").split()))


def described(twin: Twin) -> str:
    """What the twin says of itself: equations and all; of a composed one, what each part does and what couples them."""
    if twin.parts:
        told = [f"{name}: {part.name}\n\n{described(part)}" for name, part in twin.parts.items()]
        coupled = "\n".join(twin.couplings) or "nothing"
        return "\n\n".join([*told, f"What acts on what:\n\n{coupled}\n\n{inspect.getdoc(couple)}"])
    module = importlib.import_module(f"solvers.twins.{twin.name.replace('-', '_')}")
    return inspect.getdoc(module) or twin.title


def _text(value: object) -> str:
    return ", ".join(str(each) for each in value) if isinstance(value, list) else str(value)


def _measured_with_error(output: object) -> bool:
    return any(getattr(output, f"{kind}_error") for kind in ("additive", "proportional", "log"))


def _outputs(twin: Twin) -> list[str]:
    return [labelled(output.title or output.name, output.unit) for output in twin.outputs]


def _named(variables: list[Variable]) -> list[str]:
    return [
        f"{variable.name} ({variable.title})" if variable.title != variable.name else variable.name
        for variable in variables
    ]


def _names(variables: list[Variable]) -> list[str]:
    return [variable.name for variable in variables]


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def value(variable: Variable) -> str:
    """The typical value of a variable with its unit: of a categorical one, its level."""
    if variable.levels:
        return variable.levels[int(variable.typical)]
    return f"{variable.typical:.4g} {unit(variable.unit)}".strip()
