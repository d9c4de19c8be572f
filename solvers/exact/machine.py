"""The same march as machine code over lanes, where there is a C compiler and the equations can be written in C."""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from solvers import lanes
from solvers.exact import exponential
from solvers.exact.formula import inlined
from solvers.exact.plan import Plan
from solvers.exact.rule import Rule
from solvers.exact.step import Carry, Known, Patient, Stepper
from solvers.lanes import compiler
from solvers.lanes import source as writing

NoCompiler = compiler.NoCompiler

LINE = 8  # numbers
VECTORS = 2  # side by side: one fills the time that the other waits


class Machine:
    """march(...) of one model, number of nodes and set of states that jump; everything else is data.

    Raises NoCompiler where there can be none, saying why.
    """

    def __init__(self, stepper: Stepper, which: tuple[int, ...]) -> None:
        self.outputs = len(stepper.seen.outputs)
        self._code = ctypes.CDLL(str(compiler.built(_source(stepper, which))))
        number, real, data = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
        self._march = self._code.march
        self._march.restype = ctypes.c_int
        self._march.argtypes = [number, number, number, *[real] * 3, *[data] * 6, number, *[data] * 6]

    def march(self, rule: Rule, plan: Plan, time: float, y: Any, p: Any, jumps: Any) -> tuple:
        """y: (state, n); p: (parameter, n); jumps: (row, column of `which`, n or 1). As `Marched`."""
        n = y.shape[1]
        y, p, jumps = (np.ascontiguousarray(array) for array in (y, p, jumps))
        times = [exponential.squarings(rule.norm, length) for length in plan.lengths]
        whole = [np.ascontiguousarray(each, np.int64) for each in (plan.kinds, plan.jumps, plan.marks, times)]
        real = [np.ascontiguousarray(each, float) for each in (plan.starts, plan.lengths)]
        result = np.empty_like(y), np.empty(n), _lines((int(plan.marks.max()) + 1, self.outputs, n))
        starts, lengths = real
        kinds, doses, slots, squarings = whole
        failed = self._march(
            n,
            len(starts),
            len(lengths),
            float(time),
            rule.scale,
            rule.norm,
            *(each.ctypes.data for each in (starts, kinds, doses, slots, lengths, squarings)),
            0 if jumps.shape[2] == 1 else n,
            *(each.ctypes.data for each in (y, p, jumps)),
            *(each.ctypes.data for each in result),
        )
        if failed:
            raise MemoryError("the tables of a block of lanes have no room")
        return result


def _lines(shape: tuple[int, ...]) -> np.ndarray:
    """An array that starts at a line of the caches."""
    raw = np.empty(int(np.prod(shape)) + LINE)
    skip = -(raw.ctypes.data // raw.itemsize) % LINE
    return raw[skip : skip + int(np.prod(shape))].reshape(shape)


class _Writer(writing._Writer):
    """Parameters come in two parts: what is known of a patient, and of a step's length."""

    def __init__(self, program: lanes.Program, cut: int) -> None:
        super().__init__(program, program.waits(), {}, VECTORS)
        self.cut = cut

    def name(self, i: int, u: int, slotted: bool) -> str:
        node = self.nodes[i]
        if node.op == "parameter" and int(node.given) >= self.cut:
            return f"q[{(int(node.given) - self.cut) * self.vectors + u}]"
        return super().name(i, u, slotted)


def _source(stepper: Stepper, which: tuple[int, ...]) -> str:
    layout = stepper.structure
    scalar = jax.ShapeDtypeStruct((), float)

    def shaped(function: Callable, *given: Any) -> tuple[int, Any]:
        """How many leaves it gives, and what they make up."""
        leaves, tree = jax.tree.flatten(jax.eval_shape(function, *given))
        return len(leaves), tree

    def flat(value: Any) -> list:
        return [jnp.asarray(leaf, float) for leaf in jax.tree.leaves(value)]

    parameters = (scalar,) * layout.n_parameters
    begun = (scalar,) * layout.n_states
    patients, patient_tree = shaped(stepper.patient, parameters)
    one_patient: Patient = jax.tree.unflatten(patient_tree, [scalar] * patients)
    smalls, small_tree = shaped(lambda patient: stepper.small(patient, 1.0, 1.0), one_patient)
    knowns, known_tree = shaped(lambda patient: stepper.known(patient, 1.0, 0), one_patient)

    def first(t: Any, y: tuple, patient: Patient) -> tuple[Carry, list]:
        return stepper.start(patient, t, dict(enumerate(y)))

    count, carry_tree = shaped(lambda y, patient: first(0.0, y, patient)[0], begun, one_patient)

    def function(name: str, inside: Callable, states: int, given: int, cut: int) -> list[str]:
        def plain(t: Any, y: tuple, p: tuple) -> list:
            return inlined(jax.make_jaxpr(inside)(t, y, p), [t, *y, *p])

        program = lanes.program(lambda t, y, p: y, plain, [""] * states, [""] * given)
        if program.unknown:
            raise NoCompiler(f"{program.unknown} cannot be written in C")
        return [
            f"static __attribute__((noinline)) void {name}",
            "    (double t, const vd *restrict y, const vd *restrict p, const vd *restrict q, vd *restrict k) {",
            *_Writer(program, cut).section(program.outputs, "k", slotted=False),
            "}",
        ]

    def patient_of(t: Any, y: tuple, p: tuple) -> list:
        return flat(stepper.patient(p))

    def small_of(t: Any, y: tuple, p: tuple) -> list:
        return flat(stepper.small(jax.tree.unflatten(patient_tree, p), y[0], y[1]))

    def squared_of(t: Any, y: tuple, p: tuple) -> list:
        return flat(stepper.squared(jax.tree.unflatten(small_tree, y)))

    def finished_of(t: Any, y: tuple, p: tuple) -> list:
        matrices = jax.tree.unflatten(small_tree, y[1:])
        return flat(stepper.finished(jax.tree.unflatten(patient_tree, p), y[0], matrices))

    def start_of(t: Any, y: tuple, p: tuple) -> list:
        return flat(first(t, y, jax.tree.unflatten(patient_tree, p)))

    def jump_of(t: Any, y: tuple, p: tuple) -> list:
        carry = jax.tree.unflatten(carry_tree, y[:count])
        patient = jax.tree.unflatten(patient_tree, p)
        return flat(stepper.jump(patient, t, carry, dict(zip(which, y[count:], strict=True))))

    def step_of(t: Any, y: tuple, p: tuple) -> list:
        patient = jax.tree.unflatten(patient_tree, p[:patients])
        known: Known = jax.tree.unflatten(known_tree, p[patients : patients + knowns])
        return flat(stepper.whole(patient, known, t, p[-1], jax.tree.unflatten(carry_tree, y)))

    def error_of(t: Any, y: tuple, p: tuple) -> list:
        patient = jax.tree.unflatten(patient_tree, p[:patients])
        limits = Rule(0, (), (1, 0), p[-1], 0.0, (), p[-2], 0.0)
        return [stepper.error(patient, jax.tree.unflatten(carry_tree, y), limits)]

    leaves = jax.tree.unflatten(carry_tree, list(range(count)))
    return "\n".join(
        [
            writing._text("elementary.h"),
            f"enum {{ U = {VECTORS}, S = {layout.n_states}, P = {layout.n_parameters}, PATIENT = {patients}, "
            f"SMALL = {smalls}, KNOWN = {knowns + 1}, "
            f"CARRY = {count}, O = {len(stepper.seen.outputs)}, JUMPS = {len(which)} }};",
            f"static const int place[S] = {{{', '.join(str(leaves.states[i]) for i in range(layout.n_states))}}};",
            *function("patient", patient_of, 0, layout.n_parameters, layout.n_parameters),
            *function("small", small_of, 2, patients, patients),
            *function("squared", squared_of, smalls, 0, 0),
            *function("finished", finished_of, 1 + smalls, patients, patients),
            *function("start", start_of, layout.n_states, patients, patients),
            *function("jump", jump_of, count + len(which), patients, patients),
            *function("step", step_of, count, patients + knowns + 1, patients),
            *function("error", error_of, count, patients + 2, patients),
            Path(__file__).with_name("march.h").read_text(encoding="utf-8"),
        ]
    )
