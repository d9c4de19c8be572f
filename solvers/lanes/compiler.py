"""The C compiler of this machine, and a cache of what it made."""

import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import jax
import jaxlib

# No -ffast-math and no fused product but the written ones: a lane's bits must not depend on what surrounds it.
CODE = ("-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-std=gnu11", "-w")
FLAGS = (*CODE, "-fPIC", "-shared", "-fvisibility=hidden")


class NoCompiler(Exception):
    """Why there is no machine code, in a sentence."""


def built(source: str, more: tuple[str, ...] = ()) -> Path:
    """The shared library of a C source, from the cache where it is there. more: flags of its own.

    Raises NoCompiler where none is found or it refuses the source.
    """
    compiler = _compiler()
    key = "\n".join([source, *FLAGS, *more, _version(*compiler), _processor(), jaxlib.__version__])
    name = hashlib.sha256(key.encode()).hexdigest()
    folder = cache()
    target = folder / f"{name}.so"
    if target.exists():
        return target
    # Two processes may build the same: each writes its own files and renames, the last one stays.
    with tempfile.TemporaryDirectory(prefix="build-", dir=folder) as scratch:
        text, made = Path(scratch) / "lanes.c", Path(scratch) / "lanes.so"
        text.write_text(source, encoding="utf-8")
        command = [*compiler, *FLAGS, *more, f"-I{jax.ffi.include_dir()}", "-o", str(made), str(text), "-lm"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise NoCompiler(f"{compiler[0]} refused the generated C: {run.stderr.strip()[:300]}")
        made.replace(target)
    return target


def cache() -> Path:
    """$TRIALTWIN_CACHE, else ~/.cache/trialtwin; a temporary folder where that cannot be written."""
    named = os.environ.get("TRIALTWIN_CACHE")
    try:
        folder = Path(named) if named else Path.home() / ".cache" / "trialtwin"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # RuntimeError: no home
        return _temporary()


@functools.cache
def _temporary() -> Path:
    return Path(tempfile.mkdtemp(prefix="trialtwin-"))


def _compiler() -> tuple[str, ...]:
    wanted = os.environ.get("CC")
    for command in [shlex.split(wanted)] if wanted else [["cc"], ["gcc"], ["clang"]]:
        if command and (path := shutil.which(command[0])):
            return (path, *command[1:])
    raise NoCompiler(f"no C compiler is on the PATH ({wanted or 'cc, gcc or clang'})")


@functools.cache
def _version(*compiler: str) -> str:
    run = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=False)
    return " ".join(compiler) + run.stdout.partition("\n")[0]


@functools.cache
def _processor() -> str:
    """What -march=native looks at."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    told = [line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))]
    return "\n".join([platform.machine(), platform.processor(), *sorted(set(told))])
