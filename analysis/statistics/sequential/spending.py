"""Spending functions: how much of an error rate may have been used when a share of the information is there."""

from typing import Any

import numpy as np
from scipy import special

from analysis.statistics.sequential.looks import number, rows, shown

KINDS = ("obrien-fleming-spending", "pocock-spending", "hwang-shih-decani", "kim-demets", "given-spending")


def spent(kind: str, rate: Any, times: Any, parameter: Any = None, given: Any = None) -> np.ndarray:
    """Error rate spent by each look, (..., look).

        obrien-fleming-spending   2 - 2 Phi(z_{a/2} / sqrt(t))
        pocock-spending           a log(1 + (e - 1) t)
        hwang-shih-decani         a (1 - e^(-gamma t)) / (1 - e^(-gamma)),   a t for gamma = 0
        kim-demets                a t^rho
        given-spending            as it says, the last being a

    rate: a, what is spent in all, (...). times: share of the information, (..., look); after 1 nothing more is spent.
    parameter: gamma or rho, (...). given: (..., look), not decreasing. Raises ValueError for an unknown kind, a
    parameter that is missing or out of range, spending that decreases, or an end other than `rate`.
    Lan & DeMets 1983, Biometrika 70:659; Hwang, Shih & DeCani 1990, Stat Med 9:1439; Kim & DeMets 1987, Biometrika
    74:149.
    """
    if kind not in KINDS:
        raise ValueError(f"spending is '{kind}', which is not known; write one of: {', '.join(KINDS)}")
    a = number(rate, "the error rate to spend", 0.0, 1.0, "0.025")
    if kind == "given-spending":
        return _given(given, a, np.shape(times)[-1])
    extra = _parameter(kind, parameter)
    lead, (t, a, extra) = rows((np.clip(times, 0.0, 1.0), True), (a, False), (extra, False))
    a, extra = a[:, None], extra[:, None]
    if kind == "obrien-fleming-spending":
        with np.errstate(divide="ignore"):
            found = 2.0 * special.ndtr(special.ndtri(a / 2.0) / np.sqrt(t))
    elif kind == "pocock-spending":
        found = a * np.log1p((np.e - 1.0) * t)
    elif kind == "kim-demets":
        found = a * t**extra
    else:
        flat = np.abs(extra) < 1e-12
        gamma = np.where(flat, 1.0, extra)
        found = a * np.where(flat, t, np.expm1(-gamma * t) / np.expm1(-gamma))
    return found.reshape(*lead, found.shape[-1])


def _parameter(kind: str, parameter: Any) -> np.ndarray:
    if kind not in ("hwang-shih-decani", "kim-demets"):
        return np.zeros(())
    if parameter is None:
        wanted = "gamma, such as -4" if kind == "hwang-shih-decani" else "rho, such as 3"
        raise ValueError(f"spending '{kind}' has no parameter; give {wanted}")
    if kind == "kim-demets":
        return number(parameter, "rho", 0.0, example="3")
    return number(parameter, "gamma", -700.0, 700.0, "-4")


def _given(given: Any, rate: np.ndarray, looks: int) -> np.ndarray:
    if given is None:
        raise ValueError("'given-spending' has no numbers; give what is spent by each look")
    found = np.asarray(given, dtype=float)
    if found.ndim == 0 or found.shape[-1] != looks:
        raise ValueError(f"the spending that is given has {found.shape=}; give one for each of {looks} looks")
    if not (np.all(found >= 0.0) and np.all(np.diff(found, axis=-1) >= 0.0)):
        raise ValueError(f"the spending that is given is {shown(found)}; give numbers from 0 on that do not decrease")
    lead, (table, ends) = rows((found, True), (rate, False))
    if not np.allclose(table[:, -1], ends, rtol=1e-9, atol=0.0):
        raise ValueError(f"the spending that is given ends at {shown(table[:, -1])}; end it at {shown(ends)}")
    return table.reshape(*lead, looks)
