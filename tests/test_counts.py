"""Regression of counts against known answers, statsmodels and what can be written down."""

import csv
import gzip
import json

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.counts.rate_ratio import rate_ratio
from analysis.statistics.counts.regression import fit_counts
from analysis.statistics.trouble import Trouble


def cgd(shared):
    """Infections, days of follow-up, and who had interferon."""
    with gzip.open(shared / "oracles" / "data" / "r_survival" / "cgd.csv.gz", "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    people = {row["id"]: [0, 0.0, row["treat"] != "placebo"] for row in rows}
    for row in rows:
        people[row["id"]][0] += int(row["status"])
        people[row["id"]][1] = max(people[row["id"]][1], float(row["tstop"]))
    return (np.array(column) for column in zip(*people.values(), strict=True))


def test_rates_of_infections_are_those_of_glm_nb(shared, agrees):
    cases = json.loads((shared / "oracles" / "survival.json").read_text(encoding="utf-8"))["cases"]
    case = next(each for each in cases if each["id"] == "nb_rate_cgd")
    counts, days, treated = cgd(shared)
    negative, poisson = (rate_ratio(counts, treated, (1, 0), days, law=law) for law in ("negative binomial", "poisson"))
    fit = fit_counts(counts, treated, days)
    found = {
        "rate_ratio": negative.value,
        "log_rr": np.log(negative.value),
        "se": negative.se,
        "theta": fit.theta,
        "dispersion_alpha": fit.dispersion,
        "poisson_log_rr": np.log(poisson.value),
        "poisson_se": poisson.se,
    }
    agrees(found, case["expected"], lambda path: {"rel": case["tolerance"]["rel"], "abs": 0})


def overdispersed(subjects=300, seed=3, dispersion=0.7):
    """Counts, arms, exposures and two covariates."""
    rng = np.random.default_rng(seed)
    arms, exposure = rng.integers(0, 2, subjects), rng.uniform(0.3, 2.0, subjects)
    covariates = np.column_stack([rng.normal(size=subjects), rng.integers(0, 2, subjects)])
    mean = exposure * np.exp(0.4 - 0.5 * arms + covariates @ [0.3, -0.2])
    frailty = rng.gamma(1 / dispersion, dispersion, subjects) if dispersion else 1.0
    return rng.poisson(mean * frailty), arms, exposure, covariates


def test_negative_binomial_is_that_of_statsmodels():
    sm = pytest.importorskip("statsmodels.api")
    counts, arms, exposure, covariates = overdispersed()
    x = np.column_stack([arms, covariates])
    fit = fit_counts(counts, x, exposure, variance="observed")
    start = [*fit.coefficients, fit.dispersion]
    peer = sm.NegativeBinomial(counts, sm.add_constant(x), exposure=exposure)
    known = peer.fit(method="newton", start_params=np.array(start) * 1.01, disp=0, tol=1e-14)
    np.testing.assert_allclose(start, known.params, rtol=1e-7)
    np.testing.assert_allclose(fit.se, known.bse[:-1], rtol=1e-6)
    assert fit.loglik == pytest.approx(known.llf, rel=1e-12)
    family = sm.families.NegativeBinomial(alpha=fit.dispersion)
    # Every subject is a cluster of its own; a GLM's sandwich would have the observed information in it.
    held = sm.GEE(counts, sm.add_constant(x), np.arange(len(counts)), exposure=exposure, family=family)
    known = held.fit(ctol=1e-14)
    robust = fit_counts(counts, x, exposure, variance="robust")
    np.testing.assert_allclose(robust.se, known.standard_errors("robust"), rtol=1e-6)
    model = sm.GLM(counts, sm.add_constant(x), exposure=exposure, family=family).fit(tol=1e-14)
    np.testing.assert_allclose(fit_counts(counts, x, exposure).se, model.bse, rtol=1e-6)


@pytest.mark.parametrize(
    ("variance", "kind"),
    [("model", {}), ("robust", {"cov_type": "HC0"}), ("pearson", {"scale": "X2"})],
)
def test_poisson_is_that_of_statsmodels(variance, kind):
    sm = pytest.importorskip("statsmodels.api")
    counts, arms, exposure, covariates = overdispersed()
    x = np.column_stack([arms, covariates])
    fit = fit_counts(counts, x, exposure, law="poisson", variance=variance)
    known = sm.GLM(counts, sm.add_constant(x), exposure=exposure, family=sm.families.Poisson()).fit(tol=1e-14, **kind)
    np.testing.assert_allclose(fit.coefficients, known.params, rtol=1e-10)
    np.testing.assert_allclose(fit.se, known.bse, rtol=1e-10)
    assert fit.loglik == pytest.approx(known.llf_scaled(scale=1.0), rel=1e-12)


def test_poisson_without_covariates_is_events_over_time():
    counts, arms, exposure, _ = overdispersed()
    a, b = (counts[arms == arm].sum() for arm in (1, 0))
    estimate = rate_ratio(counts, arms, (1, 0), exposure, law="poisson")
    expected = (a / exposure[arms == 1].sum()) / (b / exposure[arms == 0].sum())
    assert estimate.value == pytest.approx(expected, rel=1e-12)
    assert estimate.se == pytest.approx(np.sqrt(1 / a + 1 / b), rel=1e-10)
    z = stats.norm.isf(0.025)
    assert estimate.lower == pytest.approx(expected * np.exp(-z * estimate.se), rel=1e-10)


def test_likelihood_is_highest_at_the_fit():
    counts, arms, exposure, _ = overdispersed()
    fit = fit_counts(counts, arms, exposure)

    def loglik(intercept, slope, theta):
        mean = exposure * np.exp(intercept + slope * arms)
        return stats.nbinom.logpmf(counts, theta, theta / (theta + mean)).sum()

    best = loglik(*fit.coefficients, fit.theta)
    assert fit.loglik == pytest.approx(best, rel=1e-12)
    for step in np.vstack([np.eye(3), -np.eye(3)]) * 1e-3:
        assert loglik(*(np.array([*fit.coefficients, fit.theta]) + step)) < best
    h = 1e-4 * fit.theta
    curve = [loglik(*fit.coefficients, fit.theta + k * h) for k in (-1, 0, 1)]
    assert fit.theta_se == pytest.approx(h / np.sqrt(2 * curve[1] - curve[0] - curve[2]), rel=1e-4)


@pytest.mark.parametrize("variance", ["model", "observed", "robust"])
def test_counts_that_vary_no_more_than_poissons_have_its_answer(variance):
    counts, arms, exposure = np.array([2, 3, 2, 3, 1, 2, 1, 2]), np.repeat([0, 1], 4), np.ones(8)
    fit = fit_counts(counts, arms, exposure, variance=variance)
    poisson = fit_counts(counts, arms, exposure, law="poisson", variance="robust" if variance == "robust" else "model")
    assert (fit.dispersion, fit.theta, fit.trouble) == (0.0, np.inf, Trouble.NONE)
    np.testing.assert_array_equal(fit.coefficients, poisson.coefficients)
    np.testing.assert_array_equal(fit.covariance, poisson.covariance)


def test_many_replicates_give_what_each_gives_alone_and_trouble_stays_with_its_own():
    drawn = [overdispersed(80, seed) for seed in range(6)]
    counts, arms, exposure, covariates = (np.array(each, dtype=float) for each in zip(*drawn, strict=True))
    counts[1, arms[1] == 1] = 0
    counts[2] = 0
    counts[3, arms[3] == 0] = np.nan
    covariates[4, :, 1] = covariates[4, :, 0]
    counts[5, :7] = np.nan
    found = rate_ratio(counts, arms, (1, 0), exposure, covariates)
    T = Trouble
    np.testing.assert_array_equal(found.trouble, [T.NONE, T.SEPARATED, T.NO_EVENTS, T.EMPTY_ARM, T.SINGULAR, T.NONE])
    np.testing.assert_array_equal(np.isnan(found.value), found.trouble != 0)
    for r in (0, 5):
        alone = rate_ratio(counts[r], arms[r], (1, 0), exposure[r], covariates[r])
        np.testing.assert_array_equal([each[r] for each in found], alone)
    assert found.subjects[5] == 73


@pytest.mark.parametrize("law", ["poisson", "negative binomial"])
@pytest.mark.parametrize("empty", [0, 1])
def test_an_arm_without_events_has_no_ratio(law, empty):
    arms = np.repeat([0, 1], 20)
    counts = np.where(arms == empty, 0, np.arange(40) % 5)
    assert rate_ratio(counts, arms, (1, 0), law=law).trouble == Trouble.SEPARATED


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"counts": [1, -1, 0]}, "whole numbers"),
        ({"counts": [1, 1.5, 0]}, "whole numbers"),
        ({"exposure": [1, 0, 2]}, "0 or less"),
        ({"exposure": [1, 2]}, "shapes do not fit"),
        ({"covariates": [[1], [2]]}, "covariates has"),
        ({"contrast": (1, 2)}, "names arm 2"),
        ({"law": "normal"}, "write one of: negative binomial, poisson"),
        ({"variance": "pearson"}, "of the negative binomial law write one of"),
    ],
)
def test_what_are_no_counts_is_refused(change, sentence):
    call = {"counts": [1, 2, 0], "arms": [1, 0, 1], "contrast": (1, 0)} | change
    with pytest.raises(ValueError, match=sentence):
        rate_ratio(**call)


def test_rare_and_large_counts_converge():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(5000, 3))
    rare = fit_counts(rng.poisson(3e-3, 5000) * 1000, x)
    assert rare.trouble == Trouble.NONE
    assert rare.theta < 0.01
    large = fit_counts(rng.poisson(1e5 * rng.gamma(1e4, 1e-4, 5000)), x)
    assert large.theta == pytest.approx(1e4, abs=4 * large.theta_se)


def test_a_fit_without_residuals_has_no_robust_error():
    arms, counts = np.repeat([0, 1], 4), np.repeat([2, 3], 4)
    assert rate_ratio(counts, arms, (1, 0), law="poisson", variance="robust").trouble == Trouble.CONSTANT
    few = rate_ratio([1, 2], [0, 1], (1, 0), law="poisson", variance="pearson")
    assert few.trouble == Trouble.TOO_FEW
    assert rate_ratio([1, 2], [0, 1], (1, 0), law="poisson").value == pytest.approx(2.0)
