"""What drives the outputs of a stored cohort: rank regression and tornado, free of charge with any run."""

from pathlib import Path

import numpy as np
import xarray as xr

from analysis import truth
from analysis.endpoints import true
from analysis.sensitivity.regression import rank_regression, tornado
from trials import run as runs
from trials import schema
from trials.study import Study

NAME = "regression"
MEASURES = ("srrc", "prcc")


def ranks(study: Study, folder: Path) -> xr.Dataset:
    """Rank regression of every endpoint, by arm and for the contrast, on what the twin reads of its patients.

    Inputs are the patients' own covariates and parameters, as correlated as they are. Measures srrc and prcc (output,
    measure, input); bars of the tornado (output, bar). Raises ValueError for an unfinished run, too few patients, or
    where no endpoint differs between them.
    """
    _, cohort = runs.cohort(folder)
    inside = truth.pool(cohort)
    inputs, levels = _inputs(study, cohort, inside)
    columns = _outputs(study, cohort, inside)
    if not columns:
        raise ValueError(
            f"no endpoint differs between the {int(inside.sum())} patients of the run, so nothing drives it; "
            "give the study more patients, or another endpoint"
        )
    variables = {variable.name: variable for variable in study.population.variables}
    fits = [rank_regression(inputs, values, levels) for _, _, values in columns]
    bars = [tornado(inputs, values, levels) for _, _, values in columns]
    named = fits[0].inputs
    shape = ("output", "measure", "input")
    data = xr.Dataset(
        {
            "value": (shape, np.stack([[fit.srrc, fit.prcc] for fit in fits])),
            "lower": (shape, np.stack([[fit.srrc_lower, fit.prcc_lower] for fit in fits])),
            "upper": (shape, np.stack([[fit.srrc_upper, fit.prcc_upper] for fit in fits])),
            "r2": ("output", [fit.r2 for fit in fits]),
            "verdict": ("output", [_verdict(fit.r2) for fit in fits]),
            "converged": ("output", [fit.r2 >= RELIABLE for fit in fits]),
            "bar_mean": (("output", "bar"), [[bar.mean for bar in each] for each in bars]),
            "bar_se": (("output", "bar"), [[bar.se for bar in each] for each in bars]),
        },
        coords={
            "output": [name for name, _, _ in columns],
            "unit": ("output", [unit for _, unit, _ in columns]),
            "measure": list(MEASURES),
            "input": list(named),
            "title": ("input", [variables[name].title or name for name in named]),
            "bar_input": ("bar", [bar.input for bar in bars[0]]),
            "bar_label": ("bar", [bar.label for bar in bars[0]]),
            "bar_lowest": ("bar", [bar.lowest for bar in bars[0]]),
            "bar_highest": ("bar", [bar.highest for bar in bars[0]]),
            "bar_patients": ("bar", [bar.patients for bar in bars[0]]),
        },
    )
    return data.assign_attrs(
        title="Rank regression on the stored cohort",
        source="Saltelli & Sobol 1995, Reliab Eng Syst Saf 50:225; Marino et al. 2008, J Theor Biol 254:178",
        leading="prcc",
        of="patients",
        size=int(inside.sum()),
        rows=int(inside.sum()),
        lives=int(inside.sum()) * len(study.arms),
        used=min(fit.used for fit in fits),
        dropped=max(fit.dropped for fit in fits),
        handled="patients without a sound life under every arm are left out",
    )


RELIABLE = 0.7  # share of the ranks' variance from which coefficients may be read as importance (Saltelli 1995)


def _verdict(r2: float) -> str:
    explained = f"the regression explains {100 * r2:.0f} % of the variance of the ranks"
    if r2 >= RELIABLE:
        return f"reliable: {explained}"
    return f"a hint only: {explained}, the rest is interaction, curvature and chance; use --method sobol"


def _inputs(
    study: Study, cohort: xr.Dataset, inside: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]]]:
    """Numbers that the twin reads and that differ between patients, (patient,), and the levels of categorical ones."""
    needed = [variable.name for variable in study.twin.variables]
    inputs, levels = {}, {}
    for variable in study.population.variables:
        if variable.name in needed:
            values = cohort[variable.name].values[inside]
            if np.ptp(values) > 0:
                inputs[variable.name] = values
                if variable.levels:
                    levels[variable.name] = variable.levels
    return inputs, levels


def _outputs(study: Study, cohort: xr.Dataset, inside: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """Name, unit and values (patient,) of each endpoint by arm and for the contrast, those that differ."""
    endpoints = {endpoint.name: endpoint for endpoint in study.endpoints}
    arms = list(cohort[schema.ARM].values)
    first, second = (arms.index(arm) for arm in study.contrast)
    found = []
    for endpoint in study.endpoints:
        values = true(endpoint, cohort, endpoints)[:, inside]
        whole = [*zip(arms, values, strict=True), (" - ".join(study.contrast), values[first] - values[second])]
        found += [(f"{endpoint.name}: {who}", endpoint.unit, each) for who, each in whole if np.ptp(each) > 0]
    return found
