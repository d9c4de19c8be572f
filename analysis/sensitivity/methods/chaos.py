"""Polynomial chaos by regression on all terms up to a degree."""

from analysis.sensitivity import chaos
from analysis.sensitivity.method import Method

method = Method(
    "chaos",
    "Polynomial chaos by regression",
    "Sudret 2008, Reliab Eng Syst Saf 93:964",
    "sample",
    chaos.MEASURES,
    "ST",
    chaos.analyse,
    over_time=chaos.over_time,
    fit=chaos.fit,
)
