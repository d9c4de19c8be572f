"""Trials that look at their data before the end: group sequential designs, adaptive tests, and what to say after one.

Z_k is the standardised statistic at look k, t_k the share of the full information that is there by then, and

    Z_k ~ N(drift sqrt(t_k), 1),   cov(Z_j, Z_k) = sqrt(t_j / t_k) for j <= k

so that drift = theta sqrt(I_K): the mean of the last statistic. A positive drift favours the alternative.
Jennison & Turnbull 2000, Group Sequential Methods with Applications to Clinical Trials, chapter 3.
"""
