"""Two arms that are compared."""

from typing import Any

import numpy as np

from analysis.statistics.arrays import plain


def codes_of(arms: Any, contrast: tuple[int, int]) -> np.ndarray:
    """Codes of arms, (..., subject), of which both of the contrast occur somewhere. Raises ValueError otherwise."""
    codes = plain(arms, "arms")
    if len(contrast) != 2 or contrast[0] == contrast[1]:
        raise ValueError(f"contrast is {contrast}; give the codes of two arms")
    for code in contrast:
        if not (codes == code).any():
            raise ValueError(f"contrast names arm {code}, which nobody is in; arms are {np.unique(codes).tolist()}")
    return codes
