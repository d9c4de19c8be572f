"""When a trial looks at its data, and designs as the rows of one table."""

import math
from typing import Any

import numpy as np

from analysis.statistics.arrays import plain

LOOK = "look"
MOST = 100


def rates_of(looks: Any) -> np.ndarray:
    """Information rates (..., look): as given, or k / K for K equally spaced looks. Raises ValueError for others."""
    if isinstance(looks, int | np.integer) and not isinstance(looks, bool):
        if not 1 <= looks <= MOST:
            raise ValueError(f"looks is {looks}; give 1 to {MOST}")
        return np.arange(1, looks + 1) / looks
    rates = increasing(looks, "information rates")
    if np.any(np.abs(rates[..., -1] - 1.0) > 1e-12):
        raise ValueError(f"the last information rate is {rates[..., -1].max():g}; divide all by the last, to end at 1")
    return rates


def increasing(values: Any, name: str) -> np.ndarray:
    """Information (..., look), above 0 and increasing. Raises ValueError where it is not."""
    found = plain(values, name, LOOK)
    if not 1 <= found.shape[-1] <= MOST:
        raise ValueError(f"{name} tell of {found.shape[-1]} looks; give 1 to {MOST}")
    if not (np.all(found[..., 0] > 0.0) and np.all(np.diff(found, axis=-1) > 0.0)):
        raise ValueError(f"{name} are {shown(found)}; give them above 0 and each larger than the one before")
    return found


def number(value: Any, name: str, low: float = -np.inf, high: float = np.inf, example: str = "0.1") -> np.ndarray:
    """A number, or one for each design, strictly between low and high. Raises ValueError where it is not."""
    try:
        found = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {value!r}; give a number such as {example}") from error
    if not np.all((found > low) & (found < high)):
        limits = " and ".join(
            each for each, known in ((f"above {low:g}", low > -np.inf), (f"below {high:g}", high < np.inf)) if known
        )
        raise ValueError(f"{name} is {shown(found)}; give a number {limits or 'that is finite'}, such as {example}")
    return found


def observed(values: Any, name: str, low: float = -np.inf) -> np.ndarray:
    """What data gave: numbers from `low` on, NaN where there is none. Raises ValueError for others."""
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} holds what is no number; give numbers, NaN where there is none") from error
    if np.isinf(found).any() or np.any(found < low):
        limit = f" from {low:g} on" if low > -np.inf else ""
        raise ValueError(f"{name} is {shown(found)}; give finite numbers{limit}, NaN where there is none")
    return found


def sides(sided: int) -> int:
    """1 or 2. Raises ValueError for others."""
    if sided not in (1, 2):
        raise ValueError(f"sided is {sided}; give 1 or 2")
    return int(sided)


def shown(values: Any) -> str:
    """The numbers for a message: all of a few, else the first of them."""
    flat = np.asarray(values).reshape(-1)
    return ", ".join(f"{each:g}" for each in flat[:8]) + (" ..." if flat.size > 8 else "")


def rows(*arrays: tuple[Any, bool]) -> tuple[tuple[int, ...], list[np.ndarray]]:
    """Leading shape, and the arrays as tables of one row a design.

    arrays: each with whether its last dimension is the look: such become (design, look), others (design,). Raises
    ValueError where the leading shapes do not fit.
    """
    found = [(np.asarray(value, dtype=float), looks) for value, looks in arrays]
    try:
        lead = np.broadcast_shapes(*(each.shape[:-1] if looks else each.shape for each, looks in found))
    except ValueError as error:
        shapes = ", ".join(str(each.shape) for each, _ in found)
        raise ValueError(f"shapes do not fit: {shapes}; give one row a design in each") from error
    tables = []
    for each, looks in found:
        last = each.shape[-1:] if looks else ()
        tables.append(np.broadcast_to(each, (*lead, *last)).reshape(math.prod(lead), *last))
    return lead, tables
