"""What the clinic would note of a beat, in its units."""

from typing import Any

import jax.numpy as jnp

from solvers.twins.virtual_heart.layout import CAVITIES, Layout
from solvers.twins.virtual_heart.parameters import L_S_REF, ML, MMHG
from solvers.twins.virtual_heart.seen import NEVER

LITRES_A_MINUTE = 60e3  # in a m3/s
MILLI = 1e3
LARGEST = 500 * ML

UNITS = {
    **dict.fromkeys(("EDV", "ESV", "SV", "RVEDV", "RVESV", "LAVmax", "LAVmin", "RAVmax", "Vtot"), "mL"),
    **dict.fromkeys(("EF", "RVEF", "SepS", "LatS", "GSmin", "flash", "rebound"), "%"),
    **dict.fromkeys(("LVPmax", "LVEDP", "RVPmax", "RVEDP", "SBP", "DBP", "MAP", "PASP", "PADP", "mPAP"), "mmHg"),
    **dict.fromkeys(("mLAP", "mRAP", "Pperi_max", "ESP"), "mmHg"),
    **dict.fromkeys(("dPdtmax", "dPdtmin", "RVdPdtmax", "RVdPdtmin"), "mmHg/s"),
    **dict.fromkeys(("CO", "pump_flow"), "L/min"),
    **dict.fromkeys(("mitral_regurgitation", "aortic_regurgitation"), "mL"),
    **dict.fromkeys(("AVgrad_mean", "AVgrad_max", "MVgrad_mean"), "mmHg"),
    **dict.fromkeys(("E_wave", "A_wave"), "cm/s"),
    **dict.fromkeys(("IVCT", "ET", "IVRT", "filling", "PEP"), "ms"),
    **dict.fromkeys(("LV_work", "RV_work", "PVA"), "mmHg mL"),
    **dict.fromkeys(("LV_stress_mean", "LV_stress_onset"), "kPa"),
    "Rsys_p0": "Pa",
    "HR": "1/min",
}


def observed(state: Any, seen: Any, c: Any, layout: Layout, n_step: Any) -> dict[str, Any]:
    """Values of UNITS by name, of the beat that ended in `state`.

    EDV and ESV are the extremes; LVEDP and strains are from the onset of ventricular activation, and a wall's strain is
    that of the summed length of its patches. CO: through valve and pump. flash: shortening of the septum before the
    aortic valve opens; rebound: its largest stretch after shortening, until that valve closes. IVCT, ET, IVRT,
    filling: between closures and openings of the valves on the left; PEP: from onset to ejection. PVA: stroke work and
    ESP ESV / 2, to which the heart's oxygen consumption is proportional (Suga 1979, Am J Physiol 236:H498). PASP, PADP
    and mPAP are without the wave that the valve's flow sends, the others with it. Means of stress are of the
    left ventricle's patches, over the beat. Times are nan where a valve did not open.
    """
    s, dt = seen, state.cycle / n_step
    o: dict[str, Any] = {
        "EDV": s.V_max_LV / ML,
        "ESV": s.V_min_LV / ML,
        "RVEDV": s.V_max_RV / ML,
        "HR": 60.0 / state.cycle,
    }
    o |= {"RVESV": s.V_min_RV / ML, "LAVmax": s.V_max_LA / ML, "LAVmin": s.V_min_LA / ML, "RAVmax": s.V_max_RA / ML}
    o |= {
        "SV": o["EDV"] - o["ESV"],
        "EF": 100.0 * (1.0 - o["ESV"] / o["EDV"]),
        "RVEF": 100.0 * (1.0 - o["RVESV"] / o["RVEDV"]),
    }
    o["Vtot"] = sum(getattr(state, f"V_{name}") for name in CAVITIES) / ML
    extremes = {"LVPmax": s.p_max_LV, "RVPmax": s.p_max_RV, "Pperi_max": s.p_max_peri, "LVEDP": s.p_onset_LV}
    extremes |= {"RVEDP": s.p_onset_RV, "ESP": s.p_end_LV, "SBP": s.p_max_aorta, "DBP": s.p_min_aorta}
    extremes |= {"PASP": s.p_max_trunk, "PADP": s.p_min_trunk}
    slopes = {"dPdtmax": s.rise_LV, "dPdtmin": s.fall_LV, "RVdPdtmax": s.rise_RV, "RVdPdtmin": s.fall_RV}
    means = {"MAP": s.p_sum_aorta, "mPAP": s.p_sum_trunk, "mLAP": s.p_sum_LA, "mRAP": s.p_sum_RA}
    o |= {name: value / MMHG for name, value in (extremes | slopes).items()}
    o |= {name: value / (n_step * MMHG) for name, value in means.items()}
    o |= {"Rsys_p0": state.p0, "CO": (s.q_sum_aortic + s.q_sum_pump) * (LITRES_A_MINUTE / n_step)}
    o["pump_flow"] = s.q_sum_pump * (LITRES_A_MINUTE / n_step)
    o |= {f"{name}_regurgitation": -getattr(s, f"q_back_{name}") * dt / ML for name in ("mitral", "aortic")}
    o |= {"AVgrad_max": s.gradient_max_aortic / MMHG}
    for name, valve in (("AV", "aortic"), ("MV", "mitral")):
        steps = jnp.maximum(getattr(s, f"open_sum_{valve}"), 1.0)
        o[f"{name}grad_mean"] = getattr(s, f"gradient_sum_{valve}") / (steps * MMHG)
    o |= {"E_wave": 100.0 * s.early_mitral / c.mitral_A_open, "A_wave": 100.0 * s.atrial_mitral / c.mitral_A_open}
    o |= _strains(s, layout) | _times(s, c, state)
    o |= {"LV_work": s.work_LV * dt / (MMHG * ML), "RV_work": s.work_RV * dt / (MMHG * ML)}
    o["PVA"] = o["LV_work"] + 0.5 * s.p_end_LV * s.V_end_LV / (MMHG * ML)
    by_patch = patches(state, seen, c, layout, n_step)
    left = (*layout.walls["L"], *layout.walls["S"])
    for name in ("mean", "onset"):
        o[f"LV_stress_{name}"] = sum(by_patch[patch][f"stress_{name}"] for patch in left) / len(left)
    return o


def sound(state: Any, seen: Any) -> Any:
    """Whether a beat is one: all numbers finite, the ventricles' junction not at its bound, EDV at most 500 mL."""
    finite = jnp.isfinite(sum(jnp.abs(value) for value in state))
    return finite & (seen.clamped == 0.0) & (seen.V_max_LV <= LARGEST)


def patches(state: Any, seen: Any, c: Any, layout: Layout, n_step: Any) -> dict[str, dict[str, Any]]:
    """By patch: strain_min from onset [%], work done on the blood by a volume of it [kJ/m3 a beat], fibre stress over
    the beat and at onset, stress_mean and stress_onset [kPa]."""
    found = {}
    for wall, names in layout.walls.items():
        T = getattr(seen, f"T_onset_{wall}")
        for name in names:
            Vw, ls = getattr(c, f"Vw_{name}"), getattr(seen, f"ls_onset_{name}")
            Am = getattr(c, f"Am_ref_{name}") * (ls / L_S_REF) ** 2
            found[name] = {
                "strain_min": 100.0 * (getattr(seen, f"ls_min_{name}") / ls - 1.0),
                "work": getattr(seen, f"work_{name}") / (MILLI * Vw),
                "stress_mean": 2.0 * getattr(seen, f"stress_{name}") / (n_step * MILLI * Vw),
                "stress_onset": 2.0 * T * Am / (MILLI * Vw),
            }
    return found


def _strains(s: Any, layout: Layout) -> dict[str, Any]:
    at = {wall: sum(getattr(s, f"ls_onset_{name}") for name in layout.walls[wall]) for wall in ("L", "S")}
    at["LS"] = at["L"] + at["S"]
    names = {"SepS": "S", "LatS": "L", "GSmin": "LS"}
    strains = {name: 100.0 * (getattr(s, f"length_min_{wall}") / at[wall] - 1.0) for name, wall in names.items()}
    flash = 100.0 * jnp.maximum(1.0 - s.length_early_S / at["S"], 0.0)
    return strains | {"flash": flash, "rebound": 100.0 * s.rebound_S / at["S"]}


def _times(s: Any, c: Any, state: Any) -> dict[str, Any]:
    shut_m, open_a, shut_a, open_m = (
        jnp.where(value < NEVER, MILLI * value, jnp.nan)
        for value in (s.t_shut_mitral, s.t_open_aortic, s.t_shut_aortic, s.t_open_mitral)
    )
    filling = MILLI * state.cycle - (open_m - shut_m)
    return {"IVCT": open_a - shut_m, "ET": shut_a - open_a, "IVRT": open_m - shut_a, "filling": filling} | {
        "PEP": open_a - MILLI * c.onset
    }
