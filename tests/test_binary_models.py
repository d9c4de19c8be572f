"""Strata, pairs, regression and standardisation of binary outcomes against published values and closed forms."""

import csv
import gzip

import numpy as np
import pytest
from scipy import optimize, special, stats

from analysis.statistics.binary import chi_square, difference, odds, pairs, proportion, stratified
from analysis.statistics.binary.logistic import logistic
from analysis.statistics.binary.standardised import VARIANCES, standardised
from analysis.statistics.binary.tables import count_strata, table
from analysis.statistics.trouble import Trouble

# Berkeley's admissions of 1973 by department (Bickel et al. 1975, Science 187:398): admitted and applied, men, women
BERKELEY = table(
    [512, 353, 120, 138, 53, 22],
    [825, 560, 325, 417, 191, 373],
    [89, 17, 202, 131, 94, 24],
    [108, 25, 593, 375, 393, 341],
)


def numbers(*found):
    """Arrays of one number each as numbers."""
    return [float(each) for each in found]


def test_berkeley_is_as_r_says():
    # R 4, help page of mantelhaen.test
    test = stratified.cmh_of_tables(BERKELEY, corrected=True)
    assert (float(test.statistic), float(test.p)) == pytest.approx((1.4269, 0.2323), abs=5e-5)
    common = stratified.odds_ratio_of_tables(BERKELEY)
    found = [float(each) for each in (common.value, common.lower, common.upper)]
    assert found == pytest.approx([0.9046968, 0.7719074, 1.0603298], abs=5e-8)


def test_strata_are_those_of_statsmodels():
    peer = pytest.importorskip("statsmodels.stats.contingency_tables")
    cells = zip(*(each.tolist() for each in BERKELEY), strict=True)
    expected = peer.StratifiedTable([np.array([[a, n - a], [b, m - b]]) for a, n, b, m in cells])
    common = stratified.odds_ratio_of_tables(BERKELEY)
    assert common.se == pytest.approx(expected.logodds_pooled_se, rel=1e-12)
    assert stratified.risk_ratio_of_tables(BERKELEY).value == pytest.approx(expected.riskratio_pooled, rel=1e-12)
    for tarone in (False, True):
        found = stratified.breslow_day_of_tables(BERKELEY, tarone)
        assert found.statistic == pytest.approx(expected.test_equal_odds(adjust=tarone).statistic, rel=1e-9)
        assert found.df == 5


def test_a_mantel_haenszel_test_of_one_stratum_is_pearsons_but_for_n_less_one():
    test = stratified.cmh_of_tables(table([56], [70], [48], [80]))
    assert test.statistic == pytest.approx(chi_square.of_counts([[56, 14], [48, 32]]).statistic * 149 / 150, rel=1e-12)


def test_one_stratum_is_a_table():
    one, whole = table([15], [35], [5], [34]), table(15, 35, 5, 34)
    wald = difference.of_tables(whole, method="wald")
    for method in ("greenland-robins", "inverse-variance"):
        found = stratified.risk_difference_of_tables(one, method=method)
        assert numbers(*found[:5]) == pytest.approx(numbers(*wald[:5]), rel=1e-12)
    score = difference.of_tables(whole, method="miettinen-nurminen", margin=0.1)
    for weights in stratified.WEIGHTS:
        found = stratified.risk_difference_of_tables(one, 0.05, 2, "miettinen-nurminen", weights, 0.1)
        assert numbers(*found[:5]) == pytest.approx(numbers(*score[:5]), rel=1e-9)
    common = stratified.odds_ratio_of_tables(one)
    assert numbers(*common[:4]) == pytest.approx(numbers(*odds.of_tables(whole)[:4]), rel=1e-12)


def test_equal_strata_are_one_with_less_error():
    four = table([15] * 4, [35] * 4, [5] * 4, [34] * 4)
    for method in stratified.DIFFERENCES:
        one, all_ = (
            stratified.risk_difference_of_tables(each, method=method) for each in (table([15], 35, 5, 34), four)
        )
        assert numbers(all_.value, all_.se) == pytest.approx(numbers(one.value, one.se / 2), rel=1e-12)
    assert stratified.breslow_day_of_tables(four).statistic == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("weights", stratified.WEIGHTS)
def test_ends_of_the_stratified_score_interval_are_its_margins(weights):
    found = stratified.risk_difference_of_tables(BERKELEY, 0.05, 2, "miettinen-nurminen", weights)
    for end in (float(found.lower), float(found.upper)):
        test = stratified.risk_difference_of_tables(BERKELEY, 0.05, 2, "miettinen-nurminen", weights, end)
        assert test.p == pytest.approx(0.05, rel=1e-8)
    assert found.lower < found.value < found.upper


def test_satos_variance_of_strata_of_two_is_that_of_pairs():
    b, c, n = 9, 4, 30
    xa = np.array([1] * b + [0] * c + [1] * 10 + [0] * 7)
    xb = np.array([0] * b + [1] * c + [1] * 10 + [0] * 7)
    found = stratified.risk_difference_of_tables(table(xa, 1, xb, 1))
    assert found.value == pytest.approx((b - c) / n, rel=1e-12)
    assert found.se**2 == pytest.approx((b + c - (b - c) ** 2 / n) / n**2, rel=1e-12)


def strata(replicates=5, subjects=90):
    rng = np.random.default_rng(4)
    arms, parts = (rng.integers(0, k, (replicates, subjects)) for k in (2, 3))
    values = (rng.random(arms.shape) < 0.3 + 0.2 * arms).astype(float)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[1, parts[1] == 2] = np.nan
    return values, arms, parts


def test_many_stratified_sets_are_each_alone():
    values, arms, parts = strata()
    methods = [
        *(stratified.cmh, stratified.common_odds_ratio, stratified.common_risk_ratio, stratified.breslow_day),
        *(
            lambda *data, m=m, w=w: stratified.common_risk_difference(*data, method=m, weights=w)
            for m in stratified.DIFFERENCES
            for w in stratified.WEIGHTS
        ),
    ]
    for method in methods:
        many = method(values, arms, (1, 0), parts)
        for r in range(len(values)):
            alone = method(values[r], arms[r], (1, 0), parts[r])
            for found, each in zip(many, alone, strict=True):
                np.testing.assert_allclose(found[r], each, rtol=1e-11, atol=1e-13)


def test_strata_without_events_or_arms_tell_nothing():
    none = table([0, 0], [10, 5], [0, 0], [12, 0])
    assert stratified.cmh_of_tables(none).trouble == Trouble.CONSTANT
    assert stratified.odds_ratio_of_tables(none).trouble == Trouble.CONSTANT
    assert stratified.breslow_day_of_tables(none).trouble == Trouble.TOO_FEW
    score = stratified.risk_difference_of_tables(none, method="miettinen-nurminen")
    assert score.lower < 0 < score.upper and score.trouble == 0
    empty = table([0, 3], [0, 5], [4, 0], [12, 0])
    for method in stratified.DIFFERENCES:
        assert stratified.risk_difference_of_tables(empty, method=method).trouble == Trouble.EMPTY_ARM
    infinite = stratified.odds_ratio_of_tables(table([3, 4], [9, 9], [0, 0], [9, 9]))
    assert infinite.value == np.inf and infinite.trouble == Trouble.SEPARATED and np.isnan(infinite.upper)


def test_chi_square_is_that_of_scipy():
    rng = np.random.default_rng(6)
    values, arms = rng.integers(0, 4, (3, 50)).astype(float), rng.integers(0, 3, (3, 50))
    values[:, 0] = np.nan
    found = chi_square.chi_square(values, arms)
    for r in range(3):
        counts = np.array([[((values[r] == v) & (arms[r] == a)).sum() for v in range(4)] for a in range(3)])
        expected = stats.chi2_contingency(counts, correction=False)
        assert (found.statistic[r], found.p[r], found.df[r]) == pytest.approx(expected[:3], rel=1e-12)
    for counts in ([[56, 14], [48, 32]], [[5, 5], [6, 5]]):
        expected = stats.chi2_contingency(counts, correction=True)
        assert float(chi_square.of_counts(counts, corrected=True).p) == pytest.approx(expected.pvalue, rel=1e-12)
    assert chi_square.of_counts([[5, 0], [6, 0]]).trouble == Trouble.CONSTANT
    assert chi_square.of_counts([[5, 3], [0, 0]]).trouble == Trouble.EMPTY_ARM


def test_trend_is_as_r_says():
    # smokers among patients, Fleiss 1981, p. 139; R 4, help page of prop.trend.test
    x, n = [83, 90, 129, 70], [86, 93, 136, 82]
    values = np.concatenate([[1.0] * a + [0.0] * (b - a) for a, b in zip(x, n, strict=True)])
    found = chi_square.trend(values, np.repeat([1, 2, 3, 4], n))
    assert (float(found.statistic) ** 2, float(found.p)) == pytest.approx((8.2249, 0.004132), rel=1e-4)
    assert chi_square.trend(np.ones(6), np.arange(6)).trouble == Trouble.CONSTANT


def test_pairs_are_tested_as_in_the_binomial_law():
    first = np.repeat([1.0, 1.0, 0.0, 0.0, np.nan], [30, 12, 5, 20, 3])
    second = np.repeat([1.0, 0.0, 1.0, 0.0, 1.0], [30, 12, 5, 20, 3])
    assert pairs.mcnemar(first, second, "exact").p == pytest.approx(stats.binomtest(12, 17).pvalue, rel=1e-12)
    half = stats.binom.pmf(12, 17, 0.5)
    assert pairs.mcnemar(first, second, "mid-p").p == pytest.approx(stats.binomtest(12, 17).pvalue - half, rel=1e-12)
    assert pairs.mcnemar(first, second).statistic == pytest.approx(49 / 17)
    assert pairs.mcnemar(first, second, "corrected").statistic == pytest.approx(36 / 17)
    ratio = pairs.paired_odds_ratio(first, second)
    limits = stats.binomtest(12, 17).proportion_ci(0.95)
    assert (ratio.lower, ratio.upper) == pytest.approx((limits.low / (1 - limits.low), limits.high / (1 - limits.high)))


def test_paired_intervals():
    # Newcombe 1998, Stat Med 17:2635, method 10, from Wilson by SciPy: pairs that disagree, hardly agree, agree
    for both, first, second, neither, phi in (
        (36, 12, 2, 0, -24 / np.sqrt(48 * 2 * 38 * 12)),
        (10, 9, 8, 8, 0.0),
        (30, 6, 2, 22, (660 - 12 - 30) / np.sqrt(36 * 24 * 32 * 28)),
        (5, 0, 0, 0, 0.0),
    ):
        n = both + first + second + neither
        p, q = (both + first) / n, (both + second) / n
        (lp, up), (lq, uq) = (stats.binomtest(both + k, n).proportion_ci(0.95, "wilson") for k in (first, second))
        lower = p - q - np.sqrt((p - lp) ** 2 - 2 * phi * (p - lp) * (uq - q) + (uq - q) ** 2)
        upper = p - q + np.sqrt((q - lq) ** 2 - 2 * phi * (q - lq) * (up - p) + (up - p) ** 2)
        found = pairs.difference_of_pairs(pairs.Pairs(both, first, second, neither), method="newcombe")
        assert numbers(found.lower, found.upper) == pytest.approx([lower, upper], rel=1e-9)
    score = pairs.difference_of_pairs(pairs.Pairs(36, 12, 2, 0), method="tango")
    for end, sign in ((float(score.lower), 1), (float(score.upper), -1)):
        # the multinomial likelihood, greatest given the difference, by search
        def unlikely(q, end=end):
            return -(12 * np.log(q + end) + 2 * np.log(q) + 36 * np.log(1 - 2 * q - end))

        low = max(0.0, -end) + 1e-12
        q = optimize.minimize_scalar(
            unlikely, bounds=(low, (1 - end) / 2 - 1e-12), method="bounded", options={"xatol": 1e-13}
        ).x
        z = (12 - 2 - 50 * end) / np.sqrt(50 * (2 * q + end * (1 - end)))
        assert z == pytest.approx(sign * 1.959963984540054, rel=1e-5)


def test_no_discordant_pair_is_no_evidence():
    none = pairs.Pairs(3, 0, 0, 7)
    assert pairs.mcnemar_of_pairs(none, "exact").p == 1.0
    assert pairs.mcnemar_of_pairs(none).trouble == Trouble.NO_EVENTS
    score = pairs.difference_of_pairs(none)
    z = 1.959963984540054
    # closed form: n delta^2 / (delta (1 - delta)) = z^2
    assert (score.lower, score.upper) == pytest.approx((-(z**2) / (10 + z**2), z**2 / (10 + z**2)), rel=1e-9)
    assert pairs.difference_of_pairs(none, method="wald").trouble == Trouble.CONSTANT
    assert pairs.difference_of_pairs(pairs.Pairs(0, 0, 0, 0)).trouble == Trouble.EMPTY_ARM
    assert pairs.paired_odds_ratio([1.0, 0.0], [1.0, 0.0]).trouble == Trouble.NO_EVENTS
    assert pairs.difference_of_pairs(pairs.Pairs(0, 10, 0, 0)).upper == 1.0


def trials(replicates=6, subjects=120):
    rng = np.random.default_rng(5)
    arms = rng.integers(0, 2, (replicates, subjects))
    covariates = rng.normal(3.0, [[2.0], [0.1]], (replicates, 2, subjects))
    values = (rng.random(arms.shape) < special.expit(0.6 * arms + 0.4 * (covariates[:, 0] - 3))).astype(float)
    values[rng.random(values.shape) < 0.05] = np.nan
    covariates[:, 1, 0] = np.nan
    return values, arms, covariates


def deviance(values, covariates, penalised=False):
    """Minus the log likelihood, of coefficients, of the subjects without NaN."""
    used = ~np.isnan(values) & ~np.isnan(covariates).any(0)
    x, y = np.stack([np.ones(used.sum()), *covariates[:, used]], 1), values[used]

    def of(b):
        eta = x @ b
        found = np.logaddexp(0, eta).sum() - y @ eta
        if penalised:
            found -= np.linalg.slogdet(x.T * special.expit(eta) * special.expit(-eta) @ x)[1] / 2
        return found

    return of


@pytest.mark.parametrize("firth", [False, True])
def test_coefficients_are_where_the_likelihood_is_greatest(firth):
    values, _, covariates = trials()
    found = logistic(values, covariates, firth=firth)
    for r in range(2):
        of = deviance(values[r], covariates[r], firth)
        best = optimize.minimize(
            of, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 5000}
        )
        assert found.loglik[r] == pytest.approx(-best.fun, rel=1e-10)
        np.testing.assert_allclose(found.estimate.value[r], best.x, rtol=1e-5, atol=1e-6)


def test_regression_is_that_of_statsmodels():
    peer = pytest.importorskip("statsmodels.discrete.discrete_model")
    values, _, covariates = trials()
    used = ~np.isnan(values[0]) & ~np.isnan(covariates[0]).any(0)
    design = np.stack([np.ones(used.sum()), *covariates[0][:, used]], 1)
    expected = peer.Logit(values[0][used], design).fit(disp=0, tol=1e-12)
    found = logistic(values[0], covariates[0])
    np.testing.assert_allclose(found.estimate.value, expected.params, rtol=1e-8)
    np.testing.assert_allclose(found.covariance, expected.cov_params(), rtol=1e-8)


def test_regression_on_an_arm_is_the_table():
    values, arms = np.repeat([1.0, 0.0, 1.0, 0.0], [15, 20, 5, 29]), np.repeat([1.0, 0.0], [35, 34])
    likely, firth = (logistic(values, arms[None], firth=each).estimate for each in (False, True))
    woolf, haldane = (odds.of_tables(table(15, 35, 5, 34), method=each) for each in ("woolf", "haldane"))
    limits = np.exp([likely.value[1], likely.lower[1], likely.upper[1]])
    np.testing.assert_allclose(limits, numbers(woolf.value, woolf.lower, woolf.upper), rtol=1e-9)
    # Of a saturated model Firth's penalty adds 1/2 to each cell.
    assert np.exp(firth.value[1]) == pytest.approx(haldane.value, rel=1e-9)


def test_profile_limits_are_where_the_likelihood_has_fallen():
    values, _, covariates = trials()
    for firth in (False, True):
        found = logistic(values[0], covariates[0], firth=firth, intervals="profile")
        of = deviance(values[0], covariates[0], firth)
        for j in range(3):
            for end in (found.estimate.lower[j], found.estimate.upper[j]):
                others = [i for i in range(3) if i != j]
                start = found.estimate.value[others] + found.covariance[others, j] / found.covariance[j, j] * (
                    end - found.estimate.value[j]
                )
                held = optimize.minimize(
                    lambda b, of=of, j=j, end=end: of(np.insert(b, j, end)),
                    start,
                    method="Nelder-Mead",
                    options={"xatol": 1e-8, "fatol": 1e-12},
                )
                assert 2 * (held.fun + found.loglik) == pytest.approx(stats.chi2.isf(0.05, 1), rel=1e-5)


def test_profile_interval_of_a_share_is_that_of_the_binomial_likelihood():
    found = logistic(np.repeat([1.0, 0.0], [12, 28]), np.empty((0, 40)), intervals="profile").estimate
    for end in (found.lower[0], found.upper[0]):
        p = special.expit(end)
        assert 2 * (12 * np.log(0.3 / p) + 28 * np.log(0.7 / (1 - p))) == pytest.approx(
            stats.chi2.isf(0.05, 1), rel=1e-9
        )


def test_separation_and_its_like_are_told_and_spare_the_others():
    x = np.arange(10.0)
    y = (x > 4).astype(float)
    quasi = np.where(x == 4, 5.0, x)
    values = np.stack([y, y, np.zeros(10), y * np.nan, np.where(x < 2, y, np.nan), 1 - y * (x % 2)])
    covariates = np.stack([x, quasi, x, x, x, x])[:, None]
    found = logistic(values, covariates)
    told = [Trouble.SEPARATED, Trouble.SEPARATED, Trouble.CONSTANT, Trouble.EMPTY_ARM, Trouble.CONSTANT, Trouble.NONE]
    assert found.trouble.tolist() == told
    assert np.isnan(found.estimate.value[:5]).all() and np.isfinite(found.estimate.p[5]).all()
    firth = logistic(values[:2], covariates[:2], firth=True, intervals="profile")
    assert (firth.trouble == 0).all() and np.isfinite(firth.estimate.lower).all()
    assert logistic(y, np.ones((1, 10))).trouble == Trouble.SINGULAR
    assert logistic(1 - y * (x % 2), np.stack([x, 2 * x + 1])).trouble == Trouble.SINGULAR
    assert logistic(y[4:6], np.stack([x, x**2])[:, 4:6]).trouble == Trouble.TOO_FEW


def test_large_covariates_do_not_look_separated():
    rng = np.random.default_rng(7)
    x = rng.normal(0, 1, 400)
    y = (rng.random(400) < special.expit(12 * x)).astype(float)
    small, large = logistic(y, x[None]), logistic(y, 1e6 + 1e3 * x[None])
    assert small.trouble == large.trouble == 0
    assert large.estimate.value[1] * 1e3 == pytest.approx(small.estimate.value[1], rel=1e-6)


def test_standardisation_without_covariates_is_the_table():
    values, arms = np.repeat([1.0, 0.0, 1.0, 0.0], [15, 20, 5, 29]), np.repeat([1, 0], [35, 34])
    wald = difference.of_tables(table(15, 35, 5, 34), method="wald")
    found = standardised(values, arms, (1, 0), None)
    assert numbers(*found.estimate[:6]) == pytest.approx(numbers(*wald[:6]), rel=1e-9)
    assert found.share_a == pytest.approx(15 / 35) and found.share_b == pytest.approx(5 / 34)
    # the robust variance is then that of two samples
    robust = standardised(values, arms, (1, 0), None, variance="ye")
    assert robust.estimate.se**2 == pytest.approx(15 * 20 / 35**2 / 34 + 5 * 29 / 34**2 / 33, rel=1e-9)
    woolf = odds.of_tables(table(15, 35, 5, 34))
    marginal = standardised(values, arms, (1, 0), None, measure="odds").estimate
    assert numbers(*marginal[:6]) == pytest.approx(numbers(*woolf[:6]), rel=1e-9)


@pytest.mark.parametrize("interaction", [False, True])
@pytest.mark.parametrize("measure", ["difference", "ratio", "odds"])
def test_variance_is_the_delta_methods(measure, interaction):
    values, arms, covariates = (each[0] for each in trials())
    found = standardised(values, arms, (1, 0), covariates, measure=measure, interaction=interaction)
    design = np.stack([arms, *covariates, *(covariates * arms if interaction else [])])
    model = logistic(values, design)
    used = ~np.isnan(values) & ~np.isnan(covariates).any(0)
    x = covariates[:, used]

    def effect(b):
        shares = []
        for arm in (1.0, 0.0):
            rows = np.stack([np.ones(used.sum()), np.full(used.sum(), arm), *x, *(x * arm if interaction else [])])
            shares.append(special.expit(b @ rows).mean())
        a, c = shares
        return {"difference": a - c, "ratio": np.log(a / c), "odds": special.logit(a) - special.logit(c)}[measure]

    b = model.estimate.value
    slope = optimize.approx_fprime(b, effect, 1e-6)
    value = float(found.estimate.value) if measure == "difference" else np.log(float(found.estimate.value))
    assert value == pytest.approx(effect(b), rel=1e-9)
    assert found.estimate.se == pytest.approx(np.sqrt(slope @ model.covariance @ slope), rel=1e-4)


def test_robust_variances_are_those_of_beeca(shared):
    # openpharma/beeca, tests/testthat/test-estimate_varcov.R: RobinCar 0.3.0, and the variance as published
    with gzip.open(shared / "oracles/data/beeca/trial01.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["aval"]]
    y, a, x = (np.array([float(row[name]) for row in rows]) for name in ("aval", "trtp", "bl_cov"))
    pooled = standardised(y, a, (1, 0), x[None], variance="ye-pooled").estimate
    assert pooled.se**2 == pytest.approx(0.003706813, abs=5e-10)
    published = standardised(y[:150], a[:150], (1, 0), x[None, :150], variance="ye").estimate
    assert published.se**2 == pytest.approx(0.006669802, abs=5e-10)
    quarters = np.digitize(x, np.linspace(x.min(), x.max(), 5)[1:-1], right=True)
    covariates = np.stack([x, *(quarters == q for q in (1, 2, 3))])
    blocks = standardised(y, a, (1, 0), covariates, variance="ye-pooled", strata=quarters).estimate
    assert blocks.se**2 == pytest.approx(0.003664811, abs=5e-10)


def test_covariances_of_white_are_their_formulas():
    values, arms, covariates = (each[0] for each in trials())
    used = ~np.isnan(values) & ~np.isnan(covariates).any(0)
    x, y = np.stack([np.ones(used.sum()), arms[used], *covariates[:, used]], 1), values[used]
    b = logistic(values, np.stack([arms, *covariates])).estimate.value
    p = special.expit(x @ b)
    inverse = np.linalg.inv(x.T * (p * (1 - p)) @ x)
    h = np.diag(x @ inverse @ x.T) * p * (1 - p)
    slope = np.zeros(4)
    for arm, sign in ((1.0, 1.0), (0.0, -1.0)):
        rows = np.column_stack([x[:, 0], np.full(len(y), arm), x[:, 2:]])
        q = special.expit(rows @ b)
        slope += sign * (q * (1 - q) @ rows) / len(y)
    for variance, factor in (
        ("ge-hc0", 1.0),
        ("ge-hc1", len(y) / (len(y) - 4)),
        ("ge-hc2", 1 / (1 - h)),
        ("ge-hc3", 1 / (1 - h) ** 2),
    ):
        white = inverse @ (x.T * ((y - p) ** 2 * factor) @ x) @ inverse
        found = standardised(values, arms, (1, 0), covariates, variance=variance).estimate
        assert found.se == pytest.approx(np.sqrt(slope @ white @ slope), rel=1e-8)


def test_the_robust_interval_covers():
    rng = np.random.default_rng(12)
    x, a = rng.normal(0, 1.5, (2000, 1, 150)), rng.integers(0, 2, (2000, 150))
    y = (rng.random(a.shape) < special.expit(0.8 * a + x[:, 0])).astype(float)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    shares = [weights @ special.expit(arm * 0.8 + 1.5 * nodes) / weights.sum() for arm in (1, 0)]
    found = standardised(y, a, (1, 0), x, variance="ye").estimate
    missed = ((found.lower > shares[0] - shares[1]) | (found.upper < shares[0] - shares[1])).mean()
    assert abs(missed - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize("variance", VARIANCES)
def test_many_standardised_are_each_alone(variance):
    values, arms, covariates = trials()
    values[1, arms[1] == 1] = np.nan
    values[2, arms[2] == 1] = 1.0
    many = standardised(values, arms, (1, 0), covariates, variance=variance)
    assert many.estimate.trouble[:3].tolist() == [0, Trouble.EMPTY_ARM, Trouble.SEPARATED]
    assert np.isnan(many.estimate.value[1:3]).all() and np.isfinite(many.estimate.value[3:]).all()
    for r in range(len(values)):
        alone = standardised(values[r], arms[r], (1, 0), covariates[r], variance=variance)
        np.testing.assert_allclose([each[r] for each in many.estimate], alone.estimate, rtol=1e-10)


def test_many_regressions_are_each_alone():
    values, _, covariates = trials()
    for firth in (False, True):
        many = logistic(values, covariates, firth=firth, intervals="profile")
        for r in range(2):
            alone = logistic(values[r], covariates[r], firth=firth, intervals="profile")
            np.testing.assert_allclose([each[r] for each in many.estimate], alone.estimate, rtol=1e-9)


def test_one_share_against_pairs_and_trouble_of_nobody():
    assert proportion.proportion([np.nan]).trouble == Trouble.EMPTY_ARM
    assert proportion.of_counts(0, 5, method="wald").trouble == Trouble.CONSTANT


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: count_strata([1.0, 0.0], [0, 1], (0, 1), [1, np.nan]),
            "strata hold NaN; give every subject a stratum",
        ),
        (lambda: stratified.risk_difference_of_tables(BERKELEY, method="mh"), "method is 'mh'; give one of sato"),
        (
            lambda: stratified.risk_difference_of_tables(BERKELEY, weights="n"),
            "weights is 'n'; give one of mantel-haenszel",
        ),
        (lambda: stratified.risk_difference_of_tables(BERKELEY, margin=2), "margin is 2; give a difference between"),
        (lambda: pairs.mcnemar([1.0], [1.0], "score"), "method is 'score'; give one of asymptotic"),
        (lambda: pairs.paired_difference([1.0], [1.0], method="score"), "method is 'score'; give one of wald"),
        (lambda: pairs.pairs([3.0], [1.0]), "first holds other numbers than 0 and 1"),
        (lambda: logistic([1.0, 0.0], [[1.0, 2.0, 3.0]]), "shapes do not fit"),
        (
            lambda: logistic([1.0, 0.0], [[1.0, 2.0]], intervals="exact"),
            "intervals is 'exact'; give one of wald, profile",
        ),
        (
            lambda: standardised([1.0, 0.0], [0, 1], (1, 0), None, measure="rr"),
            "measure is 'rr'; give one of difference",
        ),
        (lambda: standardised([1.0, 0.0], [0, 1], (1, 0), None, variance="hc"), "variance is 'hc'; give one of ge"),
        (
            lambda: standardised([1.0, 0.0], [0, 1], (1, 0), None, strata=[1, 2]),
            "variance 'ge' knows no strata; give 'ye' or 'ye-pooled'",
        ),
        (lambda: standardised([1.0, 0.0], [0, 1], (1, 0), [[1.0, 2.0, 3.0]]), "give one of each a subject"),
        (lambda: chi_square.chi_square([np.nan], [1]), "no subject has both an arm and a value"),
        (lambda: chi_square.of_counts([[1.0, -1.0]]), "counts hold NaN or negative numbers"),
    ],
)
def test_a_wrong_call_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
