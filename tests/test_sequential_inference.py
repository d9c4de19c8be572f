"""Interim and final inference, combination tests and re-estimation against rpact, closed forms and quadrature."""

import json

import numpy as np
import pytest
from scipy import integrate, stats

from analysis.statistics.sequential import stages
from analysis.statistics.sequential.boundaries import Rule, boundary
from analysis.statistics.sequential.combination import combination_test, inverse_normal, weights_of
from analysis.statistics.sequential.conditional import conditional_error, conditional_power, predictive_power
from analysis.statistics.sequential.design import design
from analysis.statistics.sequential.exits import exits
from analysis.statistics.sequential.final import final, stagewise_p
from analysis.statistics.sequential.fisher import fisher, fisher_test, rejections
from analysis.statistics.sequential.monitoring import monitor
from analysis.statistics.sequential.reestimation import blinded_mean, blinded_rate, promising
from analysis.statistics.sequential.repeated import repeated_interval, repeated_p
from analysis.statistics.trouble import Trouble

Z = 1.959963984540054


@pytest.fixture
def known(shared):
    """Cases of the files of sample sizes and of phase 2, by their names."""
    files = (shared / "oracles" / f"{name}.json" for name in ("sample_size_power", "bayes_phase2"))
    return {each["id"]: each for path in files for each in json.loads(path.read_text(encoding="utf-8"))["cases"]}


def test_conditional_power_is_the_closed_form(known, agrees):
    case = known["conditional_power"]
    given = case["inputs"]
    upper = [np.inf, stats.norm.isf(given["alpha_one_sided"])]
    at = (given["z"], [given["t"], 1.0], upper)
    found = {
        "cp_design": conditional_power(*at, given["drift"]),
        "cp_trend": conditional_power(*at),
        "cp_null": conditional_error(*at),
        "predictive_flat": predictive_power(*at),
    }
    agrees(found, case["expected"], lambda path: {"abs": case["tolerance"]["abs"], "rel": 0})


RATES, UPPER = [0.3, 0.6, 1.0], [3.0, 2.5, 2.0]


def test_conditional_power_averages_to_the_power():
    # The law of total probability over what the first look may show.
    drift, low = 2.4, -0.4
    left = exits(RATES, UPPER, drift, [low, 0.5])
    mean = drift * np.sqrt(RATES[0])
    later = integrate.quad(
        lambda z: stats.norm.pdf(z, mean) * float(conditional_power(z, RATES, UPPER, drift, futility=[low, 0.5])),
        low,
        UPPER[0],
        epsabs=1e-11,
    )[0]
    assert later == pytest.approx(left.upper[1:].sum(), abs=1e-9)
    both = integrate.quad(
        lambda z: stats.norm.pdf(z, mean) * float(conditional_power(z, RATES, UPPER, drift, sided=2)), -3, 3
    )[0]
    two = exits(RATES, UPPER, drift, sided=2)
    assert both == pytest.approx((two.upper + two.lower)[1:].sum(), abs=1e-9)


@pytest.mark.parametrize(("mean", "precision"), [(0.0, 0.0), (2.0, 0.5)])
def test_predictive_power_averages_over_the_drift(mean, precision):
    weight = precision + RATES[0]
    law = stats.norm((mean * precision + np.sqrt(RATES[0])) / weight, 1 / np.sqrt(weight))
    expected = integrate.quad(
        lambda d: law.pdf(d) * float(conditional_power(1.0, RATES, UPPER, d)), *law.ppf([1e-14, 1 - 1e-14])
    )[0]
    assert predictive_power(1.0, RATES, UPPER, mean=mean, precision=precision) == pytest.approx(expected, abs=1e-8)
    weight = precision + RATES[1]
    law = stats.norm((mean * precision + 1.3 * np.sqrt(RATES[1])) / weight, 1 / np.sqrt(weight))
    expected = integrate.quad(
        lambda d: law.pdf(d) * float(conditional_power(1.3, RATES, UPPER, d, 2, sided=2)),
        *law.ppf([1e-14, 1 - 1e-14]),
    )[0]
    found = predictive_power(1.3, RATES, UPPER, 2, sided=2, mean=mean, precision=precision)
    assert found == pytest.approx(expected, abs=1e-8)


def test_an_interim_look_at_many_trials_is_that_at_each():
    z = np.random.default_rng(4).normal(1.0, 1.0, (4, 3))
    many = predictive_power(z, RATES, UPPER, futility=[-1.0, 0.0])
    trend = conditional_power(z, RATES, UPPER)
    said = final(z + 2.0, np.full((4, 3), 3), RATES, UPPER)
    for i in np.ndindex(4, 3):
        assert many[i] == pytest.approx(float(predictive_power(z[i], RATES, UPPER, futility=[-1.0, 0.0])), abs=1e-12)
        assert trend[i] == pytest.approx(float(conditional_power(z[i], RATES, UPPER)), abs=1e-12)
        assert said.value[i] == pytest.approx(float(final(z[i] + 2.0, 3, RATES, UPPER).value), abs=1e-10)


def test_an_adaptive_trial_is_that_of_rpact(known, agrees):
    case = known["inn_means_3"]
    given = case["inputs"]
    plan = design(given["design"]["kMax"], alpha=given["design"]["alpha"])
    data = [given[name] for name in ("n1", "n2", "means1", "means2", "sd1", "sd2")]
    told = combination_test(plan, stages.means(*data))
    found = {
        "stage_p": told.stage_p,
        "combination_z": told.z,
        "repeated_p": told.repeated_p,
        "rci_lower": told.lower,
        "rci_upper": told.upper,
        "final_stage": told.stop,
        "final_p": [np.nan, np.nan, told.p],
        "median_unbiased": [np.nan, np.nan, told.value],
    }
    agrees(found, case["expected"], lambda path: {"rel": case["tolerance"]["rel"], "abs": 0})
    order = (1, 0, 3, 2, 5, 4)
    turned = combination_test(plan, stages.means(*(data[i] for i in order), above=False))
    np.testing.assert_allclose(turned.z, told.z, rtol=1e-12)
    np.testing.assert_allclose([turned.value, turned.final_lower], [-told.value, -told.final_upper], rtol=1e-9)
    np.testing.assert_allclose(turned.lower, -told.upper, rtol=1e-9)


def test_stages_of_rates_and_of_survival():
    plan = design(2, "pocock", futility=[0.0])
    told = combination_test(plan, stages.rates([[12, 15], [1, 9]], [30, 30], [5, 6], [30, 30]))
    pooled = 17 / 60
    z = (12 - 5) / 30 / np.sqrt(pooled * (1 - pooled) * 2 / 30)
    assert told.stage_p[0, 0] == pytest.approx(stats.norm.sf(z), rel=1e-12)
    assert told.stop.tolist() == [2, 1] and told.reject.tolist() == [[False, True], [False, False]]
    assert (told.final_lower[0], told.p[0]) > (0.0, 0.0) and told.p[0] < 0.025 and told.p[1] > 0.5
    assert (np.abs(told.lower) <= 1.0).all() and (told.lower < told.upper).all()
    # At a repeated limit the combined test is just significant.
    limit = stages.rates([12, 15], [30, 30], [5, 6], [30, 30], null=float(told.lower[0, 1]))
    assert combination_test(plan, limit).z[1] == pytest.approx(plan.upper[1], abs=1e-8)

    log_rank = combination_test(plan, stages.survival([-1.5, -2.0], [60, 60]))
    total = -3.5 / np.sqrt(2)
    assert log_rank.z[1] == pytest.approx(-total, rel=1e-12)
    half = plan.upper[1] * 2 / np.sqrt(120)
    centre = total * 2 / np.sqrt(120)
    np.testing.assert_allclose([log_rank.lower[1], log_rank.upper[1]], np.exp([centre - half, centre + half]))
    said = final(-total, 2, plan.rates, plan.upper, futility=None, information=30.0)
    assert log_rank.value == pytest.approx(np.exp(-float(said.value)), rel=1e-9)
    apart, step = stages.increments([-1.5, total], [60, 120])
    np.testing.assert_allclose(apart, [-1.5, -2.0])
    np.testing.assert_allclose(step, [60, 60])


def test_a_trial_without_a_statistic_spares_the_others():
    z = np.array([1.0, np.nan, 2.2])
    for found in (
        conditional_power(z, RATES, UPPER),
        predictive_power(z, RATES, UPPER),
        predictive_power(z, RATES, UPPER, 2),
        repeated_p(z, 3, look=2),
        final(z, 2, RATES, UPPER).value,
        stagewise_p(z, 2, RATES, UPPER),
        promising(z, 100, 200, 400).final,
    ):
        assert np.isnan(found).tolist() == [False, True, False]
    means = [[1.0, 1.2], [1.0, 1.2], [1.0, 1.2], [1.0, 1.2]]
    n = [[20, 20], [20, 1], [0, 20], [20, 20]]
    sd = [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0]]
    told = combination_test(design(2), stages.means(n, n, means, [[0.2, 0.1]], sd, sd))
    assert told.trouble.tolist() == [Trouble.NONE, Trouble.TOO_FEW, Trouble.EMPTY_ARM, Trouble.CONSTANT]
    assert np.isnan(told.value).tolist() == [False, True, True, True] and told.stop.tolist() == [2, 0, 0, 0]
    alone = combination_test(design(2), stages.means(n[0], n[0], means[0], [0.2, 0.1], sd[0], sd[0]))
    np.testing.assert_allclose(told.lower[0], alone.lower, rtol=1e-10)
    assert not told.reject[1:].any() and told.reject[0, 1] == alone.reject[1]
    rates = combination_test(design(2), stages.rates([[0, 0], [3, 2]], [[20, 20]] * 2, [0, 0], [20, 20]))
    assert rates.z[0].tolist() == [0.0, 0.0] and np.isfinite(rates.z).all()
    alone = combination_test(design(2), stages.survival([0.0, 1.0], [0, 9]))
    assert alone.trouble == Trouble.NO_EVENTS and np.isnan(alone.p)
    none = combination_test(design(2), stages.survival([[0.0, 1.0], [1.0, 1.0]], [[0, 9], [9, 9]]))
    assert none.trouble.tolist() == [Trouble.NO_EVENTS, Trouble.NONE]


def test_inverse_normal_weighs_by_what_was_planned():
    w = weights_of([0.25, 1.0])
    z = inverse_normal([0.1, 0.02], w)
    assert z[1] == pytest.approx(0.5 * stats.norm.isf(0.1) + np.sqrt(0.75) * stats.norm.isf(0.02), rel=1e-12)


def test_repeated_inference_is_the_boundary_turned_round():
    for rule in ("pocock", Rule("kim-demets", 2.0)):
        for level in (0.001, 0.2):
            upper = boundary(3, rule, level)
            np.testing.assert_allclose(repeated_p(upper, 3, rule), level, rtol=1e-8)
        np.testing.assert_allclose(repeated_p(-boundary(3, rule, 0.04, 2), 3, rule, 2), 0.04, rtol=1e-8)
    lower, upper = repeated_interval(np.array([0.4, 0.5]), [0.2, 0.1], [3.0, 2.0])
    np.testing.assert_allclose([lower, upper], [[-0.2, 0.3], [1.0, 0.7]])
    assert repeated_p([40.0, -9.0], 3, "pocock", look=1).tolist() == [0.0, pytest.approx(1.0)]


def test_after_one_look_final_inference_is_the_usual():
    said = final(2.4, 1, [1.0], [Z], 0.05, 2, information=25.0)
    assert said.p == pytest.approx(2 * stats.norm.sf(2.4), rel=1e-12)
    np.testing.assert_allclose([said.value, said.lower, said.upper], np.array([2.4, 2.4 - Z, 2.4 + Z]) / 5, rtol=1e-9)
    early = final(3.2, 1, RATES, UPPER)
    assert early.p == pytest.approx(stats.norm.sf(3.2), rel=1e-12)
    assert early.value == pytest.approx(3.2 / np.sqrt(0.3), rel=1e-9)


def test_stage_wise_p_is_a_box_of_the_normal_law():
    c = np.sqrt(0.3 / 0.6)
    law = stats.multivariate_normal([1.0 * np.sqrt(0.3), 1.0 * np.sqrt(0.6)], [[1, c], [c, 1]])
    high = law.cdf([3.0, 40], lower_limit=[-40, 2.7])
    expected = stats.norm.sf(3.0, np.sqrt(0.3)) + high
    assert stagewise_p(2.7, 2, RATES, UPPER, 1.0) == pytest.approx(expected, abs=1e-9)


def test_stage_wise_estimates_cover_and_halve():
    # What is certain of any ordering: over trials at a drift, p of that drift is uniform.
    rng = np.random.default_rng(12)
    n, drift = 20_000, 1.5
    score = np.cumsum(rng.normal(drift * np.diff(RATES, prepend=0), np.sqrt(np.diff(RATES, prepend=0)), (n, 3)), -1)
    z = score / np.sqrt(RATES)
    over = z >= np.array([3.0, 2.5, -np.inf])
    look = over.argmax(-1) + 1
    there = np.take_along_axis(z, look[:, None] - 1, -1)[:, 0]
    p = stagewise_p(there, look, RATES, UPPER, drift)
    assert stats.kstest(p, "uniform").pvalue > 0.001
    said = final(there[:200], look[:200], RATES, UPPER)
    held = stagewise_p(there[:200], look[:200], RATES, UPPER, said.value)
    np.testing.assert_allclose(held, 0.5, atol=1e-10)
    assert (said.lower < said.value).all() and (said.value < said.upper).all()


def test_bounds_at_the_planned_information_are_the_planned_bounds():
    for binding in (False, True):
        plan = design(RATES, futility="pocock-spending", binding=binding)
        told = monitor(plan, [90, 180, 300], 300, last=True)
        np.testing.assert_allclose(told.upper, plan.upper, atol=1e-12)
        np.testing.assert_allclose(told.futility, plan.futility, atol=1e-9)
        open_ = monitor(plan, [90, 180], 300)
        np.testing.assert_allclose(open_.futility, plan.futility[:2], atol=1e-9)


@pytest.mark.parametrize("end", [230, 300, 390])
def test_what_runs_over_or_under_still_spends_alpha(end):
    for sided in (1, 2):
        plan = design(3, "pocock-spending", 0.025 * sided, sided=sided)
        told = monitor(plan, [80, 170, end], 300, last=True)
        left = exits(told.rates, told.upper, sided=sided)
        assert (left.upper + left.lower).sum() == pytest.approx(0.025 * sided, rel=1e-10)
        assert told.spent[-1] == pytest.approx(0.025 * sided, rel=1e-12)


def test_product_tests_are_those_of_bauer_and_koehne():
    last = np.exp(-stats.chi2.isf(0.025, 4) / 2)
    plan = fisher(2, 0.025, "full-alpha", [0.5])
    assert plan.critical[1] == pytest.approx(last, rel=1e-12)
    assert plan.critical[0] + last * np.log(0.5 / plan.critical[0]) == pytest.approx(0.025, rel=1e-9)
    np.testing.assert_allclose(fisher(3, 0.025, "full-alpha").critical, np.exp(-stats.chi2.isf(0.025, 6) / 2))
    # Wassmer & Brannath 2016, chapter 8: alpha spent 0.0123, 0.0196, 0.0250
    np.testing.assert_allclose(fisher(3).spent, [0.0123, 0.0196, 0.0250], atol=5e-5)


def test_product_tests_reject_as_often_as_they_say():
    plan = fisher(4, 0.1, futility=[0.5, 0.4, 0.3])
    p = np.random.default_rng(5).random((400_000, 4))
    _, over, stop = fisher_test(p, plan)
    for k, share in enumerate(np.diff(plan.spent, prepend=0.0)):
        found = (over[:, k] & (stop == k + 1)).mean()
        assert abs(found - share) < 4 * np.sqrt(share * (1 - share) / len(p))
    assert rejections(plan.critical, plan.futility).sum() == pytest.approx(0.1, rel=1e-10)


# Mehta & Pocock 2011, table 1: least conditional power, to 0.01, from which more subjects do no harm
HARMLESS = {(0.8, 1.5): (0.42, 0.41, 0.38), (0.8, 2.0): (0.37, 0.36, 0.33), (0.9, 1e9): (0.28, 0.27, 0.25)}


@pytest.mark.parametrize(("target", "more"), HARMLESS)
def test_the_promising_zone_begins_where_the_table_says(target, more):
    z = np.linspace(0.01, 3, 30_001)
    for share, least in zip((0.25, 0.5, 0.75), HARMLESS[target, more], strict=True):
        told = promising(z, 100 * share, 100, 100 * more, target=target, least=1e-4)
        harmful = (told.zone == 1) & (told.bound > Z + 1e-9)
        assert told.conditional[harmful].max() == pytest.approx(least, abs=0.0055)


def test_the_bound_of_the_promising_zone_keeps_alpha():
    def later(z):
        told = promising(z, 100, 200, 400)
        n = float(told.subjects)
        assert n == pytest.approx(200) or told.zone == 1
        need = (float(told.bound) * np.sqrt(n) - z * 10) / np.sqrt(n - 100)
        return stats.norm.pdf(z) * stats.norm.sf(need)

    assert integrate.quad(later, -8, 8, limit=200)[0] == pytest.approx(0.025, abs=1e-8)
    told = promising(1.6, 100, 200, 400)
    assert told.zone == 1 and told.final == pytest.approx(0.9, abs=1e-12) and 200 < told.subjects < 400


def test_blinded_sizes():
    rng = np.random.default_rng(8)
    x = rng.normal(0, 2, (3, 40))
    x[1, :10] = np.nan
    x[2, 1:] = np.nan
    told = blinded_mean(x, 1.0)
    for r, values in enumerate((x[0], x[1, 10:])):
        assert told.nuisance[r] == pytest.approx(values.std(ddof=1), rel=1e-12)
        assert told.subjects[r] == pytest.approx(4 * (Z + 1.2815515655446004) ** 2 * values.var(ddof=1), rel=1e-12)
    assert np.isnan(told.subjects[2]) and told.seen.tolist() == [40, 30, 1]
    exact = np.repeat([-0.5, 0.5], 20)  # arms that differ by 1 and do not vary: nothing is left to explain
    assert blinded_mean(exact, 1.0, adjusted=True).nuisance == pytest.approx(0.0, abs=1e-7)
    assert blinded_mean(exact, 1.0, adjusted=True).subjects == 40
    from_rates = blinded_rate(65, 200, 0.15)
    a, b = 0.4, 0.25
    root = Z * np.sqrt(2 * 0.325 * 0.675) + 1.2815515655446004 * np.sqrt(a * (1 - a) + b * (1 - b))
    assert from_rates.subjects == pytest.approx(2 * root**2 / 0.15**2, rel=1e-12)
    assert np.isnan(blinded_rate([1, 0], [100, 0], 0.15).subjects).all()
    assert blinded_rate(65, 200, 0.15, most=300).subjects == 300


PLAN = design(3)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: conditional_power(1.0, RATES, UPPER, look=3),
            "look is 3 of 3; give one from 1 on that is not the last",
        ),
        (lambda: conditional_power(np.inf, RATES, UPPER), "z is inf; give finite numbers, NaN where there is none"),
        (lambda: predictive_power(1.0, RATES, UPPER, precision=-1), "precision is -1; give a number from 0 on"),
        (lambda: repeated_p([1, 2, 3, 4], 3), "give one for each look held so far"),
        (lambda: repeated_p(1.0, 3, "haybittle-peto", look=1), "is of one level alone and has no repeated p-value"),
        (lambda: final(2.0, 4, RATES, UPPER), "look is 4 of 3; give whole numbers from 1 to 3"),
        (lambda: final(2.0, 1, RATES, UPPER[:2]), "give a bound for each of 3 looks"),
        (lambda: monitor(design(3, "pocock"), [1, 2], 3), "spends by no function of information"),
        (lambda: monitor(PLAN, [2, 1], 3), "information are 2, 1; give them above 0 and each larger"),
        (lambda: monitor(design(3, futility=[0, 0]), [1, 2], 3), "futility of the design was given as bounds"),
        (lambda: inverse_normal([0.1, 1.2], [1, 1]), "p goes from 0.1 to 1.2; give p-values of 0 to 1"),
        (lambda: combination_test(PLAN, stages.survival([1.0] * 4, [9] * 4)), "there are 4 stages and 3 looks"),
        (lambda: combination_test(design(3, sided=2), stages.survival([1.0], [9])), "a combination test has one side"),
        (lambda: stages.rates([4], [3], [1], [3]), "a stage has more events than subjects"),
        (lambda: stages.means([9], [9], [0], [0], [-1], [1]), "sd_a is -1; give finite numbers from 0 on"),
        (lambda: stages.increments([1, 2], [5, 5]), "information does not increase from look to look"),
        (lambda: fisher(7), "stages is 7; give 1 to 6"),
        (lambda: fisher(2, way="half"), "way is 'half', which is not known; write one of: equal-alpha, full-alpha"),
        (lambda: fisher(2, futility=[1.5]), "futility is 1.5; give a p-value above 0 and up to 1"),
        (lambda: fisher_test([0.1, -0.1], fisher(2)), "p is 0.1, -0.1; give p-values of 0 to 1"),
        (lambda: promising(1.0, 200, 100, 400), "interim, planned and most do not follow each other"),
        (lambda: promising(1.0, 50, 100, 400, least=0.95), "least is 0.95 and target 0.9; give least below target"),
        (lambda: blinded_rate(5, 3, 0.1), "fewer than no events, or more than subjects"),
        (lambda: blinded_mean([1.0, 2.0], 0.0), "difference is 0, which no number of subjects shows"),
        (lambda: blinded_mean([1.0, 2.0], 1.0, least=9, most=8), "least is above most"),
    ],
)
def test_bad_questions_are_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
