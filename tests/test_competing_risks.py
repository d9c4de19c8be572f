"""Competing risks against cmprsk's answers, other estimators, and definitions written out."""

import csv
import gzip
import json
import math

import numpy as np
import pytest
from scipy import optimize, stats

from analysis.statistics.competing_risks.gray import gray
from analysis.statistics.competing_risks.hazard_ratio import subdistribution_hazard_ratio
from analysis.statistics.competing_risks.incidence import SCALES, cumulative_incidence, incidence_difference
from analysis.statistics.competing_risks.subdistribution import fine_gray, predicted
from analysis.statistics.trouble import Trouble


def mgus2(shared):
    """Months, what came first (1 a plasma cell malignancy, 2 death), whether male, age."""
    with gzip.open(shared / "oracles" / "data" / "r_survival" / "mgus2.csv.gz", "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    malignant = np.array([row["pstat"] == "1" for row in rows])
    times = np.array([float(row["ptime" if ill else "futime"]) for row, ill in zip(rows, malignant, strict=True)])
    causes = np.where(malignant, 1, 2 * np.array([int(row["death"]) for row in rows]))
    return times, causes, np.array([row["sex"] == "M" for row in rows]), np.array([float(row["age"]) for row in rows])


def test_malignancies_and_deaths_are_those_of_cmprsk(shared, agrees):
    cases = json.loads((shared / "oracles" / "survival.json").read_text(encoding="utf-8"))["cases"]
    case = next(each for each in cases if each["id"] == "cif_finegray_mgus2")
    times, causes, male, age = mgus2(shared)
    curves = []
    for row in case["expected"]["cif_rows"]:
        inside = male == (row[0] == "M")
        curves.append(cumulative_incidence(times[inside], causes[inside], int(row[2]), at=case["inputs"]["times"]))
    tests = [gray(times, causes, male, cause) for cause in (1, 2)]
    fit = fine_gray(times, causes, np.column_stack([male, age]))
    found = {
        "cif_rows": case["expected"]["cif_rows"],
        "cif": [curve.incidence for curve in curves],
        "cif_var": [curve.variance for curve in curves],
        "gray_stat": [test.statistic for test in tests],
        "gray_p": [test.p for test in tests],
        "fg_coef": fit.coefficients,
        "fg_se": fit.se,
    }
    agrees(found, case["expected"], lambda path: {"rel": case["tolerance"]["rel"], "abs": 0})


def lives(subjects=200, seed=4, rounding=None):
    """Times, causes, three groups, two covariates."""
    rng = np.random.default_rng(seed)
    groups, x = rng.integers(0, 3, subjects), rng.normal(size=(subjects, 2))
    first = rng.exponential(2.0 * np.exp(0.4 * (groups == 1) - x @ [0.5, 0.0]))
    times = np.column_stack([rng.uniform(0.0, 3.0, subjects), first, rng.exponential(3.0, subjects)])
    causes, times = times.argmin(1), times.min(1)
    return np.ceil(times * rounding) / rounding if rounding else times, causes, groups, x


@pytest.mark.parametrize("variance", ["aalen", "delta"])
def test_without_competing_events_incidence_is_one_less_kaplan_meier(variance):
    times, causes, _, _ = lives(rounding=3)
    curve = cumulative_incidence(times, causes == 1, variance=variance)
    survival, green = 1.0, 0.0
    for time, incidence, spread in zip(curve.times, curve.incidence, curve.variance, strict=True):
        n, d = (times >= time).sum(), ((times == time) & (causes == 1)).sum()
        survival *= 1 - d / n
        # Greenwood's; Aalen's has n - 1 in place of one n.
        green += d / ((n - (variance == "aalen")) * (n - d)) if n > d else 0.0
        assert incidence == pytest.approx(1 - survival, rel=1e-12)
        if survival > 0:
            assert spread == pytest.approx(survival**2 * green, rel=1e-10)


@pytest.mark.parametrize("variance", ["aalen", "delta"])
def test_without_censoring_incidence_is_a_share_with_its_binomial_variance(variance):
    _, causes, _, _ = lives()
    times, causes = np.arange(1.0, 201.0), np.where(causes == 0, 2, causes)
    curve = cumulative_incidence(times, causes, at=[50, 120], variance=variance)
    for at, incidence, spread in zip((50, 120), curve.incidence, curve.variance, strict=True):
        share = ((times <= at) & (causes == 1)).mean()
        assert incidence == pytest.approx(share, rel=1e-12)
        # Exact for "delta"; Aalen's differs by a term of order 1/n.
        assert spread == pytest.approx(share * (1 - share) / 200, rel=1e-10 if variance == "delta" else 0.02)


def test_incidences_and_survival_add_to_one():
    times, causes, _, _ = lives(rounding=4)
    at = np.unique(times)
    both = [cumulative_incidence(times, causes, cause, at).incidence for cause in (1, 2)]
    any_cause = cumulative_incidence(times, causes > 0, 1, at).incidence
    np.testing.assert_allclose(sum(both), any_cause, rtol=1e-12)


def test_incidence_is_that_of_lifelines():
    lifelines = pytest.importorskip("lifelines")
    times, causes, _, _ = lives()
    curve = cumulative_incidence(times, causes)
    known = lifelines.AalenJohansenFitter().fit(times, causes, 1)
    ours = curve.incidence[curve.events > 0]
    theirs = known.cumulative_density_.iloc[:, 0].loc[curve.times[curve.events > 0]].to_numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_intervals_are_symmetric_on_their_scale():
    times, causes, _, _ = lives()
    scales = {"log-log": lambda f: np.log(-np.log(f)), "log": np.log, "plain": lambda f: f}
    slopes = {"log-log": lambda f: 1 / (f * np.log(f)), "log": lambda f: 1 / f, "plain": lambda f: 1}
    for scale in SCALES:
        found = cumulative_incidence(times, causes, at=[1.0], scale=scale, alpha=0.1)
        (f,), (lower,), (upper,), (spread,) = found.incidence, found.lower, found.upper, found.variance
        half = stats.norm.isf(0.05) * math.sqrt(spread) * abs(slopes[scale](f))
        assert abs(scales[scale](lower) - scales[scale](f)) == pytest.approx(half, rel=1e-10)
        assert abs(scales[scale](upper) - scales[scale](f)) == pytest.approx(half, rel=1e-10)


def test_nothing_is_said_beyond_the_last_time():
    found = cumulative_incidence([1, 2, 3], [1, 0, 2], at=[0.5, 3, 3.5])
    np.testing.assert_allclose(found.incidence, [0, 1 / 3, np.nan])
    assert cumulative_incidence([1, 2, 3], [2, 0, 2], at=[3]).incidence == 0


def test_differences_have_trouble_beside_them():
    times, causes, groups, _ = (np.array([each] * 4) for each in lives())
    times = times.copy()
    causes[1] = np.where(causes[1] == 1, 2, causes[1])
    times[2, groups[2] == 1] = np.minimum(times[2, groups[2] == 1], 0.5)
    times[3, groups[3] == 0] = np.nan
    found = incidence_difference(times, causes, groups, (1, 0), 1.0)
    trouble = [Trouble.NONE, Trouble.NO_EVENTS, Trouble.TOO_SHORT, Trouble.EMPTY_ARM]
    np.testing.assert_array_equal(found.trouble, trouble)
    a, b = (cumulative_incidence(times[0][groups[0] == k], causes[0][groups[0] == k], at=[1.0]) for k in (1, 0))
    assert found.value[0] == a.incidence[0] - b.incidence[0]
    assert found.se[0] == pytest.approx(math.sqrt(a.variance[0] + b.variance[0]), rel=1e-12)


@pytest.mark.parametrize("rho", [0.0, 1.0])
def test_scores_of_gray_are_those_of_their_definition(rho):
    times, causes, groups, _ = lives(rounding=3)
    scores, pooled = np.zeros(3), 0.0
    curves = dict.fromkeys(range(3), (1.0, 0.0))
    for time in np.unique(times[causes > 0]):
        n = np.array([(times[groups == k] >= time).sum() for k in range(3)])
        d, c = (np.array([((times == time) & (causes == e) & (groups == k)).sum() for k in range(3)]) for e in (1, 2))
        survival, incidence = (np.array([curves[k][i] for k in range(3)]) for i in (0, 1))
        h = np.where(n > 0, n / np.maximum(survival, 1e-9), 0.0)
        scores += (1 - pooled) ** rho * (d - d.sum() * h * (1 - incidence) / (h * (1 - incidence)).sum())
        pooled += d.sum() / h.sum()
        for k in np.flatnonzero(n):
            curves[k] = (survival[k] * (1 - (d + c)[k] / n[k]), incidence[k] + survival[k] * d[k] / n[k])
    found = gray(times, causes, groups, rho=rho)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-10)
    np.testing.assert_allclose(found.variance.sum(0), 0.0, atol=1e-10)
    assert found.df == 2
    # Which group is left out of the quadratic form does not matter.
    again = gray(times, causes, (groups + 1) % 3, rho=rho)
    assert again.statistic == pytest.approx(found.statistic, rel=1e-10)


def test_grays_statistic_follows_its_law_where_groups_are_alike():
    rng = np.random.default_rng(9)
    times = rng.exponential(size=(400, 120))
    causes = rng.choice(3, p=[0.2, 0.5, 0.3], size=times.shape)
    for rho, strata in ((0.0, None), (1.0, None), (0.0, rng.integers(0, 2, times.shape))):
        found = gray(times, causes, rng.integers(0, 3, times.shape), rho=rho, strata=strata)
        assert (found.trouble == 0).all()
        assert stats.kstest(found.p, "uniform").pvalue > 0.01


def test_strata_add_their_scores_and_sets_stand_alone():
    times, causes, groups, x = lives()
    strata = (x[:, 0] > 0).astype(int)
    together = gray(times, causes, groups, strata=strata)
    apart = [gray(times[strata == k], causes[strata == k], groups[strata == k]) for k in (0, 1)]
    np.testing.assert_allclose(together.scores, apart[0].scores + apart[1].scores, rtol=1e-12)
    np.testing.assert_allclose(together.variance, apart[0].variance + apart[1].variance, rtol=1e-12)
    sets = np.array([times, times]), np.array([causes, np.where(causes == 1, 2, causes)]), groups
    many = gray(*sets)
    assert many.statistic[0] == gray(times, causes, groups).statistic
    np.testing.assert_array_equal(many.trouble, [Trouble.NONE, Trouble.NO_EVENTS])
    gone = gray(np.array([times, np.where(groups == 2, np.nan, times)]), causes, groups)
    np.testing.assert_array_equal(gone.trouble, [Trouble.NONE, Trouble.EMPTY_ARM])


def likelihood(beta, times, causes, x, varying=None, function=None, groups=None):
    """Log partial likelihood of Fine and Gray, a loop over events and subjects."""
    groups = np.zeros(len(times)) if groups is None else groups

    def uncensored(time, group):
        """Kaplan-Meier's probability of no censoring before that time."""
        inside = groups == group
        at = np.unique(times[inside & (causes == 0) & (times < time)])
        return np.prod([1 - ((times == u) & (causes == 0) & inside).sum() / ((times >= u) & inside).sum() for u in at])

    total = 0.0
    for i in np.flatnonzero(causes == 1):
        z = x if varying is None else np.column_stack([x, varying * function(times[i])])
        risk = np.exp(z @ beta)
        weights = np.where(times >= times[i], 1.0, 0.0)
        for k in np.flatnonzero((times < times[i]) & (causes == 2)):
            weights[k] = uncensored(times[i], groups[k]) / uncensored(times[k], groups[k])
        total += z[i] @ beta - np.log(weights @ risk)
    return total


@pytest.mark.parametrize("more", ["", "groups", "varying"])
def test_fine_gray_maximises_its_likelihood(more):
    times, causes, groups, x = lives(40, rounding=5)
    groups = (groups > 0).astype(int)
    kwargs = {"groups": groups} if more == "groups" else {}
    if more == "varying":
        kwargs = {"varying": x[:, :1], "function": np.log1p}
    fit = fine_gray(times, causes, x, **kwargs)
    best = optimize.minimize(lambda b: -likelihood(b, times, causes, x, **kwargs), 0 * fit.coefficients, tol=1e-10)
    np.testing.assert_allclose(fit.coefficients, best.x, atol=2e-5)
    assert fit.loglik == pytest.approx(-best.fun, rel=1e-10)
    assert fit.loglik_null == pytest.approx(likelihood(0 * fit.coefficients, times, causes, x, **kwargs), rel=1e-12)


def test_without_competing_events_fine_gray_is_cox():
    duration = pytest.importorskip("statsmodels.duration.hazard_regression")
    times, causes, _, x = lives(rounding=6)
    fit = fine_gray(times, causes == 1, x)
    known = duration.PHReg(times, x, status=causes == 1, ties="breslow").fit()
    np.testing.assert_allclose(fit.coefficients, known.params, rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.model_covariance)), known.bse, rtol=1e-6)


def test_groups_that_are_censored_alike_change_nothing():
    times, causes, _, x = lives(rounding=6)
    twice = [np.concatenate([each, each]) for each in (times, causes, x)]
    one, two = fine_gray(*twice), fine_gray(*twice, groups=np.repeat([0, 1], 200))
    np.testing.assert_allclose(two.coefficients, one.coefficients, rtol=1e-10)
    np.testing.assert_allclose(two.covariance, one.covariance, rtol=1e-10)
    assert not np.allclose(one.covariance, one.model_covariance, rtol=1e-3)


def test_prediction_without_covariates_at_work_is_the_incidence():
    times, causes, _, _ = lives(150)
    # Everyone twice, with the covariate either way: its effect is 0.
    fit = fine_gray(np.repeat(times, 2), np.repeat(causes, 2), np.tile([-1.0, 1.0], 150))
    assert fit.coefficients == pytest.approx(0.0, abs=1e-12)
    curve = cumulative_incidence(times, causes)
    hazards = 1 - np.exp(-np.cumsum(fit.hazards))
    # The estimate of exp(-hazard) and the product limit differ in order 1/n.
    np.testing.assert_allclose(predicted(fit, [[0.0]], curve.times)[0], curve.incidence, atol=0.02)
    np.testing.assert_allclose(predicted(fit, [[0.0], [1.0]], fit.times)[1], hazards, rtol=1e-10)


def test_ratios_of_many_sets_have_trouble_beside_them():
    times, causes, groups, x = (np.array([each] * 5) for each in lives())
    causes[1] = np.where((groups[1] == 1) & (causes[1] == 1), 2, causes[1])
    causes[2] = np.where(causes[2] == 1, 0, causes[2])
    times[3, groups[3] == 0] = np.nan
    x[4, :, 1] = x[4, :, 0]
    found = subdistribution_hazard_ratio(times, causes, groups, (1, 0), x)
    T = Trouble
    np.testing.assert_array_equal(found.trouble, [T.NONE, T.SEPARATED, T.NO_EVENTS, T.EMPTY_ARM, T.SINGULAR])
    np.testing.assert_array_equal(np.isnan(found.value), found.trouble != 0)
    inside = groups[0] < 2
    columns = np.column_stack([groups[0] == 1, x[0]])[inside]
    fit = fine_gray(times[0][inside], causes[0][inside], columns)
    assert np.log(found.value[0]) == pytest.approx(fit.coefficients[0], rel=1e-12)
    assert found.se[0] == fit.se[0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"times": [-1, 2, 3]}, "count times from 0"),
        ({"causes": [0.5, 1, 2]}, "what is no code"),
        ({"causes": [1, 2]}, "shapes do not fit"),
        ({"cause": 0}, "cause is 0"),
        ({"times": [np.nan] * 3}, "nobody has a time"),
        ({"variance": "robust"}, "write one of: aalen, delta"),
        ({"scale": "logit"}, "write one of: log-log, log, plain"),
    ],
)
def test_what_are_no_competing_risks_is_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        cumulative_incidence(**({"times": [1, 2, 3], "causes": [0, 1, 2]} | change))


def test_what_is_no_regression_is_refused():
    with pytest.raises(ValueError, match="of varying and function one is missing"):
        fine_gray([1, 2], [1, 0], [[1], [2]], varying=[[1], [2]])
    with pytest.raises(ValueError, match="for 2 subjects"):
        fine_gray([1, 2], [1, 0], [[1], [2], [3]])
    with pytest.raises(ValueError, match="give two groups or more"):
        gray([1, 2], [1, 0], [1, 1])
