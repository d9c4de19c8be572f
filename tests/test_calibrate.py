"""One parameter that gives an arm of a study a wanted mean of an endpoint."""

import subprocess
import sys

import numpy as np
import pytest

from trials import engines
from trials.calibrate import calibrate, outcome, with_typical

STUDY = """
study: small
title: Two doses of theophylline
twin: theophylline
population: {reference: us-adults, size: 64, sampling: sobol}
tick: 6 h
record: every 12 h
visits: 0, 1, 2 days
arms:
  low:  {policy: fixed-oral, dose: 200 mg, every: 12 h, from: 0 days}
  high: {policy: fixed-oral, dose: 300 mg, every: 12 h, from: 0 days}
outcomes: [concentration]
endpoints:
  primary: {highest: concentration, until: 2 days}
  share: {time in range: concentration, between: 5 to 15 mg/L, until: 2 days}
  responders: {responder: share, at least: 50 %}
trial: {replicates: 10, subjects: 20, allocation: 1:1}
analysis: {contrast: high - low}
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(STUDY, encoding="utf-8")
    return file


def test_the_value_that_is_found_gives_the_wanted_mean(path):
    tries = []
    plan = with_typical(path, "volume", 0.5)
    wanted = 0.8 * float(outcome(plan, "low", "primary", engines.of(plan, plan.arm("low"))).mean())
    found = calibrate(path, "low", "primary", wanted, "volume", (0.3, 1.5), lambda value, of: tries.append(value))
    plan = with_typical(path, "volume", found)
    mean = float(outcome(plan, "low", "primary", engines.of(plan, plan.arm("low"))).mean())
    assert mean == pytest.approx(wanted, rel=0.02)
    assert 0.5 < found < 1.5  # a lower peak in a larger volume
    assert tries[:2] == [0.3, 1.5]


def test_the_arms_have_the_same_patients_and_luck_in_every_try(path):
    plan = with_typical(path, "volume", 0.5)
    once, again = (outcome(plan, "high", "primary", engines.of(plan, plan.arm("high"))) for _ in range(2))
    assert np.array_equal(once, again)


def test_what_cannot_be_found_is_refused(path):
    with pytest.raises(ValueError, match=r"1000 does not lie between the means at 0\.3 and 1; go wider"):
        calibrate(path, "low", "primary", 1000.0, "volume", (0.3, 1.0), lambda value, of: None)
    with pytest.raises(ValueError, match="'size' is no parameter of the twin; write one of: "):
        with_typical(path, "size", 1.0)
    plan = with_typical(path, "volume", 0.5)
    with pytest.raises(ValueError, match="'responders' is no endpoint with a mean; write one of: primary, share"):
        outcome(plan, "low", "responders", engines.of(plan, plan.arm("low")))


def test_the_command_says_what_it_takes():
    told = subprocess.run([sys.executable, "-m", "trials.calibrate", "x"], capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert told.stderr == "calibrate takes 7 words: STUDY ARM ENDPOINT WANTED PARAMETER LOW HIGH\n"
