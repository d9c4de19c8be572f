"""Outcomes that are yes or no: two arms, strata, pairs, one proportion, and regression.

Methods of a contrast take values of 0 or 1, (..., subject), and arms; `of_tables` of the same file takes the counts, so
that what is known only as a table needs no subjects.
"""
