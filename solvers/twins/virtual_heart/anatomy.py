"""From echo dimensions to walls: volume and midwall reference area of the five, and the segments of the left ventricle.

The left ventricle is made of its own dimensions; the other chambers are those of the published healthy heart (Van Osta
2024), scaled by what differs from a normal echo. Published: mass (Devereux; Lang 2015, J Am Soc Echocardiogr 28:1),
volume (Teichholz 1976, Am J Cardiol 37:7), normal ranges (Lang 2015), the healthy walls. Assumed: a sphere for the left
ventricle, its sarcomere length at end of diastole, the septal share, a right ventricle by its basal diameter squared,
both atria by the left one's volume to the power 2/3, and what scar does.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from solvers.twins.virtual_heart.conduction import LEFT, RING, SCAR_SLOWING, SEPTAL
from solvers.twins.virtual_heart.parameters import ML, reference

CM = 1e-2  # m
DENSITY = 1.05  # g/mL
SPHERE = (36.0 * np.pi) ** (1 / 3)  # area over volume^(2/3)

SEPTAL_SHARE = 0.29  # of left-ventricular area and volume; AHA segments say 5/17. SD 0.015
HEALTHY_SHARE = 0.231  # of the published heart
RIGHT_CORRECTION = 1.055  # of the right area at SEPTAL_SHARE: keeps the healthy right ventricle
END_DIASTOLIC_LENGTH = 2.2  # um, healthy 2.1-2.3; the reference area is at 2.0
NORMAL_BODY = 1.9  # m2
NORMAL_RIGHT = 3.3  # cm, basal diameter: middle of 2.5-4.1
NORMAL_ATRIUM = 25.0  # mL/m2, left atrium at its largest: middle of 16-34


class Size(NamedTuple):
    """Size of a wall: midwall area at a sarcomere length of 2.0 um [m2], volume of muscle [m3]."""

    area: Any
    volume: Any


_HEALTHY = reference()
HEALTHY_LEFT_VOLUME = _HEALTHY.free.Vw + _HEALTHY.septum.Vw
HEALTHY_RIGHT, HEALTHY_LEFT_ATRIUM, HEALTHY_RIGHT_ATRIUM = (
    Size(wall.Am_ref, wall.Vw) for wall in (_HEALTHY.right, _HEALTHY.left_atrium, _HEALTHY.right_atrium)
)


class Echo(NamedTuple):
    """What echocardiography measures. The left ventricle's dimensions are needed; NaN for others not taken."""

    lvidd: Any  # cm, inner diameter, end of diastole
    lvids: Any  # cm, end of systole
    ivsd: Any  # cm, septal thickness
    pwtd: Any  # cm, thickness of the posterior wall
    length: Any  # cm, long axis
    body_surface: Any = NORMAL_BODY  # m2
    right_basal: Any = np.nan  # cm, right ventricle; else normal for body size
    left_atrium: Any = np.nan  # mL, at its largest; else normal for body size
    edv: Any = np.nan  # mL, biplane; else Teichholz
    esv: Any = np.nan  # mL, biplane; else Teichholz


class Anatomy(NamedTuple):
    """Walls of one patient, and the size that conduction needs."""

    left: Size  # free wall
    septum: Size
    right: Size
    left_atrium: Size
    right_atrium: Size
    mass: Any  # g, left ventricle
    edv: Any  # mL
    esv: Any  # mL
    radius: Any  # m, of the basal ring at midwall
    length: Any  # m
    thickness: Any  # m, septum
    stress: Any  # factor of active stress that keeps stress times volume of the healthy heart: a first guess


class Segment(NamedTuple):
    """A segment of the left ventricle: its node in the graph, number of 18 and AHA number of 17."""

    node: int
    number: int
    aha: int
    name: str
    ring: str
    position: str
    septal: bool


RING_NAMES = ("basal", "mid", "apical")
POSITIONS = ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")
# Of the AHA's four apical segments the septal and the lateral one are two here; its 17th, the tip, has no node.
_APICAL_AHA = (13, 14, 14, 15, 16, 16)


def _segment(node: int) -> Segment:
    ring, k = divmod(node, RING)
    name = f"{RING_NAMES[ring]} {POSITIONS[k]}"
    aha = _APICAL_AHA[k] if ring == 2 else node + 1
    return Segment(node, node + 1, aha, name, RING_NAMES[ring], POSITIONS[k], k in SEPTAL)


SEGMENTS = tuple(_segment(node) for node in range(LEFT))


class Scar(NamedTuple):
    """Factors of a patch with scar: active and passive stress, conduction speed."""

    active: Any
    passive: Any
    speed: Any


def scar(share: Any) -> Scar:
    """What scar takes from a patch; share 0-1, any shape. Assumed."""
    return Scar(1.0 - share, 1.0 + 4.0 * share, 1.0 - SCAR_SLOWING * share)


def teichholz(diameter: Any) -> Any:
    """Volume of the left ventricle [mL] from its inner diameter [cm]. Teichholz 1976."""
    return 7.0 * diameter**3 / (2.4 + diameter)


def mass(echo: Echo) -> Any:
    """Mass of the left ventricle [g] from linear dimensions. Devereux, as in Lang 2015."""
    return 0.8 * 1.04 * ((echo.lvidd + echo.ivsd + echo.pwtd) ** 3 - echo.lvidd**3) + 0.6


def anatomy(echo: Echo, septal_share: Any = SEPTAL_SHARE, sarcomere: Any = END_DIASTOLIC_LENGTH) -> Anatomy:
    """Walls from echo. septal_share: of left-ventricular area and volume. sarcomere: length at end of diastole [um].

        Am_ref = (36 pi)^(1/3) (EDV + Vw / 2)^(2/3) (2 / sarcomere)^2
        septal volume = Vw f r / (1 - f + f r),  r = IVSd / PWTd

    Areas are first guesses (the sphere is 4 % small for the healthy heart): simulation then corrects for EDV. A right
    ventricle that is small beside a dilated left one may give beats that never settle: measure it where you can.
    """
    edv = _given(echo.edv, teichholz(echo.lvidd))
    esv = _given(echo.esv, teichholz(echo.lvids))
    grams = mass(echo)
    volume = grams / DENSITY * ML
    midwall = edv * ML + 0.5 * volume
    area = SPHERE * midwall ** (2 / 3) * (2.0 / sarcomere) ** 2
    ratio = echo.ivsd / echo.pwtd
    septal = volume * septal_share * ratio / (1.0 - septal_share + septal_share * ratio)
    length = echo.length * CM
    return Anatomy(
        left=Size((1.0 - septal_share) * area, volume - septal),
        septum=Size(septal_share * area, septal),
        right=_right(echo, septal_share),
        left_atrium=_atrium(echo, HEALTHY_LEFT_ATRIUM),
        right_atrium=_atrium(echo, HEALTHY_RIGHT_ATRIUM),
        mass=grams,
        edv=edv,
        esv=esv,
        radius=jnp.sqrt(3.0 * midwall / (2.0 * jnp.pi * length)),  # half a spheroid: V = 2/3 pi R^2 L
        length=length,
        thickness=echo.ivsd * CM,
        stress=HEALTHY_LEFT_VOLUME / volume,
    )


def patches(wall: Size, count: int) -> Size:
    """A wall in equal patches: area and volume, (count,)."""
    return Size(jnp.full(count, wall.area / count), jnp.full(count, wall.volume / count))


def check(echo: Echo) -> None:
    """Raises ValueError where an echo is none of a heart. One patient or arrays of them; outside compiled code."""
    needed = ("lvidd", "lvids", "ivsd", "pwtd", "length", "body_surface")
    for name in Echo._fields:
        value, unit = np.asarray(getattr(echo, name), float), UNITS[name]
        if name in needed and not (value > 0).all():
            raise ValueError(f"echo '{name}' is {value} {unit}; write a positive number")
        if name not in needed and (value <= 0).any():
            raise ValueError(f"echo '{name}' is {value} {unit}; write a positive number, or leave it out")
        if np.isinf(value).any():
            raise ValueError(f"echo '{name}' is {value} {unit}; write a finite number")
    for small, large in (("lvids", "lvidd"), ("esv", "edv")):
        a, b = np.asarray(getattr(echo, small)), np.asarray(getattr(echo, large))
        if (a >= b).any():
            raise ValueError(
                f"echo '{small}' is {a} and '{large}' {b} {UNITS[small]}; write the end-systolic one smaller"
            )
    if (_volume(echo.esv, echo.lvids) >= _volume(echo.edv, echo.lvidd)).any():
        raise ValueError(
            "echo gives an end-systolic volume above the end-diastolic one; write both 'edv' and 'esv' [mL]"
        )


UNITS = dict.fromkeys(Echo._fields, "cm") | {"body_surface": "m2"} | dict.fromkeys(("left_atrium", "edv", "esv"), "mL")


def _volume(measured: Any, diameter: Any) -> np.ndarray:
    return np.where(np.isnan(measured), teichholz(np.asarray(diameter)), measured)


def _given(measured: Any, otherwise: Any) -> Any:
    return jnp.where(jnp.isnan(measured), otherwise, measured)


def _right(echo: Echo, septal_share: Any) -> Size:
    """Thickness is kept: volume goes with area."""
    for_body = NORMAL_RIGHT * (echo.body_surface / NORMAL_BODY) ** (1 / 3)
    scale = (_given(echo.right_basal, for_body) / NORMAL_RIGHT) ** 2
    correction = 1.0 + (RIGHT_CORRECTION - 1.0) * (septal_share - HEALTHY_SHARE) / (SEPTAL_SHARE - HEALTHY_SHARE)
    return Size(HEALTHY_RIGHT.area * scale * correction, HEALTHY_RIGHT.volume * scale)


def _atrium(echo: Echo, healthy: Size) -> Size:
    """Both atria by the volume of the left one: midwall of a sphere; thickness is kept."""
    at_normal = NORMAL_ATRIUM * NORMAL_BODY
    largest = _given(echo.left_atrium, NORMAL_ATRIUM * echo.body_surface)
    scale = (largest / at_normal) ** (2 / 3)
    return Size(healthy.area * scale, healthy.volume * scale)
