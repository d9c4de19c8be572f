"""Two proportions against known answers, SciPy, and likelihoods maximised by another way."""

import csv
import gzip
import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from analysis.statistics.binary import chi_square, difference, exact, fisher, odds, proportion, ratio, score
from analysis.statistics.binary.standardised import standardised
from analysis.statistics.binary.tables import Table, count, table
from analysis.statistics.trouble import Trouble

TOPIC = "linear_binary"
ELSEWHERE = {  # cases that other tests answer
    **dict.fromkeys(("mmrm_fev_un_reml_sas", "mmrm_fev_un_gls", "mmrm_fev_intercept_un_sas"), "test_continuous.py"),
    **dict.fromkeys(("ancova_anorexia", "cdiscpilot_table14_3_01"), "test_continuous.py"),
    "cdiscpilot_adtte": "test_survival.py",
}
SCORE = ("mee", "miettinen_nurminen", "koopman")  # intervals by iteration
APPROXIMATE = [name for name in difference.METHODS if name not in exact.METHODS]


def people(xa, na, xb, nb):
    """Values and arms of a table."""
    return np.repeat([1.0, 0.0, 1.0, 0.0], [xa, na - xa, xb, nb - xb]), np.repeat([1, 0], [na, nb])


def two_by_two(inputs):
    """What a table is asked, by name, each a function of the question's method."""
    values, arms = people(*(inputs[name] for name in ("x1", "n1", "x2", "n2")))
    alpha = 1 - inputs.get("level", 0.95)
    names = {
        "wald": "wald",
        "newcombe_hybrid_score": "newcombe",
        "mee": "mee",
        "miettinen_nurminen": "miettinen-nurminen",
        "agresti_caffo": "agresti-caffo",
        "chan_zhang": "chan-zhang",
        "santner_snell": "santner-snell",
        "agresti_min": "agresti-min",
        "katz_log": "katz",
        "koopman": "koopman",
        "woolf": "woolf",
        "exact": "exact",
    }
    effects = {"rd": difference.risk_difference, "rr": ratio.risk_ratio, "or": odds.odds_ratio}

    def answer(key):
        if key == "fisher_p":
            return float(fisher.fisher_test(values, arms, (1, 0)).both)
        if key.startswith("pearson_chisq"):
            return float(chi_square.chi_square(values, arms, key.endswith("corrected")).statistic)
        if key == "nnt":
            return difference.number_needed_to_treat(
                *(float(each) for each in effects["rd"](values, arms, (1, 0))[:1]), 0, 0
            )[0]
        effect, _, method = key.partition("_")
        if not method:
            return float(effects[effect](values, arms, (1, 0)).value)
        found = effects[effect](values, arms, (1, 0), alpha, method=names[method])
        return [float(found.lower), float(found.upper)]

    return answer


def g_computation(inputs, shared):
    with gzip.open(shared / "oracles" / inputs["dataset"].split()[0], "rt") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [float(row[name] or "nan") for row in rows] for name in ("aval", "trtp", "bl_cov")}
    found = standardised(columns["aval"], columns["trtp"], (1, 0), [columns["bl_cov"]])
    value, se, lower, upper = (float(each) for each in found.estimate[:4])
    answers = {"diff": value, "se": se, "lower": lower, "upper": upper, "recomputed": [value, se]}
    return {**answers, "p1": float(found.share_a), "p0": float(found.share_b)}


def test_every_case_of_known_answers(case, agrees, shared):
    if case["id"] in ELSEWHERE:
        pytest.skip(f"answered in {ELSEWHERE[case['id']]}")
    inputs, tolerance = case["inputs"], case["tolerance"]
    if "model" in inputs:
        found = g_computation(inputs, shared)
    else:
        answer = two_by_two(inputs)
        found = {key: answer(key) for key in case["expected"]}

    def close(path):
        if path[0].endswith(SCORE) and "score_ci_abs" in tolerance:
            return {"abs": tolerance["score_ci_abs"], "rel": 0}
        return {"rel": tolerance["rel"], "abs": 0}

    agrees(found, case["expected"], close)


# Newcombe 1998, table II (a), to more digits by R 4.2.2: x1, n1, x2, n2, difference, interval of Wald, of method 10
NEWCOMBE = [
    (56, 70, 48, 80, 0.2, (0.0575048991490372, 0.342495100850963), (0.0524314724023649, 0.333872654036906)),
    (15, 35, 5, 34, 0.2815126050420, (0.0789024101488351, 0.4841227999351), (0.0672611329600294, 0.46410082148886)),
]


@pytest.mark.parametrize(("x1", "n1", "x2", "n2", "value", "wald", "newcombe"), NEWCOMBE)
def test_risk_difference_is_newcombes(x1, n1, x2, n2, value, wald, newcombe):
    estimate = difference.risk_difference(*people(x1, n1, x2, n2), (1, 0), 0.05, 2)
    assert estimate.value == pytest.approx(value, rel=1e-12)
    assert estimate.se == pytest.approx((wald[1] - wald[0]) / 2 / 1.959963984540054, rel=1e-9)
    assert (estimate.lower, estimate.upper) == pytest.approx(newcombe, rel=1e-9)
    assert estimate.p == pytest.approx(2 * stats.norm.sf(value / estimate.se), rel=1e-9)


def test_a_trial_without_an_event_is_not_certain():
    estimate = difference.risk_difference(np.zeros((1, 40)), np.arange(40)[None] % 2, (1, 0), 0.05, 2)
    assert (estimate.value[0], estimate.p[0]) == (0.0, 1.0)
    assert estimate.lower[0] < -0.1 and estimate.upper[0] > 0.1


def test_number_needed_to_treat_turns_the_interval_round():
    assert difference.number_needed_to_treat(0.25, 0.125, 0.5) == (4.0, 2.0, 8.0)
    assert difference.number_needed_to_treat(0.05, -0.01, 0.11)[1:] == (None, None)
    assert difference.number_needed_to_treat(-0.1, -0.2, -0.05) == pytest.approx((-10, -20, -5))


def likeliest_share(counts, null, scale):
    """Share of arm b at which the likelihood is greatest given the null, by search."""
    xa, na, xb, nb = counts

    def other(pb):
        return {"difference": pb + null, "ratio": pb * null, "odds": pb * null / (1 + pb * (null - 1))}[scale]

    low, high = 0.0, 1.0
    if scale == "difference":
        low, high = max(0.0, -null), min(1.0, 1 - null)
    elif scale == "ratio":
        high = min(1.0, 1 / null)

    def unlikely(pb):
        return -sum(stats.binom.logpmf((xa, xb), (na, nb), np.clip((other(pb), pb), 1e-300, 1 - 1e-16)))

    return optimize.minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x


@pytest.mark.parametrize(
    "counts", [(56, 70, 48, 80), (3, 12, 9, 11), (0, 10, 4, 13), (10, 10, 12, 12), (1, 200, 7, 30)]
)
@pytest.mark.parametrize(
    ("scale", "nulls"), [("difference", (-0.3, 0.0, 0.15, 0.6)), ("ratio", (0.4, 1.0, 2.5)), ("odds", (0.2, 1.0, 6.0))]
)
def test_constrained_shares_are_the_likeliest(counts, scale, nulls):
    for null in nulls:
        _, pb = score.constrained(table(*counts), null, scale)
        # A search by values of the likelihood finds its place to the root of rounding only.
        assert float(pb) == pytest.approx(likeliest_share(counts, null, scale), abs=3e-6)


@pytest.mark.parametrize("counts", [(56, 70, 48, 80), (3, 12, 9, 11), (0, 10, 4, 13), (5, 500, 1, 400)])
def test_ends_of_a_score_interval_are_where_the_score_is_the_quantile(counts):
    z, found = 1.959963984540054, table(*counts)
    for module, scale, method, unbiased in (
        (difference, "difference", "miettinen-nurminen", True),
        (difference, "difference", "mee", False),
        (ratio, "ratio", "miettinen-nurminen", True),
        (ratio, "ratio", "koopman", False),
        (odds, "odds", "score", False),
    ):
        estimate = module.of_tables(found, method=method)
        for end, sign in ((float(estimate.lower), 1), (float(estimate.upper), -1)):
            if 0 < abs(end) < 1 or (scale != "difference" and end > 0):
                assert float(score.score(found, end, scale, unbiased)) == pytest.approx(sign * z, abs=1e-9)
            else:
                assert counts[0] == 0 and end == 0  # no responder in arm a: a ratio may be 0


def test_koopman_is_his_chi_squared():
    xa, na, xb, nb = 15, 35, 5, 34
    estimate = ratio.of_tables(table(xa, na, xb, nb), method="koopman")
    for end in (float(estimate.lower), float(estimate.upper)):
        # Koopman 1984, eq. 2.1, with the likeliest share by search
        pa = end * likeliest_share((xa, na, xb, nb), end, "ratio")
        u = (xa - na * pa) ** 2 / (na * pa * (1 - pa)) * (1 + na * (end - pa) / (nb * (1 - pa)))
        assert u == pytest.approx(stats.chi2.isf(0.05, 1), rel=1e-4)


def test_score_test_of_no_effect_is_pearsons_on_every_scale():
    found = table(56, 70, 48, 80)
    z = chi_square.of_counts([[56, 14], [48, 32]]).statistic ** 0.5
    for module, method in ((difference, "mee"), (ratio, "koopman"), (odds, "score")):
        assert float(module.of_tables(found, method=method).statistic) == pytest.approx(z, rel=1e-12)


def test_a_margin_of_non_inferiority_moves_the_test_with_the_interval():
    for module, method in itertools.chain(
        ((difference, m) for m in ("wald", "wald-corrected", "agresti-caffo", "miettinen-nurminen", "mee")),
        ((ratio, m) for m in ratio.METHODS if m != "agresti-min"),
        ((odds, m) for m in ("woolf", "haldane", "miettinen-nurminen", "score")),
    ):
        found = table(56, 70, 48, 80)
        lower = float(module.of_tables(found, 0.025, 1, method).lower)
        at = module.of_tables(found, 0.025, 1, method, margin=lower)
        assert at.p == pytest.approx(0.025, rel=1e-6), method


@pytest.mark.parametrize("counts", [(7, 15, 12, 15), (0, 10, 3, 12), (56, 70, 48, 80)])
def test_exact_test_is_that_of_barnard(counts):
    columns = np.array([[counts[0], counts[1] - counts[0]], [counts[2], counts[3] - counts[2]]]).T
    for side, alternative in ((1, "greater"), (-1, "less")):
        expected = stats.barnard_exact(columns, alternative=alternative, n=256).pvalue
        found = exact.Enumeration(*counts, "difference", True).tail(0.0, side)
        # SciPy's maximum is over random points, and so may be a little short of it.
        assert expected - 1e-10 <= found == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(
    ("module", "method"), [(m, e) for m in (difference, ratio) for e in exact.METHODS if e in m.METHODS]
)
def test_exact_intervals_cover_whatever_the_shares(module, method):
    na, nb, alpha = 4, 5, 0.1
    a, b = np.meshgrid(np.arange(na + 1), np.arange(nb + 1), indexing="ij")
    found = module.of_tables(table(a, na, b, nb), alpha, method=method)
    for pa, pb in itertools.product((0.02, 0.3, 0.5, 0.9), (0.05, 0.4, 0.7, 0.99)):
        truth = pa - pb if module is difference else pa / pb
        law = stats.binom.pmf(a, na, pa) * stats.binom.pmf(b, nb, pb)
        missed = (found.lower > truth) | (found.upper < truth)
        assert (law * missed).sum() <= alpha + 1e-9


def test_exact_two_sided_test_is_that_of_barnard():
    found = difference.of_tables(table(7, 15, 12, 15), method="agresti-min")
    assert float(found.p) == pytest.approx(stats.barnard_exact([[7, 12], [8, 3]], n=256).pvalue, rel=2e-3)
    wide = difference.of_tables(table(7, 15, 12, 15), method="chan-zhang")
    assert 0 < found.upper - found.lower < wide.upper - wide.lower
    with pytest.raises(ValueError, match="method 'agresti-min' is two-sided; give sided 2"):
        difference.of_tables(table(7, 15, 12, 15), 0.05, 1, "agresti-min")


def test_exact_unconditional_intervals_refuse_too_many_tables():
    with pytest.raises(ValueError, match="too many tables to count; use method"):
        difference.of_tables(table(1, 600, 2, 600), method="chan-zhang")


arms = st.integers(1, 25).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(max_examples=60, deadline=None)
@given(arms, arms)
def test_fishers_test_is_that_of_scipy(a, b):
    columns = [[a[0], a[1] - a[0]], [b[0], b[1] - b[0]]]
    found = fisher.tails(table(*a, *b))
    for side, alternative in zip(found, ("greater", "less", "two-sided"), strict=True):
        assert float(side) == pytest.approx(stats.fisher_exact(columns, alternative).pvalue, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(arms, arms)
def test_conditional_odds_ratio_is_that_of_scipy(a, b):
    columns = [[a[0], a[1] - a[0]], [b[0], b[1] - b[0]]]
    estimate = odds.of_tables(table(*a, *b), method="exact")
    if 0 < a[0] + b[0] < a[1] + b[1]:
        expected = stats.contingency.odds_ratio(columns)
        limits = expected.confidence_interval(0.95)
        found = [float(each) for each in (estimate.value, estimate.lower, estimate.upper)]
        assert found == pytest.approx([expected.statistic, limits.low, limits.high], rel=1e-6)
    else:
        assert np.isnan(estimate.value) and estimate.trouble == Trouble.CONSTANT


def test_mid_p_counts_the_table_half():
    found, half = (fisher.tails(table(7, 12, 2, 11), mid=mid) for mid in (False, True))
    seen = stats.hypergeom.pmf(7, 23, 12, 9)
    assert float(half.above) == pytest.approx(float(found.above) - seen / 2, rel=1e-12)
    lower = float(odds.of_tables(table(7, 12, 2, 11), method="mid-p").lower)
    assert float(fisher.tails(table(7, 12, 2, 11), lower, mid=True).above) == pytest.approx(0.025, rel=1e-9)


@pytest.mark.parametrize("mid", [False, True])
def test_all_possible_tables_have_the_p_values_of_each(mid):
    a, b = np.meshgrid(np.arange(8), np.arange(6), indexing="ij")
    for found, each in zip(fisher.possible(7, 5, mid), fisher.tails(table(a, 7, b, 5), mid=mid), strict=True):
        np.testing.assert_allclose(found, each, rtol=1e-10)


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (3, 10), (56, 70)])
def test_intervals_of_a_share_are_those_of_scipy(successes, n):
    for method, name in (("wilson", "wilson"), ("wilson-corrected", "wilsoncc"), ("clopper-pearson", "exact")):
        expected = stats.binomtest(successes, n).proportion_ci(0.95, method=name)
        found = proportion.of_counts(successes, n, method=method)
        assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), rel=1e-10, abs=1e-15)
    assert proportion.wilson(successes / n, n) == pytest.approx(
        tuple(stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")), rel=1e-12, abs=1e-15
    )


def test_intervals_of_a_share_with_closed_forms():
    # Nobody of n: mid-p solves (1 - p)^n / 2 = alpha / 2. Of one: Jeffreys' law is that of arcsine, cdf 2/pi asin sqrt.
    assert proportion.of_counts(0, 10, method="mid-p").upper == pytest.approx(1 - 0.05**0.1, rel=1e-12)
    jeffreys = proportion.of_counts(5, 9, method="jeffreys")
    law = stats.beta(5.5, 4.5)
    assert law.cdf([jeffreys.lower, jeffreys.upper]) == pytest.approx([0.025, 0.975], rel=1e-10)
    wald, plus = (proportion.of_counts(12, 40, method=method) for method in ("wald", "agresti-coull"))
    assert wald.upper - 0.3 == pytest.approx(1.959963984540054 * np.sqrt(0.3 * 0.7 / 40), rel=1e-12)
    wilson = proportion.of_counts(12, 40)
    assert plus.upper + plus.lower == pytest.approx(wilson.upper + wilson.lower, rel=1e-12)  # one centre
    assert plus.lower < wilson.lower and plus.upper > wilson.upper


def test_a_share_is_tested_against_a_value():
    assert proportion.of_counts(12, 40, 0.05, 1, "clopper-pearson", 0.2).p == pytest.approx(
        stats.binomtest(12, 40, 0.2, "greater").pvalue, rel=1e-12
    )
    z = (0.3 - 0.2) / np.sqrt(0.16 / 40)
    assert proportion.proportion([1.0] * 12 + [0.0] * 28 + [np.nan], null=0.2).p == pytest.approx(2 * stats.norm.sf(z))
    assert np.isnan(proportion.of_counts(12, 40).p)


def samples(replicates=7, subjects=40):
    rng = np.random.default_rng(3)
    arms = rng.integers(0, 3, (replicates, subjects))
    values = (rng.random((replicates, subjects)) < 0.2 + 0.2 * arms).astype(float)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[0, arms[0] == 1] = 0.0
    values[1] = 1.0
    values[2, arms[2] == 0] = np.nan
    return values, arms


@pytest.mark.parametrize(
    ("effect", "method"),
    [(difference.risk_difference, m) for m in difference.METHODS]
    + [(ratio.risk_ratio, m) for m in ratio.METHODS]
    + [(odds.odds_ratio, m) for m in odds.METHODS],
)
def test_many_at_once_are_each_alone(effect, method):
    values, arms = samples(4 if method in exact.METHODS else 7)
    many = effect(values, arms, (1, 0), 0.05, 2, method)
    assert (
        many.trouble[2] == Trouble.EMPTY_ARM and np.isnan([each[2] for each in (many.value, many.lower, many.p)]).all()
    )
    for r in range(len(values)):
        for found, each in zip(many, effect(values[r], arms[r], (1, 0), 0.05, 2, method), strict=True):
            np.testing.assert_allclose(found[r], each, rtol=1e-12, atol=1e-14)
    assert many.subjects[3] == (np.isin(arms[3], (0, 1)) & ~np.isnan(values[3])).sum()


def test_fishers_test_of_many_is_of_each_alone():
    values, arms = samples()
    many = fisher.fisher_test(values, arms, (1, 0))
    for r in range(len(values)):
        alone = fisher.fisher_test(values[r], arms[r], (1, 0))
        np.testing.assert_allclose([each[r] for each in many], alone, rtol=1e-12)
    assert np.isnan(many.both[2])


@pytest.mark.parametrize("method", APPROXIMATE)
@pytest.mark.parametrize("counts", [(0, 10, 0, 12), (10, 10, 12, 12), (10, 10, 0, 12), (0, 10, 12, 12), (1, 1, 0, 1)])
def test_arms_that_all_respond_or_none_are_no_accident(method, counts):
    estimate = difference.of_tables(table(*counts), method=method)
    told = (Trouble.NONE, Trouble.CONSTANT, Trouble.TOO_FEW)
    assert estimate.trouble in told
    assert estimate.value == counts[0] / counts[1] - counts[2] / counts[3]
    if method in ("newcombe", "miettinen-nurminen", "mee"):
        assert estimate.trouble == 0 and -1 <= estimate.lower < estimate.upper <= 1


def test_infinite_ratios_have_one_end():
    for module, method in ((ratio, "koopman"), (odds, "score"), (odds, "exact"), (ratio, "chan-zhang")):
        up, down = (module.of_tables(table(*each), method=method) for each in ((3, 10, 0, 12), (0, 12, 3, 10)))
        assert up.value == np.inf and up.upper == np.inf and 0 < up.lower < np.inf
        assert down.value == 0 and down.lower == 0 and 0 < down.upper < np.inf
        assert up.trouble == down.trouble == Trouble.SEPARATED
    assert np.isnan(ratio.of_tables(table(3, 10, 0, 12)).upper)
    assert ratio.of_tables(table(0, 10, 0, 12)).trouble == Trouble.NO_EVENTS
    # swapping the arms turns a score interval round
    lower = odds.of_tables(table(3, 10, 0, 12), method="score").lower
    assert odds.of_tables(table(0, 12, 3, 10), method="score").upper == pytest.approx(1 / lower, rel=1e-9)


def test_counts_leave_out_who_is_missing_and_other_arms():
    found = count([1, 0, np.nan, 1, 1, 0], [1, 1, 1, 0, 2, 0], (1, 0))
    assert [float(each) for each in found] == [1.0, 2.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: difference.risk_difference([2.0, 0.0], [0, 1], (0, 1)),
            "values holds other numbers than 0 and 1; give",
        ),
        (
            lambda: difference.risk_difference([1.0, 0.0], [0, 1], (0, 2)),
            "no subject is in arm 2; name two of the codes",
        ),
        (
            lambda: difference.risk_difference([1.0, 0.0], [0, 1], (1, 1)),
            "contrast is .1, 1.; give two different codes",
        ),
        (lambda: difference.risk_difference([1.0, 0.0], [0, 1, 1], (0, 1)), "shapes do not fit"),
        (lambda: difference.of_tables(table(1, 2, 1, 2), method="score"), "method is 'score'; give one of wald"),
        (
            lambda: difference.of_tables(table(1, 2, 1, 2), margin=1.0),
            "margin is 1.0; give a difference between -1 and",
        ),
        (lambda: difference.of_tables(table(1, 2, 1, 2), alpha=5), "alpha is 5; give a level between 0 and 1"),
        (lambda: ratio.of_tables(table(1, 2, 1, 2), method="wald"), "method is 'wald'; give one of katz"),
        (lambda: ratio.of_tables(table(1, 2, 1, 2), margin=0.0), "margin is 0.0; give a ratio above 0"),
        (lambda: odds.of_tables(table(1, 2, 1, 2), method="wald"), "method is 'wald'; give one of woolf"),
        (lambda: odds.of_tables(table(1, 2, 1, 2), margin=-1), "margin is -1; give an odds ratio above 0"),
        (lambda: fisher.tails(table(1, 2, 1, 2), 0.0), "odds_ratio is 0.0; give one above 0"),
        (lambda: table(3, 2, 1, 2), "xa of na are no counts; give whole numbers"),
        (lambda: table(1, 2, 0.5, 2), "xb of nb are no counts; give whole numbers"),
        (lambda: proportion.of_counts(3, 2), "x of n are no counts; give whole numbers"),
        (lambda: proportion.of_counts(1, 2, method="exact"), "method is 'exact'; give one of wald"),
        (lambda: proportion.of_counts(1, 2, null=1.0), "null is 1.0; give a share between 0 and 1"),
    ],
)
def test_a_wrong_call_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_arrays_with_names_are_put_into_order():
    values, arms = samples(4)
    named = [xr.DataArray(each.T, dims=("subject", "replicate")) for each in (values, arms)]
    for found, each in zip(count(*named, (1, 0)), count(values, arms, (1, 0)), strict=True):
        np.testing.assert_array_equal(found, each)


def test_a_table_is_of_one_shape():
    assert table([1, 2], 5, 3, [[6], [7]]).na.shape == (2, 2)
    assert isinstance(table(1, 2, 1, 2), Table)
