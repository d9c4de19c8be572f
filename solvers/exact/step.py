"""One step: the linear states exactly, the driven ones by collocation on them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from solvers import lanes
from solvers.exact import exponential
from solvers.exact.collocation import Transfer, constant_transfer, gauss, tableau, transfer
from solvers.exact.formula import ZERO, Formula
from solvers.exact.structure import Driven, Structure, reach

States = dict[int, Any]

NODES = 3  # of the Gauss collocation of a step: order 6
FLOOR = 1e-3  # of an output's largest value: below it, errors are relative to that
TINY = 1e-300


class Patient(NamedTuple):
    """What is found once a patient. sources, rates: of the driven states, where u or v is constant."""

    known: tuple
    seen: tuple
    powers: list
    norm: Any
    sources: States
    rates: States


class Known(NamedTuple):
    """What is found once for a length of step. inner: a matrix per node. transfers: where v is constant."""

    length: Any
    inner: list[dict]
    end: dict
    transfers: dict


class Carry(NamedTuple):
    """What goes from step to step: states; errors of the driven ones; their forcing; of each output the largest so far;
    worst: the largest relative error of any, as numerator and denominator: compared without a division.
    """

    states: States
    error: States
    first: dict[int, tuple]
    largest: list
    worst: tuple[Any, Any]


class Stepper:
    """The steps of one patient, all of whose numbers are scalars."""

    def __init__(self, structure: Structure, rhs: Callable, outputs: Callable, nodes: int = NODES) -> None:
        self.structure = structure
        self.slopes = Formula(rhs, structure.n_states, structure.n_parameters)
        self.seen = Formula(outputs, structure.n_states, structure.n_parameters)
        self.one = structure.n_states  # the column of what is added, as a state that is always 1
        self.nodes = gauss(nodes)
        self.shared = tuple(range(1, nodes - 1))  # nodes of the second rule besides both ends
        self.main = tableau(self.nodes)
        self.second = tableau((0.0, *(self.nodes[i] for i in self.shared), 1.0))
        self.entries = reach(structure.entries | {(i, self.one) for i in structure.shifted})
        self.size = frozenset(structure.linear) | {i for pair in self.entries for i in pair}
        needed = frozenset().union(*(each.source | each.rate for each in structure.driven), frozenset())
        self.at_nodes = tuple(i for i in structure.linear if i in needed)
        self.staged = frozenset(each.state for each in structure.driven) & needed
        self.coupled = bool(self.staged)
        driven = {each.state for each in structure.driven}
        self.twins = self._twins()
        self.uncertain = [bool(trait.on & driven) for trait in self.seen.traits()]

    def _twins(self) -> dict[int, int]:
        """Of each driven state with a constant rate, the first one with the same: they share what the rate makes."""
        steady = [each.state for each in self.structure.driven if not each.rate]

        def rates(t: Any, y: tuple, p: tuple) -> list:
            known, zeros = self.slopes.prepare(p), dict.fromkeys(range(self.structure.n_states), jnp.zeros(()))
            return [self._rate(known, 0.0, zeros, r) for r in steady]

        found = lanes.program(lambda t, y, p: (), rates, (), [""] * self.structure.n_parameters)
        return {r: steady[found.outputs.index(node)] for r, node in zip(steady, found.outputs, strict=False)} or {
            r: r for r in steady
        }

    def patient(self, p: tuple) -> Patient:
        layout = self.structure
        known = self.slopes.prepare(p)
        zeros = dict.fromkeys(range(layout.n_states), jnp.zeros(()))
        linear = dict.fromkeys(layout.linear, jnp.zeros(()))
        a: dict[tuple[int, int], Any] = {}
        for j in layout.linear:
            rows = [i for i in layout.linear if (i, j) in layout.entries]

            def column(value: Any, j: int = j, rows: list[int] = rows) -> list[Any]:
                slopes = self.slopes.values(known, jnp.zeros(()), {**linear, j: value})
                return [slopes[i] for i in rows]

            _, tangents = jax.jvp(column, (jnp.zeros(()),), (jnp.ones(()),))
            a.update({(i, j): tangent for i, tangent in zip(rows, tangents, strict=True)})
        if layout.shifted:
            still = self.slopes.values(known, jnp.zeros(()), dict.fromkeys(layout.linear, ZERO))
            a.update({(i, self.one): jnp.asarray(still[i]) for i in layout.shifted})
        norm = exponential.norm({at: value for at, value in a.items() if at[1] != self.one})
        sources, rates = {}, {}
        for each in layout.driven:
            if not each.source:
                sources[each.state] = self._source(known, 0.0, {}, each.state)
            if self.twins.get(each.state) == each.state:
                rates[each.state] = self._rate(known, 0.0, zeros, each.state)
        return Patient(known, self.seen.prepare(p), exponential.powers(a), norm, sources, rates)

    def _source(self, known: tuple, t: Any, y: Mapping[int, Any], r: int) -> Any:
        value = self.slopes.values(known, t, {**y, r: ZERO})[r]
        if value is None:  # states that cancel out were left out
            value = self.slopes.values(known, t, [*[jnp.zeros(())] * r, ZERO, *[jnp.zeros(())] * (self.one - r - 1)])[r]
        return jnp.zeros(()) if value is ZERO else jnp.asarray(value, float)

    def _rate(self, known: tuple, t: Any, y: Mapping[int, Any], r: int) -> Any:
        def slope(value: Any) -> Any:
            return self.slopes.values(known, t, {**y, r: value})[r]

        return -jax.jvp(slope, (jnp.zeros(()),), (jnp.ones(()),))[1]

    def small(self, patient: Patient, eta: Any, share: Any) -> list[dict]:
        """exp(A c eta share) to the nodes c, where they are needed, and to the end."""
        ends = [*(self.nodes if self.at_nodes else ()), 1.0]
        return [exponential.polynomial(patient.powers, eta * (c * share), self.size) for c in ends]

    def squared(self, matrices: list[dict]) -> list[dict]:
        return [exponential.squared(matrix) for matrix in matrices]

    def finished(self, patient: Patient, eta: Any, matrices: list[dict]) -> Known:
        *inner, end = (
            {at: value for at, value in matrix.items() if at[0] in rows}
            for matrix, rows in zip(
                matrices, [*[self.at_nodes] * (len(matrices) - 1), self.structure.linear], strict=True
            )
        )
        transfers = {}
        for r, rate in patient.rates.items():
            z = eta * rate
            staged = any(other in self.staged for other, first in self.twins.items() if first == r)
            transfers[r] = (
                _transfer(transfer(self.main, [z] * len(self.main.nodes), self._rows(staged)), eta),
                _transfer(transfer(self.second, [z] * len(self.second.nodes), [-1]), eta),
            )
        return Known(jnp.asarray(eta, float), inner or [{} for _ in self.nodes], end, transfers)

    def _rows(self, staged: bool) -> list[int]:
        """What of a collocated state is asked for: its end, and its values at the nodes where others need them."""
        return [-1, *(range(len(self.nodes)) if staged else ())]

    def begin(self, patient: Patient, t: Any, y: States) -> dict[int, tuple]:
        """u and v of the driven states at the start of an interval; a step returns those at its end."""
        return {each.state: self._forcing(patient, t, y, each) for each in self.structure.driven}

    def step(
        self, patient: Patient, known: Known, t: Any, y: States, error: States, first: dict
    ) -> tuple[States, States, dict]:
        """y and the error of the driven states after a step, and the forcing there. first: the forcing at t."""
        eta = known.length
        linear = {i: y[i] for i in self.structure.linear}
        inside = [_times(matrix, linear, self.at_nodes, self.one) for matrix in known.inner]
        after = _times(known.end, linear, self.structure.linear, self.one)
        start = {each.state: y[each.state] for each in self.structure.driven}

        def solve(start: States) -> tuple[States, tuple]:
            return self._driven(patient, known, t, eta, inside, {**after}, {**linear, **start}, first)

        if self.coupled:
            ends, grown, (gaps, _, last) = jax.jvp(solve, (start,), (error,), has_aux=True)
            error = {r: jnp.abs(grown[r]) + gaps[r] for r in gaps}
        else:
            ends, (gaps, gains, last) = solve(start)
            error = {r: gains[r] * error[r] + gaps[r] for r in gaps}
        return {**after, **ends}, error, last

    def _driven(
        self, patient: Patient, known: Known, t: Any, eta: Any, inside: list, after: States, y: States, first: dict
    ) -> tuple[States, tuple]:
        ends: States = {}
        gaps, gains = {}, {}
        inside = [dict(node) for node in inside]
        last: dict = {}
        for each in self.structure.driven:
            r = each.state
            inner = [
                self._forcing(patient, t + c * eta, node, each) for c, node in zip(self.nodes, inside, strict=True)
            ]
            last[r] = self._forcing(patient, t + eta, after, each)
            pick = [first[r], *(inner[i] for i in self.shared), last[r]]
            main = self._solved(self.main, patient, known, 0, r, eta, inner, self._rows(r in self.staged), y[r])
            second = self._solved(self.second, patient, known, 1, r, eta, pick, [-1], y[r])
            # One division for both rules.
            if r in self.twins:
                (end, *stages), gain = main[0], main[2][0]
                gaps[r], gains[r] = jnp.abs(end - second[0][0]), jnp.abs(gain)
            else:
                share = 1.0 / (main[1] * second[1])
                inverse = share * second[1]
                end, *stages = (value * inverse for value in main[0])
                gaps[r] = jnp.abs((main[0][0] * second[1] - second[0][0] * main[1]) * share)
                gains[r] = jnp.abs(main[2][0] * inverse)
            ends[r] = after[r] = end
            for node, value in zip(inside, stages, strict=False):
                node[r] = value
        return ends, (gaps, gains, last)

    def _forcing(self, patient: Patient, t: Any, y: Mapping[int, Any], each: Driven) -> tuple:
        """u and v of a driven state at one time, None where they are constant."""

        y = {i: y[i] for i in y if i in each.source | each.rate}
        u = self._source(patient.known, t, y, each.state) if each.source else None
        v = self._rate(patient.known, t, y, each.state) if each.rate else None
        return u, v

    def _solved(
        self, rule: Any, patient: Patient, known: Known, which: int, r: int, eta: Any, forcing: list, rows: list, y: Any
    ) -> tuple[list, Any, list]:
        """Numerators of the rows, the denominator, and the factors of the start."""
        constant = r in patient.sources
        us = [patient.sources[r]] if constant else [u for u, _ in forcing]
        if r in self.twins:
            starts, sources = known.transfers[self.twins[r]][which]
            us = us * len(rule.nodes) if constant else us
            return [_sum(start * y, source, us) for start, source in zip(starts, sources, strict=True)], 1.0, starts
        found = (constant_transfer if constant else transfer)(rule, [eta * v for _, v in forcing], rows)
        scaled = [eta * u for u in us]
        values = [_sum(a * y, row, scaled) for a, row in zip(found.starts, found.sources, strict=True)]
        return values, found.denominator, list(found.starts)

    def start(self, patient: Patient, t: Any, y: States, norm: Any) -> tuple[Carry, list]:
        """Where a life begins, and the outputs there. norm: the largest of a linear block that the squarings allow."""
        zero = jnp.zeros(())
        error = {each.state: zero for each in self.structure.driven}
        values, _ = self.outputs(patient, t, y, error)
        worst = jnp.where(patient.norm <= norm, 0.0, jnp.inf), jnp.ones(())
        return Carry(y, error, self.begin(patient, t, y), [jnp.abs(value) for value in values], worst), values

    def whole(self, patient: Patient, known: Known, t: Any, carry: Carry) -> tuple[Carry, list]:
        """A step and the outputs after it."""
        states, error, first = self.step(patient, known, t, carry.states, carry.error, carry.first)
        values, errors = self.outputs(patient, t + known.length, states, error)
        largest = [jnp.maximum(most, jnp.abs(value)) for most, value in zip(carry.largest, values, strict=True)]
        above, below = carry.worst
        for value, each, most in zip(values, errors, largest, strict=True):
            if each is not None:
                size = jnp.abs(value) + FLOOR * most
                more = each * below > above * size
                above, below = jnp.where(more, each, above), jnp.where(more, size, below)
        return Carry(states, error, first, largest, (above, below)), values

    def error(self, carry: Carry) -> Any:
        """The relative error of a life: inf where it cannot be told, nan where anything is not finite."""
        above, below = carry.worst
        # No comparison finds a nan; a sum does.
        return above / jnp.maximum(below, TINY) + sum(
            0.0 * value for value in (*carry.states.values(), *carry.error.values())
        )

    def outputs(self, patient: Patient, t: Any, y: States, error: States) -> tuple[list, list]:
        """Values of the outputs, and their errors where they can have any, else None."""

        def look(driven: States) -> list:
            return [jnp.asarray(value, float) for value in self.seen.values(patient.seen, t, {**y, **driven})]

        start = {r: y[r] for r in error}
        found = look(start)
        total: list = [None] * len(found)
        for r in error:
            direction = {i: e if i == r else jnp.zeros_like(e) for i, e in error.items()}
            for o, moved in enumerate(jax.jvp(look, (start,), (direction,))[1]):
                if self.uncertain[o]:
                    total[o] = jnp.abs(moved) if total[o] is None else total[o] + jnp.abs(moved)
        return found, total


def _times(matrix: Mapping[tuple[int, int], Any], y: States, rows: tuple[int, ...], one: int) -> States:
    result: States = {}
    for (i, j), value in sorted(matrix.items()):
        if i in rows:
            term = value if j == one else value * y[j]
            result[i] = result[i] + term if i in result else term
    return result


def _transfer(found: Transfer, eta: Any) -> tuple:
    inverse = 1.0 / found.denominator
    starts = [start * inverse for start in found.starts]
    return starts, [[eta * source * inverse for source in row] for row in found.sources]


def _sum(start: Any, weights: Any, values: Any) -> Any:
    for weight, value in zip(weights, values, strict=True):
        start = start + weight * value
    return start
