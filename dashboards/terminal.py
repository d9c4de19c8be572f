"""What the terminal shows: progress with the time left, and tables."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from analysis.summary import Row
from dashboards.results import question
from dashboards.written import decimals, needed, number, unit
from populations.attained import Row as Attained
from solvers.twin import Parameter, Spread, Twin
from trials.blocks import groups
from trials.feasibility import Candidates, Cost
from trials.run import Record, State
from trials.study import Study

# Into a pipe or file nothing is known of the width: wide enough for every table.
console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)
errors = Console(stderr=True, highlight=False, markup=False)


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """A spinner while something short goes on."""
    with errors.status(f"{what} ..."):
        yield


def opening(study: Study, folder: Path) -> None:
    """What is about to run."""
    lives = sum(groups(study).values()) * len(study.arms)
    console.print(study.title, style="bold", soft_wrap=True)
    console.print(
        f"{study.size:,} candidates, {len(study.arms)} arms, {lives:,} lives at most -> {folder}", soft_wrap=True
    )


@contextlib.contextmanager
def simulating(study: Study) -> Iterator[Callable[[Record | None, int, int], None]]:
    """A bar of blocks with patients per second and the time left, as `trials.run.run` reports them."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("blocks  {task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    began = time.perf_counter()
    solved = blocks = 0
    with Progress(*columns, console=errors) as progress:
        bar = progress.add_task("Simulating", total=None, rate="", left="")

        def update(record: Record | None, done: int, total: int) -> None:
            nonlocal solved, blocks
            progress.update(bar, completed=done, total=total)
            if record is None:
                return
            solved += record.solved
            blocks += 1
            seconds = time.perf_counter() - began
            rate = f"{solved / seconds:,.0f} patients/s" if solved else ""
            left = f"{seconds / blocks * (total - done):,.0f} s left" if done < total else ""
            progress.update(bar, rate=rate, left=left)

        yield update


@contextlib.contextmanager
def analysing() -> Iterator[Callable[[int, int], None]]:
    """A bar of the trial's replicates."""
    with Progress(
        SpinnerColumn(),
        TextColumn("Conducting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trials"),
        console=errors,
    ) as progress:
        bar = progress.add_task("", total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def amount(value: float | None, of: str, difference: bool = False) -> str:
    """A number with its unit; a share in per cent, a difference of shares in percentage points."""
    if of == "1":
        return f"{number(None if value is None else 100 * value, 1)} {'points' if difference else '%'}"
    return f"{number(value)} {unit(of)}".strip()


def pair(value: float | None, error: float | None, of: str, difference: bool = False) -> str:
    """A number with its Monte-Carlo error, at the digits that the error allows, and their unit."""
    factor, name = (100.0, "points" if difference else "%") if of == "1" else (1.0, unit(of))
    scaled, mcse = ((each or 0.0) * factor for each in (value, error))
    places = decimals(mcse, scaled)
    return f"{number(scaled, places)} ±{number(mcse, places)} {name}"


def interval(row: Row) -> str:
    """Both ends of a row's interval, with their unit."""
    if row.lower is None or row.upper is None:
        return ""
    lower, upper = (amount(end, row.unit, row.contrast is not None) for end in (row.lower, row.upper))
    return f"{lower.split(' ')[0]} to {upper}"


def answer(study: Study, rows: Sequence[Row]) -> None:
    """The answer to the study's question, endpoint by endpoint, and what a trial of its size would find."""
    label = " - ".join(study.contrast)
    named = {(row.name, row.arm or row.contrast): row for row in rows}
    for endpoint in study.endpoints:
        name, of = endpoint.name, endpoint.unit

        def find(what: str, where: str = label, name: str = name) -> Row:
            return named[(f"{name}: {what}", where)]

        console.print()
        console.print(f"{name}: {question(study, endpoint)}", style="bold")
        means = ", ".join(f"{arm.name} {amount(find('mean, truth', arm.name).value, of)}" for arm in study.arms)
        difference = find("difference, truth")
        console.print(f"  in truth           {means}; {label} {amount(difference.value, of, True)}")
        mean, power = find("difference, mean of the trials"), find("power")
        subjects = f"a trial of {study.trial.subjects}"
        console.print(f"  {subjects:18} {amount(mean.value, of, True)}, 95 % interval {interval(mean)}")
        bias, coverage = find("bias against the truth"), find("coverage")
        figures = [
            f"power {pair(power.value, power.mcse, '1')}",
            f"bias {pair(bias.value, bias.mcse, of, True)}",
            f"coverage {pair(coverage.value, coverage.mcse, '1')}",
        ]
        seen = find("difference, as observed by complete visits")
        console.print(f"  {'at all visits':18} {amount(seen.value, of, True)}, without loss to follow-up")
        lost = study.trial.replicates - (mean.replicates or 0)
        if lost:
            figures.append(f"{lost:,} trials could not be estimated")
        console.print(f"  over {mean.replicates:,} trials".ljust(21) + ", ".join(figures))
        for row in rows:
            if row.name == f"{name}: difference, over the population's own uncertainty":
                draws = f"over {row.replicates} draws"
                console.print(f"  {draws:18} of the uncertain population the truth lies within {interval(row)}")
            if row.name == f"{name}: number needed to treat, truth" and row.value is not None:
                console.print(f"  needed to treat    {needed(row.value, row.lower, row.upper)} for one more")
    console.print()
    console.print("± is the Monte-Carlo standard error.")


def table(rows: Sequence[Row]) -> None:
    """All rows of a summary."""
    shown = Table(title="summary.json", title_justify="left")
    for heading in ("what", "arm or contrast", "value", "95 % interval", "SE", "MCSE"):
        shown.add_column(heading, overflow="fold")
    for row in rows:
        # Power and coverage are shares of trials, whatever they are the power of.
        points = row.contrast is not None and not row.name.endswith((": power", ": coverage"))
        shown.add_row(
            row.name,
            row.arm or row.contrast or "",
            amount(row.value, row.unit, points),
            interval(row),
            amount(row.se, row.unit, points) if row.se is not None else "",
            amount(row.mcse, row.unit, points) if row.mcse is not None else "",
        )
    console.print(shown)


def closing(folder: Path, computed: int, seconds: float) -> None:
    """Where everything lies, and how to look at it."""
    if not computed:
        console.print("Nothing was left to compute.")
    command = Path(sys.argv[0])
    with contextlib.suppress(ValueError):
        command = command.absolute().relative_to(Path.cwd())
    console.print(f"Done in {seconds:.0f} s. To look at it:", soft_wrap=True)
    console.print(f"  report   {folder / 'report.html'}", soft_wrap=True)
    console.print(f"  page     {command} show {folder}", soft_wrap=True)
    console.print(f"  numbers  {folder / 'summary.json'}, {folder / 'cohort.zarr'} (xarray.open_zarr)", soft_wrap=True)


def cost(path: Path, study: Study, candidates: Candidates, cost: Cost) -> None:
    """What `check` found."""
    console.print(f"{path}: sound.", soft_wrap=True)
    shown = Table(show_header=False)
    looked, eligible, outside = candidates
    shown.add_row("patients", f"{study.size:,} candidates, {eligible:,} of {looked:,} eligible")
    if outside:
        shown.add_row("", f"{outside:,} of them outside the twin's bounds: they will fail, and enter no trial")
    shown.add_row("lives", f"{cost.lives:,} at most, {len(study.arms)} arms")
    shown.add_row("processor", f"{cost.seconds / 3600:.3g} core-hours ({cost.seconds:,.0f} s of one core)")
    if cost.stiff:
        shown.add_row("", f"slow: the twin is stiff under {', '.join(cost.stiff)}, and solved by an implicit method")
    shown.add_row("compilation", f"{cost.compilation:.0f} s in each process")
    shown.add_row("disk", f"{cost.stored / 1e6:,.0f} MB before compression")
    shown.add_row("memory", f"about {cost.memory / 1e9:.1f} GB a process")
    shown.add_row("trials", f"{study.trial.replicates:,} of {study.trial.subjects:,} subjects")
    console.print(shown)


def state(folder: Path, state: State) -> None:
    """How far a run is and how its lives ended."""
    console.print(f"{folder}: {state.done} of {state.total} blocks are done", soft_wrap=True)
    shown = Table()
    for heading in ("patients", "arm", "lives"):
        shown.add_column(heading)
    for (group, arm), counts in state.statuses.items():
        told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        shown.add_row(group or "candidates", arm or "(who they are)", told)
    console.print(shown)
    for failure in state.failures[:20]:
        console.print(f"patient {failure['patient']}, arm {failure['arm']}: {failure['reason']}; {failure['values']}")
    if len(state.failures) > 20:
        console.print(f"... and {len(state.failures) - 20} more in {folder / 'markers'}")
    if state.done < state.total:
        console.print(f"Finish it with: trialtwin run {folder / 'study.yaml'} --out {folder}", soft_wrap=True)


def twins(known: Sequence[Twin]) -> None:
    """The list of twins."""
    shown = Table()
    for heading in ("twin", "what", "outputs", "actions", "solved by"):
        shown.add_column(heading, overflow="fold")
    for each in known:
        outputs = ", ".join(f"{output.name} [{output.unit}]" for output in each.outputs)
        actions = ", ".join(f"{action.name} [{action.unit}]" for action in each.actions)
        shown.add_row(each.name, each.title, outputs, actions, each.method)
    console.print(shown)


def spread(spread: Spread | None, parameter: Parameter) -> str:
    """Between-patient spread in words."""
    if spread is None:
        return "none"
    unit = "" if spread.kind != "normal" else f" {parameter.unit}"
    scale = {"log-normal": "of the logarithm", "logit-normal": "of the logit", "normal": ""}[spread.kind]
    return f"{spread.kind}, SD {spread.sd:.3g}{unit} {scale}".rstrip()


def twin(each: Twin) -> None:
    """One twin in full."""
    console.print(f"{each.name}: {each.title}. {each.source}. {each.method}.", soft_wrap=True)
    shown = Table(title="parameters", title_justify="left")
    for heading in ("name", "value", "unit", "between patients", "evidence", "source"):
        shown.add_column(heading, overflow="fold")
    for parameter in each.parameters:
        shown.add_row(
            parameter.name,
            f"{parameter.typical:.4g}",
            parameter.unit,
            spread(parameter.spread, parameter),
            parameter.evidence,
            parameter.source,
        )
    console.print(shown)
    shown = Table(title="covariates, actions, outputs", title_justify="left")
    for heading in ("kind", "name", "unit", "what", "source"):
        shown.add_column(heading, overflow="fold")
    for covariate in each.covariates:
        levels = f"one of {', '.join(covariate.levels)}" if covariate.levels else covariate.title
        shown.add_row("covariate", covariate.name, covariate.unit, levels, covariate.source)
    for action in each.actions:
        shown.add_row("action", action.name, action.unit, action.title, "")
    for output in each.outputs:
        shown.add_row("output", output.name, output.unit, output.title, output.source)
    console.print(shown)
    if each.starts:
        console.print(f"starting rules: {', '.join(each.starts)}")


def references(names: Sequence[str]) -> None:
    """The library of populations."""
    console.print("Reference populations (trialtwin populations show NAME):")
    for name in names:
        console.print(f"  {name}")


def attained(name: str, size: int, rows: Sequence[Attained]) -> None:
    """Attained against target."""
    shown = Table(title=f"{name}: {size:,} patients drawn, against the data they were made from", title_justify="left")
    for heading in ("variable", "statistic"):
        shown.add_column(heading)
    for heading in ("target", "attained", "difference"):
        shown.add_column(heading, justify="right")
    shown.add_column("unit")
    for row in rows:
        shown.add_row(
            row.name, row.statistic, f"{row.target:.4g}", f"{row.attained:.4g}", f"{row.difference:+.2g}", row.unit
        )
    console.print(shown)
