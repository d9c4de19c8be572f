"""Claim: Miettinen and Nurminen's intervals of 10,000 tables take well under a second, and each as if it were alone.

CPU seconds for 10,000 tables of some hundred subjects by each method that has an interval of its own, beside those
that one table after the other would take. Run it with ./dev bench proportions.
"""

import sys
import time

import numpy as np

from analysis.statistics.binary import difference, odds, ratio
from analysis.statistics.binary.tables import Table, table

TABLES = 10_000
ALONE = 50
LIMIT = 0.5  # seconds
METHODS = (
    *((difference, method) for method in ("wald", "newcombe", "agresti-caffo", "mee", "miettinen-nurminen")),
    *((ratio, method) for method in ("katz", "koopman", "miettinen-nurminen")),
    *((odds, method) for method in ("woolf", "miettinen-nurminen", "exact")),
)


def main() -> int:
    rng = np.random.default_rng(1)
    na, nb = rng.integers(50, 200, (2, TABLES))
    tables = table(rng.binomial(na, 0.3), na, rng.binomial(nb, 0.4), nb)
    held = True
    print("measure     method              s for 10,000   ratio to one after the other")
    for module, method in METHODS:
        times = []
        for _ in range(3):
            began = time.process_time()
            many = module.of_tables(tables, method=method)
            times.append(time.process_time() - began)
        began = time.process_time()
        for i in range(ALONE):
            alone = module.of_tables(Table(*(each[i] for each in tables)), method=method)
            assert np.isclose(many.lower[i], alone.lower, rtol=1e-11, equal_nan=True)
        apart = (time.process_time() - began) * TABLES / ALONE
        name = module.__name__.rsplit(".", 1)[-1]
        print(f"{name:10s}  {method:18s}  {min(times):12.3f}  {apart / min(times):29.0f}")
        held &= method != "miettinen-nurminen" or min(times) < LIMIT
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
