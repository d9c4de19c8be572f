"""Responders and subjects of two arms."""

from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.arrays import plain, together
from analysis.statistics.trouble import Trouble


class Table(NamedTuple):
    """Responders x and subjects n of arms a and b; every array of one shape, the replicates'."""

    xa: np.ndarray
    na: np.ndarray
    xb: np.ndarray
    nb: np.ndarray

    @property
    def shares(self) -> tuple[np.ndarray, np.ndarray]:
        """Shares of responders; NaN where an arm is empty."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.xa / self.na, self.xb / self.nb

    @property
    def empty(self) -> tuple[np.ndarray, Trouble]:
        """Where an arm has nobody, and what that is called."""
        return (self.na == 0) | (self.nb == 0), Trouble.EMPTY_ARM


def table(xa: Any, na: Any, xb: Any, nb: Any) -> Table:
    """Table of these numbers, broadcast to one shape. Raises ValueError for what cannot be counts."""
    names = ("xa", "na", "xb", "nb")
    given = zip(names, (xa, na, xb, nb), strict=True)
    # plain() wants a last dimension, of subjects; a count has none
    arrays = together(**{name: plain(np.asarray(each)[..., None], name) for name, each in given})
    found = Table(*(each[..., 0] for each in arrays))
    for x, n, arm in ((found.xa, found.na, "a"), (found.xb, found.nb, "b")):
        if not ((x >= 0) & (x <= n) & (x == np.round(x)) & (n == np.round(n))).all():
            raise ValueError(f"x{arm} of n{arm} are no counts; give whole numbers, 0 <= x{arm} <= n{arm}")
    return found


def count(values: Any, arms: Any, contrast: tuple[int, int]) -> Table:
    """Table of a contrast. values: 0, 1 or NaN, which is left out, (..., subject); arms: codes, alike.

    Raises ValueError for other values, and where no subject at all is in an arm of the contrast.
    """
    values, arms = subjects(values, arms, contrast)
    counts = []
    for arm in contrast:
        inside = arms == arm
        counts += [(inside & (values == 1)).sum(-1).astype(float), (inside & ~np.isnan(values)).sum(-1).astype(float)]
    return Table(*counts)


def count_strata(values: Any, arms: Any, contrast: tuple[int, int], strata: Any) -> Table:
    """Table of each stratum, its arrays (..., stratum). strata: a label a subject, numbers, (..., subject)."""
    values, arms = subjects(values, arms, contrast)
    values, arms, strata = together(values=values, arms=arms, strata=plain(strata, "strata"))
    if np.isnan(strata).any():
        raise ValueError("strata hold NaN; give every subject a stratum")
    parts = [count(np.where(strata == each, values, np.nan), arms, contrast) for each in np.unique(strata)]
    return Table(*(np.stack(column, -1) for column in zip(*parts, strict=True)))


def subjects(values: Any, arms: Any, contrast: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """values and arms, checked and of one shape. Raises ValueError as `count`."""
    values, arms = together(values=binary(values, "values"), arms=plain(arms, "arms"))
    if len(contrast) != 2 or contrast[0] == contrast[1]:
        raise ValueError(f"contrast is {contrast}; give two different codes of arms")
    for arm in contrast:
        if not (arms == arm).any():
            raise ValueError(f"no subject is in arm {arm}; name two of the codes in arms")
    return values, arms


def binary(values: Any, name: str) -> np.ndarray:
    """Array of 0, 1 and NaN. Raises ValueError for other numbers."""
    found = plain(values, name)
    if not ((found == 0) | (found == 1) | np.isnan(found)).all():
        raise ValueError(f"{name} holds other numbers than 0 and 1; give 1 for a responder, NaN where unknown")
    return found
