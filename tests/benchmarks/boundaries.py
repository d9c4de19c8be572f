"""A thousand designs of five looks, each with its own level, spending and information rates, in under 5 s of CPU.

Prints the CPU time of one call for all of them, by kind of boundary, that of a call for one design, and the ratio of
a thousand such calls to the one; the first line is the claim, the others say what it costs elsewhere.
"""

import sys
import time

import numpy as np

from analysis.statistics.sequential.boundaries import Rule, boundary
from analysis.statistics.sequential.design import design

DESIGNS, LIMIT = 1000, 5.0


def timed(call, *arguments):
    began = time.process_time()
    call(*arguments)
    return time.process_time() - began


def main() -> int:
    rng = np.random.default_rng(1)
    rates = np.cumsum(rng.uniform(0.5, 1.5, (DESIGNS, 5)), -1)
    rates /= rates[:, -1:]
    alpha = rng.uniform(0.01, 0.05, DESIGNS)
    cases = {
        "hwang-shih-decani, gamma -8 to 2": Rule("hwang-shih-decani", rng.uniform(-8.0, 2.0, DESIGNS)),
        "obrien-fleming-spending": Rule("obrien-fleming-spending"),
        "wang-tsiatis, Delta 0 to 0.5": Rule("wang-tsiatis", rng.uniform(0.0, 0.5, DESIGNS)),
    }
    boundary(rates[:2], cases["obrien-fleming-spending"], alpha[:2])  # the nodes are made once
    print(f"{'bounds of efficacy':44}{'1,000 designs':>15}{'one design':>13}{'ratio':>8}")
    used = []
    for name, rule in cases.items():
        single = Rule(rule.kind, None if rule.parameter is None else rule.parameter[0])
        many, one = timed(boundary, rates, rule, alpha), timed(boundary, rates[0], single, alpha[0])
        used.append(many)
        print(f"{name:44}{many:13.2f} s{one * 1e3:10.1f} ms{DESIGNS * one / many:8.0f}")
    rule = cases["obrien-fleming-spending"]
    whole = timed(design, rates, rule, alpha, 0.1, 1, rule)
    one = timed(design, rates[0], rule, alpha[0], 0.1, 1, rule)
    print(f"{'with futility and drift':44}{whole:13.2f} s{one * 1e3:10.1f} ms{DESIGNS * one / whole:8.0f}")
    print(f"slowest of the three boundaries: {max(used):.2f} s of CPU (limit {LIMIT:g} s)")
    return 0 if max(used) < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
