"""The process that serves the dashboard: on the loopback, asking nothing of the network."""

import contextlib
import importlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

OPTIONS = {
    "server.address": "127.0.0.1",
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "browser.serverAddress": "127.0.0.1",
    "client.toolbarMode": "minimal",
    "global.developmentMode": "false",
    "logger.level": "error",  # the command says itself where the page is
    "theme.base": "light",  # the figures are on white
    "theme.primaryColor": "#0072B2",
}

# The server is at the root of its address, where a browser whose first address is a page's otherwise looks last.
HEAD = '<script>window.__streamlit = { BACKEND_BASE_URL: location.origin + "/" }</script>'

LOADED = ("chart", "conducted", "design", "drivers", "effects", "page", "people", "progress", "surrogates", "twin")


def command(folder: Path, port: int) -> list[str]:
    """The command that serves the run in `folder`."""
    script = str(Path(__file__).with_name("app.py"))
    options = [f"--{key}={value}" for key, value in {**OPTIONS, "server.port": port}.items()]
    return [sys.executable, "-m", "dashboards.server", "run", script, *options, "--", str(folder.absolute())]


def serve(folder: Path, port: int) -> int:
    """Serves until it is interrupted; its exit status. Raises ValueError for a port that cannot be had."""
    with socket.socket() as trial:
        try:
            trial.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise ValueError(f"port {port} cannot be had ({error}); give another with --port") from error
    try:
        return subprocess.call(command(folder, port), env=os.environ | {"PYTHONSAFEPATH": "1"})
    except KeyboardInterrupt:
        return 0


def shell(static: Path, into: Path) -> Path:
    """Streamlit's files for the browser as they are, but for a page that finds its server at once."""
    for each in static.iterdir():
        if each.name != "index.html":
            (into / each.name).symlink_to(each, target_is_directory=each.is_dir())
    text = (static / "index.html").read_text(encoding="utf-8")
    (into / "index.html").write_text(text.replace("<head>", f"<head>{HEAD}", 1), encoding="utf-8")
    return into


def ready(folder: Path) -> None:
    """Loads what pages need, and the run, before the first of them is asked for; compiles its first arm meanwhile."""
    for name in LOADED:
        importlib.import_module(f"dashboards.{name}")
    from plotly import graph_objects

    from dashboards import page, results, twin
    from dashboards.plots.style import finished

    # The first figure loads a thousand modules of its own.
    finished(graph_objects.Figure(graph_objects.Scatter(x=[0], y=[0])), "", 100).to_json()
    with contextlib.suppress(ValueError):
        study = results.planned(folder).study
        threading.Thread(target=twin.prepare, args=(study, study.arms[0].name)).start()
        page.opened(folder)


def main() -> None:
    """Streamlit's own command, on pages that the script names itself."""
    from streamlit import file_util
    from streamlit.runtime.pages_manager import PagesManager
    from streamlit.web import cli

    ready(Path(sys.argv[-1]))
    # Else Streamlit runs a page of the folder `pages` alone where a browser's first address is that page's.
    PagesManager.uses_pages_directory = False
    with tempfile.TemporaryDirectory(prefix="trialtwin-") as folder:
        with contextlib.suppress(OSError):  # a system without links shows Streamlit's own
            static = shell(Path(file_util.get_static_dir()), Path(folder))
            file_util.get_static_dir = lambda: str(static)
        cli.main(prog_name="streamlit")


if __name__ == "__main__":
    main()
