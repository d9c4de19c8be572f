"""Derives the reference population of US adults from NHANES 2009-2016.

Within each cell of sex and age band: weighted quantiles of every variable and weighted rank correlations between
them, the rank of age within the band among them, so that trends inside a band survive. NHANES examination weights are
for a two-year cycle; a variable measured in c cycles has weight_mec / c, and so has a pair in the cycles of both.
"""

import hashlib
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml

NOTES = """\
Source: National Center for Health Statistics, National Health and Nutrition Examination Survey (NHANES), cycles
2009-2010, 2011-2012, 2013-2014 and 2015-2016; adults from 18 who were examined. The file holds weighted summaries
of cells of more than 500 people and no record of anyone: no participant can be identified from it, and none may be.
Age is in completed years; 80 means 80 or older. Body measures and lipids are missing at 18 and 19, where those of 20
to 29 stand for them. eGFR is of CKD-EPI 2021, per 1.73 m2 of body surface. Body-mass index follows from height and
weight. Heart rate was recorded in 2009-2012 only.
Diastolic pressures are means of up to three readings, in which NHANES records 0 where the sounds never vanish.
Means below 30 mmHg (22 of 22,656) come from such readings and count as missing; a zero among higher ones cannot be
told. Other missing values are left out variable by variable, and pair by pair in correlations.
effective_n is Kish's (sum w)^2 / sum w^2: it knows of the weights, not of the survey's clusters, so true uncertainty
is somewhat larger."""

WEIGHT = "weight_mec"
LEAST_DIASTOLIC = 30.0
LEAST_AGE = 18
BANDS = ((18, 29), (30, 39), (40, 49), (50, 59), (60, 69), (70, 79), (80, 80))
SEXES = {"female": "Women", "male": "Men"}


class Column(NamedTuple):
    name: str
    unit: str
    title: str
    header: str
    digits: int  # decimals kept in the file: one more than the survey's


COLUMNS = (
    Column("height", "cm", "standing height", "height_cm", 2),
    Column("weight", "kg", "body weight", "weight_kg", 2),
    Column("waist", "cm", "waist circumference", "waist_cm", 2),
    Column("systolic_pressure", "mmHg", "systolic blood pressure", "sbp_mmHg", 2),
    Column("diastolic_pressure", "mmHg", "diastolic blood pressure", "dbp_mmHg", 2),
    Column("heart_rate", "1/min", "heart rate at rest", "heart_rate_bpm", 2),
    Column("egfr", "mL/min", "glomerular filtration rate per 1.73 m2, CKD-EPI 2021", "egfr_ckdepi", 2),
    Column("cholesterol_total", "mg/dL", "total cholesterol", "chol_total_mgdl", 1),
    Column("cholesterol_hdl", "mg/dL", "HDL cholesterol", "hdl_mgdl", 2),
    Column("hba1c", "%", "glycated haemoglobin", "hba1c_pct", 3),
)

# Dense in the tails, so that means and standard deviations of skewed variables hold between straight lines.
PROBABILITIES = (
    *(0.0, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075),
    *(round(0.1 + 0.05 * i, 2) for i in range(17)),
    *(0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.993, 0.995, 0.9975, 0.999, 1.0),
)
TARGET_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def mean_and_sd(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Weighted mean and standard deviation of `values`, (row,)."""
    mean = float(np.average(values, weights=weights))
    return mean, math.sqrt(float(np.average((values - mean) ** 2, weights=weights)))


def quantiles(values: np.ndarray, weights: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Weighted quantiles, the value at the middle of its own weight: rounded measurements are smoothed without bias.

    Parzen 2004, Stat Sci 19:652 (mid-distribution function).
    """
    distinct, place = np.unique(values, return_inverse=True)
    each = np.bincount(place, weights=weights)
    middle = (np.cumsum(each) - each / 2.0) / each.sum()
    return np.interp(probabilities, middle, distinct)


def ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mid-ranks in (0, 1), ties sharing one."""
    _, place = np.unique(values, return_inverse=True)
    each = np.bincount(place, weights=weights)
    return ((np.cumsum(each) - each / 2.0) / each.sum())[place]


def rank_correlation(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> float:
    """Weighted Spearman correlation: Pearson's of weighted mid-ranks; 0 where one does not vary."""
    a, b = ranks(first, weights), ranks(second, weights)
    a, b = a - np.average(a, weights=weights), b - np.average(b, weights=weights)
    spread = math.sqrt(float(weights @ (a * a)) * float(weights @ (b * b)))
    return float(weights @ (a * b)) / spread if spread > 1e-12 else 0.0


def effective_n(weights: np.ndarray) -> float:
    """Kish's effective sample size, (sum w)^2 / sum w^2."""
    return float(weights.sum() ** 2 / (weights @ weights))


def read(data: Path) -> pd.DataFrame:
    """The survey with the names used here, artefacts taken out, bmi from height and weight.

    Raises ValueError where the file or a column is not there.
    """
    try:
        raw = pd.read_csv(data)
    except (OSError, ValueError) as error:
        raise ValueError(f"{data}: cannot be read as CSV ({error}); give the NHANES file") from error
    wanted = ("cycle", WEIGHT, "age_years", "sex", *(column.header for column in COLUMNS))
    missing = [header for header in wanted if header not in raw]
    if missing:
        raise ValueError(f"{data}:1: no column {', '.join(missing)}; give the NHANES file with these headers")
    for header in (WEIGHT, "age_years", *(column.header for column in COLUMNS)):
        _check_numbers(data, raw[header])
    raw = raw[raw["age_years"] >= LEAST_AGE].reset_index(drop=True)
    survey = raw[["cycle", WEIGHT]].copy()
    survey["age"] = raw["age_years"].astype(float)
    survey["sex"] = raw["sex"].map({text: level for level, text in SEXES.items()})
    for column in COLUMNS:
        survey[column.name] = raw[column.header].astype(float)
    artefact = survey["diastolic_pressure"] < LEAST_DIASTOLIC
    survey.loc[artefact, "diastolic_pressure"] = math.nan
    survey["bmi"] = survey["weight"] / (survey["height"] / 100.0) ** 2
    return survey


def _check_numbers(data: Path, column: pd.Series) -> None:
    """Raises ValueError that names the line of the first text where a number belongs."""
    wrong = pd.to_numeric(column, errors="coerce").isna() & column.notna()
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{data}:{at + 2}: {column.name} '{column[at]}' is no number; mend the cell, or leave it empty"
        )


def complete(survey: pd.DataFrame, *names: str) -> tuple[np.ndarray, ...]:
    """The columns where none is missing, and their weights divided by the number of cycles that measured them."""
    rows = survey[[*names, "cycle", WEIGHT]].dropna()
    weights = rows[WEIGHT].to_numpy(float) / max(rows["cycle"].nunique(), 1)
    return (*(rows[name].to_numpy(float) for name in names), weights)


def _cells(survey: pd.DataFrame) -> Iterator[dict[str, Any]]:
    total = survey[WEIGHT].sum()
    names = [column.name for column in COLUMNS]
    for sex, (youngest, oldest) in itertools.product(SEXES, BANDS):
        cell = survey[(survey["sex"] == sex) & survey["age"].between(youngest, oldest)]
        tables, sizes = {}, {}
        for column in COLUMNS:
            values, weights = complete(cell, column.name)
            table = quantiles(values, weights, np.array(PROBABILITIES))
            tables[column.name] = [round(float(value), column.digits) for value in table]
            sizes[column.name] = round(effective_n(weights))
        correlated = ["age", *names]
        yield {
            "sex": sex,
            "ages": [youngest, oldest],
            "share": round(float(cell[WEIGHT].sum() / total), 6),
            "people": len(cell),
            "effective_n": sizes,
            "quantiles": tables,
            "rank_correlations": {
                name: [round(rank_correlation(*complete(cell, name, other)), 4) for other in correlated[:row]]
                for row, name in enumerate(correlated)
                if row > 0
            },
        }


def _targets(survey: pd.DataFrame) -> dict[str, Any]:
    names = ["age", *(column.name for column in COLUMNS), "bmi"]
    statistics = {}
    for name in names:
        values, weights = complete(survey, name)
        mean, sd = mean_and_sd(values, weights)
        inner = quantiles(values, weights, np.array(TARGET_QUANTILES))
        statistics[name] = [round(float(number), 4) for number in (mean, sd, *inner)]
    return {
        "statistics": ["mean", "sd", *(f"{100 * p:g} %" for p in TARGET_QUANTILES)],
        "values": statistics,
        "rank_correlations": {
            name: [round(rank_correlation(*complete(survey, name, other)), 4) for other in names[:row]]
            for row, name in enumerate(names)
            if row > 0
        },
    }


def _ages(survey: pd.DataFrame, sex: str) -> list[float]:
    group = survey[survey["sex"] == sex]
    by_age = group.groupby("age")[WEIGHT].sum() / group[WEIGHT].sum()
    return [round(float(by_age.get(age, 0.0)), 6) for age in range(LEAST_AGE, BANDS[-1][1] + 1)]


def fit(data: Path) -> str:
    """The library file `us-adults` derived from the NHANES file `data`, as YAML text; the same for the same file.

    Raises ValueError where the file or a column is not there.
    """
    survey = read(Path(data))
    groups = {sex: survey.loc[survey["sex"] == sex, WEIGHT].to_numpy(float) for sex in SEXES}
    everyone = survey[WEIGHT].to_numpy(float)
    library = {
        "name": "us-adults",
        "title": "Adults of the United States, 18 years and older, 2009-2016",
        "source": "NHANES 2009-2016, National Center for Health Statistics; summaries weighted by examination weight",
        "licence": "public domain (work of the US government)",
        "command": "trialtwin populations fit --data nhanes_core_2009_2016.csv --out us-adults.yaml",
        "data_sha256": hashlib.sha256(Path(data).read_bytes()).hexdigest(),
        "people": len(survey),
        "notes": NOTES + "\n",
        "variables": [
            {"name": "age", "unit": "year", "title": "age in completed years, 80 = 80 or older"},
            *({"name": column.name, "unit": column.unit, "title": column.title} for column in COLUMNS),
            {"name": "bmi", "unit": "kg/m^2", "title": "body-mass index, from height and weight"},
        ],
        "sex": {
            "shares": {sex: round(float(weights.sum() / everyone.sum()), 6) for sex, weights in groups.items()},
            "effective_n": round(effective_n(everyone)),
        },
        "ages": {
            "youngest": LEAST_AGE,
            "effective_n": {sex: round(effective_n(weights)) for sex, weights in groups.items()},
            "shares": {sex: _ages(survey, sex) for sex in SEXES},
        },
        "targets": _targets(survey),
        "probabilities": list(PROBABILITIES),
        "cells": list(_cells(survey)),
    }
    return yaml.dump(library, Dumper=_Readable, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


class _Readable(yaml.SafeDumper):
    """Keeps paragraphs as paragraphs and never abbreviates by anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Readable.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)
