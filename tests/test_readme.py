"""What the README shows works as it stands."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import solvers

ROOT = Path(str(solvers.__file__)).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_starts_with_the_two_commands():
    lines = [line.strip() for line in README.splitlines() if line.strip()]
    assert lines[1].startswith("./dev demo") and lines[2].startswith("./dev test")


def test_the_python_example_runs_and_prints_an_answer(tmp_path):
    example = re.search(r"```python\n(.*?)```", README, re.S)
    assert example is not None
    assert len(example[1].splitlines()) == 20
    (tmp_path / "example.py").write_text(example[1], encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONSAFEPATH": "1"},
    )
    assert result.returncode == 0, result.stderr
    assert re.search(r"primary: difference, truth +0\.\d+ \(", result.stdout)
    assert "genotype" in result.stdout.splitlines()[-6]


def test_the_twin_that_it_shows_is_a_twin():
    block = re.search(r"    from solvers\.ode import ode_twin.*?\n    \)\n", README, re.S)
    assert block is not None
    names: dict = {}
    exec("\n".join(line[4:] for line in block[0].splitlines()), names)
    twin = names["twin"]
    p = twin.namespace(twin.typical())
    y = twin.advance(twin.initial(p), p, twin.action(dose=100.0), 0.0, 8.0)
    # 100 mg in 40 L, leaving at 5/40 a hour
    assert abs(float(twin.observe(y, p, 8.0)["concentration"]) - 2.5 * math.exp(-1.0)) < 1e-6


def test_files_that_it_names_are_there():
    for name in re.findall(r"`(tests/\w+\.py|trials/library|solvers/twins/|trials/policies/)`", README):
        assert (ROOT / name).exists(), name


def test_every_benchmark_that_it_names_is_there():
    for name in re.findall(r"\./dev bench (\w+)", README):
        assert (ROOT / "tests" / "benchmarks" / f"{name}.py").exists()


def test_the_statistics_that_it_shows_are_told(capsys):
    block = re.search(r"    import numpy as np\n    from analysis\.statistics.*?hazard ratio\n", README, re.S)
    assert block is not None
    exec("\n".join(line[4:] for line in block[0].splitlines()), {})
    power, ratio = map(float, capsys.readouterr().out.split())
    # 1 / mean 10 over 1 / mean 14; 330 events have a power of 86 % by Schoenfeld.
    assert 1.36 < ratio < 1.44 and 0.8 < power < 0.92
