"""The rule by which the driven states of a study are solved: data, chosen once."""

from typing import Any, NamedTuple


class Rule(NamedTuple):
    """nodes: of the Gauss collocation of a step. mesh: per interval (count, halvings): so many equal steps, the first
    of them halved so often towards its start. tick: the same for `advance`. norm: twice the largest column sum of the
    linear block among the pilots [1 / unit of time]; a patient beyond it has an infinite error. length: of the longest
    interval. jumps: per interval the states that may jump before it. scale: what the gathered differences of the two
    rules are multiplied by. tolerance: the largest error that is not solved again.
    """

    nodes: int
    mesh: tuple[tuple[int, int], ...]
    tick: tuple[int, int]
    norm: float
    length: float
    jumps: tuple[tuple[int, ...], ...]
    scale: float
    tolerance: float

    def finer(self) -> "Rule":
        """Steps of half the length, one more halving, and room for four times the norm."""
        return self._replace(
            mesh=tuple((2 * count, halvings + 1) for count, halvings in self.mesh),
            tick=(2 * self.tick[0], self.tick[1] + 1),
            norm=4.0 * self.norm,
        )


def levels(count: int, halvings: int) -> list[int]:
    """How often the interval's `count`-th part is halved to give each step: k, k, k-1, ..., 1, then 0 for the rest."""
    return [halvings, *range(halvings, 0, -1), *([0] * (count - 1))]


def jumping(rule: Rule) -> tuple[int, ...]:
    """The states that jump before any interval."""
    return tuple(sorted({state for states in rule.jumps for state in states}))


def read(data: Any) -> Rule:
    """The rule from what JSON makes of one: lists. Raises ValueError where it is none."""
    try:
        nodes, mesh, tick, norm, length, jumps, scale, tolerance = data
        return Rule(
            int(nodes),
            tuple((int(count), int(halvings)) for count, halvings in mesh),
            (int(tick[0]), int(tick[1])),
            float(norm),
            float(length),
            tuple(tuple(int(state) for state in states) for states in jumps),
            float(scale),
            float(tolerance),
        )
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(f"{str(data)[:60]} is no rule of the exact tier; write the eight fields of Rule") from error
