"""Data of a comparison over a hierarchy of outcomes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.arrays import plain, together
from analysis.statistics.contrast import codes_of
from analysis.statistics.wins.outcome import Level, Outcome, levels


class Hierarchy(NamedTuple):
    """Levels and who is compared, arrays (replicate, subject). labels: of the strata. leading: shape as given."""

    levels: list[Level]
    a: np.ndarray
    b: np.ndarray
    strata: np.ndarray
    labels: np.ndarray
    leading: tuple[int, ...]

    def shaped(self, values: np.ndarray) -> np.ndarray:
        """Array (replicate, ...) with the leading dimensions of the data."""
        return values.reshape((*self.leading, *values.shape[1:]))


def read(outcomes: Sequence[Outcome], arms: Any, contrast: tuple[int, int], strata: Any) -> Hierarchy:
    """Checked data of a comparison; who has no value, no stratum or another arm is in neither a nor b.

    Raises ValueError for what does not fit together.
    """
    found = levels(outcomes)
    codes = codes_of(arms, contrast)
    groups = np.zeros_like(codes) if strata is None else plain(strata, "strata")
    named = {f"outcome {number}": each.reach for number, each in enumerate(found, 1)}
    first, *_ = together(arms=codes, strata=groups, **named)
    leading = first.shape[:-1]

    def flat(values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values, first.shape).reshape(-1, first.shape[-1])

    found = [each._replace(reach=flat(each.reach), mark=flat(each.mark)) for each in found]
    codes, groups = flat(codes), flat(groups)
    known = ~np.isnan(groups) & ~np.isnan(np.stack([each.reach for each in found])).all(0)
    labels = np.unique(groups[~np.isnan(groups)])
    return Hierarchy(found, known & (codes == contrast[0]), known & (codes == contrast[1]), groups, labels, leading)
