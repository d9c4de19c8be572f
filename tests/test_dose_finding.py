"""Designs of phase 1 and 2 against exact enumeration, published tables and simulation."""

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from analysis.statistics.dose_finding import boin, predictive, reassessment, simon, three_plus_three
from analysis.statistics.dose_finding.simon import Design

TOPIC = "dose_finding"


def tallied(levels, toxic, doses):
    """Treated and toxic at each dose, from patients at levels that count from 1."""
    at = np.asarray(levels) - 1
    return np.bincount(at, minlength=doses), np.bincount(at, weights=toxic, minlength=doses)


def reassessed(inputs):
    n, y = tallied(inputs["level"], inputs["tox"], len(inputs["skeleton"]))
    options = {name: inputs[name] for name in ("model", "sd") if name in inputs}
    found = reassessment.posterior(inputs["skeleton"], inputs["target"], n, y, **options)
    return {
        "beta_post_mean": found.mean,
        "beta_post_var": found.variance,
        "ptox_plugin": found.plug_in,
        "ptox_post_mean": found.expected,
        "mtd": found.mtd + 1,
    }


def interval_design(inputs):
    if "targets" in inputs:
        limits = [boin.boundaries(target) for target in inputs["targets"]]
        low, high = ([each[i] for each in limits] for i in (0, 1))
        return {"lambda_e": low, "lambda_d": high, "published_lambda_e": low, "published_lambda_d": high}
    if "path" in inputs:
        n, y, following = np.zeros(5), np.zeros(5), []
        for cohort in inputs["path"].split():
            dose = int(cohort[0]) - 1
            n[dose] += len(cohort) - 1
            y[dose] += cohort.count("T")
            following.append(boin.decision(dose, n, y, 0.3).dose + 1)
        return {"next_dose_after_each_cohort": following}
    columns = boin.table(inputs["target"], inputs["n"], inputs["elim_cutoff"])
    names = ("n", "escalate_if_tox_le", "deescalate_if_tox_ge", "eliminate_if_tox_ge")
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def three(inputs):
    found = three_plus_three.characteristics(inputs["p_tox"], "de-escalation" in inputs.get("rule", "").split())
    return {
        "p_select_dose": found.select,
        "p_select_none": found.select_none,
        "expected_n": found.treated.sum(),
        "expected_tox": found.toxic.sum(),
        "expected_n_per_dose": found.treated,
    }


def test_every_case_of_the_oracle(case, agrees, shared):
    inputs, tolerance = case["inputs"], case["tolerance"]
    if "skeleton" in inputs:
        found = reassessed(inputs)
    else:
        found = three(inputs) if "p_tox" in inputs else interval_design(inputs)

    def close(path):
        if tolerance.get("exact") or path[-1] == "mtd":
            return {"abs": 0, "rel": 0}
        if "computed" in tolerance:
            return {"abs": tolerance["published" if path[0].startswith("published") else "computed"], "rel": 0}
        return {"abs": tolerance.get("exact_abs", tolerance.get("abs")), "rel": 0}

    expected = case["expected"]
    if case["id"] == "boin_lambda":
        # At targets 0.3 and 0.4 the formula, which agrees with the case's own computed limits and with likelihoods that
        # are equal at the limit, gives 0.3585 and 0.4797: the table's 0.358 and 0.479 are cut, not rounded.
        for at, printed in ((3, 0.358), (5, 0.479)):
            f, limit = inputs["targets"][at], expected["lambda_d"][at]
            assert int(1000 * limit) / 1000 == expected["published_lambda_d"][at] == printed
            logs = [limit * np.log(p) + (1 - limit) * np.log(1 - p) for p in (f, 1.4 * f)]
            assert logs[0] == pytest.approx(logs[1], abs=1e-12) and found["lambda_d"][at] == pytest.approx(
                limit, abs=1e-6
            )
        cut = [None if at in (3, 5) else each for at, each in enumerate(expected["published_lambda_d"])]
        expected = expected | {"published_lambda_d": cut}
    agrees(found, expected, close)


@pytest.mark.parametrize("de_escalation", [False, True])
def test_three_plus_three_is_what_its_rule_does_in_trials(de_escalation):
    toxicity = np.array([0.1, 0.25, 0.4])
    exact = three_plus_three.characteristics(toxicity, de_escalation)
    rng, trials = np.random.default_rng(1), 6000
    selected, treated = np.zeros(4), np.zeros(3)
    for _ in range(trials):
        n, y, dose = np.zeros(3), np.zeros(3), 0
        while dose >= 0:
            n[dose] += 3
            y[dose] += rng.binomial(3, toxicity[dose])
            dose, mtd = three_plus_three.decision(dose, n, y, de_escalation)
        selected[mtd] += 1
        treated += n
        if de_escalation and mtd >= 0 and mtd < 2:
            assert n[mtd] == 6 and y[mtd] <= 1
    chances = np.append(exact.select, exact.select_none)
    assert chances.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_array_less(abs(selected / trials - chances), 4 * np.sqrt(chances * (1 - chances) / trials) + 1e-9)
    np.testing.assert_allclose(treated / trials, exact.treated, atol=0.12)
    np.testing.assert_allclose(exact.toxic, exact.treated * toxicity, rtol=1e-14)


def test_three_plus_three_of_one_dose_is_written_down():
    p, q = 0.2, 0.8
    goes = q**3 + 3 * p * q**2 * q**3
    found = three_plus_three.characteristics([p])
    assert (found.select[0], found.select_none) == pytest.approx((goes, 1 - goes), abs=1e-14)
    assert found.treated[0] == pytest.approx(3 + 3 * 3 * p * q**2, abs=1e-13)


@pytest.mark.parametrize("model", reassessment.MODELS)
def test_reassessment_is_that_of_adaptive_quadrature(model):
    skeleton, target, n, y = np.array([0.08, 0.2, 0.35, 0.5]), 0.3, np.array([6, 9, 6, 3]), np.array([0, 2, 3, 2])

    def toxicity(b):
        if model == "empiric":
            return skeleton ** np.exp(b)
        return 1 / (1 + np.exp(-(3 + np.exp(b) * (np.log(skeleton / (1 - skeleton)) - 3))))

    def mass(b):
        p = toxicity(b)
        return float(np.prod(p**y * (1 - p) ** (n - y)) * stats.norm.pdf(b, 0, 1.1))

    def mean(of):
        return integrate.quad(lambda b: of(b) * mass(b) * 1e6, -4, 4, epsabs=1e-13, limit=200)[0]

    total = mean(lambda b: 1.0)
    found = reassessment.posterior(skeleton, target, n, y, model=model, sd=1.1)
    assert found.mean == pytest.approx(mean(lambda b: b) / total, abs=1e-9)
    for dose in range(4):
        assert found.expected[dose] == pytest.approx(mean(lambda b, d=dose: toxicity(b)[d]) / total, abs=1e-9)
    grid = np.linspace(-4, 4, 40001)
    weights = np.array([mass(b) for b in grid[::20]])
    above = np.array([toxicity(b) > target for b in grid[::20]])
    np.testing.assert_allclose(found.over, weights @ above / weights.sum(), atol=5e-3)
    np.testing.assert_allclose(found.plug_in, toxicity(found.mean), rtol=1e-12)
    assert (found.lower < found.plug_in).all() and (found.plug_in < found.upper).all()


def test_reassessment_of_replicates_is_that_of_each_and_bears_much_data():
    skeleton = [0.05, 0.12, 0.25, 0.4]
    rng = np.random.default_rng(2)
    n = rng.integers(0, 300, (5, 4))
    y = rng.binomial(n, [0.1, 0.2, 0.3, 0.5])
    n[0] = y[0] = 0
    y[1], y[2] = 0, n[2]
    for model in reassessment.MODELS:
        found = reassessment.posterior(skeleton, 0.25, n, y, model=model)
        assert all(np.isfinite(each).all() for each in found)
        for row in range(5):
            for name, each in reassessment.posterior(skeleton, 0.25, n[row], y[row], model=model)._asdict().items():
                np.testing.assert_allclose(each, getattr(found, name)[row], rtol=1e-9, atol=1e-9)
        assert found.mean[0] == pytest.approx(0, abs=1e-12)
        assert found.variance[0] == pytest.approx(1.34, rel=1e-9)
        assert found.mtd[1] == 3 and found.mtd[2] == 0


def test_reassessment_skips_no_dose_and_stops():
    skeleton, none = [0.05, 0.1, 0.2, 0.35], np.zeros(4)
    start = reassessment.decision(skeleton, 0.2, none, none)
    assert start == (0, 2) and reassessment.decision(skeleton, 0.2, none, none, skipping=True).dose == 2
    assert reassessment.decision(skeleton, 0.2, [3, 0, 0, 0], none).dose == 1
    assert reassessment.decision(skeleton, 0.2, [6, 0, 0, 0], [5, 0, 0, 0], too_toxic=0.9) == (-1, -1)
    assert reassessment.decision(skeleton, 0.2, [6, 0, 0, 0], [5, 0, 0, 0], enough=6) == (-1, 0)


def test_boin_eliminates_selects_and_stops_as_published():
    # BOIN's manual, example of select.mtd
    assert boin.mtd([3, 3, 15, 9, 0], [0, 0, 4, 4, 0], 0.3) == 2
    # escalation's tests of BOIN: '1N 2TN' goes down, 3 of 4 at the first dose stops
    assert boin.decision(1, [1, 2, 0], [0, 1, 0], 0.3).dose == 0
    assert boin.decision(0, [3, 2, 0], [2, 1, 0], 0.3).dose == 0
    assert boin.decision(0, [4, 2, 0], [3, 1, 0], 0.3) == (-1, -1)
    assert boin.mtd([4, 2, 0], [3, 1, 0], 0.3) == -1
    assert boin.mtd([3, 3, 0], [0, 2, 0], 0.3, bounded=True) == 0
    # with 1 or 2 treated no dose is eliminated
    assert boin.table(0.3, [1, 2]).eliminate.tolist() == [boin.NEVER, boin.NEVER]
    wide = boin.table(0.25, np.arange(1, 61))
    limits = boin.boundaries(0.25)
    assert (wide.escalate / wide.treated <= limits.escalate).all()
    assert ((wide.escalate + 1) / wide.treated > limits.escalate).all()


def test_isotonic_toxicity_pools_what_falls():
    found = boin.isotonic([10, 10, 0, 10], [3, 1, 0, 5])
    assert found[0] == found[1] and found[3] > found[1] and np.isnan(found[2])
    assert 0.1 < found[0] < 0.3


# Simon 1989, Control Clin Trials 10:1, table 1 (difference 0.20), alpha 0.05, beta 0.20
SIMON = [
    (0.1, 0.3, (1, 10, 5, 29), 15.0, 0.74, (1, 15, 5, 25), 19.5),
    (0.2, 0.4, (3, 13, 12, 43), 20.6, 0.75, (4, 18, 10, 33), 22.3),
    (0.3, 0.5, (5, 15, 18, 46), 23.6, 0.72, (6, 19, 16, 39), 25.7),
]


@pytest.mark.parametrize("row", SIMON)
def test_simons_designs_are_those_of_his_table(row):
    low, high, best, expected, stop, small, expected_small = row
    found = simon.admissible(low, high, most=50)
    assert found[-1].design == best and found[0].design == small
    assert round(found[-1].expected, 1) == expected and round(found[-1].stop, 2) == stop
    assert round(found[0].expected, 1) == expected_small
    assert found[0].upper == 1.0 and found[-1].lower == 0.0
    for each in found:
        assert each.alpha <= 0.05 and each.power >= 0.8
        # at a weight of its own no other admissible design is better
        q = (each.lower + each.upper) / 2
        losses = [q * other.design.n + (1 - q) * other.expected for other in found]
        assert min(losses) == losses[found.index(each)]


def test_simon_search_is_that_of_brute_force():
    found = simon.optimal(0.05, 0.4, 0.1, 0.2, most=14)
    best = min(
        (float(done.expected[0]), Design(r1, n1, r, n))
        for n in range(2, 15)
        for n1 in range(1, n)
        for r1 in range(n1)
        for r in range(r1, n)
        if (done := simon.characteristics(Design(r1, n1, r, n), [0.05, 0.4])).promising[0] <= 0.1
        and done.promising[1] >= 0.8
    )
    assert (found.expected, found.design) == (pytest.approx(best[0], rel=1e-12), best[1])


def test_lee_and_lius_design_is_theirs():
    # Lee & Liu 2008, Clin Trials 5:93, table 2: 36 patients, prior Beta(0.2, 0.8)
    (found,) = predictive.search([36], 0.2, 0.4, alpha=0.1, beta=0.1, prior=(0.2, 0.8))
    assert found.floor == 0.001 and 0.852 <= found.theta <= 0.922
    assert [round(each, 3) for each in (found.alpha, found.power)] == [0.088, 0.906]
    assert round(found.expected, 2) == 27.67 and round(found.early, 2) == 0.86
    # their table 3: stop with so many or fewer responders at so many patients
    table = dict(zip(found.rule.looks.tolist(), found.rule.futile.tolist(), strict=True))
    assert [table[n] for n in (10, 17, 21, 24, 27, 29, 31, 33, 34, 35, 36)] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


def test_predictive_probability_is_the_sum_over_what_may_come():
    # Lee & Liu 2008, table 1
    assert predictive.predictive_probability(16, 23, 40, 0.6, 0.9, (0.6, 0.4)) == pytest.approx(0.5656, abs=5e-5)
    a, b, x, n, most = 1.0, 2.0, 4, 11, 20
    y = np.arange(most - n + 1)
    enough = stats.beta.sf(0.3, a + x + y, b + most - x - y) > 0.85
    expected = stats.betabinom.pmf(y, most - n, a + x, b + n - x)[enough].sum()
    assert predictive.predictive_probability(x, n, most, 0.3, 0.85, (a, b)) == pytest.approx(expected, rel=1e-12)
    assert predictive.predictive_probability([0, 20], [20, 20], 20, 0.3, 0.85).tolist() == [0.0, 1.0]


def test_characteristics_of_looks_are_those_of_every_course():
    rule = predictive.boundaries([4, 7, 9], 0.3, 0.9, 0.1, 0.9)
    promising = stopped = expected = 0.0
    for course in itertools.product((0, 1), repeat=9):
        chance = 0.4 ** sum(course) * 0.6 ** (9 - sum(course))
        for n, futile, good in zip(*rule, strict=True):
            x = sum(course[:n])
            if x <= futile or x >= good:
                promising += chance * (x >= good)
                expected += chance * n
                stopped += chance * (n < 9)
                break
    assert predictive.characteristics(rule, 0.4) == pytest.approx((promising, expected, stopped), rel=1e-12)


BAD = [
    (lambda: three_plus_three.characteristics([0.1, 1.1]), "toxicity holds 1.1"),
    (lambda: three_plus_three.decision(0, [4, 0], [0, 0]), "give 0, 3 or 6 treated"),
    (lambda: three_plus_three.decision(2, [3, 0], [0, 0]), "dose is 2; give one of 0 to 1"),
    (lambda: reassessment.posterior([0.2, 0.1], 0.2, [0, 0], [0, 0]), "that increase from dose to dose"),
    (lambda: reassessment.posterior([0.1, 0.2], 1.2, [0, 0], [0, 0]), "target is 1.2"),
    (lambda: reassessment.posterior([0.1, 0.2], 0.2, [1, 0], [2, 0]), "more are toxic than were treated"),
    (lambda: reassessment.posterior([0.1, 0.2], 0.2, [1, 0, 0], [0, 0, 0]), "do not fit 2 doses"),
    (lambda: reassessment.posterior([0.1, 0.2], 0.2, [1, 0], [0, 0], model="probit"), "'probit' is no model"),
    (lambda: reassessment.posterior([0.1, 0.2], 0.2, [1, 0], [0, 0], sd=0), "sd holds 0"),
    (lambda: reassessment.posterior([0.1, 0.2], 0.2, [1, 0], [0, 0], estimate="mode"), "'mode' is no estimate"),
    (lambda: reassessment.decision([0.1, 0.2], 0.2, [[1, 0]], [[0, 0]]), "give one trial"),
    (lambda: boin.boundaries(0.3, safe=0.4), "do not increase within 0 to 1"),
    (lambda: boin.boundaries(1.3), "target is 1.3"),
    (lambda: boin.table(0.3, [0, 3]), "give numbers from 1 on"),
    (lambda: boin.decision(1, [3, 0], [0, 0], 0.3), "give the dose of the last cohort"),
    (lambda: boin.mtd([3, 1], [0, 2], 0.3), "more are toxic than were treated"),
    (lambda: boin.mtd([3, 1.5], [0, 1], 0.3), "treated holds 1.5; give whole numbers"),
    (lambda: simon.optimal(0.4, 0.2), "is not below the one worth while"),
    (lambda: simon.optimal(0.2, 0.25, most=30), "allow more patients"),
    (lambda: simon.characteristics(Design(5, 4, 6, 10), 0.1), "is no design; give r1, n1, r, n"),
    (lambda: predictive.predictive_probability(5, 4, 10, 0.2, 0.9), "give no more of each"),
    (lambda: predictive.boundaries([10, 5], 0.2, 0.9, 0.1), "give numbers of patients that increase"),
    (lambda: predictive.boundaries([5, 10], 0.2, 0.9, 0.5, 0.1), "0 <= floor <= ceiling <= 1"),
    (lambda: predictive.boundaries([5, 10], 0.2, 0.9, 0.1, prior=(0, 1)), "prior holds 0; give numbers above 0"),
]


@pytest.mark.parametrize(("call", "sentence"), BAD)
def test_bad_input_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
