"""Claim: a mixed model for repeated measures of 200 subjects and 4 visits takes under 20 ms in a batch of 1,000.

Unstructured covariance by REML, missing visits, baseline by visit, contrasts of arms by visit with the degrees of
freedom of Satterthwaite or of Kenward and Roger: CPU time of one core for each trial, in a batch and alone, and the
ratio of alone to batch. Run it with ./dev bench mmrm.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import time
from collections.abc import Callable

import numpy as np

from analysis.statistics.mmrm.model import mmrm

REPLICATES, SUBJECTS, VISITS = 1000, 200, 4
ALONE = 50
LIMIT = 20.0  # ms
TURNS = 3


def trials() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (replicate, subject, visit), arms and baselines; some visits are missed and some subjects lost."""
    rng = np.random.default_rng(7)
    arms = np.tile(np.arange(SUBJECTS) % 2, (REPLICATES, 1))
    base = rng.normal(size=arms.shape)
    root = np.linalg.cholesky(np.eye(VISITS) + 0.8)
    values = rng.normal(size=(*arms.shape, VISITS)) @ root.T + base[..., None] + 0.2 * arms[..., None]
    lost = np.cumsum(rng.random(values.shape) < 0.05, -1) > 0
    values[lost | (rng.random(values.shape) < 0.03)] = np.nan
    return values, arms, base


def milliseconds(work: Callable[[], object], number: int) -> float:
    """Least CPU time of a few runs, for each of that number."""
    spent = []
    for _ in range(TURNS):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return 1e3 * min(spent) / number


def main() -> int:
    values, arms, base = trials()
    slowest = 0.0
    print("degrees of freedom  ms each, batch  ms each, alone  ratio")
    for degrees in ("satterthwaite", "kenward-roger"):

        def fit(part: slice | int, degrees: str = degrees) -> np.ndarray:
            given = {"base": base[part]}
            return mmrm(values[part], arms[part], (1, 0), given, by_visit=["base"], degrees=degrees).df

        batch = milliseconds(lambda: fit(slice(None)), REPLICATES)
        alone = milliseconds(lambda: [fit(r) for r in range(ALONE)], ALONE)
        # NaN is close to nothing, so that what has no answer fails too.
        same = np.allclose(fit(slice(None))[:ALONE], [fit(r) for r in range(ALONE)], rtol=1e-9, atol=0)
        print(f"{degrees:18}  {batch:14.2f}  {alone:14.2f}  {alone / batch:5.1f}")
        if not same:
            print("the batch is not what each is alone")
            return 1
        slowest = max(slowest, batch)
    print(f"limit {LIMIT:.0f} ms, ratio to it {slowest / LIMIT:.2f}")
    return int(slowest > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
