"""Polynomial chaos by least-angle regression: few terms of many."""

import functools

from analysis.sensitivity import chaos
from analysis.sensitivity.method import Method

method = Method(
    "chaos-sparse",
    "Sparse polynomial chaos",
    "Blatman & Sudret 2011, J Comput Phys 230:2345",
    "sample",
    chaos.MEASURES,
    "ST",
    functools.partial(chaos.analyse, sparse=True),
    over_time=functools.partial(chaos.over_time, sparse=True),
    fit=functools.partial(chaos.fit, sparse=True),
)
