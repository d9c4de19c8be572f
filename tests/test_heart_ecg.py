"""The electrocardiogram of a heart's activation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solvers.twins.virtual_heart import electrocardiogram as ecg
from solvers.twins.virtual_heart import pacing
from solvers.twins.virtual_heart.activation import LOCAL, activate
from solvers.twins.virtual_heart.anatomy import Echo, anatomy
from solvers.twins.virtual_heart.conduction import DILATED, HEALTHY, Conduction
from solvers.twins.virtual_heart.pacing import OFF, Intrinsic

TIMES = jnp.arange(-60.0, 700.0, 1.0)
NORMAL, LEFT_BLOCK, RIGHT_BLOCK = Intrinsic(0.15), Intrinsic(0.15, left=0.0), Intrinsic(0.15, right=0.0)
BLOCKED = Intrinsic(0.15, left=0.0, right=0.0)
ECHOS = {
    "normal": Echo(4.8, 3.2, 0.9, 0.9, 8.5, right_basal=3.3),
    "dilated": Echo(6.6, 5.9, 0.9, 0.9, 9.8, right_basal=3.6),
}
MODES = {
    "normal": (NORMAL, OFF),
    "left block": (LEFT_BLOCK, OFF),
    "right block": (RIGHT_BLOCK, OFF),
    "right pacing": (BLOCKED, pacing.right_ventricular(0.15)),
    "biventricular": (BLOCKED, pacing.biventricular(0.15, 4)),
    "left bundle": (BLOCKED, pacing.left_bundle_area(0.15)),
}
PUBLISHED = (73.57e-6, 18.89e-6, 36.77e-6)  # m3, the published healthy walls


class Recorded:
    """One heart in one mode: heart vectors of QRS and T, their leads, the activation."""

    def __init__(self, c, volumes, own, device, lie=(0.0, 0.0, 0.0)):
        self.activation = activate_(c, own, device)
        self.shape = ecg.shape(c, *volumes)
        self.qrs, self.t = vectors(self.activation, self.shape, TIMES, jnp.array(lie))
        self.qrs_leads = dict(zip(ecg.LEADS, np.asarray(ecg.leads(self.qrs)).T, strict=True))
        self.t_leads = dict(zip(ecg.LEADS, np.asarray(ecg.leads(self.t)).T, strict=True))

    def area(self, lead):
        return self.qrs_leads[lead].sum()

    def t_area(self, lead):
        return self.t_leads[lead].sum()


activate_ = jax.jit(activate)
vectors = jax.jit(ecg.heart_vector)


def heart(name):
    if name == "published":
        return HEALTHY, PUBLISHED
    walls = anatomy(ECHOS[name])
    slow = HEALTHY if name == "normal" else DILATED
    c = Conduction(walls.radius, walls.length, walls.thickness, myocardium=slow.myocardium)
    return c, (walls.left.volume, walls.septum.volume, walls.right.volume)


@pytest.fixture(scope="module")
def records():
    names = ("published", *ECHOS)
    return {(name, mode): Recorded(*heart(name), *MODES[mode]) for name in names for mode in MODES}


ALL = [(name, mode) for name in ("published", *ECHOS) for mode in MODES]
HEARTS = ("published", *ECHOS)


def test_dower_leads_invert_as_published():
    # Edenbrandt & Pahlm 1988, table: X, Y, Z from V1-V6, I, II. Their coefficients are the least-squares inverse.
    published = [
        [-0.172, -0.074, 0.122, 0.231, 0.239, 0.194, 0.156, -0.010],
        [0.057, -0.019, -0.106, -0.022, 0.041, 0.048, -0.227, 0.887],
        [-0.229, -0.310, -0.246, -0.063, 0.055, 0.108, 0.022, 0.102],
    ]
    order = [2, 3, 4, 5, 6, 7, 0, 1]
    np.testing.assert_allclose(np.linalg.pinv(ecg.DOWER[order]), published, atol=6e-4)


def test_limb_leads_obey_einthoven_and_goldberger():
    vector = jnp.asarray(np.random.default_rng(1).normal(size=(200, 3)))
    lead = dict(zip(ecg.LEADS, np.asarray(ecg.leads(vector)).T, strict=True))
    np.testing.assert_allclose(lead["I"] + lead["III"], lead["II"], atol=1e-14)
    np.testing.assert_allclose(lead["aVR"] + lead["aVL"] + lead["aVF"], 0.0, atol=1e-14)
    np.testing.assert_allclose(lead["aVL"], 0.5 * (lead["I"] - lead["III"]), atol=1e-14)


def test_leads_look_where_they_lie():
    left, down, back = (dict(zip(ecg.LEADS, ecg.leads(jnp.eye(3)[k]), strict=True)) for k in range(3))
    assert left["I"] > 0.5 and left["V6"] > 0.5 and left["aVR"] < 0 and left["V1"] < 0
    assert down["aVF"] > 1.0 and down["II"] > 1.0 and down["aVL"] < 0
    assert back["V1"] < -0.5 and back["V2"] < -1.0 and back["V6"] > 0


@pytest.mark.parametrize("name", HEARTS)
def test_normal_conduction_gives_a_normal_electrocardiogram(records, name):
    normal = records[name, "normal"]
    assert 0.0 < float(ecg.frontal_axis(normal.qrs)) < 90.0
    for lead in ("I", "II", "V5", "V6"):
        signal = normal.qrs_leads[lead]
        assert normal.area(lead) > 0 and signal.max() > -2 * signal.min(), lead
    assert normal.area("aVR") < 0 and normal.area("V1") < 0
    assert float(ecg.duration(normal.qrs, TIMES)) < 110.0
    for lead in ("I", "II", "V4", "V5", "V6"):
        assert normal.t_area(lead) > 0, lead
    assert normal.t_area("aVR") < 0


@pytest.mark.parametrize("name", HEARTS)
def test_septum_is_first_and_points_to_the_right(records, name):
    lead = records[name, "normal"].qrs_leads
    early = int(np.flatnonzero(np.asarray(TIMES) == 5.0)[0])
    assert lead["V1"][early] > 0.0 > lead["V6"][early]  # r in V1, q in V6


@pytest.mark.parametrize("name", HEARTS)
def test_left_block_is_wide_with_s_in_v1_and_r_in_i_and_v6(records, name):
    blocked, normal = records[name, "left block"], records[name, "normal"]
    assert float(ecg.duration(blocked.qrs, TIMES)) >= 120.0
    v1 = blocked.qrs_leads["V1"]
    assert -v1.min() > 2 * v1.max() and blocked.area("V1") < 0
    for lead in ("I", "V6"):
        r = blocked.qrs_leads[lead]
        assert r.max() > -r.min() and blocked.area(lead) > 0
        wide, narrow = ((x > 0.1 * x.max()).sum() for x in (r, normal.qrs_leads[lead]))
        assert wide > 1.5 * narrow, lead
    for lead in ("I", "aVL", "V1", "V2", "V6"):
        assert blocked.area(lead) * blocked.t_area(lead) < 0, lead  # T discordant


@pytest.mark.parametrize("name", HEARTS)
def test_right_block_ends_to_the_right(records, name):
    blocked = records[name, "right block"]
    last = np.asarray(TIMES) > 1e3 * float(blocked.activation.qrs - LOCAL) - 30.0
    assert blocked.qrs_leads["V1"][last].max() > 0.1  # R'
    assert blocked.qrs_leads["I"][last].min() < -0.1 and blocked.qrs_leads["V6"][last].min() < -0.1  # S
    assert blocked.t_area("V1") < 0


@pytest.mark.parametrize("name", HEARTS)
def test_right_pacing_turns_the_axis_left_and_up(records, name):
    paced = records[name, "right pacing"]
    assert -90.0 < float(ecg.frontal_axis(paced.qrs)) < -30.0
    assert paced.area("II") < 0 and paced.area("aVF") < 0 and paced.area("V1") < 0
    outflow = Recorded(*heart(name), BLOCKED, pacing.right_ventricular(0.15, pacing.BASAL))
    assert 0.0 < float(ecg.frontal_axis(outflow.qrs)) < 120.0  # from above


@pytest.mark.parametrize("name", HEARTS)
def test_left_lead_turns_lead_i_against_the_right_one(records, name):
    right, both = (records[name, mode].area("I") for mode in ("right pacing", "biventricular"))
    assert right > 0 and both < 0.3 * right
    left = Recorded(*heart(name), BLOCKED, pacing.left_ventricular(0.15, 4))
    assert left.area("I") < 0


@pytest.mark.parametrize(("name", "mode"), ALL)
def test_duration_of_the_signal_is_that_of_the_graph(records, name, mode):
    one = records[name, mode]
    found = float(ecg.duration(one.qrs, TIMES))
    assert found == pytest.approx(1e3 * float(one.activation.qrs), abs=1e3 * LOCAL)


def test_size_of_qrs_and_t_is_that_of_a_normal_heart(records):
    normal = records["normal", "normal"]
    assert float(jnp.linalg.norm(normal.qrs, axis=1).max()) == pytest.approx(1.5, abs=0.15)
    assert 0.15 < float(jnp.linalg.norm(normal.t, axis=1).max()) < 0.6


def test_both_waves_are_zero_before_and_after():
    one = Recorded(*heart("normal"), *MODES["normal"])
    whole = np.abs(np.asarray(ecg.electrocardiogram(one.activation, one.shape, TIMES)))
    assert whole.shape == (len(TIMES), 12)
    assert whole[:10].max() < 1e-6 and whole[-20:].max() < 1e-6
    np.testing.assert_allclose(whole, np.abs(np.asarray(ecg.leads(one.qrs + one.t))), atol=1e-12)


def test_gradient_of_a_plane_wave_lies_along_it():
    places = np.asarray(ecg.shape(HEALTHY, *PUBLISHED).places)
    for direction in (ecg.AXIS, ecg.TO_ANTERIOR):
        found = np.asarray(ecg.gradient(jnp.asarray(places @ direction), jnp.asarray(places)))[:18]
        assert (found @ direction > -1e-12).all()
        assert found.sum(axis=0) @ direction / np.linalg.norm(found.sum(axis=0)) > 0.98


def test_lie_of_the_heart_turns_the_axis():
    straight = Recorded(*heart("normal"), *MODES["normal"])
    turned = Recorded(*heart("normal"), *MODES["normal"], lie=(0.0, 0.0, 25.0))
    angle = np.deg2rad(25.0)
    mean, after = (np.asarray(one.qrs.sum(axis=0)) for one in (straight, turned))
    expected = [
        np.cos(angle) * mean[0] - np.sin(angle) * mean[1],
        np.sin(angle) * mean[0] + np.cos(angle) * mean[1],
        mean[2],
    ]
    np.testing.assert_allclose(after, expected, rtol=1e-12)
    assert float(ecg.frontal_axis(turned.qrs)) > float(ecg.frontal_axis(straight.qrs)) + 15.0


@pytest.mark.parametrize("about", [(0.0, 0.0, 0.0), (10.0, -20.0, 30.0), (90.0, 0.0, 45.0)])
def test_rotations_keep_lengths_and_hands(about):
    matrix = np.asarray(ecg.rotation(jnp.array(about)))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-15)
    assert np.linalg.det(matrix) == pytest.approx(1.0)


def test_frame_of_the_heart_is_right_angled():
    frame = np.array([ecg.AXIS, ecg.TO_SEPTUM, ecg.TO_ANTERIOR])
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-15)
    assert ecg.AXIS[0] > 0 and ecg.AXIS[1] > 0 > ecg.AXIS[2]  # apex: left, down, in front
    assert ecg.TO_SEPTUM[0] < 0 and ecg.TO_ANTERIOR[1] < 0  # septum: to the right; anterior wall: up


def test_derivative_by_av_delay_is_that_of_differences():
    own = Intrinsic(0.18, left=0.0)
    c, volumes = heart("dilated")
    shape = ecg.shape(c, *volumes)

    @jax.jit
    def energy(av):
        found = activate(c, own, pacing.left_ventricular(av, 4), 1e-3)
        return jnp.sum(ecg.electrocardiogram(found, shape, TIMES[::4]) ** 2)

    slope, step = float(jax.jit(jax.grad(energy))(0.12)), 1e-6
    difference = float(energy(0.12 + step) - energy(0.12 - step)) / (2 * step)
    assert slope == pytest.approx(difference, rel=1e-5)
