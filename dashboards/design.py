"""The design of a study as tables: who gets in, what each arm does, when patients are seen, what is asked of them."""

import math
from typing import NamedTuple

import pandas as pd

from dashboards.results import POOL, Results, named, question
from dashboards.written import number
from solvers.steady import Regimen
from trials import policies
from trials.study import Arm, Study


class Gate(NamedTuple):
    """A step on the way into a trial. patients: None while it is not known."""

    name: str
    patients: int | None
    why: str


def gates(study: Study, results: Results | None = None) -> list[Gate]:
    """The way into one trial, step by step."""
    criteria = "; ".join(each.text for each in study.criteria) or "every candidate"
    trial = study.trial

    def count(name: str) -> int | None:
        return None if results is None else results.count(name)

    return [
        Gate("candidates", study.size, f"{study.recipe.reference}, {study.recipe.sampling} sampling"),
        Gate("eligible", count("eligible"), criteria),
        Gate("in the pool", count(POOL), "a sound life under every arm"),
        Gate("randomised", trial.subjects, f"{':'.join(map(str, trial.allocation))}, in blocks of {trial.block}"),
    ]


def regimen(arm: Arm) -> str:
    """What an arm does, as its study file writes it: what is the policy's default is left out."""
    defaults = policies.load(str(arm.options["policy"])).defaults
    told = [
        f"{key} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in arm.options.items()
        if key != "policy" and defaults.get(key) != value
    ]
    return f"{arm.options['policy']}: {', '.join(told)}"


def begins(arm: Arm) -> float:
    """The day of the first action; 0 for a policy that does not say."""
    setting = arm.policy.settings.get("from")
    return setting.value / 24.0 if setting else 0.0


def titrates(arm: Arm) -> float | None:
    """The day from which visits may change the dose; None for a policy that does not titrate."""
    setting = arm.policy.settings.get("titrate after")
    return None if setting is None else begins(arm) + setting.value / 24.0


def end(study: Study) -> float:
    """The last day of the study."""
    return study.plan.ticks * study.plan.tick / 24.0


def schedule(results: Results) -> pd.DataFrame:
    """The design as a table: the way in, the arms, the visits and the endpoints, with their days and numbers."""
    study = results.study
    lines: list[list] = [["gate", each.name, None, None, each.patients, each.why] for each in gates(study, results)]
    lines += [["arm", arm.name, begins(arm), end(study), None, regimen(arm)] for arm in study.arms]
    lines += [["visit", f"day {day:g}", float(day), float(day), None, ""] for day in study.visit_days]
    lines += [["endpoint", each.name, 0.0, each.until / 24.0, None, question(study, each)] for each in study.endpoints]
    return pd.DataFrame(lines, columns=["what", "name", "from [days]", "until [days]", "patients", "in words"])


def endpoints(study: Study) -> pd.DataFrame:
    """The endpoints in words."""
    rows = [[name, question(study, each), f"{each.until / 24:g} days"] for name, each in named(study).items()]
    return pd.DataFrame(rows, columns=["endpoint", "what is asked", "until"])


def settings(study: Study) -> pd.DataFrame:
    """What else the study file decides."""
    trial, analysis, plan, recipe = study.trial, study.analysis, study.plan, study.recipe
    uncertainty = recipe.uncertainty
    year = -100 * math.expm1(-365.25 * trial.dropout)
    late = f", late by a half-normal of {plan.late:g} h" if plan.late else ""
    rows = [
        ["Twin", f"{study.twin.name}: {study.twin.title}", study.twin.source],
        ["Population", recipe.reference, f"{recipe.sampling} sampling, seed {recipe.seed}"],
        ["Eligible", "; ".join(each.text for each in study.criteria) or "every candidate", ""],
        [
            "Its own uncertainty",
            f"{uncertainty.draws} draws of {uncertainty.patients} patients" if uncertainty.draws else "not drawn",
            "other populations that the evidence allows as well",
        ],
        ["Tick", f"{plan.tick:g} h", "how often a policy may act"],
        ["Recorded", ", ".join(plan.outcomes), f"{len(plan.records)} times to day {end(study):g}"],
        ["Visits", f"{len(plan.visits)}", "days " + ", ".join(f"{day:g}" for day in study.visit_days)],
        *([["Before", _regimen(plan.before), "for so long that it changes nothing any more"]] if plan.before else []),
        ["Adherence", f"{100 * plan.taken:g} %", f"of actions taken by the patient himself{late}"],
        ["Trials", f"{trial.replicates:,}", f"of {trial.subjects:,} subjects each"],
        ["Allocation", ":".join(map(str, trial.allocation)), f"permuted blocks of {trial.block}"],
        ["Accrual", f"{number(30.4375 * trial.accrual)} a month" if math.isfinite(trial.accrual) else "at once", ""],
        ["Loss to follow-up", f"{number(year)} % a year", "the same in every arm"],
        ["Contrast", " − ".join(study.contrast), f"{analysis.method}, {analysis.sided}-sided, α = {analysis.alpha:g}"],
        ["Subgroups", ", ".join(name for name, _ in study.subgroups) or "none", ""],
    ]
    return pd.DataFrame(rows, columns=["setting", "value", "more"])


def _regimen(given: Regimen) -> str:
    over = f" over {given.over:g} h" if given.over else ""
    return f"{given.action} {given.amount:g} every {given.every:g} h{over}"
