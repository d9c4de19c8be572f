"""Analysis of covariance: arms compared at equal values of factors and covariates, in any number of replicates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.statistics import design, linear_model
from analysis.statistics.arrays import level
from analysis.statistics.design import ARM, Design, Term
from analysis.statistics.estimate import Estimate
from analysis.statistics.linear_model import Fit, Joint
from analysis.statistics.trouble import Trouble

DOSE = "dose"
MARGINS = ("equal", "observed")


def ancova(
    values: Any,
    arms: Any,
    contrast: tuple[int, int],
    covariates: Mapping[str, Any] | None = None,
    factors: Mapping[str, Any] | None = None,
    alpha: float = 0.05,
    sided: int = 2,
    by_arm: Sequence[str] = (),
    margins: str = "equal",
    robust: str = "none",
    standardised: bool = False,
) -> Estimate:
    """Difference between two arms of their least-squares means.

        y = arm + factors + covariates + e,   d = (l_a - l_b)' b

    values: (..., subject); NaN there, or in a covariate or factor, leaves a subject out. arms: codes; every arm is in
    the model, also those of no contrast. covariates, factors: by name, numbers or codes of one a subject. by_arm: of
    them, those whose effect differs between arms. A mean is taken at the covariates' means, with equal weights of
    the levels of factors, or weights as observed (`margins`). robust: none, or HC0 to HC3. standardised: the average
    over the subjects of what each would gain, whose variance counts that subjects are a sample:

        d = mean_i d_i,   var = l' cov(b) l + var_i(d_i) / n

    Each result is (...,). A covariate that others tell is dropped, which harms no contrast; where the data do not tell
    the contrast itself its estimate is NaN.
    Searle, Speed & Milliken 1980, Am Stat 34:216. Ye, Shao, Yi & Zhao 2023, J Am Stat Assoc 118:2370 (standardised).
    """
    level(alpha, sided)
    fitted, everyone = _fit(values, arms, covariates, factors, by_arm, robust)
    a, b = design.chosen(contrast, everyone)
    if not standardised:
        return _told(fitted, _mean(fitted, a, margins) - _mean(fitted, b, margins), (a, b), alpha, sided)
    gains = _set(fitted.design, a) - _set(fitted.design, b)
    used = fitted.design.matrix[..., :1] != 0
    with np.errstate(divide="ignore", invalid="ignore"):
        row = np.where(used, gains, 0.0).sum(-2) / fitted.subjects[..., None]
        gain = (gains @ fitted.coefficient[..., None]) - (row * fitted.coefficient).sum(-1)[..., None, None]
        added = np.where(used, gain**2, 0.0).sum((-1, -2)) / (fitted.subjects * (fitted.subjects - 1))
    return _told(fitted, row, (a, b), alpha, sided, added)


def arm_means(
    values: Any,
    arms: Any,
    covariates: Mapping[str, Any] | None = None,
    factors: Mapping[str, Any] | None = None,
    alpha: float = 0.05,
    by_arm: Sequence[str] = (),
    margins: str = "equal",
    robust: str = "none",
) -> tuple[np.ndarray, Estimate]:
    """Codes of the arms, (arm,), and their least-squares means, each array (..., arm). Data as in `ancova`."""
    fitted, _ = _fit(values, arms, covariates, factors, by_arm, robust)
    codes = fitted.design.levels[ARM]
    means = [_told(fitted, _mean(fitted, code, margins), (code,), alpha, 2) for code in codes]
    return codes, Estimate(*(np.stack(each, -1) for each in zip(*means, strict=True)))


def arm_trend(
    values: Any,
    arms: Any,
    scores: Mapping[int, float],
    covariates: Mapping[str, Any] | None = None,
    factors: Mapping[str, Any] | None = None,
    alpha: float = 0.05,
    sided: int = 2,
    robust: str = "none",
) -> Estimate:
    """Any sum of least-squares means, sum_a scores_a mean_a, such as a linear trend (-1, 0, 1). Data as in `ancova`.

    Raises ValueError where the scores do not add up to 0, or name an arm in which nobody is.
    """
    level(alpha, sided)
    if len(scores) < 2 or abs(sum(scores.values())) > 1e-9 * max(abs(each) for each in scores.values()):
        raise ValueError(f"the scores {dict(scores)} are no contrast; give two or more arms scores that add up to 0")
    fitted, everyone = _fit(values, arms, covariates, factors, (), robust)
    for code in scores:
        design.chosen((code, next(each for each in scores if each != code)), everyone)
    row = sum(score * _mean(fitted, code, "equal") for code, score in scores.items())
    return _told(fitted, np.asarray(row), tuple(scores), alpha, sided)


def dose_response(
    values: Any,
    doses: Any,
    covariates: Mapping[str, Any] | None = None,
    factors: Mapping[str, Any] | None = None,
    alpha: float = 0.05,
    sided: int = 2,
    robust: str = "none",
) -> Estimate:
    """Change of the outcome per unit of dose, linear, with factors and covariates; doses: (..., subject)."""
    level(alpha, sided)
    given = {DOSE: doses, **(covariates or {})}
    y, of, numbers = design.read(values, None, factors, given)
    fitted = _least_squares(y, of, numbers, [(), *((name,) for name in [*of, *numbers])], robust)
    return linear_model.linear(fitted, design.hypothesis(fitted.design, (DOSE,))[..., 0, :], alpha, sided)


def type_three(
    values: Any,
    arms: Any,
    covariates: Mapping[str, Any] | None = None,
    factors: Mapping[str, Any] | None = None,
    by_arm: Sequence[str] = (),
    robust: str = "none",
) -> dict[Term, Joint]:
    """Tests of every term of the model after all the others, by term such as ("arm",) or ("arm", "age").

    Where a term interacts with a covariate it is tested at the covariate's mean (SAS: at 0). Data as in `ancova`.
    """
    fitted, _ = _fit(values, arms, covariates, factors, by_arm, robust)
    terms = [term for term in fitted.design.terms if term]
    return {term: linear_model.joint(fitted, design.hypothesis(fitted.design, term)) for term in terms}


def _fit(
    values: Any,
    arms: Any,
    covariates: Mapping[str, Any] | None,
    factors: Mapping[str, Any] | None,
    by_arm: Sequence[str],
    robust: str,
) -> tuple[Fit, np.ndarray]:
    """Least squares, and the arms of everyone."""
    y, of, numbers = design.read(values, arms, factors, covariates)
    terms: list[Term] = [(), *((name,) for name in [*of, *numbers]), *((ARM, name) for name in by_arm)]
    return _least_squares(y, of, numbers, terms, robust), of[ARM]


def _least_squares(
    y: np.ndarray, factors: dict[str, np.ndarray], covariates: dict[str, np.ndarray], terms: list[Term], robust: str
) -> Fit:
    used = ~np.isnan(y)
    for each in (*factors.values(), *covariates.values()):
        used = used & ~np.isnan(each)
    return linear_model.fit(y, used, design.build(used, factors, covariates, terms), robust)


def _mean(fitted: Fit, arm: float, margins: str) -> np.ndarray:
    if margins not in MARGINS:
        raise ValueError(f"margins is {margins!r}; give one of {', '.join(MARGINS)}")
    return design.mean(fitted.design, {ARM: arm}, margins)


def _set(made: Design, arm: float) -> np.ndarray:
    """The design, (..., subject, column), had everybody been in that arm."""
    matrix = made.matrix.copy()
    twins = {(each.covariates, frozenset(each.levels.items())): i for i, each in enumerate(made.columns)}
    for i, column in enumerate(made.columns):
        if ARM not in column.levels:
            continue
        others = {name: value for name, value in column.levels.items() if name != ARM}
        # The same column without the arm, which is there as a term of its own.
        alone = twins[column.covariates, frozenset(others.items())]
        matrix[..., i] = made.matrix[..., alone] if made.levels[ARM][column.levels[ARM]] == arm else 0.0
    return matrix


def _told(
    fitted: Fit, rows: np.ndarray, arms: tuple, alpha: float, sided: int, added: np.ndarray | float = 0.0
) -> Estimate:
    """The estimate, which says where an arm of it is empty."""
    empty = design.empty(fitted.design, arms)
    found = linear_model.linear(fitted, np.where(empty[..., None], np.nan, rows), alpha, sided, added)
    return found._replace(trouble=np.where(empty, int(Trouble.EMPTY_ARM), found.trouble))
