"""The body: glucose, insulin and a meal in the stomach, by the UVA/Padova model S2008.

Symbols are those of the papers, amounts per kg of body weight, times in minutes:

    Qsto1' = -kmax Qsto1 + d            Qsto2' = kmax Qsto1 - kgut Qsto2        Qgut' = kgut Qsto2 - kabs Qgut
    Gp' = EGP + Ra - Fsnc - E - k1 Gp + k2 Gt                                   Gt' = -Uid + k1 Gp - k2 Gt
    Ip' = -(m2 + m4) Ip + m1 Il + ka1 Isc1 + ka2 Isc2,   I = Ip / Vi            Il' = -(m1 + m30) Il + m2 Ip
    X' = -p2u (X - (I - Ib))            I1' = -ki (I1 - I)                      Id' = -ki (Id - I1)
    Isc1' = u - (ka1 + kd) Isc1         Isc2' = kd Isc1 - ka2 Isc2              Gsc' = ksc (Gp - Gsc)

    Ra = f kabs Qgut / BW               EGP = max(0, kp1 - kp2 Gp - s kp3 Id)   E = max(0, ke1 (Gp - ke2))
    Uid = (Vm0 + s Vmx X) Gt / (Km0 + Gt)

s is the insulin sensitivity of the hour (Visentin 2015, Diabetes Technol Ther 17:1, moves the same two). Emptying slows
while the share q / D of a meal that is left in the stomach lies between d and b:

    kgut = kmin + (kmax - kmin) / 2 (tanh(alpha (q - b D)) - tanh(beta (q - d D)) + 2)
    alpha = 5 / (2 D (1 - b)),  beta = 5 / (2 D d),  q = Qsto1 + Qsto2

Dalla Man, Rizza & Cobelli 2007, IEEE Trans Biomed Eng 54:1740; Dalla Man 2006, IEEE Trans Biomed Eng 53:2472;
Kovatchev 2009, J Diabetes Sci Technol 3:44.
"""

from typing import Any

import jax.numpy as jnp

STATES = (
    *("stomach_solid", "stomach_liquid", "gut"),  # mg
    *("plasma_glucose", "tissue_glucose"),  # mg/kg
    *("plasma_insulin", "insulin_action", "delayed_insulin1", "delayed_insulin2", "liver_insulin"),  # pmol/kg, pmol/L
    *("depot1", "depot2"),  # pmol/kg
    "interstitial_glucose",  # mg/kg
)

PMOL = 6000.0  # in a unit of insulin
NOTHING = 1e-6  # mg, against a division by zero: an empty stomach empties at any rate

# Not varied between the published patients.
F, FSNC, KE1, KE2, HEB = 0.9, 1.0, 0.0005, 339.0, 0.6

# What is told per minute.
RATES = (
    *("kmax", "kmin", "kabs", "k1", "k2", "m1", "m2", "m4", "m30", "p2u", "ki", "ka1", "ka2", "kd", "ksc"),
    *("kp1", "kp2", "kp3", "Vm0", "Vmx", "Fsnc", "ke1"),
)


def basal(s: Any) -> dict[str, Any]:
    """What follows from the steady state at the basal rate.

    s: the symbols that vary, and `weight` [kg] and `basal_rate` [U/h].
    """
    u2ss = s.basal_rate * PMOL / 60.0 / s.weight
    m4, m30 = 0.4 * s.m2, HEB * s.m1 / (1.0 - HEB)
    Ipb = u2ss / (s.m2 + m4 - s.m1 * s.m2 / (s.m1 + m30))
    Ib = Ipb / s.Vi
    Gpb = s.Gb * s.Vg
    Gtb = (FSNC - s.EGPb + s.k1 * Gpb) / s.k2
    return {
        "u2ss": u2ss,
        "Fsnc": FSNC,
        "ke1": KE1,
        "m4": m4,
        "m30": m30,
        "Ipb": Ipb,
        "Ib": Ib,
        "Ilb": s.m2 * Ipb / (s.m1 + m30),
        "Gpb": Gpb,
        "Gtb": Gtb,
        "Vm0": (s.EGPb - FSNC) * (s.Km0 + Gtb) / Gtb,
        "kp1": s.EGPb + s.kp2 * Gpb + s.kp3 * Ib,
    }


def at_rest(p: Any) -> dict[str, Any]:
    """The states at basal glucose and insulin, fasting."""
    isc1 = p.u2ss / (p.ka1 + p.kd)
    return {
        "stomach_solid": 0.0,
        "stomach_liquid": 0.0,
        "gut": 0.0,
        "plasma_glucose": p.Gpb,
        "tissue_glucose": p.Gtb,
        "plasma_insulin": p.Ipb,
        "insulin_action": 0.0,
        "delayed_insulin1": p.Ib,
        "delayed_insulin2": p.Ib,
        "liver_insulin": p.Ilb,
        "depot1": isc1,
        "depot2": p.kd * isc1 / p.ka2,
        "interstitial_glucose": p.Gpb,
    }


def hourly(p: Any) -> Any:
    """The symbols with all rates per hour, so that slopes are."""
    return p._replace(**{name: 60.0 * getattr(p, name) for name in RATES})


def emptying(y: Any, D: Any, p: Any) -> Any:
    """Rate at which the stomach's liquid leaves it [of its rates]; D: the meal [mg]."""
    left = (y.stomach_solid + y.stomach_liquid) / (D + NOTHING)
    # tanh x = 1 - 2 / (1 + exp(2 x)), of both in one fraction; bounded, so that it stays finite
    steep, flat = 5.0 / (1.0 - p.b), 5.0 / p.d
    high, low = jnp.exp(jnp.minimum(steep * p.b - steep * left, 300.0)), jnp.exp(5.0 - flat * left)
    slow = (low - high) / ((1.0 + high) * (1.0 + low))
    return p.kmax + (p.kmax - p.kmin) * slow


def slopes(y: Any, d: Any, u: Any, kgut: Any, s: Any, p: Any) -> dict[str, Any]:
    """d/dt of STATES [per min, or as `hourly`].

    d: eaten [mg]. u: infused [pmol/kg]. kgut: `emptying`. s: relative insulin sensitivity.
    """
    Gp, Gt, Ip = y.plasma_glucose, y.tissue_glucose, y.plasma_insulin
    insulin = Ip / p.Vi
    Ra = F * p.kabs / p.weight * y.gut
    EGP = jnp.maximum(p.kp1 - p.kp2 * Gp - s * p.kp3 * y.delayed_insulin2, 0.0)
    E = jnp.maximum(p.ke1 * Gp - p.ke1 * KE2, 0.0)
    exchange = p.k1 * Gp - p.k2 * Gt
    Uid = (p.Vm0 + s * p.Vmx * y.insulin_action) * Gt / (p.Km0 + Gt)

    def mass(amount: Any, slope: Any) -> Any:
        # What is not there cannot leave. The other amounts are fed by what is not negative, and stay so by themselves.
        return jnp.where(amount >= 0.0, slope, jnp.maximum(slope, 0.0))

    return {
        "stomach_solid": d - p.kmax * y.stomach_solid,
        "stomach_liquid": p.kmax * y.stomach_solid - kgut * y.stomach_liquid,
        "gut": kgut * y.stomach_liquid - p.kabs * y.gut,
        "plasma_glucose": mass(Gp, EGP - p.Fsnc - E + Ra - exchange),
        "tissue_glucose": mass(Gt, exchange - Uid),
        "plasma_insulin": p.m1 * y.liver_insulin + p.ka1 * y.depot1 + p.ka2 * y.depot2 - (p.m2 + p.m4) * Ip,
        "insulin_action": p.p2u * insulin - p.p2u * p.Ib - p.p2u * y.insulin_action,
        "delayed_insulin1": p.ki * (insulin - y.delayed_insulin1),
        "delayed_insulin2": p.ki * (y.delayed_insulin1 - y.delayed_insulin2),
        "liver_insulin": p.m2 * Ip - (p.m1 + p.m30) * y.liver_insulin,
        "depot1": u - (p.ka1 + p.kd) * y.depot1,
        "depot2": p.kd * y.depot1 - p.ka2 * y.depot2,
        "interstitial_glucose": p.ksc * (Gp - y.interstitial_glucose),
    }
