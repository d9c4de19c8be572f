"""How far the truth would move if the population were another that the evidence allows, apart from all other spread."""

from typing import NamedTuple

import numpy as np

from analysis.operating import Figure
from analysis.truth import NORMAL_95


class Ignorance(NamedTuple):
    """Spread of a true contrast over draws of the population's own uncertainty.

    sd: without what the draws' finite number of patients adds; least, most: its 95 % interval. lower, upper: truth
    -+ 1.96 sd, with `most` for an sd that cannot be told from 0. raw_sd: of the draws' means as they are. draws,
    patients: how many of each.
    """

    sd: Figure
    least: float
    most: float
    lower: float
    upper: float
    raw_sd: float
    draws: int
    patients: float


def ignorance(effects: np.ndarray, truth: float) -> Ignorance:
    """Spread over draws of individual effects, (draw, patient), NaN for those not eligible; `truth` is of draw 0.

    The draws share their patients' luck, so a patient's own effect cancels; what is left of him is his interaction with
    the draw, which is taken out by a two-way analysis of variance:

        sd^2 = Var_draw(mean) - MS_interaction / patients, at least 0

    Searle, Casella & McCulloch, Variance Components, section 4.3. Raises ValueError for fewer than two draws, or
    patients that are eligible in every draw.
    """
    everywhere = effects[:, ~np.isnan(effects).any(0)]
    draws, patients = everywhere.shape
    if draws < 2 or patients < 2:
        raise ValueError(f"{draws} draws of {patients} patients tell no spread; draw two or more of each")
    means = np.nanmean(effects, axis=1)
    each = float((~np.isnan(effects)).sum(1).mean())
    residual = everywhere - everywhere.mean(0) - everywhere.mean(1, keepdims=True) + everywhere.mean()
    interaction = float((residual**2).sum() / ((draws - 1) * (patients - 1)))
    variance = float(means.var(ddof=1))
    known = max(variance - interaction / each, 0.0)
    sd = known**0.5
    # The error of a variance from normal means is variance sqrt(2 / (draws - 1)); of its root, by the delta method.
    error = variance * (2.0 / (draws - 1)) ** 0.5
    mcse = error / (2.0 * sd) if sd > 0 else error**0.5
    least, most = (max(known + sign * NORMAL_95 * error, 0.0) ** 0.5 for sign in (-1, 1))
    half = NORMAL_95 * (sd or most)
    return Ignorance(Figure(sd, mcse), least, most, truth - half, truth + half, variance**0.5, draws, each)
