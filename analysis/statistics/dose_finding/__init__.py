"""Designs of phase 1 and 2: which dose comes next, when to stop, and what a design does on average.

Doses are counted from 0, -1 stands for none. Where a method takes `treated` and `toxic` they are (dose,): how many were
treated at each, and how many of them had a dose-limiting toxicity.
"""
