"""Machine code over lanes from a patient's equations, where there is a C compiler; JAX is the reference."""

from solvers.lanes.library import Library, Marched, library, reason
from solvers.lanes.program import Program, program
from solvers.lanes.recurrence import Recurrence, recurrence, recurrences

__all__ = ["Library", "Marched", "Program", "Recurrence", "library", "program", "reason", "recurrence", "recurrences"]
