"""Score statistics of two proportions under a null value of their difference, ratio or odds ratio."""

from typing import Any, Literal

import numpy as np
from scipy.optimize import elementwise

from analysis.statistics.binary.tables import Table

Scale = Literal["difference", "ratio", "odds"]
FAR = 46.0  # log of a ratio that no count of subjects can tell from infinity


def constrained(table: Table, null: Any, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Most likely shares of both arms given that their difference, ratio or odds ratio is `null`, each (...).

    Closed forms: the roots of a cubic for the difference, of quadratics for the others.
    Miettinen & Nurminen 1985, Stat Med 4:213, appendix; Farrington & Manning 1990, Stat Med 9:1447.
    """
    xa, na, xb, nb = table
    total, events = na + nb, xa + xb
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if scale == "difference":
            return _by_difference(table, np.asarray(null, float))
        if scale == "ratio":
            middle = na * null + xa + nb + xb * null
            pb = 2 * events / (middle + np.sqrt(np.maximum(middle**2 - 4 * total * null * events, 0.0)))
            pb = np.minimum(pb, 1.0)
            return np.clip(null * pb, 0.0, 1.0), pb
        # nb (psi - 1) pb^2 + (na psi + nb - events (psi - 1)) pb - events = 0, by the root that does not cancel
        first, middle = nb * (null - 1), na * null + nb - events * (null - 1)
        root = np.sqrt(np.maximum(middle**2 + 4 * first * events, 0.0))
        pb = np.where(middle > 0, 2 * events / (middle + root), (root - middle) / (2 * first))
        pb = np.clip(pb, 0.0, 1.0)
        return np.clip((events - nb * pb) / na, 0.0, 1.0), pb  # events are what was seen


def _by_difference(table: Table, null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    xa, na, xb, nb = table
    total, events = na + nb, xa + xb
    second = (na + 2 * nb) * null - total - events
    first = (nb * null - total - 2 * xb) * null + events
    zeroth = xb * null * (1 - null)
    shift = second / (3 * total)
    q = shift**3 - first * second / (6 * total**2) + zeroth / (2 * total)
    p = np.where(q < 0, -1.0, 1.0) * np.sqrt(np.maximum(shift**2 - first / (3 * total), 0.0))
    ratio = np.where(p == 0, 0.0, q / np.where(p == 0, 1.0, p) ** 3)
    angle = (np.pi + np.arccos(np.clip(ratio, -1.0, 1.0))) / 3
    pb = 2 * p * np.cos(angle) - shift
    # arccos halves the digits near its ends; a step of Newton brings them back
    slope = (3 * total * pb + 2 * second) * pb + first
    step = (((total * pb + second) * pb + first) * pb + zeroth) / np.where(slope == 0, np.inf, slope)
    pb = np.where(np.abs(step) < 1e-6, pb - step, pb)
    pb = np.clip(pb, np.maximum(0.0, -null), np.minimum(1.0, 1 - null))
    return np.clip(pb + null, 0.0, 1.0), pb


def score(table: Table, null: Any, scale: Scale, unbiased: bool) -> np.ndarray:
    """Signed root of the score statistic for `null`, (...); positive where arm a has more than that.

        difference  z = (p_a - p_b - null) / sqrt(V),        V = pt_a qt_a / n_a + pt_b qt_b / n_b
        ratio       z = (p_a - null p_b) / sqrt(V),          V = pt_a qt_a / n_a + null^2 pt_b qt_b / n_b
        odds        z = (p_a - pt_a) n_a / sqrt(V),          V = 1 / (1 / (n_a pt_a qt_a) + 1 / (n_b pt_b qt_b))

    with the constrained shares pt; unbiased: V n / (n - 1), n of both arms. 0 where nothing tells against the null.
    """
    pa, pb = table.shares
    ca, cb = constrained(table, null, scale)
    total = table.na + table.nb
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        va, vb = ca * (1 - ca) / table.na, cb * (1 - cb) / table.nb
        if scale == "difference":
            above, variance = pa - pb - null, va + vb
        elif scale == "ratio":
            above, variance = pa - null * pb, va + np.asarray(null, float) ** 2 * vb
        else:
            above, variance = table.na * (pa - ca), 1 / (1 / (va * table.na**2) + 1 / (vb * table.nb**2))
        if unbiased:
            variance = variance * total / (total - 1)
        z = above / np.sqrt(variance)
        # Where shares are known for certain, a difference that is but rounding is none.
        none = np.abs(above) <= 1e-13 * np.maximum(table.na, 1.0) ** (scale == "odds")
        return np.where(none & ~(variance > 1e-26), 0.0, z)


def limits(table: Table, scale: Scale, z: float, unbiased: bool) -> tuple[np.ndarray, np.ndarray]:
    """Null values that the score statistic does not reject, |statistic| <= z: both ends, each (...).

    Ratios without an end go to 0 or infinity. NaN where an arm is empty or, of ratios, nothing or everything happened.
    """
    columns = [np.ravel(each) for each in np.broadcast_arrays(*table)]
    far = 1.0 if scale == "difference" else FAR
    with np.errstate(divide="ignore", invalid="ignore"):
        pa, pb = Table(*columns).shares
        if scale == "difference":
            middle = pa - pb
        elif scale == "ratio":
            middle = np.log(pa / pb)
        else:
            middle = np.log(pa * (1 - pb) / (pb * (1 - pa)))
    middle = np.clip(middle, -far, far)

    def beyond(at: np.ndarray, side: np.ndarray, *counts: np.ndarray) -> np.ndarray:
        null = at if scale == "difference" else np.exp(at)
        found = score(Table(*counts), null, scale, unbiased)
        return np.where(np.isinf(found), np.sign(found) * 1e6, found) - side * z

    ends = []
    for side in (1.0, -1.0):
        end = np.full(middle.shape, np.nan)
        known = np.isfinite(middle)
        open_ = known & (middle == -side * far)
        end[open_] = -side * far
        inner = known & ~open_
        if inner.any():
            part = [each[inner] for each in columns]
            sides = np.full(int(inner.sum()), side)
            low, high = (
                (np.full(len(sides), -far), middle[inner]) if side > 0 else (middle[inner], np.full(len(sides), far))
            )
            with np.errstate(all="ignore"):
                found = elementwise.find_root(
                    beyond, (low, high), args=(sides, *part), tolerances={"xatol": 1e-14, "xrtol": 1e-14}
                )
            end[inner] = np.where(found.success, found.x, -side * far)
        ends.append(end if scale == "difference" else _ratio(end))
    shape = np.broadcast(*table).shape
    return ends[0].reshape(shape), ends[1].reshape(shape)


def _ratio(log: np.ndarray) -> np.ndarray:
    return np.where(log <= -FAR, 0.0, np.where(log >= FAR, np.inf, np.exp(log)))
