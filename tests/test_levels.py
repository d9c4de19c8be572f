"""Level and coverage of every method over 20,000 null data sets, as the table of analysis/statistics/README.md says."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import stats

import analysis.statistics
from analysis.statistics import two_means
from analysis.statistics.ancova import ancova
from analysis.statistics.binary import chi_square, difference, fisher, odds, ratio, standardised, stratified
from analysis.statistics.clusters import clustered
from analysis.statistics.crossover import two_by_two
from analysis.statistics.mmrm.model import mmrm
from analysis.statistics.multiplicity import adjustment, dunnett, graph
from analysis.statistics.sequential.boundaries import boundary
from analysis.statistics.sizes.simulation import band
from analysis.statistics.survival.cox import cox
from analysis.statistics.survival.logrank import logrank
from analysis.statistics.survival.maxcombo import maxcombo
from analysis.statistics.survival.milestone import milestone
from analysis.statistics.survival.restricted_mean import restricted_mean_difference
from analysis.statistics.wins.outcome import Outcome
from analysis.statistics.wins.statistics import win_statistics

SETS, ALPHA, BLOCK = 20_000, 0.05, 1_000
CONTRAST = (1, 0)
TABLE = Path(str(analysis.statistics.__file__)).with_name("README.md")
BAND = band(SETS, ALPHA)  # a method of level 5 % leaves it once in fifty thousand

NOMINAL, CAUTIOUS, LIBERAL = "nominal", "at most", "liberal"


class Method(NamedTuple):
    """One row of the table. told(rng, sets) -> p-values and, where there is an interval, whether it holds the truth,
    each (sets,). kind: what its level is held to."""

    name: str
    data: str
    kind: str
    told: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray | None]]


def arms(sets: int, each: int) -> np.ndarray:
    return np.broadcast_to(np.repeat([1, 0], each), (sets, 2 * each))


def by(estimate: Any, truth: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A set that has no estimate rejects nothing, and its interval holds everything."""
    outside = (estimate.lower > truth) | (estimate.upper < truth)
    return np.where(np.isnan(estimate.p), 1.0, estimate.p), ~outside


def means(pooled: bool, ratio: float, each: int = 20) -> Callable:
    def told(rng: np.random.Generator, sets: int) -> tuple:
        sd = np.repeat([ratio, 1.0], each)
        return by(
            two_means.t_test(sd * rng.standard_normal((sets, 2 * each)), arms(sets, each), CONTRAST, pooled=pooled)
        )

    return told


def adjusted(robust: str) -> Callable:
    def told(rng: np.random.Generator, sets: int) -> tuple:
        x, e = rng.standard_normal((2, sets, 40))
        site = rng.integers(0, 3, (sets, 40))
        return by(ancova(x + e, arms(sets, 20), CONTRAST, {"x": x}, {"site": site}, robust=robust))

    return told


def repeated(degrees: str) -> Callable:
    def told(rng: np.random.Generator, sets: int) -> tuple:
        root = np.linalg.cholesky(0.6 ** np.abs(np.subtract.outer(np.arange(3), np.arange(3))))
        values = rng.standard_normal((sets, 30, 3)) @ root.T
        for visit in (1, 2):  # a tenth leaves before each visit
            values[..., visit:][rng.random((sets, 30)) < 0.1] = np.nan
        found = mmrm(values, arms(sets, 15), CONTRAST, degrees=degrees)
        return by(type(found)(*(column[..., -1] for column in found)))

    return told


def periods(rng: np.random.Generator, sets: int) -> tuple:
    own = rng.standard_normal((sets, 20, 1))
    return by(two_by_two(own + rng.standard_normal((sets, 20, 2)), arms(sets, 10), CONTRAST).treatment)


def in_clusters(kind: str, satterthwaite: bool) -> Callable:
    def told(rng: np.random.Generator, sets: int) -> tuple:
        cluster = np.repeat(np.arange(12), 8)
        values = 0.5 * rng.standard_normal((sets, 12))[:, cluster] + rng.standard_normal((sets, 96))
        where = np.broadcast_to(cluster, values.shape)
        found = clustered(values, where % 2, where, CONTRAST, kind=kind, satterthwaite=satterthwaite)
        return by(found)

    return told


def responders(rng: np.random.Generator, sets: int, each: int, p: float) -> np.ndarray:
    return (rng.random((sets, 2 * each)) < p).astype(float)


def shares(of: Callable, truth: float, each: int, p: float, **options: Any) -> Callable:
    def told(rng: np.random.Generator, sets: int) -> tuple:
        return by(of(responders(rng, sets, each, p), arms(sets, each), CONTRAST, **options), truth)

    return told


def pearson(rng: np.random.Generator, sets: int) -> tuple:
    return np.nan_to_num(chi_square.chi_square(responders(rng, sets, 50, 0.3), arms(sets, 50)).p, nan=1.0), None


def exact(mid: bool) -> Callable:
    def told(rng: np.random.Generator, sets: int) -> tuple:
        return fisher.fisher_test(responders(rng, sets, 30, 0.3), arms(sets, 30), CONTRAST, mid=mid).both, None

    return told


def in_strata(rng: np.random.Generator, sets: int) -> tuple:
    strata = rng.integers(0, 3, (sets, 100))
    values = (rng.random((sets, 100)) < np.array([0.2, 0.4, 0.6])[strata]).astype(float)
    return stratified.cmh(values, arms(sets, 50), CONTRAST, strata).p, None


def marginal(variance: str) -> Callable:
    def told(rng: np.random.Generator, sets: int) -> tuple:
        x = rng.standard_normal((sets, 1, 200))
        values = (rng.random((sets, 200)) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
        return by(standardised.standardised(values, arms(sets, 100), CONTRAST, x, variance=variance).estimate)

    return told


def followed(rng: np.random.Generator, sets: int, each: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exponential times of mean 1, followed for a uniform time from 0.5 to 2."""
    event, end = rng.standard_exponential((sets, 2 * each)), rng.uniform(0.5, 2.0, (sets, 2 * each))
    return np.minimum(event, end), event <= end, arms(sets, each)


def lasting(method: Callable, each: int, *given: Any, **options: Any) -> Callable:
    def told(rng: np.random.Generator, sets: int) -> tuple:
        return by(method(*followed(rng, sets, each), CONTRAST, *given, **options))

    return told


def strongest(rng: np.random.Generator, sets: int) -> tuple:
    return maxcombo(*followed(rng, sets, 50), CONTRAST).p, None


def hazards(rng: np.random.Generator, sets: int) -> tuple:
    times, events, arm = followed(rng, sets, 50)
    found = cox(times, events, {"arm": arm})
    return found.p[..., 0], (found.lower[..., 0] <= 0.0) & (found.upper[..., 0] >= 0.0)


def hierarchy(which: str, each: int, truth: float) -> Callable:
    def told(rng: np.random.Generator, sets: int) -> tuple:
        times, events, arm = followed(rng, sets, each)
        outcomes = [Outcome(times, events), Outcome(rng.standard_normal(times.shape))]
        return by(getattr(win_statistics(outcomes, arm, CONTRAST), which), truth)

    return told


def looks(rule: str) -> Callable:
    def told(rng: np.random.Generator, sets: int) -> tuple:
        bounds = boundary(5, rule, ALPHA, sided=2)
        z = np.cumsum(rng.standard_normal((sets, 5)), -1) / np.sqrt(np.arange(1, 6))
        return np.where((np.abs(z) >= bounds).any(-1), 0.0, 1.0), None

    return told


def several(method: str) -> Callable:
    def told(rng: np.random.Generator, sets: int) -> tuple:
        z = np.sqrt(0.5) * (rng.standard_normal((sets, 4)) + rng.standard_normal((sets, 1)))
        return adjustment.adjusted(2 * stats.norm.sf(np.abs(z)), method).min(-1), None

    return told


def gates(rng: np.random.Generator, sets: int) -> tuple:
    """Two doses, each with a second endpoint that its first must open."""
    plan = graph.graph([0.5, 0.5, 0, 0], [[0, 0.5, 0.5, 0], [0.5, 0, 0, 0.5], [0, 1, 0, 0], [1, 0, 0, 0]])
    return graph.shortcut(plan, rng.random((sets, 4)), ALPHA).adjusted_p.min(-1), None


def many_to_one(rng: np.random.Generator, sets: int) -> tuple:
    arm = np.broadcast_to(np.repeat([0, 1, 2, 3], 12), (sets, 48))
    return dunnett.dunnett(rng.standard_normal((sets, 48)), arm, 0).p.min(-1), None


METHODS = [
    Method("t, pooled", "2 x 20 normal", NOMINAL, means(True, 1.0)),
    Method("t, Welch", "2 x 20 normal, SD 2:1", NOMINAL, means(False, 2.0)),
    Method("ANCOVA", "2 x 20, a covariate, 3 sites", NOMINAL, adjusted("none")),
    Method("ANCOVA, HC0", "the same", LIBERAL, adjusted("HC0")),
    Method("ANCOVA, HC3", "the same", CAUTIOUS, adjusted("HC3")),
    Method(
        "MMRM, unstructured, Satterthwaite",
        "2 x 15, 3 visits, a tenth leaves before each",
        NOMINAL,
        repeated("satterthwaite"),
    ),
    Method("MMRM, unstructured, Kenward-Roger", "the same", NOMINAL, repeated("kenward-roger")),
    Method("crossover, two periods", "2 x 10", NOMINAL, periods),
    Method("clusters, CR0", "12 clusters of 8, ICC 0.2", LIBERAL, in_clusters("CR0", False)),
    Method("clusters, CR2, Satterthwaite", "the same", NOMINAL, in_clusters("CR2", True)),
    Method(
        "risk difference, Wald",
        "2 x 30, share 0.1",
        LIBERAL,
        shares(difference.risk_difference, 0.0, 30, 0.1, method="wald"),
    ),
    Method(
        "risk difference, Miettinen-Nurminen",
        "2 x 100, share 0.3",
        NOMINAL,
        shares(difference.risk_difference, 0.0, 100, 0.3, method="miettinen-nurminen"),
    ),
    Method("odds ratio, Woolf", "2 x 50, share 0.3", CAUTIOUS, shares(odds.odds_ratio, 1.0, 50, 0.3)),
    Method("odds ratio, exact", "2 x 30, share 0.3", CAUTIOUS, shares(odds.odds_ratio, 1.0, 30, 0.3, method="exact")),
    Method("risk ratio, Katz", "2 x 50, share 0.3", CAUTIOUS, shares(ratio.risk_ratio, 1.0, 50, 0.3)),
    Method("Pearson's chi-square", "2 x 50, share 0.3", NOMINAL, pearson),
    Method("Fisher", "2 x 30, share 0.3", CAUTIOUS, exact(False)),
    Method("Fisher, mid-p", "the same", CAUTIOUS, exact(True)),
    Method("Cochran-Mantel-Haenszel", "2 x 50, three strata", NOMINAL, in_strata),
    Method("logistic g-computation, Ge", "2 x 100, a covariate", NOMINAL, marginal("ge")),
    Method("logistic g-computation, Ye", "the same", NOMINAL, marginal("ye")),
    Method("log-rank", "2 x 50 exponential, a third censored", NOMINAL, lasting(logrank, 50)),
    Method("Fleming-Harrington (0, 1)", "the same", NOMINAL, lasting(logrank, 50, rho=0.0, gamma=1.0)),
    Method("MaxCombo", "the same", NOMINAL, strongest),
    Method("Cox, Efron, Wald", "the same", NOMINAL, hazards),
    Method("restricted mean to 1", "the same", NOMINAL, lasting(restricted_mean_difference, 50, 1.0)),
    Method("milestone at 1, log-log", "the same", NOMINAL, lasting(milestone, 50, 1.0, scale="log-log")),
    Method("win ratio", "the same, then a normal score", NOMINAL, hierarchy("win_ratio", 50, 1.0)),
    Method("net benefit", "the same", NOMINAL, hierarchy("net_benefit", 50, 0.0)),
    Method("restricted mean to 1, few", "2 x 15", LIBERAL, lasting(restricted_mean_difference, 15, 1.0)),
    Method("milestone at 1, plain, few", "2 x 15", LIBERAL, lasting(milestone, 15, 1.0)),
    Method("net benefit, few", "2 x 15", LIBERAL, hierarchy("net_benefit", 15, 0.0)),
    Method("five looks, O'Brien-Fleming", "normal increments", NOMINAL, looks("obrien-fleming")),
    Method("five looks, Pocock's spending", "the same", NOMINAL, looks("pocock-spending")),
    Method("Dunnett, any of three", "4 x 12 normal", NOMINAL, many_to_one),
    Method("Holm, any of four", "four statistics of correlation 0.5", CAUTIOUS, several("holm")),
    Method("Hochberg, any of four", "the same", CAUTIOUS, several("hochberg")),
    Method("Hommel, any of four", "the same", CAUTIOUS, several("hommel")),
    Method("graph with gates, any of four", "independent p-values", CAUTIOUS, gates),
]


def found(method: Method, number: int, sets: int) -> tuple[float, float | None]:
    """Share of sets that reject, and of intervals that hold the truth."""
    rng = np.random.default_rng([20261122, number])
    parts = [method.told(rng, min(BLOCK, sets - start)) for start in range(0, sets, BLOCK)]
    rejected = np.concatenate([p for p, _ in parts]) < ALPHA
    held = None if parts[0][1] is None else float(np.mean(np.concatenate([inside for _, inside in parts])))
    assert len(rejected) == sets
    return float(np.mean(rejected)), held


def printed(method: Method, level: float, held: float | None) -> str:
    shown = "" if held is None else f"{100 * held:.2f}"
    return f"| {method.name} | {method.data} | {100 * level:.2f} | {shown} | {method.kind} |"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(METHODS)), ids=[each.name for each in METHODS])
def test_level_and_coverage_are_as_the_table_says(number):
    method = METHODS[number]
    level, held = found(method, number, SETS)
    low, high = BAND
    print(printed(method, level, held))
    assert (
        level <= high if method.kind == CAUTIOUS else low <= level <= high if method.kind == NOMINAL else level > high
    )
    row = next(line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {method.name} |"))
    told = [each.strip() for each in row.strip("|").split("|")]
    assert told[1] == method.data and told[4] == method.kind
    # Rounding differs between processors, and may turn a set or two.
    assert float(told[2]) == pytest.approx(100 * level, abs=0.02)
    assert told[3] == "" if held is None else float(told[3]) == pytest.approx(100 * held, abs=0.02)


def test_every_method_of_the_table_is_tested():
    rows = re.findall(r"^\| (.+?) \| .* \| (?:nominal|at most|liberal) \|$", TABLE.read_text(encoding="utf-8"), re.M)
    assert rows == [each.name for each in METHODS]


@pytest.mark.parametrize("number", range(len(METHODS)), ids=[each.name for each in METHODS])
def test_a_few_null_sets_are_not_all_rejected(number):
    level, held = found(METHODS[number], number, 60)
    # Of 60 at 5 % (liberal ones: 10 %) more than 20 are rejected once in a hundred million.
    assert level <= 20 / 60
    assert held is None or held >= 40 / 60
