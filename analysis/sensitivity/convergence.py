"""Whether an analysis had enough points: one verdict for all methods."""

import math
from typing import NamedTuple

import numpy as np

from analysis.sensitivity.resampling import interval

TOLERANCE = 0.05
OF_VARIANCE = ("S1", "ST")
SAME = 0.95  # share of resamples in which the first inputs must keep their order
FIRST = 3
MOST = 2**17  # the largest size that is advised: beyond it nobody lives the lives


class Verdict(NamedTuple):
    """Whether the leading inputs are known well enough, and one sentence that says why and what to do."""

    converged: bool
    text: str


def verdict(
    inputs: tuple[str, ...],
    measure: str,
    value: np.ndarray,
    resampled: np.ndarray,
    size: int,
    tolerance: float = TOLERANCE,
    relative: bool = False,
    trouble: str = "",
    remark: str = "",
    advice: str = "",
) -> Verdict:
    """Judges the leading measure of one output.

    Converged where each of the first three inputs has a 95 % interval of half-width within the tolerance, and no input
    overtakes one of them in 95 % of resamples. Inputs nearer to each other than the tolerance count as tied. value:
    (input,). resampled: (resample, input). relative: the tolerance is a share of the largest value. trouble: why there
    are no indices, or not of all inputs. remark: what is told as well. advice: what to do, for methods whose error
    does not fall with size.
    Sarrazin, Pianosi & Wagener 2016, Environmental Modelling & Software 79:135.
    """
    if trouble:
        return Verdict(False, f"not converged: {trouble}")
    if not len(resampled):
        return Verdict(False, _sentence("not judged: no resamples were drawn; ask for 300 or more", remark))
    if relative:
        tolerance = tolerance * float(np.abs(value).max())
    first = np.argsort(-value, kind="stable")[:FIRST]
    low, high = interval(resampled, value.shape)
    unknown = np.isnan(value) | np.isnan(high)
    if unknown.any():
        named = ", ".join(name for name, lacks in zip(inputs, unknown, strict=True) if lacks)
        words = advice or "look at another endpoint"
        return Verdict(False, _sentence(f"not converged: {measure} of {named} cannot be told; {words}", remark))
    half = (high - low)[first] / 2
    same = order_kept(value, resampled, first, tolerance)
    widest = int(np.argmax(half))
    named = inputs[first[widest]]
    width = f"{measure} of {named} {value[first[widest]]:.3g} within ±{half[widest]:.2g}"
    many = {1: "first", 2: "first two", 3: "first three"}[len(first)]
    ranking = (
        f"ranking of the {many} ({', '.join(inputs[i] for i in first)}) is the same in {math.floor(100 * same)} % "
        "of resamples"
    )
    narrow = bool((half <= tolerance).all())
    if narrow and same >= SAME:
        return Verdict(True, _sentence(f"converged: {ranking}; {width}", remark))
    reasons = []
    if not narrow:
        reasons.append(f"{width} (wanted ±{tolerance:.2g})")
    if same < SAME:
        reasons.append(f"{ranking} (wanted {100 * SAME:.0f} %)")
    wanted = larger(size, float(half[widest]) / tolerance if tolerance > 0 else 2.0)
    if not advice and wanted is not None:
        advice = f"use --size {wanted}"
    elif not advice and measure in OF_VARIANCE:
        advice = "so few lives differ that indices of variance do not help; look at another endpoint, or use pawn"
    return Verdict(
        False,
        _sentence(
            f"not converged: {', and '.join(reasons)}; {advice or 'no size would do; look at another endpoint'}", remark
        ),
    )


def order_kept(value: np.ndarray, resampled: np.ndarray, first: np.ndarray, tolerance: float) -> float:
    """Share of resamples in which no input overtakes one of the `first` that it is not tied with."""
    kept = np.ones(len(resampled), bool)
    for leader in first:
        behind = value[leader] - value > tolerance
        kept &= ~(resampled[:, behind] >= resampled[:, leader, None]).any(1)
    return float(kept.mean())


def larger(size: int, ratio: float) -> int | None:
    """The next power of two at which an error that is `ratio` times too large is expected to be small enough.

    None where that is beyond 2^17, unless `size` is near it already.
    """
    next_power = math.floor(math.log2(size)) + 1
    if not size * ratio**2 <= max(MOST, 2**next_power):
        return None
    return 2 ** max(math.ceil(math.log2(size * max(ratio, 1.0) ** 2)), next_power)


def _sentence(text: str, remark: str) -> str:
    return f"{text}; {remark}" if remark else text
