"""What `trialtwin sensitivity` does and shows: experiments with progress, indices as tables, what-if answers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from rich.table import Table

from analysis import drivers, experiments, slopes, whatif
from analysis.sensitivity import load, names
from analysis.sensitivity.method import Method
from analysis.summary import SUMMARY
from analysis.worth import worth
from cluster.local import local
from dashboards import terminal
from dashboards.drivers import grouping
from dashboards.results import range_of
from dashboards.written import number, unit
from trials import schema, store
from trials.experiment import Of
from trials.study import Study, find, read

FREE = "regression"
BY_DERIVATIVE = (slopes.ELASTICITIES, slopes.DERIVATIVES)
# Rows that usually suffice for an arm with the demonstration's number of inputs; the effect may need more, and the
# verdict says whether they did.
SIZES: Mapping[Of, Mapping[str, int]] = {
    "patients": {"saltelli": 2048, "trajectories": 128, "curves": 641, "sample": 2048, "quadrature": 2},
    "population": {"saltelli": 32, "trajectories": 32, "curves": 641, "sample": 256, "quadrature": 1},
}
SHOWN = 12  # inputs of a table; the store has all
COURSE = 6  # times of a table over time, and inputs


def methods() -> list[str]:
    """Names of all methods of the command."""
    return [FREE, *BY_DERIVATIVE, *names()]


def inputs(of: str) -> Of:
    """What --of asks for. Raises ValueError for anything else."""
    if of == "patients":
        return "patients"
    if of == "population":
        return "population"
    raise ValueError(f"--of is '{of}'; write patients or population")


def opened(target: str, out: Path | None) -> tuple[Study, Path]:
    """The study and folder of a run, or of a study whose run is, or will be, in `out` or runs/STUDY."""
    folder = Path(target)
    if folder.is_dir():
        if out is not None:
            raise ValueError(f"{target} is a run, which has its folder; leave --out out")
        if not (folder / store.STUDY).exists():
            raise ValueError(f"{folder} holds no run; make one with: trialtwin run STUDY --out {folder}")
        return read(folder / store.STUDY), folder
    study = read(find(target))
    return study, out or Path("runs") / study.name


def usual(folder: Path, of: Of) -> list[str]:
    """The methods that are run where none is named: what is free with a finished run, and Sobol's indices."""
    if of == "population":
        return ["chaos-sparse"]
    return [FREE, "sobol"] if (folder / SUMMARY).exists() else ["sobol"]


def analyse(
    study: Study,
    folder: Path,
    chosen: Sequence[str],
    of: Of,
    size: int | None,
    groups: Mapping[str, Sequence[str]],
    patients: int,
    workers: int | None,
    worthwhile: float,
) -> None:
    """Runs each method in turn and prints what drives the study's primary endpoint."""
    for name in chosen:
        if name not in methods():
            raise ValueError(f"method '{name}' is unknown; write one of: {', '.join(methods())}")
        if name in (FREE, *BY_DERIVATIVE) and (of == "population" or groups):
            raise ValueError(f"{name} is of single patients and inputs; leave --of population and --group out")
    for name in chosen:
        # Whatever is refused is refused before anything is lived.
        if name in BY_DERIVATIVE:
            slopes.ask(study, name, slopes.SIZES[name] if size is None else size)
        elif name != FREE:
            experiments.ask(study, load(name), of, _size(load(name), of, size), groups, patients)
    for name in chosen:
        if name == FREE:
            data = drivers.regress(study, folder)
        elif name in BY_DERIVATIVE:
            with terminal.simulating(study) as bar:
                data = drivers.differentiate(study, folder, name, size, map=local(workers), progress=bar)
        else:
            data = _lived(study, folder, load(name), of, size, groups, patients, workers)
        show(study, name, data)
    if (folder / SUMMARY).exists():
        try:
            with terminal.waiting("Splitting the uncertainty"):
                told = worth(folder, worthwhile)
        except ValueError as error:
            terminal.console.print(f"\nWhat would be worth learning cannot be told: {error}", soft_wrap=True)
        else:
            _information(study, told)


def _size(method: Method, of: Of, size: int | None) -> int:
    return SIZES[of][method.design] if size is None else size


def _lived(
    study: Study,
    folder: Path,
    method: Method,
    of: Of,
    size: int | None,
    groups: Mapping[str, Sequence[str]],
    patients: int,
    workers: int | None,
) -> xr.Dataset:
    with terminal.simulating(study) as bar:
        return drivers.drive(
            study,
            folder,
            method,
            of,
            _size(method, of, size),
            groups=groups,
            patients=patients,
            map=local(workers),
            progress=bar,
        )


def show(study: Study, name: str, data: xr.Dataset) -> None:
    """Indices of the primary endpoint, by arm and for the contrast, with the verdict on each."""
    print_ = terminal.console.print
    print_()
    print_(f"{data.attrs['title']} ({data.attrs['source']})", style="bold", soft_wrap=True)
    if "rows" in data.attrs:
        print_(
            f"{data.attrs['rows']:,} rows, {data.attrs['lives']:,} lives; {data.attrs['dropped']:,} rows left out "
            f"({data.attrs['handled']})",
            soft_wrap=True,
        )
    leading = data.attrs["leading"]
    for together in grouping(data.attrs):
        print_(f"varied together: {together}", soft_wrap=True)
    if "statuses" in data.attrs:
        for arm, counts in json.loads(data.attrs["statuses"]).items():
            failed = ", ".join(f"{count:,} {how}" for how, count in counts.items() if how not in ("ok", "not eligible"))
            if failed:
                print_(f"{arm}: {failed}", soft_wrap=True)
    names = [str(each) for each in data["output"].values]
    for output in [each for each in names if each.startswith("primary: ")] or names:
        here = data.sel(output=output)
        order = np.argsort(-np.nan_to_num(np.abs(here["value"].sel(measure=leading).values), nan=-1.0), kind="stable")
        table = Table(title=output, title_justify="left")
        table.add_column("input")
        for measure in data["measure"].values:
            table.add_column(str(measure), justify="right")
        table.add_column("what it is", overflow="fold")
        for i in order[:SHOWN]:
            one = here.isel(input=i)
            cells = [
                _cell(*(float(one[bound].sel(measure=m)) for bound in ("value", "lower", "upper")))
                for m in data["measure"].values
            ]
            table.add_row(str(one["input"].values), *cells, str(one["title"].values))
        print_(table)
        print_(f"  {here['verdict'].values}", soft_wrap=True)
    if "time_value" in data:
        _over_time(study, data)
    for key, what in (("chance", "left to chance"), ("idle", "not read by the twin"), ("without", "no derivative by")):
        if len(data.attrs.get(key, [])):
            print_(f"{what}: {', '.join(np.atleast_1d(data.attrs[key]))}", soft_wrap=True)


def _over_time(study: Study, data: xr.Dataset) -> None:
    """The leading inputs of the primary endpoint's outcome at a few times, of the contrast."""
    primary = next(each for each in study.endpoints if each.name == "primary")
    trace, measure = f"{range_of(study, primary)[0]}: {' - '.join(study.contrast)}", data.attrs["leading"]
    measures = [str(each) for each in data["time_measure"].values]
    measure = measure if measure in measures else measures[0]
    over = data["time_value"].sel(trace=trace, time_measure=measure)
    told = np.flatnonzero(np.isfinite(over.values).any(axis=0))
    if not len(told):
        return
    order = np.argsort(-np.nan_to_num(np.abs(over.values)).mean(axis=1), kind="stable")
    table = Table(title=f"{measure} over time, {trace}", title_justify="left")
    table.add_column("input")
    chosen = told[np.unique(np.linspace(0, len(told) - 1, COURSE).round().astype(int))]
    for time in chosen:
        table.add_column(f"day {float(over[schema.TIME].values[time]):g}", justify="right")
    for i in order[:COURSE]:
        cells = [_cell(float(value), float("nan"), float("nan")) for value in over.values[i, chosen]]
        table.add_row(str(over["input"].values[i]), *cells)
    terminal.console.print(table)


def _cell(value: float, lower: float, upper: float) -> str:
    if not np.isfinite(value):
        return ""
    return f"{value:.3f}" if not np.isfinite(lower) else f"{value:.3f} ({lower:.3f} to {upper:.3f})"


def _information(study: Study, data: xr.Dataset) -> None:
    """Where the uncertainty of one trial's estimate comes from, and which unknown is worth learning."""
    one = data.sel(output=f"primary: {' - '.join(study.contrast)}")
    print_ = terminal.console.print
    print_()
    print_("Where the uncertainty of one trial's estimate comes from", style="bold")
    parts = (f"{part} {100 * float(one['share'].sel(part=part)):.0f} %" for part in data["part"].values)
    print_(f"  variance: {', '.join(parts)}")
    order = np.argsort(-one["reduction"].values, kind="stable")
    table = Table(
        title=f"What would be worth learning of the population ({data.attrs['draws']} draws)", title_justify="left"
    )
    for heading in ("unknown", "variance of the truth it explains", f"EVPPI [{one['unit'].values}]"):
        table.add_column(heading)
    for i in order:
        row = one.isel(unknown=i)
        table.add_row(
            str(row["unknown"].values),
            f"{100 * float(row['reduction']):.0f} ± {100 * float(row['reduction_se']):.0f} %",
            f"{number(float(row['evppi']))} ± {number(float(row['evppi_se']))}",
        )
    print_(table)


def answer(folder: Path, of: Of, asked: Mapping[str, str], methods: Sequence[str]) -> None:
    """What the surrogates say, marked as such: for each output that with the smallest error of those of the methods."""
    surrogates = whatif.stored(folder, of, methods)
    said = whatif.answer(surrogates, asked)
    table = Table(title="Surrogates: nothing below was simulated", title_justify="left")
    for heading in ("output", "value", "± (lives not seen)", "unit", "Q2", "by"):
        table.add_column(heading)
    for method, name, of_unit, value, rmse, q2 in zip(*said, strict=True):
        table.add_row(name, number(float(value)), number(float(rmse)), unit(of_unit), f"{float(q2):.2f}", method)
    terminal.console.print(table)
    for name in dict.fromkeys(said.methods):
        told = surrogates[name].attrs
        terminal.console.print(f"{name}: {told['said']}; its error is {told['error']}", soft_wrap=True)
    if not methods and len(surrogates) > 1:
        terminal.console.print(
            f"Of {', '.join(surrogates)} each output is by that with the smallest error; --method names another.",
            soft_wrap=True,
        )
    terminal.console.print("The inputs that were not named are in their middle.")
