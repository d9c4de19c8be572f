"""Bootstrap of anything that is a function of means, all resamples at once."""

import numpy as np

CHUNK = 4_000_000  # counts held at a time


def resampled_means(columns: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Means of `columns`, (row, column), over rows drawn with replacement: (resample, column).

    Which rows are drawn depends on the number of rows and the seed alone: columns that are given apart are resampled
    alike. Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 6.
    """
    rng = generator(seed)
    rows = len(columns)
    means = np.empty((resamples, columns.shape[1]))
    for start in range(0, resamples, step := max(1, CHUNK // rows)):
        stop = min(resamples, start + step)
        means[start:stop] = counts(rng, rows, stop - start) @ columns / rows
    return means


def counts(rng: np.random.Generator, rows: int, resamples: int) -> np.ndarray:
    """How often each row is drawn in each resample, (resample, row)."""
    drawn = rng.integers(rows, size=(resamples, rows)) + rows * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * rows).reshape(resamples, rows).astype(float)


def generator(seed: int) -> np.random.Generator:
    """The generator of an analysis; its stream is not that of the design of the same seed."""
    return np.random.default_rng([seed, 1])


def interval(resampled: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """95 % percentile interval over resamples, (resample, *shape); NaN without resamples and where all are NaN."""
    low, high = np.full(shape, np.nan), np.full(shape, np.nan)
    if len(resampled):
        known = ~np.isnan(resampled).all(0)
        if known.any():
            low[known], high[known] = np.nanquantile(resampled[:, known], (0.025, 0.975), axis=0)
    return low, high
