"""Quantities as people write them (`5 mg`, `12 h`, `95 %`), read into plain floats of a stated unit."""

import functools
import re

import pint


@functools.cache
def registry() -> pint.UnitRegistry:
    """The one unit registry: pint's own, with the units of the clinic that it lacks."""
    units = pint.UnitRegistry(autoconvert_offset_to_baseunit=False)
    units.define("beat = 1 = beats")
    units.define("mmol_per_mol = 1e-3")
    return units


@functools.cache
def conversion(unit: str, target: str) -> float:
    """Factor that takes a number in `unit` to `target`, both as pint spells them.

    Raises ValueError where a unit is unknown or the two do not measure the same thing.
    """
    if len(unit) > 40 or not _UNIT.fullmatch(unit.strip()):
        raise ValueError(f"'{unit[:40]}' is no unit; write one such as {target or 'h'}")
    try:
        one, none = (registry().Quantity(n, _spelled(unit)) for n in (1.0, 0.0))
    except Exception as error:  # pint raises a dozen kinds, tokenizer errors among them
        raise ValueError(f"'{unit}' is no unit; write one such as {target or 'h'}") from error
    try:
        factor, zero = (float(each.to(_spelled(target)).magnitude) for each in (one, none))
    except Exception as error:
        raise ValueError(f"unit '{unit}' does not measure what '{target}' measures; write it in {target}") from error
    if zero != 0.0:  # degrees Celsius and Fahrenheit: a factor cannot take one scale to the other
        raise ValueError(f"unit '{unit}' has another zero than '{target}'; write it in {target}")
    return factor


def _spelled(unit: str) -> str:
    unit = unit.strip().replace("%", "percent")
    return "" if unit == "1" else unit


# Names with small powers, multiplied and divided. pint would compute any power of powers that is written.
_TERM = r"(?:[^\W\d]\w*(?:\s*(?:\*\*|\^)\s*-?\d{1,2})?|%|\d{1,6}(?:\.\d{1,6})?)"
_UNIT = re.compile(rf"{_TERM}(?:\s*[*/]\s*{_TERM}|\s+{_TERM})*")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_QUANTITY = re.compile(rf"^\s*({_NUMBER})\s*(.*?)\s*$")


def quantity(text: str, unit: str) -> float:
    """Reads `text` as a number in `unit`.

    A dimensionless `unit` ("1") takes plain numbers and per cent; any other needs its unit written out.
    Raises ValueError for text that is no number, a missing unit, or one that measures something else.
    """
    if len(text) > 60:
        raise ValueError(f"'{text[:20]}...' is no quantity; write a number and a unit, such as 5 {unit}")
    match = _QUANTITY.match(text)
    example = "2.0" if unit == "1" else f"5 {unit}"
    if match is None:
        raise ValueError(f"'{text}' is no quantity; write one such as {example}")
    number, written = float(match[1]), match[2]
    if not written and unit != "1":
        raise ValueError(f"'{text}' has no unit; write it after the number, such as {unit}")
    value = number * conversion(written or "1", unit)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"'{text}' is not finite; write one such as {example}")
    return value


def quantity_range(text: str, unit: str) -> tuple[float, float]:
    """Reads `2.0 to 3.0` or `5 to 10 mg` as two numbers in `unit`, the lower first.

    Raises ValueError where there are not two, or the second is not the greater.
    """
    parts = re.split(r"\s+to\s+", text.strip())
    if len(parts) != 2:
        raise ValueError(f"'{text}' is no range; write one such as 2.0 to 3.0{'' if unit == '1' else ' ' + unit}")
    upper_unit = _QUANTITY.match(parts[1])
    if re.fullmatch(_NUMBER, parts[0].strip()) and upper_unit is not None:
        parts[0] = f"{parts[0]} {upper_unit[2]}".strip()
    lower, upper = (quantity(part, unit) for part in parts)
    if not lower < upper:
        raise ValueError(f"'{text}' runs from {lower:g} to {upper:g}; write the lower number first")
    return lower, upper
