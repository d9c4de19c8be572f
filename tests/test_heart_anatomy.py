"""Walls of a heart from echo."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solvers.twins.virtual_heart.anatomy import (
    HEALTHY_SHARE,
    SEGMENTS,
    Anatomy,
    Echo,
    anatomy,
    check,
    patches,
    scar,
    teichholz,
)

NORMAL = Echo(lvidd=4.8, lvids=3.2, ivsd=0.9, pwtd=0.9, length=8.5, right_basal=3.3, left_atrium=47.5)
DILATED = Echo(lvidd=6.6, lvids=5.9, ivsd=1.0, pwtd=0.8, length=9.8, right_basal=4.0, left_atrium=90.0)
compiled = jax.jit(anatomy)

# Section 6 of the equations: the published healthy heart, cm2 and mL.
LEFT, SEPTUM, RIGHT = (96.69, 73.57), (28.99, 18.89), (108.42, 36.77)
LEFT_ATRIUM, RIGHT_ATRIUM = (42.57, 4.461), (40.16, 2.145)
EDV = 118.8


def test_a_dilated_heart_by_hand():
    found = compiled(DILATED)
    # 0.8 * 1.04 * ((6.6 + 1.0 + 0.8)^3 - 6.6^3) + 0.6 = 0.832 * (592.704 - 287.496) + 0.6
    assert float(found.mass) == pytest.approx(254.533, abs=1e-3)
    volume = 254.533 / 1.05  # 242.412 mL
    assert float(found.edv) == pytest.approx(7 * 287.496 / 9.0)  # Teichholz: 223.608
    assert float(found.esv) == pytest.approx(7 * 205.379 / 8.3, abs=1e-3)
    # r = 1.25: 242.412 * 0.29 * 1.25 / (0.71 + 0.3625)
    assert 1e6 * float(found.septum.volume) == pytest.approx(81.9344, abs=1e-3)
    assert 1e6 * float(found.left.volume) == pytest.approx(volume - 81.9344, abs=1e-3)
    # (36 pi)^(1/3) * (223.608 + 121.206)^(2/3) * (2 / 2.2)^2 = 4.83598 * 49.174 * 0.826446
    area = 1e4 * float(found.left.area + found.septum.area)
    assert area == pytest.approx(196.54, abs=0.02)
    assert 1e4 * float(found.septum.area) == pytest.approx(0.29 * area)
    # R = sqrt(3 * 344.814 mL / (2 pi * 9.8 cm))
    assert 100 * float(found.radius) == pytest.approx(4.0987, abs=1e-3)
    assert 1e4 * float(found.right.area) == pytest.approx(108.42 * 1.055 * (4.0 / 3.3) ** 2)
    assert 1e6 * float(found.right.volume) == pytest.approx(36.77 * (4.0 / 3.3) ** 2)
    assert 1e4 * float(found.right_atrium.area) == pytest.approx(40.16 * (90.0 / 47.5) ** (2 / 3))
    assert float(found.stress) == pytest.approx(92.46 / volume, rel=1e-4)
    assert (float(found.length), float(found.thickness)) == pytest.approx((0.098, 0.010))


def published():
    """Dimensions that give the published walls: EDV and, by their mass, its wall of one thickness."""
    inner = np.interp(EDV, teichholz(np.linspace(4, 6, 20001)), np.linspace(4, 6, 20001))
    outer = (inner**3 + ((LEFT[1] + SEPTUM[1]) * 1.05 - 0.6) / (0.8 * 1.04)) ** (1 / 3)
    # The septum is a little thicker than its share: r that gives 18.89 of 92.46 mL.
    share = SEPTUM[1] / (LEFT[1] + SEPTUM[1])
    ratio = share / (1 - share) * (1 - HEALTHY_SHARE) / HEALTHY_SHARE
    posterior = (outer - inner) / (1 + ratio)
    return Echo(inner, 0.7 * inner, ratio * posterior, posterior, 8.5, right_basal=3.3, left_atrium=47.5)


def test_the_published_heart_is_recovered_from_its_dimensions():
    found = compiled(published(), HEALTHY_SHARE)
    assert float(found.edv) == pytest.approx(EDV, rel=1e-6)
    for wall, (area, volume) in (
        (found.right, RIGHT),
        (found.left_atrium, LEFT_ATRIUM),
        (found.right_atrium, RIGHT_ATRIUM),
    ):
        assert (1e4 * float(wall.area), 1e6 * float(wall.volume)) == pytest.approx((area, volume), rel=1e-9)
    for wall, (area, volume) in ((found.left, LEFT), (found.septum, SEPTUM)):
        assert 1e6 * float(wall.volume) == pytest.approx(volume, rel=1e-6)
        assert 1e4 * float(wall.area) == pytest.approx(area, rel=0.06)  # a sphere, to first guess
    # The areas lie between those of the range of sarcomere lengths at end of diastole, 2.1-2.3 um.
    low, high = (compiled(published(), HEALTHY_SHARE, length) for length in (2.3, 2.1))
    total = 1e-4 * (LEFT[0] + SEPTUM[0])
    assert float(low.left.area + low.septum.area) < total < float(high.left.area + high.septum.area)
    assert float(found.stress) == pytest.approx(1.0, rel=1e-6)


def test_sizes_for_conduction_are_those_of_the_reference_hearts():
    # Section 1: R 3.3 cm at L 8.5 cm; dilated 4.0-4.2 cm at 9.8-10 cm.
    assert 100 * float(compiled(NORMAL._replace(edv=EDV)).radius) == pytest.approx(3.3, abs=0.1)
    assert 4.0 <= 100 * float(compiled(DILATED).radius) <= 4.2


@pytest.mark.parametrize(
    ("dimension", "grows", "size"),
    [
        ("lvidd", True, lambda a: a.left.area),
        ("lvidd", True, lambda a: a.septum.area),
        ("lvidd", True, lambda a: a.mass),
        ("lvidd", True, lambda a: a.radius),
        ("lvids", True, lambda a: a.esv),
        ("ivsd", True, lambda a: a.septum.volume),
        ("ivsd", True, lambda a: a.mass),
        ("ivsd", True, lambda a: a.thickness),
        ("pwtd", True, lambda a: a.left.volume),
        ("pwtd", False, lambda a: a.stress),
        ("length", False, lambda a: a.radius),
        ("right_basal", True, lambda a: a.right.area),
        ("right_basal", True, lambda a: a.right.volume),
        ("left_atrium", True, lambda a: a.left_atrium.area),
        ("left_atrium", True, lambda a: a.right_atrium.volume),
        ("edv", True, lambda a: a.left.area),
        ("esv", True, lambda a: a.esv),
    ],
)
def test_walls_grow_with_what_was_measured(dimension, grows, size):
    values = jnp.linspace(
        *{"edv": (80, 300), "esv": (20, 200), "left_atrium": (20, 150)}.get(dimension, (0.6, 9.0)), 40
    )
    found = jax.vmap(lambda value: size(anatomy(NORMAL._replace(**{dimension: value}))))(values)
    assert (np.sign(np.diff(found)) == (1 if grows else -1)).all()


def test_what_was_not_measured_is_normal_for_body_size():
    left_out = compiled(NORMAL._replace(right_basal=np.nan, left_atrium=np.nan))
    given = compiled(NORMAL)
    for one, other in zip(jax.tree.leaves(left_out), jax.tree.leaves(given), strict=True):
        assert float(one) == pytest.approx(float(other), rel=1e-12)
    sizes = jnp.linspace(1.3, 2.6, 20)
    found = jax.vmap(lambda body: anatomy(Echo(4.8, 3.2, 0.9, 0.9, 8.5, body)))(sizes)
    for size in (found.right.area, found.left_atrium.area):
        assert (np.diff(size) > 0).all()
    assert np.ptp(found.left.area) == 0


def test_biplane_volumes_take_the_place_of_diameters():
    found = compiled(NORMAL._replace(edv=150.0, esv=60.0))
    assert (float(found.edv), float(found.esv)) == (150.0, 60.0)
    assert float(compiled(NORMAL).edv) == pytest.approx(7 * 4.8**3 / 7.2)


def test_septal_share_moves_area_and_volume_together():
    less, more = compiled(DILATED, 0.25), compiled(DILATED, 0.32)
    for name in ("area", "volume"):
        parts = [(getattr(a.septum, name), getattr(a.left, name)) for a in (less, more)]
        assert parts[0][0] < parts[1][0]
        assert float(sum(parts[0])) == pytest.approx(float(sum(parts[1])))


def test_patches_add_up_to_their_wall():
    wall = compiled(DILATED).left
    parts = patches(wall, 12)
    assert parts.area.shape == parts.volume.shape == (12,)
    assert float(parts.area.sum()) == pytest.approx(float(wall.area))
    assert float(parts.volume.sum()) == pytest.approx(float(wall.volume))


def test_derivatives_are_those_of_differences():
    given = jnp.array([6.0, 5.0, 1.1, 0.9, 9.4, 1.8, 3.8, 70.0])

    def total(numbers):
        found = anatomy(Echo(*numbers), 0.29)
        return sum(w * x for w, x in zip(range(1, 20), _scaled(found), strict=False))

    slope = jax.jit(jax.grad(total))(given)
    assert np.isfinite(slope).all()
    step = 1e-6
    for k in range(len(given)):
        difference = (total(given.at[k].add(step)) - total(given.at[k].add(-step))) / (2 * step)
        assert float(slope[k]) == pytest.approx(float(difference), rel=1e-6, abs=1e-8)


def _scaled(found: Anatomy):
    walls = (found.left, found.septum, found.right, found.left_atrium, found.right_atrium)
    return [*(1e4 * w.area for w in walls), *(1e6 * w.volume for w in walls), found.mass, found.edv, found.esv]


def test_segments_are_those_of_the_reference_order(shared):
    order = json.loads((shared / "reference/virtual-heart/activation.json").read_text())["order_segments"]
    assert [s.node for s in SEGMENTS if not s.septal] == order["L"]
    assert [s.node for s in SEGMENTS if s.septal] == order["S"]


def test_segments_carry_the_numbers_of_the_heart_association():
    # Section 1 of the equations: the free wall's and the septum's AHA segments; 17, the tip, has no node.
    assert {s.aha for s in SEGMENTS if s.septal} == {2, 3, 8, 9, 14}
    assert {s.aha for s in SEGMENTS if not s.septal} == {1, 4, 5, 6, 7, 10, 11, 12, 13, 15, 16}
    names = {s.aha: s.name for s in SEGMENTS}
    # Cerqueira 2002, Circulation 105:539.
    assert (names[5], names[11], names[7]) == ("basal inferolateral", "mid inferolateral", "mid anterior")
    assert (names[2], names[9], names[15]) == ("basal anteroseptal", "mid inferoseptal", "apical inferior")


def test_scar_weakens_stiffens_and_slows():
    none, half, whole = (scar(share) for share in (0.0, 0.5, 1.0))
    assert none == (1.0, 1.0, 1.0)
    assert half == pytest.approx((0.5, 3.0, 0.65))
    assert whole == pytest.approx((0.0, 5.0, 0.3))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (NORMAL._replace(ivsd=-0.9), "'ivsd' is -0.9 cm; write a positive number"),
        (NORMAL._replace(lvidd=np.nan), "'lvidd' is nan cm; write a positive number"),
        (NORMAL._replace(lvids=5.0), "'lvids' is 5.0 and 'lvidd' 4.8 cm; write the end-systolic one smaller"),
        (NORMAL._replace(esv=120.0, edv=100.0), "'esv' is 120.0 and 'edv' 100.0 mL"),
        (NORMAL._replace(esv=200.0), "end-systolic volume above the end-diastolic one"),
        (NORMAL._replace(left_atrium=0.0), "'left_atrium' is 0.0 mL; write a positive number, or leave it out"),
        (NORMAL._replace(length=np.inf), "'length' is inf cm; write a finite number"),
        (NORMAL._replace(body_surface=0.0), "'body_surface' is 0.0 m2"),
    ],
)
def test_an_echo_of_no_heart_is_refused(wrong, said):
    with pytest.raises(ValueError, match="echo") as raised:
        check(wrong)
    assert said in str(raised.value)


def test_an_echo_of_a_heart_is_accepted():
    check(NORMAL)
    check(NORMAL._replace(lvidd=np.array([4.8, 6.0])))
