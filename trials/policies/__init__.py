"""Every file here is one policy: `titrated_oral.py` offers `form`, named `titrated-oral`."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from solvers.policy import Policy
from solvers.twin import Twin
from trials.dosing import OptionError


class Form(NamedTuple):
    """How a study file writes a policy.

    keys: option -> what it is. defaults: option -> text, for those that may be left out.
    build(options, twin, tick [h]) -> Policy; raises OptionError.
    """

    title: str
    keys: Mapping[str, str]
    defaults: Mapping[str, Any]
    build: Callable[[Mapping[str, Any], Twin, float], Policy]


def names() -> list[str]:
    """Names of all policies, sorted."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Form:
    """The form of a policy. Raises ValueError for an unknown one, naming those that there are."""
    if name not in names():
        raise ValueError(f"policy '{name}' is unknown; write one of: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}").form


def read(options: Mapping[str, Any], twin: Twin, tick: float) -> Policy:
    """The policy that an arm's options describe, its name under `policy`. Raises OptionError, key '' for the arm."""
    if not isinstance(options.get("policy"), str):
        raise OptionError("", f"has no policy; write one of: {', '.join(names())}")
    try:
        form = load(options["policy"])
    except ValueError as error:
        raise OptionError("policy", str(error)) from error
    for key, value in options.items():
        if key != "policy" and key not in form.keys:
            raise OptionError(key, f"unknown key '{key}'; write one of: policy, {', '.join(form.keys)}")
        if not isinstance(value, str | list):
            raise OptionError(key, f"'{key}' is a mapping; write one value")
    for key, meaning in form.keys.items():
        if key not in options:
            raise OptionError("", f"lacks '{key}' ({meaning}); add it")
    return form.build(options, twin, tick)
