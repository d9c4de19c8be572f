"""What a heart and its circulation are made of, in SI units (Pa, m, m2, m3, s), and the healthy set.

Lengths of sarcomeres are in micrometres, as the papers have them. Symbols are those of Lumens 2009 (Ann Biomed Eng
37:2234), Arts 2012 (PLoS Comput Biol 8:e1002369) and Walmsley 2015 (PLoS Comput Biol 11:e1004284). The healthy numbers
are the published ones of the parameter set VanOsta2024 of CircAdapt, model file 2602.
"""

from typing import Any, NamedTuple

MMHG = 133.322  # Pa
ML = 1e-6  # m3
CM2 = 1e-4  # m2
RHO = 1050.0  # kg/m3, density of blood

# Of the sarcomere, the same in all hearts [um; 1].
L_S_REF, L_S0, L_SI0, DL_S_PAS = 2.0, 1.8, 1.51, 0.6
K1 = 10  # exponent of the matrix
TITIN = 0.01  # stiffness of titin, as a share of Sf_act


class Wall(NamedTuple):
    """Am_ref: midwall area at a sarcomere length of 2 um [m2]. Vw: volume [m3]. Sf_act [Pa/um], Sf_pas [Pa].

    Each of the whole wall, in equal patches; Sf_act and Sf_pas may be of each patch, (patch,).
    """

    Am_ref: Any
    Vw: Any
    Sf_act: Any
    Sf_pas: Any


class Muscle(NamedTuple):
    """v_max [um/s]; l_se0: length of the series element [um]; tr, td, ADO, LDAD, LDCC: timing, as in `sarcomere` [1].

    A contraction takes t_act = t_fixed [s] + t_share * cycle.
    """

    v_max: Any
    tr: Any
    td: Any
    ADO: Any
    LDAD: Any
    LDCC: Any
    l_se0: Any
    t_fixed: Any
    t_share: Any


class Tube(NamedTuple):
    """A0: lumen [m2] at the pressure p0 [Pa]; A_w: wall [m2]; l: length [m]; k: stiffness [1]."""

    A0: Any
    A_w: Any
    l: Any  # noqa: E741
    p0: Any
    k: Any


class Bed(NamedTuple):
    """Carries the flow q0 [m3/s] at the pressure difference p0 [Pa]; k: exponent."""

    p0: Any
    q0: Any
    k: Any


class Valve(NamedTuple):
    """A_open, A_leak: area open and shut [m2]; l: length of the channel [m]."""

    A_open: Any
    A_leak: Any
    l: Any  # noqa: E741


class Pericardium(NamedTuple):
    """p_ref [Pa] at the volume V_ref [m3] of all that it holds; k: exponent."""

    V_ref: Any
    p_ref: Any
    k: Any


class Pump(NamedTuple):
    """From the left ventricle to the aorta. speed: of the reference speed, 0 where there is none; H0: head without
    flow at that speed [Pa]; R: fall of the head with flow [Pa s/m3]."""

    speed: Any
    H0: Any
    R: Any


class Control(NamedTuple):
    """MAP0 [Pa] and q0 [m3/s]: what the homeostat keeps; e: its exponent, 0 where it is off.

    g: gain of the baroreflex, 0 where it is off; tau: its time constant [s]. It keeps MAP0 too.
    """

    MAP0: Any
    q0: Any
    e: Any
    g: Any
    tau: Any


class Heart(NamedTuple):
    """A patient. cycle: length of a beat [s]. mitral_shut: by how much more a mitral leak narrows with the pressure
    across it [1/Pa]: its area is A_leak / (1 + mitral_shut (p_LV - p_LA))."""

    cycle: Any
    free: Wall
    septum: Wall
    right: Wall
    left_atrium: Wall
    right_atrium: Wall
    ventricle: Muscle
    atrium: Muscle
    aorta: Tube
    veins: Tube
    lung_artery: Tube
    lung_veins: Tube
    systemic: Bed
    pulmonary: Bed
    caval: Valve
    tricuspid: Valve
    pulmonic: Valve
    lung_inlet: Valve
    mitral: Valve
    aortic: Valve
    mitral_shut: Any
    pericardium: Pericardium
    pump: Pump
    control: Control


def reference() -> Heart:
    """The healthy heart at rest, 0.85 s a beat, with the homeostat on and no pump."""
    timing = {"ADO": 0.65, "LDAD": 1.057, "LDCC": 4.0, "l_se0": 0.04}
    leak = 1e-9
    return Heart(
        cycle=0.85,
        free=Wall(96.69 * CM2, 73.57 * ML, 120e3, 731.2),
        septum=Wall(28.99 * CM2, 18.89 * ML, 120e3, 729.1),
        right=Wall(108.42 * CM2, 36.77 * ML, 120e3, 749.5),
        left_atrium=Wall(42.57 * CM2, 4.461 * ML, 84e3, 2248.5),
        right_atrium=Wall(40.16 * CM2, 2.145 * ML, 84e3, 2684.8),
        ventricle=Muscle(v_max=7.0, tr=0.25, td=0.25, t_fixed=0.10 * 0.85, t_share=0.40, **timing),
        atrium=Muscle(v_max=14.0, tr=0.40, td=0.40, t_fixed=0.0, t_share=0.15 / 0.85, **timing),
        aorta=Tube(4.983 * CM2, 1.1236 * CM2, 0.4, 12162.5, 5 / 3),
        veins=Tube(4.991 * CM2, 0.6579 * CM2, 0.4, 287.71, 7 / 3),
        lung_artery=Tube(4.714 * CM2, 0.9459 * CM2, 0.2, 2132.5, 5 / 3),
        lung_veins=Tube(5.080 * CM2, 0.8227 * CM2, 0.2, 830.55, 7 / 3),
        systemic=Bed(6302.6, 45 * ML, 1.0),
        pulmonary=Bed(1000.0, 45 * ML, 2.0),
        caval=Valve(4.992 * CM2, 4.992 * CM2, 12.6e-3),
        tricuspid=Valve(4.716 * CM2, leak, 12.25e-3),
        pulmonic=Valve(4.716 * CM2, leak, 12.25e-3),
        lung_inlet=Valve(5.081 * CM2, 5.081 * CM2, 12.7e-3),
        mitral=Valve(4.984 * CM2, leak, 12.6e-3),
        aortic=Valve(4.984 * CM2, leak, 12.6e-3),
        mitral_shut=0.0,
        pericardium=Pericardium(542.67 * ML, 1000.0, 10.0),
        # Head and fall are assumed: 110 mmHg, and 18 mmHg for each L/min.
        pump=Pump(0.0, 110 * MMHG, 18 * MMHG * 60e3),
        control=Control(12200.0, 85 * ML, 0.4, 0.0, 12.0),
    )
