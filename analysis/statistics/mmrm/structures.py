"""Covariance structures of the visits of a subject, with their derivatives by their parameters as SAS has them.

Every structure is V_jk = s_j s_k K_jk(r), or a sum of parameters times constant matrices (UN, CS, TOEP).
SAS/STAT, PROC MIXED, REPEATED statement, TYPE=.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Covariance(NamedTuple):
    """value: (..., visit, visit). first: (..., parameter, visit, visit). second: None where the structure is linear,
    else (..., parameter, parameter, visit, visit)."""

    value: np.ndarray
    first: np.ndarray
    second: np.ndarray | None


class Structure(NamedTuple):
    """One structure at a number of visits.

    names: of its parameters, as SAS prints them. support: which elements each of them touches, (parameter, visit,
    visit) bool. scales: which are in squared units of the outcome, (parameter,) bool; the others are correlations.
    start: parameters near a covariance matrix, (..., visit, visit). at: the covariance of parameters.
    """

    names: tuple[str, ...]
    support: np.ndarray
    scales: np.ndarray
    start: Callable[[np.ndarray], np.ndarray]
    at: Callable[[np.ndarray], Covariance]


def structure(name: str, visits: int, times: np.ndarray | None = None) -> Structure:
    """The structure of that name: un, cs, csh, ar1, arh1, toep or toeph.

    times: of the visits, for ar1 and arh1, whose correlation is r^|t_j - t_k| (SAS: SP(POW)); one apart otherwise.
    """
    lags = np.abs(np.subtract.outer(np.arange(visits), np.arange(visits))).astype(float)
    if name not in NAMES:
        raise ValueError(f"structure is {name!r}; give one of {', '.join(NAMES)}")
    if times is not None:
        if name not in ("ar1", "arh1"):
            raise ValueError(f"times are given for structure {name!r}, which has none; give them for ar1 or arh1")
        given = np.asarray(times, float)
        if given.shape != (visits,) or not (np.diff(given) > 0).all():
            raise ValueError(f"times has {given.shape=}; give one increasing time for each of the {visits} visits")
        lags = np.abs(np.subtract.outer(given, given))
    if name == "un" or visits == 1:
        pairs = [(j, k) for j in range(visits) for k in range(j + 1)]
        return _linear(
            tuple(f"UN({j + 1},{k + 1})" for j, k in pairs),
            np.stack([_mark(lags.shape, (j, k), (k, j)) for j, k in pairs]),
        )
    if name == "cs":
        # As SAS: a variance between subjects, and one within, which adds to the diagonal.
        return _linear(("CS", "Residual"), np.stack([np.ones_like(lags), np.eye(visits)]))
    if name == "toep":
        names = ("Residual", *(f"TOEP({lag + 1})" for lag in range(1, visits)))
        return _linear(names, np.stack([(lags == lag).astype(float) for lag in range(visits)]))
    many = name in ("csh", "arh1", "toeph")
    variances = tuple(f"Var({j + 1})" for j in range(visits)) if many else ("Residual",)
    if name == "toeph":
        correlations = tuple(f"TOEPH({lag})" for lag in range(1, visits))
        return _scaled(variances, correlations, lags, None)
    power = None if name == "csh" else lags
    return _scaled(variances, ("CSH",) if name == "csh" else ("AR(1)",), (lags > 0).astype(float), power)


NAMES = ("un", "cs", "csh", "ar1", "arh1", "toep", "toeph")


def _mark(shape: tuple[int, ...], *places: tuple[int, int]) -> np.ndarray:
    marks = np.zeros(shape)
    for place in places:
        marks[place] = 1.0
    return marks


def _linear(names: tuple[str, ...], basis: np.ndarray) -> Structure:
    """V = sum of parameters times constant matrices (parameter, visit, visit)."""
    flat = basis.reshape(len(basis), -1)
    nearest = np.linalg.inv(flat @ flat.T) @ flat

    def start(near: np.ndarray) -> np.ndarray:
        return near.reshape(*near.shape[:-2], -1) @ nearest.T

    def at(parameters: np.ndarray) -> Covariance:
        value = (parameters @ flat).reshape(*parameters.shape[:-1], *basis.shape[1:])
        return Covariance(value, np.broadcast_to(basis, (*parameters.shape[:-1], *basis.shape)), None)

    return Structure(names, basis != 0, np.ones(len(names), bool), start, at)


def _scaled(
    variances: tuple[str, ...], correlations: tuple[str, ...], lags: np.ndarray, power: np.ndarray | None
) -> Structure:
    """V_jk = sqrt(v_j v_k) K_jk, K of a correlation for every class of `lags` 1, 2, ..., or the powers of one."""
    visits, many = len(lags), len(variances)
    own = np.eye(visits) if many > 1 else np.ones((visits, 1))
    # d log(s_j s_k) / d log v_m
    log = (own[:, None, :] + own[None, :, :]).transpose(2, 0, 1) / 2
    classes = np.stack([lags == i + 1 for i in range(len(correlations))])
    count = many + len(correlations)
    apart = 1 - np.eye(visits)

    def correlation(r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        if power is None:
            value = np.eye(visits) + np.einsum("...c,cjk->...jk", r, classes.astype(float))
            return value, np.broadcast_to(classes.astype(float), (*r.shape, *lags.shape)), None
        base = r[..., None, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            exponent = np.where(apart > 0, power, 1.0)
            value = np.where(apart > 0, base**exponent, 1.0)
            first = np.where(apart > 0, exponent * base ** (exponent - 1), 0.0)
            curve = exponent * (exponent - 1)
            second = np.where((apart > 0) & (curve != 0), curve * base ** np.where(curve != 0, exponent - 2, 1.0), 0.0)
        return value[..., 0, :, :], first, second[..., None, :, :, :]

    def start(near: np.ndarray) -> np.ndarray:
        diagonal = np.diagonal(near, axis1=-2, axis2=-1)
        first = diagonal if many > 1 else diagonal.mean(-1, keepdims=True)
        scale = np.sqrt(diagonal[..., :, None] * diagonal[..., None, :])
        ratio = near / scale
        nearest = 1.0 if power is None else power[apart > 0].min()
        weights = classes if power is None else classes & (power == nearest)
        r = np.einsum("...jk,cjk->...c", ratio, weights.astype(float)) / weights.sum((1, 2))
        if power is not None:
            r = np.clip(r, 0.01, 0.95) ** (1 / nearest)
        return np.concatenate([first, r], -1)

    def at(parameters: np.ndarray) -> Covariance:
        v, r = parameters[..., :many], parameters[..., many:]
        each = v @ own.T
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = np.sqrt(each[..., :, None] * each[..., None, :])
            k, dk, ddk = correlation(r)
            value = scale * k
            slope = log / v[..., None, None]
            first = np.concatenate([value[..., None, :, :] * slope, scale[..., None, :, :] * dk], -3)
            second = np.zeros((*parameters.shape[:-1], count, count, visits, visits))
            second[..., :many, :many, :, :] = (
                value[..., None, None, :, :] * slope[..., :, None, :, :] * slope[..., None, :, :, :]
            )
            for m in range(many):
                second[..., m, m, :, :] -= value * slope[..., m, :, :] / v[..., m, None, None]
            cross = scale[..., None, None, :, :] * slope[..., :, None, :, :] * dk[..., None, :, :, :]
            second[..., :many, many:, :, :] = cross
            second[..., many:, :many, :, :] = np.swapaxes(cross, -3, -4)
            if ddk is not None:
                second[..., many:, many:, :, :] = scale[..., None, None, :, :] * ddk
        return Covariance(value, first, second)

    touched = np.concatenate([log > 0, classes > 0])
    return Structure(variances + correlations, touched, np.arange(count) < many, start, at)
