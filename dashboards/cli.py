"""The `trialtwin` command. Heavy imports stay inside the commands, so that --help answers at once."""

import contextlib
import logging
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would have to be imported for --help
    help="Clinical trials on virtual patients: simulate once, try many.",
)
populations_app = typer.Typer(invoke_without_command=True, help="Reference populations: what there is, how they fit.")
app.add_typer(populations_app, name="populations")

StudyPath = Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or the name of one in trials/library.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]


def main() -> None:
    """Runs the command: bad input is one sentence and exit status 2, a failed run one sentence and 1."""
    try:
        app()
    except ValueError as error:
        _stop(f"Error: {error}", 2)
    except RuntimeError as error:
        _stop(f"Failed: {error}", 1)


def _stop(sentence: str, status: int) -> None:
    from trials.document import one_line

    print(one_line(sentence), file=sys.stderr)
    sys.exit(status)


@app.command()
def run(
    study: StudyPath,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/STUDY by default.")] = None,
    cluster: Annotated[str, typer.Option(help="Where it runs: local.")] = "local",
    workers: Annotated[int | None, typer.Option(help="Processes; one a core by default.")] = None,
    chunk: Annotated[int | None, typer.Option(help="Patients in a shard of the store, fixed when it is made.")] = None,
) -> None:
    """Simulate, conduct, analyse and report a study; goes on by itself where it was stopped."""
    if cluster != "local":
        raise ValueError(f"cluster '{cluster}' is not there; write local")
    if workers is not None and workers < 1:
        raise ValueError(f"{workers} workers can do nothing; give --workers 1 or more")
    from dashboards import terminal
    from trials import feasibility
    from trials.study import find, read

    began = time.perf_counter()
    with terminal.waiting("Reading the study"):
        plan = read(find(study))
        feasibility.check(plan)
    folder = out or Path("runs") / plan.name
    terminal.opening(plan, folder)
    from analysis.summary import summarise
    from cluster.local import local
    from dashboards import report as html
    from trials import run as runs

    with _interruptible(), _log(folder) as log:
        with terminal.simulating(plan) as bar:

            def progress(record: runs.Record | None, done: int, total: int) -> None:
                bar(record, done, total)
                if record is None:
                    log.info("study %s: %d of %d blocks are there", plan.name, done, total)
                else:
                    name = f"arm {record.arm}" if record.arm else "patients"
                    what = f"{record.group or 'candidates'}, {name}, chunk {record.chunk}"
                    log.info("%s: %s in %.2f s", what, record.statuses, record.seconds)

            outcome = runs.run(plan, folder, map=local(workers), chunk=chunk, progress=progress)
        with terminal.analysing() as conducted:
            rows = summarise(folder, conducted)
        with terminal.waiting("Writing the report"):
            html.write(folder)
        seconds = time.perf_counter() - began
        log.info("computed %d of %d blocks; reported after %.1f s", len(outcome.computed), outcome.total, seconds)
    terminal.answer(plan, rows)
    terminal.closing(folder, len(outcome.computed), seconds)


@app.command()
def sensitivity(
    target: Annotated[str, typer.Argument(metavar="RUN|STUDY", help="The folder of a run, or a study.")],
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="regression, elasticities, derivatives, morris, sobol, efast, pawn, delta, chaos, chaos-sparse or "
            "chaos-quadrature; may be given again. regression and sobol by default."
        ),
    ] = None,
    of: Annotated[str, typer.Option(help="Inputs: patients, or population for what is not known of it.")] = "patients",
    size: Annotated[int | None, typer.Option(help="Base size of the design; a verdict says whether it did.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="NAME=A,B: inputs that are varied together.")] = None,
    patients: Annotated[int, typer.Option(help="Patients of each population, with --of population.")] = 128,
    worthwhile: Annotated[str, typer.Option(help="Least effect on the primary endpoint that is worth it.")] = "0",
    what_if: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE: ask the run's surrogates, or that of --method, and run nothing."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for a STUDY; runs/STUDY by default.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; one a core by default.")] = None,
) -> None:
    """Ask what drives a study's endpoints and its effect, with intervals and a verdict on convergence."""
    if workers is not None and workers < 1:
        raise ValueError(f"{workers} workers can do nothing; give --workers 1 or more")
    if patients < 2:
        raise ValueError(f"{patients} patients are no population; give --patients 2 or more")
    from dashboards import sensitivity as asked
    from solvers.quantity import quantity

    inputs = asked.inputs(of)
    plan, folder = asked.opened(target, out)
    if what_if:
        asked.answer(folder, inputs, _pairs("--what-if", what_if), method or [])
        return
    groups = {
        name: [each.strip() for each in value.split(",")] for name, value in _pairs("--group", group or []).items()
    }
    chosen = method or asked.usual(folder, inputs)
    least = quantity(worthwhile, next(each.unit for each in plan.endpoints if each.name == "primary"))
    with _interruptible():
        asked.analyse(plan, folder, chosen, inputs, size, groups, patients, workers, least)


def _pairs(option: str, written: list[str]) -> dict[str, str]:
    """NAME=VALUE as a mapping."""
    found = {}
    for each in written:
        name, equals, value = (part.strip() for part in each.partition("="))
        if not (name and equals and value):
            raise ValueError(f"{option} '{each}' is no NAME=VALUE; write one such as age=70")
        found[name] = value
    return found


@app.command()
def check(study: StudyPath) -> None:
    """Refuse what is wrong with a study, and tell what it would cost, before anything runs."""
    from dashboards import terminal
    from trials import feasibility
    from trials.study import find, read

    path = find(study)
    plan = read(path)
    candidates = feasibility.check(plan)
    terminal.cost(path, plan, candidates, feasibility.cost(plan))


@app.command()
def status(run: RunPath) -> None:
    """How far a run is, how its lives ended, and which of them failed."""
    from dashboards import terminal
    from trials.run import state

    terminal.state(run, state(run))


@app.command()
def report(run: RunPath) -> None:
    """Print the tables of a run and write its report.html again."""
    from analysis.summary import summarise
    from dashboards import report as html
    from dashboards import terminal
    from trials.run import cohort

    rows = summarise(run)
    terminal.answer(cohort(run)[0], rows)
    terminal.table(rows)
    print(f"Report: {html.write(run)}")


@app.command()
def show(run: RunPath, port: Annotated[int, typer.Option(help="Port on the loopback.")] = 8501) -> None:
    """Open the dashboard of a run, finished or at work, on this machine's loopback."""
    from dashboards.server import serve
    from trials import store

    if not (run / store.STUDY).exists():
        raise ValueError(f"{run} holds no run; make one with: trialtwin run STUDY --out {run}")
    print(f"The dashboard of {run}: http://127.0.0.1:{port}  (Ctrl-C ends it)", flush=True)
    sys.exit(serve(run, port))


@app.command()
def pictures(
    run: RunPath, out: Annotated[Path, typer.Option(help="Folder for the PNG files.")] = Path("pictures")
) -> None:
    """Draw a few figures of a run as PNG files; needs Chromium or Chrome, and playwright."""
    from dashboards.pictures import write

    for path in write(run, out):
        print(f"{path} ({path.stat().st_size // 1024} KiB)")


@app.command()
def twins(name: Annotated[str | None, typer.Argument(metavar="TWIN", help="One twin, in full.")] = None) -> None:
    """List the twins, or one twin's parameters, covariates, actions and outputs with units and sources."""
    from dashboards import terminal
    from solvers import twins as known

    if name is None:
        terminal.twins([known.load(each) for each in known.names()])
    else:
        terminal.twin(known.load(name))


@populations_app.callback()
def populations(context: typer.Context) -> None:
    """List the reference populations."""
    if context.invoked_subcommand is None:
        from dashboards import terminal
        from populations.population import references

        terminal.references(references())


@populations_app.command("show")
def show_population(
    name: Annotated[str, typer.Argument(metavar="POPULATION")],
    size: Annotated[int, typer.Option(help="Patients to draw.")] = 10_000,
    sampling: Annotated[str, typer.Option(help="random, latin-hypercube, sobol or halton.")] = "sobol",
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Draw a reference population and compare it with its targets: means, SDs, quantiles, correlations."""
    from dashboards import terminal
    from populations.attained import attained
    from populations.population import Recipe, build

    if not 2 <= size <= 10_000_000:
        raise ValueError(f"size {size} is out of range; give --size from 2 to 10,000,000")
    terminal.attained(name, size, attained(build(None, Recipe(name, sampling, seed)), size))


@populations_app.command("fit")
def fit_population(
    data: Annotated[Path, typer.Option(help="CSV of the survey (nhanes_core_2009_2016.csv).")],
    out: Annotated[Path, typer.Option(help="Library file to write.")],
) -> None:
    """Derive the reference population us-adults from the survey's rows."""
    from populations.fit import fit
    from trials.store import write_text

    text = fit(data)
    if not out.parent.is_dir():
        raise ValueError(f"{out.parent} is no folder; give --out a path in one that exists")
    write_text(out, text)
    print(f"Wrote {out} ({len(text) // 1024} kB)")


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ends an interrupted or terminated run with a sentence; what is computed is kept."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        _stop("Interrupted; the same command goes on from here.", 130)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _log(folder: Path) -> Iterator[logging.Logger]:
    """The run's log file; every run adds to it."""
    log = logging.getLogger("trialtwin.run")
    log.setLevel(logging.INFO)
    log.propagate = False
    handler = logging.FileHandler(folder / "run.log", encoding="utf-8", delay=True)  # the run makes the folder
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    log.addHandler(handler)
    try:
        yield log
    except RuntimeError:
        log.exception("stopped")
        raise
    finally:
        log.removeHandler(handler)
        handler.close()
