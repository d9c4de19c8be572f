"""Derives the reference population of adults with type-1 diabetes, and how the glucose twin's parameters go with it.

Thirty virtual patients are published, ten of each age class. Scores are logarithms (logits for shares of a meal); their
means and SDs are those of the ten adults, their correlations those of all thirty within their classes, shrunk towards
none by the share that leaves the smallest expected error:

    lambda = sum_i<j Var(r_ij) / sum_i<j r_ij^2,   R* = (1 - lambda) R + lambda 1

The patients so drawn are synthetic: they are not the cohort of 300 that a regulator accepted.
Schaefer & Strimmer 2005, Stat Appl Genet Mol Biol 4:32.

    python -m populations.type1 FOLDER      writes both files; FOLDER holds the two tables of simglucose
"""

import hashlib
import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from scipy.special import ndtr, ndtri

from populations.fit import PROBABILITIES, TARGET_QUANTILES, _Readable

TABLES = ("simglucose_vpatient_params.csv", "simglucose_Quest.csv")
CLASSES = ("adult", "adolescent", "child")
OLDEST = 80
YOUNGEST = 18
FARTHEST = 2.0  # SDs from the mean: where the farthest of what a clinic knows of the ten lies


class Known(NamedTuple):
    """What a clinic knows: name, unit, title, decimals kept."""

    name: str
    unit: str
    title: str
    digits: int


KNOWN = (
    Known("weight", "kg", "body weight", 2),
    Known("total_daily_insulin", "U/day", "insulin of a day", 2),
    Known("basal_rate", "U/h", "basal rate that keeps fasting glucose steady", 4),
    Known("carbohydrate_ratio", "g/U", "carbohydrate that a unit of insulin covers", 3),
    Known("correction_factor", "mg/dL/U", "fall of glucose from a unit of insulin", 3),
)
# Of the model, as its papers write them; the others are fixed or follow from the basal state.
LOGARITHMS = (
    *("Gb", "EGPb", "kabs", "kmax", "kmin", "Vg", "Vi", "Vmx", "Km0", "k2", "k1"),
    *("p2u", "m1", "m2", "ki", "kp2", "kp3", "kd", "ksc", "ka1", "ka2"),
)
LOGITS = ("b", "d")


class Fitted(NamedTuple):
    """Scores of adults: means and SDs (number,), correlations (number, number), what was shrunk, the data's hash."""

    names: tuple[str, ...]
    means: np.ndarray
    sds: np.ndarray
    correlations: np.ndarray
    shrunk: float
    sha256: str


def read(folder: Path) -> tuple[pd.DataFrame, str]:
    """Scores of the thirty, a column each and their class, and the hash of the tables."""
    paths = [Path(folder) / name for name in TABLES]
    for path in paths:
        if not path.exists():
            raise ValueError(f"{path}: there is no such file; give the folder with {' and '.join(TABLES)}")
    patients = pd.read_csv(paths[0]).merge(pd.read_csv(paths[1]), on="Name")
    scores = pd.DataFrame({"class": patients["Name"].str.split("#").str[0], "age": np.log(patients["Age"])})
    basal = patients["u2ss"] * patients["BW"] / 100.0  # pmol/kg/min as U/h: 60 / 6000
    for name, values in zip(
        (known.name for known in KNOWN),
        (patients["BW"], patients["TDI"], basal, patients["CR"], patients["CF"]),
        strict=True,
    ):
        scores[name] = np.log(values)
    for name in LOGARITHMS:
        scores[name] = np.log(patients[name])
    for name in LOGITS:
        scores[name] = np.log(patients[name] / (1.0 - patients[name]))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
    return scores, digest


def fit(folder: Path) -> Fitted:
    scores, digest = read(folder)
    names = tuple(str(name) for name in scores if name != "class")
    adults = scores.loc[scores["class"] == "adult", list(names)]
    z = []
    for one in CLASSES:
        own = scores.loc[scores["class"] == one, list(names)].to_numpy()
        z.append((own - own.mean(0)) / own.std(0, ddof=1))
    correlations, shrunk = shrink(np.concatenate(z), len(CLASSES))
    return Fitted(names, adults.mean().to_numpy(), adults.std(ddof=1).to_numpy(), correlations, shrunk, digest)


def shrink(z: np.ndarray, classes: int) -> tuple[np.ndarray, float]:
    """Correlations of standardised columns (row, column), shrunk towards none, and by how much."""
    n = len(z)
    freedom = n - classes
    r = z.T @ z / freedom
    products = z[:, :, None] * z[:, None, :]
    variance = n / freedom**3 * ((products - products.mean(0)) ** 2).sum(0)
    off = ~np.eye(len(r), dtype=bool)
    share = min(1.0, float(variance[off].sum() / (r[off] ** 2).sum()))
    return np.where(off, (1.0 - share) * r, 1.0), share


def library(fitted: Fitted) -> str:
    """The library file `type-1-adults`, as YAML text."""
    rows = {name: i for i, name in enumerate(fitted.names)}
    known = [known.name for known in KNOWN]
    columns = {one.name: one for one in KNOWN}
    spearman = 6.0 / math.pi * np.arcsin(fitted.correlations / 2.0)
    probabilities = np.array(PROBABILITIES)
    scores = np.clip(ndtri(np.clip(probabilities, 1e-300, 1.0)), -FARTHEST, FARTHEST)
    tables = {
        name: [round(float(v), columns[name].digits) for v in np.exp(_at(fitted, name, scores))] for name in known
    }
    triangle = {
        name: [round(float(spearman[rows[name], rows[other]]), 4) for other in ("age", *known[:i])]
        for i, name in enumerate(known)
    }
    ages = np.arange(YOUNGEST, OLDEST + 1)
    edges = (np.log(np.arange(YOUNGEST, OLDEST + 2)) - fitted.means[rows["age"]]) / fitted.sds[rows["age"]]
    shares = np.diff(ndtr(edges))
    shares = [round(float(share), 6) for share in shares / shares.sum()]
    cells = [
        {
            "sex": sex,
            "ages": [YOUNGEST, OLDEST],
            "share": 0.5,
            "people": 10,
            "effective_n": dict.fromkeys(known, 10),
            "quantiles": tables,
            "rank_correlations": triangle,
        }
        for sex in ("female", "male")
    ]
    content = {
        "name": "type-1-adults",
        "title": "Synthetic adults with type-1 diabetes, after ten published virtual patients",
        "source": "log-normal fit to the 10 adults of simglucose 0.2.11 (UVA/Padova S2008), synthetic",
        "licence": "MIT (simglucose)",
        "command": "python -m populations.type1 ../shared/data",
        "data_sha256": fitted.sha256,
        "people": 10,
        "notes": (
            "Synthetic. Medians and SDs of logarithms are those of ten published virtual adults, cut at 2 SDs;\n"
            f"correlations those of thirty of three age classes, within classes, shrunk by {fitted.shrunk:.3f}.\n"
            "It is not the cohort of 300 that a regulator accepted. The sex of the ten is not published: half and\n"
            "half is assumed, and nothing depends on it. How the twin's parameters go with these is in the twin.\n"
        ),
        "variables": [
            {"name": "age", "unit": "year", "title": "age in completed years"},
            *({"name": one.name, "unit": one.unit, "title": one.title} for one in KNOWN),
        ],
        "sex": {"shares": {"female": 0.5, "male": 0.5}, "effective_n": 10},
        "ages": {
            "youngest": YOUNGEST,
            "effective_n": {"female": 10, "male": 10},
            "shares": {"female": shares, "male": shares},
        },
        "targets": _targets(tables, probabilities, ages, shares, ["age", *known], spearman, rows),
        "probabilities": list(PROBABILITIES),
        "cells": cells,
    }
    return yaml.dump(content, Dumper=_Readable, sort_keys=False, default_flow_style=None, width=120)


def _at(fitted: Fitted, name: str, z: np.ndarray) -> np.ndarray:
    i = fitted.names.index(name)
    return fitted.means[i] + fitted.sds[i] * z


def _targets(
    tables: dict[str, list[float]],
    probabilities: np.ndarray,
    ages: np.ndarray,
    shares: list[float],
    names: list[str],
    spearman: np.ndarray,
    rows: dict[str, int],
) -> dict[str, Any]:
    """What draws must attain: of the quantile tables themselves, straight between their points."""
    u = (np.arange(200_000) + 0.5) / 200_000
    values = {}
    for name in names:
        if name == "age":
            drawn = np.interp(u, np.concatenate([[0.0], np.cumsum(shares)]), np.append(ages, ages[-1] + 1))
            drawn = np.floor(drawn)
        else:
            drawn = np.interp(u, probabilities, tables[name])
        row = [drawn.mean(), drawn.std(), *np.quantile(drawn, TARGET_QUANTILES)]
        values[name] = [round(float(v), 4) for v in row]
    return {
        "statistics": ["mean", "sd", *(f"{round(100 * q)} %" for q in TARGET_QUANTILES)],
        "values": values,
        "rank_correlations": {
            name: [round(float(spearman[rows[name], rows[other]]), 4) for other in names[:i]]
            for i, name in enumerate(names)
            if i
        },
    }


def adults(fitted: Fitted) -> str:
    """The twin's table of adults, as Python text.

    Of every score, its mean, its SD, and what is expected of it given those before it: z_i = sum_j w_ij z_j + s_i e_i.
    """
    names = [name for name in fitted.names if name != "age"]
    places = [fitted.names.index(name) for name in names]
    factor = np.linalg.cholesky(fitted.correlations[np.ix_(places, places)])
    inverse = np.linalg.inv(factor / np.diag(factor))  # unit lower triangle: e = inverse z
    lines = [
        '"""Ten published virtual adults as scores: means, SDs, and how each goes with those before it.',
        "",
        "Written by `python -m populations.type1`, which says how; synthetic patients come of it.",
        f"Correlations are shrunk by {fitted.shrunk:.3f}. Scores are logarithms, of b and d logits.",
        '"""',
        "",
        f"NAMES = {tuple(names)!r}",
        f"MEANS = {tuple(round(float(fitted.means[i]), 6) for i in places)!r}",
        f"SDS = {tuple(round(float(fitted.sds[i]), 6) for i in places)!r}",
        "# of what those before leave open, in SDs",
        f"OPEN = {tuple(round(float(v), 6) for v in np.diag(factor))!r}",
        "# one row a score, one weight for each before it",
        "WEIGHTS: tuple[tuple[float, ...], ...] = (",
        *(f"    {tuple(round(float(-v), 4) for v in inverse[i, :i])!r}," for i in range(len(names))),
        ")",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    folder = Path(sys.argv[1])
    root = Path(__file__).parents[1]
    fitted = fit(folder)
    (root / "populations/library/type-1-adults.yaml").write_text(library(fitted), encoding="utf-8")
    (root / "solvers/twins/glucose/adults.py").write_text(adults(fitted), encoding="utf-8")


if __name__ == "__main__":
    main()
