"""Claim: of 400 subjects a log-rank test is 500 times, and a Cox regression 200 times, as fast as lifelines' own.

CPU time of each data set, by replicates in batches of 100 as trials are analysed, interleaved with lifelines on some of
the same sets; the median of the ratios of all turns. Both give the same numbers, which is checked.
    ./dev bench survival
"""

import statistics
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.statistics import logrank_test

from analysis.statistics.survival.hazard_ratio import hazard_ratio
from analysis.statistics.survival.logrank import logrank

BATCH, SUBJECTS, TURNS, BATCHES, THEIRS = 100, 400, 7, 5, 6
CLAIMS = {"log-rank": 500.0, "Cox": 200.0}


def cpu(function: Callable[[], object], times: int) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    for _ in range(times):
        function()
    return (time.process_time() - began) / times


def main() -> int:
    rng = np.random.default_rng(1)
    times, ends = rng.exponential(10, (BATCH, SUBJECTS)), rng.uniform(5, 20, (BATCH, SUBJECTS))
    arms = np.arange(SUBJECTS) % 2
    events, times = times <= ends, np.minimum(times, ends)
    frames = [pd.DataFrame({"time": times[i], "event": events[i], "arm": arms}) for i in range(THEIRS)]
    one, none = ([(frame[frame.arm == arm].time, frame[frame.arm == arm].event) for frame in frames] for arm in (1, 0))

    def their_logrank(i: int) -> float:
        (a, dead_a), (b, dead_b) = one[i], none[i]
        return float(logrank_test(a, b, dead_a, dead_b).test_statistic)

    def their_cox(i: int) -> float:
        return float(CoxPHFitter().fit(frames[i], "time", "event").params_.iloc[0])

    ours = {
        "log-rank": lambda: logrank(times, events, arms, (1, 0)).statistic ** 2,
        "Cox": lambda: hazard_ratio(times, events, arms, (1, 0)).value,
    }
    theirs = {"log-rank": their_logrank, "Cox": their_cox}
    failed = 0
    print(f"{'':10}{'lifelines [ms]':>16}{'own [ms]':>12}{'ratio':>8}{'claim':>8}")
    for name, claim in CLAIMS.items():
        # lifelines stops at a step of 1e-7
        np.testing.assert_allclose([theirs[name](i) for i in range(THEIRS)], ours[name]()[:THEIRS], rtol=1e-5)
        rows = []
        for _ in range(TURNS):
            peer = cpu(lambda them=theirs[name]: [them(i) for i in range(THEIRS)], 1) / THEIRS
            own = cpu(ours[name], BATCHES) / BATCH
            rows.append((peer, own, peer / own))
        peer, own, ratio = (statistics.median(each) for each in zip(*rows, strict=True))
        print(f"{name:10}{1e3 * peer:16.2f}{1e3 * own:12.4f}{ratio:8.0f}{claim:8.0f}")
        failed += ratio < claim
    return 1 if failed else 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # lifelines' own, of pandas
    sys.exit(main())
