"""What of a right-hand side is linear, found in its operations."""

from collections.abc import Callable
from typing import Any, NamedTuple

from solvers.exact.formula import TIME, Formula

# Products of two matrices are written out; beyond this many multiplications compiling takes too long.
WIDEST = 2000


class Driven(NamedTuple):
    """A state r with r' = u - v r. source, rate: what u and v depend on: states, TIME."""

    state: int
    source: frozenset[int]
    rate: frozenset[int]


class Structure(NamedTuple):
    """How the states of a model depend on each other.

    linear: states whose slopes are A(p) y + b(p) in each other, with nothing else. entries: (i, j) where A may differ
    from 0. shifted: i where b may. driven: the other states, in an order in which each depends on those before it.
    """

    n_states: int
    n_parameters: int
    linear: tuple[int, ...]
    entries: frozenset[tuple[int, int]]
    shifted: frozenset[int]
    driven: tuple[Driven, ...]


def structure(rhs: Callable[[Any, Any, Any], Any], n_states: int, n_parameters: int) -> Structure | None:
    """The structure of rhs(t, y, p) -> slopes, None where some state is neither linear nor driven.

    A slope is read as its operations stand: x^2 - x^2 counts as nonlinear.
    """
    formula = Formula(rhs, n_states, n_parameters)
    traits = formula.traits()
    if len(traits) != n_states:
        raise ValueError(f"the right-hand side gives {len(traits)} slopes for {n_states} states; give one a state")
    linear = {i for i, trait in enumerate(traits) if not trait.curved and TIME not in trait.on}
    while outside := {i for i in linear if not traits[i].on <= linear}:
        linear -= outside
    driven: list[Driven] = []
    solved = set(linear)
    while len(solved) < n_states:
        ready = [
            r
            for r in range(n_states)
            if r not in solved and traits[r].on <= solved | {r, TIME} and (r, r) not in traits[r].curved
        ]
        if not ready:
            return None
        for r in ready:
            source = formula.traits(zero=frozenset({r}))[r].on
            rate = frozenset(i + j - r for i, j in traits[r].curved if r in (i, j))
            driven.append(Driven(r, source, rate))
        solved |= set(ready)
    entries = frozenset((i, j) for i in linear for j in traits[i].on)
    shifted = frozenset(i for i in linear if traits[i].shifted)
    full = reach(entries)
    if sum(a[1] == b[0] for a in full for b in full) > WIDEST:
        return None
    return Structure(n_states, n_parameters, tuple(sorted(linear)), entries, shifted, tuple(driven))


def reach(entries: frozenset[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    """Where powers of a matrix with these entries may differ from 0, those on the way of each state to itself too."""
    found = entries | {(i, i) for pair in entries for i in pair}
    while more := {(a, d) for a, b in found for c, d in found if b == c} - found:
        found |= more
    return found
