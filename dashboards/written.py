"""Numbers and units as people write them."""

import math
import re
import textwrap
from typing import NamedTuple

from trials.endpoints import Endpoint

UNITS = {"1": "", "day": "days", "year": "years", "h": "hours", "percent": "%"}
SHARES = ("share", "variation", "ever", "responder")


class Scale(NamedTuple):
    """How an endpoint is shown: values times `factor`, in `unit`, its differences in `difference`."""

    factor: float
    unit: str
    difference: str


def scale(endpoint: Endpoint) -> Scale:
    """Shares are shown in per cent, and their differences in percentage points."""
    if endpoint.kind in SHARES:
        return Scale(100.0, "%", "percentage points")
    return Scale(1.0, unit(endpoint.unit), unit(endpoint.unit))


def unit(name: str) -> str:
    """A unit as it stands in a label: '' for none."""
    return UNITS.get(name, name.replace("^2", "²").replace("^3", "³"))


def labelled(title: str, name: str) -> str:
    """`INR`, `weight [kg]`."""
    return f"{title} [{unit(name)}]" if unit(name) else title


def decimals(error: float | None, value: float = 0.0) -> int:
    """Decimals at which an error shows one digit, two where the first is 1; three digits of the value without one."""
    if error is None or not math.isfinite(error) or error <= 0:
        return 0 if not value or not math.isfinite(value) else _places(abs(value), 3)
    leading = error / 10.0 ** math.floor(math.log10(error))
    return _places(error, 2 if leading < 1.95 else 1)


def _places(value: float, digits: int) -> int:
    return min(max(0, digits - 1 - math.floor(math.log10(value))), 12)


def number(value: float | None, places: int | None = None) -> str:
    """With thousands separated and a true minus; three significant digits where no places are asked for."""
    if value is None or not math.isfinite(value):
        return "–"
    if places is None:
        small = 0 < abs(value) < 1e-4
        text = f"{value:.2e}" if small else f"{value:,.{decimals(None, value)}f}"
        if "." in text and not small:
            text = text.rstrip("0").rstrip(".")
    else:
        text = f"{value:,.{places}f}"
    if re.fullmatch(r"-[0.,]+", text):
        text = text[1:]  # what rounds to nothing has no sign
    return text.replace("-", "−")


def with_error(value: float | None, error: float | None) -> str:
    """`77.7 (0.9)`: a value and its standard error, at the digits that the error allows."""
    places = decimals(error, value or 0.0)
    return f"{number(value, places)} ({number(error, places)})" if error is not None else number(value, places)


def with_interval(value: float | None, lower: float | None, upper: float | None) -> str:
    """`8.3 (7.4 to 9.3)`, at the digits that the interval allows."""
    if lower is None or upper is None or not math.isfinite(upper - lower):
        return number(value)
    places = decimals((upper - lower) / 8.0)
    return f"{number(value, places)} ({number(lower, places)} to {number(upper, places)})"


def needed(value: float | None, lower: float | None, upper: float | None) -> str:
    """A number needed to treat; below 0 it is one to harm."""
    if value is None or not math.isfinite(value):
        return "–"
    kind = "harm " if value < 0 else ""
    ends = sorted(abs(end) for end in (lower, upper) if end is not None)
    whole = [number(each, 0 if each >= 10 else 1) for each in (abs(value), *ends)]
    return f"{kind}{whole[0]} ({whole[1]} to {whole[2]})" if len(ends) == 2 else f"{kind}{whole[0]} (no two ends)"


def wrapped(text: str, width: int) -> str:
    """Broken into lines of at most `width` characters, as figures break them."""
    return "<br>".join(textwrap.wrap(text, width, break_long_words=True)) or text
