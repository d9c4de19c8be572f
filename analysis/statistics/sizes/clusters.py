"""What randomising clusters costs."""

from analysis.statistics.sizes.size import positive


def design_effect(size: float, icc: float, cv: float = 0.0) -> float:
    """Factor by which the variance of a difference grows where clusters, not subjects, are randomised.

        1 + ((1 + cv^2) size - 1) icc

    size: mean subjects a cluster; icc: their correlation; cv: standard deviation of the sizes over their mean. Give it
    to a method as `inflation`; the clusters of an arm are its subjects over `size`.
    Eldridge, Ashby & Kerry 2006, Int J Epidemiol 35:1292.
    """
    positive(size=size)
    if not 0.0 <= icc <= 1.0:
        raise ValueError(f"icc is {icc}; give a correlation from 0 to 1")
    if not cv >= 0.0:
        raise ValueError(f"cv is {cv}; give one of at least 0")
    return 1 + ((1 + cv**2) * size - 1) * icc
