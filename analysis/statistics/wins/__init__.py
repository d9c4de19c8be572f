"""Comparisons of all pairs over a hierarchy of outcomes, the most important first."""
