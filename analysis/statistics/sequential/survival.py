"""Sample sizes, power and calendar times of group sequential log-rank tests."""

from typing import Any, NamedTuple

import numpy as np
from scipy import special

from analysis.statistics.sequential.accrual import Course, entered, failed
from analysis.statistics.sequential.characteristics import Power, power
from analysis.statistics.sequential.design import Design
from analysis.statistics.sequential.looks import number, rows
from analysis.statistics.sequential.roots import root

FORMULAS = ("schoenfeld", "freedman", "hsieh-freedman")


class Events(NamedTuple):
    """Events and subjects that a design needs, both arms together; not rounded.

    fixed: events with one look, (...). most, looks: at the last look and at each. expected_alternative,
    expected_between, expected_null: on average at the effect, half of its drift, and none. subjects, fixed_subjects:
    who enter, in the design and with one look. times: calendar time of each look under the effect, (..., look).
    entered: subjects by then. duration, expected_subjects: average time of stopping, and subjects by then, under the
    effect.
    critical: hazard ratio that is just significant at each look; NaN where none is.
    """

    fixed: np.ndarray
    most: np.ndarray
    looks: np.ndarray
    expected_alternative: np.ndarray
    expected_between: np.ndarray
    expected_null: np.ndarray
    subjects: np.ndarray
    fixed_subjects: np.ndarray
    times: np.ndarray
    entered: np.ndarray
    duration: np.ndarray
    expected_subjects: np.ndarray
    critical: np.ndarray


def survival_size(
    plan: Design,
    hazard_ratio: Any,
    course: Course,
    follow_up: float | None = None,
    subjects: float | None = None,
    ratio: Any = 1.0,
    margin: Any = 1.0,
    formula: str = "schoenfeld",
) -> Events:
    """Events for a hazard ratio, and either the subjects for a time of follow-up or the time for so many subjects.

        schoenfeld       d = (z_a + z_b)^2 (1 + r)^2 / (r (log hr - log margin)^2)
        freedman         d = (z_a + z_b)^2 (1 + r hr)^2 / (r (1 - hr)^2)
        hsieh-freedman   d = (z_a + z_b)^2 (1 + hr)^2 (1 + r)^2 / (4 r (1 - hr)^2)

    for one look, times the inflation of the design; subjects = d / P(event by the end of accrual + follow_up).
    hazard_ratio: a against b, either side of margin, (...), broadcasts with the designs. course: of entries, hazards
    and dropout, whose unit of time is that of follow_up and of the times that come back. ratio r: n_a / n_b. Raises
    ValueError where not just one of follow_up and subjects is given, where the subjects never have that many events,
    for a ratio that is the margin, and for a margin other than 1 with the formulas that know none.
    Schoenfeld 1981, Biometrika 68:316; Freedman 1982, Stat Med 1:121; Hsieh 1992, Stat Med 11:1079.
    """
    hr, r, edge = _effect(hazard_ratio, ratio, margin, formula)
    if np.any(hr == edge):
        raise ValueError("the hazard ratio is the margin, which no number of events tells apart; give another")
    if (follow_up is None) == (subjects is None):
        raise ValueError("give either follow_up or subjects; the other one is found")
    info = (special.ndtri(plan.alpha / plan.sided) + special.ndtri(plan.beta)) ** 2
    fixed = info / _unit(hr, r, edge, formula) ** 2
    inflation = plan.drift**2 / info
    most = fixed * inflation
    looks = most[..., None] * plan.rates
    if subjects is None:
        assert follow_up is not None
        if not 0.0 <= follow_up < np.inf:
            raise ValueError(f"follow_up is {follow_up}; give a time from 0 on, after the end of accrual")
        end = float(course.ends[-1]) + follow_up
        share = _share(course, end, hr, r)
        people, one = most / share, fixed / share
    else:
        people = np.broadcast_to(number(subjects, "subjects", 0.0, example="500"), most.shape)
        one = people
    times = _times(course, looks, people, hr, r)
    inside = people[..., None] * entered(course, times)
    there, between, none = (power(plan, share * plan.drift) for share in (1.0, 0.5, 0.0))
    sign = np.sign(np.log(hr / edge))[..., None]
    width = (1.0 + r[..., None]) / np.sqrt(r[..., None] * looks)
    bound = np.where(np.isfinite(plan.upper), plan.upper, np.nan)
    return Events(
        fixed,
        most,
        looks,
        most * there.expected,
        most * between.expected,
        most * none.expected,
        people,
        one,
        times,
        inside,
        (there.exits.any * times).sum(-1),
        (there.exits.any * inside).sum(-1),
        edge[..., None] * np.exp(sign * bound * width),
    )


def survival_power(
    plan: Design,
    events: Any,
    hazard_ratio: Any,
    ratio: Any = 1.0,
    margin: Any = 1.0,
    formula: str = "schoenfeld",
    above: bool = False,
) -> Power:
    """What the design does with so many events, both arms together, at a true hazard ratio.

    above: whether the ratio is hoped to lie above the margin; else below. The other arguments as in `survival_size`.
    """
    hr, r, edge = _effect(hazard_ratio, ratio, margin, formula)
    d = number(events, "events", 0.0, example="300")
    direction = np.sign(np.log(hr / edge)) * (1.0 if above else -1.0)
    return power(plan, direction * np.sqrt(d) * _unit(hr, r, edge, formula))


def _unit(hr: np.ndarray, r: np.ndarray, margin: np.ndarray, formula: str) -> np.ndarray:
    """Drift by one event, without its sign."""
    if formula == "schoenfeld":
        return np.sqrt(r) / (1.0 + r) * np.abs(np.log(hr / margin))
    if formula == "freedman":
        return np.sqrt(r) * np.abs(1.0 - hr) / (1.0 + r * hr)
    return 2.0 * np.sqrt(r) / (1.0 + r) * np.abs(1.0 - hr) / (1.0 + hr)


def _share(course: Course, time: Any, hr: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Probability that a subject has had the event by a calendar time, over both arms."""
    return (r * failed(course, time, hr, 0) + failed(course, time, 1.0, 1)) / (1.0 + r)


def _times(course: Course, looks: np.ndarray, people: np.ndarray, hr: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Calendar time at which so many events are expected, (..., look)."""
    lead, (d, n, h, ratio) = rows((looks, True), (people, False), (hr, False), (r, False))
    wanted = (d / n[:, None]).reshape(-1)
    h, ratio = (np.repeat(each, d.shape[1]) for each in (h, ratio))

    def more(time: np.ndarray, i: np.ndarray) -> np.ndarray:
        return _share(course, time, h[i], ratio[i]) - wanted[i]

    # After a thousand times the slowest of hazards, nothing more happens that a double would show.
    slow = np.min(course.hazards[-1] * np.minimum(h, 1.0)) if course.hazards[-1] > 0.0 else 1.0
    end = float(course.ends[-1] + course.starts[-1] + 50.0 / slow)
    least = np.zeros_like(wanted)
    most = np.full_like(wanted, end)
    if np.any(more(most, np.arange(len(most))) < 0.0):
        raise ValueError(
            f"{n.min():g} subjects have no more than {(_share(course, most, h, ratio) * n.min()).min():g} events ever, "
            f"of {d.max():g}; give more subjects, or less dropout"
        )
    return root(more, least, most).reshape(*lead, d.shape[-1])


def _effect(hazard_ratio: Any, ratio: Any, margin: Any, formula: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if formula not in FORMULAS:
        raise ValueError(f"formula is '{formula}', which is not known; write one of: {', '.join(FORMULAS)}")
    hr = number(hazard_ratio, "hazard_ratio", 0.0, example="0.7")
    r, edge = number(ratio, "ratio", 0.0, example="1"), number(margin, "margin", 0.0, example="1")
    if formula != "schoenfeld" and np.any(edge != 1.0):
        raise ValueError(f"margin is {np.max(edge):g} and formula '{formula}', which knows only 1; take schoenfeld")
    return hr, r, edge
