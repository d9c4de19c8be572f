"""Every file here is one twin: `warfarin_inr.py` offers `twin`, named `warfarin-inr`."""

import importlib
import pkgutil

from solvers.twin import Twin


def names() -> list[str]:
    """Names of all twins, sorted."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Twin:
    """The twin of that name. Raises ValueError for an unknown one, naming those that there are."""
    if name not in names():
        raise ValueError(f"twin '{name}' is unknown; write one of: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}").twin
