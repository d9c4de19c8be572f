"""Indices of variance from a polynomial chaos expansion: sums of squared coefficients."""

import numpy as np

from analysis.sensitivity import expansion, surrogate
from analysis.sensitivity.convergence import Verdict
from analysis.sensitivity.expansion import Fit
from analysis.sensitivity.indices import CONSTANT, Estimate, Indices, check_rows, collect, constant, nothing
from analysis.sensitivity.problem import Problem
from analysis.sensitivity.resampling import generator, resampled_means
from analysis.sensitivity.threads import one_thread

MEASURES = ("S1", "ST")
HANDLED = "failed lives are left out of the regression"
UNEXPLAINED = 0.2  # share of the variance beyond which an expansion may have missed what matters


@one_thread
def analyse(
    problem: Problem,
    points: np.ndarray,
    outputs: np.ndarray,
    *,
    size: int,
    seed: int,
    resamples: int = 1000,
    second: bool = True,
    sparse: bool = False,
) -> Indices:
    """First-order, total and second-order indices from a regression on orthonormal polynomials.

        S = (sum over the index's terms of c^2 - var(c)) / (the same sum over all terms + variance of the residuals)

    The denominator is the variance of the output: what chance adds, and what no term describes, is in it, and
    1 - sum of all indices is unexplained. var(c), which noise adds to a squared coefficient, is estimated from the
    residuals (HC2). Intervals by a wild bootstrap of the residuals with the chosen terms kept: they tell the error of
    the coefficients, not of the choice.
    Sudret 2008, Reliab Eng Syst Saf 93:964; Blatman & Sudret 2011, J Comput Phys 230:2345; MacKinnon & White 1985,
    J Econometrics 29:305 (HC2); Wu 1986, Ann Statist 14:1261 (wild bootstrap).
    """
    outputs = check_rows(points, outputs, size, problem)
    fitting = expansion.sparse if sparse else expansion.dense
    rests = []
    sizes = np.array([size // part for part in (8, 4, 2) if size // part >= 8] + [size])
    # The costly part is shared by all outputs.
    smaller = [_fits(problem, points[:count], outputs[:count], fitting) for count in sizes[:-1]]
    estimates = []
    for i, told in enumerate(_fits(problem, points, outputs, fitting)):
        known = ~np.isnan(outputs[:, i])
        used, dropped = int(known.sum()), int((~known).sum())
        if isinstance(told, str):
            estimates.append(nothing(problem, 2, len(sizes), used, dropped, told, second))
            rests.append(0.0)
            continue
        fit, active = told
        value, pairs = _point(fit, active)
        curve = [_value(problem, each[i]) for each in smaller]
        resampled, resampled_pairs = _bootstrap(fit, active, resamples, seed)
        explained = 1.0 - (fit.left_out**2).mean() / outputs[known, i].var()
        rests.append(1.0 - max(explained, 0.0))
        remark = (
            f"{len(fit.selected)} terms predict {100 * max(explained, 0.0):.3g} % of the variance (leave-one-out), "
            "the rest is chance or finer detail"
        )
        estimates.append(
            Estimate(
                value,
                resampled,
                np.stack([*curve, value]),
                pairs if second else None,
                resampled_pairs if second else None,
                used,
                dropped,
                remark=remark,
            )
        )
    found = collect(problem, MEASURES, "ST", sizes, estimates, HANDLED, size)
    pairs_of = zip(found.verdicts, rests, strict=True)
    return found._replace(verdicts=tuple(_doubted(each, rest, size) for each, rest in pairs_of))


@one_thread
def over_time(
    problem: Problem, points: np.ndarray, outputs: np.ndarray, *, size: int, seed: int, sparse: bool = False
) -> np.ndarray:
    """First-order and total indices of one outcome at many times, (row, time): (time, measure, input), values alone.

    One regression serves all times: on all terms up to a degree, or on few that are chosen for the whole course.
    """
    outputs = check_rows(points, outputs, size, problem)
    fits = _fits(problem, points, outputs, expansion.together if sparse else expansion.dense)
    return np.stack([_value(problem, told) for told in fits])


def fit(
    problem: Problem, points: np.ndarray, outputs: np.ndarray, *, size: int, sparse: bool = False
) -> surrogate.Surrogate:
    """The surrogate of outputs, (row, output), that tell something. Raises ValueError as `surrogate.fit`."""
    return surrogate.fit(problem, points, check_rows(points, outputs, size, problem), sparse)


# The fit of an output and which inputs its terms hang on, (term, input); or why there is none.
Told = tuple[Fit, np.ndarray] | str


def _fits(problem: Problem, points: np.ndarray, outputs: np.ndarray, fitting: surrogate.Fitting) -> list[Told]:
    """The fit of every output, (row, output), NaN for a failed life."""
    known = ~np.isnan(outputs)
    told: dict[int, Told] = {}
    for alike in surrogate.same_rows(known):
        rows = known[:, alike[0]]
        told |= {i: CONSTANT for i in alike if rows.any() and constant(outputs[rows, i])}
        rest = [i for i in alike if i not in told]
        if not rest:
            continue
        try:
            numbers, fits = surrogate.fit_all(problem, points, outputs[:, rest], fitting)
            told |= {i: (fit, _active(problem, numbers[fit.selected])) for i, fit in zip(rest, fits, strict=True)}
        except ValueError as error:
            told |= dict.fromkeys(rest, str(error))
    return [told[i] for i in range(outputs.shape[1])]


def _value(problem: Problem, told: Told) -> np.ndarray:
    """The indices, (measure, input); NaN where there are none."""
    return np.full((2, len(problem.inputs)), np.nan) if isinstance(told, str) else _point(*told)[0]


def _doubted(verdict: Verdict, rest: float, size: int) -> Verdict:
    """The verdict on coefficients, overruled where they describe too little."""
    if not verdict.converged or rest <= UNEXPLAINED:
        return verdict
    said = verdict.text.removeprefix("converged: ")
    return Verdict(
        False,
        f"not converged: {100 * rest:.2g} % of the variance is unexplained, which may belong to any total index "
        f"(wanted {100 * UNEXPLAINED:g} %); use --size {2 * size}, or sobol; {said}",
    )


def _active(problem: Problem, numbers: np.ndarray) -> np.ndarray:
    """Whether a term hangs on an input, (term, input), for terms as numbers of functions, (term, column)."""
    return (numbers > 0).astype(int) @ problem.membership.T.astype(int) > 0


def _point(fit: Fit, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    squares = fit.coefficients**2 - _noise(fit)
    value, pairs = ratios(squares[None], active, _unexplained(fit)[None])
    return value[0], pairs[0]


def _noise(fit: Fit) -> np.ndarray:
    """Variance of each coefficient, (term,), by the residuals."""
    return fit.inverse**2 @ (fit.residual**2 / np.maximum(1.0 - fit.leverage, 1e-10))


def _unexplained(fit: Fit) -> np.ndarray:
    rows, terms = len(fit.residual), len(fit.selected)
    return np.asarray((fit.residual**2).sum() / (rows - terms))


def ratios(squares: np.ndarray, active: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """S1 and ST, (set, measure, input), and S2, (set, input, input), from variances of terms, (set, term).

    active: (term, input). rest: (set,), variance that no term holds.
    """
    inputs = active.shape[1]
    order = active.sum(1)
    variance = squares[:, order > 0].sum(1) + rest
    shares = squares / np.where(variance > 0, variance, np.nan)[:, None]
    value = np.stack([shares @ (active & (order == 1)[:, None]), shares @ active], axis=1)
    i, j = np.triu_indices(inputs, 1)
    both = shares @ (active[:, i] & active[:, j] & (order == 2)[:, None])
    pairs = np.full((len(squares), inputs, inputs), np.nan)
    pairs[:, i, j] = pairs[:, j, i] = both
    return value, pairs


def _bootstrap(fit: Fit, active: np.ndarray, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The indices of resamples, as those of `ratios`."""
    rows = len(fit.residual)
    signs = generator(seed).choice((-1.0, 1.0), (rows, resamples))
    moved = fit.inverse @ ((fit.residual / np.sqrt(np.maximum(1.0 - fit.leverage, 1e-10)))[:, None] * signs)
    # Noise is in these squares twice: in the coefficients, and in what moves them.
    squares = (fit.coefficients[:, None] + moved) ** 2 - 2 * _noise(fit)[:, None]
    spread = resampled_means(fit.residual[:, None] ** 2, resamples, seed)[:, 0]
    rest = spread / max((fit.residual**2).mean(), 1e-300) * _unexplained(fit)
    return ratios(squares.T, active, rest)
