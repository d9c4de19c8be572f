"""A coupling: what an output of one twin does to a parameter of another, and whether it can be."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from solvers.quantity import conversion
from solvers.twin import Evidence, Output, Parameter, Twin


@dataclasses.dataclass(frozen=True)
class Coupling:
    """What `output` of part `giver` does to `parameter` of part `taker`.

    emax: largest relative change, at least -1. ec50: the output at which half of it is reached [unit]. hill: steepness.
    source, evidence: of the three numbers.
    """

    giver: str
    output: str
    taker: str
    parameter: str
    emax: float
    ec50: float
    unit: str
    hill: float
    source: str
    evidence: Evidence

    @property
    def written(self) -> str:
        return f"{self.giver}.{self.output} on {self.taker}.{self.parameter}"


class CouplingError(ValueError):
    """A coupling is wrong: its number, and which of its keys in a study file, so that the line can be named."""

    def __init__(self, number: int, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.number, self.key = number, key


def output_of(parts: Mapping[str, Twin], part: str, name: str) -> Output:
    """The output of a part. Raises ValueError where there is none."""
    return _found(parts, part, name, "output", {item.name: item for item in _part(parts, part).outputs})


def parameter_of(parts: Mapping[str, Twin], part: str, name: str) -> Parameter:
    """The parameter of a part that a concentration may change. Raises ValueError where there is none."""
    twin = _part(parts, part)
    found = _found(parts, part, name, "parameter", {item.name: item for item in twin.parameters})
    if twin.ode and name in twin.ode.held:
        raise ValueError(f"'{part}.{name}' is changed by actions or triggers of its own; couple another parameter")
    if name in [action.lag for action in twin.actions]:
        raise ValueError(f"'{part}.{name}' is the lag of an action, told when that is given; couple another parameter")
    return found


def _part(parts: Mapping[str, Twin], part: str) -> Twin:
    if part not in parts:
        raise ValueError(f"there is no part '{part}'; write one of: {', '.join(parts)}")
    return parts[part]


def _found[T](parts: Mapping[str, Twin], part: str, name: str, kind: str, known: Mapping[str, T]) -> T:
    if name not in known:
        raise ValueError(f"part '{part}' ({parts[part].name}) has no {kind} '{name}'; write one of: {', '.join(known)}")
    return known[name]


def numbers(
    parts: Mapping[str, Twin], names: Mapping[str, Mapping[str, str]], couplings: Sequence[Coupling], number: int
) -> tuple[Parameter, Parameter, Parameter]:
    """Emax, EC50 in the unit of the output, and Hill's exponent, as parameters of the composed twin.

    names: by part, what its things are called there. Raises CouplingError where the coupling cannot be.
    """
    one = couplings[number]

    def refuse(key: str, sentence: str) -> CouplingError:
        return CouplingError(number, key, sentence)

    try:
        output = output_of(parts, one.giver, one.output)
    except ValueError as error:
        raise refuse("from", str(error)) from error
    try:
        parameter = parameter_of(parts, one.taker, one.parameter)
    except ValueError as error:
        raise refuse("to", str(error)) from error
    try:
        ec50 = one.ec50 * conversion(one.unit, output.unit)
    except ValueError as error:
        raise refuse("ec50", f"ec50: {error}") from error
    if one.written in [other.written for other in couplings[:number]]:
        raise refuse("", f"'{one.written}' stands twice; keep one of them")
    if not (math.isfinite(one.emax) and one.emax >= -1.0):
        raise refuse("emax", f"emax is {one.emax:g}; write a relative change of at least -100 %")
    lower, upper = parameter.bounds
    if not lower <= (most := parameter.typical * (1.0 + one.emax)) <= upper:
        raise refuse("emax", f"emax takes {parameter.name} to {most:g}, outside {lower:g} to {upper:g}; write less")
    if not (math.isfinite(ec50) and ec50 > 0.0):
        raise refuse("ec50", f"ec50 is {ec50:g} {output.unit}; write a number above 0")
    if not (math.isfinite(one.hill) and one.hill > 0.0):
        raise refuse("hill", f"hill is {one.hill:g}; write a number above 0, 1 where nothing is known")
    if not one.source.strip():
        raise refuse("source", f"'{one.written}' has no source; say where its numbers come from")
    if one.evidence not in ("fitted", "published", "assumed"):
        raise refuse("evidence", f"evidence '{one.evidence}' is none of: fitted, published, assumed")
    target = names[one.taker][one.parameter]
    rivals = [other for other in couplings if (other.giver, other.taker, other.parameter) == _ends(one)]
    stem = f"{one.giver}_{one.output}_on_{target}" if len(rivals) > 1 else f"{one.giver}_on_{target}"
    seen, moved = output.title or output.name, parameter.title or parameter.name
    said = (one.source, one.evidence)
    return (
        Parameter(
            f"{stem}_emax", "1", one.emax, *said, bounds=(-1.0, math.inf), title=f"largest effect of {seen} on {moved}"
        ),
        Parameter(
            f"{stem}_ec50",
            output.unit,
            ec50,
            *said,
            bounds=(0.0, math.inf),
            title=f"{seen} of half the largest effect on {moved}",
        ),
        Parameter(
            f"{stem}_hill",
            "1",
            one.hill,
            *said,
            bounds=(0.0, math.inf),
            title=f"steepness of the effect of {seen} on {moved}",
        ),
    )


def _ends(one: Coupling) -> tuple[str, str, str]:
    return one.giver, one.taker, one.parameter
