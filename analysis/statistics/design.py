"""Designs of linear models: an intercept, a column for every level of a factor, and covariates about their means.

A term is a tuple of names, such as ("arm",) or ("arm", "visit"); () is the intercept. A factor has a column for each
of its levels, so that columns tell each other as in SAS; `independent` says which of them a fit keeps.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.statistics.arrays import plain

ARM = "arm"
ALIASED = 1e-10  # share of a column's square that must be its own, for it to count as no sum of the columns before it
EMPTY = 1e-8  # a linear function that strays from the space of the rows by more than this is not estimable

Term = tuple[str, ...]


class Column(NamedTuple):
    """What a column multiplies: covariates, and indicators of levels of factors, by place."""

    covariates: Term
    levels: dict[str, int]


class Design(NamedTuple):
    """matrix: (..., row, column), 0 in rows that are not used; rows may be (subject, visit).

    levels: the codes of each factor. present: which of them are in use, shares: of the rows used, (..., level).
    centres: means of covariates over the rows used, (...,). rows: the number of dimensions that count rows.
    """

    matrix: np.ndarray
    columns: tuple[Column, ...]
    terms: tuple[Term, ...]
    levels: dict[str, np.ndarray]
    present: dict[str, np.ndarray]
    shares: dict[str, np.ndarray]
    centres: dict[str, np.ndarray]
    rows: int


def build(
    used: np.ndarray,
    factors: Mapping[str, np.ndarray],
    covariates: Mapping[str, np.ndarray],
    terms: Sequence[Term],
    rows: int = 1,
) -> Design:
    """The design of those terms. used: bool, its last `rows` dimensions being rows.

    factors, covariates: of the shape of used. Raises ValueError for a term that names what is neither.
    """
    known = [*factors, *covariates]
    for name in itertools.chain(*terms):
        if name not in known:
            raise ValueError(f"a term names {name!r}, which is no factor and no covariate; name one of {sorted(known)}")
    inner = tuple(range(-rows, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        number = used.sum(inner)
        centres = {name: np.where(used, each, 0.0).sum(inner) / number for name, each in covariates.items()}
    spread = {each: centres[each].reshape(centres[each].shape + (1,) * rows) for each in centres}
    centred = {name: np.where(used, each - spread[name], 0.0) for name, each in covariates.items()}
    levels = {name: np.unique(each[used & ~np.isnan(each)]) for name, each in factors.items()}
    marks = {name: [used & (factors[name] == code) for code in levels[name]] for name in factors}
    shares = {}
    for name, each in marks.items():
        counts = np.stack([mark.sum(inner) for mark in each], -1) if each else np.zeros((*number.shape, 0))
        shares[name] = counts / np.maximum(number, 1)[..., None]
    columns, matrix = [], []
    for term in terms:
        own = [name for name in term if name in factors]
        numbers = tuple(sorted(name for name in term if name in covariates))
        for places in itertools.product(*(range(len(levels[name])) for name in own)):
            column = used.astype(float)
            for name, place in zip(own, places, strict=True):
                column = column * marks[name][place]
            for name in numbers:
                column = column * centred[name]
            columns.append(Column(numbers, dict(zip(own, places, strict=True))))
            matrix.append(column)
    present = {name: share > 0 for name, share in shares.items()}
    return Design(np.stack(matrix, -1), tuple(columns), tuple(terms), levels, present, shares, centres, rows)


def mean(design: Design, at: Mapping[str, float], margins: str = "equal") -> np.ndarray:
    """Coefficients (..., column) of a least-squares mean: factors at the levels named, covariates at their means.

    margins: over the other factors, "equal" weights of the levels that are present, or as "observed".
    """
    weights = {name: _even(design, name) if margins == "equal" else design.shares[name] for name in design.levels}
    for name, code in at.items():
        found = np.flatnonzero(design.levels[name] == code)
        chosen = np.zeros(design.shares[name].shape)
        chosen[..., found] = 1.0
        weights[name] = chosen
    return _row(design, (), weights)


def empty(design: Design, arms: Sequence[float]) -> np.ndarray:
    """Whether one of these arms has no row that is used, (...,) bool."""
    present, codes = design.present[ARM], design.levels[ARM]
    there = [present[..., codes == code].any(-1) for code in arms]
    return ~np.all(there, axis=0)


def hypothesis(design: Design, term: Term) -> np.ndarray:
    """Coefficients (..., row, column) whose being 0 says that a term has no effect, of type III.

    Differences to the first level that is present, over equally weighted levels of the factors that they interact with,
    at the covariates' means. Rows of levels that are absent are 0.
    """
    own = [name for name in term if name in design.levels]
    numbers = tuple(sorted(name for name in term if name not in design.levels))
    rows = []
    for places in itertools.product(*(range(len(design.levels[name])) for name in own)):
        weights = {name: _even(design, name) for name in design.levels}
        for name, place in zip(own, places, strict=True):
            present = design.present[name]
            every = np.arange(present.shape[-1])
            difference = (every == place) - (every == np.argmax(present, -1)[..., None]).astype(float)
            weights[name] = np.where(present[..., place, None], difference, 0.0)
        rows.append(_row(design, numbers, weights, frozenset(own)))
    return np.stack(rows or [0 * _row(design, (), {})], -2)


def _even(design: Design, name: str) -> np.ndarray:
    """Equal weights of the levels that are present."""
    present = design.present[name]
    return present / np.maximum(present.sum(-1, keepdims=True), 1)


def _row(
    design: Design, covariates: Term, weights: Mapping[str, np.ndarray], factors: frozenset[str] = frozenset()
) -> np.ndarray:
    """Weights of the columns of these covariates that hold at least these factors; 0 for the others."""
    row = np.zeros((*design.matrix.shape[: -design.rows - 1], len(design.columns)))
    for i, column in enumerate(design.columns):
        if column.covariates != covariates or not factors <= set(column.levels):
            continue
        value: Any = 1.0
        for name, place in column.levels.items():
            value = value * weights[name][..., place]
        row[..., i] = value
    return row


def independent(gram: np.ndarray) -> np.ndarray:
    """Which columns are no sum of the ones before them, (..., column) bool, of their cross products.

    Goodnight 1979, Am Stat 33:149.
    """
    left = gram.copy()
    own = np.diagonal(gram, axis1=-2, axis2=-1)
    kept = np.zeros(own.shape, bool)
    for k in range(gram.shape[-1]):
        pivot = left[..., k, k]
        kept[..., k] = pivot > ALIASED * own[..., k]
        factor = np.where(kept[..., k], 1.0 / np.where(kept[..., k], pivot, 1.0), 0.0)
        left = left - factor[..., None, None] * left[..., :, k, None] * left[..., None, k, :]
    return kept


def inverse(gram: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Inverse of the cross products of the columns that are kept, 0 elsewhere; of a positive definite matrix."""
    both = kept[..., :, None] & kept[..., None, :]
    return np.where(both, np.linalg.inv(np.where(both, gram, np.eye(gram.shape[-1]))), 0.0)


def estimable(rows: np.ndarray, inverse: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Whether linear functions (..., row, column) depend on the data alone, not on which columns are kept; (..., row).

    Searle 1971, Linear Models, section 5.4: L = L G X'X.
    """
    stray = np.abs(rows @ inverse @ gram - rows).max(-1)
    return stray <= EMPTY * np.abs(rows).max(-1)


def read(
    values: Any,
    arms: Any,
    factors: Mapping[str, Any] | None,
    covariates: Mapping[str, Any] | None,
    *inner: str,
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Values (..., *inner), factors with the arms (where there are any) among them, and covariates, all of one shape.

    Factors and covariates are one number a subject, or one for each of the inner dimensions.
    """
    inner = inner or ("subject",)
    found = plain(values, "values", *inner)
    named = [] if arms is None else [("arms", ARM, arms, True)]
    named += [(name, name, each, True) for name, each in (factors or {}).items()]
    named += [(name, name, each, False) for name, each in (covariates or {}).items()]
    parts: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] = ({}, {})
    for label, name, each, is_factor in named:
        if name in parts[0] or name in parts[1] or (name in ("arm", "visit") and label != "arms"):
            raise ValueError(f"{name!r} names two variables; give each factor and covariate a name of its own")
        parts[0 if is_factor else 1][name] = _shaped(each, label, found.shape, inner)
    lead = np.broadcast_shapes(found.shape, *(each.shape for part in parts for each in part.values()))
    if arms is not None and np.isnan(parts[0][ARM]).all():
        raise ValueError("arms holds NaN alone; give the code of each subject's arm")
    spread = [{name: np.broadcast_to(each, lead) for name, each in part.items()} for part in parts]
    return np.broadcast_to(found, lead), spread[0], spread[1]


def _shaped(each: Any, name: str, shape: tuple[int, ...], inner: tuple[str, ...]) -> np.ndarray:
    """An array that broadcasts to the shape of the values."""
    whole = set(inner) <= set(getattr(each, "dims", ()))
    value = plain(each, name, *inner) if whole else plain(each, name)
    if len(inner) > 1 and not whole and value.shape[-len(inner) :] != shape[-len(inner) :]:
        value = value[..., None]
    try:
        np.broadcast_shapes(value.shape, shape)
        fits = value.ndim >= len(inner) and value.shape[-len(inner)] == shape[-len(inner)]
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} has shape {np.shape(each)}, values {shape}; give one number for each subject")
    return value


def chosen(contrast: tuple[int, int], arms: np.ndarray) -> tuple[int, int]:
    """The contrast as it is. Raises ValueError where it names an arm that nobody is in."""
    a, b = contrast
    for code in (a, b):
        if not (arms == code).any():
            raise ValueError(f"the contrast names arm {code}, in which nobody is; name one of {_codes(arms)}")
    if a == b:
        raise ValueError(f"the contrast is of arm {a} with itself; name two arms of {_codes(arms)}")
    return a, b


def _codes(arms: np.ndarray) -> list[float]:
    return [float(f"{code:g}") for code in np.unique(arms[~np.isnan(arms)])][:12]
