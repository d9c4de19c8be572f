"""How XLA compiles for this processor, and what it compiled kept from process to process.

Flags may change how operations are fused, and so the last bits of a result: `settings` tells them.
"""

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import warnings
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

EXTRA = "--xla_backend_extra_options"
WIDTH = "--xla_cpu_prefer_vector_width"
WHILE = "xla_cpu_small_while_loop_byte_threshold"
FUSION = "xla_cpu_use_multi_output_fusion"
BYTES = 100_000_000  # a loop over less than this is one kernel: any block of lanes
KEPT = 2**30  # bytes of compiled programs; the oldest beyond are removed

PROBE = "import jax; jax.config.update('jax_platforms', 'cpu'); jax.numpy.zeros(1).block_until_ready()"
UNKNOWN = "Unknown flag"  # how XLA says it, and aborts

# How many threads and what is printed are no part of a result.
HARMLESS = ("--xla_cpu_multi_thread_eigen", "intra_op_parallelism_threads", "--xla_dump", "--xla_force_host_platform")


def folder() -> Path:
    """Where things are kept that can be made again: $TRIALTWIN_CACHE, else ~/.cache/trialtwin. It may not be there."""
    given = os.environ.get("TRIALTWIN_CACHE")
    if given:
        return Path(given)
    try:
        return Path.home() / ".cache" / "trialtwin"
    except RuntimeError:
        return Path(os.devnull)  # no home: nothing can be written below it


def apply() -> None:
    """Adds the flags for this processor to XLA_FLAGS, where the user has not set them; his own win.

    XLA reads its flags when it first compiles. A UserWarning says where that has been already, and nothing is changed.
    """
    before = os.environ.get("XLA_FLAGS", "")
    after = merged(before, flags())
    if after == before:
        return
    if _started():
        warnings.warn(
            "jax has compiled something already, so XLA's flags for this processor are left out and solving is slower; "
            "import solvers, or call solvers.tuning.apply(), before the first computation",
            UserWarning,
            stacklevel=2,
        )
        return
    os.environ["XLA_FLAGS"] = after


def settings() -> list[str]:
    """The flags in force that may change the bits of a result, in one order."""
    simple, extra = _parsed(_text(os.environ.get("XLA_FLAGS", "")))
    every = {name: value for name, value in {**simple, **extra}.items() if not name.startswith(HARMLESS)}
    return sorted(f"{name}={value}" if value else name for name, value in every.items())


def flags() -> dict[str, str]:
    """The flags for this processor that this jaxlib knows, by name; names without dashes are extra options."""
    known = _known()
    found = {}
    width = _vector_width()
    if width and WIDTH in known:
        found[WIDTH] = str(width)
    if EXTRA in known:
        found[WHILE] = str(BYTES)
        # One loop that computes several results: fewer loops to compile, and lives are not solved more slowly.
        found[FUSION] = "true"
    return found


def merged(before: str, wanted: Mapping[str, str]) -> str:
    """XLA_FLAGS with what is wanted, where it is not there already."""
    text = _text(before)
    simple, extra = _parsed(text)
    if text is None or set(wanted) <= {*simple, *extra}:
        return before
    others = [word for word in text.split() if not word.startswith(f"{EXTRA}=")]
    options = {name: value for name, value in wanted.items() if not name.startswith("--")} | extra
    others += [f"{name}={value}" for name, value in wanted.items() if name.startswith("--") and name not in simple]
    if options:
        others.append(f"{EXTRA}={','.join(f'{name}={value}' if value else name for name, value in options.items())}")
    return " ".join(others)


def _text(given: str) -> str | None:
    """The words of XLA_FLAGS, which may be the name of a file of them; None for one that cannot be read."""
    if not given.strip() or given.lstrip().startswith("--"):
        return given
    try:
        return Path(given.strip()).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _parsed(text: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """Flags, and what the flag of extra options holds; both by name."""
    simple: dict[str, str] = {}
    extra: dict[str, str] = {}
    for word in (text or "").split():
        name, _, value = word.partition("=")
        if name == EXTRA:
            extra |= {key: given for key, _, given in (part.partition("=") for part in value.split(",") if part)}
        else:
            simple[name] = value
    return simple, extra


def _started() -> bool:
    """Whether XLA has read its flags, as it does when jax first uses a backend. No, where this jax does not tell."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    initialized = getattr(bridge, "backends_are_initialized", None)
    return bool(initialized and initialized())


@functools.cache
def processor() -> str:
    """What the machine code depends on: the architecture, and what /proc/cpuinfo says of model and instructions."""
    words = [platform.system(), platform.machine()]
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0].splitlines()
    except OSError:
        lines = []
    words += [line for line in lines if line.split(":")[0].strip() in ("model name", "flags", "Features", "CPU part")]
    return "\n".join(words)


def _vector_width() -> int | None:
    """Bits of the widest vectors of an x86 processor; None for others, whose vectors have one width."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return None
    return 512 if "avx512f" in processor().split() else 256


def place() -> Path:
    """The folder of what belongs to this jaxlib on this kind of processor."""
    return folder() / _kind()


@functools.cache
def _kind() -> str:
    return f"jaxlib-{importlib.metadata.version('jaxlib')}-{_digest(processor())}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def _known() -> frozenset[str]:
    """Which flags this jaxlib knows: tried once in a process of its own, which an unknown one ends."""
    path = place() / "flags.json"
    kept = _read(path)
    if isinstance(kept, list):
        return frozenset(kept)
    candidates = {WIDTH: f"{WIDTH}=256", EXTRA: f"{EXTRA}={WHILE}={BYTES}"}
    if accepted(candidates.values()):
        taken: dict[str, bool | None] = dict.fromkeys(candidates, True)
    else:
        taken = {name: accepted([word]) for name, word in candidates.items()}
    found = sorted(name for name, each in taken.items() if each)
    if None not in taken.values():
        replace(path, json.dumps(found).encode())
    return frozenset(found)


def accepted(words: Iterable[str]) -> bool | None:
    """Whether XLA takes the flags, tried in a process of its own; None where that could not be found out."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE],
            env=os.environ | {"XLA_FLAGS": " ".join(words), "PYTHONSAFEPATH": "1"},
            capture_output=True,
            timeout=120,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if done.returncode == 0:
        return True
    return False if UNKNOWN in done.stderr.decode(errors="replace") else None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def replace(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; nothing where the folder cannot be written."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
        temporary.replace(path)
    except OSError:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


class Programs:
    """Compiled programs as files, in the form of jax's own cache, whose files may be read while they are written.

    Every file begins with a checksum: damaged machine code is compiled again instead of run.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str) -> bytes | None:
        path = self._path / key
        try:
            content = path.read_bytes()
            os.utime(path)  # used: the oldest are removed first
        except OSError:
            return None
        return content[4:] if content[:4] == _checksum(content[4:]) else None

    def put(self, key: str, value: bytes) -> None:
        replace(self._path / key, _checksum(value) + value)


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(4, "little")


def keep() -> None:
    """Lets jax keep what it compiles for later processes, where the user has not told it a folder of his own."""
    import jax
    from jax._src import compilation_cache

    # Another jax may lack the seam: two processes cannot share its own files.
    if jax.config.jax_compilation_cache_dir is not None or not hasattr(compilation_cache, "get_file_cache"):
        return
    path = place() / "programs"
    prune(path)
    seam: Any = compilation_cache
    seam.get_file_cache = lambda given: (Programs(Path(given)), given)
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def prune(path: Path, most: int = KEPT) -> None:
    """Removes the oldest files beyond `most` bytes."""
    try:
        files = sorted((each.stat().st_mtime, each.stat().st_size, each) for each in path.iterdir())
        total = sum(size for _, size, _ in files)
        for _, size, each in files:
            if total <= most:
                return
            each.unlink(missing_ok=True)
            total -= size
    except OSError:
        return  # no such folder, or another process prunes it
