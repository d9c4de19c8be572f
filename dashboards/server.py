"""The process that serves the dashboard: on the loopback, asking nothing of the network."""

import importlib
import os
import socket
import subprocess
import sys
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


def main() -> None:
    """Streamlit's own command, on pages that the script names itself."""
    from streamlit.runtime.pages_manager import PagesManager
    from streamlit.web import cli

    # What pages need is loaded before the first of them is asked for.
    for name in LOADED:
        importlib.import_module(f"dashboards.{name}")
    # Else Streamlit runs a page of the folder `pages` alone where a browser's first address is that page's.
    PagesManager.uses_pages_directory = False
    cli.main(prog_name="streamlit")


if __name__ == "__main__":
    main()
