"""Imports go along the arrows, and a planted violation is found."""

import ast
from pathlib import Path

import solvers

ROOT = Path(str(solvers.__file__)).parents[1]
ALLOWED = {
    "solvers": set(),
    "populations": {"solvers"},
    "trials": {"populations", "solvers"},
    "analysis": {"trials", "populations", "solvers"},
    "dashboards": {"analysis", "trials", "populations", "solvers", "cluster"},
    "cluster": set(),
}


def imported(source: str) -> set[str]:
    """Top-level packages that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            found.add(str(node.module).split(".")[0])
    return found


def violations(folder: str, source: str) -> set[str]:
    return {name for name in imported(source) & set(ALLOWED) if name != folder and name not in ALLOWED[folder]}


def test_imports_follow_the_arrows():
    files = 0
    for folder in ALLOWED:
        for path in sorted((ROOT / folder).rglob("*.py")):
            assert not violations(folder, path.read_text(encoding="utf-8")), path
            files += 1
    assert files > 40


def test_a_planted_violation_is_found():
    assert violations("solvers", "def f():\n    from trials.study import read\n") == {"trials"}
    assert violations("trials", "import analysis.summary") == {"analysis"}
    assert violations("cluster", "import solvers") == {"solvers"}
    assert violations("analysis", "import trials.run\nimport numpy") == set()


def test_the_command_answers_without_the_heavy_libraries():
    tree = ast.parse((ROOT / "dashboards" / "cli.py").read_text(encoding="utf-8"))
    top = {
        name.split(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [str(node.module)])
    }
    assert top <= {
        "collections",
        "contextlib",
        "logging",
        "signal",
        "sys",
        "time",
        "pathlib",
        "typing",
        "typer",
    }


def test_no_folder_is_named_after_nothing():
    names = {path.stem for folder in ALLOWED for path in (ROOT / folder).rglob("*.py")}
    assert not names & {"utils", "helpers", "core", "common", "misc"}
