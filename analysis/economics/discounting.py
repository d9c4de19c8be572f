"""Costs and effects over time, brought to their present value."""

from typing import Any

import numpy as np

from analysis.statistics.arrays import plain


def factor(rate: float, times: Any, continuous: bool = False) -> np.ndarray:
    """Present value of 1 at these times [years]: (1 + rate)^-t, or exp(-rate t) where rate is continuous.

    Raises ValueError for a rate of -1 or less (annual), or a time below 0.
    """
    t = np.asarray(times, dtype=float)
    if not np.isfinite(rate) or (rate <= -1.0 and not continuous):
        raise ValueError(f"the rate of discount is {rate}; give a rate a year such as 0.035")
    if not (t >= 0).all():
        raise ValueError("a time is below 0 or missing; give years from the start")
    return np.exp(-rate * t) if continuous else (1.0 + rate) ** -t


def present_value(amounts: Any, times: Any, rate: float, continuous: bool = False) -> np.ndarray:
    """Sum of amounts, each discounted from its time; (...). amounts: (..., time); times [years]: (time,) or as amounts.

    NaN, such as what was to be paid after death, counts for nothing.
    """
    value = plain(amounts, "amounts", "time")
    return np.nansum(value * factor(rate, _fitting(times, value), continuous), axis=-1)


def quality_adjusted_years(
    utilities: Any, times: Any, rate: float = 0.0, *, until: Any = None, continuous: bool = False
) -> np.ndarray:
    """Discounted area under utility over time, between measurements on a straight line; (...) [years].

    Exact for the annual and the continuous rate. utilities: (..., time), 1 full health, 0 dead, below 0 worse than
    dead. times [years]: (time,) or as utilities, increasing. until: time of death or end of follow-up, (...): the area
    ends there, at the utility on the line, and the last utility is kept until then; the last time where None.
    Raises ValueError for utilities above 1 or missing, and times that do not increase.
    """
    u = plain(utilities, "utilities", "time")
    if np.isnan(u).any() or (u > 1).any():
        raise ValueError("a utility is above 1 or missing; give numbers up to 1, filled in where they are missing")
    t = np.broadcast_to(_fitting(times, u), u.shape)
    if (np.diff(t, axis=-1) <= 0).any():
        raise ValueError("times of the utilities do not increase; give them in order")
    factor(rate, t, continuous)
    if until is not None:
        end = np.asarray(until, dtype=float)[..., None]
        if not (end >= t[..., :1]).all():
            raise ValueError("an end is before the first utility or missing; give a later time")
        # One more stretch at the last utility, then every stretch cut at the end.
        last = np.maximum(end, t[..., -1:])
        u, t = np.concatenate([u, np.broadcast_to(u[..., -1:], last.shape)], -1), np.concatenate([t, last], -1)
    start, stop = t[..., :-1], t[..., 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(stop > start, np.diff(u, axis=-1) / (stop - start), 0.0)
    if until is not None:
        stop = np.clip(stop, None, np.maximum(end, start))
    force = rate if continuous else np.log1p(rate)
    return (np.exp(-force * start) * _stretch(u[..., :-1], slope, stop - start, force)).sum(-1)


def _stretch(height: np.ndarray, slope: np.ndarray, width: np.ndarray, force: float) -> np.ndarray:
    """int_0^w (h + s x) exp(-force x) dx; by series where the exponent is small."""
    x = force * width
    if abs(force) < 1e-12:
        return width * (height + slope * width / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        first = np.where(x != 0, -np.expm1(-x) / np.where(x != 0, x, 1.0), 1.0)
        exact = (first - np.exp(-x)) / np.where(x != 0, x, 1.0)
    second = np.where(np.abs(x) < 1e-3, 0.5 - x / 3 + x**2 / 8 - x**3 / 30, exact)
    return width * (height * first + slope * width * second)


def _fitting(times: Any, value: np.ndarray) -> np.ndarray:
    t = np.asarray(times, dtype=float)
    if t.shape not in ((value.shape[-1],), value.shape):
        raise ValueError(f"times have shape {t.shape} for amounts of {value.shape}; give one time each")
    return t
