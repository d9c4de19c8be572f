"""Tables of who the patients are: distributions, correlations, what was to be attained, who was left out."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dashboards.results import Results
from dashboards.written import unit
from populations.variable import Variable
from trials import schema

CANDIDATES, ELIGIBLE, POOL = "candidates", "eligible", "pool"
ALONE = "meet it alone"


def variable(results: Results, name: str) -> Variable:
    """A covariate or parameter. Raises ValueError where the population has none of that name."""
    variables = {each.name: each for each in results.study.population.variables}
    if name not in variables:
        raise ValueError(f"variable '{name}' is not of the population; write one of: {', '.join(variables)}")
    return variables[name]


def varying(results: Results) -> list[Variable]:
    """The variables that are not the same in all candidates: covariates first."""
    people = results.group(schema.PEOPLE)
    known = {*people["number"].values.tolist(), *people["category_variable"].values.tolist()}
    found = [each for each in results.study.population.variables if each.name in known]
    return sorted(found, key=lambda each: each.kind != "covariate")


def called(one: Variable) -> str:
    """The short name of a variable in words."""
    return one.name.replace("_", " ")


def funnel(results: Results) -> pd.DataFrame:
    """Candidates who are left after each criterion, and how many meet it alone; then who lived soundly everywhere."""
    people = results.group(schema.PEOPLE)
    candidates, eligible, pool = (int(each) for each in people["patients"].values)
    lines: list[list] = [["candidates", candidates, None]]
    for text, left, alone in zip(
        people["criterion"].values, people["remaining"].values, people["alone"].values, strict=True
    ):
        lines.append([str(text), int(left), int(alone)])
    if not len(people["criterion"]):
        lines.append(["eligible: no criterion was set", eligible, None])
    lines.append(["a sound life under every arm", pool, None])
    table = pd.DataFrame(lines, columns=["step", "patients", ALONE])
    table[ALONE] = table[ALONE].astype("Int64")
    table["share of candidates [%]"] = 100 * table["patients"] / max(candidates, 1)
    return table


def failures(results: Results) -> pd.DataFrame:
    """Lives of eligible patients that failed, by arm and reason; empty where none did."""
    lives = results.group(schema.PEOPLE)["lives"]
    lines = [
        [str(arm), str(status), int(lives.sel({schema.ARM: arm, "status": status}))]
        for arm in lives[schema.ARM].values
        for status in lives["status"].values
        if status not in ("not run", "ok", "not eligible")
    ]
    table = pd.DataFrame(lines, columns=["arm", "reason", "lives"])
    return table[table["lives"] > 0].reset_index(drop=True)


def distribution(results: Results, name: str) -> pd.DataFrame:
    """How many candidates, eligible and members of the pool have each level, or lie in each bar from - to."""
    one, people = variable(results, name), results.group(schema.PEOPLE)
    totals = dict(zip(people["who"].values.tolist(), people["patients"].values.tolist(), strict=True))
    parts = []
    for who in (CANDIDATES, ELIGIBLE, POOL):
        if one.levels:
            here = people["category_variable"].values == name
            columns = {"level": people["category_level"].values[here]}
            count = people["level_count"].sel(who=who).values[here]
        else:
            edges = people["edges"].sel(number=name).values
            bars = np.isfinite(edges).sum() - 1
            columns = {"from": edges[:bars], "to": edges[1 : bars + 1]}
            count = people["count"].sel(number=name, who=who).values[:bars]
        share = 100 * count / max(totals[who], 1)
        parts.append(
            pd.DataFrame({"who": who, **columns, "unit": unit(one.unit), "patients": count, "share [%]": share})
        )
    return pd.concat(parts, ignore_index=True)


def described(results: Results, who: str = ELIGIBLE) -> pd.DataFrame:
    """Every variable that varies: its shape, mean, SD and quantiles among `who`, or its levels and their shares."""
    people = results.group(schema.PEOPLE).sel(who=who)
    total = max(int(people["patients"]), 1)
    lines = []
    for one in varying(results):
        if one.levels:
            count = people["level_count"].values[people["category_variable"].values == one.name]
            shares = ", ".join(f"{level} {100 * n / total:.1f} %" for level, n in zip(one.levels, count, strict=True))
            lines.append([one.name, one.kind, unit(one.unit), count.tolist(), None, None, None, None, None, shares])
            continue
        here = people.sel(number=one.name)
        bars = np.isfinite(here["edges"].values).sum() - 1
        numbers = [float(here[what]) for what in ("mean", "sd")]
        numbers += [float(here["quantiles"].sel(quantile=q)) for q in (0.05, 0.5, 0.95)]
        lines.append([one.name, one.kind, unit(one.unit), here["count"].values[:bars].tolist(), *numbers, ""])
    columns = ["name", "kind", "unit", "shape", "mean", "SD", "5 %", "median", "95 %", "levels"]
    return pd.DataFrame(lines, columns=columns)


def correlations(results: Results, among: str = CANDIDATES, kind: str | None = "covariate") -> pd.DataFrame:
    """Spearman's rank correlations of pairs of numbers; kind: only of covariates or parameters, None for both."""
    people = results.group(schema.PEOPLE)
    names = [each.name for each in varying(results) if not each.levels and kind in (None, each.kind)]
    matrix = people["correlation"].sel(among=among, number=names, other=names).values
    lines = [[a, b, matrix[i, j]] for i, a in enumerate(names) for j, b in enumerate(names) if j < i]
    return pd.DataFrame(lines, columns=["first", "second", "rank correlation"])


def attained(results: Results) -> pd.DataFrame:
    """Statistics of the reference beside those of the candidates; empty where the patients are the user's records.

    difference [SD]: of a mean, SD or quantile in standard deviations of the reference.
    """
    people = results.group(schema.PEOPLE)
    table = pd.DataFrame(
        {
            "variable": people["statistic_of"].values,
            "statistic": people["statistic_name"].values,
            "target": people["target"].values,
            "attained": people["attained"].values,
            "unit": [unit(str(each)) for each in people["statistic_unit"].values],
        }
    )
    table["difference"] = table["attained"] - table["target"]
    spread = table[table["statistic"] == "sd"].set_index("variable")["target"]
    table["difference [SD]"] = table["difference"] / table["variable"].map(spread).astype(float)
    return table


def first(results: Results) -> int:
    """How many of the first candidates the correlations and attained statistics are of."""
    return int(results.group(schema.PEOPLE).attrs["first"])


def sources(results: Results, kinds: Sequence[str] = ("covariate", "parameter")) -> pd.DataFrame:
    """Every variable with its unit, distribution, evidence and source."""
    return pd.DataFrame(
        [
            [each.name, each.kind, unit(each.unit), each.title, each.description, each.evidence, each.source]
            for each in results.study.population.variables
            if each.kind in kinds
        ],
        columns=["name", "kind", "unit", "title", "distribution", "evidence", "source"],
    )
