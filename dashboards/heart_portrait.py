"""What the Twin page shows of a heart: its last beat, before and after a change."""

import functools

from dashboards import heart
from dashboards.heart import AVC, AVO, MVC, MVO, beat_of
from dashboards.plots import heart as figures
from dashboards.plots.bullseye import bullseye
from dashboards.portraits import Drawing, Portrait
from dashboards.twin import AFTER, BEFORE

MOVES = f"{MVC} and {MVO}: the mitral valve closes and opens; {AVO} and {AVC}: the aortic valve opens and closes."
SIDES = "The left ventricle from its apex, the septum on the left; both hearts on one scale of colours."

NO_P = "The electrocardiogram has QRS and T, and no P."


def _drawn(measure: str, title: str, told: str) -> Drawing:
    return Drawing(
        title,
        f"{told} {SIDES}",
        functools.partial(bullseye, measure=measure),
        functools.partial(heart.bullseye, measure=measure),
    )


portrait = Portrait(
    see=lambda probed: beat_of(*probed),
    drawings={
        "loops": Drawing(
            "Pressure-volume loops",
            "Dotted: before. Solid: after. The area of a loop is the work of a beat; point at it for the numbers.",
            figures.loops,
            heart.loops,
        ),
        "beat before": Drawing(
            "One beat before",
            f"Wiggers' diagram. {MOVES} {NO_P}",
            lambda before, after, source: figures.wiggers(before, f"{BEFORE}; {source}"),
            lambda before, after: heart.wiggers(before),
        ),
        "beat after": Drawing(
            "One beat after",
            f"Wiggers' diagram. {MOVES} {NO_P}",
            lambda before, after, source: figures.wiggers(after, f"{AFTER}; {source}"),
            lambda before, after: heart.wiggers(after),
        ),
        "twelve leads": Drawing(
            "Electrocardiogram",
            f"One beat in each lead, on paper at 25 mm/s and 10 mm/mV. {NO_P}",
            figures.leads,
            heart.leads,
        ),
        "activation": _drawn(
            "activation", "Activation", "How late each segment is, after the first part of the ventricles."
        ),
        "strain": Drawing(
            "Strain of the walls",
            "Change of length since QRS began; shortening is negative. Thin: each segment. Bold: their mean. "
            f"{MVC}, {AVC}: mitral and aortic valve close.",
            figures.strains,
            heart.strains,
        ),
        "peak strain": _drawn("peak", "Peak strain", "The most that each segment shortens, against its length at QRS."),
        "work": _drawn("work", "External work", "What each segment gives to the blood in a beat; below 0 it takes."),
    },
)
