"""The twin of a study file: a name, or parts by short names of their own and what acts on what in them."""

import functools
import re
from collections.abc import Mapping
from typing import Any

from solvers import twins
from solvers.couple import composed
from solvers.coupling import Coupling, CouplingError, output_of
from solvers.quantity import quantity
from solvers.twin import Twin
from trials.document import Document, Place

COUPLE = "couple"
KEYS = ("from", "to", "emax", "ec50", "hill", "source", "evidence")


def read(source: Document, written: Any) -> Twin:
    """The twin under the key `twin`. Raises ValueError `FILE:LINE: what, got, do` for anything that is wrong with it.

    A composed one is named by those that it is made of: `warfarin-pca+theophylline`.
    """
    if isinstance(written, str):
        return _loaded(source, ("twin",), written)
    if not isinstance(written, dict):
        source.refuse(("twin",), "twin is of the wrong form; write a name, or parts by short names and 'couple'")
    parts = {name: each for name, each in written.items() if name != COUPLE}
    if len(parts) < 2:
        source.refuse(("twin",), f"twin has {len(parts)} parts; write two or more, or the name of one twin alone")
    for name, each in parts.items():
        if not isinstance(each, str):
            source.refuse(("twin", name), f"part '{name}' is of the wrong form; write the name of a twin")
    known = {name: _loaded(source, ("twin", name), each) for name, each in parts.items()}
    if not isinstance(written.get(COUPLE), list):
        place: Place = ("twin", COUPLE) if COUPLE in written else ("twin",)
        source.refuse(place, "'twin: couple' is no list; write what acts on what, or [] where nothing does")
    couplings = tuple(_coupling(source, i, each, known) for i, each in enumerate(written[COUPLE]))
    try:
        return _composed(tuple(parts.items()), couplings)
    except CouplingError as error:
        place = ("twin", COUPLE, error.number, error.key) if error.key else ("twin", COUPLE, error.number)
        source.refuse(place, f"couple: {error}")
    except ValueError as error:
        source.refuse(("twin",), str(error))


# One each: what is compiled for a twin is found again by its functions.
@functools.lru_cache(maxsize=16)
def _composed(parts: tuple[tuple[str, str], ...], couplings: tuple[Coupling, ...]) -> Twin:
    name = "+".join(twin for _, twin in parts)
    return composed(name, {part: twins.load(twin) for part, twin in parts}, couplings)


def _loaded(source: Document, place: Place, name: str) -> Twin:
    try:
        return twins.load(name)
    except ValueError as error:
        source.refuse(place, str(error))


def _coupling(source: Document, number: int, written: Any, parts: Mapping[str, Twin]) -> Coupling:
    place: Place = ("twin", COUPLE, number)
    if not isinstance(written, dict):
        source.refuse(place, f"couple: is no mapping; write keys under it: {', '.join(KEYS)}")
    for key, value in written.items():
        if key not in KEYS:
            source.refuse((*place, key), f"couple: unknown key '{key}'; write one of: {', '.join(KEYS)}")
        if not isinstance(value, str):
            source.refuse((*place, key), f"couple: {key} is of the wrong form; write one plain value")
    for key in KEYS:
        if key not in written:
            said = "; write evidence: assumed where nothing was measured" if key == "evidence" else "; add it"
            source.refuse(place, f"couple: '{key}' is missing{said}")

    def ends(key: str) -> tuple[str, str]:
        match = re.fullmatch(r"\s*(\w+)\.(\w+)\s*", written[key])
        if match is None:
            thing = "output" if key == "from" else "parameter"
            source.refuse((*place, key), f"couple: {key} '{written[key]}' is none; write PART.{thing.upper()}")
        return match[1], match[2]

    def number_of(key: str, unit: str) -> float:
        try:
            return quantity(written[key], unit)
        except ValueError as error:
            source.refuse((*place, key), f"couple: {key} {error}")

    giver, taker = ends("from"), ends("to")
    try:
        unit = output_of(parts, *giver).unit
    except ValueError as error:
        source.refuse((*place, "from"), f"couple: {error}")
    return Coupling(
        *giver,
        *taker,
        emax=number_of("emax", "1"),
        ec50=number_of("ec50", unit),
        unit=unit,
        hill=number_of("hill", "1"),
        source=written["source"],
        evidence=written["evidence"],
    )
