"""Counts of events over an exposure: Poisson and negative binomial regression, and the ratio of two rates."""
