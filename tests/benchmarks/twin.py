"""Claim: a move of a slider on the Twin page is answered within 300 ms, for the ODE twin of the demonstration.

Seconds to compile an arm; then, over moves of a slider, of the two lives, of figure and table, and of the whole script
of the page, as medians and the slowest; and their ratio to the limit. Run it with ./dev bench twin.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

import dashboards
from dashboards import results, twin
from dashboards.plots.twin import before_after
from trials.study import find, read

LIMIT = 0.3  # s
MOVES = 25
START = f"{twin.THERAPY}start"


def timed(call) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "study.yaml").write_text(read(find("warfarin-genotype")).text, encoding="utf-8")
        shown = results.planned(Path(folder))
        arm = shown.study.arms[0].name
        compiling = timed(lambda: twin.prepare(shown.study, arm))
        slider = next(each for each in twin.sliders(shown.study, arm, twin.TYPICAL) if each.name == START)
        places = [place for place in slider.values if place != slider.before][: 3 * MOVES]
        solves = [
            timed(lambda place=place: twin.lives(shown, arm, twin.TYPICAL, START, place)) for place in places[:MOVES]
        ]

        def draws(place: float) -> None:
            before_after(shown, arm, twin.TYPICAL, START, place)
            twin.compared(shown, arm, twin.TYPICAL, START, place)

        drawn = [timed(lambda place=place: draws(place)) for place in places[MOVES : 2 * MOVES]]

        app = Path(str(dashboards.__file__)).with_name("app.py")
        sys.argv = [str(app), folder]
        page = AppTest.from_file(str(app), default_timeout=60).run()
        page.switch_page("pages/twin.py").run()
        moved = next(each for each in page.select_slider if each.label == slider.label)
        scripts = [timed(moved.set_value(place).run) for place in places[2 * MOVES :]]
        assert not page.exception
    print(f"compiling an arm, once             {compiling * 1e3:7.0f} ms")
    print("                                    median   slowest   slowest / limit")
    measured = {"two lives": solves, "lives, figure and table": drawn, "the whole script": scripts}
    for name, seconds in measured.items():
        median, slowest = statistics.median(seconds), max(seconds)
        print(f"{name:32}  {median * 1e3:6.0f} ms {slowest * 1e3:6.0f} ms   {slowest / LIMIT:.2f}")
    return int(statistics.median(scripts) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
