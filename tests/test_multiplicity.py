"""Adjusted p-values, graphs, closed tests, gatekeeping and Dunnett against R, published figures and brute force."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from analysis.statistics.multiplicity import graph as graphs
from analysis.statistics.multiplicity import normal
from analysis.statistics.multiplicity.adjustment import METHODS, adjusted
from analysis.statistics.multiplicity.closure import closed_test, intersection_weights
from analysis.statistics.multiplicity.dunnett import critical_value, dunnett, p_values
from analysis.statistics.multiplicity.gatekeeping import gatekeeping
from analysis.statistics.multiplicity.graph import graph, path, shortcut
from analysis.statistics.trouble import Trouble

TOPIC = "multiplicity"
PARAMETRIC = np.array(
    [[1, 0.5, *[np.nan] * 4], [0.5, 1, *[np.nan] * 4], *[[np.nan] * i + [1] + [np.nan] * (5 - i) for i in range(2, 6)]]
)


def answer(inputs, expected):
    """What the methods say of the inputs of a case, in the names of what is expected."""
    if "k" in inputs:
        freedom = {f"df{df}": df for df in inputs["df"]} | {"inf": np.inf}
        return {
            f"k{k}_{name}": critical_value(np.ones(k + 1), df)
            for k, (name, df) in itertools.product(inputs["k"], freedom.items())
        }
    if "weights" in inputs:
        plan = graph(inputs["weights"], inputs["G"])
        found = shortcut(plan, inputs["p"], inputs["alpha"])
        closed = {
            f"{test}_closure_adjusted_p": closed_test(plan, inputs["p"], inputs["alpha"], test).adjusted_p
            for test in ("simes", "bonferroni")
        }
        return {"adjusted_p": found.adjusted_p, "reject": found.rejected.tolist(), **closed}
    return {name: adjusted(inputs["p"], name.lower()) for name in expected}


def test_every_case_of_the_oracle(case, agrees, shared):
    found = answer(case["inputs"], case["expected"])
    agrees(found, case["expected"], lambda path: {"abs": case["tolerance"]["abs"], "rel": 0})


def test_dunnett_limits_are_those_of_tables_and_of_another_quadrature():
    # Dunnett 1964, two-sided 5 % limits
    for k, df, published in ((2, 20, 2.38), (3, 20, 2.54)):
        assert round(critical_value(np.ones(k + 1), df), 2) == published
    sizes, df = np.array([8.0, 4.0, 20.0]), 29
    factors = np.sqrt(sizes[1:] / (sizes[1:] + sizes[0]))
    limit, spread = critical_value(sizes, df), np.sqrt(1 - factors**2)

    def inside(z, s):
        upper, lower = ((sign * limit * s - factors * z) / spread for sign in (1, -1))
        return float(np.prod(special.ndtr(upper) - special.ndtr(lower))) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    law = stats.chi(df, scale=df**-0.5)
    found, _ = integrate.quad(lambda s: law.pdf(s) * integrate.quad(inside, -9, 9, (s,), epsabs=1e-10)[0], 0.2, 2.2)
    assert found == pytest.approx(0.95, abs=1e-9)


# graphicalMCP 0.2.6, article "closed-testing": two doses, a primary and two secondary endpoints
SIX = ([0.5, 0.5, 0, 0, 0, 0], 1e-5, [0.015, 0.013, 0.01, 0.007, 0.1, 0.0124])
CLOSED = [
    ("bonferroni", None, [0.026, 0.026, 0.028, 0.028, 0.1, 0.028]),
    (("parametric", "bonferroni"), ((0, 1), (2, 3, 4, 5)), [0.02413846, 0.02413846, 0.028, 0.028, 0.1, 0.028]),
    (
        ("parametric", "simes", "simes"),
        ((0, 1), (2, 4), (3, 5)),
        [0.02413846, 0.02413846, 0.02480008, 0.0248, 0.1, 0.02480008],
    ),
]


def six():
    weights, e, p = SIX
    edges = [
        [0, 0.5, 0.25, 0, 0.25, 0],
        [0.5, 0, 0, 0.25, 0, 0.25],
        [0, 0, 0, 0, 1, 0],
        [e, 0, 0, 0, 0, 1 - e],
        [0, e, 1 - e, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
    ]
    return graph(weights, edges), p


@pytest.mark.parametrize(("tests", "groups", "expected"), CLOSED)
def test_mixed_closed_tests_are_those_of_graphicalmcp(tests, groups, expected):
    plan, p = six()
    found = closed_test(plan, p, 0.025, tests, groups, PARAMETRIC)
    np.testing.assert_allclose(found.adjusted_p, expected, rtol=0, atol=5.1e-9)
    assert (found.rejected == (np.array(expected) <= 0.025)).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 5))
def test_the_shortcut_is_the_closed_test_by_bonferroni(seed, m):
    rng = np.random.default_rng(seed)
    edges = rng.random((m, m)) * (1 - np.eye(m))
    plan = graph(rng.dirichlet(np.ones(m)), edges / edges.sum(1, keepdims=True) * rng.choice([1.0, 0.7]))
    p = rng.random((4, m)) ** 3
    quick, full = shortcut(plan, p), closed_test(plan, p)
    np.testing.assert_allclose(quick.adjusted_p, full.adjusted_p, rtol=1e-9)
    for row in range(4):
        np.testing.assert_array_equal(shortcut(plan, p[row]).adjusted_p, quick.adjusted_p[row])


@pytest.mark.parametrize("method", METHODS)
def test_adjustment_of_many_sets_is_that_of_each_and_skips_gaps(method):
    rng = np.random.default_rng(3)
    p = rng.random((50, 6)) ** 3
    p[rng.random(p.shape) < 0.2] = np.nan
    found = adjusted(p, method)
    for row, each in zip(p, found, strict=True):
        np.testing.assert_array_equal(adjusted(row, method), each)
        if method != "fixed sequence":
            np.testing.assert_array_equal(adjusted(row[~np.isnan(row)], method), each[~np.isnan(row)])
    assert np.isnan(found[np.isnan(p)]).all()


def test_adjustments_are_closed_tests_of_equal_weights():
    rng = np.random.default_rng(4)
    p = rng.random((60, 5)) ** 2
    p[:5, 2] = p[:5, 3]
    plan = graphs.holm(np.full(5, 0.2))
    for test, method in (("bonferroni", "holm"), ("simes", "hommel"), ("hochberg", "hochberg")):
        np.testing.assert_allclose(closed_test(plan, p, tests=test).adjusted_p, adjusted(p, method), rtol=1e-12)
    np.testing.assert_allclose(adjusted(p, "bh"), [stats.false_discovery_control(row) for row in p], rtol=1e-12)
    by = [stats.false_discovery_control(row, method="by") for row in p]
    np.testing.assert_allclose(adjusted(p, "by"), by, rtol=1e-12)
    np.testing.assert_allclose(adjusted(p, "sidak"), 1 - (1 - p) ** 5, rtol=1e-10, atol=1e-15)


def test_sequences_and_fallback_are_graphs():
    rng = np.random.default_rng(5)
    p = rng.random((40, 4)) ** 3
    sequence = shortcut(graphs.fixed_sequence(4), p)
    np.testing.assert_allclose(sequence.adjusted_p, adjusted(p, "fixed sequence"), rtol=1e-12)
    # Wiens 2003: each at its own share, and at all that came before it where the one before is rejected
    shares, p = np.array([0.5, 0.25, 0.25]), np.array([[0.01, 0.03, 0.049], [0.03, 0.012, 0.02], [0.03, 0.02, 0.01]])
    found = shortcut(graphs.fallback(shares), p, 0.05)
    assert found.rejected.tolist() == [[True, True, True], [False, True, True], [False, False, True]]


def test_path_of_rejections_ends_in_the_graph_of_what_is_left():
    plan = graph([0.5, 0.5, 0, 0], [[0, 0.5, 0.5, 0], [0.5, 0, 0, 0.5], [0, 1, 0, 0], [1, 0, 0, 0]])
    steps = path(plan, [0.018, 0.01, 0.105, 0.006], 0.025)
    assert [step.rejected for step in steps] == [1, 0, 3]
    np.testing.assert_allclose(steps[0].graph.weights, [0.75, 0, 0, 0.25])  # Bretz 2009, by hand
    np.testing.assert_allclose(steps[0].graph.transitions[0], [0, 0, 2 / 3, 1 / 3])
    np.testing.assert_allclose(steps[-1].graph.weights, [0, 0, 1, 0])
    assert path(plan, [0.5] * 4, 0.025) == ()


def test_equal_weights_of_thirds_reach_alpha_whatever_rounding_says():
    found = shortcut(graphs.holm(np.full(3, 1 / 3)), [0.05 / 3, 0.025, 0.05], 0.05)
    assert found.rejected.all()


def test_zero_weight_is_never_passed_by_a_p_value_of_zero():
    found = shortcut(graph([1.0, 0.0], [[0, 1], [0, 0]]), [[0.2, 0.0], [0.0, 0.0]], 0.05)
    assert found.rejected.tolist() == [[False, False], [True, True]]
    assert found.adjusted_p.tolist() == [[0.2, 0.2], [0.0, 0.0]]


def test_parallel_gatekeeping_is_its_graph():
    rng = np.random.default_rng(6)
    p = rng.random((200, 4)) ** 2 * 0.1
    plan = graph([0.5, 0.5, 0, 0], [[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5], [0, 0, 0, 1], [0, 0, 1, 0]])
    found, expected = gatekeeping(p, [[0, 1], [2, 3]]), shortcut(plan, p)
    np.testing.assert_allclose(found.adjusted_p, expected.adjusted_p, rtol=1e-11)
    assert (found.rejected == expected.rejected).all() and found.rejected.any()


def test_gatekeeping_of_one_family_is_its_test_and_a_whole_test_is_a_serial_gate():
    rng = np.random.default_rng(7)
    p = rng.random((100, 4)) ** 2 * 0.1
    for test in ("bonferroni", "holm", "hochberg"):
        np.testing.assert_allclose(gatekeeping(p, [range(4)], tests=test).adjusted_p, adjusted(p, test), rtol=1e-11)
    serial = gatekeeping(p, [[0, 1], [2, 3]], truncation=(1, 1))
    first, second = adjusted(p[:, :2], "holm"), adjusted(p[:, 2:], "holm")
    expected = np.concatenate([first, np.maximum(second, first.max(1, keepdims=True))], axis=1)
    np.testing.assert_allclose(serial.adjusted_p, expected, rtol=1e-11)


def test_truncated_holm_leaves_what_its_formula_says():
    # Dmitrienko, Tamhane & Wiens 2008: g = 0.5, one of two kept, leaves 0.05 (1 - 0.5 - 0.5 / 2)
    found = gatekeeping([0.01, 0.6, 0.012, 0.2], [[0, 1], [2, 3]], 0.05, truncation=(0.5, 1))
    np.testing.assert_allclose(found.alphas, [0.05, 0.0125], rtol=1e-12)
    # first limit of a truncated test of two: (0.5 / 2 + 0.5 / 2) 0.05
    assert found.rejected.tolist() == [True, False, False, False]


@pytest.mark.parametrize("sided", [1, 2])
def test_dunnett_is_that_of_scipy(sided):
    rng = np.random.default_rng(8)
    samples = [rng.normal(mean, 1.0, n) for mean, n in ((0.0, 9), (0.5, 14), (1.1, 7), (0.2, 21))]
    values, arms = np.concatenate(samples), np.repeat(np.arange(4), [len(each) for each in samples])
    found = dunnett(values, arms, 0, sided=sided)
    expected = stats.dunnett(
        *samples[1:], control=samples[0], alternative="two-sided" if sided == 2 else "greater", rng=1
    )
    np.testing.assert_allclose(found.statistic, expected.statistic, rtol=1e-10)
    np.testing.assert_allclose(found.p, expected.pvalue, atol=2e-4)  # scipy's lattice rule
    limits = expected.confidence_interval(0.95)
    np.testing.assert_allclose(found.lower, limits.low, atol=2e-3)
    assert (found.stepdown_p <= found.p + 1e-15).all()
    order = np.argsort(found.p)
    assert found.stepdown_p[order[0]] == pytest.approx(found.p[order[0]], rel=1e-12)
    last = order[-1]
    alone = stats.t.sf(abs(found.statistic[last]) if sided == 2 else found.statistic[last], found.df) * sided
    assert found.stepdown_p[last] == pytest.approx(max(alone, found.stepdown_p[order[-2]]), rel=1e-9)


def test_dunnett_limit_is_where_its_p_value_is_alpha():
    for sizes, df, sided in (
        ((10, 5, 20, 40), 12, 2),
        ((1, 1, 1), np.inf, 1),
        ((100, 3, 4), 3, 2),
        ((1, 500, 500), 9, 1),
    ):
        limit = critical_value(sizes, df, 0.025, sided)
        p, _ = p_values(np.full(len(sizes) - 1, limit), sizes, df, sided)
        np.testing.assert_allclose(p, 0.025, rtol=1e-9)


def test_dunnett_of_replicates_is_that_of_each_and_sick_ones_harm_no_other():
    rng = np.random.default_rng(9)
    values, arms = rng.normal(size=(4, 30)), np.broadcast_to(np.arange(30) % 3, (4, 30))
    values[1, arms[1] == 2] = np.nan
    values[2] = 3.3
    found = dunnett(values, arms, 0, alpha=0.1)
    assert found.trouble.tolist() == [Trouble.NONE, Trouble.EMPTY_ARM, Trouble.CONSTANT, Trouble.NONE]
    assert np.isnan(found.p[1:3]).all()
    for row in (0, 3):
        for name, each in dunnett(values[row], arms[row], 0, alpha=0.1)._asdict().items():
            np.testing.assert_array_equal(each, getattr(found, name)[row])


@pytest.mark.parametrize("df", [1, 3, 40, np.inf])
def test_one_statistic_beyond_its_limit_is_the_tail_of_its_law(df):
    law = stats.t(df) if np.isfinite(df) else stats.norm()
    for factor in (0.0, 0.5, 0.99):
        for limit in (-1.0, 0.5, 3.0, 6.0):
            found = float(normal.beyond([limit], [factor], df))
            assert found == pytest.approx(law.sf(limit), rel=1e-8, abs=1e-13)


def test_probability_of_normal_statistics_is_that_of_other_quadratures():
    # orthant probabilities: 1/4 + asin(r) / 2 pi, and 1/8 + sum asin(r) / 4 pi
    for r in (-0.9, -0.3, 0.0, 0.4, 0.95):
        found = normal.any_beyond(np.zeros(2), np.array([[1, r], [r, 1]]))
        assert found == pytest.approx(0.75 - np.arcsin(r) / (2 * np.pi), abs=1e-10)
    matrix = np.array([[1, 0.5, 0.2], [0.5, 1, -0.3], [0.2, -0.3, 1]])
    expected = 7 / 8 - np.arcsin([0.5, 0.2, -0.3]).sum() / (4 * np.pi)
    assert normal.any_beyond(np.zeros(3), matrix) == pytest.approx(expected, abs=1e-8)
    equal = np.full((4, 4), 0.3) + 0.7 * np.eye(4)
    other = equal.copy()
    other[0, 1] = other[1, 0] = 0.3 + 1e-9  # no product form any more
    limits = np.array([1.5, 2.0, 2.2, 0.5])
    assert normal.any_beyond(limits, other) == pytest.approx(normal.any_beyond(limits, equal), abs=1e-8)
    # statistics that are the same count once
    assert normal.any_beyond(np.array([2.0, 1.5]), np.ones((2, 2))) == pytest.approx(stats.norm.sf(1.5), rel=1e-12)


def test_weights_of_intersections_are_those_of_bretz():
    # Bretz et al. 2011, Biometrical J 53:894, table 1, weights of H1 to H4 for the graph of two doses
    plan = graph([0.5, 0.5, 0, 0], [[0, 0.5, 0.5, 0], [0.5, 0, 0, 0.5], [0, 1, 0, 0], [1, 0, 0, 0]])
    members, weights = intersection_weights(plan)
    table = {tuple(np.flatnonzero(m) + 1): w for m, w in zip(members, weights, strict=True)}
    assert len(table) == 15
    np.testing.assert_allclose(table[1, 3, 4], [0.75, 0, 0, 0.25])
    np.testing.assert_allclose(table[3, 4], [0, 0, 0.5, 0.5])
    np.testing.assert_allclose(weights.sum(1), 1.0)


BAD = [
    (lambda: adjusted([0.1, 1.2], "holm"), "p holds 1.2; give numbers from 0 to 1"),
    (lambda: adjusted([0.1], "tukey"), "'tukey' is no way to adjust p-values"),
    (lambda: graph([0.7, 0.7], np.zeros((2, 2))), "the weights sum to 1.4"),
    (lambda: graph([1, 0, 0], [[0, 0.6, 0.6], [0] * 3, [0] * 3]),
     "transitions from hypothesis 0 sum to 1.2"),
    (lambda: graph([1.0, 0.0], np.eye(2)), "hypothesis 0 hands 1 to itself"),
    (lambda: graph([1.0, 0.0], np.zeros((3, 3))), r"shape \(3, 3\) for 2 hypotheses"),
    (lambda: shortcut(graphs.fixed_sequence(3), [0.1, 0.2]), "2 p-values for 3 hypotheses"),
    (lambda: shortcut(graphs.fixed_sequence(2), [0.1, np.nan]), "p holds nan"),
    (lambda: path(graphs.fixed_sequence(2), [[0.1, 0.2]]), "give the p-values of one trial"),
    (lambda: intersection_weights(graphs.fixed_sequence(17)), "use the shortcut for more than 16"),
    (lambda: closed_test(graphs.fixed_sequence(2), [0.1, 0.2], tests="exact"), "'exact' is no test of an intersection"),
    (lambda: closed_test(graphs.fixed_sequence(2), [0.1, 0.2], tests="parametric"), "needs the correlation"),
    (lambda: closed_test(graphs.fixed_sequence(2), [0.1, 0.2], groups=[[0]]), "put each of the hypotheses 0 to 1"),
    (lambda: closed_test(graphs.fixed_sequence(2), [0.1, 0.2], tests=["simes"], groups=[[0], [1]]), "1 tests for 2"),
    (lambda: closed_test(graphs.fixed_sequence(2), [0.1, 0.2], tests="hochberg"), "hochberg needs equal weights"),
    (lambda: closed_test(graphs.holm([0.5, 0.5]), [0.1, 0.2], tests="parametric", correlation=[[1, np.nan]] * 2),
     "another diagonal than 1"),
    (lambda: normal.correlation([[1, 0.2], [0.3, 1]], 2), "not symmetric"),
    (lambda: normal.correlation([[1, -0.9, -0.9], [-0.9, 1, -0.9], [-0.9, -0.9, 1]], 3), "negative eigenvalue"),
    (lambda: gatekeeping([0.1, 0.2], [[0]]), "put each of the hypotheses 0 to 1"),
    (lambda: gatekeeping([0.1, 0.2], [[0], [1]], truncation=(2, 1)), "a truncation is 2"),
    (lambda: gatekeeping([0.1, 0.2], [[0], [1]], tests="simes"), "'simes' is no test of a family"),
    (lambda: critical_value([10], 5), "give that of the control, then one for each other arm"),
    (lambda: critical_value([10, -1], 5), "sizes holds -1"),
    (lambda: critical_value([10, 10], 0), "df is 0; give degrees of freedom above 0"),
    (lambda: p_values([1.0, 2.0], [5, 5], 8), "2 statistics for 1 comparisons"),
    (lambda: dunnett([1.0, 2.0], [0, 1], 3), "the data have"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "sentence"), BAD)
def test_bad_input_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
