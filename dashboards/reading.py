"""How indices are to be read, in words: what they are shares of, what their whiskers are, what they are made of."""

import numpy as np

from analysis import kept
from analysis.sensitivity import load, names
from dashboards import drivers
from dashboards.results import Results

# What the variance that indices are shares of is made of. All lives of a curve, and those at all nodes, have one luck.
OF_LIVES = "Of everything that makes one life differ from another, how much hangs on each input."
OF_LIVES_ALIKE = (
    "Of what makes lives of the same luck differ, how much hangs on each input. What chance adds is left out."
)
OF_POPULATIONS = (
    "Of everything that we do not know of the population, how much of the mean of the same patients hangs on each "
    "unknown."
)
WHISKERS = "Whiskers: 95 % intervals of the estimate."
ENOUGH = "Flat lines that keep their order are enough."
WHOLE = "Whiskers: 95 % interval of the whole."
MOVED = "Whiskers: how far the last two degrees moved it."


def design(method: str) -> str:
    """Name of the design that a method reads, "" for one that has none."""
    alone = method.partition(kept.GROUPED)[0]
    return load(alone).design if alone in names() else ""


def shares(of: str, method: str, leading: str) -> str:
    """How to read the bars of the indices."""
    read = design(method)
    whiskers = MOVED if read == "quadrature" else WHISKERS
    if leading not in drivers.OF_VARIANCE:
        return f"The longer the bar, the more hangs on the input. {whiskers}"
    of_lives = OF_LIVES_ALIKE if read in ("curves", "quadrature") else OF_LIVES
    return f"{OF_POPULATIONS if of == 'population' else of_lives} {whiskers}"


def growth(method: str) -> str:
    """How to read the curve of convergence."""
    read = design(method)
    if read == "curves":
        return f"The same indices from one, two and all four curves of each input. {ENOUGH} {WHOLE}"
    if read == "quadrature":
        return f"The same indices from terms of degree 1 alone, of up to 2, and so on. {ENOUGH} {MOVED}"
    return (
        "The same indices from the first eighth, quarter and half of the analysis, as far as those are large enough. "
        f"{ENOUGH} {WHOLE}"
    )


def made_of(results: Results, name: str) -> str:
    """How many lives indices are made of, what became of those that failed, and what was not varied."""
    said = drivers.group(results, name).attrs
    told = [f"{int(said['lives']):,} lives"] if "lives" in said else []
    if "dropped" in said:
        handled = f" ({said['handled']})" if said.get("handled") else ""
        told.append(f"{int(said['dropped']):,} rows left out or replaced{handled}")
    chance = [str(one) for one in np.atleast_1d(said.get("chance", []))]
    if chance:
        told.append(f"left to chance: {', '.join(map(drivers.short, chance))}")
    return "; ".join(told)
