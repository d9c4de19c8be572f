"""Pictures of a run: PNG files with titles, by a browser of this machine."""

import re
import shutil
import struct
from pathlib import Path

import pytest

import dashboards
from dashboards import pictures, results


def test_every_picture_has_its_title_and_its_source(small_run):
    drawn = list(pictures.pictures(results.read(small_run)))
    assert len({picture.name for picture in drawn}) == len(drawn) >= 6
    for picture in drawn:
        figure = pictures.titled(picture)
        assert picture.title in figure.layout.title.text
        assert figure.layout.height == picture.figure.layout.height + pictures.TITLE
        assert any("Source:" in note.text for note in figure.layout.annotations)


def test_a_browser_writes_them_as_png(small_run, tmp_path):
    if not any(map(shutil.which, pictures.BROWSERS)):
        pytest.skip("no browser is here; install chromium to run this test")
    written = pictures.write(small_run, tmp_path / "out")
    assert len(written) >= 6
    for path in written:
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        assert struct.unpack(">I", content[16:20])[0] == pictures.WIDTH * pictures.SHARPNESS
        assert len(content) < 300 * 1024


def test_without_a_browser_it_says_what_to_install(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "BROWSERS", ("no-such-browser",))
    with pytest.raises(ValueError, match="install chromium, and playwright with"):
        pictures.write(small_run, tmp_path)


def test_the_readme_shows_each_of_them(small_run):
    root = Path(str(dashboards.__file__)).parents[1]
    shown = re.findall(r"\]\((dashboards/gallery/[\w-]+\.png)\)", (root / "README.md").read_text(encoding="utf-8"))
    always = [f"dashboards/gallery/{picture.name}.png" for picture in pictures.pictures(results.read(small_run))]
    driven = f"dashboards/gallery/{pictures.DRIVEN}.png"  # of runs that have a sensitivity analysis, as this has not
    assert [path for path in shown if path != driven] == always
    assert shown.count(driven) <= 1
    for path in shown:
        assert 0 < (root / path).stat().st_size < 300 * 1024, path
