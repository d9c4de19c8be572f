"""Endpoints by hand-computed cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.endpoints import complete, observed, true
from analysis.truth import effect, mean, pool, subgroups
from trials.endpoints import Endpoint, share_within
from trials.run import cohort, run
from trials.study import read

NAN = float("nan")
DAYS = np.array([0.0, 7.0, 14.0, 28.0])
SHARE = Endpoint("primary", "share", "inr", (2.0, 3.0), NAN, 28 * 24.0)
FIRST = Endpoint("first", "first", "inr", (2.0, 3.0), NAN, 28 * 24.0)
EVER = Endpoint("high", "ever", "inr", (NAN, NAN), 4.0, 28 * 24.0)
GOOD = Endpoint("good", "responder", "primary", (NAN, NAN), 0.5, 28 * 24.0)
NAMED = {each.name: each for each in (SHARE, FIRST, EVER, GOOD)}


def of(endpoint, *values):
    result = observed(endpoint, {"inr": np.array(values)}, DAYS, NAMED)
    return float(result.values), bool(result.events)


def test_time_in_range_is_rosendaals():
    # 1 -> 3 over 7 days: in range the second half, 3.5 days; 3 -> 3: 7 days (3.0 is within); 3 -> 5 over 14: none but
    # the instant. 10.5 of 28 days.
    assert of(SHARE, 1.0, 3.0, 3.0, 5.0)[0] == pytest.approx(10.5 / 28)
    # crossing the whole range: 1 -> 4 in 7 days spends a third of it inside
    assert of(SHARE, 1.0, 4.0, 4.0, 4.0)[0] == pytest.approx(7 / 3 / 28)
    assert of(SHARE, 2.5, 2.5, 2.5, 2.5)[0] == 1.0
    assert of(SHARE, 1.0, 1.5, 1.2, 1.9)[0] == 0.0


def test_after_a_loss_the_share_is_of_the_time_observed():
    assert of(SHARE, 2.5, 2.5, NAN, NAN)[0] == 1.0
    assert of(SHARE, 1.0, 3.0, NAN, NAN)[0] == pytest.approx(0.5)
    assert np.isnan(of(SHARE, 1.0, NAN, NAN, NAN)[0])


def test_first_in_range_is_the_day_of_a_visit_or_censored_at_the_last():
    assert of(FIRST, 1.0, 1.8, 2.2, 2.5) == (14.0, True)
    assert of(FIRST, 1.0, 3.5, 3.5, 3.5) == (28.0, False)
    assert of(FIRST, 1.0, 1.5, NAN, NAN) == (7.0, False)
    assert of(FIRST, 1.0, 2.0, NAN, NAN) == (7.0, True)


def test_ever_is_told_of_those_observed_to_the_end():
    assert of(EVER, 1.0, 4.0, 2.0, 2.0)[0] == 1.0
    assert of(EVER, 1.0, 3.99, 2.0, 2.0)[0] == 0.0
    assert np.isnan(of(EVER, 1.0, 4.5, NAN, NAN)[0])


def test_a_responder_reaches_the_share():
    assert of(GOOD, 2.5, 2.5, 2.5, 5.0)[0] == 1.0
    assert of(GOOD, 1.0, 1.0, 1.0, 1.0)[0] == 0.0


@settings(derandomize=True, deadline=None)
@given(st.floats(0, 10), st.floats(0, 10), st.floats(0.5, 5), st.floats(0.1, 4))
def test_share_within_is_the_length_of_the_stretch_inside(before, after, low, width):
    share = float(share_within(np.array(before), np.array(after), low, low + width))
    line = np.linspace(before, after, 20001)
    assert 0.0 <= share <= 1.0
    assert share == pytest.approx(np.mean((line >= low) & (line <= low + width)), abs=2e-4)
    backwards = float(share_within(np.array(after), np.array(before), low, low + width))
    assert share == pytest.approx(backwards, abs=1e-12)


def test_the_true_share_is_that_of_the_ticks(small_text, tmp_path):
    text = small_text.replace("size: 1000", "size: 256").replace("draws: 4", "draws: 0")
    (tmp_path / "study.yaml").write_text(text.replace("record: every 1 day", "record: every 12 h"), encoding="utf-8")
    run(read(tmp_path / "study.yaml"), tmp_path / "run")
    plan, data = cohort(tmp_path / "run")
    named = {endpoint.name: endpoint for endpoint in plan.endpoints}
    eligible = data["eligible"].values
    inr = data["inr"].values[:, eligible]
    shares = true(plan.endpoints[0], data, named)[:, eligible]
    assert inr.shape == (2, eligible.sum(), 169) and eligible.sum() > 50
    np.testing.assert_allclose(shares, share_within(inr[..., :-1], inr[..., 1:], 2.0, 3.0).mean(-1), rtol=1e-12)
    assert np.array_equal(true(named["high_inr"], data, named)[:, eligible], inr.max(-1) >= 4.0)


def test_what_visits_observe_is_near_the_truth_but_not_the_truth(small_run):
    plan, data = cohort(small_run)
    named = {endpoint.name: endpoint for endpoint in plan.endpoints}
    inside = pool(data)
    seen, real = (f(plan.endpoints[0], data, named)[:, inside] for f in (complete, true))
    assert np.corrcoef(seen.ravel(), real.ravel())[0, 1] > 0.9
    assert abs(seen - real).max() > 0.01


def test_subgroups_part_the_pool_and_average_to_the_whole(small_run):
    plan, data = cohort(small_run)
    named = {endpoint.name: endpoint for endpoint in plan.endpoints}
    inside = pool(data)
    values = true(plan.endpoints[0], data, named)
    whole = effect(values, (1, 0), inside)
    for by in plan.subgroups:
        groups = subgroups(data, plan.population.variables, [by], inside)
        assert np.array_equal(sum(group.inside.astype(int) for group in groups), inside.astype(int))
        parts = [effect(values, (1, 0), group.inside) for group in groups]
        total = sum(part.value * part.patients for part in parts) / whole.patients
        assert total == pytest.approx(whole.value, rel=1e-12)


def test_a_mean_leaves_out_what_is_not_known():
    result = mean(np.array([1.0, NAN, 3.0]))
    assert (result.value, result.patients) == (2.0, 2)
    assert result.se == pytest.approx(1.0)
    assert mean(np.array([NAN])).patients == 0


def test_an_interval_of_few_patients_is_wide_and_of_equal_ones_unknown():
    # t with 2 degrees of freedom: 4.303 standard errors
    few = mean(np.array([1.0, 2.0, 3.0]))
    assert few.upper - few.value == pytest.approx(4.302653 * few.se, rel=1e-6)
    assert np.isnan(mean(np.ones(3)).lower)
