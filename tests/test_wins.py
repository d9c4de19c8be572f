"""Win statistics against known answers, loops over pairs, and the rank tests that they are on one outcome."""

import csv
import gzip
import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.trouble import Trouble
from analysis.statistics.wins.outcome import Outcome
from analysis.statistics.wins.rank_test import finkelstein_schoenfeld
from analysis.statistics.wins.statistics import VARIANCES, win_statistics

TOPIC = "win_ratio"


def colon(inputs, shared):
    """Outcomes of the colon data in the order in which the title names their etypes, and who is in which arm."""
    path = shared / "oracles" / "data" / "r_survival" / "colon.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    outcomes = []
    for etype in re.findall(r"etype (\d)", inputs["dataset"]):
        of = sorted((row for row in rows if row["etype"] == etype), key=lambda row: int(row["id"]))
        outcomes.append(Outcome([float(row["time"]) for row in of], [row["status"] == "1" for row in of]))
    codes = {inputs["arm1"]: 1, inputs["arm0"]: 0}
    return outcomes, [codes.get(row["rx"], 2) for row in of]


def listed(inputs):
    """Outcomes of data that the case lists, in the order of its levels."""
    columns = {key: [row[key] for row in inputs["data"]] for key in inputs["data"][0]}
    outcomes = []
    for name in sorted(key for key in inputs if key.startswith("level")):
        if timed := re.match(r"time (\w+)/status (\w+)", inputs[name]):
            outcomes.append(Outcome(columns[timed[1]], columns[timed[2]]))
        else:
            found = re.match(r"(\w+) (higher|lower) better(?:, \|diff\|>([\d.]+))?", inputs[name])
            outcomes.append(Outcome(columns[found[1]], better=found[2], margin=float(found[3] or 0)))
    return outcomes, columns["a"]


def test_every_case(case, agrees, shared):
    outcomes, arms = listed(case["inputs"]) if "data" in case["inputs"] else colon(case["inputs"], shared)
    wins = win_statistics(outcomes, arms, (1, 0))
    found = {
        "wins": wins.wins.sum(),
        "losses": wins.losses.sum(),
        "ties": wins.ties,
        "pairs": wins.pairs,
        "win_ratio": wins.win_ratio.value,
        "log_wr_se": wins.win_ratio.se,
        "wr_lower95": wins.win_ratio.lower,
        "wr_upper95": wins.win_ratio.upper,
        "z": wins.win_ratio.statistic,
        "net_benefit": wins.net_benefit.value,
        "nb_se": wins.net_benefit.se,
        "win_odds": wins.win_odds.value,
    }
    counts = {"wins", "losses", "ties", "pairs"}
    agrees(
        found, case["expected"], lambda path: {"rel": 0 if path[0] in counts else case["tolerance"]["rel"], "abs": 0}
    )


def people(replicates=4, subjects=26, seed=5):
    """Arms, strata, and three outcomes with censoring, ties, margins and missing values."""
    rng = np.random.default_rng(seed)
    shape = (replicates, subjects)
    times = np.ceil(rng.exponential(6.0, shape))
    outcomes = [
        Outcome(times, rng.random(shape) < 0.5, margin=1.0),
        Outcome(np.where(rng.random(shape) < 0.1, np.nan, np.round(rng.normal(0.0, 2.0, shape), 1)), margin=0.5),
        Outcome(rng.integers(0, 4, shape), better="lower"),
        Outcome(np.ceil(rng.exponential(3.0, shape)), rng.random(shape) < 0.7, better="lower"),
    ]
    return outcomes, rng.integers(0, 3, shape), rng.integers(0, 2, shape)


def better(outcome, i, j):
    """1 where subject i has the better of that outcome, -1 where j has, else 0; the definition in words."""
    value, other = outcome.values[i], outcome.values[j]
    if np.isnan(value) or np.isnan(other):
        return 0
    sign = 1 if outcome.better == "higher" else -1
    if outcome.events is None:
        return sign * int(np.sign(value - other)) if abs(value - other) > outcome.margin else 0
    if outcome.events[j] and value - other > outcome.margin:
        return sign
    return -sign if outcome.events[i] and other - value > outcome.margin else 0


def at(outcomes, replicate):
    return [
        each._replace(values=each.values[replicate], events=None if each.events is None else each.events[replicate])
        for each in outcomes
    ]


def spread(won, lost, variance):
    """Covariance matrix of the numbers of pairs won and lost, from its definition."""
    na, nb = won.shape
    kernels = [won.astype(float), lost.astype(float)]
    answer = np.zeros((2, 2))
    for (p, k), (q, m) in itertools.product(enumerate(kernels), repeat=2):
        if variance == "projection":
            answer[p, q] = nb**2 * na * np.cov(k.mean(1), m.mean(1), ddof=0)[0, 1]
            answer[p, q] += na**2 * nb * np.cov(k.mean(0), m.mean(0), ddof=0)[0, 1]
            continue
        if variance == "null":
            middle = (won.mean() + lost.mean()) / 2
            k, m = k - middle, m - middle
            row = sum(k[i, j] * m[i, g] for i in range(na) for j, g in itertools.permutations(range(nb), 2))
            column = sum(k[i, j] * m[h, j] for j in range(nb) for i, h in itertools.permutations(range(na), 2))
            answer[p, q] = nb * row / (nb - 1) + na * column / (na - 1)
            continue
        # The square of a mean has no bias from pairs that share nobody.
        apart = [
            k[i, j] * m[h, g]
            for i, h in itertools.permutations(range(na), 2)
            for j, g in itertools.permutations(range(nb), 2)
        ]
        answer[p, q] = k.sum() * m.sum() - (na * nb) ** 2 * np.mean(apart)
    return answer


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("stratified", [False, True])
def test_statistics_are_those_of_a_loop_over_pairs(variance, stratified):
    outcomes, arms, strata = people(replicates=2, subjects=30)
    found = win_statistics(outcomes, arms, (2, 1), strata if stratified else None, variance=variance)
    for r in range(len(arms)):
        total = won = lost = 0.0
        covariance = np.zeros((2, 2))
        levels = []
        for stratum in (0, 1) if stratified else (None,):
            inside = np.ones(30, dtype=bool) if stratum is None else strata[r] == stratum
            ours, theirs = (np.flatnonzero((arms[r] == arm) & inside) for arm in (2, 1))
            hierarchy = at(outcomes, r)
            decided = np.array(
                [[next((s for o in hierarchy if (s := better(o, i, j))), 0) for j in theirs] for i in ours]
            )
            levels += [
                (next((n for n, o in enumerate(hierarchy) if better(o, i, j)), -1), decided[a, b])
                for a, i in enumerate(ours)
                for b, j in enumerate(theirs)
            ]
            weight = 1 / (len(ours) + len(theirs))
            total += weight * decided.size
            won += weight * (decided > 0).sum()
            lost += weight * (decided < 0).sum()
            covariance += weight**2 * spread(decided > 0, decided < 0, variance)
        for number in range(len(outcomes)):
            assert found.wins[r, number] == levels.count((number, 1))
            assert found.losses[r, number] == levels.count((number, -1))
        assert found.ties[r] == levels.count((-1, 0))
        assert found.pairs[r] == len(levels)
        benefit = (won - lost) / total
        middle = (won + lost) / 2
        slope = np.array([1 / middle, -1 / middle] if variance == "null" else [1 / won, -1 / lost])
        log_se = np.sqrt(slope @ covariance @ slope)
        benefit_se = np.sqrt(np.array([1, -1]) @ covariance @ np.array([1, -1])) / total
        odds_se = 2 * benefit_se / (1 if variance == "null" else 1 - benefit**2)
        assert found.win_ratio.value[r] == pytest.approx(won / lost, rel=1e-12)
        assert found.win_ratio.se[r] == pytest.approx(log_se, rel=1e-10)
        assert found.win_ratio.upper[r] == pytest.approx(won / lost * np.exp(stats.norm.isf(0.025) * log_se), rel=1e-10)
        assert found.net_benefit.value[r] == pytest.approx(benefit, rel=1e-12)
        assert found.net_benefit.se[r] == pytest.approx(benefit_se, rel=1e-10)
        assert found.win_odds.value[r] == pytest.approx((1 + benefit) / (1 - benefit), rel=1e-12)
        assert found.win_odds.se[r] == pytest.approx(odds_se, rel=1e-10)


def flat(result):
    """Arrays of a result and of the estimates within it."""
    return [array for each in result for array in (each if isinstance(each, tuple) else [each])]


@pytest.mark.parametrize("method", [win_statistics, finkelstein_schoenfeld])
def test_many_replicates_give_what_each_gives_alone(method):
    outcomes, arms, strata = people(replicates=6)
    together = method(outcomes, arms, (1, 0), strata)
    for r in range(6):
        alone = method(at(outcomes, r), arms[r], (1, 0), strata[r])
        for many, one in zip(flat(together), flat(alone), strict=True):
            np.testing.assert_array_equal(many[r], one)


def test_one_measure_is_the_rank_sum_of_mann_and_whitney_also_in_blocks():
    rng = np.random.default_rng(2)
    values, arms = np.round(rng.normal(size=1500), 1), np.arange(1500) % 5 < 3
    known = stats.mannwhitneyu(values[arms], values[~arms], use_continuity=False, method="asymptotic")
    wins = win_statistics([Outcome(values)], arms, (1, 0))
    assert wins.pairs == 900 * 600
    assert wins.wins.sum() + wins.ties / 2 == known.statistic
    test = finkelstein_schoenfeld([Outcome(values)], arms, (1, 0))
    assert test.p == pytest.approx(known.pvalue, rel=1e-10)
    assert test.score == 2 * known.statistic - 900 * 600


def test_one_sided_tests_ask_whether_arm_a_is_better():
    outcomes, arms, _ = people()
    two, one = (win_statistics(outcomes, arms, (1, 0), sided=sided).win_odds for sided in (2, 1))
    above = two.value > 1
    np.testing.assert_allclose(one.p, np.where(above, two.p / 2, 1 - two.p / 2), rtol=1e-12)
    assert (one.lower > two.lower).all()


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), min_size=6, max_size=20))
def test_what_one_arm_wins_the_other_loses(people):
    times, events, scores = (list(column) for column in zip(*people, strict=True))
    arms = np.arange(len(times)) % 2
    outcomes = [Outcome(times, events), Outcome(scores)]
    ours, theirs = (win_statistics(outcomes, arms, contrast) for contrast in ((1, 0), (0, 1)))
    np.testing.assert_array_equal(ours.wins, theirs.losses)
    assert ours.wins.sum() + ours.losses.sum() + ours.ties == ours.pairs
    assert ours.net_benefit.value == -theirs.net_benefit.value
    if ours.win_ratio.trouble == 0:
        assert ours.win_ratio.value == pytest.approx(1 / theirs.win_ratio.value, rel=1e-12)
        assert ours.win_ratio.lower == pytest.approx(1 / theirs.win_ratio.upper, rel=1e-12)


def test_equal_weights_of_strata_add_their_pairs():
    outcomes, arms, strata = people()
    wins = win_statistics(outcomes, arms, (1, 0), strata, weights="equal")
    np.testing.assert_allclose(wins.win_ratio.value, wins.wins.sum(-1) / wins.losses.sum(-1), rtol=1e-12)


def test_what_is_not_known_decides_nothing():
    times, events = [5.0, 1.0, 3.0, 2.0], [0.0, 1.0, np.nan, 1.0]
    wins = win_statistics([Outcome(times, events)], [1, 0, 0, 1], (1, 0))
    assert (wins.wins, wins.losses, wins.pairs, wins.net_benefit.subjects) == (2, 0, 2, 3)


def test_degenerate_sets_have_a_code_and_harm_no_other():
    values = np.array([[1.0, 2, 3, 4], [1, 1, 1, 1], [1, 2, 3, 4], [np.nan, np.nan, 3, 4]])
    arms = np.array([[0, 1, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 1, 1]])
    wins = win_statistics([Outcome(values)], arms, (1, 0))
    trouble = [Trouble.NONE, Trouble.CONSTANT, Trouble.SEPARATED, Trouble.EMPTY_ARM]
    np.testing.assert_array_equal(wins.win_ratio.trouble, trouble)
    np.testing.assert_allclose(wins.win_ratio.value, [3.0, np.nan, np.inf, np.nan], rtol=1e-12)
    np.testing.assert_array_equal(np.isnan(wins.win_ratio.se), [False, True, True, True])
    np.testing.assert_array_equal(wins.net_benefit.value, [0.5, 0.0, 1.0, np.nan])
    np.testing.assert_array_equal(wins.win_ratio.subjects, [4, 4, 4, 0])
    few = win_statistics([Outcome([1.0, 3, 2])], [1, 0, 0], (1, 0), variance="null")
    assert few.net_benefit.trouble in (Trouble.TOO_FEW, Trouble.SEPARATED)
    test = finkelstein_schoenfeld([Outcome(values)], arms, (1, 0))
    np.testing.assert_array_equal(test.trouble, [0, Trouble.CONSTANT, 0, Trouble.EMPTY_ARM])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"outcomes": Outcome([1, 2, 3])}, "no list of Outcome"),
        ({"outcomes": [Outcome([1, 2, 3], better="more")]}, "write higher or lower"),
        ({"outcomes": [Outcome([1, 2, 3], margin=-1)]}, "margin of -1"),
        ({"outcomes": [Outcome([1, -2, 3], [1, 1, 1])]}, "negative time"),
        ({"outcomes": [Outcome([1, 2, 3], [1, 2, 1])]}, "neither true nor false"),
        ({"outcomes": [Outcome([1, 2])]}, "shapes do not fit"),
        ({"contrast": (1, 3)}, "names arm 3"),
        ({"contrast": (1, 1)}, "two arms"),
        ({"weights": "all"}, "write one of: sizes, equal"),
        ({"variance": "exact"}, "write one of: projection"),
        ({"alpha": 2}, "alpha is 2"),
    ],
)
def test_what_is_no_comparison_is_refused(change, sentence):
    call = {"outcomes": [Outcome([1, 2, 3])], "arms": [1, 0, 1], "contrast": (1, 0)} | change
    with pytest.raises(ValueError, match=sentence):
        win_statistics(**call)
