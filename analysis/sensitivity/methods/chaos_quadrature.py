"""Polynomial chaos by projection on the nodes of a sparse Gauss rule."""

import itertools

import numpy as np

from analysis.sensitivity import basis, chaos
from analysis.sensitivity.convergence import FIRST, TOLERANCE, Verdict
from analysis.sensitivity.indices import CONSTANT, Indices, check_rows, constant
from analysis.sensitivity.method import Method
from analysis.sensitivity.problem import Problem
from analysis.sensitivity.quadrature import nodes
from analysis.sensitivity.surrogate import Surrogate, same_rows
from analysis.sensitivity.threads import one_thread

HANDLED = "failed lives are replaced by a least-squares fit to the other nodes"
FITTED = 500  # terms of that fit at most


def analyse(
    problem: Problem,
    points: np.ndarray,
    outputs: np.ndarray,
    *,
    size: int,
    seed: int,
    resamples: int = 1,
    second: bool = True,
) -> Indices:
    """Indices from c = integral of output times polynomial, up to total degree `size` in numbers, all of levels.

    Nothing is drawn, so there is no bootstrap: the interval is the value -+ its change from the expansions of one and
    of two degrees less, the larger of both, and is left out where resamples is 0 and at level 1. The denominator is the
    rule's variance of the output, or that of the expansion where it is larger. The luck of all lives is one: what
    chance adds is not in it. Xiu & Hesthaven 2005, SIAM J Sci Comput 27:1118; Sudret 2008, Reliab Eng Syst Saf 93:964.
    """
    rule = nodes(problem, size)
    outputs = check_rows(points, outputs, len(rule.points), problem)
    numbers, degree = _terms(problem, size)
    active = (numbers > 0).astype(int) @ problem.membership.T.astype(int) > 0
    functions = basis.basis(problem).functions(rule.points, int(numbers.max()))
    inputs = len(problem.inputs)
    sizes = np.arange(1, size + 1)
    count = outputs.shape[1]
    by_size = np.full((size, count, 2, inputs), np.nan)
    pairs_by_size = np.full((size, count, inputs, inputs), np.nan)
    failed = np.isnan(outputs)
    filled, troubles = _filled(functions, numbers, degree, outputs)
    told = [i for i, trouble in enumerate(troubles) if not trouble]
    centred = filled[:, told] - rule.weights @ filled[:, told]
    # Every output is a right-hand side of one projection.
    squares = _project(functions, numbers, rule.weights[:, None] * centred) ** 2
    variance = rule.weights @ centred**2
    for i, own, whole in zip(told, squares.T, variance, strict=True):
        for level in sizes:
            inside = np.where(degree <= level, own, 0.0)
            rest = max(float(whole - inside[1:].sum()), 0.0)
            value, pairs = chaos.ratios(inside[None], active, np.array([rest]))
            by_size[level - 1, i], pairs_by_size[level - 1, i] = value[0], pairs[0]
    verdicts = [
        Verdict(False, f"not converged: {trouble}") if trouble else _verdict(problem.inputs, by_size[:, i, 1])
        for i, trouble in enumerate(troubles)
    ]
    value, both = by_size[-1], pairs_by_size[-1]
    change, change_both = np.full_like(value, np.nan), np.full_like(both, np.nan)
    if size > 1 and resamples:
        change, change_both = _change(by_size), _change(pairs_by_size)
    return Indices(
        chaos.MEASURES,
        value,
        value - change,
        value + change,
        np.stack([both, both - change_both, both + change_both]) if second else None,
        sizes,
        by_size,
        tuple(verdicts),
        int((~failed).sum(0).min()),
        int(failed.sum(0).max()),
        HANDLED,
    )


@one_thread
def fit(problem: Problem, points: np.ndarray, outputs: np.ndarray, *, size: int) -> Surrogate:
    """The expansion of outputs, (node, output). Its error is NaN: nodes of one luck do not tell it.

    Raises ValueError where an output is constant, or has too few nodes.
    """
    rule = nodes(problem, size)
    outputs = check_rows(points, outputs, len(rule.points), problem)
    numbers, degree = _terms(problem, size)
    own = basis.basis(problem)
    functions = own.functions(rule.points, int(numbers.max()))
    filled, troubles = _filled(functions, numbers, degree, outputs)
    if any(troubles):
        raise ValueError(next(trouble for trouble in troubles if trouble))
    coefficients = _project(functions, numbers, rule.weights[:, None] * filled)
    names = tuple(column.name for column in problem.columns)
    unknown = np.full(outputs.shape[1], np.nan)
    return Surrogate(names, own, numbers, coefficients, unknown, unknown)


def _terms(problem: Problem, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Terms of total degree up to `level` in numbers, times all products of functions of levels, and those degrees."""
    flat = Problem(tuple(column._replace(law="uniform", shares=()) for column in problem.columns))
    categorical = [i for i, column in enumerate(problem.columns) if column.law == "levels"]
    numbers = basis.terms(flat, level, truncation=1.0)[0]
    numbers = numbers[(numbers[:, categorical] == 0).all(1)]
    products = list(itertools.product(*(range(len(problem.columns[i].shares)) for i in categorical)))
    every = np.repeat(numbers, len(products), axis=0)
    every[:, categorical] = np.tile(np.array(products, dtype=int).reshape(len(products), -1), (len(numbers), 1))
    return every, np.repeat(numbers.sum(1), len(products))


def _told(degree: np.ndarray, rows: int) -> int:
    """The largest degree whose terms so many nodes can tell, at least 1."""
    counts = np.cumsum(np.bincount(degree))
    return max(1, int(np.flatnonzero(counts <= min(rows // 2, FITTED)).max(initial=0)))


def _filled(
    functions: np.ndarray, numbers: np.ndarray, degree: np.ndarray, outputs: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Outputs, (node, output), at all nodes, which a projection needs; and of each why it has no indices, or ''."""
    filled, troubles = outputs.copy(), [""] * outputs.shape[1]
    known = ~np.isnan(outputs)
    for alike in same_rows(known):
        rows = known[:, alike[0]]
        fitted = numbers[degree <= _told(degree, int(rows.sum()))]
        enough = rows.all() or 2 * len(fitted) <= rows.sum()
        for i in alike:
            if not enough:
                some = f"{rows.sum()} of {len(rows)} nodes lived"
                troubles[i] = f"{some}, too few to replace the others; use chaos, which samples"
            elif constant(outputs[rows, i]):
                troubles[i] = CONSTANT
        if enough and not rows.all():
            matrix = basis.products(functions, fitted).T
            replaced = matrix[~rows] @ np.linalg.lstsq(matrix[rows], outputs[np.ix_(rows, alike)])[0]
            filled[np.ix_(~rows, alike)] = replaced
    return filled, troubles


def _project(functions: np.ndarray, numbers: np.ndarray, weighted: np.ndarray) -> np.ndarray:
    """Coefficients, (term, output), in batches: a table of all terms at all nodes may be too large."""
    batches = np.array_split(numbers, 1 + len(numbers) * len(weighted) // 4_000_000)
    return np.concatenate([basis.products(functions, batch) @ weighted for batch in batches])


def _change(values: np.ndarray) -> np.ndarray:
    """The larger change of the last of two or more values, (level, ..), from the two before: a symmetric function gains
    nothing by every second degree."""
    return np.abs(values[-1] - values[-3:-1]).max(0)


def _verdict(inputs: tuple[str, ...], totals: np.ndarray) -> Verdict:
    """Judges by the change of ST, (level, input), over the last degrees."""
    level = len(totals)
    if level < 2:
        return Verdict(False, "not converged: level 1 knows straight lines alone; use --size 2")
    value = totals[-1]
    first = np.argsort(-value, kind="stable")[:FIRST]
    before = np.argsort(-totals[-2], kind="stable")[:FIRST]
    change = _change(totals)[first]
    widest = int(np.argmax(change))
    moved = f"ST of {inputs[first[widest]]} {value[first[widest]]:.3g} moved by {change[widest]:.2g}"
    step = f"up to degree {level}"
    tied = all(abs(value[a] - value[b]) <= TOLERANCE for a, b in zip(first, before, strict=True))
    if change[widest] <= TOLERANCE and tied:
        return Verdict(True, f"converged: {moved} {step}, the first are {', '.join(inputs[i] for i in first)}")
    limit = f" (wanted {TOLERANCE})" if change[widest] > TOLERANCE else ", and the order of the first inputs changed"
    return Verdict(False, f"not converged: {moved} {step}{limit}; use --size {level + 1}")


method = Method(
    "chaos-quadrature",
    "Polynomial chaos by sparse quadrature",
    "Xiu & Hesthaven 2005, SIAM J Sci Comput 27:1118",
    "quadrature",
    chaos.MEASURES,
    "ST",
    analyse,
    fit=fit,
)
