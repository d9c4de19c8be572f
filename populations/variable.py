"""What is drawn of a patient: a covariate, known to the clinic, or a parameter, known to nobody."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Variable:
    """One covariate or parameter; a categorical one is drawn as the index of its level.

    typical: value of the reference patient [unit]. description: the distribution in words.
    evidence: fitted, published or assumed.
    """

    name: str
    unit: str
    kind: Literal["covariate", "parameter"]
    levels: tuple[str, ...]
    title: str
    source: str
    evidence: str
    description: str
    typical: float
