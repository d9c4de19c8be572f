"""The exact tier: models whose linear states are solved by matrix exponentials, and what they drive by collocation."""

from solvers.exact.choice import choose
from solvers.exact.march import Marched, Solver, solver
from solvers.exact.rule import Rule, read
from solvers.exact.structure import Driven, Structure, structure

__all__ = ["Driven", "Marched", "Rule", "Solver", "Structure", "choose", "read", "solver", "structure"]
