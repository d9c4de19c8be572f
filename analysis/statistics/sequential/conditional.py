"""What an interim look says of the end: conditional power, predictive power, and the conditional error."""

from typing import Any

import numpy as np

from analysis.statistics.sequential.exits import bounds, exits, floor
from analysis.statistics.sequential.looks import increasing, number, observed, rows, sides


def conditional_power(
    z: Any, rates: Any, upper: Any, drift: Any = None, look: int = 1, futility: Any = None, sided: int = 1
) -> np.ndarray:
    """Probability of rejecting at a later look, given Z = z at this one, (...).

        Phi((z sqrt(t) + drift (1 - t) - u) / sqrt(1 - t))

    where one look is left; else the later bounds move by what is known, and the rest is a trial of its own.
    rates: information at each look, (..., look), the last being 1. upper, futility: bounds (..., look). drift: of the
    rest, (...): None is the trend that was seen, z / sqrt(t); 0 gives the conditional error, and that of the design its
    conditional power. look: which one was just held, from 1 on. Leading dimensions broadcast; NaN for a z of
    NaN. With two sides rejection on either side counts. Raises ValueError for a look that is the last or none.
    Lan & Wittes 1988, Biometrics 44:579; Jennison & Turnbull 2000, section 10.2.
    """
    t, u, f = _plan(rates, upper, futility, look, sided)
    seen = observed(z, "z")
    filled = np.nan_to_num(seen)
    trend = filled / np.sqrt(t[..., look - 1])
    found = _later(filled, t, u, f, trend if drift is None else number(drift, "drift"), 0.0, look, sided)
    return np.where(np.isnan(seen), np.nan, found)


def conditional_error(
    z: Any, rates: Any, upper: Any, look: int = 1, futility: Any = None, sided: int = 1
) -> np.ndarray:
    """Probability of rejecting later under the null hypothesis, given Z = z at this look, (...).

    Any other design of this level for the rest of the trial keeps the error rate of the whole.
    Mueller & Schaefer 2001, Biometrics 57:886.
    """
    return conditional_power(z, rates, upper, 0.0, look, futility, sided)


def predictive_power(
    z: Any,
    rates: Any,
    upper: Any,
    look: int = 1,
    futility: Any = None,
    sided: int = 1,
    mean: Any = 0.0,
    precision: Any = 0.0,
) -> np.ndarray:
    """Conditional power, averaged over what is believed of the drift after this look, (...).

        drift ~ N((mean precision + z sqrt(t)) / (precision + t), 1 / (precision + t))

    mean, precision: of the normal prior of the drift, (...); a precision of 0 is a flat prior. In terms of theta, the
    drift is theta sqrt(I_K), so that a prior worth I_0 of information has precision I_0 / I_K. The other arguments are
    those of `conditional_power`.
    Spiegelhalter, Freedman & Blackburn 1986, Control Clin Trials 7:8.
    """
    t, u, f = _plan(rates, upper, futility, look, sided)
    seen, m = observed(z, "z"), number(mean, "mean", example="3")
    weight = np.asarray(precision, dtype=float)
    if not np.all((weight >= 0.0) & (weight < np.inf)):
        raise ValueError(f"precision is {np.min(weight):g}; give a number from 0 on, 0 for a flat prior")
    now = t[..., look - 1]
    centre = (m * weight + np.nan_to_num(seen) * np.sqrt(now)) / (weight + now)
    found = _later(np.nan_to_num(seen), t, u, f, centre, 1.0 / (weight + now), look, sided)
    return np.where(np.isnan(seen), np.nan, found)


def _later(
    z: np.ndarray,
    t: np.ndarray,
    u: np.ndarray,
    f: np.ndarray,
    drift: np.ndarray,
    variance: Any,
    look: int,
    sided: int,
) -> np.ndarray:
    """Probability of efficacy after the look, with bounds for what is then added to the score z sqrt(t).

    What is added by s = t_k - t has the mean drift s and, for a drift with that variance v, cov(s, s') = s (1 + v s')
    for s <= s'. Divided by 1 + v s it has independent increments again, and the information s / (1 + v s).
    """
    now = t[..., look - 1 : look]
    rest, added = t[..., look:], t[..., look:] - now
    spread = 1.0 + np.asarray(variance)[..., None] * added
    gone = z[..., None] * np.sqrt(now) + drift[..., None] * added

    def moved(bound: np.ndarray) -> np.ndarray:
        return (bound[..., look:] * np.sqrt(rest) - gone) / np.sqrt(added * spread)

    times = added / spread
    if sided == 1:
        return exits(times, moved(u), 0.0, moved(f)).upper.sum(-1)
    if np.any(f[..., look:-1] > 0.0):
        raise ValueError("futility inside of two sides has no conditional power here; leave it out")
    # What crosses one bound is a one-sided trial whose other bound ends it without.
    top, low = moved(u), moved(-u)
    return exits(times, top, 0.0, low).upper.sum(-1) + exits(times, -low, 0.0, -top).upper.sum(-1)


def _plan(rates: Any, upper: Any, futility: Any, look: int, sided: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    t = increasing(rates, "information rates")
    if np.any(np.abs(t[..., -1] - 1.0) > 1e-12):
        raise ValueError(f"the last information rate is {t[..., -1].max():g}; divide all by the last, to end at 1")
    if not 1 <= look < t.shape[-1]:
        raise ValueError(f"look is {look} of {t.shape[-1]}; give one from 1 on that is not the last")
    lead, tables = rows(
        (t, True), (bounds(upper, "upper", t.shape[-1]), True), (floor(futility, t.shape[-1], sides(sided)), True)
    )
    t, u, f = (each.reshape(*lead, each.shape[-1]) for each in tables)
    return t, u, f
