"""Two tasks as a C programmer would write them by hand: what generated code is held against.

Same method, mesh, outputs and error sum as a march. Products fuse freely, and elementary functions look after no
special value, which is to the loops' advantage.
"""

import ctypes
import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
FLAGS = (
    "-O3",
    "-march=native",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-fPIC",
    "-shared",
    "-w",
)
LANES = 16
DEEPEST = 6  # as t1exact.c has it


def t1(p: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """T1 with `steps` equal steps an hour. p: (8, n), n a multiple of 16. Returns outputs (169, 2, n), error (n,)."""
    return _run("t1", (p,), (169, 2), ctypes.c_long(steps))


def t2(y: np.ndarray, p: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """T2 with `steps` equal steps of each 20 ms. y: (21, n); p: (28, n). Returns outputs (501, 3, n), error (n,)."""
    return _run("t2", (y, p), (501, 3), ctypes.c_long(steps))


def t1exact(p: np.ndarray, counts: Sequence[int], halvings: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """T1 by the exact method, on the mesh of an engine. As `t1`."""
    mesh = [np.ascontiguousarray(each, np.int64) for each in (counts, halvings)]
    deepest = np.max(np.log2(mesh[0]) + mesh[1])
    if deepest > DEEPEST:
        raise ValueError(f"the shortest step is 1/2^{deepest:g} h; the loop has room for 1/2^{DEEPEST}")
    return _run("t1exact", (p,), (169, 2), *(ctypes.c_void_p(each.ctypes.data) for each in mesh))


_code: dict[str, ctypes.CDLL] = {}


def compile_loop(name: str) -> None:
    """Compiles one of them, once a process, with $CC or cc."""
    if name not in _code:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / f"{name}.so"
            compiler = shlex.split(os.environ.get("CC", "cc"))
            subprocess.run([*compiler, *FLAGS, "-o", str(made), str(HERE / f"{name}.c"), "-lm"], check=True)
            _code[name] = ctypes.CDLL(str(made))


def _run(name: str, given: tuple[np.ndarray, ...], shape: tuple[int, int], *mesh: Any) -> tuple[np.ndarray, np.ndarray]:
    arrays = [np.ascontiguousarray(array, float) for array in given]
    n = arrays[0].shape[1]
    if n % LANES:
        raise ValueError(f"got {n} patients; give a multiple of {LANES}")
    compile_loop(name)
    outputs, error = np.empty((*shape, n)), np.empty(n)
    addresses = [ctypes.c_void_p(array.ctypes.data) for array in (*arrays, outputs, error)]
    getattr(_code[name], name)(ctypes.c_long(n), *mesh, *addresses)
    return outputs, error
