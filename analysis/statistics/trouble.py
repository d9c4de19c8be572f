"""Why a set of data has no estimate, or a degenerate one."""

from enum import IntEnum

import numpy as np


class Trouble(IntEnum):
    """What kept a method from its estimate; several at once are told by the first of this order."""

    NONE = 0
    EMPTY_ARM = 1
    TOO_FEW = 2
    CONSTANT = 3
    NO_EVENTS = 4
    SEPARATED = 5
    SINGULAR = 6
    TOO_SHORT = 7
    NOT_CONVERGED = 8


SENTENCES = {
    Trouble.NONE: "",
    Trouble.EMPTY_ARM: "an arm has no subjects with a value",
    Trouble.TOO_FEW: "fewer subjects than the method needs to know its error",
    Trouble.CONSTANT: "all values are equal, so that there is no error to measure by",
    Trouble.NO_EVENTS: "nothing happened to anyone who counts",
    Trouble.SEPARATED: "an outcome is told exactly by a covariate or an arm, so that its effect is infinite",
    Trouble.SINGULAR: "covariates tell each other, so that their effects cannot be told apart",
    Trouble.TOO_SHORT: "follow-up ends before the time that is asked about",
    Trouble.NOT_CONVERGED: "the iteration did not converge",
}


def troubled(shape: tuple[int, ...], *found: tuple[np.ndarray, Trouble]) -> np.ndarray:
    """Codes of Trouble, of that shape: of each set the first of the conditions, in the order given, that is true."""
    codes = np.full(shape, int(Trouble.NONE))
    for condition, trouble in reversed(found):
        codes = np.where(condition, int(trouble), codes)
    return codes


def sentence(code: int) -> str:
    """What that code says; nothing for an estimate that is sound."""
    return SENTENCES[Trouble(int(code))]
