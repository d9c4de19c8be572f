"""How many events there are when: subjects who enter over time, fail, and drop out."""

from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.sequential.looks import number, shown


class Course(NamedTuple):
    """When subjects enter and what then happens to them.

    ends: of the periods of accrual, that follow each other from 0, (period,). intensities: subjects a unit of time in
    each, of which only the ratios matter where the number of subjects is sought. starts: of the pieces of the hazard
    after entry, from 0, (piece,). hazards: of events in arm b, (piece,). dropout: hazards of leaving, of arms (a, b).
    """

    ends: np.ndarray
    intensities: np.ndarray
    starts: np.ndarray
    hazards: np.ndarray
    dropout: tuple[float, float]


def course(
    accrual: Any, hazard: Any, intensity: Any = 1.0, starts: Any = 0.0, dropout: tuple[float, float] = (0.0, 0.0)
) -> Course:
    """A course from numbers, or lists where accrual or hazard change.

    accrual: end of each period of accrual, of the intensities. starts: when each hazard of arm b begins, from 0 on.
    dropout: hazards of leaving, arms (a, b); of a share p in a time s it is -log(1 - p) / s. Raises ValueError for
    times that do not increase, hazards or intensities that are negative or all zero, and lists that do not fit.
    """
    ends, flow = _list(accrual, "accrual"), _list(intensity, "intensity")
    begin, rates = _list(starts, "starts"), _list(hazard, "hazard")
    for times, values, names in ((ends, flow, "accrual and intensity"), (begin, rates, "starts and hazard")):
        if len(times) != len(values):
            raise ValueError(f"{names} have {len(times)} and {len(values)} numbers; give as many of each")
    if not (ends[0] > 0.0 and np.all(np.diff(ends) > 0.0)):
        raise ValueError(f"accrual is {shown(ends)}; give times above 0 that increase")
    if begin[0] != 0.0 or np.any(np.diff(begin) <= 0.0):
        raise ValueError(f"starts is {shown(begin)}; give times that increase from 0")
    for values, name in ((flow, "intensity"), (rates, "hazard")):
        if np.any(values < 0.0) or not values.any():
            raise ValueError(f"{name} is {shown(values)}; give numbers from 0 on, and one above it")
    left = _list(dropout, "dropout")
    if len(left) != 2 or np.any(left < 0.0):
        raise ValueError(f"dropout is {shown(left)}; give two hazards from 0 on, of arms a and b")
    return Course(ends, flow, begin, rates, (float(left[0]), float(left[1])))


def entered(of: Course, time: Any) -> np.ndarray:
    """Share of the subjects who have entered by a calendar time."""
    begin = np.append(0.0, of.ends[:-1])
    lived = np.clip(np.asarray(time, dtype=float)[..., None], begin, of.ends) - begin
    return (lived * of.intensities).sum(-1) / total(of)


def total(of: Course) -> float:
    """Subjects who enter in all, if the intensities are absolute."""
    return float((np.diff(of.ends, prepend=0.0) * of.intensities).sum())


def failed(of: Course, time: Any, ratio: Any = 1.0, arm: int = 1) -> np.ndarray:
    """Probability that a subject of an arm has had the event, and was seen to, by a calendar time.

        integral over entries u of g(u) F(time - u),   F(s) = integral of lambda(x) exp(-Lambda(x) - eta x) up to s

    ratio: what multiplies the hazards of arm b. arm: 0 for a, 1 for b, whose dropout counts. time, ratio: broadcast.
    """
    begin = np.append(0.0, of.ends[:-1])
    t = np.asarray(time, dtype=float)
    found = np.zeros(np.broadcast_shapes(t.shape, np.shape(ratio)))
    for first, last, flow in zip(begin, of.ends, of.intensities, strict=True):
        found = found + flow * (_area(of, t - first, ratio, arm) - _area(of, t - last, ratio, arm))
    return found / total(of)


def _area(of: Course, until: np.ndarray, ratio: Any, arm: int) -> np.ndarray:
    """Integral of F from 0 to `until`; 0 where that is negative."""
    s = np.maximum(until, 0.0)
    left, sofar, area = 1.0, 0.0, np.zeros_like(s)
    for start, end, base in zip(of.starts, np.append(of.starts[1:], np.inf), of.hazards, strict=True):
        hazard = base * np.asarray(ratio, dtype=float)
        both = hazard + of.dropout[arm]
        length = np.clip(s, start, end) - start
        area = area + sofar * length + left * hazard * _second(both, length)
        if np.isfinite(end):
            whole = end - start
            sofar = sofar + left * hazard * _first(both, whole)
            left = left * np.exp(-both * whole)
    return area


def _first(h: np.ndarray, s: Any) -> np.ndarray:
    """Integral of exp(-h x) from 0 to s."""
    safe = np.where(h > 0.0, h, 1.0)
    return np.where(h > 0.0, -np.expm1(-safe * s) / safe, s)


def _second(h: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Integral of `_first` from 0 to s; by its series where the difference would lose its digits."""
    x = h * s
    safe = np.where(h > 0.0, h, 1.0)
    closed = (s - _first(h, s)) / safe
    return np.where(x > 1e-4, closed, s**2 * (0.5 - x / 6.0 + x**2 / 24.0))


def _list(values: Any, name: str) -> np.ndarray:
    return np.atleast_1d(number(values, name, example="1"))
