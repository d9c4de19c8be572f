"""What is varied: columns of the unit cube, in groups that are the inputs."""

from typing import Any, NamedTuple

import numpy as np

LAWS = ("uniform", "normal", "levels", "chance")


class Column(NamedTuple):
    """One coordinate of the unit cube.

    name: unique. group: the input that it belongs to; alone, its own name. law: the scale on which outputs are smooth:
    "uniform" (u itself), "normal" (the normal quantile of u), "levels" (categories), "chance" (none: the luck of a
    patient). shares: of the levels, in the order in which u = 0..1 passes them.
    """

    name: str
    group: str
    law: str
    shares: tuple[float, ...] = ()


class Problem(NamedTuple):
    """Columns in the order of the points. Inputs are the groups, in the order in which they first appear."""

    columns: tuple[Column, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(column.group for column in self.columns))

    @property
    def membership(self) -> np.ndarray:
        """Whether a column belongs to an input, (input, column)."""
        return np.array([[column.group == name for column in self.columns] for name in self.inputs])

    def salib(self) -> dict[str, Any]:
        """The problem as SALib writes it, every column in (0, 1)."""
        return {
            "num_vars": len(self.columns),
            "names": [column.name for column in self.columns],
            "bounds": [[0.0, 1.0]] * len(self.columns),
            "groups": [column.group for column in self.columns],
        }


def check(problem: Problem) -> None:
    """Raises ValueError where a problem has no columns, equal names, an unknown law or shares that are none."""
    if not problem.columns:
        raise ValueError("the problem has no columns; vary one input or more")
    names = [column.name for column in problem.columns]
    for column in problem.columns:
        if names.count(column.name) > 1:
            raise ValueError(
                f"column '{column.name}' is there {names.count(column.name)} times; give each its own name"
            )
        if column.law not in LAWS:
            raise ValueError(f"column '{column.name}' has law '{column.law}'; write one of: {', '.join(LAWS)}")
        if column.law == "levels" and (
            len(column.shares) < 2 or min(column.shares) <= 0 or abs(sum(column.shares) - 1) > 1e-6
        ):
            raise ValueError(
                f"column '{column.name}' has shares {column.shares}; write two or more that are positive and sum to 1"
            )


def check_single(problem: Problem, method: str) -> None:
    """Raises ValueError where an input has several columns, for methods that give a value per column."""
    for name, members in zip(problem.inputs, problem.membership, strict=True):
        if members.sum() > 1:
            raise ValueError(
                f"{method} gives a value per column, and input '{name}' has {members.sum()} of them; "
                "use sobol, morris or chaos, or ungroup it"
            )


def levels(column: Column, u: np.ndarray) -> np.ndarray:
    """Number of the level that a categorical column takes at u, same shape."""
    return np.searchsorted(np.cumsum(column.shares)[:-1], u, side="right")
