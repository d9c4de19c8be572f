"""A twin's own pictures: what only this kind of patient has to show, before and after a change.

A twin that offers `probe` gives at the end of the study what its pictures are drawn of.
"""

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import pandas as pd
import plotly.graph_objects as go

from dashboards.results import Results
from dashboards.twin import Change, Who, solved, source, study_of
from solvers.twin import Twin

# Twin by its name, and the module that offers its `portrait`; it is imported only where it is shown.
OF = {"virtual-heart": "dashboards.heart_portrait"}


class Drawing(NamedTuple):
    """One picture: figure(before, after, source) of what is seen of two lives, and table(before, after), its data."""

    title: str
    aid: str
    figure: Callable[[Any, Any, str], go.Figure]
    table: Callable[[Any, Any], pd.DataFrame]


class Portrait(NamedTuple):
    """see(probed) -> what is seen of one life, from what the twin's `probe` gives, as arrays. drawings: by name."""

    see: Callable[[Any], Any]
    drawings: Mapping[str, Drawing]


def portrait(twin: Twin) -> Portrait | None:
    """The twin's own pictures, or those of the first of its parts that has some; None where there are none."""
    for part, each in twin.parts.items():
        if of := portrait(each):
            return of._replace(see=functools.partial(_of_part, of, part))
    if twin.probe is None or twin.name not in OF:
        return None
    return importlib.import_module(OF[twin.name]).portrait


def _of_part(of: Portrait, part: str, probed: Mapping[str, Any]) -> Any:
    return of.see(probed[part])


def picture(results: Results, name: str, arm: str, patient: Who, *changes: Change) -> go.Figure:
    """A picture of a patient before and after changes, which are as `twin.lives` takes them.

    Raises ValueError where the study's twin has no such picture.
    """
    return drawing(results, name).figure(*seen(results, arm, patient, *changes), source(results, arm, patient))


def table(results: Results, name: str, arm: str, patient: Who, *changes: Change) -> pd.DataFrame:
    """The data of a picture."""
    return drawing(results, name).table(*seen(results, arm, patient, *changes))


def drawing(results: Results, name: str) -> Drawing:
    """The drawing of that name. Raises ValueError where the study's twin has none such."""
    of = portrait(results.study.twin)
    known = of.drawings if of else {}
    if name not in known:
        twin, names = results.study.twin.name, ", ".join(known) or "none"
        raise ValueError(f"twin '{twin}' has no picture '{name}'; those that it has: {names}")
    return known[name]


def seen(results: Results, arm: str, patient: Who, *changes: Change) -> tuple[Any, Any]:
    """What the twin's portrait sees of the patient before and after, at the end of the study."""
    return _seen(results.study.text, arm, patient, changes)


@functools.lru_cache(maxsize=8)
def _probe(text: str) -> Callable[..., Any]:
    twin = study_of(text).twin

    def one(values: Mapping[str, Any], state: Any, given: Mapping[str, Any]) -> Any:
        assert twin.probe is not None
        return twin.probe(state, twin.namespace(values), twin.action(**given))

    return jax.jit(jax.vmap(one))


@functools.lru_cache(maxsize=16)
def _seen(text: str, arm: str, patient: Who, changes: tuple[Change, ...]) -> tuple[Any, Any]:
    twin = study_of(text).twin
    of = portrait(twin)
    if of is None:
        raise ValueError(f"twin '{twin.name}' has no pictures of its own; twins that may have some: {', '.join(OF)}")
    values, _, lives = solved(text, arm, patient, changes)
    state, given = jax.tree.map(lambda each: each[:, -1], lives.kept)
    probed = jax.device_get(_probe(text)({name: values[name] for name in twin.typical()}, state, given))
    before, after = (of.see(jax.tree.map(lambda each, life=life: each[life], probed)) for life in (0, 1))
    return before, after
