"""The mixed model for repeated measures as trials use it: arms compared at every visit."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.statistics import design
from analysis.statistics.arrays import level
from analysis.statistics.design import ARM, Design, Term
from analysis.statistics.estimate import Estimate
from analysis.statistics.linear_model import Joint
from analysis.statistics.mmrm import degrees as functions
from analysis.statistics.mmrm.fit import CONVERGENCE, DEGREES, Fit, fit
from analysis.statistics.mmrm.structures import structure as structured
from analysis.statistics.trouble import Trouble

VISIT = "visit"
METHODS = ("reml", "ml")
INFORMATION = ("observed", "expected")


class Model(NamedTuple):
    """A fitted model. names: of the covariance parameters, a group after another. lead: the dimensions of replicates.

    present: whether anybody of an arm is seen at a visit, (replicate, arm, visit), by the codes of `arms`.
    """

    fit: Fit
    design: Design
    names: tuple[str, ...]
    lead: tuple[int, ...]
    visits: int
    arms: np.ndarray
    present: np.ndarray
    degrees: str


def mmrm(
    values: Any,
    arms: Any,
    contrast: tuple[int, int],
    covariates: Mapping[str, Any] | None = None,
    factors: Mapping[str, Any] | None = None,
    alpha: float = 0.05,
    sided: int = 2,
    margins: str = "equal",
    **options: Any,
) -> Estimate:
    """Difference between two arms of their least-squares means at every visit, each array (..., visit).

    Data and options as in `fitted`; margins as in `differences`.
    """
    level(alpha, sided)
    return differences(fitted(values, arms, covariates, factors, **options), contrast, alpha, sided, margins)


def fitted(
    values: Any,
    arms: Any,
    covariates: Mapping[str, Any] | None = None,
    factors: Mapping[str, Any] | None = None,
    structure: str = "un",
    method: str = "reml",
    degrees: str = "satterthwaite",
    by_visit: Sequence[str] = (),
    by_arm: bool = False,
    terms: Sequence[Term] | None = None,
    information: str = "observed",
    times: Any = None,
    convergence: str = "exact",
) -> Model:
    """The model of values (..., subject, visit), the covariance of a subject's visits being of a given structure.

        y = arm + visit + arm:visit + factors + covariates [+ by_visit:visit] + e,   cov e_i = V of the visits seen

    NaN in values is a visit missed (at random, given the others and the covariates); NaN in an arm, factor or covariate
    leaves out what it is of. arms, factors: codes; covariates: numbers; (..., subject), or (..., subject, visit).

    structure: un, cs, csh, ar1, arh1, toep, toeph, the same in every arm or `by_arm`. times: of the visits, for ar1 and
    arh1. degrees: satterthwaite; kenward-roger, with the term of second derivatives for structures that have them (as
    DDFM=KR in SAS); kenward-roger-linear, without (FIRSTORDER). information: by which the parameters' covariance is
    told; SAS takes the observed. terms: of the mean, in place of those above, such as [(), ("arm",), ("arm", "visit")].
    convergence: exact; or sas, PROC MIXED's steps from its start to its stop, up to some 1e-3 of a standard error short
    of the maximum, of structures where no residual is profiled out: un, and by_arm cs and toep.

    Where it does not converge, or the data do not tell the covariance, every number is NaN and `trouble` says so.
    A covariance that no data tell (two visits that nobody has both of) is left out, and harms no other.
    Mallinckrodt, Clark & David 2001, J Biopharm Stat 11:9. SAS/STAT, PROC MIXED.
    """
    for name, given, allowed in (
        ("method", method, METHODS),
        ("degrees", degrees, DEGREES),
        ("information", information, INFORMATION),
        ("convergence", convergence, CONVERGENCE),
    ):
        if given not in allowed:
            raise ValueError(f"{name} is {given!r}; give one of {', '.join(allowed)}")
    if convergence == "sas" and not (structure == "un" or (structure in ("cs", "toep") and by_arm)):
        raise ValueError(f"the steps of SAS are not known for structure {structure!r}; leave convergence 'exact'")
    y, of, numbers = design.read(values, arms, factors, covariates, "subject", VISIT)
    visits = y.shape[-1]
    chosen = structured(structure, visits, times)
    lead, shape = y.shape[:-2], (-1, *y.shape[-2:])
    y, of, numbers = y.reshape(shape), _flat(of, shape), _flat(numbers, shape)
    whole = np.ones(y.shape, bool)
    for each in (*of.values(), *numbers.values()):
        whole &= ~np.isnan(each)
    used = whole & ~np.isnan(y)
    mean = terms
    if mean is None:
        mean = [(), (ARM,), (VISIT,), (ARM, VISIT)]
        mean += [(name,) for name in [*of, *numbers] if name != ARM] + [(name, VISIT) for name in by_visit]
    codes = of[ARM]
    of[VISIT] = np.broadcast_to(np.arange(visits, dtype=float), y.shape)
    made = design.build(used, of, numbers, mean, rows=2)
    known = np.unique(codes[~np.isnan(codes)])
    group = np.searchsorted(known, codes[..., 0]) if by_arm else np.zeros(y.shape[:2], int)
    group = np.where(whole.any(-1), group, 0)
    told = fit(
        y, used, made.matrix, group, whole.any(-1).sum(-1), chosen, method == "reml", degrees, information, convergence
    )
    names = chosen.names
    if by_arm:
        names = tuple(f"{name} arm {code:g}" for code in known for name in names)
    present = np.stack([(used & (codes == code)).any(1) for code in known], 1)
    return Model(told, made, names, lead, visits, known, present, degrees)


def differences(
    model: Model, contrast: tuple[int, int], alpha: float = 0.05, sided: int = 2, margins: str = "equal"
) -> Estimate:
    """Difference of least-squares means of two arms, a against b, at every visit; each array (..., visit).

    Covariates are at their means over all values that count, as in SAS, so that longer followed subjects weigh more.
    margins: of factors, equal weights of levels or "observed" shares. An arm that nobody has at a visit: NaN there.
    """
    a, b = design.chosen(contrast, model.arms)
    rows = _rows(model, a, margins) - _rows(model, b, margins)
    empty = ~(model.present[:, model.arms == a] & model.present[:, model.arms == b])[:, 0]
    return _shaped(model, functions.linear(model.fit, rows, alpha, sided), empty, (model.visits,))


def arm_means(model: Model, alpha: float = 0.05, margins: str = "equal") -> Estimate:
    """Least-squares means, each array (..., arm, visit), the arms in the order of `model.arms`."""
    rows = np.concatenate([_rows(model, code, margins) for code in model.arms], 1)
    empty = ~model.present.reshape(len(model.present), -1)
    found = functions.linear(model.fit, rows, alpha, 2)
    return _shaped(model, found, empty, (len(model.arms), model.visits))


def combined(model: Model, rows: Any, alpha: float = 0.05, sided: int = 2) -> Estimate:
    """Any linear functions of the coefficients, by the columns of `model.design`; each array (..., row).

    rows: (row, column), or of every replicate, (replicate, row, column).
    """
    given = np.asarray(rows, float)
    if given.ndim < 2 or given.shape[-1] != len(model.design.columns):
        raise ValueError(f"rows has {given.shape=}; give (row, column) of the {len(model.design.columns)} columns")
    given = np.broadcast_to(given, (len(model.present), *given.shape[-2:]))
    none = np.zeros(given.shape[:2], bool)
    return _shaped(model, functions.linear(model.fit, given, alpha, sided), none, (given.shape[1],))


def type_three(model: Model) -> dict[Term, Joint]:
    """Tests of every term of the mean after all the others; each array (...,)."""
    found = {}
    for term in model.design.terms:
        if term:
            told = functions.joint(model.fit, design.hypothesis(model.design, term), model.degrees)
            found[term] = Joint(*(np.asarray(each).reshape(model.lead) for each in told))
    return found


def _rows(model: Model, arm: float, margins: str) -> np.ndarray:
    """(replicate, visit, column)"""
    return np.stack([design.mean(model.design, {ARM: arm, VISIT: j}, margins) for j in range(model.visits)], 1)


def _flat(named: dict[str, np.ndarray], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {name: each.reshape(shape) for name, each in named.items()}


def _shaped(model: Model, found: Estimate, empty: np.ndarray, inner: tuple[int, ...]) -> Estimate:
    """With the dimensions of the data, and the code of an empty arm where there is one."""
    trouble = np.where(empty & np.isin(found.trouble, (0, Trouble.SINGULAR)), int(Trouble.EMPTY_ARM), found.trouble)
    return Estimate(*(each.reshape(model.lead + inner) for each in found._replace(trouble=trouble)))
