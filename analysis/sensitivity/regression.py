"""What a stored cohort tells of its inputs, correlated as they are: regressions on ranks, and a tornado.

Inputs are named arrays of physical values, (patient,); those named in `levels` hold codes of categories, 0, 1, ..
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from analysis.sensitivity.resampling import counts, generator, interval
from analysis.sensitivity.threads import one_thread

TENTH = 0.1


class Coefficients(NamedTuple):
    """Rank regression of one output. Every array is (input,), in the order of the inputs.

    srrc: standardised coefficients of the regression of the output's ranks on the inputs' ranks; lower, upper: 95 %.
    prcc: partial correlation of ranks, given all other inputs, with its 95 % interval. An input of categories has one
    indicator a level but the first: its srrc is the standard deviation of its fitted part, and its prcc the multiple
    partial correlation, both without a sign and from 0. p: that the input has no effect, given the others (F test).
    r2: share of the variance of the ranks that the regression explains. used, dropped: patients with all values.
    """

    inputs: tuple[str, ...]
    srrc: np.ndarray
    srrc_lower: np.ndarray
    srrc_upper: np.ndarray
    prcc: np.ndarray
    prcc_lower: np.ndarray
    prcc_upper: np.ndarray
    p: np.ndarray
    r2: float
    used: int
    dropped: int


class Bar(NamedTuple):
    """Mean of the output where one input is in a range: its lowest or highest tenth, or at a level.

    label: "lowest tenth", "highest tenth", or the level. lowest, highest: values of the input in it, or the code twice.
    se: standard error of the mean. patients: how many.
    """

    input: str
    label: str
    lowest: float
    highest: float
    mean: float
    se: float
    patients: int


@one_thread
def rank_regression(
    inputs: Mapping[str, np.ndarray],
    output: np.ndarray,
    levels: Mapping[str, tuple[str, ...]],
    *,
    seed: int = 0,
    resamples: int = 300,
) -> Coefficients:
    """Standardised rank regression and partial rank correlations of one output, (patient,).

        srrc = b of  rank(y) = sum_i b_i rank(x_i) + e, all in units of their standard deviations
        prcc = t / sqrt(t^2 + degrees of freedom)

    Intervals by a bootstrap of patients, ranked anew in each resample. Patients with a value that is not finite are
    left out. Raises ValueError where inputs are combinations of each other, or patients are fewer than 10 a
    coefficient. Saltelli & Sobol 1995, Reliab Eng Syst Saf 50:225; Marino et al. 2008, J Theor Biol 254:178.
    """
    table, y, dropped = _complete(inputs, output, levels)
    used, names = len(y), tuple(table)
    columns = [_column(values, name in levels) for name, values in table.items()]
    widths = np.array([column.width for column in columns])
    if used < 10 * (1 + widths.sum()):
        raise ValueError(
            f"{used} patients are too few for a regression on {widths.sum()} columns; "
            f"use {10 * (1 + widths.sum())} or more, or fewer inputs"
        )
    if np.ptp(y) == 0:
        return _coefficients(names, np.full((len(table), 7), np.nan), float("nan"), used, dropped)
    columns.append(_column(y, False))
    whole = _covariance(columns, np.ones(used))
    ends = np.cumsum(widths)
    weak = np.linalg.cholesky(whole[:-1, :-1] + 1e-14 * np.eye(ends[-1])).diagonal() < 1e-6
    if weak.any():
        name = names[int(np.searchsorted(ends, np.argmax(weak), side="right"))]
        raise ValueError(f"input '{name}' is a combination of those before it; leave one of them out")
    parts = [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]
    signed = np.array([name not in levels for name in names])
    value, r2 = _solve(whole[None], parts, signed)
    rng = generator(seed)
    drawn = [_covariance(columns, counts(rng, used, 1)[0]) for _ in range(resamples)]
    resampled = _solve(np.array(drawn), parts, signed)[0] if drawn else np.empty((0, *value[0].shape))
    low, high = interval(resampled, value[0].shape)
    partial = np.minimum(value[0, 1] ** 2, 1 - 1e-15)
    freedom = used - 1 - ends[-1]
    p = stats.f(widths, freedom).sf(partial / (1 - partial) * freedom / widths)
    rows = [value[0, 0], low[0], high[0], value[0, 1], low[1], high[1], p]
    return _coefficients(names, np.array(rows).T, float(r2[0]), used, dropped)


class _Column(NamedTuple):
    """One input, or the output: what stands for it in a regression. group: (patient,), number of his value among all
    values, rising. width: how many columns stand for it."""

    group: np.ndarray
    categorical: bool
    width: int

    def stand_in(self, weights: np.ndarray) -> np.ndarray:
        """Indicators of all categories but the first, or middle ranks among the weighted patients, as shares of them:
        (patient, column)."""
        if self.categorical:
            return (self.group[:, None] == np.arange(1, self.width + 1)).astype(float)
        mass = np.bincount(self.group, weights)
        return ((np.cumsum(mass) - mass / 2) / mass.sum())[self.group][:, None]


def _column(values: np.ndarray, categorical: bool) -> _Column:
    unique, group = np.unique(values, return_inverse=True)
    return _Column(group, categorical, len(unique) - 1 if categorical else 1)


def _covariance(columns: list[_Column], weights: np.ndarray) -> np.ndarray:
    """Covariance of what stands for inputs and output, (column, column), weights: (patient,)."""
    joint = np.concatenate([column.stand_in(weights) for column in columns], axis=1)
    joint -= weights @ joint / weights.sum()
    return (joint * weights[:, None]).T @ joint / weights.sum()


def _solve(covariance: np.ndarray, parts: list[slice], signed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """srrc and prcc, (set, 2, input), and r2, (set,), from sets of covariances, (set, column, column).

    The last column is the output; NaN where it does not vary. parts: the columns of each input. signed: whether an
    input has a sign.
    """
    among, towards, variance = covariance[:, :-1, :-1], covariance[:, :-1, -1], covariance[:, -1, -1]
    # A resample may lack a level: its column, all zeros, then gets the coefficient 0.
    inverse = np.linalg.inv(among + 1e-12 * np.eye(among.shape[1]))
    b = np.einsum("sij,sj->si", inverse, towards)
    # A resample in which the output is the same for all tells nothing.
    variance = np.where(variance > 1e-12, variance, np.nan)
    rest = np.maximum(variance - (b * towards).sum(1), 0.0)
    found = np.empty((len(covariance), 2, len(parts)))
    for n, part in enumerate(parts):
        own = b[:, part]
        gain = np.einsum("si,sij,sj->s", own, np.linalg.inv(inverse[:, part, part]), own)  # of variance
        held = np.einsum("si,sij,sj->s", own, among[:, part, part], own)
        sign = np.sign(own[:, 0]) if signed[n] else 1.0
        found[:, 0, n] = sign * np.sqrt(np.maximum(held, 0.0) / variance)
        found[:, 1, n] = sign * np.sqrt(np.maximum(gain, 0.0) / np.maximum(gain + rest, 1e-300))
    return found, 1.0 - rest / variance


def _coefficients(inputs: tuple[str, ...], rows: np.ndarray, r2: float, used: int, dropped: int) -> Coefficients:
    srrc, low, high, prcc, prcc_low, prcc_high, p = rows.T
    return Coefficients(inputs, srrc, low, high, prcc, prcc_low, prcc_high, p, r2, used, dropped)


def tornado(
    inputs: Mapping[str, np.ndarray], output: np.ndarray, levels: Mapping[str, tuple[str, ...]]
) -> tuple[Bar, ...]:
    """Mean of the output, (patient,), in the lowest and the highest tenth of each input, and at each of its levels.

    Inputs as they vary together: nothing else is held fixed. Equal values at the border of a tenth all belong to it.
    Patients with a value that is not finite are left out.
    """
    table, y, _ = _complete(inputs, output, levels)
    bars = []
    for name, values in table.items():
        if name in levels:
            parts = [(label, values == code) for code, label in enumerate(levels[name])]
        else:
            low, high = np.quantile(values, (TENTH, 1.0 - TENTH), method="inverted_cdf")
            parts = [("lowest tenth", values <= low), ("highest tenth", values >= high)]
        for label, inside in parts:
            n = int(inside.sum())
            bars.append(
                Bar(
                    name,
                    label,
                    float(values[inside].min()) if n else float("nan"),
                    float(values[inside].max()) if n else float("nan"),
                    float(y[inside].mean()) if n else float("nan"),
                    float(y[inside].std(ddof=1) / n**0.5) if n > 1 else float("nan"),
                    n,
                )
            )
    return tuple(bars)


def _complete(
    inputs: Mapping[str, np.ndarray], output: np.ndarray, levels: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, np.ndarray], np.ndarray, int]:
    """Inputs that vary, and the output, of patients that have all values; and how many have not."""
    if not inputs:
        raise ValueError("there are no inputs; name one or more")
    for name in levels:
        if name not in inputs:
            raise ValueError(f"levels are given for '{name}', which is no input; write some of: {', '.join(inputs)}")
    y = np.asarray(output, dtype=float)
    table = {name: np.asarray(values, dtype=float) for name, values in inputs.items()}
    for name, values in table.items():
        if values.shape != y.shape or y.ndim != 1:
            raise ValueError(
                f"input '{name}' has {values.shape=} and the output {y.shape=}; give each one value a patient"
            )
    whole = np.isfinite(y) & np.all([np.isfinite(values) for values in table.values()], axis=0)
    if not whole.any():
        raise ValueError("no patient has all values; leave out the input that lacks most")
    table = {name: values[whole] for name, values in table.items()}
    for name, values in table.items():
        if np.ptp(values) == 0:
            raise ValueError(f"input '{name}' is the same for all patients; leave it out")
    return table, y[whole], int((~whole).sum())
