"""The same steps in C, over lanes: functions of one patient, traced, each written out as plain operations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from solvers import lanes
from solvers.exact.formula import inlined
from solvers.exact.step import Carry, Known, Patient, Stepper
from solvers.lanes.compiler import NoCompiler
from solvers.lanes.source import Writer, text

VECTORS = 2  # side by side: one fills the time that the other waits


class _Writer(Writer):
    """Parameters come in two parts: what is known of a patient, and what is not his."""

    def __init__(self, program: lanes.Program, cut: int) -> None:
        super().__init__(program, program.waits(), {}, VECTORS)
        self.cut = cut

    def name(self, i: int, u: int, slotted: bool) -> str:
        node = self.nodes[i]
        if node.op == "parameter" and int(node.given) >= self.cut:
            return f"q[{(int(node.given) - self.cut) * self.vectors + u}]"
        return super().name(i, u, slotted)


def _function(name: str, inside: Callable[..., Any], states: int, patient: int, others: int = 0) -> list[str]:
    """inside(t, y, p) with tuples of scalars, in C: the first `patient` of p from one array, the rest from another."""

    def plain(t: Any, y: tuple, p: tuple) -> list:
        def leaves(t: Any, y: tuple, p: tuple) -> list:
            return [jnp.asarray(leaf, float) for leaf in jax.tree.leaves(inside(t, y, p))]

        return inlined(jax.make_jaxpr(leaves)(t, y, p), [t, *y, *p])

    program = lanes.program(lambda t, y, p: y, plain, [""] * states, [""] * (patient + others))
    if program.unknown:
        raise NoCompiler(f"{program.unknown} cannot be written in C")
    return [
        f"static __attribute__((noinline)) void {name}",
        "    (double t, const vd *restrict y, const vd *restrict p, const vd *restrict q, vd *restrict k) {",
        *_Writer(program, patient).section(program.outputs, "k", slotted=False),
        "}",
    ]


def source(stepper: Stepper) -> str:
    """The whole file. Raises NoCompiler where an operation has no C."""
    states, parameters = stepper.structure.n_states, stepper.structure.n_parameters
    scalar = jax.ShapeDtypeStruct((), float)
    y = dict.fromkeys(range(states), scalar)
    a_patient: Any = jax.eval_shape(stepper.patient, (scalar,) * parameters)
    a_small: Any = jax.eval_shape(lambda patient: stepper.small(patient, 1.0, 1.0), a_patient)
    known: Any = jax.eval_shape(lambda patient, small: stepper.finished(patient, 1.0, small), a_patient, a_small)
    life: Any = jax.eval_shape(lambda patient, y: stepper.start(patient, 0.0, y, 1.0)[0], a_patient, y)
    of_patient, of_small, of_known, of_life = (jax.tree.structure(each) for each in (a_patient, a_small, known, life))
    patients, smalls, knowns, lives = (len(jax.tree.leaves(each)) for each in (a_patient, a_small, known, life))

    def patient(p: tuple) -> Patient:
        return jax.tree.unflatten(of_patient, p[:patients])

    def carry(y: tuple) -> Carry:
        return jax.tree.unflatten(of_life, y)

    def finished(t: Any, y: tuple, p: tuple) -> Known:
        return stepper.finished(patient(p), y[0], jax.tree.unflatten(of_small, y[1:]))

    def step(t: Any, y: tuple, p: tuple) -> Any:
        return stepper.whole(patient(p), jax.tree.unflatten(of_known, p[patients:]), t, carry(y))

    place: Carry = jax.tree.unflatten(of_life, list(range(lives)))

    def numbers(name: str, values: list[int]) -> str:
        return f"static const int {name}[] = {{{', '.join(map(str, [*values, 0]))}}};"

    first = jax.tree.leaves(place.first)
    return "\n".join(
        [
            text("elementary.h"),
            f"enum {{ U = {VECTORS}, S = {states}, P = {parameters}, PATIENT = {patients}, SMALL = {smalls}, "
            f"KNOWN = {knowns}, CARRY = {lives}, FIRST = {len(first)}, "
            f"O = {len(stepper.seen.outputs)} }};",
            numbers("place", [place.states[i] for i in range(states)]),
            numbers("places", first),
            *_function("patient", lambda t, y, p: stepper.patient(p), 0, parameters),
            *_function("small", lambda t, y, p: stepper.small(patient(p), y[0], y[1]), 2, patients),
            *_function("squared", lambda t, y, p: stepper.squared(jax.tree.unflatten(of_small, y)), smalls, 0),
            *_function("finished", finished, 1 + smalls, patients),
            *_function(
                "start", lambda t, y, p: stepper.start(patient(p), t, dict(enumerate(y)), p[-1]), states, patients, 1
            ),
            *_function("begin", lambda t, y, p: stepper.begin(patient(p), t, dict(enumerate(y))), states, patients),
            *_function("step", step, lives, patients, knowns),
            *_function("error", lambda t, y, p: stepper.error(carry(y)), lives, 0),
            Path(__file__).with_name("march.h").read_text(encoding="utf-8"),
        ]
    )
