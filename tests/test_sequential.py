"""Group sequential designs against rpact, gsDesign and the multivariate normal distribution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics.sequential.boundaries import Rule, boundary
from analysis.statistics.sequential.characteristics import characteristics, power
from analysis.statistics.sequential.design import design
from analysis.statistics.sequential.exits import exits
from analysis.statistics.sequential.spending import spent

TOPIC = "group_sequential"
RPACT = {
    "OF": "obrien-fleming",
    "P": "pocock",
    "WT": "wang-tsiatis",
    "HP": "haybittle-peto",
    "asOF": "obrien-fleming-spending",
    "asP": "pocock-spending",
    "asHSD": "hwang-shih-decani",
    "asKD": "kim-demets",
    "asUser": "given-spending",
}
GSDESIGN = {
    "sfLDOF": "obrien-fleming-spending",
    "sfLDPocock": "pocock-spending",
    "sfHSD": "hwang-shih-decani",
    "sfPower": "kim-demets",
    "OF": "obrien-fleming",
    "Pocock": "pocock",
    "WT": "wang-tsiatis",
}


def of_rpact(inputs):
    """The design that rpact's arguments describe."""
    kind = inputs["typeOfDesign"]
    parameter = inputs.get({"WT": "deltaWT", "HP": "constantBoundsHP"}.get(kind, "gammaA"))
    futility = inputs.get("futilityBounds")
    if "typeBetaSpending" in inputs:
        rule = RPACT[inputs["typeBetaSpending"].replace("bs", "as", 1)]
        futility = Rule(rule, inputs.get("gammaB"), inputs.get("userBetaSpending"))
    return design(
        inputs.get("informationRates", inputs["kMax"]),
        Rule(RPACT[kind], parameter, inputs.get("userAlphaSpending")),
        inputs["alpha"],
        inputs.get("beta", 0.2),
        inputs.get("sided", 1),
        futility,
        inputs.get("bindingFutility", False),
        inputs.get("twoSidedPower", False),
    )


def found_by_rpact(inputs):
    plan = of_rpact(inputs)
    told = characteristics(plan)
    return {
        "critical_z": plan.upper,
        "cumulative_alpha_spent": told.alpha_spent,
        "nominal_p_one_sided": told.nominal_p,
        "inflation_factor": told.inflation,
        "asn_ratio_H1": told.expected_alternative,
        "asn_ratio_H01": told.expected_between,
        "asn_ratio_H0": told.expected_null,
        "cumulative_power": told.power,
        "shift": told.shift,
        "futility_z": plan.futility[:-1],
    }


def found_by_gsdesign(inputs):
    """gsDesign's test types: 1 one-sided, 2 two-sided, 3 and 4 beta spending that binds or not."""
    sort = inputs["test_type"]
    plan = design(
        inputs.get("timing", inputs["k"]),
        Rule(GSDESIGN[inputs["sfu"]], inputs.get("sfupar")),
        inputs["alpha"] * (2 if sort == 2 else 1),
        inputs["beta"],
        2 if sort == 2 else 1,
        Rule(GSDESIGN[inputs["sfl"]], inputs.get("sflpar")) if sort in (3, 4) else None,
        sort == 3,
    )
    told, none = characteristics(plan), exits(plan.rates, plan.upper, 0.0, plan.heeded, plan.sided)
    fixed = inputs.get("n_fix", 1)
    return {
        "Z": plan.upper,
        "lower_Z": plan.futility,
        "nominal_p": told.nominal_p,
        "spend": none.upper,
        "sample_size_ratio": fixed * told.inflation * plan.rates,
        "EN_H0": fixed * told.expected_null,
        "EN_H1": fixed * told.expected_alternative,
        "theta1": np.sqrt(told.fixed / fixed),
        "cross_H1": power(plan, plan.drift).exits.upper,
    }


def test_every_case(case, agrees):
    inputs, tolerance = case["inputs"], case["tolerance"]

    def close(path):
        if "z" in tolerance:
            kind = "z" if path[0].endswith("_z") else "prob"
            return {"abs": tolerance["ratio" if "ratio" in path[0] or path[0] in RATIOS else kind], "rel": 0}
        return {"abs": PRINTED[path[0]] / 2 * (1 + 1e-9), "rel": 0}

    agrees(found_by_gsdesign(inputs) if "test_type" in inputs else found_by_rpact(inputs), case["expected"], close)


RATIOS = ("inflation_factor", "shift")
PRINTED = {"Z": 0.01, "lower_Z": 0.01, "sample_size_ratio": 0.001}
PRINTED |= dict.fromkeys(("nominal_p", "spend", "EN_H0", "EN_H1", "theta1", "cross_H1"), 0.0001)


def cube(rates, lower, upper, drift):
    """Probability of a box under the joint normal law of the statistics, by scipy."""
    t = np.asarray(rates)
    law = stats.multivariate_normal(
        drift * np.sqrt(t),
        np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t)),
        abseps=1e-9,
        releps=1e-9,
        maxpts=10**6,
        seed=1,
    )
    return law.cdf(np.asarray(upper, float), lower_limit=np.asarray(lower, float))


@pytest.mark.parametrize("drift", [-1.0, 0.0, 2.7])
def test_ways_out_are_boxes_of_the_normal_law(drift):
    rates, upper, futility = [0.3, 0.55, 1.0], [2.9, 2.4, 2.05], [0.1, 0.9]
    one = exits(rates, upper, drift, futility)
    two = exits(rates, upper, drift, sided=2)
    for k in range(3):
        first, rest = futility[:k], upper[:k]
        assert one.upper[k] == pytest.approx(cube(rates[: k + 1], [*first, upper[k]], [*rest, 40], drift), abs=2e-8)
        expected = cube(rates[: k + 1], [*(-u for u in rest), -40], [*rest, -upper[k]], drift)
        assert two.lower[k] == pytest.approx(expected, abs=2e-8)
        if k < 2:
            expected = cube(rates[: k + 1], [*first, -40], [*rest, futility[k]], drift)
            assert one.futility[k] == pytest.approx(expected, abs=2e-8)
    assert one.any.sum() == pytest.approx(1.0, abs=1e-12)
    assert two.any.sum() == pytest.approx(1.0, abs=1e-12)


def test_the_design_that_gsdesign_prints_without_arguments():
    # keaven/gsDesign, manual of gsDesign(): k = 3, test.type = 4, sfHSD -4 and -2
    plan = design(3, Rule("hwang-shih-decani", -4), futility=Rule("hwang-shih-decani", -2))
    np.testing.assert_allclose(plan.upper, [3.01, 2.55, 2.00], atol=0.005)
    np.testing.assert_allclose(plan.futility, [-0.24, 0.94, 2.00], atol=0.005)
    np.testing.assert_allclose(characteristics(plan).inflation * plan.rates, [0.357, 0.713, 1.070], atol=5e-4)


def test_an_inner_wedge_stops_on_both_sides_of_zero():
    left = exits([0.5, 1.0], [2.5, 2.0], 1.2, [0.4], sided=2)
    wedge = cube([0.5], [-0.4], [0.4], 1.2)
    high = cube([0.5, 1.0], [0.4, 2.0], [2.5, 40], 1.2) + cube([0.5, 1.0], [-2.5, 2.0], [-0.4, 40], 1.2)
    assert left.futility[0] == pytest.approx(wedge, abs=1e-9)
    assert left.upper[1] == pytest.approx(high, abs=1e-9)


# Jennison & Turnbull 2000, tables 2.1 and 2.3: constants of two-sided tests at 0.05
CONSTANTS = {
    "pocock": {2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 10: 2.555, 20: 2.672},
    "obrien-fleming": {2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 10: 2.087, 20: 2.126},
}


@pytest.mark.parametrize("kind", CONSTANTS)
def test_constants_are_those_of_the_tables(kind):
    for looks, constant in CONSTANTS[kind].items():
        assert boundary(looks, kind, 0.05, 2)[-1] == pytest.approx(constant, abs=5.1e-4)


def test_one_look_is_the_fixed_design():
    fixed = stats.norm.isf(0.025) + stats.norm.isf(0.1)
    for kind in ("pocock", "obrien-fleming", "haybittle-peto", "obrien-fleming-spending"):
        plan = design(1, kind)
        assert plan.upper[0] == pytest.approx(stats.norm.isf(0.025), abs=1e-12)
        assert plan.drift == pytest.approx(fixed, abs=1e-12)
    assert characteristics(design(1, both=True, sided=2, alpha=0.4, beta=0.5)).inflation == pytest.approx(
        1.0, abs=1e-12
    )


@pytest.mark.parametrize("sided", [1, 2])
@pytest.mark.parametrize("binding", [False, True])
@pytest.mark.parametrize("kind", ["pocock-spending", Rule("kim-demets", 1.5), Rule("hwang-shih-decani", 0.0)])
def test_futility_spends_beta_and_efficacy_alpha(kind, binding, sided):
    rates = [0.4, 0.7, 1.0]
    plan = design(rates, alpha=0.025 * sided, sided=sided, futility=kind, binding=binding)
    left = exits(rates, plan.upper, plan.drift, plan.futility, sided)
    rule = Rule(kind) if isinstance(kind, str) else kind
    wanted = spent(rule.kind, 0.1, rates, rule.parameter)
    np.testing.assert_allclose(np.cumsum(left.futility + left.lower), wanted, atol=1e-6)
    assert left.upper.sum() == pytest.approx(0.9, abs=1e-10)
    null = exits(rates, plan.upper, 0.0, plan.futility if binding else None, sided)
    side = spent("obrien-fleming-spending", 0.025, rates)
    np.testing.assert_allclose(np.cumsum(null.upper), side, atol=1e-10)
    assert plan.futility[-1] == plan.upper[-1]


def test_futility_that_binds_asks_for_less_of_efficacy():
    free, bound = (design(3, "pocock", futility=[-0.5, 0.3], binding=each) for each in (False, True))
    assert (bound.upper < free.upper).all() and bound.drift < free.drift
    held = exits(bound.rates, bound.upper, 0.0, bound.futility)
    assert held.upper.sum() == pytest.approx(0.025, abs=1e-10)


def test_futility_at_zero_binds_like_any_other():
    upper = boundary(3, "pocock", 0.4, futility=[0.0, 0.0])
    assert exits([1 / 3, 2 / 3, 1], upper, futility=[0.0, 0.0]).upper.sum() == pytest.approx(0.4, rel=1e-9)
    assert (upper < boundary(3, "pocock", 0.4)).all()


def test_haybittle_and_peto_leave_the_last_look_what_three_did_not_spend():
    plan = boundary([0.25, 0.5, 1.0], "haybittle-peto", 0.05, 2)
    assert plan[:2].tolist() == [3.0, 3.0]
    assert exits([0.25, 0.5, 1.0], plan, sided=2).upper.sum() == pytest.approx(0.025, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    rates=st.lists(st.floats(0.02, 1.0), min_size=1, max_size=6, unique_by=lambda t: round(t, 2)),
    alpha=st.floats(1e-4, 0.2),
    sided=st.sampled_from([1, 2]),
    rule=st.sampled_from(
        ["pocock", "obrien-fleming", Rule("wang-tsiatis", 0.3), "pocock-spending", Rule("hwang-shih-decani", -3)]
    ),
)
def test_any_rule_spends_all_of_alpha(rates, alpha, sided, rule):
    times = np.sort(rates) / max(rates)
    left = exits(times, boundary(times, rule, alpha, sided), sided=sided)
    assert (left.upper + left.lower).sum() == pytest.approx(alpha, rel=1e-9)


def test_many_designs_at_once_are_each_alone():
    rng = np.random.default_rng(3)
    rates = np.cumsum(rng.uniform(0.1, 0.3, (7, 4)), -1)
    rates /= rates[:, -1:]
    alpha, beta = rng.uniform(0.01, 0.1, (2, 1)), 0.2
    for rule, futility in (("pocock", None), (Rule("kim-demets", 2.0), "pocock-spending"), ("haybittle-peto", None)):
        if rule == "haybittle-peto":
            alpha = alpha + 0.02
        many = design(rates, rule, alpha, beta, futility=futility)
        assert many.upper.shape == (2, 7, 4) and many.drift.shape == (2, 7)
        told = characteristics(many)
        for i, j in np.ndindex(2, 7):
            one = design(rates[j], rule, alpha[i, 0], beta, futility=futility)
            np.testing.assert_allclose(many.upper[i, j], one.upper, rtol=0, atol=1e-11)
            np.testing.assert_allclose(many.futility[i, j], one.futility, rtol=0, atol=1e-11)
            assert told.expected_null[i, j] == pytest.approx(float(characteristics(one).expected_null), abs=1e-11)


def test_bounds_far_out_keep_their_digits():
    rates = np.array([0.02, 0.04, 0.08, 1.0])
    upper = boundary(rates, alpha=0.025)
    steps = np.diff(spent("obrien-fleming-spending", 0.025, rates), prepend=0.0)
    # So far out looks are almost apart, and each bound is that of its own step alone.
    np.testing.assert_allclose(upper[:3], stats.norm.isf(steps[:3]), rtol=1e-4)
    assert boundary(3, Rule("given-spending", given=[0.0, 0.01, 0.025]))[0] == np.inf


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"looks": [0.5, 0.4, 1]}, "information rates are 0.5, 0.4, 1; give them above 0 and each larger than"),
        ({"looks": [0.5, 0.9]}, "the last information rate is 0.9; divide all by the last"),
        ({"looks": 101}, "looks is 101; give 1 to 100"),
        ({"looks": "many"}, "information rates holds what is no number"),
        ({"looks": [1 - 1e-7, 1]}, "two looks have 0.9999999 of each other's information; leave one of them out"),
        ({"alpha": 0.0}, "alpha is 0; give a number above 0 and below 1"),
        ({"beta": 1.2}, "beta is 1.2; give a number above 0 and below 1"),
        ({"alpha": 0.6, "beta": 0.5}, "alpha and beta make 1.1 together; give less than 1"),
        ({"sided": 3}, "sided is 3; give 1 or 2"),
        ({"efficacy": "obrien"}, "the rule of efficacy is 'obrien', which is not known; write one of: obrien-fleming,"),
        ({"futility": "pocock"}, "futility is 'pocock', which is not known; write one of: obrien-fleming-spending,"),
        ({"efficacy": "kim-demets"}, "spending 'kim-demets' has no parameter; give rho"),
        ({"efficacy": Rule("kim-demets", -1)}, "rho is -1; give a number above 0"),
        ({"efficacy": "wang-tsiatis"}, "wang-tsiatis has no parameter; give Delta"),
        ({"efficacy": "given-spending"}, "'given-spending' has no numbers"),
        (
            {"efficacy": Rule("given-spending", given=[0.01, 0.005, 0.025])},
            "give numbers from 0 on that do not decrease",
        ),
        ({"efficacy": Rule("given-spending", given=[0.01, 0.02, 0.03])}, "ends at 0.03; end it at 0.025"),
        ({"efficacy": Rule("given-spending", given=[0.01, 0.025])}, "give one for each of 3 looks"),
        ({"efficacy": Rule("haybittle-peto", 1.0)}, "looks before the last spend 0.232446 .*; raise the bound"),
        ({"futility": [3.0, 3.0]}, "a futility bound is not below that of efficacy; lower it"),
        ({"futility": [0.0]}, "give a bound for each of 2 looks"),
        ({"futility": [0.0, np.nan]}, "futility holds NaN"),
        ({"futility": [-1.0, 0.0], "sided": 2}, "futility holds a negative bound with two sides"),
        ({"efficacy": "pocock", "futility": "pocock-spending", "binding": True}, "'pocock' spends no alpha"),
        ({"looks": [[0.5, 1], [0.3, 1]], "alpha": [0.01, 0.02, 0.03]}, "shapes do not fit"),
    ],
)
def test_what_is_no_design_is_refused_in_a_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        design(**{"looks": 3, **changes})


def test_futility_that_overtakes_efficacy_is_refused():
    with pytest.raises(ValueError, match="a futility bound lies above that of efficacy"):
        exits([0.5, 1.0], [2.0, 2.0], futility=[2.5])
    with pytest.raises(ValueError, match="a futility bound is not below that of efficacy"):
        boundary(3, "pocock", 0.4, futility=[1.5, 1.5])
    with pytest.raises(ValueError, match="a futility bound is not below that of efficacy"):
        boundary(2, Rule("given-spending", given=[0.1, 0.5]), 0.5, futility=[1.2])
    # Beta that is all but spent at the second look leaves nobody to go on.
    with pytest.raises(ValueError, match="the futility bound reaches that of efficacy at look 2; spend beta later"):
        design(3, futility=Rule("given-spending", given=[0.05, 0.0999999999, 0.1]))
