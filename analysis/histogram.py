"""Histograms whose bars are of a width that suits the values."""

import numpy as np

BARS = 40
TAIL = 0.001  # share of the values beyond the edges on either side; they are counted in the outermost bars
SPREAD = 10.0  # positive values whose upper tail is so many times the lower one have edges on a logarithmic scale


def edges(values: np.ndarray, zero: bool = False) -> np.ndarray:
    """Edges of at most BARS bars for finite `values`; those of whole numbers lie halfway between whole numbers.

    zero: an edge lies at 0, so that no bar holds values of both signs. Returns (edge,), NaN where there are no bars.
    """
    result = np.full(BARS + 1, np.nan)
    if not len(values):
        return result
    low, high = (float(each) for each in np.quantile(values, (TAIL, 1 - TAIL)))
    if low == high:
        low, high = float(values.min()), float(values.max())
    if bool((values == np.round(values)).all()):
        low, high = np.floor(low), np.ceil(high)
        width = max(1.0, np.ceil((high - low + 1) / (BARS - 1)))
        if zero:
            low = width * np.floor(low / width)
        count = int(np.ceil((high - low + 1) / width))
        result[: count + 1] = low - 0.5 + width * np.arange(count + 1)
        return result
    if low == high:
        room = abs(low) / 100 or 0.5
        low, high = low - room, high + room
    if zero and low < 0 < high:
        width = (high - low) / (BARS - 1)
        below = int(np.ceil(-low / width))
        result[:] = width * (np.arange(BARS + 1) - below)
        return result
    if not zero and low > 0 and high > SPREAD * low:
        result[:] = np.geomspace(low, high, BARS + 1)
        return result
    result[:] = np.linspace(low, high, BARS + 1)
    return result


def counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """How many of the finite `values` each bar holds, (bar,); what lies beyond the edges is in the outermost bars."""
    known = edges[np.isfinite(edges)]
    total = np.zeros(len(edges) - 1, np.int64)
    if len(known) > 1:
        place = np.clip(np.searchsorted(known, values, side="right") - 1, 0, len(known) - 2)
        total[: len(known) - 1] = np.bincount(place, minlength=len(known) - 1)
    return total


def logarithmic(edges: np.ndarray) -> bool:
    """Whether the edges lie at equal ratios."""
    known = edges[np.isfinite(edges)]
    return bool(len(known) > 2 and known[0] > 0 and known[-1] - known[-2] > 1.01 * (known[1] - known[0]))
