"""Bayesian analysis of trials: posteriors, which arm is better, what a trial is likely to show, where the next go."""
