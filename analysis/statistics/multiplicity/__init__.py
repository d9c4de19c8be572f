"""Several hypotheses in one trial: adjusted p-values, graphs, closed tests, gatekeeping and Dunnett's comparisons.

p-values are (..., hypothesis); whatever comes before the hypothesis, such as the replicate, is answered for each.
"""
