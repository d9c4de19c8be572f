"""Steady states and slopes of the heart, against long lives of the same heart."""

import json
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solvers.twins.virtual_heart.beat import Beat
from solvers.twins.virtual_heart.constants import constants, initial
from solvers.twins.virtual_heart.layout import CAVITIES, Layout
from solvers.twins.virtual_heart.observed import observed
from solvers.twins.virtual_heart.parameters import reference
from solvers.twins.virtual_heart.settle import Settled, settle

COMPILER = {"xla_backend_optimization_level": 0}  # compiling takes longer than running here
BEAT = Beat(Layout(), 425)
FEW = Beat(Layout(1, 1, 1), 425)
LONG = 500


def dilated():
    """The template of dilated cardiomyopathy."""
    heart = reference()
    keeps = heart.control._replace(MAP0=0.92 * heart.control.MAP0, q0=0.82 * heart.control.q0)
    loose = heart.pericardium._replace(V_ref=1.6 * heart.pericardium.V_ref)
    heart = heart._replace(cycle=0.80, control=keeps, pericardium=loose)
    for name in ("free", "septum", "right"):
        wall = getattr(heart, name)
        larger = {} if name == "right" else {"Am_ref": 1.42 * wall.Am_ref, "Vw": 1.5 * wall.Vw}
        heart = heart._replace(**{name: wall._replace(Sf_act=0.55 * wall.Sf_act, **larger)})
    return heart


def controlled(heart, **control):
    return heart._replace(control=heart.control._replace(**control))


class Compared(NamedTuple):
    """found: Settled, lanes side by side; near, far: its observations, and those after LONG beats; start: states."""

    found: Settled
    near: dict
    far: dict
    start: object
    cs: object
    run: object


def stacked(of):
    return jax.tree.map(lambda *v: jnp.stack(v), *of)


def lane(of, k):
    return jax.tree.map(lambda v: v[k], of)


LANES = ("healthy", "block", "failing", "kept", "reflex")


@pytest.fixture(scope="module")
def compared(shared):
    cases = json.loads((shared / "reference/virtual-heart/activation.json").read_text())
    times = {name: np.array([*of["L"], *of["S"], of["R"]]) for name, of in cases.items() if "LVTAT" in of}
    healthy, failing = reference(), dilated()
    cs = [
        constants(healthy, times["healthy_normal"], 0.15, BEAT.layout),
        constants(controlled(healthy, e=0.0), times["healthy_lbbb"], 0.15, BEAT.layout),
        constants(failing, times["dcm_lbbb"], 0.1412, BEAT.layout),
        constants(controlled(failing, e=0.0), times["dcm_lbbb"], 0.1412, BEAT.layout),
        constants(controlled(healthy, e=0.0, g=1.0, MAP0=13000.0), times["healthy_normal"], 0.15, BEAT.layout),
    ]
    cs, start = stacked(cs), stacked([initial(c, BEAT.layout) for c in cs])
    run = jax.jit(jax.vmap(lambda state, c: settle(BEAT, state, c)), compiler_options=COMPILER)
    found = run(start, cs)
    long = jax.jit(jax.vmap(BEAT.beats, (0, 0, None)), compiler_options=COMPILER)(start, cs, LONG)
    note = jax.jit(jax.vmap(lambda state, seen, c: observed(state, seen, c, BEAT.layout, BEAT.steps(c))))
    near, far = note(found.state, found.seen, cs), note(long.state, long.seen, cs)
    return Compared(found, near, far, start, cs, run)


def test_steady_state_is_that_of_a_long_life_in_every_output(compared):
    assert np.all(compared.found.converged)
    for name, values in compared.near.items():
        wanted = np.asarray(compared.far[name])
        assert np.all(np.isfinite(wanted)), name
        assert np.asarray(values) == pytest.approx(wanted, rel=1e-4, abs=1e-12), name


def test_it_takes_far_fewer_beats_than_living_on(compared):
    beats = dict(zip(LANES, np.asarray(compared.found.beats), strict=True))
    print(beats)
    # virtual-heart.md, section 6: a large heart still changes after 120 beats.
    assert beats["failing"] < 40
    assert max(beats.values()) < 40


def test_blood_is_kept_without_the_homeostat(compared):
    before, after = (
        sum(np.asarray(getattr(state, f"V_{name}")) for name in CAVITIES)
        for state in (compared.start, compared.found.state)
    )
    off = np.asarray(compared.cs.control_e) == 0.0
    assert off.sum() == 3
    assert after[off] == pytest.approx(before[off], rel=1e-12)
    assert np.all(np.abs(after[~off] / before[~off] - 1.0) > 1e-3)


def test_set_points_are_met_with_the_homeostat(compared):
    state, c = compared.found.state, compared.cs
    on = np.asarray(c.control_e) > 0.0
    assert np.asarray(state.fac)[on] == pytest.approx(1.0, abs=1e-5)
    assert np.asarray(compared.near["CO"])[on] == pytest.approx(np.asarray(c.control_q0)[on] * 60e3, rel=1e-3)


def test_a_patient_does_not_depend_on_who_settles_beside_him(compared):
    order = np.array([4, 2, 2, 0, 1])
    other = compared.run(*(jax.tree.map(lambda v: v[order], of) for of in (compared.start, compared.cs)))
    for mixed, alone in zip(jax.tree.leaves(other), jax.tree.leaves(compared.found), strict=True):
        assert np.array_equal(np.asarray(mixed), np.asarray(alone)[order])


@pytest.mark.parametrize("rate", [35.0, 45.0, 59.0])
def test_slow_hearts_beat_in_finer_steps(rate):
    slow = reference()._replace(cycle=60.0 / rate)
    finer = Beat(FEW.layout, n_step=2 * FEW.n_step)
    volumes = []
    for beat in (FEW, finer):
        c = constants(slow, np.zeros(3), 0.15, beat.layout)
        assert float(beat.steps(c)) * 2.5e-3 > c.cycle
        end = jax.jit(beat.beats, static_argnums=2, compiler_options=COMPILER)(initial(c, beat.layout), c, 5)
        volumes.append(float(end.seen.V_max_LV) * 1e6)
    assert volumes[0] == pytest.approx(volumes[1], abs=0.1)
    assert volumes[0] > 100.0


def test_few_beats_are_told_to_be_too_few():
    c = constants(reference(), np.zeros(3), 0.15, FEW.layout)
    run = jax.jit(lambda state, c: settle(FEW, state, c, most=6), compiler_options=COMPILER)
    found = run(initial(c, FEW.layout), c)
    assert int(found.beats) == 6
    assert not bool(found.converged)


def test_reflex_holds_pressure_against_loss_of_resistance():
    healthy = reference()
    kept = jax.jit(FEW.beats, compiler_options=COMPILER)
    MAP = {}
    for gain in (0.0, 1.0):
        c = constants(controlled(healthy, e=0.0, g=gain), np.zeros(3), 0.15, FEW.layout)
        start = initial(c, FEW.layout)
        ends = [kept(start._replace(p0=factor * start.p0), c, 120) for factor in (1.0, 0.7)]
        MAP[gain] = [float(end.seen.p_sum_aorta) / FEW.n_step for end in ends]
        if gain:
            assert float(ends[1].state.cycle) < float(ends[0].state.cycle)
    fall = {gain: 1.0 - weak / normal for gain, (normal, weak) in MAP.items()}
    assert 0.0 < fall[1.0] < 0.6 * fall[0.0]


def test_slope_of_volume_to_contractility_is_that_of_differences():
    healthy = reference()

    def volume(factor):
        walls = {name: getattr(healthy, name) for name in ("free", "septum", "right")}
        heart = healthy._replace(**{n: wall._replace(Sf_act=factor * wall.Sf_act) for n, wall in walls.items()})
        c = constants(controlled(heart, e=0.0), np.zeros(3), 0.15, FEW.layout)
        return FEW.beats(initial(c, FEW.layout), c, 5).seen.V_max_LV * 1e6

    slope = jax.jit(lambda x: jax.jvp(volume, (x,), (1.0,))[1], compiler_options=COMPILER)(1.0)
    # Valves close within 1 mL/s, so that differences over more than a millionth see other closures.
    plain, h = jax.jit(volume, compiler_options=COMPILER), 1e-6
    difference = (plain(1.0 + h) - plain(1.0 - h)) / (2 * h)
    assert float(slope) < -5.0  # mL for twice the stress
    assert float(slope) == pytest.approx(float(difference), rel=1e-4)
