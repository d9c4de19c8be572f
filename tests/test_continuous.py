"""Comparisons of means against R, SAS, closed forms and direct formulas."""

import csv
import gzip
import json

import numpy as np
import pytest
import xarray as xr
from scipy import integrate, special, stats

from analysis.statistics import ancova, clusters, crossover, two_means
from analysis.statistics.design import ARM
from analysis.statistics.mmrm import model as mmrm
from analysis.statistics.mmrm.structures import NAMES, structure
from analysis.statistics.trouble import Trouble


def table(shared, path):
    with gzip.open(shared / "oracles" / path, "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def oracle(shared, name):
    cases = json.loads((shared / "oracles/linear_binary.json").read_text(encoding="utf-8"))["cases"]
    return next(case for case in cases if case["id"] == name)


def number(rows, name):
    return np.array([float(row[name]) for row in rows])


# ---------------------------------------------------------------- two means


def test_two_means_take_arrays_of_any_shape_and_refuse_an_arm_that_is_not_there():
    rng = np.random.default_rng(1)
    values, arms = rng.normal(size=(2, 3, 20)), np.arange(20) % 2
    batch = two_means.t_test(values, arms, (1, 0))
    one = two_means.t_test(values[1, 2], arms, (1, 0))
    assert batch.p.shape == (2, 3) and one.p.shape == ()
    assert [each[1, 2] for each in batch] == list(one)
    with pytest.raises(ValueError, match="names arm 2, in which nobody is"):
        two_means.t_test(values, arms, (2, 0))


def test_values_that_differ_by_rounding_alone_are_constant():
    values = np.full((2, 30), 0.1) * 3
    found = two_means.t_test(values, np.arange(30) % 2, (1, 0))
    assert (found.trouble == Trouble.CONSTANT).all() and np.isnan(found.p).all()


# ---------------------------------------------------------------- analysis of covariance


@pytest.fixture
def anorexia(shared):
    rows = table(shared, "data/anorexia.csv.gz")
    arms = np.array([["Cont", "CBT", "FT"].index(row["Treat"]) for row in rows])
    return number(rows, "Postwt") - number(rows, "Prewt"), arms, number(rows, "Prewt")


def dunnett_p(t, df, correlation):
    """1 - P(|T_1| < t, |T_2| < t), by quadrature over the common factor and the common variance.

    Two statistics of correlation l^2 are l Z_0 + sqrt(1 - l^2) Z_j, over a common chi.
    """
    load = np.sqrt(correlation)

    def inside(s):
        def of(z):
            high, low = ((side * t * s - load * z) / np.sqrt(1 - load**2) for side in (1, -1))
            return (special.ndtr(high) - special.ndtr(low)) ** 2 * stats.norm.pdf(z)

        return integrate.quad(of, -8, 8, epsabs=1e-11)[0] * stats.chi.pdf(s * np.sqrt(df), df) * np.sqrt(df)

    return 1 - integrate.quad(inside, 0.4, 1.7, epsabs=1e-10)[0]


def test_ancova_is_that_of_r(anorexia, shared, agrees):
    case = oracle(shared, "ancova_anorexia")
    change, arms, before = anorexia
    codes, means = ancova.arm_means(change, arms, {"before": before})
    found = [ancova.ancova(change, arms, (arm, 0), {"before": before}) for arm in (1, 2)]
    unit = np.linalg.inv(gram := (x := np.stack([arms == 0, arms == 1, arms == 2, before], 1).astype(float)).T @ x)
    assert gram.shape == (4, 4)
    contrasts = np.array([[-1, 1, 0, 0], [-1, 0, 1, 0]])
    spread = contrasts @ unit @ contrasts.T
    correlation = spread[0, 1] / np.sqrt(spread[0, 0] * spread[1, 1])
    answer = {
        "lsmeans": list(means.value),
        "lsmeans_levels": [["Cont", "CBT", "FT"][int(code)] for code in codes],
        "contrast": ["CBT - Cont", "FT - Cont"],
        "est": [each.value for each in found],
        "se": [each.se for each in found],
        "df": [each.df for each in found],
        "lower": [each.lower for each in found],
        "upper": [each.upper for each in found],
        "p": [each.p for each in found],
        "dunnett_p": [dunnett_p(abs(each.statistic), each.df, correlation) for each in found],
        "sigma": found[0].se / np.sqrt(spread[0, 0]),
    }
    tolerance = case["tolerance"]
    agrees(
        answer,
        case["expected"],
        lambda path: (
            {"abs": tolerance["dunnett_p_abs"], "rel": 0}
            if path[0] == "dunnett_p"
            else {"rel": tolerance["rel"], "abs": 0}
        ),
    )


def test_the_primary_table_of_the_cdisc_pilot_is_reproduced(shared, agrees):
    case = oracle(shared, "cdiscpilot_table14_3_01")
    kept = {"PARAMCD": "ACTOT", "EFFFL": "Y", "ITTFL": "Y", "ANL01FL": "Y", "AVISITN": "24"}
    rows = [
        row
        for row in table(shared, "data/cdiscpilot01/adadas_actot.csv.gz")
        if all(row[name] == value for name, value in kept.items())
    ]
    dose, base, week, change = (number(rows, name) for name in ("TRTPN", "BASE", "AVAL", "CHG"))
    site = np.unique([row["SITEGR1"] for row in rows], return_inverse=True)[1]
    given = ({"base": base}, {"site": site})
    trend = ancova.dose_response(change, dose, *given)
    found = [ancova.ancova(change, dose, pair, *given, margins="observed") for pair in ((54, 0), (81, 0), (81, 54))]
    computed = {
        "p_dose_response": trend.p,
        "contrast": ["T0 - T54", "T0 - T81", "T54 - T81"],
        "est": [-each.value for each in found],
        "se": [each.se for each in found],
        "lower": [-each.upper for each in found],
        "upper": [-each.lower for each in found],
        "p": [each.p for each in found],
    }
    agrees(computed, case["expected"]["computed"], lambda path: {"rel": 1e-6, "abs": 0})
    arms = [dose == code for code in (0, 54, 81)]
    printed = {
        "n": [arm.sum() for arm in arms],
        "p_dose_response": trend.p,
        **{f"{name}_mean": [x[arm].mean() for arm in arms] for name, x in (("baseline", base), ("week24", week))},
        **{f"{name}_sd": [x[arm].std(ddof=1) for arm in arms] for name, x in (("baseline", base), ("week24", week))},
        "chg_mean": [change[arm].mean() for arm in arms],
        "chg_sd": [change[arm].std(ddof=1) for arm in arms],
        **{
            name: [each.value, each.se, each.lower, each.upper, each.p]
            for name, each in zip(("low_minus_pbo", "high_minus_pbo", "high_minus_low"), found, strict=True)
        },
    }
    # Digits as printed: 1 of means and limits, 2 of standard deviations and errors, 3 of p.
    digits = {"n": 0, "p_dose_response": 3}
    rowwise = (1, 2, 1, 1, 3)

    def half(path):
        places = rowwise[path[1]] if "_minus_" in path[0] else digits.get(path[0], 2 if path[0].endswith("sd") else 1)
        return {"abs": 0.5 * 10.0**-places + 1e-9, "rel": 0}

    agrees(printed, case["expected"]["published"], half)


def dense(x, y, robust):
    """Least squares by a QR decomposition; the covariance of the coefficients by matrices of all subjects."""
    coefficient = np.linalg.lstsq(x, y, rcond=None)[0]
    residual, bread = y - x @ coefficient, np.linalg.inv(x.T @ x)
    h, n, p = np.diag(x @ bread @ x.T), *x.shape
    weight = {"none": None, "HC0": 1, "HC1": n / (n - p), "HC2": 1 / (1 - h), "HC3": 1 / (1 - h) ** 2}[robust]
    if weight is None:
        return coefficient, residual @ residual / (n - p) * bread
    return coefficient, bread @ x.T @ np.diag(weight * residual**2) @ x @ bread


@pytest.mark.parametrize("robust", ["none", "HC0", "HC1", "HC2", "HC3"])
def test_ancova_with_factors_and_interaction_is_least_squares(robust):
    rng = np.random.default_rng(4)
    n = 60
    arms, site, age, base = rng.integers(0, 3, n), rng.integers(0, 4, n), rng.normal(50, 9, n), rng.normal(size=n)
    y = arms + 0.1 * age * (arms == 1) + base + site + rng.normal(size=n) * (1 + arms)
    # By hand: cells of arms, differences of sites to the first, the ages' slope in each arm.
    centred = age - age.mean()
    x = np.stack(
        [*(arms == a for a in range(3)), *(site == s for s in (1, 2, 3)), base - base.mean()]
        + [centred * (arms == a) for a in range(3)],
        1,
    ).astype(float)
    coefficient, covariance = dense(x, y, robust)
    given = {"covariates": {"age": age, "base": base}, "factors": {"site": site}, "by_arm": ["age"], "robust": robust}
    found = ancova.ancova(y, arms, (2, 0), **given)
    row = np.zeros(10)
    row[[0, 2]] = -1, 1
    assert found.value == pytest.approx(row @ coefficient, rel=1e-10)
    assert found.se == pytest.approx(np.sqrt(row @ covariance @ row), rel=1e-10)
    assert found.df == n - 10
    _, means = ancova.arm_means(y, arms, **given)
    row = np.array([0, 1, 0, 0.25, 0.25, 0.25, 0, 0, 0, 0])
    assert (means.value[1], means.se[1]) == pytest.approx(
        (row @ coefficient, np.sqrt(row @ covariance @ row)), rel=1e-10
    )
    tests = ancova.type_three(y, arms, **given)
    for term, rows in {
        (ARM,): [[-1, 1, 0] + 7 * [0], [-1, 0, 1] + 7 * [0]],
        ("site",): np.eye(10)[3:6],
        ("age",): [7 * [0] + [1 / 3] * 3],
        (ARM, "age"): [7 * [0] + [-1, 1, 0], 7 * [0] + [-1, 0, 1]],
    }.items():
        rows = np.array(rows, float)
        f = (rows @ coefficient) @ np.linalg.solve(rows @ covariance @ rows.T, rows @ coefficient) / len(rows)
        assert (tests[term].statistic, tests[term].numerator) == (pytest.approx(f, rel=1e-9), len(rows))
        assert tests[term].p == pytest.approx(stats.f.sf(f, len(rows), n - 10), rel=1e-8)


def test_standardisation_is_the_mean_of_predictions_and_counts_that_subjects_are_a_sample():
    rng = np.random.default_rng(6)
    n = 80
    arms, x, site = np.arange(n) % 2, rng.normal(size=n), rng.integers(0, 3, n)
    y = 1.0 * arms * x + site * arms + rng.normal(size=n)
    found = ancova.ancova(
        y, arms, (1, 0), {"x": x}, {"site": site}, by_arm=["x", "site"], robust="HC3", standardised=True
    )
    predicted, variance = [], 0.0
    z = np.stack([np.ones(n), x, site == 1, site == 2], 1)
    for arm in (1, 0):
        coefficient, covariance = dense(z[arms == arm], y[arms == arm], "HC3")
        predicted.append(z @ coefficient)
        variance += z.mean(0) @ covariance @ z.mean(0)
    gain = predicted[0] - predicted[1]
    assert found.value == pytest.approx(gain.mean(), rel=1e-10)
    assert found.se == pytest.approx(np.sqrt(variance + gain.var(ddof=1) / n), rel=1e-10)


def test_without_covariates_ancova_is_the_pooled_t_test_and_hc2_is_welchs():
    rng = np.random.default_rng(8)
    values, arms = rng.normal(size=(5, 30)), (rng.random((5, 30)) < 0.4).astype(int)
    pooled, welch = (two_means.t_test(values, arms, (1, 0), pooled=each) for each in (True, False))
    found = ancova.ancova(values, arms, (1, 0))
    for name in ("value", "se", "lower", "upper", "p", "df"):
        np.testing.assert_allclose(getattr(found, name), getattr(pooled, name), rtol=1e-11)
    np.testing.assert_allclose(ancova.ancova(values, arms, (1, 0), robust="HC2").se, welch.se, rtol=1e-11)


def test_a_batch_of_analyses_of_covariance_is_each_alone():
    rng = np.random.default_rng(9)
    values, arms = rng.normal(size=(30, 40)), rng.integers(0, 3, (30, 40))
    age, site = rng.normal(size=(30, 40)), rng.integers(0, 3, 40)
    values[rng.random(values.shape) < 0.2] = np.nan
    site = site.astype(float)
    site[:3] = np.nan
    values[4, arms[4] == 2] = np.nan
    options = {"by_arm": ["age"], "robust": "HC3", "sided": 1, "margins": "observed"}
    batch = ancova.ancova(values, arms, (1, 0), {"age": age}, {"site": site}, **options)
    for r in range(30):
        one = ancova.ancova(values[r], arms[r], (1, 0), {"age": age[r]}, {"site": site}, **options)
        np.testing.assert_allclose([each[r] for each in batch], list(one), rtol=1e-11)
    assert (batch.trouble == 0).all() and (batch.subjects < 38).all()


def test_trend_of_two_arms_is_their_difference_and_of_more_a_contrast(anorexia):
    change, arms, before = anorexia
    difference = ancova.ancova(change, arms, (2, 0), {"before": before})
    trend = ancova.arm_trend(change, arms, {0: -1, 2: 1}, {"before": before})
    np.testing.assert_allclose(list(trend), list(difference), rtol=1e-12)
    _, means = ancova.arm_means(change, arms, {"before": before})
    found = ancova.arm_trend(change, arms, {0: -1, 1: 0.25, 2: 0.75}, {"before": before})
    assert found.value == pytest.approx(means.value @ [-1, 0.25, 0.75], rel=1e-10)


@pytest.mark.parametrize("robust", ["none", "HC0", "HC2", "HC3"])
def test_degenerate_data_of_ancova_are_told(robust):
    rng = np.random.default_rng(2)
    arms, y = np.arange(12) % 2, rng.normal(size=12)
    found = {
        Trouble.EMPTY_ARM: ancova.ancova(np.where(arms == 1, np.nan, y), arms, (1, 0), robust=robust),
        Trouble.CONSTANT: ancova.ancova(np.full(12, 0.1), arms, (1, 0), robust=robust),
        Trouble.TOO_FEW: ancova.ancova(y[:2], arms[:2], (1, 0), robust=robust),
        Trouble.SINGULAR: ancova.ancova(y, arms, (1, 0), factors={"site": arms}, robust=robust),
    }
    for trouble, estimate in found.items():
        assert estimate.trouble == trouble
        assert np.isnan(estimate.se) and np.isnan(estimate.p)
    # A covariate told by another harms no contrast.
    x = rng.normal(size=12)
    once, twice = (ancova.ancova(y, arms, (1, 0), each, robust=robust) for each in ({"x": x}, {"x": x, "y": 3 - 2 * x}))
    np.testing.assert_allclose(list(once), list(twice), rtol=1e-10)


# ---------------------------------------------------------------- mixed model for repeated measures


@pytest.fixture
def fev(shared):
    """Values (subject, visit), arms, and factors, of 200 subjects."""
    rows = table(shared, "data/mmrm/fev_data.csv.gz")
    ids = list(dict.fromkeys(row["USUBJID"] for row in rows))
    values = np.full((len(ids), 4), np.nan)
    for row in rows:
        if row["FEV1"]:
            values[ids.index(row["USUBJID"]), int(row["AVISIT"][-1]) - 1] = float(row["FEV1"])
    first = {row["USUBJID"]: row for row in reversed(rows)}
    race = np.unique([first[each]["RACE"] for each in ids], return_inverse=True)[1]
    sex = np.array([float(first[each]["SEX"] == "Female") for each in ids])
    return values, np.array([float(first[each]["ARMCD"] == "TRT") for each in ids]), {"race": race, "sex": sex}


def coefficients(model, reference):
    """Coefficients as of a model whose factors have these reference levels, by name: value, se, df."""

    def row(*columns):
        found = np.zeros(len(model.design.columns))
        for sign, levels in columns:
            found[next(i for i, each in enumerate(model.design.columns) if each.levels == levels)] += sign
        return found

    def cell(levels):
        """The mean of a cell of the design."""
        parts = [{name: levels[name] for name in term} for term in model.design.terms]
        return sum(row((1, part)) for part in parts)

    base = dict.fromkeys(("arm", "visit", "race", "sex"), 0)
    names = {"Intercept": cell(base), "ARMCD_TRT": cell({**base, "arm": 1}) - cell(base)}
    for j in (1, 2, 3):
        shift = cell({**base, "visit": j}) - cell(base)
        names[f"VIS{j + 1}"] = shift
        names[f"VIS{j + 1}_TRT"] = cell({**base, "visit": j, "arm": 1}) - cell({**base, "arm": 1}) - shift
    names["RACE_Black"] = cell({**base, "race": 1}) - cell(base)
    names["RACE_White"] = cell({**base, "race": 2}) - cell(base)
    names["SEX_Female"] = cell({**base, "sex": 1}) - cell(base)
    assert reference == {"RACE": "Asian", "AVISIT": "VIS1", "SEX": "Male", "ARMCD": "PBO"}
    found = mmrm.combined(model, np.stack(list(names.values())))
    return {name: (found.value[i], found.se[i], found.df[i]) for i, name in enumerate(names)}


def covariances(model):
    """The covariance of visits by SAS's names, its first visit, the reference, coming last."""
    order, v = (1, 2, 3, 0), model.fit.visits[0, 0]
    return {f"UN{j + 1}{k + 1}": v[order[j], order[k]] for j in range(4) for k in range(j + 1)}


def test_mmrm_is_that_of_sas(fev, shared, agrees):
    case = oracle(shared, "mmrm_fev_un_reml_sas")
    expected = case["expected"]
    values, arms, factors = fev
    model = mmrm.fitted(values, arms, factors=factors, convergence="sas")
    means, difference, tests = mmrm.arm_means(model), mmrm.differences(model, (1, 0)), mmrm.type_three(model)
    order = ("value", "se", "df", "lower", "upper")
    answer = {
        "n_used": np.isfinite(values).sum(),
        "n_subjects": len(values),
        "minus2_res_loglik": model.fit.minus2[0],
        "aic": model.fit.aic[0],
        "bic": model.fit.bic[0],
        "cov_lower_tri": covariances(model),
        "fixed": coefficients(model, case["inputs"]["reference"]),
        "lsmeans_OM_no": {
            f"VIS{j + 1}_{name}": [getattr(means, each)[arm, j] for each in order]
            for j in range(4)
            for arm, name in enumerate(("PBO", "TRT"))
        },
        "diff_TRT_minus_PBO_est_se_df_t_p_lo_hi": {
            f"VIS{j + 1}": [getattr(difference, each)[j] for each in (*order[:3], "statistic", "p", "lower", "upper")]
            for j in range(4)
        },
        "type3_F": {
            name: [float(each) for each in (tests[term].numerator, tests[term].denominator, tests[term].statistic)]
            for name, term in {
                "ARMCD": ("arm",),
                "AVISIT": ("visit",),
                "AVISIT_ARMCD": ("arm", "visit"),
                "RACE": ("race",),
                "SEX": ("sex",),
            }.items()
        },
    }

    def close(path):
        if path[0] == "minus2_res_loglik":
            return {"abs": 1e-8, "rel": 0}  # as printed
        if path[0] in ("aic", "bic"):
            return {"abs": 0.05, "rel": 0}  # one digit is printed
        if path[0] == "type3_F":
            return {"abs": 0.5 if path[-1] == 1 else 0.005, "rel": 0}
        if path[-1] == 2 and path[0] != "n_used":
            return {"abs": 0.5, "rel": 0}  # degrees of freedom are printed as whole numbers
        if path[0].startswith("diff") and path[-1] == 3:
            return {"abs": 0.005, "rel": 0}  # t, to two digits
        if path[0].startswith("diff") and path[-1] == 4:
            return {"abs": 1e-4, "rel": 0}  # p, to four digits; <.0001 is given as .0001
        return {"abs": 5.1e-5, "rel": 0}  # four digits

    agrees(answer, expected, close)


def plain_reml(theta, values, x):
    """-2 residual log likelihood of an unstructured covariance, subject by subject, and the coefficients."""
    v = plain_covariance("un", theta)
    gram, cross, square, log, n = 0.0, 0.0, 0.0, 0.0, 0
    for y, design in zip(values, x, strict=True):
        seen = np.isfinite(y)
        w = np.linalg.inv(v[np.ix_(seen, seen)])
        gram = gram + design[seen].T @ w @ design[seen]
        cross = cross + design[seen].T @ w @ y[seen]
        square += y[seen] @ w @ y[seen]
        log -= np.linalg.slogdet(w)[1]
        n += seen.sum()
    b = np.linalg.solve(gram, cross)
    constant = (n - len(b)) * np.log(2 * np.pi)
    return log + np.linalg.slogdet(gram)[1] + square - b @ cross + constant, b


def test_sas_and_nlme_stopped_short_of_the_maximum_that_is_found_here(fev, shared):
    # SAS ends 6e-6, nlme 2e-7 above the least -2 log likelihood. Elsewhere written anew, it is level where it is least
    # here, and has these coefficients; nlme's least one differs by 3e-5, which is more than 1e-4 of it.
    sas, gls = (oracle(shared, f"mmrm_fev_un_{name}")["expected"] for name in ("reml_sas", "gls"))
    values, arms, factors = fev
    model = mmrm.fitted(values, arms, factors=factors)
    fit = model.fit
    columns = [np.ones(200), factors["race"] == 1, factors["race"] == 2, factors["sex"] == 1, arms == 1]
    x = np.zeros((200, 4, 11))
    x[:, :, :5] = np.stack(columns, -1)[:, None]
    for j in (1, 2, 3):
        x[:, j, 4 + j], x[:, j, 7 + j] = 1, arms == 1
    value, b = plain_reml(fit.parameters[0], values, x)
    assert fit.minus2[0] == pytest.approx(value, rel=1e-12)
    assert value < gls["minus2_res_loglik_nlme"] < value + 1e-6 < sas["minus2_res_loglik"] < value + 1e-5
    for i, error in enumerate(fit.errors[0]):
        step = np.zeros(10)
        step[i] = 1e-3 * error
        up, down = (plain_reml(fit.parameters[0] + side * step, values, x)[0] for side in (1, -1))
        assert abs(up - down) / 2e-3 < 1e-5  # the slope, per standard error
        assert min(up, down) > value
    of = coefficients(model, {"RACE": "Asian", "AVISIT": "VIS1", "SEX": "Male", "ARMCD": "PBO"})
    order = ("Intercept", "RACE_Black", "RACE_White", "SEX_Female", "ARMCD_TRT", "VIS2", "VIS3", "VIS4")
    order += ("VIS2_TRT", "VIS3_TRT", "VIS4_TRT")
    np.testing.assert_allclose([of[name][0] for name in order], b, rtol=1e-9)
    off = b[8] - gls["coef"]["ARMCDTRT:AVISITVIS2"]
    assert 1e-5 < abs(off) < 1e-4 * gls["se"]["ARMCDTRT:AVISITVIS2"]


def test_mmrm_is_that_of_nlme(fev, shared, agrees):
    case = oracle(shared, "mmrm_fev_un_gls")
    values, arms, factors = fev
    model = mmrm.fitted(values, arms, factors=factors)
    of = coefficients(model, {"RACE": "Asian", "AVISIT": "VIS1", "SEX": "Male", "ARMCD": "PBO"})
    names = {
        "Intercept": "(Intercept)",
        "RACE_Black": "RACEBlack or African American",
        "RACE_White": "RACEWhite",
        "SEX_Female": "SEXFemale",
        "ARMCD_TRT": "ARMCDTRT",
        **{f"VIS{j}": f"AVISITVIS{j}" for j in (2, 3, 4)},
        **{f"VIS{j}_TRT": f"ARMCDTRT:AVISITVIS{j}" for j in (2, 3, 4)},
    }
    difference = mmrm.differences(model, (1, 0))
    answer = {
        "minus2_res_loglik_nlme": model.fit.minus2[0],
        "coef": {names[name]: value for name, (value, _, _) in of.items()},
        "se": {names[name]: se for name, (_, se, _) in of.items()},
        "diff_TRT_minus_PBO": list(difference.value),
        "diff_se": list(difference.se),
    }
    # One coefficient, near 0, is short of the maximum there: see the test before.
    answer["coef"].pop(name := "ARMCDTRT:AVISITVIS2")
    expected = {**case["expected"], "coef": {each: x for each, x in case["expected"]["coef"].items() if each != name}}
    agrees(answer, expected, lambda path: {"rel": case["tolerance"]["rel"], "abs": 0})


def test_mmrm_of_a_mean_alone_is_that_of_sas(fev, shared, agrees):
    case = oracle(shared, "mmrm_fev_intercept_un_sas")
    values, arms, _ = fev
    found = mmrm.combined(mmrm.fitted(values, arms, terms=[()], convergence="sas"), [[1.0]])
    answer = {"est": found.value[0], "se": found.se[0], "df": found.df[0], "t": found.statistic[0]}
    # The degrees of freedom are printed as a whole number.
    agrees(answer, case["expected"], lambda path: {"abs": 0.5} if path == ("df",) else {"rel": 1e-4, "abs": 0})


# SAS PROC MIXED, FEV1 with a mean alone (openpharma/mmrm, design/SAS): structure, by arm, -2 residual log likelihood,
# AIC, BIC, estimate, standard error, df, and the first parameters
PRINTED = [
    ("csh", False, 3784.85341599, 3794.9, 3811.3, 41.9964, 0.3575, 199, (104.61, 38.6137, 31.3143, 178.91, 0.1582)),
    ("ar1", False, 3875.49945459, 3879.5, 3886.1, 42.3255, 0.5013, 188, (88.9866, 0.4272)),
    ("cs", True, 3915.41985780, 3923.4, 3936.6, 41.9734, 0.4247, 183, (3.2130, 74.8951, 9.0248, 87.3254)),
    (
        "toeph",
        False,
        3722.38018329,
        3736.4,
        3759.5,
        41.6726,
        0.3822,
        185,
        (90.4041, 38.5927, 36.1518, 175.78, 0.4295, 0.04570, -0.3116),
    ),
]


@pytest.mark.parametrize(("name", "by_arm", "minus2", "aic", "bic", "value", "se", "df", "parameters"), PRINTED)
def test_covariance_structures_are_those_of_sas(fev, name, by_arm, minus2, aic, bic, value, se, df, parameters):
    values, arms, _ = fev
    model = mmrm.fitted(values, arms, terms=[()], structure=name, by_arm=by_arm)
    found = mmrm.combined(model, [[1.0]])
    assert model.fit.minus2[0] == pytest.approx(minus2, abs=1e-6, rel=0)
    assert (model.fit.aic[0], model.fit.bic[0]) == pytest.approx((aic, bic), abs=0.051, rel=0)
    assert (found.value[0], found.se[0]) == pytest.approx((value, se), abs=1.01e-4, rel=0)
    assert found.df[0] == pytest.approx(df, abs=0.5)
    # SAS stops at a criterion of 1e-8, its parameters at four digits and their last.
    np.testing.assert_allclose(model.fit.parameters[0], parameters, rtol=7e-4)
    assert len(model.names) == len(parameters)


# DDFM=KR of the unstructured covariance, as above, to all digits at SAS's own stop
def test_steps_of_sas_are_followed_to_its_last_digit(fev):
    values, arms, _ = fev
    model = mmrm.fitted(values, arms, terms=[(), (ARM,)], degrees="kenward-roger", convergence="sas")
    found = mmrm.differences(model, (1, 0))
    assert (found.se[0], found.df[0]) == pytest.approx((0.66124382270307, 160.733266403768), rel=1e-9)
    grouped = mmrm.fitted(values, arms, terms=[()], structure="cs", by_arm=True, convergence="sas")
    assert grouped.fit.minus2[0] == pytest.approx(3915.41985780, abs=1e-8)


# SAS PROC MIXED, FEV1 by arm (openpharma/mmrm, tests/testthat/test-kenwardroger.R): standard error by DDFM=KR, by
# DDFM=KR(FIRSTORDER), and df
KENWARD_ROGER = [
    ("ar1", 0.95865439662225, 0.96058142305176, 188.46934887972),
    ("arh1", 0.7590316099633, 0.75924807546934, 188.225339095373),
    ("cs", 0.7964696053595, 0.7964696053595, 177.038485931223),
    ("csh", 0.67414806011886, 0.67403858183242, 190.737701349941),
    ("toep", 0.87839805519623, 0.87839805519623, 160.027408337368),
    ("toeph", 0.72543828853831, 0.72537324518435, 180.062730071701),
    ("un", 0.66124382270307, 0.66124382270307, 160.733266403768),
]


@pytest.mark.parametrize(("name", "second", "first", "df"), KENWARD_ROGER)
def test_kenward_rogers_adjustment_is_that_of_sas(fev, name, second, first, df):
    values, arms, _ = fev
    for degrees, se in (("kenward-roger", second), ("kenward-roger-linear", first)):
        model = mmrm.fitted(values, arms, terms=[(), (ARM,)], structure=name, degrees=degrees)
        found = mmrm.differences(model, (1, 0))
        # SAS's iteration leaves this much: csh ends 1e-4 of its error away.
        assert found.se[0] == pytest.approx(se, rel=1.5e-4)
        assert found.df[0] == pytest.approx(df, rel=5e-4)
        joint = mmrm.type_three(model)[(ARM,)]
        assert (joint.statistic, joint.denominator) == pytest.approx((found.statistic[0] ** 2, found.df[0]), rel=1e-9)


def repeated(seed=3, replicates=None, n=30, visits=4, missing=0.25):
    rng = np.random.default_rng(seed)
    lead = () if replicates is None else (replicates,)
    arms = np.broadcast_to(np.arange(n) % 2, (*lead, n))
    base = rng.normal(size=(*lead, n))
    root = np.linalg.cholesky(np.eye(visits) * np.arange(1, visits + 1) + 0.8)
    values = base[..., None] + rng.normal(size=(*lead, n, visits)) @ root.T + 0.5 * arms[..., None] * np.arange(visits)
    values[rng.random(values.shape) < missing] = np.nan
    return 5 + values, arms, base


# V and the parameters' names are written again here, plainly, and everything that follows from V by large matrices.
def plain_covariance(name, theta, visits=4):
    v = np.zeros((visits, visits))
    lag = np.abs(np.subtract.outer(np.arange(visits), np.arange(visits)))
    if name == "un":
        v[np.tril_indices(visits)] = theta
        return np.where(v == 0, v.T, v)
    if name == "cs":
        return theta[0] + np.diag(np.full(visits, theta[1]))
    if name == "toep":
        return np.asarray(theta)[lag]
    many = name in ("csh", "arh1", "toeph")
    s = np.sqrt(theta[:visits]) if many else np.sqrt(np.full(visits, theta[0]))
    r = theta[visits:] if many else theta[1:]
    if name == "toeph":
        return s[:, None] * s * np.concatenate([[1.0], r])[lag]
    return s[:, None] * s * (np.where(lag > 0, r[0], 1.0) if name == "csh" else r[0] ** lag)


def derivatives(of, theta, step):
    """First and second derivatives of a matrix by central differences of fourth order."""
    q = len(theta)
    e = np.eye(q) * step

    def first(at, i):
        near, far = (of(at + k * e[i]) - of(at - k * e[i]) for k in (1, 2))
        return (8 * near - far) / 12 / step[i]

    one = np.stack([first(theta, i) for i in range(q)])
    two = np.stack([[(8 * (first(theta + e[j], i) - first(theta - e[j], i)) - (first(theta + 2 * e[j], i)
        - first(theta - 2 * e[j], i))) / 12 / step[j] for j in range(q)] for i in range(q)])  # fmt: skip
    return one, two


def dense_model(name, theta, values, x, restricted=True):
    """-2 log likelihood, coefficients, and Kenward and Roger's pieces, from one V of all that was seen."""
    seen = np.isfinite(values)
    y, design, whole = values[seen], x[seen], np.flatnonzero(seen.ravel())
    n, visits = values.shape

    def spread(at):
        return np.kron(np.eye(n), plain_covariance(name, at, visits))[np.ix_(whole, whole)]

    first, second = derivatives(spread, theta, 1e-3 * np.maximum(np.abs(theta), 0.1))
    v = spread(theta)
    w = np.linalg.inv(v)
    phi = np.linalg.inv(design.T @ w @ design)
    b = phi @ design.T @ w @ y
    p = w - w @ design @ phi @ design.T @ w
    value = np.linalg.slogdet(v)[1] + y @ p @ y + np.log(2 * np.pi) * (len(y) - restricted * len(b))
    value += restricted * np.linalg.slogdet(design.T @ w @ design)[1]
    inner = p if restricted else w
    q = range(len(theta))
    gradient = np.array([np.trace(inner @ first[i]) - y @ p @ first[i] @ p @ y for i in q])
    hessian = np.array(
        [
            [
                -np.trace(inner @ first[i] @ inner @ first[j])
                + np.trace(inner @ second[i, j])
                + 2 * y @ p @ first[i] @ p @ first[j] @ p @ y
                - y @ p @ second[i, j] @ p @ y
                for j in q
            ]
            for i in q
        ]
    )
    expected = np.array([[np.trace(inner @ first[i] @ inner @ first[j]) for j in q] for i in q])
    big_p = [-design.T @ w @ first[i] @ w @ design for i in q]
    big_q = [[design.T @ w @ first[i] @ w @ first[j] @ w @ design for j in q] for i in q]
    big_r = [[design.T @ w @ second[i, j] @ w @ design for j in q] for i in q]
    return value, b, phi, gradient, hessian, expected, big_p, big_q, big_r


@pytest.mark.parametrize("information", ["observed", "expected"])
@pytest.mark.parametrize("name", NAMES)
def test_everything_of_a_fit_follows_from_its_definition(name, information):
    values, arms, base = repeated(n=16, missing=0.15)
    x = np.zeros((16, 4, 9))
    for j in range(4):
        x[:, j, j], x[:, j, 4 + j], x[:, j, 8] = (
            arms == 0,
            arms == 1,
            base - np.nanmean(np.where(np.isfinite(values), base[:, None], np.nan)),
        )
    rows = np.concatenate([-np.eye(4), np.eye(4), np.zeros((1, 4))]).T
    found = {}
    for degrees in ("satterthwaite", "kenward-roger", "kenward-roger-linear"):
        found[degrees] = mmrm.fitted(
            values, arms, {"base": base}, structure=name, degrees=degrees, information=information
        )
    fit = found["satterthwaite"].fit
    theta = fit.parameters[0]
    value, b, phi, gradient, hessian, expected, p, q, r = dense_model(name, theta, values, x)
    w = 2 * np.linalg.inv(hessian if information == "observed" else expected)
    assert gradient @ np.linalg.inv(hessian) @ gradient < 1e-12  # the likelihood is level there
    assert np.linalg.eigvalsh(hessian).min() > 0
    assert fit.minus2[0] == pytest.approx(value, rel=1e-11)
    np.testing.assert_allclose(fit.errors[0], np.sqrt(np.diag(w)), rtol=1e-5)
    estimate = mmrm.differences(found["satterthwaite"], (1, 0))
    np.testing.assert_allclose(estimate.value, rows @ b, rtol=1e-8)
    np.testing.assert_allclose(estimate.se, np.sqrt(np.diag(rows @ phi @ rows.T)), rtol=1e-8)
    slopes = np.array([-rows @ phi @ each @ phi @ rows.T for each in p])
    diagonal = np.diagonal(slopes, axis1=1, axis2=2)
    df = 2 * np.diag(rows @ phi @ rows.T) ** 2 / np.einsum("il,ij,jl->l", diagonal, w, diagonal)
    np.testing.assert_allclose(estimate.df, df, rtol=1e-6)
    indices = [(i, j) for i in range(len(theta)) for j in range(len(theta))]
    for degrees, share in (("kenward-roger", 0.25), ("kenward-roger-linear", 0.0)):
        change = sum(w[i, j] * (q[i][j] - p[i] @ phi @ p[j] - share * r[i][j]) for i, j in indices)
        adjusted = phi + 2 * phi @ change @ phi
        estimate = mmrm.differences(found[degrees], (1, 0))
        np.testing.assert_allclose(estimate.se, np.sqrt(np.diag(rows @ adjusted @ rows.T)), rtol=1e-6)
        np.testing.assert_allclose(estimate.df, df, rtol=1e-6)
        # Of several functions at once, as Kenward & Roger 1997 write it (section 2).
        several = (rows - rows[0])[1:].T
        theta_l = several @ np.linalg.inv(several.T @ phi @ several) @ several.T
        parts = [theta_l @ phi @ each @ phi for each in p]
        a1 = sum(w[i, j] * np.trace(parts[i]) * np.trace(parts[j]) for i, j in indices)
        a2 = sum(w[i, j] * np.trace(parts[i] @ parts[j]) for i, j in indices)
        m = 3
        big_b = (a1 + 6 * a2) / (2 * m)
        g = ((m + 1) * a1 - (m + 4) * a2) / ((m + 2) * a2)
        c = np.array([g, m - g, m + 2 - g]) / (3 * m + 2 * (1 - g))
        mean = 1 / (1 - a2 / m)
        ratio = 2 / m * (1 + c[0] * big_b) / ((1 - c[1] * big_b) ** 2 * (1 - c[2] * big_b)) / (2 * mean**2)
        below = 4 + (m + 2) / (m * ratio - 1)
        f = (
            (several.T @ b)
            @ np.linalg.solve(several.T @ adjusted @ several, several.T @ b)
            / m
            * below
            / (mean * (below - 2))
        )
        joint = mmrm.type_three(found[degrees])[(ARM, "visit")]
        assert (joint.numerator, joint.denominator, joint.statistic) == (
            3,
            pytest.approx(below, rel=1e-6),
            pytest.approx(f, rel=1e-6),
        )


def test_full_likelihood_follows_from_its_definition():
    values, arms, _ = repeated(n=16, missing=0.15)
    model = mmrm.fitted(values, arms, structure="arh1", method="ml")
    x = np.stack(
        [np.broadcast_to((arms == a)[:, None] & (np.arange(4) == j), (16, 4)) for a in (0, 1) for j in range(4)], -1
    )
    value, b, _, gradient, hessian, *_ = dense_model("arh1", model.fit.parameters[0], values, x.astype(float), False)
    assert gradient @ np.linalg.inv(hessian) @ gradient < 1e-12
    assert model.fit.minus2[0] == pytest.approx(value, rel=1e-11)
    assert model.fit.aic[0] == pytest.approx(value + 2 * (5 + 8), rel=1e-11)
    np.testing.assert_allclose(mmrm.arm_means(model).value.ravel(), b, rtol=1e-9)
    np.testing.assert_allclose(model.fit.errors[0], np.sqrt(np.diag(2 * np.linalg.inv(hessian))), rtol=1e-5)


@pytest.mark.parametrize("degrees", ["satterthwaite", "kenward-roger"])
def test_balanced_data_have_the_tests_of_the_analysis_of_variance(degrees):
    values, arms, _ = repeated(n=20, missing=0.0)
    n, visits = values.shape
    model = mmrm.fitted(values, arms, structure="cs", degrees=degrees)
    tests = mmrm.type_three(model)
    cells = np.stack([values[arms == a].mean(0) for a in (0, 1)])
    means = values.mean(1)
    within = values - cells[arms] - means[:, None] + cells.mean(1)[arms][:, None]
    between = 4 * ((means - cells.mean(1)[arms]) ** 2).sum() / (n - 2)
    error = (within**2).sum() / ((n - 2) * (visits - 1))
    grid = cells - cells.mean(1, keepdims=True) - cells.mean(0) + cells.mean()
    expected = {
        (ARM,): (1, n - 2, n * visits * ((cells.mean(1) - cells.mean()) ** 2).mean() / between),
        ("visit",): (3, (n - 2) * 3, n * ((cells.mean(0) - cells.mean()) ** 2).sum() / 3 / error),
        (ARM, "visit"): (3, (n - 2) * 3, n / 2 * (grid**2).sum() / 3 / error),
    }
    for term, each in expected.items():
        found = tests[term]
        assert (found.numerator, found.denominator, found.statistic) == pytest.approx(each, rel=1e-8)


def test_balanced_unstructured_data_have_the_t_test_of_each_visit():
    values, arms, _ = repeated(n=21, missing=0.0)
    for degrees in ("satterthwaite", "kenward-roger"):
        found = mmrm.mmrm(values, arms, (1, 0), degrees=degrees)
        expected = two_means.t_test(values.T, arms, (1, 0), pooled=True)
        for name in ("value", "se", "df", "p", "lower", "upper"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9)


@pytest.mark.parametrize("name", ["un", "arh1", "toep"])
def test_a_batch_of_mixed_models_is_each_alone(name):
    values, arms, base = repeated(replicates=40, n=40)
    values[3] = 1.0
    values[5, arms[5] == 1, 3] = np.nan
    values[7, :, 2] = np.nan
    values[8, ::4] = np.nan
    options = {"structure": name, "degrees": "kenward-roger", "by_visit": ["base"], "by_arm": name == "toep"}
    batch = mmrm.fitted(values, arms, {"base": base}, **options)
    found, tests, means = mmrm.differences(batch, (1, 0)), mmrm.type_three(batch), mmrm.arm_means(batch)
    assert found.value.shape == (40, 4) and means.value.shape == (40, 2, 4)
    assert (found.trouble[3] == Trouble.CONSTANT).all() and (found.trouble == 0).mean() > 0.9
    assert found.trouble[5, 3] == found.trouble[7, 2] == Trouble.EMPTY_ARM and (found.trouble[5, :3] == 0).all()
    for r in range(40):
        one = mmrm.fitted(values[r], arms[r], {"base": base[r]}, **options)
        np.testing.assert_allclose([each[r] for each in found], list(mmrm.differences(one, (1, 0))), rtol=1e-9)
        for term, test in mmrm.type_three(one).items():
            np.testing.assert_allclose([each[r] for each in tests[term]], list(test), rtol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_of_a_structure_are_those_of_its_definition(name):
    made = structure(name, 4)
    theta = {
        "un": np.array([2.0, 0.5, 3, 0.4, 0.3, 1.5, 0.2, -0.4, 0.6, 2.5]),
        "cs": np.array([0.7, 1.3]),
        "toep": np.array([2.0, 0.9, 0.5, -0.3]),
        "ar1": np.array([1.7, 0.6]),
        "csh": np.array([1.0, 2, 3, 4, 0.3]),
        "arh1": np.array([1.0, 2, 3, 4, -0.4]),
        "toeph": np.array([1.0, 2, 3, 4, 0.5, 0.2, -0.1]),
    }[name]
    found = made.at(theta)
    first, second = derivatives(lambda at: plain_covariance(name, at), theta, np.full(len(theta), 1e-3))
    np.testing.assert_allclose(found.value, plain_covariance(name, theta), rtol=1e-14)
    np.testing.assert_allclose(found.first, first, atol=1e-9)
    np.testing.assert_allclose(0.0 if found.second is None else found.second, second, atol=1e-7)
    np.testing.assert_array_equal(made.support, np.abs(first) > 1e-8)
    assert len(made.names) == len(made.scales) == len(theta)


def test_times_of_visits_stretch_an_autoregression():
    values, arms, _ = repeated()
    even = mmrm.fitted(values, arms, structure="ar1")
    wide = mmrm.fitted(values, arms, structure="ar1", times=[0, 2, 4, 6])
    assert wide.fit.parameters[0, 1] ** 2 == pytest.approx(even.fit.parameters[0, 1], rel=1e-7)
    assert wide.fit.minus2[0] == pytest.approx(even.fit.minus2[0], rel=1e-12)
    uneven = mmrm.fitted(values, arms, structure="ar1", times=[0, 1, 4, 12])
    r, s = uneven.fit.parameters[0, 1], uneven.fit.parameters[0, 0]
    assert uneven.fit.visits[0, 0, 1, 3] == pytest.approx(s * r**11, rel=1e-12)


def test_a_mixed_model_does_not_depend_on_units_and_origin():
    values, arms, base = repeated()
    one = mmrm.mmrm(values, arms, (1, 0), {"base": base}, degrees="kenward-roger", structure="csh")
    other = mmrm.mmrm(
        1e6 + 1e-3 * values, arms, (1, 0), {"base": 1e5 + 7 * base}, degrees="kenward-roger", structure="csh"
    )
    np.testing.assert_allclose(other.se, 1e-3 * one.se, rtol=1e-6)
    np.testing.assert_allclose((other.df, other.p), (one.df, one.p), rtol=1e-5)


def test_degenerate_visits_are_told_and_harm_no_other():
    values, arms, _ = repeated(n=40, missing=0.1)
    whole = mmrm.mmrm(values[:, [0, 1, 3]], arms, (1, 0))
    gone = values.copy()
    gone[:, 2] = np.nan
    found = mmrm.mmrm(gone, arms, (1, 0))
    np.testing.assert_array_equal(found.trouble, [0, 0, Trouble.EMPTY_ARM, 0])
    np.testing.assert_allclose(np.delete(found.p, 2), whole.p, rtol=1e-9)
    gone = values.copy()
    gone[arms == 1, 3] = np.nan
    found = mmrm.mmrm(gone, arms, (1, 0))
    np.testing.assert_array_equal(found.trouble, [0, 0, 0, Trouble.EMPTY_ARM])
    assert np.isfinite(found.p[:3]).all() and np.isnan(found.p[3])
    # Two visits that nobody has both of: their covariance is not told, everything else is.
    gone = values.copy()
    rest = np.arange(40) // 2 % 2 == 0
    gone[rest, 1] = gone[~rest, 2] = np.nan
    model = mmrm.fitted(gone, arms)
    assert np.isnan(model.fit.parameters[0]).sum() == 1 and np.isnan(model.fit.visits[0, 0, 1, 2])
    assert (mmrm.differences(model, (1, 0)).trouble == 0).all()
    assert model.fit.aic[0] == pytest.approx(model.fit.minus2[0] + 2 * 9)


@pytest.mark.parametrize("degrees", ["satterthwaite", "kenward-roger"])
@pytest.mark.parametrize("name", NAMES)
def test_degenerate_data_of_a_mixed_model_are_told(name, degrees):
    values, arms, base = repeated(n=24, missing=0.0)
    options = {"structure": name, "degrees": degrees}
    nobody, constant = np.full_like(values, np.nan), np.full_like(values, 3.0)
    assert (mmrm.mmrm(nobody, arms, (1, 0), **options).trouble == Trouble.EMPTY_ARM).all()
    assert (mmrm.mmrm(constant, arms, (1, 0), **options).trouble == Trouble.CONSTANT).all()
    assert (mmrm.mmrm(values[:2], arms[:2], (1, 0), **options).trouble == Trouble.TOO_FEW).all()
    told = mmrm.mmrm(values, arms, (1, 0), factors={"site": arms}, **options)
    assert (told.trouble == Trouble.SINGULAR).all() and np.isnan(told.p).all()
    if name == "un":
        few = mmrm.mmrm(values[:4], arms[:4], (1, 0), **options)
        assert (few.trouble == Trouble.NOT_CONVERGED).all() and np.isnan(few.value).all()
    alone = mmrm.mmrm(values[:, :1], arms, (1, 0), **options)
    pooled = two_means.t_test(values[:, 0], arms, (1, 0), pooled=True)
    for name in ("value", "se", "df", "p"):
        assert getattr(alone, name)[0] == pytest.approx(getattr(pooled, name), rel=1e-9)
    once = mmrm.mmrm(values, arms, (1, 0), {"base": base}, **options)
    twice = mmrm.mmrm(values, arms, (1, 0), {"base": base, "again": 1 - base}, **options)
    np.testing.assert_allclose(twice.p, once.p, rtol=1e-8)


def test_data_with_names_may_come_in_any_order():
    values, arms, base = repeated(replicates=3)
    names = ("replicate", "subject", "visit")
    named = [xr.DataArray(each, dims=names[: each.ndim]) for each in (values, arms, base)]
    found = mmrm.mmrm(named[0].transpose("visit", "subject", "replicate"), named[1].T, (1, 0), {"base": named[2].T})
    np.testing.assert_array_equal(found, mmrm.mmrm(values, arms, (1, 0), {"base": base}))
    # A covariate of every visit.
    wide = xr.DataArray(base[0][:, None] * [1.0, 2.0, 0.5, -1.0], dims=names[1:])
    found = mmrm.mmrm(named[0], named[1], (1, 0), {"wide": wide.T})
    np.testing.assert_array_equal(found, mmrm.mmrm(values, arms, (1, 0), {"wide": wide.values}))
    assert (found.trouble == 0).all()


def test_subjects_without_an_arm_count_nowhere():
    values, arms, base = repeated(n=30)
    wider, longer = np.concatenate([values, values[:5] + 9]), np.append(arms.astype(float), np.full(5, np.nan))
    one, other = (
        mmrm.fitted(*each) for each in ((values, arms, {"b": base}), (wider, longer, {"b": np.append(base, base[:5])}))
    )
    assert other.fit.bic[0] == pytest.approx(one.fit.bic[0], rel=1e-12)
    np.testing.assert_allclose(mmrm.differences(other, (1, 0)), mmrm.differences(one, (1, 0)), rtol=1e-9)


# ---------------------------------------------------------------- crossover


def crossed(n=20):
    rng = np.random.default_rng(12)
    first = np.arange(n) % 2
    treatments = np.stack([first, 1 - first], -1)
    values = rng.normal(size=(n, 1)) * 2 + 1.5 * treatments + [0, 0.7] + rng.normal(size=(n, 2))
    return values, first, treatments


def test_a_crossover_compares_within_subjects():
    values, first, _ = crossed()
    found = crossover.two_by_two(values, first, (1, 0))
    difference, total = values[:, 0] - values[:, 1], values.sum(1)
    # Jones & Kenward, section 2.3: t tests of half differences, of their turned signs, and of sums
    for each, data, factor in (
        (found.treatment, difference / 2, 1),
        (found.period, difference / 2 * np.where(first == 1, -1, 1), 1),
        (found.carryover, total, 1),
    ):
        expected = stats.ttest_ind(factor * data[first == 1], factor * data[first == 0])
        limits = expected.confidence_interval(0.95)
        assert (each.statistic, each.p, each.df) == pytest.approx((expected.statistic, expected.pvalue, 18), rel=1e-10)
        assert (each.lower, each.upper) == pytest.approx((limits.low, limits.high), rel=1e-10)
    # The period's effect is the second against the first.
    assert found.period.value == pytest.approx(-(difference[first == 1].mean() + difference[first == 0].mean()) / 2)


def test_the_mixed_model_of_a_whole_crossover_is_the_comparison_within_subjects():
    values, first, treatments = crossed()
    expected = crossover.two_by_two(values, first, (1, 0)).treatment
    for degrees in ("satterthwaite", "kenward-roger"):
        found = crossover.mixed(values, treatments, (1, 0), sequences=first, degrees=degrees)
        np.testing.assert_allclose(list(found), list(expected), rtol=1e-8)


def test_carryover_of_a_williams_design_is_told_from_treatment():
    rng = np.random.default_rng(3)
    squares = np.array([[0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0], [0, 2, 1], [1, 0, 2]])
    treatments = np.repeat(squares, 4, 0)
    carried = np.concatenate([np.zeros((24, 1)), np.array([0.0, 1.0, 5.0])[treatments[:, :-1]]], 1)
    values = 2.0 * treatments + carried + rng.normal(size=(24, 1)) + 1e-4 * rng.normal(size=(24, 3))
    batch = np.stack([values, values[::-1]]), np.stack([treatments, treatments[::-1]])
    told = crossover.mixed(*batch, (2, 0), carryover=True)
    np.testing.assert_allclose(told.value, 4.0, atol=1e-3)
    assert abs(crossover.mixed(values, treatments, (2, 0)).value - 4.0) > 0.5


# ---------------------------------------------------------------- clusters


def test_balanced_clusters_of_one_arm_each_are_the_t_test_of_their_means():
    rng = np.random.default_rng(5)
    cluster = np.repeat(np.arange(12), 7)
    arms = cluster % 2
    values = rng.normal(size=(3, 12))[:, cluster] + rng.normal(size=(3, 84))
    means = values.reshape(3, 12, 7).mean(-1)
    expected = two_means.t_test(means, np.arange(12) % 2, (1, 0), pooled=True)
    found = clusters.clustered(values, arms, cluster, (1, 0))
    for name in ("value", "se", "df", "p", "lower", "upper"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-10)


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2"])
def test_cluster_robust_errors_are_those_of_large_matrices(kind):
    rng = np.random.default_rng(7)
    cluster = np.sort(rng.integers(0, 7, 50))
    arms = rng.integers(0, 2, 50)
    x = rng.normal(size=50)
    y = arms + x + rng.normal(size=7)[cluster] + rng.normal(size=50)
    design = np.stack([np.ones(50), arms, x - x.mean()], 1)
    bread = np.linalg.inv(design.T @ design)
    residual = y - design @ bread @ design.T @ y
    outside = np.eye(50) - design @ bread @ design.T
    same = [cluster == c for c in np.unique(cluster)]
    g, weights = np.zeros((50, len(same))), np.zeros((50, len(same)))
    for i, own in enumerate(same):
        root = np.eye(own.sum())
        if kind == "CR2":
            roots, vectors = np.linalg.eigh(outside[np.ix_(own, own)])
            root = vectors @ np.diag(roots**-0.5) @ vectors.T
        elif kind == "CR1":
            root = root * np.sqrt(7 / 6)
        weights[own, i] = root @ design[own] @ bread[:, 1]
        g[:, i] = outside[:, own] @ weights[own, i]
    roots = np.linalg.eigvalsh(g.T @ g)
    found = clusters.clustered(y, arms, cluster, (1, 0), {"x": x}, kind=kind)
    assert found.se == pytest.approx(np.sqrt(((weights.T @ residual) ** 2).sum()), rel=1e-10)
    # Bell & McCaffrey 2002: the df of a sum of squares whose weights are these roots
    assert found.df == pytest.approx(roots.sum() ** 2 / (roots**2).sum(), rel=1e-10)
    assert clusters.clustered(y, arms, cluster, (1, 0), kind=kind, satterthwaite=False).df == 6


def test_clusters_of_one_subject_are_welchs_error_and_few_clusters_are_told():
    rng = np.random.default_rng(5)
    y, arms = rng.normal(size=21), np.arange(21) % 2
    found = clusters.clustered(y, arms, np.arange(21), (1, 0))
    assert found.se == pytest.approx(two_means.t_test(y, arms, (1, 0)).se, rel=1e-10)
    for groups in (np.zeros(21), arms):
        for kind in clusters.KINDS:
            told = clusters.clustered(y, arms, groups, (1, 0), kind=kind)
            assert told.trouble == Trouble.TOO_FEW and np.isnan(told.p)


# ---------------------------------------------------------------- refusals

Y, A = np.arange(12.0) ** 1.3, np.arange(12) % 2


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: ancova.ancova(Y, A, (1, 7)),
            r"the contrast names arm 7, in which nobody is; name one of \[0.0, 1.0\]",
        ),
        (lambda: ancova.ancova(Y, A, (1, 1)), "the contrast is of arm 1 with itself; name two arms"),
        (lambda: ancova.ancova(Y, A, (1, 0), alpha=5), "alpha is 5; give a level between 0 and 1"),
        (
            lambda: ancova.ancova(Y, A[:5], (1, 0)),
            "arms has shape .5,., values .12,.; give one number for each subject",
        ),
        (lambda: ancova.ancova(Y, A, (1, 0), {"x": Y[:3]}), "x has shape .3,., values .12,."),
        (lambda: ancova.ancova(Y, A, (1, 0), {"x": ["a"] * 12}), "x holds what is no number"),
        (lambda: ancova.ancova(Y, A, (1, 0), {"x": Y}, {"x": A}), "'x' names two variables"),
        (lambda: ancova.ancova(Y, A, (1, 0), {"arm": Y}), "'arm' names two variables"),
        (
            lambda: ancova.ancova(Y, A, (1, 0), by_arm=["age"]),
            "a term names 'age', which is no factor and no covariate",
        ),
        (lambda: ancova.ancova(Y, A, (1, 0), robust="HC9"), "robust is 'HC9'; give one of none, HC0"),
        (lambda: ancova.ancova(Y, A, (1, 0), margins="x"), "margins is 'x'; give one of equal, observed"),
        (
            lambda: ancova.arm_trend(Y, A, {0: 1, 1: 1}),
            "are no contrast; give two or more arms scores that add up to 0",
        ),
        (lambda: ancova.ancova(Y, np.full(12, np.nan), (1, 0)), "arms holds NaN alone; give the code of each"),
        (lambda: mmrm.fitted(Y, A), "values has found.shape=.12,.; give dimensions .*subject, visit"),
        (lambda: mmrm.fitted(Y.reshape(6, 2), A), "arms has shape .12,., values .6, 2."),
        (lambda: mmrm.fitted(Y.reshape(6, 2), A[:6], structure="vc"), "structure is 'vc'; give one of un, cs, csh"),
        (lambda: mmrm.fitted(Y.reshape(6, 2), A[:6], method="mle"), "method is 'mle'; give one of reml, ml"),
        (
            lambda: mmrm.fitted(Y.reshape(6, 2), A[:6], degrees="kr"),
            "degrees is 'kr'; give one of satterthwaite, kenward",
        ),
        (lambda: mmrm.fitted(Y.reshape(6, 2), A[:6], information="f"), "information is 'f'; give one of observed"),
        (
            lambda: mmrm.fitted(Y.reshape(6, 2), A[:6], times=[0, 1]),
            "times are given for structure 'un', which has none",
        ),
        (
            lambda: mmrm.fitted(Y.reshape(6, 2), A[:6], structure="ar1", times=[1, 1]),
            "give one increasing time for each",
        ),
        (lambda: mmrm.combined(mmrm.fitted(Y.reshape(6, 2), A[:6]), [[1.0]]), "give .row, column. of the 9 columns"),
        (
            lambda: crossover.two_by_two(Y.reshape(4, 3), A[:4], (1, 0)),
            "values has 3 periods; give two, or use `mixed`",
        ),
        (lambda: clusters.clustered(Y, A, A, (1, 0), kind="CR3"), "kind is 'CR3'; give one of CR0, CR1, CR2"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
