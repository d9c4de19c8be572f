"""The exact tier: equations whose solution is known where it can be, found out from the equations themselves.

1. `structure` reads the operations of a right-hand side and parts its states: linear ones (slopes A(p) y + b(p)),
   and driven ones (r' = u - v r, with u and v of time and of states that are solved before). Elsewhere: None.
2. The linear ones go through a step h by the matrix exp(A h), which is found once a patient for each length of step,
   the halves, quarters ... of a tick: of short ones from a polynomial, of others by squaring.
3. The driven ones are collocated on the known linear states at three Gauss nodes of the step (order 6); being linear
   in themselves they need no iteration, only the quotient of two polynomials of h v.
4. A second rule on other nodes gives every step an error, which goes on through the steps as the states do.
5. All of it is written once, in JAX, for one patient (step.py). scheme.py goes with it through a tick, inside jit, vmap
   and scan; source.py traces it and writes C for lanes of patients, whose whole courses machine.py runs.
"""

from solvers.exact.machine import Machine, Marched, machine
from solvers.exact.scheme import Table, Track, advance, begin, depth, error, prepare, rounding
from solvers.exact.step import Stepper
from solvers.exact.structure import Driven, Structure, structure

__all__ = [
    "Driven",
    "Machine",
    "Marched",
    "Stepper",
    "Structure",
    "Table",
    "Track",
    "advance",
    "begin",
    "depth",
    "error",
    "machine",
    "prepare",
    "rounding",
    "structure",
]
