"""Pictures of a run as PNG files, drawn by a browser of this machine that is shown nothing else."""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import plotly.graph_objects as go
import plotly.io
from plotly.offline import get_plotlyjs

from dashboards import drivers
from dashboards.plots import effects, responses, sensitivity, study, trial
from dashboards.plots.style import FONT, INK, safe
from dashboards.results import Results, range_of, read
from trials import schema

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# The page holds a figure of ours and asks nothing of anyone, so that what a sandbox keeps apart is not there.
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
WIDTH, SHARPNESS = 900, 1.5  # pixels, and pixels drawn for each
TITLE = 44  # pixels that a title takes
DRIVEN = "drivers"  # the picture that needs a sensitivity analysis

DRAW = """async ([figure, width, scale]) => {
  const here = document.createElement('div');
  document.body.append(here);
  await Plotly.newPlot(here, figure.data, figure.layout);
  return Plotly.toImage(here, {format: 'png', width, height: figure.layout.height, scale});
}"""


class Picture(NamedTuple):
    """name: of the file, without its ending."""

    name: str
    title: str
    figure: go.Figure


def pictures(results: Results) -> Iterator[Picture]:
    """A few figures that tell what a run is about, of its primary endpoint.

    What drives the effect is among them where the run has Sobol's indices of its patients.
    """
    endpoint = results.study.endpoints[0]
    outcome = range_of(results.study, endpoint)[0]
    name = endpoint.name
    yield Picture("design", "The design", study.design(results))
    yield Picture("over-time", "What happens under each arm", responses.trajectories(results, outcome, name))
    yield Picture("waterfall", "Every patient's own effect", effects.waterfall(results, name))
    yield Picture("estimates", "What trials would report", trial.estimates_of_trials(results, name))
    yield Picture("power", "How large a trial should be", trial.power_by_size(results, name))
    yield Picture("subgroups", "In whom it works", trial.forest(results, name))
    effect = f"{name}: {results.contrast}"
    if drivers.knows(results, f"{schema.SENSITIVITY}/patients/sobol", effect):
        yield Picture(DRIVEN, "What drives the effect", sensitivity.indices(results, "patients", "sobol", effect))


def write(folder: Path, out: Path) -> list[Path]:
    """Writes the pictures of the run in `folder`. Raises ValueError where it is not finished, or no browser is here."""
    drawn = list(pictures(read(folder)))
    browser = next((path for path in map(shutil.which, BROWSERS) if path), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        browser = None
    if browser is None:
        raise ValueError(
            "pictures need a browser and there is none; install chromium, and playwright with: pip install playwright"
        )
    out.mkdir(parents=True, exist_ok=True)
    written = []
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browser, args=list(FLAGS))
        try:
            page = launched.new_page()
            page.add_script_tag(content=get_plotlyjs())
            for picture in drawn:
                figure = plotly.io.to_json(titled(picture))
                url = page.evaluate(f"({DRAW})([{figure}, {WIDTH}, {SHARPNESS}])")
                path = out / f"{picture.name}.png"
                path.write_bytes(base64.b64decode(url.partition(",")[2]))
                written.append(path)
        finally:
            launched.close()
    return written


def titled(picture: Picture) -> go.Figure:
    """The figure with its title above it, which a page would show in words of its own."""
    figure = go.Figure(picture.figure)
    layout = figure.layout
    return figure.update_layout(
        title={
            "text": f"<b>{safe(picture.title)}</b>",
            "x": 0.01,
            "xanchor": "left",
            "y": 1.0,
            "yanchor": "top",
            "pad": {"t": 12},
            "font": {"size": 16, "family": FONT, "color": INK},
        },
        margin={**layout.margin.to_plotly_json(), "t": (layout.margin.t or 0) + TITLE},
        height=layout.height + TITLE,
    )
