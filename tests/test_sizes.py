"""Sizes, powers and detectable effects against R, published designs, enumeration, and each other."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from analysis.statistics.sizes import clusters, means, proportions, survival
from analysis.statistics.sizes.size import whole

TOPIC = "sample_size_power"
ELSEWHERE = ("gs_", "inn_")  # group-sequential and adaptive designs: test_sequential.py


def answers(inputs):
    """What a case asks, by name."""
    sided = 2 if "alpha_two_sided" in inputs else 1
    alpha = inputs["alpha_two_sided" if sided == 2 else "alpha_one_sided"]
    power = inputs["power"] if "power" in inputs else 1 - inputs["beta"]
    asked = {"power": power, "alpha": alpha, "sided": sided}
    if "delta" in inputs:
        found = means.two_means(inputs["delta"], sd=inputs["sd"], **asked)
        return {"n_per_group_exact": found.arms[1], "n_per_group": found.subjects[1]}
    if "p1" in inputs:
        low, high = sorted((inputs["p1"], inputs["p2"]))
        found = proportions.two_proportions(low, high, **asked)
        return {"n_per_group_exact": found.arms[1], "n_per_group": found.subjects[1]}
    if "hr" in inputs:
        ratio = {"ratio": inputs.get("ratio", 1)}
        schoenfeld, freedman = (survival.events(inputs["hr"], method=m, **asked, **ratio) for m in survival.EVENTS)
        return {"events": schoenfeld.events, "events_ceiling": schoenfeld.whole, "freedman": freedman.events}
    found = survival.two_hazards(
        inputs["lambda1"],
        inputs["lambda2"],
        duration=inputs["Ts"],
        accrual=inputs["Tr"],
        dropout=inputs["eta"],
        ratio=inputs["ratio"],
        entry={"unif": 0.0, "expo": inputs.get("gamma")}[inputs["entry"]],
        scale={"rr": "ratio", "rd": "difference"}[inputs["type"]],
        **asked,
    )
    return {"n": found.size.total, "nEvents": found.total_events}


def test_every_case_of_known_answers(case, agrees):
    if case["id"].startswith(ELSEWHERE):
        pytest.skip("answered in test_sequential.py")
    tolerance = case["tolerance"].get("rel", 0.0)
    agrees(answers(case["inputs"]), case["expected"], lambda path: {"rel": tolerance, "abs": 0})


def power_of_t(effect, arms, sd, alpha, df):
    """One-sided power of the t-test as a mean over the sample's standard deviation."""
    shift = effect / math.sqrt(sum(s**2 / n for s, n in zip(sd, arms, strict=True)))
    t = stats.t.isf(alpha, df)

    def at(s):
        return stats.norm.sf(t * s - shift) * stats.chi2.pdf(df * s**2, df) * 2 * df * s

    return integrate.quad(at, 0, 1 + 12 / math.sqrt(df), epsabs=1e-13, limit=200, points=(0.5, 1.0))[0]


@pytest.mark.parametrize(("effect", "arms"), [(0.5, (30, 20)), (1.4, (4, 5)), (0.05, (900, 1000)), (3.0, (40, 40))])
def test_power_of_the_t_test_is_a_mean_over_standard_deviations(effect, arms):
    found = means.two_means(effect, sum(arms), sd=1.5, ratio=arms[0] / arms[1])
    assert found.power == pytest.approx(power_of_t(effect, arms, (1.5, 1.5), 0.025, sum(arms) - 2), abs=1e-9)
    # of two standard deviations, with Welch's degrees of freedom
    parts = [1.0 / arms[0], 4.0 / arms[1]]
    df = sum(parts) ** 2 / sum(v**2 / (n - 1) for v, n in zip(parts, arms, strict=True))
    welch = means.two_means(effect, sum(arms), sd=(1.0, 2.0), ratio=arms[0] / arms[1], sided=1)
    assert welch.power == pytest.approx(power_of_t(effect, arms, (1.0, 2.0), 0.05, df), abs=1e-9)


def test_one_mean_is_tested_with_one_degree_less():
    assert means.one_mean(0.4, 25, sided=1).power == pytest.approx(power_of_t(0.4, (25,), (1.0,), 0.05, 24), abs=1e-9)
    # R: power.t.test(delta = .5, power = .8, type = "paired"), n = 33.36713
    assert means.one_mean(0.5, power=0.8).arms[0] == pytest.approx(33.36713, abs=1e-4)


def test_both_sides_count_where_power_is_strict():
    assert means.two_means(1e-9, 50, strict=True).power == pytest.approx(0.05, abs=1e-8)
    assert means.two_means(1e-9, 50).power == pytest.approx(0.025, abs=1e-8)
    assert means.one_mean(1e-9, 50, normal=True, strict=True).power == pytest.approx(0.05, abs=1e-8)
    assert proportions.two_proportions(0.3, 0.3 + 1e-9, 50, strict=True).power == pytest.approx(0.05, abs=1e-6)


def test_equivalence_is_as_published():
    # PowerTOST, vignette: sampleN.TOST(CV = 0.3) is 40 with power 0.815845; a 2x2 crossover of n has the error of two
    # arms of n / 2 with standard deviations of sigma_w / sqrt(2)
    sd = math.sqrt(math.log(1 + 0.3**2) / 2)
    found = means.equivalent_means(math.log(0.8), math.log(1.25), math.log(0.95), power=0.8, sd=sd)
    assert found.total == 40 and found.achieved == pytest.approx(0.815845, abs=5e-7)


def test_equivalence_is_as_simulated():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.2, 1.0, (40000, 12)), rng.normal(0.0, 1.0, (40000, 8))
    d = a.mean(-1) - b.mean(-1)
    se = np.sqrt((11 * a.var(-1, ddof=1) + 7 * b.var(-1, ddof=1)) / 18 * (1 / 12 + 1 / 8))
    within = (np.abs(d) + stats.t.isf(0.05, 18) * se < 1.0).mean()
    power = means.equivalent_means(-1.0, 1.0, 0.2, 20, ratio=1.5).power
    assert abs(within - power) < 4 * math.sqrt(power * (1 - power) / 40000)
    assert means.equivalent_means(-1.0, 1.0, 0.2, 20000, normal=True).power == pytest.approx(1.0)


@pytest.mark.parametrize(
    "method",
    [
        lambda **k: means.two_means(sd=2.0, **k),
        lambda **k: means.two_means(sd=(1.0, 2.0), ratio=2.0, strict=True, **k),
        lambda **k: means.two_means(margin=-0.5, sided=1, correlation=0.6, covariates=1, **k),
        lambda **k: means.two_means(normal=True, inflation=clusters.design_effect(20, 0.05), **k),
        lambda **k: means.one_mean(**k),
        lambda **k: means.equivalent_means(-1.5, 1.0, **{"effect": None, **k}),
        lambda **k: means.equivalent_means(-1.5, 1.0, normal=True, **{"effect": None, **k}),
    ],
)
def test_size_power_and_effect_of_means_give_each_other(method):
    known = method(effect=0.4, n=150.0)
    assert 0 < known.power < 1
    assert sum(method(effect=0.4, power=known.power).arms) == pytest.approx(sum(known.arms), rel=1e-8)
    assert method(n=150.0, power=known.power).effect == pytest.approx(0.4, rel=1e-8)


@pytest.mark.parametrize(
    "method",
    [
        lambda pa=None, **k: proportions.two_proportions(0.4, pa, **k),
        lambda pa=None, **k: proportions.two_proportions(0.4, pa, ratio=0.5, method="unpooled", **k),
        lambda pa=None, **k: proportions.two_proportions(0.4, pa, method="arcsine", inflation=1.2, **k),
        lambda pa=None, **k: proportions.two_proportions(
            0.4, pa, method="farrington-manning", margin=-0.1, sided=1, ratio=2.0, **k
        ),
        lambda pa=None, **k: proportions.equivalent_proportions(0.4, -0.2, 0.25, pa, **k),
    ],
)
def test_size_power_and_effect_of_proportions_give_each_other(method):
    known = method(0.45, n=300.0)
    assert 0 < known.power < 1
    assert sum(method(0.45, power=known.power).arms) == pytest.approx(300, rel=1e-8)
    assert method(n=300.0, power=known.power).effect == pytest.approx(0.45, rel=1e-8)


def test_sizes_of_proportions_have_their_closed_forms():
    za, zb = stats.norm.isf([0.025, 0.1])
    unpooled = proportions.two_proportions(0.5, 0.75, power=0.9, method="unpooled").arms[0]
    assert unpooled == pytest.approx((za + zb) ** 2 * (0.25 + 0.1875) / 0.0625, rel=1e-9)
    arcsine = proportions.two_proportions(0.5, 0.75, power=0.9, method="arcsine").arms[0]
    h = 2 * math.asin(math.sqrt(0.75)) - 2 * math.asin(math.sqrt(0.5))
    assert arcsine == pytest.approx(2 * ((za + zb) / h) ** 2, rel=1e-9)
    # With no margin the likeliest shares are the mean: Farrington and Manning's is the pooled test.
    same = (
        proportions.two_proportions(0.5, 0.7, power=0.9, ratio=2, method=m) for m in ("pooled", "farrington-manning")
    )
    assert next(same).arms == pytest.approx(next(same).arms, rel=1e-9)


def test_non_inferiority_of_proportions_is_as_simulated():
    from analysis.statistics.binary import difference
    from analysis.statistics.binary.tables import table

    found = proportions.two_proportions(0.8, 0.8, power=0.8, margin=-0.12, sided=1, method="farrington-manning")
    rng = np.random.default_rng(2)
    n = found.subjects[0]
    tables = table(rng.binomial(n, 0.8, 40000), n, rng.binomial(n, 0.8, 40000), n)
    shown = (difference.of_tables(tables, 0.05, 1, "mee", -0.12).p < 0.05).mean()
    assert shown == pytest.approx(0.8, abs=0.02)  # the size is asymptotic


def test_power_of_fishers_test_is_that_of_all_tables():
    for sided, alternative in ((2, "two-sided"), (1, "greater")):
        expected = sum(
            stats.binom.pmf(a, 9, 0.8) * stats.binom.pmf(b, 7, 0.3)
            for a in range(10)
            for b in range(8)
            if stats.fisher_exact([[a, 9 - a], [b, 7 - b]], alternative).pvalue <= 0.05
        )
        assert proportions.fisher_power(0.8, 0.3, 9, 7, 0.05, sided) == pytest.approx(expected, rel=1e-10)
    found = proportions.fisher_size(0.8, 0.3, 0.8, ratio=2)
    na, nb = found.subjects
    assert na == 2 * nb and found.power >= 0.8 > proportions.fisher_power(0.8, 0.3, na - 2, nb - 1)
    assert proportions.fisher_power(0.8, 0.3, 20, 20, mid=True) > proportions.fisher_power(0.8, 0.3, 20, 20)


@pytest.mark.parametrize("method", survival.EVENTS)
def test_events_power_and_ratio_give_each_other(method):
    known = survival.events(0.75, 300, ratio=2.0, method=method, margin=1.1)
    assert survival.events(0.75, power=known.power, ratio=2.0, method=method, margin=1.1).events == pytest.approx(300)
    found = survival.events(events=300, power=known.power, ratio=2.0, method=method, margin=1.1)
    assert found.hazard_ratio == pytest.approx(0.75, rel=1e-9)


@pytest.mark.parametrize("scale", ["ratio", "difference"])
def test_size_power_and_hazard_give_each_other(scale):
    plan = {"duration": 3.0, "accrual": 1.0, "dropout": (0.05, 0.1), "ratio": 2.0, "entry": 0.7, "scale": scale}
    known = survival.two_hazards(0.3, 0.18, n=500.0, **plan)
    again = survival.two_hazards(0.3, 0.18, power=known.size.power, **plan)
    assert sum(again.size.arms) == pytest.approx(500, rel=1e-8)
    assert sum(again.events) == pytest.approx(sum(known.events), rel=1e-8)
    assert survival.two_hazards(0.3, n=500.0, power=known.size.power, **plan).size.effect == pytest.approx(
        0.18, rel=1e-8
    )


@pytest.mark.parametrize(("entry", "dropout"), [(0.0, 0.0), (0.0, 0.2), (1.5, 0.2), (-2.0, 0.1), (0.7, 0.2)])
def test_share_of_events_is_its_integral(entry, dropout):
    h, duration, accrual = 0.5, 3.0, 1.2
    norm = integrate.quad(lambda u: math.exp(-entry * u), 0, accrual)[0]

    def at(t, u):
        return h * math.exp(-(h + dropout) * t) * math.exp(-entry * u) / norm

    expected = integrate.dblquad(at, 0, accrual, 0, lambda u: duration - u, epsabs=1e-11)[0]
    assert survival.event_share(h, duration, accrual, dropout, entry) == pytest.approx(expected, rel=1e-9)
    assert survival.event_share(h, math.inf, 0.0, dropout) == pytest.approx(h / (h + dropout))


def test_sizes_are_rounded_up_but_for_rounding():
    assert [whole(n) for n in (63.2, 64.0, 64.0 + 1e-10, 64.001)] == [64, 64, 64, 65]
    found = means.two_means(10, power=0.8)
    assert found.subjects == (2, 2) and found.power > 0.8  # no smaller t-test
    assert means.two_means(0.5, power=0.8, ratio=2.0).total == 144


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: means.two_means(0.5), "give exactly two of n, power and effect; the third is found"),
        (lambda: means.two_means(0.5, 100, 0.8), "give exactly two of n, power and effect"),
        (lambda: means.two_means(0.5, power=1.2), "power is 1.2; give one between 0 and 1"),
        (lambda: means.two_means(0.5, 2), "n is 2; give a number of subjects of at least 4 in all"),
        (lambda: means.two_means(0.0, power=0.8), "no size has a power of 0.8 for an effect of 0.0; give a larger"),
        (lambda: means.two_means(n=20, power=0.01), "no effect has a power of 0.01 with 20 subjects; give another"),
        (lambda: means.two_means(0.5, 100, sd=0), "sd is 0; give a positive number"),
        (lambda: means.two_means(0.5, 100, ratio=0), "ratio is 0; give subjects of arm a to one of arm b"),
        (lambda: means.two_means(0.5, 100, correlation=1.0), "correlation is 1.0; give one between -1 and 1"),
        (lambda: means.two_means(0.5, 100, alpha=2), "alpha is 2; give a level"),
        (lambda: means.two_means(0.5, 100, sided=3), "sided is 3; give 1 or 2"),
        (lambda: means.equivalent_means(1, -1, n=9), "lower is 1, upper -1; give margins of which lower is less"),
        (lambda: means.equivalent_means(-1, 1, 1.5, 9), "effect is 1.5; give one between the margins -1 and 1"),
        (lambda: proportions.two_proportions(0.5, 1.5, 9), "pa is 1.5; give a share between 0 and 1"),
        (lambda: proportions.two_proportions(0.5, 0.6, 9, method="exact"), "method is 'exact'; give one of pooled"),
        (lambda: proportions.two_proportions(0.5, 0.6, 9, margin=-0.1), "method 'pooled' knows no margin; give"),
        (lambda: proportions.two_proportions(0.5, 0.6, 9, margin=-0.6), "margin is -0.6; give one that leaves"),
        (lambda: proportions.equivalent_proportions(0.5, 0.1, -0.1, n=9), "lower is 0.1, upper -0.1; give margins"),
        (lambda: proportions.equivalent_proportions(0.5, -0.1, 0.1, 0.7, 9), "pa - pb is 0.*; give one between"),
        (lambda: survival.events(0.7, 3, 0.8), "give exactly two of hazard_ratio, events and power"),
        (lambda: survival.events(1.0, power=0.8), "hazard_ratio is the margin, 1.0; give another"),
        (lambda: survival.events(0.7, 100, method="cox"), "method is 'cox'; give one of schoenfeld, freedman"),
        (lambda: survival.events(0.7, power=0.02), "power is 0.02; give one between 0.025 and 1"),
        (lambda: survival.events(events=1, power=0.9, method="freedman"), "no hazard ratio has a power of 0.9 with 1"),
        (
            lambda: survival.two_hazards(0.2, 0.1, 90, duration=1, accrual=2),
            "accrual is 2, duration 1; give a duration",
        ),
        (
            lambda: survival.two_hazards(0.2, 0.1, 90, duration=1, dropout=-1),
            "dropout is -1; give a hazard of at least 0",
        ),
        (lambda: survival.two_hazards(0.2, 0.1, 90, scale="log"), "scale is 'log'; give 'ratio' or 'difference'"),
        (lambda: clusters.design_effect(20, 1.5), "icc is 1.5; give a correlation from 0 to 1"),
        (lambda: clusters.design_effect(20, 0.1, -1), "cv is -1; give one of at least 0"),
    ],
)
def test_a_wrong_call_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
