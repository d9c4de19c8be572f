"""How a run that is not finished is told: blocks, lives, speed, and whether somebody writes it."""

import os
import shutil
from pathlib import Path

import pytest

from dashboards.progress import WINDOW, progress, written
from trials import store


@pytest.fixture
def copied(small_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_run, tmp_path / "run"))


def dated(folder: Path, now: float, apart: float) -> int:
    """Gives the blocks times of writing that lie `apart` seconds from each other, the last being now."""
    markers = sorted((folder / "markers").rglob("*.json"))
    for i, path in enumerate(markers):
        os.utime(path, (now, now - apart * (len(markers) - 1 - i)))
    return len(markers)


def test_a_finished_run_is_simulated_and_nobody_writes_it(small_run):
    far = progress(small_run)
    assert far.simulated and not far.working and far.failed == 0
    assert far.lives["lives"].sum() == 2 * 1000  # two arms, a thousand candidates


def test_a_block_that_is_lacking_is_not_done(copied):
    (copied / "markers" / "candidates" / "arm-fixed" / "0.json").unlink()
    far = progress(copied)
    assert (far.done, far.total) == (8, 9)
    assert not far.simulated


def test_speed_and_time_left_come_from_when_blocks_were_written(copied):
    (copied / "markers" / "candidates" / "arm-fixed" / "0.json").unlink()
    now = 1_800_000_000.0
    blocks = dated(copied, now, 10.0)
    far = progress(copied, now)
    assert blocks == 8
    assert far.left == pytest.approx(10.0)  # one block is lacking, and each took 10 s
    assert far.speed is not None and 0 < far.speed < 2 * 1128 / 70.0
    assert progress(copied, now + 2 * WINDOW).speed is None


def test_whoever_writes_is_seen_and_is_not_disturbed(copied):
    assert not store.busy(copied)
    with store.writer(copied):
        assert store.busy(copied)
        assert progress(copied).working
        with pytest.raises(ValueError, match="is being written by another run"), store.writer(copied):
            pass
    assert not store.busy(copied)
    assert not store.busy(copied / "nothing")


def test_lengths_of_time_are_told_as_people_tell_them():
    assert [written(seconds) for seconds in (4.4, 89, 300, 3600 * 7.25)] == ["4 s", "89 s", "5 min", "7.2 h"]
