"""Activation of the heart: against the reference times, Dijkstra's algorithm, and what pacing must do."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import dijkstra

from solvers.twins.virtual_heart import pacing
from solvers.twins.virtual_heart.activation import activate, speed_from_qrs
from solvers.twins.virtual_heart.conduction import DILATED, HEALTHY, NODES, Conduction, edges, shortest
from solvers.twins.virtual_heart.pacing import NEVER, OFF, Intrinsic, Pacing

BASAL_INFEROLATERAL, MID_INFEROLATERAL = 4, 10
NORMAL, LEFT_BLOCK, RIGHT_BLOCK = Intrinsic(0.15), Intrinsic(0.15, left=0.0), Intrinsic(0.15, right=0.0)
BLOCKED = Intrinsic(0.15, left=0.0, right=0.0)
HEARTS = {"healthy": HEALTHY, "dcm": DILATED}
MODES = {
    "normal": (NORMAL, OFF),
    "lbbb": (LEFT_BLOCK, OFF),
    "rva": (BLOCKED, pacing.right_ventricular(0.15)),
    "biv": (BLOCKED, pacing.biventricular(0.15, BASAL_INFEROLATERAL)),
    "lbbap": (BLOCKED, pacing.left_bundle_area(0.15)),
}
compiled = jax.jit(activate)
_soft = jax.jit(activate)  # with a softness
_any_paths = jax.jit(shortest)
_slopes = jax.jit(
    jax.grad(lambda delay, c_f, own: activate(HEALTHY._replace(c_f=c_f), own._replace(delay=delay)).qrs, (0, 1))
)
_paths = jax.jit(lambda c, multiplier: shortest(edges(c, multiplier)))


def adjacency(c, multiplier):
    """Delays of the graph's edges, written anew from the description: 0 where there is none."""
    matrix = np.zeros((NODES, NODES))
    radius = [c.radius, 0.92 * c.radius, 0.58 * c.radius]
    step = c.length / 3.3
    speed = c.slow * (1.0 - 0.7 * np.asarray(c.scar))
    around, along = c.c_f * multiplier, c.c_l * multiplier

    def lv(a, b, delay):
        matrix[a, b] = matrix[b, a] = delay * (0.5 / speed[a] + 0.5 / speed[b])

    for ring in range(3):
        for k in range(6):
            here, r = 6 * ring + k, radius[ring]
            lv(here, 6 * ring + (k + 1) % 6, 2 * np.pi * r / 6 / around)
            if ring < 2:
                way = np.hypot(step, radius[ring + 1] - r)
                lv(here, here + 6, way / along)
                arc = 2 * np.pi * (r + radius[ring + 1]) / 2 / 6 / around
                for other in ((k + 1) % 6, (k - 1) % 6):
                    lv(here, 6 * (ring + 1) + other, np.hypot(way / along, arc))
    for k in range(3):
        lv(12 + k, 15 + k, 2 * radius[2] / along)
    insertion = 0.5 * np.pi * 0.030 / c.c_RV / c.slow
    for ring in range(3):
        right = 18 + ring
        if ring < 2:
            matrix[right, right + 1] = matrix[right + 1, right] = step / c.c_RV / c.slow
        for k in (0, 1, 2, 3):
            septal = k in (1, 2)
            rounds, through = (0.5 if ring == 2 else 1.0, 1.0) if septal else (2.0, 0.5)
            delay = rounds * insertion + through * c.thickness / c.c_t / speed[6 * ring + k]
            matrix[right, 6 * ring + k] = matrix[6 * ring + k, right] = delay
    return matrix


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("heart", HEARTS)
def test_reference_times_are_reproduced(shared, heart, mode):
    expected = json.loads((shared / "reference/virtual-heart/activation.json").read_text())[f"{heart}_{mode}"]
    found = compiled(HEARTS[heart], *MODES[mode])
    # The file is rounded to 1e-6 s.
    np.testing.assert_allclose(found.left - found.onset, expected["L"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.septum - found.onset, expected["S"], rtol=0, atol=1e-6)
    for name, value in (("R", found.right - found.onset), ("LVTAT", found.left_total), ("QRS", found.qrs)):
        assert float(value) == pytest.approx(expected[name], abs=1e-6)


def test_qrs_of_the_dilated_heart_is_as_expected():
    found = {mode: round(1e3 * float(compiled(DILATED, *MODES[mode]).qrs)) for mode in MODES}
    # Section 2 of the equations: the dilated heart, normal conduction to left-bundle-area pacing.
    assert found == {"normal": 77, "lbbb": 164, "rva": 182, "biv": 151, "lbbap": 144}


def test_every_number_of_the_reference_is_compared(shared):
    cases = json.loads((shared / "reference/virtual-heart/activation.json").read_text())
    names = {name for name in cases if isinstance(cases[name], dict) and "QRS" in cases[name]}
    assert names == {f"{heart}_{mode}" for heart in HEARTS for mode in MODES}


@st.composite
def hearts(draw):
    def number(low, high):
        return draw(st.floats(low, high))

    scar = draw(st.lists(st.floats(0.0, 1.0), min_size=18, max_size=18))
    return Conduction(
        number(0.02, 0.06),
        number(0.06, 0.13),
        number(0.005, 0.02),
        number(1.0, 4.0),
        number(1.0, 2.5),
        number(0.3, 0.9),
        number(0.2, 0.7),
        number(0.15, 0.5),
        number(0.4, 1.0),
        number(0.5, 1.2),
        np.array(scar),
    )


@settings(max_examples=60, deadline=None)
@given(hearts())
def test_paths_are_those_of_dijkstra(c):
    for multiplier in (c.purkinje, c.myocardium):
        expected = dijkstra(adjacency(c, multiplier), directed=False)
        np.testing.assert_allclose(_paths(c, multiplier), expected, rtol=1e-12, atol=1e-15)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.08, 1.0))
def test_paths_of_any_graph_are_those_of_dijkstra(seed, density):
    chance = np.random.default_rng(seed)
    delays = np.triu(chance.exponential(0.02, (NODES, NODES)) * (chance.random((NODES, NODES)) < density), 1)
    delays[np.arange(NODES - 1), np.arange(1, NODES)] += 1e-3  # a chain through all: up to 20 edges
    symmetric = delays + delays.T
    found = np.asarray(_any_paths(jnp.where(symmetric > 0, symmetric, 10.0)))
    np.testing.assert_allclose(found, dijkstra(symmetric, directed=False), rtol=1e-12, atol=1e-15)


def test_paths_may_pass_all_nodes():
    chain = np.full((NODES, NODES), 10.0)
    ends = np.arange(NODES - 1)
    chain[ends, ends + 1] = chain[ends + 1, ends] = 0.003
    np.testing.assert_allclose(_any_paths(jnp.asarray(chain))[0], 0.003 * np.arange(NODES), rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(hearts(), st.integers(0, 17), st.integers(0, 2), st.floats(-0.04, 0.04), st.floats(0.02, 0.25))
def test_times_are_the_earliest_of_all_waves(c, left, right, vv, av):
    own = Intrinsic(0.16, left=0.0)
    found = compiled(c, own, pacing.biventricular(av, left, vv, right))
    transseptal = c.thickness / c.c_t / (c.slow * (1 - 0.7 * np.asarray(c.scar)))
    starts = {20: 0.16, 19: 0.165} | {node: 0.16 + transseptal[node] for node in (7, 8, 13, 14)}

    def start(node, time):
        starts[node] = min(time, starts.get(node, np.inf))

    t_right, t_left = av + max(-vv, 0.0), av + max(vv, 0.0)
    start(18 + right, t_right)
    for node in (6 * right + 1, 6 * right + 2):
        start(node, t_right + transseptal[node])
    start(left, t_left)
    paths = dijkstra(adjacency(c, c.myocardium), directed=False)
    expected = np.min([time + paths[node] for node, time in starts.items()], axis=0)
    np.testing.assert_allclose(found.nodes, expected, rtol=1e-12)
    assert float(found.qrs) == pytest.approx(np.ptp(expected) + 0.025)


@pytest.mark.parametrize("own", [NORMAL, LEFT_BLOCK, RIGHT_BLOCK])
def test_long_av_delay_leaves_own_conduction_and_short_one_captures_all(own):
    own = own._replace(delay=0.18)
    alone = compiled(DILATED, own, OFF)
    paced = compiled(DILATED, BLOCKED, pacing.biventricular(0.02, BASAL_INFEROLATERAL))
    late = compiled(DILATED, own, pacing.biventricular(0.40, BASAL_INFEROLATERAL))
    early = compiled(DILATED, own, pacing.biventricular(0.02, BASAL_INFEROLATERAL))
    np.testing.assert_array_equal(late.nodes, alone.nodes)
    np.testing.assert_array_equal(early.nodes, paced.nodes)
    assert np.abs(early.nodes - alone.nodes).min() > 0.03


def test_activation_is_never_earlier_for_a_longer_av_delay():
    own = Intrinsic(0.18, left=0.0)
    delays = jnp.linspace(0.02, 0.40, 77)
    found = jax.vmap(lambda av: compiled(DILATED, own, pacing.left_ventricular(av, BASAL_INFEROLATERAL)))(delays)
    steps = np.diff(np.asarray(found.nodes), axis=0)
    assert (steps >= 0).all() and (steps > 0).any(axis=0)[:19].all()  # the own wave is the first at the right apex
    qrs = np.asarray(found.qrs)
    assert qrs.min() < 0.8 * min(qrs[0], qrs[-1])  # fusion is narrower than either wave alone


def test_vv_delay_moves_one_lead_against_the_other():
    def nodes(vv):
        return np.asarray(compiled(DILATED, BLOCKED, pacing.biventricular(0.12, MID_INFEROLATERAL, vv)).nodes)

    right_first, left_first = nodes(0.03), nodes(-0.03)
    assert left_first[MID_INFEROLATERAL] == pytest.approx(0.12) and left_first[20] == pytest.approx(0.15)
    assert right_first[MID_INFEROLATERAL] == pytest.approx(0.15) and right_first[20] == pytest.approx(0.12)
    assert nodes(0.0)[20] == pytest.approx(0.12)
    # Beyond what the other lead reaches first, it does not matter.
    np.testing.assert_allclose(nodes(0.5), compiled(DILATED, BLOCKED, pacing.right_ventricular(0.12)).nodes)


def test_left_pacing_alone_does_not_wait_for_a_lead_that_is_not_there():
    found = compiled(DILATED, BLOCKED, Pacing(0.12, vv=0.04, left=4))
    assert float(found.onset) == pytest.approx(0.12)


def test_second_left_lead_shortens_left_activation():
    one = compiled(DILATED, BLOCKED, pacing.biventricular(0.12, 4))
    two = compiled(DILATED, BLOCKED, pacing.multipoint(0.12, 4, 16))
    late = compiled(DILATED, BLOCKED, pacing.multipoint(0.12, 4, 16, between=0.5))
    assert float(two.nodes[16]) == pytest.approx(0.12) and (two.nodes <= one.nodes).all()
    np.testing.assert_array_equal(late.nodes, one.nodes)


def test_selective_his_pacing_is_normal_conduction_at_the_stimulus():
    normal = compiled(HEALTHY, NORMAL, OFF)
    early = compiled(HEALTHY, NORMAL, pacing.his(0.05, corrected=0.0))
    np.testing.assert_allclose(early.nodes - early.onset, normal.nodes - normal.onset, atol=1e-15)
    assert float(early.onset) == pytest.approx(0.05 + 0.045)  # and the time from the His bundle


def test_his_pacing_corrects_a_block_only_where_it_does():
    blocked, normal = compiled(DILATED, LEFT_BLOCK, OFF), compiled(DILATED, NORMAL, OFF)
    failed = compiled(DILATED, LEFT_BLOCK, pacing.his(0.05, corrected=0.0))
    cured = compiled(DILATED, LEFT_BLOCK, pacing.his(0.05, corrected=1.0))
    assert float(failed.qrs) == pytest.approx(float(blocked.qrs))
    assert float(cured.qrs) == pytest.approx(float(normal.qrs))


def test_his_capture_that_is_not_selective_starts_beside_the_bundle():
    selective = compiled(DILATED, NORMAL, pacing.his(0.05, 0.0))
    broad = compiled(DILATED, NORMAL, pacing.his(0.05, 0.0, selective=0.0))
    assert float(broad.septum[0]) == pytest.approx(0.05 + 0.030)
    assert float(selective.qrs) < float(broad.qrs) < float(compiled(DILATED, *MODES["rva"]).qrs)


def test_own_right_bundle_narrows_left_bundle_area_pacing():
    alone = compiled(DILATED, BLOCKED, pacing.left_bundle_area(0.14))
    fused = compiled(DILATED, LEFT_BLOCK, pacing.left_bundle_area(0.14))
    assert float(fused.qrs) < 0.7 * float(alone.qrs)
    assert float(fused.left_total) == pytest.approx(float(alone.left_total))


def test_right_block_delays_only_the_right_ventricle():
    normal, blocked = compiled(HEALTHY, NORMAL, OFF), compiled(HEALTHY, RIGHT_BLOCK, OFF)
    np.testing.assert_array_equal(blocked.left, normal.left)
    assert float(blocked.right) > float(normal.right) + 0.05
    assert float(blocked.qrs) > 0.12


@pytest.mark.parametrize("site", range(3))
def test_right_lead_starts_where_it_lies(site):
    found = compiled(HEALTHY, BLOCKED, pacing.right_ventricular(0.1, site))
    assert int(jnp.argmin(found.nodes)) == 18 + site and float(found.onset) == pytest.approx(0.1)


def test_sites_and_delays_may_differ_between_patients_of_one_compiled_program():
    sites, delays, vv = jnp.arange(-1, 18), jnp.linspace(0.08, 0.16, 19), jnp.linspace(-0.04, 0.04, 19)
    own = Intrinsic(0.2, left=0.0)

    def one(site, av, vv):
        return compiled(DILATED, own, pacing.biventricular(av, site, vv)).nodes

    together = jax.vmap(one)(sites, delays, vv)
    for k in (0, 1, 7, 18):
        np.testing.assert_allclose(together[k], one(int(sites[k]), float(delays[k]), float(vv[k])), rtol=1e-14)
    assert len(np.unique(np.asarray(together), axis=0)) == 19


def test_scar_slows_only_what_comes_through_it():
    scar = np.zeros(18)
    scar[[4, 10]] = 0.8
    found = compiled(DILATED._replace(scar=scar), LEFT_BLOCK, OFF)
    plain = compiled(DILATED, LEFT_BLOCK, OFF)
    assert (found.nodes >= plain.nodes - 1e-15).all()
    assert float(found.nodes[4] - plain.nodes[4]) > 0.01
    assert float(jnp.abs(found.septum - plain.septum).max()) < 1e-15


def test_soft_times_tend_to_exact_ones():
    exact = compiled(DILATED, LEFT_BLOCK, pacing.biventricular(0.12, 4))
    errors = []
    for softness in (2e-3, 1e-3, 5e-4, 2.5e-4, 1.25e-4):
        soft = _soft(DILATED, LEFT_BLOCK, pacing.biventricular(0.12, 4), softness)
        assert (soft.nodes <= exact.nodes + 1e-12).all()
        errors.append(float(jnp.abs(soft.nodes - exact.nodes).max()))
    assert errors == sorted(errors, reverse=True)
    # Two paths of one length are too early by softness * log 2; more than that only while others are nearly as short.
    assert errors[-1] <= 1.01 * np.log(2) * 1.25e-4
    assert errors[1] < 1.5e-3


@pytest.mark.parametrize("softness", [None, 1e-3])
def test_derivatives_are_those_of_differences(softness):
    names = ("radius", "length", "thickness", "purkinje", "myocardium", "c_f", "c_l", "c_t", "c_RV", "slow")
    weights = jnp.linspace(0.3, 1.7, NODES)

    def total(numbers):
        c = DILATED._replace(**dict(zip(names, numbers[:10], strict=True)), scar=jnp.linspace(0.0, 0.5, 18))
        own = Intrinsic(numbers[10], left=0.0)
        found = activate(c, own, pacing.biventricular(numbers[11], 4, numbers[12]), softness)
        return weights @ found.nodes + found.qrs + 0.7 * found.left_total

    at = jnp.array([*(float(getattr(DILATED, name)) for name in names), 0.163, 0.121, -0.013])
    total = jax.jit(total)
    slope = jax.jit(jax.grad(total))(at)
    assert np.isfinite(slope).all()
    for k in range(len(at)):
        h = 1e-6 * float(at[k])
        step = jnp.zeros(len(at)).at[k].set(h)
        difference = (total(at + step) - total(at - step)) / (2 * h)
        assert float(slope[k]) == pytest.approx(float(difference), rel=1e-5, abs=1e-7), names[k : k + 1]


@pytest.mark.parametrize("own", [NORMAL, LEFT_BLOCK, RIGHT_BLOCK])
def test_derivatives_are_finite_where_paths_tie(own):
    delay, c_f = _slopes(0.15, 0.6, own)
    assert float(delay) == pytest.approx(0.0, abs=1e-12)  # both ends move
    assert -0.2 < float(c_f) <= 0.0


def test_speed_is_found_from_qrs():
    find = jax.jit(speed_from_qrs)
    for slow in (0.6, 0.85, 1.1):
        qrs = compiled(DILATED._replace(slow=slow), LEFT_BLOCK, OFF).qrs
        assert float(find(qrs, DILATED, LEFT_BLOCK)) == pytest.approx(slow, rel=1e-8)
    slope = float(jax.jit(jax.grad(speed_from_qrs))(0.17, DILATED, LEFT_BLOCK))
    h = 1e-5
    difference = (find(0.17 + h, DILATED, LEFT_BLOCK) - find(0.17 - h, DILATED, LEFT_BLOCK)) / (2 * h)
    assert slope == pytest.approx(float(difference), rel=1e-4)
    assert float(find(1.0, DILATED, LEFT_BLOCK)) == pytest.approx(0.4, abs=1e-6)


def test_delays_of_the_atria():
    assert float(pacing.intrinsic_delay(0.85)) == pytest.approx(0.15)
    assert float(pacing.intrinsic_delay(1.0)) == pytest.approx(0.1765, abs=1e-4)  # Van Osta 2024: 0.1765 of a cycle
    assert float(pacing.interatrial_delay(0.85)) == pytest.approx(0.020)
    assert float(pacing.stimulus_delay(0.12, 0.0)) == 0.12
    assert float(pacing.stimulus_delay(0.17, 1.0)) == pytest.approx(0.12)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Pacing(0.12, right=3), "'right' is 3; write a whole number from 0 to 2"),
        (Pacing(0.12, left=18), "'left' is 18; write a whole number from 0 to 17"),
        (Pacing(0.12, left=4.5), "'left' is 4.5"),
        (Pacing(-0.1, left=4), "AV delay is -0.1 s; write one above 0"),
        (Pacing(0.12, left=4, vv=NEVER), "'vv' is inf s; write a finite one"),
        (Pacing(0.12, second=4), "second left lead and no first"),
        (Pacing(0.12), "there is no lead"),
    ],
)
def test_settings_that_are_none_are_refused(wrong, said):
    with pytest.raises(ValueError, match=r"pacing|AV delay") as raised:
        pacing.check(wrong)
    assert said in str(raised.value)


def test_settings_of_every_mode_are_accepted():
    for settings_ in (
        OFF,
        pacing.right_ventricular(0.1),
        pacing.multipoint(0.1, 4, 16),
        pacing.left_ventricular(0.1, 3),
    ):
        pacing.check(settings_)
    for settings_ in (pacing.his(0.1, 1.0), pacing.left_bundle_area(0.1), pacing.biventricular(0.1, np.arange(18))):
        pacing.check(settings_)
