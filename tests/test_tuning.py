"""Flags for XLA, and compiled programs kept: added and never imposed, shared by processes, harmless where damaged."""

import json
import os
import subprocess
import sys

import jax.numpy as jnp
import pytest

from cluster.local import local
from solvers import tuning

# Compiles a loop, and prints what it gives bit by bit.
PROGRAM = """
import solvers, jax, jax.numpy as jnp, numpy as np
step = lambda y, _: (y + 0.1 * jnp.sin(y) * jnp.exp(-y), y)
print(np.asarray(jax.jit(lambda y: jax.lax.scan(step, y, None, length=50)[1])(jnp.linspace(0, 3, 100))).tobytes().hex())
"""


def process(program, cache, **environment):
    """A Python of its own in which any warning is an error."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        env=os.environ | {"TRIALTWIN_CACHE": str(cache), "PYTHONSAFEPATH": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(started):
    out, err = started.communicate(timeout=120)
    assert started.returncode == 0, err
    assert err == ""
    return out.strip()


def programs(cache):
    return {path.name: path for path in cache.glob("*/programs/*")}


def test_flags_are_added_to_those_that_the_user_has_set():
    wanted = {tuning.WIDTH: "512", tuning.WHILE: "100"}
    extra = f"{tuning.EXTRA}={tuning.WHILE}=100"
    assert tuning.merged("", wanted) == f"{tuning.WIDTH}=512 {extra}"
    assert tuning.merged("--xla_x=1 two=2", wanted) == f"--xla_x=1 two=2 {tuning.WIDTH}=512 {extra}"


def test_what_the_user_has_set_wins_and_no_flag_is_there_twice():
    wanted = {tuning.WIDTH: "512", tuning.WHILE: "100"}
    mine = f"{tuning.WIDTH}=256 {tuning.EXTRA}=other=1,{tuning.WHILE}=7"
    assert tuning.merged(mine, wanted) == mine
    after = tuning.merged(f"{tuning.EXTRA}=other=1 {tuning.WIDTH}=256", wanted)
    assert after == f"{tuning.WIDTH}=256 {tuning.EXTRA}={tuning.WHILE}=100,other=1"
    assert tuning.merged(after, wanted) == after


def test_flags_in_a_file_stay_in_force(tmp_path):
    path = tmp_path / "flags"
    path.write_text(f"--xla_x=1\n{tuning.WIDTH}=256\n", encoding="utf-8")
    wanted = {tuning.WIDTH: "512", tuning.WHILE: "100"}
    assert tuning.merged(str(path), wanted) == f"--xla_x=1 {tuning.WIDTH}=256 {tuning.EXTRA}={tuning.WHILE}=100"
    assert tuning.merged(str(tmp_path / "none"), wanted) == str(tmp_path / "none")  # XLA says what is wrong with it


def test_every_flag_is_one_that_this_jaxlib_knows(monkeypatch):
    found = tuning.flags()
    assert set(found) <= {tuning.WIDTH, tuning.WHILE, tuning.FUSION}
    assert tuning.accepted(tuning.merged("", found).split()) is True
    assert tuning.accepted(["--xla_no_such_flag=1"]) is False
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert tuning.accepted(["--xla_no_such_flag=1"]) is None


def test_this_session_runs_with_the_flags():
    assert tuning.merged(os.environ["XLA_FLAGS"], tuning.flags()) == os.environ["XLA_FLAGS"]


def test_flags_that_come_too_late_are_one_warning(monkeypatch):
    assert float(jnp.ones(2).sum()) == 2.0  # XLA has read its flags now
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if tuning.flags():
        with pytest.warns(UserWarning, match="jax has compiled something already") as warned:
            tuning.apply()
        assert len(warned) == 1
    assert "XLA_FLAGS" not in os.environ


def test_settings_tell_what_may_change_a_result(monkeypatch):
    monkeypatch.setenv(
        "XLA_FLAGS", f"--xla_cpu_multi_thread_eigen=false {tuning.EXTRA}=b=2,c --xla_a=1 --xla_dump_to=x"
    )
    assert tuning.settings() == ["--xla_a=1", "b=2", "c"]


def flags_of_worker(_):
    return os.environ["XLA_FLAGS"], tuning.settings()


def test_workers_have_the_flags_of_the_process_that_starts_them():
    for text, settings in local(1)(flags_of_worker, [0]):
        assert text.startswith(os.environ["XLA_FLAGS"])
        assert "intra_op_parallelism_threads=1" in text
        assert settings == tuning.settings()


def test_a_kept_program_gives_the_bits_of_a_fresh_one_and_damage_is_mended(tmp_path):
    fresh = said(process(PROGRAM, tmp_path))
    made = programs(tmp_path)
    assert made
    assert said(process(PROGRAM, tmp_path)) == fresh
    assert set(programs(tmp_path)) == set(made)
    whole = {name: path.read_bytes() for name, path in made.items()}
    for i, path in enumerate(made.values()):
        path.write_bytes([b"", b"damaged", whole[path.name][:-9], whole[path.name][:-1] + b"?"][i % 4])
    for path in tmp_path.glob("*/flags.json"):
        path.write_text("[", encoding="utf-8")
    assert said(process(PROGRAM, tmp_path)) == fresh
    assert all(len(path.read_bytes()) > 100 for path in programs(tmp_path).values())
    assert all(json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("*/flags.json"))


def test_processes_that_start_at_once_share_an_empty_folder(tmp_path):
    both = [process(PROGRAM, tmp_path) for _ in range(2)]
    first, second = (said(each) for each in both)
    assert first == second
    assert not [name for name in programs(tmp_path) if name.startswith(".")]  # no temporary file is left


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_text("no folder", encoding="utf-8")
    assert said(process(PROGRAM, path))
    assert path.read_text(encoding="utf-8") == "no folder"


def test_a_folder_of_the_users_own_stays_his(tmp_path):
    assert said(process(PROGRAM, tmp_path / "ours", JAX_COMPILATION_CACHE_DIR=str(tmp_path / "his")))
    assert not programs(tmp_path / "ours")


def test_the_oldest_programs_go_first(tmp_path):
    for age, name in enumerate(["new", "old", "oldest"]):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    tuning.prune(tmp_path, 250)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "old"}
