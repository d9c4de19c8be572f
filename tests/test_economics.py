"""Health economics against published models, closed forms, quadrature and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, linalg, stats

from analysis.economics.acceptability import acceptability, normal_choice
from analysis.economics.cohort import total, trace, transition, treated
from analysis.economics.comparison import (
    Region,
    bootstrap,
    cost_effectiveness_ratio,
    difference,
    net_benefit,
)
from analysis.economics.discounting import factor, present_value, quality_adjusted_years
from analysis.economics.frontier import Standing, frontier
from analysis.information import information
from analysis.statistics.trouble import Trouble

TOPIC = "health_economics"


def markov(inputs):
    """Two drugs for some years, one for the others; states to which one can only worsen, the last is death."""
    one = transition(inputs["transition_counts"])
    cycles, years = 20, inputs["lamivudine_years"]
    both = np.where(np.arange(cycles)[:, None, None] < years, treated(one, inputs["rr"]), one)
    alive = np.array([1.0, 1.0, 1.0, 0.0])
    cost = np.append(inputs["costs_A_B_C"], 0.0) + inputs["zidovudine"] * alive
    added = inputs["lamivudine"] * alive * (np.arange(cycles)[:, None] < years)
    found = {}
    for name, moves, costs, changing in (("mono", one, cost, False), ("combo", both, cost + added, True)):
        shares = trace(moves, [1, 0, 0, 0], cycles, changing=changing)
        rate = inputs["discount_cost"]
        found[f"cost_{name}"] = total(shares, costs, rate=rate, counted="end", changing=changing)
        found[f"ly_{name}"] = total(shares, alive, rate=inputs["discount_effect"], counted="end")
    found["icer"] = (found["cost_combo"] - found["cost_mono"]) / (found["ly_combo"] - found["ly_mono"])
    return found | {"published": found}


def test_every_case_of_the_oracle(case, agrees, shared):
    inputs, tolerance = case["inputs"], case["tolerance"]
    if "transition_counts" in inputs:
        found = markov(inputs)
    else:
        keys = ("dE", "sdE", "dC", "sdC", "rho", "lambda")
        choice = normal_choice(*(inputs[key] for key in keys))
        names = ("nmb", "sd", "ceac", "evpi")
        found = [dict(zip(names, row, strict=True)) for row in zip(*choice, strict=True)]

    def close(path):
        kind = "published" if path[0] == "published" else "computed"
        return {"rel": tolerance.get("rel", tolerance.get(f"{kind}_rel")), "abs": 0}

    agrees(found, case["expected"], close)


def test_draws_of_a_normal_choice_find_its_closed_form():
    rng = np.random.default_rng(1)
    n, willing = 100_000, [0, 20_000, 50_000]
    cov = np.array([[900.0**2, 0.2 * 900 * 0.05], [0.2 * 900 * 0.05, 0.05**2]])
    cost, effect = rng.multivariate_normal([1500.0, 0.08], cov, n).T
    zeros = np.zeros(n)
    found = acceptability(np.column_stack([cost, zeros]), np.column_stack([effect, zeros]), willing)
    exact = normal_choice(0.08, 0.05, 1500, 900, 0.2, willing)
    share = exact.acceptable
    assert (abs(found.acceptable[:, 0] - share) < 4 * np.sqrt(share * (1 - share) / n)).all()
    assert (abs(found.benefit[:, 0] - exact.benefit) < 4 * exact.sd / np.sqrt(n)).all()
    assert (abs(found.evpi - exact.evpi) < 4 * exact.sd / np.sqrt(n)).all()
    np.testing.assert_array_equal(found.best, exact.benefit <= 0)
    np.testing.assert_allclose(
        found.frontier, np.where(exact.benefit > 0, found.acceptable[:, 0], found.acceptable[:, 1])
    )
    np.testing.assert_allclose(found.acceptable.sum(1), 1.0)
    # the same as the worth of information on any unknown
    benefit = 20_000 * effect[:2000] - cost[:2000]
    few = acceptability(np.column_stack([cost, zeros])[:2000], np.column_stack([effect, zeros])[:2000], 20_000)
    assert few.evpi[0] == pytest.approx(information(benefit, {"cost": cost[:2000]}, 1, 2).evpi.value, rel=1e-9)


def test_information_between_three_strategies_is_written_down():
    costs = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    effects = np.array([[0.0, 3.0, 0.0], [0.0, 0.0, 6.0]])
    found = acceptability(costs, effects, [0.0, 1.0])
    # at 1: benefits (0, 2, -2) and (0, -1, 4), best by mean the third with 1; known, 2 or 4
    assert found.best.tolist() == [0, 2] and found.evpi.tolist() == [0.0, 2.0]
    assert found.frontier.tolist() == [1.0, 0.5]


def test_a_discounted_area_is_that_of_quadrature():
    u, t = np.array([0.4, 0.9, 0.7, -0.1]), np.array([0.0, 0.5, 2.0, 5.0])
    for rate in (0.0, 1e-9, 0.035, 0.4):
        for continuous in (False, True):

            def worth(x, rate=rate, continuous=continuous):
                return np.interp(x, t, u) * factor(rate, x, continuous)

            for until in (0.2, 2.0, 3.3, 5.0, 6.5):
                expected = integrate.quad(worth, 0, until, points=[p for p in t if 0 < p < until] or None)[0]
                found = quality_adjusted_years(u, t, rate, until=until, continuous=continuous)
                assert found == pytest.approx(expected, abs=1e-10)
            assert quality_adjusted_years(u, t, rate, continuous=continuous) == pytest.approx(
                integrate.quad(worth, 0, 5, points=[0.5, 2])[0], abs=1e-10
            )
    both = quality_adjusted_years([u, u], t, 0.035, until=[2.0, 3.3])
    assert both[1] == quality_adjusted_years(u, t, 0.035, until=3.3)


def test_present_value_is_that_of_an_annuity():
    amounts = np.full((2, 10), 100.0)
    amounts[1, 5:] = np.nan
    found = present_value(amounts, np.arange(1, 11), 0.05)
    np.testing.assert_allclose(found, [100 * (1 - 1.05**-n) / 0.05 for n in (10, 5)], rtol=1e-13)
    assert present_value([1.0, 1.0], [0, 2], np.log(1.1), continuous=True) == pytest.approx(1 + 1.1**-2)


def test_cohort_of_draws_is_that_of_each_and_ends_where_its_matrix_says():
    rng = np.random.default_rng(2)
    moves = rng.dirichlet(np.ones(4), (5, 4))
    shares = trace(moves, [1, 0, 0, 0], 12)
    assert trace(moves, [1, 0, 0, 0], 5).shape == (5, 6, 4)  # as many draws as cycles
    rewards = rng.random((5, 4))
    for draw in range(5):
        np.testing.assert_allclose(shares[draw, -1], np.linalg.matrix_power(moves[draw], 12)[0], rtol=1e-12)
        np.testing.assert_array_equal(trace(moves[draw], [1, 0, 0, 0], 12), shares[draw])
        for counted in ("start", "end", "half-cycle", "simpson"):
            every = total(shares, rewards, rate=0.03, counted=counted)
            alone = total(shares[draw], rewards[draw], rate=0.03, counted=counted)
            assert every[draw] == pytest.approx(float(alone), rel=1e-14)
    np.testing.assert_allclose(shares.sum(-1), 1.0, rtol=1e-12)
    changing = rng.dirichlet(np.ones(3), (6, 3))
    expected = np.linalg.multi_dot([np.array([[0.2, 0.3, 0.5]]), *changing])[0]
    np.testing.assert_allclose(trace(changing, [0.2, 0.3, 0.5], 6, changing=True)[-1], expected, rtol=1e-12)


def test_corrected_counts_come_near_to_continuous_time():
    # life years of an exponential law under continuous discounting: 1 / (hazard + rate)
    hazard, rate, cycle = 0.3, 0.05, 0.5
    moves = linalg.expm(cycle * np.array([[-hazard, hazard], [0.0, 0.0]]))
    shares = trace(moves, [1, 0], 200)
    exact = (1 - np.exp(-(hazard + rate) * 100)) / (hazard + rate)
    errors = {
        counted: abs(total(shares, [cycle, 0.0], rate=rate, cycle=cycle, counted=counted, continuous=True) - exact)
        for counted in ("start", "end", "half-cycle", "simpson")
    }
    assert errors["simpson"] < 1e-4 < errors["half-cycle"] < 0.01 < errors["end"] < errors["start"] < 0.3


def test_treated_moves_are_those_of_the_published_model():
    moves = treated([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0, 0, 1]], 0.5)
    np.testing.assert_allclose(moves, [[0.75, 0.15, 0.1], [0.1, 0.75, 0.15], [0, 0, 1]])
    assert treated(np.eye(3), np.array([0.5, 0.9])).shape == (2, 3, 3)


def people(n=80, seed=3):
    rng = np.random.default_rng(seed)
    arms = np.arange(n) % 2
    effects = 0.6 + 0.15 * arms + rng.normal(0, 0.2, n)
    return 1000 + 400 * arms + 300 * effects + rng.gamma(2.0, 200.0, n), effects, arms


def test_differences_and_net_benefit_are_those_of_the_benefit_of_each():
    costs, effects, arms = people()
    costs[5] = np.nan
    found = difference(costs, effects, arms, (1, 0))
    willing = 20_000.0
    each = willing * effects - costs
    a, b = (each[(arms == code) & ~np.isnan(costs)] for code in (1, 0))
    estimate = net_benefit(found, willing)
    assert estimate.value == pytest.approx(a.mean() - b.mean(), rel=1e-12)
    assert estimate.se == pytest.approx(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)), rel=1e-10)
    assert estimate.subjects == 79 and estimate.p == pytest.approx(2 * stats.norm.sf(abs(estimate.value / estimate.se)))
    health = net_benefit(found, willing, health=True)
    assert (health.value, health.lower) == pytest.approx((estimate.value / willing, estimate.lower / willing))
    many = difference(*(np.stack([each, each]) for each in (costs, effects, arms)), (1, 0))
    np.testing.assert_array_equal(many.covariance, found.covariance)
    empty = difference(np.where(arms == 1, np.nan, costs), effects, arms, (1, 0))
    assert empty.trouble == Trouble.EMPTY_ARM and np.isnan(net_benefit(empty, 1.0).value)
    same = difference(np.ones(80), np.ones(80), arms, (1, 0))
    assert net_benefit(same, 1.0).trouble == Trouble.CONSTANT


@settings(max_examples=40, deadline=None)
@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(-0.9, 0.9))
def test_fiellers_region_holds_the_ratios_whose_net_benefit_may_be_nought(cost, effect, correlation):
    costs, effects, arms = people()
    found = difference(costs, effects, arms, (1, 0))
    full = np.array([cost, effect, 0.1, 0.2, correlation * np.sqrt(0.02)])
    names = ("cost", "effect", "cost_variance", "effect_variance", "covariance")
    found = found._replace(**dict(zip(names, full, strict=True)))
    ratio = cost_effectiveness_ratio(found)
    at = np.linspace(-7, 7, 41)
    inside = abs(cost - at * effect) <= stats.norm.isf(0.025) * np.sqrt(0.1 + at**2 * 0.2 - 2 * at * full[4])
    if ratio.region == Region.EVERYTHING:
        assert inside.all() and np.isnan(ratio.lower)
    else:
        between = (at >= ratio.lower) & (at <= ratio.upper)
        outside = (at <= ratio.lower) | (at >= ratio.upper)
        np.testing.assert_array_equal(inside, between if ratio.region == Region.BETWEEN else outside)


def test_an_effect_next_to_nothing_has_an_infinite_ratio():
    found = difference(*people(), (1, 0))._replace(cost=np.float64(1.0), effect=np.float64(2e-311))
    assert cost_effectiveness_ratio(found).value == np.inf


def test_bootstrap_is_fixed_by_its_seed_and_finds_the_errors():
    data = people(400)
    found = difference(*data, (1, 0))
    cost, effect = bootstrap(*data, (1, 0), seed=7, draws=4000)
    np.testing.assert_array_equal(cost, bootstrap(*data, (1, 0), seed=7, draws=4000)[0])
    assert not np.array_equal(cost, bootstrap(*data, (1, 0), seed=8, draws=4000)[0])
    for draws, value, variance in (
        (cost, found.cost, found.cost_variance),
        (effect, found.effect, found.effect_variance),
    ):
        assert abs(draws.mean() - value) < 4 * np.sqrt(variance / 4000)
        assert draws.std() == pytest.approx(np.sqrt(variance), rel=0.05)
    limits = cost_effectiveness_ratio(found)
    np.testing.assert_allclose(np.quantile(cost / effect, [0.025, 0.975]), [limits.lower, limits.upper], rtol=0.1)


def test_frontier_leaves_out_what_is_dominated():
    # cost, effect: B is beaten by A, D by a mix of C and E
    costs, effects = [0.0, 500.0, 1000.0, 4000.0, 5000.0], [1.0, 0.9, 2.0, 2.2, 3.0]
    found = frontier(costs, effects)
    assert found.standing.tolist() == [Standing.FRONTIER, Standing.DOMINATED, 0, Standing.EXTENDED, 0]
    assert found.order.tolist() == [0, 2, 4]
    np.testing.assert_allclose(found.ratio, [np.nan, np.nan, 1000.0, np.nan, 4000.0])
    twice = frontier([1.0, 1.0, 1.0], [2.0, 2.0, 3.0])
    assert twice.order.tolist() == [2] and twice.standing.tolist() == [1, 1, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31))
def test_frontier_is_who_is_best_at_some_willingness(seed):
    rng = np.random.default_rng(seed)
    costs, effects = rng.random(7), rng.random(7)
    found = frontier(costs, effects)
    ratios = found.ratio[found.order[1:]]
    assert (np.diff(ratios) > 0).all()
    between = np.concatenate([[0.0], (ratios[:-1] + ratios[1:]) / 2, ratios[-1:] * 1.01])
    willing = between if len(ratios) else np.zeros(1)
    assert [int((w * effects - costs).argmax()) for w in willing] == found.order.tolist()


BAD = [
    (lambda: factor(-2.0, [1.0]), "the rate of discount is -2.0"),
    (lambda: factor(0.03, [-1.0]), "a time is below 0"),
    (lambda: present_value([1.0, 2.0], [1.0, 2.0, 3.0], 0.0), "give one time each"),
    (lambda: quality_adjusted_years([0.5, 1.2], [0, 1]), "a utility is above 1"),
    (lambda: quality_adjusted_years([0.5, 0.2], [1, 1]), "times of the utilities do not increase"),
    (lambda: quality_adjusted_years([0.5, 0.2], [1, 2], until=0.5), "an end is before the first utility"),
    (lambda: trace([[0.5, 0.4], [0, 1]], [1, 0], 3), "a row of transitions sums to 0.9"),
    (lambda: trace([[1.5, -0.5], [0, 1]], [1, 0], 3), "holds a number below 0"),
    (lambda: trace(np.eye(2), [0.5, 0.4], 3), "give numbers that sum to 1"),
    (lambda: trace(np.eye(2), [1, 0], 0), "cycles is 0"),
    (lambda: trace(np.eye(2), [1, 0], 3, changing=True), "changing transitions have"),
    (lambda: total(trace(np.eye(2), [1, 0], 3), [1, 0], changing=True), "changing rewards have"),
    (lambda: trace(np.ones((2, 3)) / 3, [1, 0], 3), "give a row and a column a state"),
    (lambda: transition([[1, -1]]), "a count of moves is below 0"),
    (lambda: treated([[0.1, 0.9], [0, 1]], 2.0), "leaves a chance below 0"),
    (lambda: total(trace(np.eye(2), [1, 0], 3), [1, 0], counted="middle"), "'middle' is no way to count"),
    (lambda: total(trace(np.eye(2), [1, 0], 3), [1, 0], counted="simpson"), "needs an even number of cycles, got 3"),
    (lambda: total(trace(np.eye(2), [1, 0], 3), [1, 0, 0]), "rewards of 3 states for 2"),
    (lambda: difference([1.0, 2.0], [1.0, 2.0], [0, 0], (1, 0)), "arm 1 is not there"),
    (lambda: net_benefit(difference(*people(), (1, 0)), -1.0), "willingness is -1.0"),
    (lambda: net_benefit(difference(*people(), (1, 0)), 0.0, health=True), "above 0 for health"),
    (lambda: bootstrap([1.0, 2.0], [1.0, 2.0], [0, 1], (1, 0), 1), "fewer than 2 subjects"),
    (lambda: bootstrap(*people(), (1, 0), 1, draws=1), "draws is 1"),
    (lambda: acceptability([[1.0, 2.0]], [[1.0]], 1.0), r"give \(draw, strategy\) of both"),
    (lambda: acceptability([[1.0, np.nan]], [[1.0, 1.0]], 1.0), "a cost or an effect is missing"),
    (lambda: acceptability([[1.0, 2.0]], [[1.0, 1.0]], [-1.0]), "willingness is below 0"),
    (lambda: normal_choice(1, 1, 1, 1, 2.0, 1.0), "the correlation is 2.0"),
    (lambda: normal_choice(1, 0, 1, 1, 0.5, 1.0), "effect_sd holds 0"),
    (lambda: frontier([1.0, 2.0], [1.0]), "give one number a strategy"),
]


@pytest.mark.parametrize(("call", "sentence"), BAD)
def test_bad_input_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
