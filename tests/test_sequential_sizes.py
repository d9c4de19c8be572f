"""Sizes and power of group sequential trials against rpact, and events over time against quadrature."""

import json

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from analysis.statistics.sequential.accrual import course, entered, failed
from analysis.statistics.sequential.design import design
from analysis.statistics.sequential.means import means_power, means_size
from analysis.statistics.sequential.rates import rates_power, rates_size, restricted
from analysis.statistics.sequential.survival import survival_power, survival_size


@pytest.fixture
def known(shared):
    """Cases of the file of sample sizes, by their names."""
    path = shared / "oracles" / "sample_size_power.json"
    return {each["id"]: each for each in json.loads(path.read_text(encoding="utf-8"))["cases"]}


def of(case):
    given = case["inputs"]["design"]
    assert given["typeOfDesign"] == "asOF"
    return design(given["kMax"], alpha=given["alpha"], beta=given["beta"], sided=given["sided"])


def as_sizes(told):
    return {
        "nFixed": told.fixed,
        "maxNumberOfSubjects": told.most,
        "numberOfSubjects": told.looks,
        "expectedNumberOfSubjectsH0": told.expected_null,
        "expectedNumberOfSubjectsH1": told.expected_alternative,
        "criticalValuesEffectScale": told.critical,
    }


def relative(case):
    return lambda path: {"rel": case["tolerance"]["rel"], "abs": 0}


def test_sizes_for_means_are_those_of_rpact(known, agrees):
    case = known["gs_means_asOF3"]
    told = means_size(of(case), case["inputs"]["alternative"], case["inputs"]["stDev"])
    agrees(as_sizes(told), case["expected"], relative(case))


def test_sizes_for_rates_are_those_of_rpact(known, agrees):
    case = known["gs_rates_asOF3"]
    told = rates_size(of(case), case["inputs"]["pi1"], case["inputs"]["pi2"])
    agrees(as_sizes(told), case["expected"], relative(case))


def test_events_and_times_are_those_of_rpact(known, agrees):
    case = known["gs_surv_asOF3"]
    inputs = case["inputs"]
    leaving = [-np.log(1 - inputs[f"dropoutRate{arm}"]) / inputs["dropoutTime"] for arm in (1, 2)]
    entries = course(inputs["accrualTime"], inputs["lambda2"], dropout=leaving)
    told = survival_size(of(case), inputs["hazardRatio"], entries, inputs["followUpTime"])
    found = {
        "eventsFixed": told.fixed,
        "maxNumberOfEvents": told.most,
        "eventsPerStage": told.looks,
        "maxNumberOfSubjects": told.subjects,
        "analysisTime": told.times,
        "expectedEventsH1": told.expected_alternative,
        "studyDuration": told.duration,
    }
    agrees(found, case["expected"], relative(case))
    again = survival_size(of(case), inputs["hazardRatio"], entries, subjects=float(told.subjects))
    np.testing.assert_allclose(again.times, told.times, rtol=1e-9)


def test_power_for_means_is_that_of_rpact(known, agrees):
    case = known["gs_power_means_asOF3"]
    inputs = case["inputs"]
    told = means_power(of(case), inputs["maxNumberOfSubjects"], np.array(inputs["alternative"]), inputs["stDev"])
    found = {
        "overallReject": told.reject,
        "rejectPerStage": told.exits.upper.T,
        "expectedNumberOfSubjects": told.expected * inputs["maxNumberOfSubjects"],
    }
    agrees(found, case["expected"], lambda path: {"abs": case["tolerance"]["abs"], "rel": 0})


def test_sizes_give_the_power_that_they_were_asked_for():
    plan = design(3, "pocock", 0.05, 0.2, 2, futility=[0.3, 0.6])
    for normal in (True, False):
        told = means_size(plan, -3.0, 8.0, 2.0, 0.5, normal)
        back = means_power(plan, told.most, -3.0, 8.0, 2.0, 0.5, above=False)
        assert back.reject == pytest.approx(0.8, abs=1e-9 if normal else 0.01)
        # the t-test, with its own fixed size: its power by scipy's noncentral t
        n = float(told.fixed)
        noncentral = 3.5 * np.sqrt(n * 2.0) / (8.0 * 3.0)
        law = stats.norm(noncentral) if normal else stats.nct(n - 2, noncentral)
        edge = stats.norm.isf(0.025) if normal else stats.t.isf(0.025, n - 2)
        assert law.sf(edge) == pytest.approx(0.8, abs=1e-9)
    rates = rates_size(plan, 0.2, 0.35, 2.0, 0.05)
    assert rates_power(plan, rates.fixed, 0.2, 0.35, 2.0, 0.05, above=False).reject < 0.8
    one = design(1, alpha=0.025, beta=0.2)
    fixed = rates_size(one, 0.2, 0.35, 2.0, 0.05)
    assert rates_power(one, fixed.most, 0.2, 0.35, 2.0, 0.05, above=False).reject == pytest.approx(0.8, abs=1e-9)
    for formula in ("schoenfeld", "freedman", "hsieh-freedman"):
        events = survival_size(plan, 1.5, course(12, 0.05), 12, ratio=2.0, formula=formula)
        there = survival_power(plan, events.most, 1.5, 2.0, formula=formula, above=True)
        assert there.reject == pytest.approx(0.8, abs=1e-9)


def test_one_look_at_means_is_power_t_test(known):
    case = known["t_d0.5"]  # R's power.t.test
    told = means_size(design(1, alpha=0.025, beta=0.2), case["inputs"]["delta"], normal=False)
    assert told.fixed / 2 == pytest.approx(case["expected"]["n_per_group_exact"], rel=case["tolerance"]["rel"])


def test_critical_effects_of_rates_are_just_significant():
    plan = design(3)
    told = rates_size(plan, 0.45, 0.3, 2.0, 0.02)
    x = 0.3 + told.critical
    a, b = restricted(x, 0.3, 2.0, 0.02)
    n_b = told.looks / 3.0
    z = (told.critical - 0.02) / np.sqrt(a * (1 - a) / (2.0 * n_b) + b * (1 - b) / n_b)
    np.testing.assert_allclose(z, plan.upper, rtol=1e-8)


@pytest.mark.parametrize("margin", [-0.2, -0.05, 0.1, 0.4])
def test_restricted_rates_are_the_most_likely_ones(margin):
    for x, y, r in ((0.3, 0.5, 1.0), (0.9, 0.4, 2.0), (0.05, 0.1, 0.5)):
        a, b = restricted(x, y, r, margin)

        def lost(p, x=x, y=y, r=r):
            q = p - margin
            return -(r * (x * np.log(p) + (1 - x) * np.log1p(-p)) + y * np.log(q) + (1 - y) * np.log1p(-q))

        low, high = max(0.0, margin) + 1e-9, min(1.0, 1.0 + margin) - 1e-9
        found = optimize.minimize_scalar(lost, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
        assert a == pytest.approx(found.x, abs=1e-6)
        assert a - b == pytest.approx(margin, abs=1e-12)


@pytest.mark.parametrize("time", [3.0, 8.0, 14.0, 40.0])
def test_events_over_time_are_those_of_quadrature(time):
    entries = course([6, 12], [0.1, 0.02], [1.0, 3.0], [0.0, 4.0], (0.01, 0.03))

    def seen(entry, ratio, leaving):
        left = max(time - entry, 0.0)
        early, late = min(left, 4.0), max(left - 4.0, 0.0)
        first, second = ratio * 0.1, ratio * 0.02
        one = integrate.quad(lambda x: first * np.exp(-(first + leaving) * x), 0, early)[0]
        kept = np.exp(-(first + leaving) * 4.0)
        return one + kept * integrate.quad(lambda x: second * np.exp(-(second + leaving) * x), 0, late)[0]

    for arm, ratio, leaving in ((0, 0.7, 0.01), (1, 1.0, 0.03)):
        expected = 0.0
        for low, high, flow in ((0, 6, 1.0), (6, 12, 3.0)):
            kinks = [each for each in (time, time - 4.0) if low < each < high]
            area = integrate.quad(lambda u, a=ratio, b=leaving: seen(u, a, b), low, high, points=kinks or None)[0]
            expected += flow * area
        assert failed(entries, time, ratio, arm) == pytest.approx(expected / 24.0, rel=1e-9)
    assert entered(entries, 9.0) == pytest.approx((6 + 9) / 24)


def test_hazards_that_are_zero_for_a_while_are_no_trouble():
    entries = course(12, [0.0, 0.1], starts=[0.0, 3.0])
    plain = course(12, 0.1)
    assert failed(entries, 20.0) == pytest.approx(float(failed(plain, 17.0)), rel=1e-12)
    small = course(12, 1e-7)
    # few events: hazard times the mean time at risk
    assert failed(small, 20.0) == pytest.approx(1e-7 * 14.0, rel=1e-5)


def test_many_effects_at_once_are_each_alone():
    plan = design(3, beta=np.array([0.1, 0.2]))
    entries = course(12, 0.05, dropout=(0.01, 0.02))
    ratios = np.array([[0.7], [0.6], [1.4]])
    many = survival_size(plan, ratios, entries, 12)
    effects = means_size(plan, ratios, normal=False)
    assert many.times.shape == (3, 2, 3) and effects.critical.shape == (3, 2, 3)
    for i, j in np.ndindex(3, 2):
        alone = design(3, beta=plan.beta[j])
        one = survival_size(alone, ratios[i, 0], entries, 12)
        for a, b in zip(many, one, strict=True):
            np.testing.assert_allclose(a[i, j], b, rtol=1e-9)
        np.testing.assert_allclose(effects.looks[i, j], means_size(alone, ratios[i, 0], normal=False).looks, rtol=1e-9)


PLAN = design(2)
ENTRIES = course(12, 0.05)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: means_size(PLAN, 0.3, margin=0.3), "the difference is the margin, which no number of subjects tells"),
        (lambda: means_size(PLAN, 0.3, sd=0), "sd is 0; give a number above 0, such as 1"),
        (lambda: rates_size(PLAN, 1.2, 0.4), "the rate a is 1.2; give a number above 0 and below 1"),
        (lambda: rates_size(PLAN, 0.4, 0.4), "the rates differ by the margin"),
        (lambda: survival_size(PLAN, 1.0, ENTRIES, 12), "the hazard ratio is the margin"),
        (lambda: survival_size(PLAN, -1.0, ENTRIES, 12), "hazard_ratio is -1; give a number above 0"),
        (lambda: survival_size(PLAN, 0.7, ENTRIES), "give either follow_up or subjects; the other one is found"),
        (lambda: survival_size(PLAN, 0.7, ENTRIES, -1), "follow_up is -1; give a time from 0 on"),
        (lambda: survival_size(PLAN, 0.7, ENTRIES, subjects=300), "300 subjects have no more than 300 events ever"),
        (lambda: survival_size(PLAN, 0.7, ENTRIES, 12, formula="log"), "formula is 'log', which is not known"),
        (lambda: survival_size(PLAN, 0.7, ENTRIES, 12, margin=1.2, formula="freedman"), "which knows only 1"),
        (lambda: course([6, 3], 0.1, [1, 1]), "accrual is 6, 3; give times above 0 that increase"),
        (lambda: course(6, [0.1, 0.2]), "starts and hazard have 1 and 2 numbers; give as many of each"),
        (lambda: course(6, [0.1, 0.2], starts=[1, 2]), "starts is 1, 2; give times that increase from 0"),
        (lambda: course(6, -0.1), "hazard is -0.1; give numbers from 0 on, and one above it"),
        (lambda: course(6, 0.1, dropout=0.1), "dropout is 0.1; give two hazards from 0 on"),
    ],
)
def test_what_has_no_size_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
