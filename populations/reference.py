"""Reference populations of the library: covariates of a people, by sex and age band.

A patient's first point picks the sex, the second the age in completed years and with it the band. Within the cell of
both, the rank of the age in its band and all other covariates are joined by the cell's Gaussian copula, and each
covariate has the cell's own quantiles. So overall correlations come from trends with sex and age and within cells.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.special import ndtr, ndtri

from populations import copula
from populations.distributions import Categorical
from populations.inputs import Input
from populations.margin import STUDY_FILE, Frequencies, Margin
from populations.variable import Variable

LIBRARY = Path(__file__).parent / "library"


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """A library file as arrays. Cells run over sexes, then bands; variables are those with a quantile table."""

    name: str
    title: str
    source: str
    sha256: str
    covariates: tuple[Variable, ...]
    targets: Mapping[str, Any]
    variables: tuple[str, ...]
    sexes: Categorical
    sexes_n: float
    youngest: int
    ages: np.ndarray  # share of each age, (sex, age)
    ages_n: np.ndarray  # (sex,)
    bands: np.ndarray  # first age of each, (band,)
    probabilities: np.ndarray  # (quantile,)
    tables: np.ndarray  # (cell, variable, quantile)
    cholesky: np.ndarray  # of age in band, then the variables, (cell, 1 + variable, 1 + variable)
    n: np.ndarray  # effective number of people, (cell, variable)
    location: np.ndarray  # of the normal scores, (cell, variable)
    scale: np.ndarray
    overrides: Mapping[str, Margin | Frequencies] = dataclasses.field(default_factory=dict)

    @property
    def dimensions(self) -> int:
        return len(self.inputs)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Sex, age given sex, then of each covariate what it has beyond those before it."""
        sexes = self.overrides.get("sex")
        shares = sexes.distribution if isinstance(sexes, Frequencies) else self.sexes
        found = [Input("sex", "sex", "levels", "sex", shares.levels, shares.shares)]
        for name in ("age", *self.variables):
            given = ", ".join(each.name for each in found)
            found.append(Input(name, f"{name}, given {given}", "uniform" if name == "age" else "normal", name))
        return tuple(found)

    def identity(self) -> dict[str, Any]:
        """What the draws depend on, as plain data."""
        return {"sha256": self.sha256, "replaced": {name: one.identity() for name, one in self.overrides.items()}}

    def replacing(self, own: Mapping[str, Margin | Frequencies]) -> "Reference":
        """The population with those of its covariates replaced that are in `own`; other names there are passed over.

        A replaced sex or age still chooses the cell; any other covariate keeps its rank within the cell.
        Raises ValueError for one that follows from others.
        """
        overrides = {}
        covariates = []
        for variable in self.covariates:
            if variable.name in own:
                one = overrides[variable.name] = own[variable.name]
                if variable.name not in ("sex", "age", *self.variables):
                    raise ValueError(f"covariate '{variable.name}' is a {variable.description}; replace those instead")
                variable = dataclasses.replace(
                    variable,
                    source=STUDY_FILE,
                    evidence="assumed",
                    description=one.describe(variable.unit),
                    typical=one.typical,
                )
            covariates.append(variable)
        return dataclasses.replace(self, covariates=tuple(covariates), overrides=overrides)

    def draw(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Covariates of patients with these points, (patient, dimensions)."""
        sexes = self.overrides.get("sex")
        sex = (self.sexes if sexes is None else sexes).ppf(points[:, 0]).astype(int)
        age, rank = self._age(sex, points[:, 1])
        band = np.searchsorted(self.bands, np.floor(age), side="right") - 1
        cell = sex * len(self.bands) + np.clip(band, 0, None)

        scores = [ndtri(rank), *(ndtri(points[:, 2 + j]) for j in range(len(self.variables)))]
        joined = copula.correlate(np.moveaxis(self.cholesky[cell], 0, -1), scores)
        drawn = {"sex": sex.astype(float), "age": age}
        for j, name in enumerate(self.variables):
            u = ndtr(self.location[cell, j] + self.scale[cell, j] * joined[1 + j])
            given = self.overrides.get(name)
            if given is None:
                drawn[name] = self._quantile(cell, j, u)
            else:
                drawn[name] = given.ppf(np.clip(u, 2.0**-53, 1.0 - 2.0**-53))
        if {"height", "weight"} <= drawn.keys():
            drawn["bmi"] = drawn["weight"] / (drawn["height"] / 100.0) ** 2
        return {covariate.name: drawn[covariate.name] for covariate in self.covariates}

    def _age(self, sex: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Age [year], and its rank within the band in (0, 1)."""
        # Ages by number from the youngest: `until[s, a]` is the share of sex s younger than a.
        until = np.concatenate([np.zeros((len(self.ages), 1)), np.cumsum(self.ages, axis=1)], axis=1)
        until /= until[:, -1:]
        oldest = self.ages.shape[1] - 1
        age = np.empty_like(u)
        place = u.copy()
        given = self.overrides.get("age")
        for s in range(len(self.ages)):
            of = sex == s
            if given is None:
                index = np.searchsorted(until[s, 1:-1], u[of], side="right")
                age[of] = index + float(self.youngest)
            else:
                age[of] = given.ppf(u[of])
                number = np.clip(age[of] - self.youngest, 0.0, oldest + 0.999)
                place[of] = np.interp(number, np.arange(oldest + 2), until[s])
        starts = (self.bands - self.youngest).astype(int)
        band = np.searchsorted(self.bands, np.clip(np.floor(age), self.youngest, None), side="right") - 1
        low = until[sex, starts[band]]
        high = until[sex, np.append(starts[1:], oldest + 1)[band]]
        rank = (place - low) / np.maximum(high - low, 1e-300)
        return age, np.clip(rank, 2.0**-31, 1.0 - 2.0**-31)

    def _quantile(self, cell: np.ndarray, variable: int, u: np.ndarray) -> np.ndarray:
        p = self.probabilities
        left = np.clip(np.searchsorted(p, u, side="right") - 1, 0, len(p) - 2)
        share = (u - p[left]) / (p[left + 1] - p[left])
        low, high = self.tables[cell, variable, left], self.tables[cell, variable, left + 1]
        return low + share * (high - low)

    def resampled(self, rng: np.random.Generator) -> "Reference":
        """The population as it may as well be: shares, ages, and location and scale of each cell's normal scores.

        Shares ~ Dirichlet(n f); location ~ N(0, R / n) with R the cell's correlations; log scale ~ N(0, 1 / 2(n - 1)).
        """
        sexes = tuple(
            share / sum(self.sexes.shares) for share in _gammas(self.sexes_n * np.array(self.sexes.shares), rng)
        )
        ages = np.stack([_gammas(n * shares, rng) for n, shares in zip(self.ages_n, self.ages, strict=True)])
        cells, variables = self.n.shape
        errors = rng.standard_normal((cells, 1 + variables))
        location = np.stack([(self.cholesky[c] @ errors[c])[1:] for c in range(cells)]) / np.sqrt(self.n)
        scale = np.exp(rng.standard_normal((cells, variables)) / np.sqrt(2.0 * (self.n - 1.0)))
        return dataclasses.replace(
            self,
            sexes=dataclasses.replace(self.sexes, shares=sexes),
            ages=ages,
            location=location,
            scale=scale,
            overrides={name: margin.resampled(rng) for name, margin in self.overrides.items()},
        )


def _gammas(shapes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A Dirichlet draw by normalised gammas; a shape of 0 stays 0."""
    drawn = rng.standard_gamma(shapes)
    return drawn / drawn.sum()


def names() -> list[str]:
    """The reference populations of the library."""
    return sorted(path.stem for path in LIBRARY.glob("*.yaml"))


@functools.cache
def load(name: str) -> Reference:
    """The reference population `name`. Raises ValueError naming the known ones."""
    if name not in names():
        known = ", ".join(names())
        raise ValueError(f"reference '{name}' is not known; write one of: {known}, or a .csv or .parquet file")
    content = (LIBRARY / f"{name}.yaml").read_bytes()
    # The C loader where PyYAML was built with it.
    return _of(yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), content)


def _of(library: Mapping[str, Any], content: bytes) -> Reference:
    cells = library["cells"]
    variables = tuple(cells[0]["quantiles"])
    shares = library["sex"]["shares"]
    sexes = tuple(shares)
    ages = library["ages"]
    return Reference(
        name=library["name"],
        title=library["title"],
        source=library["source"],
        sha256=hashlib.sha256(content).hexdigest(),
        covariates=_described(library),
        targets=library["targets"],
        variables=variables,
        sexes=Categorical(sexes, tuple(shares.values())),
        sexes_n=library["sex"]["effective_n"],
        youngest=ages["youngest"],
        ages=np.array([ages["shares"][sex] for sex in sexes]),
        ages_n=np.array([ages["effective_n"][sex] for sex in sexes], float),
        bands=np.array([cell["ages"][0] for cell in cells if cell["sex"] == sexes[0]], float),
        probabilities=np.array(library["probabilities"]),
        tables=np.array([[cell["quantiles"][name] for name in variables] for cell in cells]),
        cholesky=np.stack([_cholesky(cell["rank_correlations"], variables) for cell in cells]),
        n=np.array([[cell["effective_n"][name] for name in variables] for cell in cells], float),
        location=np.zeros((len(cells), len(variables))),
        scale=np.ones((len(cells), len(variables))),
    )


def _cholesky(triangle: Mapping[str, list[float]], variables: tuple[str, ...]) -> np.ndarray:
    spearman = np.eye(1 + len(variables))
    for row, name in enumerate(variables, start=1):
        spearman[row, :row] = spearman[:row, row] = triangle[name]
    pearson = copula.pearson_of_spearman(spearman)
    np.fill_diagonal(pearson, 1.0)
    return np.linalg.cholesky(copula.nearest_correlation(pearson))


def _described(library: Mapping[str, Any]) -> tuple[Variable, ...]:
    source = library["source"]
    median = library["targets"]["statistics"].index("50 %")
    shares = library["sex"]["shares"]
    sexes = Categorical(tuple(shares), tuple(shares.values()))
    described = [
        Variable("sex", "1", "covariate", sexes.levels, "sex", source, "fitted", sexes.describe("1"), sexes.mode)
    ]
    words = {"age": "weighted frequencies of completed years, by sex", "bmi": "weight divided by height squared"}
    for variable in library["variables"]:
        name = variable["name"]
        description = words.get(name, "weighted quantiles by sex and age band")
        typical = library["targets"]["values"][name][median]
        described.append(
            Variable(name, variable["unit"], "covariate", (), variable["title"], source, "fitted", description, typical)
        )
    return tuple(described)
