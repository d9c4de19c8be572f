"""Where the uncertainty of a trial's estimate comes from, and which unknown of the population is worth learning."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from analysis import kept, truth
from analysis.decomposition import PARTS, decomposition, effects
from analysis.information import information
from analysis.operating import Figure
from analysis.uncertainty import ignorance
from trials import experiment as experiments
from trials import run as runs
from trials import schema, store
from trials.study import Study


class Draws(NamedTuple):
    """Draws of the uncertain population. lives: draw after draw; unknowns: name -> (draw, number); source: of them."""

    lives: xr.Dataset
    rows: int
    unknowns: Mapping[str, np.ndarray]
    source: str


def worth(folder: Path, worthwhile: float = 0.0) -> xr.Dataset:
    """Variance of one trial's estimate by part, and the worth of learning each unknown, for every endpoint.

    share, variance (output, part), NaN where it is not known; reduction: share of the variance of the true effect that
    knowing it would take away; evppi: expected gain of the decision for the first arm where its effect exceeds
    `worthwhile` [unit of the endpoint], for the second where not, per patient; both with standard errors (output,
    unknown). The draws are those of a population experiment that is a sample of them where the run has one, else of the
    study's own uncertainty.
    Raises ValueError for a run that is not finished, or has too few draws.
    """
    study, cohort = runs.cohort(folder)
    draws = _draws(folder, study)
    inside, eligible = truth.pool(cohort), truth.pool(draws.lives)
    trials = store.open_group(folder, schema.TRIALS)
    contrast = " - ".join(study.contrast)
    names = list(draws.unknowns)
    parts, evpi, by_unknown = [], [], []
    for endpoint in study.endpoints:
        individual = effects(study, draws.lives, eligible, endpoint.name, draws.rows)
        reported = trials["value"].sel(endpoint=endpoint.name).values
        split = decomposition(study, cohort, inside, reported, endpoint.name, _spread(individual))
        parts.append([split.share, split.variance, split.se])
        benefit = np.nanmean(individual, axis=1) - worthwhile
        known = information(benefit, draws.unknowns, study.seed)
        evpi.append(known.evpi)
        by_unknown.append([(*each.evppi, *each.reduction) for each in known.partials])
    share, variance, error = np.moveaxis(np.array(parts), 1, 0)
    evppi, evppi_se, reduction, reduction_se = np.moveaxis(np.array(by_unknown), 2, 0)
    data = xr.Dataset(
        {
            "share": (("output", "part"), share),
            "variance": (("output", "part"), variance),
            "variance_se": (("output", "part"), error),
            "evpi": ("output", [each.value for each in evpi]),
            "evpi_se": ("output", [each.mcse for each in evpi]),
            "evppi": (("output", "unknown"), evppi),
            "evppi_se": (("output", "unknown"), evppi_se),
            "reduction": (("output", "unknown"), reduction),
            "reduction_se": (("output", "unknown"), reduction_se),
        },
        coords={
            "output": [f"{endpoint.name}: {contrast}" for endpoint in study.endpoints],
            "unit": ("output", [endpoint.unit for endpoint in study.endpoints]),
            "part": list(PARTS),
            "unknown": names,
        },
        attrs={"draws": draws.rows, "from": draws.source, "worthwhile": worthwhile},
    )
    kept.write(folder, {schema.INFORMATION: data})
    return data


def _spread(individual: np.ndarray) -> Figure:
    """SD of the true effect over draws, from individual effects (draw, patient); NaN where it cannot be told."""
    try:
        return ignorance(individual, 0.0).sd
    except ValueError:  # no patient is eligible in every draw
        return Figure(float("nan"), float("nan"))


def _draws(folder: Path, study: Study) -> Draws:
    """The most draws of the uncertain population that the run has."""
    found = []
    for group in experiments.stored(folder):
        experiment = experiments.read(folder, group)
        # Only points of a sample are draws of the population, each as likely as the others.
        if experiment.of == "population" and json.loads(experiment.identity)["design"] == "sample":
            found.append((experiment.lives, len(experiment.points), group))
    for _, rows, group in sorted(found, reverse=True):
        with contextlib.suppress(ValueError):  # unfinished, or of another version
            _, experiment, lives = runs.lived(folder, group)
            known = [study.population.learned(point) for point in experiment.points]
            return Draws(lives, rows, _stacked(known), f"experiment {experiment.name}")
    uncertainty = study.recipe.uncertainty
    if uncertainty.draws < 2:
        raise ValueError(
            f"{folder} has no draws of the uncertain population; "
            f"make some with: trialtwin sensitivity {folder} --of population --method chaos-sparse"
        )
    _, lives = runs.cohort(folder, schema.UNCERTAINTY)
    known = [study.population.learned(draw) for draw in range(1, uncertainty.draws + 1)]
    return Draws(lives, uncertainty.draws, _stacked(known), "the study's own draws")


def _stacked(known: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([each[name] for each in known]) for name in known[0]}
