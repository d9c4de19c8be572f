"""What a method says of a contrast."""

from typing import Any, NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """Estimates of a contrast; every array is (replicate,), or of whatever dimensions came before the subject.

    p: two-sided, or one-sided for a contrast above 0 where `sided` was 1. The interval is two-sided in any case, of
    level 1 - alpha (1 - 2 alpha where sided was 1). statistic: what p was read from. df: its degrees of freedom,
    infinite for the normal distribution. subjects: who counted. trouble: codes of Trouble; 0 where all is sound.
    """

    value: np.ndarray
    se: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    p: np.ndarray
    subjects: np.ndarray
    statistic: np.ndarray
    df: np.ndarray
    trouble: np.ndarray


def interval(
    value: Any,
    se: Any,
    law: Any,
    statistic: Any,
    alpha: float,
    sided: int,
    subjects: Any,
    df: Any = np.inf,
    trouble: Any = 0,
) -> Estimate:
    """Interval and p-value of an estimate whose statistic follows `law`, a frozen scipy distribution."""
    tail = law.sf(np.abs(statistic)) if sided == 2 else law.sf(statistic)
    half = law.isf(alpha / 2 if sided == 2 else alpha) * se
    p = sided * tail if sided == 2 else tail
    columns = np.broadcast_arrays(value, se, value - half, value + half, p, subjects, statistic, df)
    return Estimate(*(each.astype(float) for each in columns), np.broadcast_to(trouble, columns[0].shape).astype(int))  # type: ignore[call-arg]


def ratio(logarithm: Estimate) -> Estimate:
    """Estimate of a ratio from that of its logarithm: value and interval are ratios, se stays that of the logarithm."""
    with np.errstate(over="ignore"):
        return logarithm._replace(
            value=np.exp(logarithm.value), lower=np.exp(logarithm.lower), upper=np.exp(logarithm.upper)
        )
