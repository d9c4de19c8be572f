"""Endpoints of patients: as a trial observes them at visits, and as they truly are."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from analysis.slabs import slabs
from trials import schema
from trials.endpoints import Endpoint, share_within, transformed


class Observed(NamedTuple):
    """Values of an endpoint, any leading axes; NaN where it cannot be told.

    values: the number, or for `first` the day of the event or of the last visit; events: which of those are events.
    """

    values: np.ndarray
    events: np.ndarray


def observed(
    endpoint: Endpoint, seen: Mapping[str, np.ndarray], days: np.ndarray, endpoints: Mapping[str, Endpoint]
) -> Observed:
    """The endpoint from measurements at visits.

    seen: outcome -> (..., visit), NaN where not observed; of a worn device, what it gathered until then, by its fold.
    days: of the visits, (visit,).
    A share and a mean are taken over the time that was observed, linear between visits (Rosendaal); an area, `highest`,
    `lowest` and `ever` are told of those observed until the end; a responder by his observed share.
    """
    if endpoint.kind == "responder":
        share = observed(endpoints[endpoint.outcome], seen, days, endpoints).values
        return Observed(np.where(np.isnan(share), np.nan, share >= endpoint.at_least), ~np.isnan(share))
    counted = days <= endpoint.until / 24.0 + 1e-9
    if endpoint.worn:
        value = seen[str(endpoint.fold)][..., counted.sum() - 1]
        return Observed(value, ~np.isnan(value))
    values, days = seen[endpoint.outcome][..., counted], days[counted]
    there = ~np.isnan(values)
    if endpoint.kind == "share":
        return _averaged(share_within(values[..., :-1], values[..., 1:], *endpoint.between), days)
    if endpoint.kind in ("mean", "area"):
        made = transformed(values, endpoint.transform)
        mean = _averaged((made[..., :-1] + made[..., 1:]) / 2.0, days)
        if endpoint.kind == "mean":
            return mean
        return Observed(np.where(there[..., -1], mean.values * endpoint.until, np.nan), there[..., -1])
    if endpoint.kind in ("highest", "lowest"):
        ends = np.where(there, values, -np.inf).max(-1), np.where(there, values, np.inf).min(-1)
        extreme = ends[endpoint.kind == "lowest"]
        return Observed(np.where(there[..., -1], extreme, np.nan), there[..., -1])
    if endpoint.kind == "ever":
        reached = (np.where(there, values, -np.inf) >= endpoint.at_least).any(-1)
        return Observed(np.where(there[..., -1], reached, np.nan), there[..., -1])
    low, high = endpoint.between
    hit = there & (values >= low) & (values <= high)
    event = hit.any(-1)
    last = days[there.shape[-1] - 1 - np.argmax(there[..., ::-1], -1)]
    when = np.where(event, days[np.argmax(hit, -1)], last)
    return Observed(np.where(there.any(-1), when, np.nan), event)


def _averaged(between: np.ndarray, days: np.ndarray) -> Observed:
    """Mean over time of what lies between visits, (..., visit - 1), NaN where it was not observed."""
    stretch = np.where(np.isnan(between), 0.0, np.diff(days))
    length = stretch.sum(-1)
    with np.errstate(invalid="ignore"):
        mean = (np.where(np.isnan(between), 0.0, between) * stretch).sum(-1) / length
    return Observed(mean, length > 0)


def complete(endpoint: Endpoint, cohort: xr.Dataset, endpoints: Mapping[str, Endpoint]) -> np.ndarray:
    """The endpoint of every life had no one been lost, (arm, patient), from all visits; `first` up to the end."""
    of = endpoints[endpoint.outcome] if endpoint.kind == "responder" else endpoint
    if of.worn:
        return true(endpoint, cohort, endpoints)
    outcome = of.outcome
    measured, days = cohort[outcome + schema.MEASURED], cohort[schema.VISIT].values
    found = np.empty(measured.shape[:2])
    for slab in slabs(cohort.sizes[schema.PATIENT]):
        seen = {outcome: measured.isel({schema.PATIENT: slab}).values}
        values, events = observed(endpoint, seen, days, endpoints)
        if endpoint.kind == "first":
            values = np.where(events, values, np.where(np.isnan(values), np.nan, endpoint.until / 24.0))
        found[:, slab] = values
    return found


def true(endpoint: Endpoint, cohort: xr.Dataset, endpoints: Mapping[str, Endpoint]) -> np.ndarray:
    """The endpoint of every life without measurement error, from every tick, (arm, patient).

    `first` is what a visit finds, and so is taken from complete visits.
    """
    if endpoint.kind == "first":
        return complete(endpoint, cohort, endpoints)
    if endpoint.kind == "responder":
        share = true(endpoints[endpoint.outcome], cohort, endpoints)
        return np.where(np.isnan(share), np.nan, share >= endpoint.at_least)
    gathered = cohort[str(endpoint.fold)].values
    if endpoint.numeric:
        return gathered
    return np.where(np.isnan(gathered), np.nan, gathered >= endpoint.at_least)
