"""Which inputs an output hangs on. Every file of `methods` is one method: `chaos_sparse.py` offers `chaos-sparse`."""

import importlib
import pkgutil

from analysis.sensitivity import methods
from analysis.sensitivity.method import Method


def names() -> list[str]:
    """Names of all methods, sorted."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(methods.__path__))


def load(name: str) -> Method:
    """The method of that name. Raises ValueError for an unknown one, naming those that there are."""
    if name not in names():
        raise ValueError(f"method '{name}' is unknown; write one of: {', '.join(names())}")
    return importlib.import_module(f"{methods.__name__}.{name.replace('-', '_')}").method
