"""The virtual heart: walls from echo, activation, contraction by patches, two ventricles that share a septum, a closed
circulation. `patient` tells what he has, `therapies` what can be done, `life` what becomes of it."""

from solvers.twin import Output, Twin, nothing
from solvers.twins.virtual_heart.life import advance, look, probe, start, trouble
from solvers.twins.virtual_heart.patient import COVARIATES, PARAMETERS
from solvers.twins.virtual_heart.therapies import ACTIONS, EFFECTS

SOURCE = "Lumens 2009, Ann Biomed Eng 37:2234; Walmsley 2015, PLoS Comput Biol 11:e1004284; Van Osta 2024"
ECHO = "Lang 2015, J Am Soc Echocardiogr 28:1; error between two readings, assumed"
CUFF = "error between two readings of a cuff, assumed"
CATHETER = "noise of a catheter's reading, assumed"
ECG = "reading error, assumed"
MODEL = "not measured: the model's own"

# name: unit, source, title, additive, proportional and logarithmic error, bounds
_SEEN: dict[str, tuple[str, str, str, float, float, float, tuple[float, float]]] = {
    "end_diastolic_volume": ("mL", ECHO, "end-diastolic volume", 0.0, 0.0, 0.08, (0.0, 500.0)),
    "end_systolic_volume": ("mL", ECHO, "end-systolic volume", 0.0, 0.0, 0.10, (0.0, 500.0)),
    "ejection_fraction": ("%", ECHO, "ejection fraction", 4.0, 0.0, 0.0, (0.0, 100.0)),
    "stroke_volume": ("mL", ECHO, "stroke volume", 0.0, 0.0, 0.10, (0.0, 400.0)),
    "cardiac_output": ("L/min", CATHETER, "cardiac output", 0.0, 0.08, 0.0, (0.0, 40.0)),
    "heart_rate": ("1/min", ECG, "heart rate", 1.0, 0.0, 0.0, (10.0, 300.0)),
    "lvedp": ("mmHg", CATHETER, "left ventricular end-diastolic pressure", 1.0, 0.0, 0.0, (-20.0, 150.0)),
    "lv_peak_pressure": ("mmHg", CATHETER, "largest left ventricular pressure", 2.0, 0.0, 0.0, (0.0, 400.0)),
    "dp_dt_max": ("mmHg/s", CATHETER, "steepest rise of left ventricular pressure", 0.0, 0.04, 0.0, (0.0, 10_000.0)),
    "dp_dt_min": ("mmHg/s", CATHETER, "steepest fall of left ventricular pressure", 0.0, 0.04, 0.0, (-10_000.0, 0.0)),
    "systolic_pressure": ("mmHg", CUFF, "systolic pressure, aorta", 5.0, 0.0, 0.0, (0.0, 400.0)),
    "diastolic_pressure": ("mmHg", CUFF, "diastolic pressure, aorta", 4.0, 0.0, 0.0, (0.0, 300.0)),
    "cuff_systolic_pressure": ("mmHg", CUFF, "systolic pressure, arm", 5.0, 0.0, 0.0, (0.0, 440.0)),
    "mean_pressure": ("mmHg", CUFF, "mean arterial pressure", 4.0, 0.0, 0.0, (0.0, 300.0)),
    "pulmonary_pressure": ("mmHg", CATHETER, "mean pulmonary arterial pressure", 1.5, 0.0, 0.0, (0.0, 150.0)),
    "pulmonary_systolic_pressure": ("mmHg", ECHO, "systolic pulmonary pressure", 4.0, 0.0, 0.0, (0.0, 200.0)),
    "left_atrial_pressure": ("mmHg", CATHETER, "left atrial (wedge) pressure", 1.5, 0.0, 0.0, (-20.0, 120.0)),
    "right_atrial_pressure": ("mmHg", CATHETER, "right atrial pressure", 1.0, 0.0, 0.0, (-20.0, 80.0)),
    "global_strain": ("%", ECHO, "strain of the left ventricle, along the fibre", 1.5, 0.0, 0.0, (-60.0, 20.0)),
    "septal_strain": ("%", ECHO, "strain of the septum", 2.0, 0.0, 0.0, (-60.0, 40.0)),
    "lateral_strain": ("%", ECHO, "strain of the free wall", 2.0, 0.0, 0.0, (-60.0, 40.0)),
    "septal_flash": ("%", ECHO, "shortening of the septum before ejection", 0.5, 0.0, 0.0, (0.0, 60.0)),
    "septal_rebound": ("%", ECHO, "stretch of the septum after shortening", 0.5, 0.0, 0.0, (0.0, 80.0)),
    "aortic_gradient": ("mmHg", ECHO, "mean gradient across the aortic valve", 2.0, 0.0, 0.0, (-5.0, 250.0)),
    "mitral_gradient": ("mmHg", ECHO, "mean gradient across the mitral valve", 0.5, 0.0, 0.0, (-5.0, 80.0)),
    "mitral_regurgitation": ("mL", ECHO, "regurgitant volume of the mitral valve", 5.0, 0.0, 0.0, (0.0, 300.0)),
    "rv_end_diastolic_volume": ("mL", ECHO, "right ventricular end-diastolic volume", 0.0, 0.0, 0.10, (0.0, 800.0)),
    "rv_ejection_fraction": ("%", ECHO, "right ventricular ejection fraction", 5.0, 0.0, 0.0, (0.0, 100.0)),
    "left_atrial_volume": ("mL", ECHO, "largest left atrial volume", 0.0, 0.0, 0.08, (0.0, 800.0)),
    "e_wave": ("cm/s", ECHO, "early filling velocity", 4.0, 0.0, 0.0, (0.0, 500.0)),
    "a_wave": ("cm/s", ECHO, "atrial filling velocity", 4.0, 0.0, 0.0, (0.0, 500.0)),
    "isovolumic_contraction": ("ms", ECHO, "isovolumic contraction time", 5.0, 0.0, 0.0, (-1_000.0, 1_500.0)),
    "ejection_time": ("ms", ECHO, "ejection time", 5.0, 0.0, 0.0, (0.0, 1_500.0)),
    "isovolumic_relaxation": ("ms", ECHO, "isovolumic relaxation time", 5.0, 0.0, 0.0, (-1_000.0, 1_500.0)),
    "filling_time": ("ms", ECHO, "filling time", 10.0, 0.0, 0.0, (-1_000.0, 3_000.0)),
    "wall_stress": ("kPa", MODEL, "mean fibre stress of the left ventricle", 0.0, 0.0, 0.0, (-50.0, 500.0)),
    "external_work": ("J", MODEL, "work of the left ventricle on the blood, a beat", 0.0, 0.0, 0.0, (-10.0, 20.0)),
    "oxygen_demand": ("J/min", MODEL, "pressure-volume area a minute, as oxygen demand", 0.0, 0.0, 0.0, (-1e3, 5e3)),
    "pump_flow": ("L/min", MODEL, "flow of the pump", 0.0, 0.0, 0.0, (0.0, 40.0)),
    "qrs_duration": ("ms", ECG, "QRS duration", 4.0, 0.0, 0.0, (0.0, 500.0)),
    "lv_activation_time": ("ms", MODEL, "activation time of the left ventricle", 0.0, 0.0, 0.0, (0.0, 500.0)),
}


def _output(name: str) -> Output:
    unit, source, title, additive, proportional, logarithmic, bounds = _SEEN[name]
    return Output(name, unit, source, title, additive, proportional, logarithmic, bounds)


twin = Twin(
    name="virtual-heart",
    title="The virtual heart: electrical activation, contraction, circulation",
    source=SOURCE,
    parameters=(*PARAMETERS, *EFFECTS),
    covariates=COVARIATES,
    actions=ACTIONS,
    outputs=tuple(_output(name) for name in _SEEN),
    derive=nothing,
    initial=start,
    advance=advance,
    observe=look,
    method="fixed steps of 1/425 of a beat, in machine code; steady beats by Anderson's extrapolation",
    trouble=trouble,
    probe=probe,
)
