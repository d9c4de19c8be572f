"""What a therapy costs and what it is worth: discounting, cohorts, comparison of strategies, uncertainty of the choice.

Costs are in one currency, effects in one unit such as quality-adjusted life years; `willingness` is what a unit of
effect may cost.
"""
