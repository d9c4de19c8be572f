"""The acts of a trial: exact where they must be, right on average where they are random, the same whenever repeated."""

import math

import numpy as np
import pytest

from trials import conduct
from trials.conduct import Purpose, permuted_blocks, stream
from trials.run import cohort


@pytest.fixture(scope="module")
def plan(small_run):
    return cohort(small_run)[0]


POOL = np.arange(100, 600)


def test_every_full_block_holds_the_allocation():
    for allocation, block in (((1, 1), 4), ((2, 1), 6), ((1, 1, 1), 3)):
        arms = permuted_blocks(stream(1, Purpose.RANDOMISATION, 0), allocation, block, 10 * block + 1)
        assert len(arms) == 10 * block + 1
        for start in range(0, 10 * block, block):
            counts = np.bincount(arms[start : start + block], minlength=len(allocation))
            assert (counts / np.array(allocation) == block / sum(allocation)).all()


def test_every_order_of_a_block_is_equally_likely():
    arms = np.stack([permuted_blocks(stream(1, Purpose.RANDOMISATION, r), (1, 1), 4, 4) for r in range(3000)])
    orders, counts = np.unique(arms, axis=0, return_counts=True)
    assert len(orders) == 6
    # binomial with p = 1/6; four and a half standard errors for the largest of six
    assert abs(counts - 500).max() < 4.5 * (3000 * 5 / 36) ** 0.5


def test_nobody_is_enrolled_twice_in_a_replicate_and_all_are_of_the_pool(plan):
    trial = conduct.conduct(plan, POOL, range(20))
    assert trial.patient.shape == (20, 100)
    assert all(len(set(row)) == 100 for row in trial.patient)
    assert np.isin(trial.patient, POOL).all()


def test_enrolment_is_in_random_order(plan):
    # Quasi-random patients are ordered; taking them in their order would bias alternating arms.
    trial = conduct.conduct(plan, POOL, range(50))
    slopes = [np.corrcoef(np.arange(100), row)[0, 1] for row in trial.patient]
    assert abs(np.mean(slopes)) < 4 * (1 / 99 / 50) ** 0.5


def test_a_replicate_is_a_function_of_the_seed_and_its_number(plan):
    whole = conduct.conduct(plan, POOL, range(12))
    part = conduct.conduct(plan, POOL, range(5, 9))
    for a, b in zip(whole, part, strict=True):
        assert np.array_equal(a[5:9], b)


def test_loss_has_the_declared_rate(plan):
    trial = conduct.conduct(plan, POOL, range(200))
    lost = (trial.lost <= 365.25).mean()
    # 10 % a year of 20,000 subjects; four standard errors
    assert lost == pytest.approx(0.10, abs=4 * (0.09 / trial.lost.size) ** 0.5)


def test_accrual_has_the_declared_rate(plan):
    trial = conduct.conduct(plan, POOL, range(200))
    assert (np.diff(trial.enrolled, axis=1) > 0).all()
    per_month = 30 / 30.4375
    # the time of the 100th arrival is gamma distributed with shape 100
    expected = 100 / per_month
    assert trial.enrolled[:, -1].mean() == pytest.approx(expected, abs=4 * expected / math.sqrt(100 * 200))


def test_nothing_is_observed_after_the_loss(plan):
    trial = conduct.conduct(plan, POOL, range(3))
    days = plan.visit_days
    measured = np.arange(2 * 1000 * len(days), dtype=float).reshape(2, 1000, len(days))
    trial = trial._replace(lost=np.where(np.arange(100) % 2, 7.0, np.inf) * np.ones((3, 1)))
    seen = conduct.observe(trial, measured, days)
    assert np.array_equal(np.isnan(seen[0, 1]), days > 7)
    assert not np.isnan(seen[0, 0]).any()
    assert np.array_equal(seen[2, 4], measured[trial.arm[2, 4], trial.patient[2, 4]])


def test_too_small_a_pool_is_refused(plan):
    with pytest.raises(ValueError, match="needs 100 subjects and 99 of 1000 candidates may enter"):
        conduct.conduct(plan, POOL[:99], range(2))
