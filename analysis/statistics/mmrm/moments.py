"""Cross products of designs and outcomes by pattern of missing visits: all that the likelihood asks of the data."""

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Of each replicate and pattern, a set of visits that somebody has, in a group of equal covariance.

    sums: of z_j z_k' + z_k z_j' over the pattern's subjects (z_j z_j' where j = k), z = (x, y), upper triangles:
    (replicate, pattern * pair, entry). counts: subjects, (replicate, pattern). seen: (pattern, visit) bool.
    group: (pattern,). pairs, entries: places in the lower and upper triangles.
    """

    sums: np.ndarray
    counts: np.ndarray
    seen: np.ndarray
    group: np.ndarray
    pairs: tuple[np.ndarray, np.ndarray]
    entries: tuple[np.ndarray, np.ndarray]


def moments(x: np.ndarray, y: np.ndarray, used: np.ndarray, group: np.ndarray) -> Moments:
    """Cross products of x (replicate, subject, visit, column) and y, both 0 where not used.

    used: (replicate, subject, visit) bool; group: (replicate, subject).
    """
    replicates, _, visits, columns = x.shape
    codes = (used * 2 ** np.arange(visits)).sum(-1) + group * 2**visits
    patterns = np.unique(codes[used.any(-1)])
    member = (codes[..., None] == patterns).astype(float)
    seen = (patterns[:, None] // 2 ** np.arange(visits)) % 2 == 1
    pairs, entries = np.tril_indices(visits), np.triu_indices(columns + 1)
    z = np.concatenate([x, y[..., None]], -1)
    sums = np.empty((replicates, len(patterns), len(pairs[0]), len(entries[0])))
    turned = np.ascontiguousarray(np.swapaxes(member, -1, -2))
    for i, (j, k) in enumerate(zip(*pairs, strict=True)):
        a, b = z[:, :, j], z[:, :, k]
        product = a[..., entries[0]] * b[..., entries[1]]
        if j != k:
            product += b[..., entries[0]] * a[..., entries[1]]
        sums[:, :, i] = turned @ product
    flat = sums.reshape(replicates, -1, len(entries[0]))
    return Moments(flat, member.sum(1), seen, patterns // 2**visits, pairs, entries)


def weighted(data: Moments, weights: np.ndarray) -> np.ndarray:
    """sum_i Z_i' W_i Z_i, (replicate, ..., entry, entry), of symmetric W (replicate, ..., pattern, visit, visit)."""
    packed = weights[..., data.pairs[0], data.pairs[1]]
    inner = packed.shape[1:-2]
    flat = packed.reshape(len(packed), int(np.prod(inner)), -1) @ data.sums
    size = data.entries[0].max() + 1
    full = np.empty((len(packed), *inner, size, size))
    full[..., data.entries[0], data.entries[1]] = flat.reshape(len(packed), *inner, -1)
    full[..., data.entries[1], data.entries[0]] = full[..., data.entries[0], data.entries[1]]
    return full


def traced(data: Moments, matrices: np.ndarray) -> np.ndarray:
    """sum_i z_ij' A z_ik by pattern, (replicate, matrix, pattern, j, k), of symmetric A (replicate, matrix, ...)."""
    twice = np.where(data.entries[0] == data.entries[1], 1.0, 2.0)
    packed = matrices[..., data.entries[0], data.entries[1]] * twice
    flat = data.sums @ np.swapaxes(packed, -1, -2)
    j, k = data.pairs
    parts = flat.reshape(len(flat), len(data.seen), len(j), matrices.shape[1]) * np.where(j == k, 1.0, 0.5)[:, None]
    visits = data.seen.shape[1]
    full = np.empty((len(flat), parts.shape[-1], len(data.seen), visits, visits))
    full[..., j, k] = np.moveaxis(parts, -1, 1)
    full[..., k, j] = full[..., j, k]
    return full
