"""Sample sizes that are planned again within the trial, blind to the arms or not."""

from typing import Any, NamedTuple

import numpy as np
from scipy import special

from analysis.statistics.arrays import plain
from analysis.statistics.sequential.looks import number, observed


class Blinded(NamedTuple):
    """subjects: of the whole trial, both arms, not rounded. nuisance: sd, or rate of both arms together, of those seen
    so far. seen: how many they were. All (...)."""

    subjects: np.ndarray
    nuisance: np.ndarray
    seen: np.ndarray


def blinded_mean(
    values: Any,
    difference: Any,
    alpha: Any = 0.025,
    beta: Any = 0.1,
    ratio: Any = 1.0,
    adjusted: bool = False,
    least: Any = 0.0,
    most: Any = np.inf,
) -> Blinded:
    """Subjects for a difference of means, by the variance of all values together.

        n = (z_alpha + z_beta)^2 s^2 (1 + r)^2 / (r difference^2)

    values: of whoever was seen, (..., subject); NaN is left out. s^2: their variance; with adjusted less what the
    difference adds to it, r difference^2 / (1 + r)^2 n / (n - 1) in expectation, and never below 0. alpha: one-sided.
    ratio r: n_a / n_b. The answer is kept within least (and who was seen) and most. NaN for fewer than two values.
    Kieser & Friede 2003, Stat Med 22:3571; Gould & Shih 1992, Commun Stat Theory Methods 21:2833.
    """
    x = plain(values, "values")
    gap, r = number(difference, "difference", example="0.4"), number(ratio, "ratio", 0.0, example="1")
    if np.any(gap == 0.0):
        raise ValueError("difference is 0, which no number of subjects shows; give the one that is planned for")
    used = ~np.isnan(x)
    n = used.sum(-1).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(used, x, 0.0).sum(-1) / n
        variance = np.where(used, (x - mean[..., None]) ** 2, 0.0).sum(-1) / (n - 1.0)
        if adjusted:
            variance = np.maximum(variance - r * gap**2 / (1.0 + r) ** 2 * n / (n - 1.0), 0.0)
    needed = _quantiles(alpha, beta) ** 2 * variance * (1.0 + r) ** 2 / (r * gap**2)
    kept = np.where(n > 1, _within(needed, n, least, most), np.nan)
    return Blinded(kept, np.where(n > 1, np.sqrt(variance), np.nan), n)


def blinded_rate(
    events: Any,
    subjects: Any,
    difference: Any,
    alpha: Any = 0.025,
    beta: Any = 0.1,
    ratio: Any = 1.0,
    least: Any = 0.0,
    most: Any = np.inf,
) -> Blinded:
    """Subjects for a difference of rates, a - b, by the rate of both arms together.

        n = (1 + r) (z_alpha sqrt(p (1 - p) (1 + 1 / r)) + z_beta sqrt(a (1 - a) / r + b (1 - b)))^2 / difference^2
        b = p - r difference / (1 + r),   a = b + difference

    events, subjects: seen so far, (...). NaN where the difference does not fit the rate, or nobody was seen. The other
    arguments as in `blinded_mean`. Raises ValueError for more events than subjects.
    Gould 1992, Stat Med 11:55; Gould & Shih 1992, Commun Stat Theory Methods 21:2833.
    """
    d, n = np.asarray(events, dtype=float), np.asarray(subjects, dtype=float)
    if not np.all((d >= 0.0) & (d <= n)):
        raise ValueError("there are fewer than no events, or more than subjects; give counts of those seen so far")
    gap, r = number(difference, "difference", -1.0, 1.0, "0.15"), number(ratio, "ratio", 0.0, example="1")
    if np.any(gap == 0.0):
        raise ValueError("difference is 0, which no number of subjects shows; give the one that is planned for")
    za, zb = (-special.ndtri(number(each, name, 0.0, 1.0)) for each, name in ((alpha, "alpha"), (beta, "beta")))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = d / n
        b = p - r * gap / (1.0 + r)
        a = b + gap
        fits = (a >= 0.0) & (a <= 1.0) & (b >= 0.0) & (b <= 1.0)
        root = za * np.sqrt(p * (1 - p) * (1 + 1 / r)) + zb * np.sqrt(a * (1 - a) / r + b * (1 - b))
    needed = np.where(fits, (1.0 + r) * root**2 / gap**2, np.nan)
    return Blinded(np.where(fits, _within(needed, n, least, most), np.nan), p, n)


class Promising(NamedTuple):
    """zone: 0 unfavourable, 1 promising, 2 favourable. conditional: power under the trend, with the planned size.
    subjects: of the whole trial. final: its conditional power with them. bound: what Z of all data has to reach then,
    so that the error rate stays exactly alpha; where it is nowhere above z_alpha, the usual test errs no more
    often. All are (...)."""

    zone: np.ndarray
    conditional: np.ndarray
    subjects: np.ndarray
    final: np.ndarray
    bound: np.ndarray


def promising(
    z: Any, interim: Any, planned: Any, most: Any, alpha: Any = 0.025, target: Any = 0.9, least: Any = 0.36
) -> Promising:
    """Subjects after an unblinded look, by the rule of the promising zone.

        n(z) = n_1 + (n_1 / z^2) ((z_alpha sqrt(n_2) - z sqrt(n_1)) / sqrt(n_2 - n_1) + z_beta)^2

    where conditional power under the trend lies from `least` to below `target` = 1 - beta, kept within planned and
    most; elsewhere the planned size. z: at the look, interim n_1, planned n_2, most: subjects, or information, (...);
    a z of NaN is unfavourable.
    alpha: one-sided. Raises ValueError where the sizes do not follow each other.
    Mehta & Pocock 2011, Stat Med 30:3267; Gao, Ware & Mehta 2008, J Biopharm Stat 18:1184.
    """
    seen = observed(z, "z")
    first, second = number(interim, "interim", 0.0, example="100"), number(planned, "planned", 0.0, example="200")
    limit = number(most, "most", 0.0, example="400")
    if np.any(first >= second) or np.any(second > limit):
        raise ValueError("interim, planned and most do not follow each other; give interim < planned <= most")
    top, low = number(target, "target", 0.0, 1.0, "0.9"), number(least, "least", 0.0, 1.0, "0.36")
    if np.any(low >= top):
        raise ValueError(f"least is {np.max(low):g} and target {np.min(top):g}; give least below target")
    za = -special.ndtri(number(alpha, "alpha", 0.0, 1.0, "0.025"))
    needed = (za * np.sqrt(second) - seen * np.sqrt(first)) / np.sqrt(second - first)
    conditional = special.ndtr(seen * np.sqrt((second - first) / first) - needed)
    zone = np.where(conditional >= top, 2, np.where(conditional >= low, 1, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = first * (1.0 + (needed + special.ndtri(top)) ** 2 / seen**2)
    subjects = np.where(zone == 1, np.clip(wanted, second, limit), second)
    rest = np.sqrt(subjects - first)
    bound = (needed * rest + seen * np.sqrt(first)) / np.sqrt(subjects)
    final = special.ndtr(seen * rest / np.sqrt(first) - needed)
    return Promising(zone, conditional, subjects, final, bound)


def _quantiles(alpha: Any, beta: Any) -> np.ndarray:
    return -special.ndtri(number(alpha, "alpha", 0.0, 1.0, "0.025")) - special.ndtri(number(beta, "beta", 0.0, 1.0))


def _within(needed: np.ndarray, seen: np.ndarray, least: Any, most: Any) -> np.ndarray:
    if np.any(np.asarray(least) > np.asarray(most)):
        raise ValueError("least is above most; give the fewest and the most subjects of the trial")
    return np.maximum(np.clip(needed, least, most), seen)
