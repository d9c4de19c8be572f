"""One beat of a heart in the clinic's units, and the tables of its pictures."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dashboards.twin import AFTER, BEFORE
from solvers.twins.virtual_heart.activation import FREE_WALL_NODES, SEPTAL_NODES, Activation
from solvers.twins.virtual_heart.anatomy import SEGMENTS
from solvers.twins.virtual_heart.electrocardiogram import LEADS, Shape, electrocardiogram
from solvers.twins.virtual_heart.parameters import ML, MMHG
from solvers.twins.virtual_heart.valves import FORWARD

MS = 1e-3  # s
KILO = 1e3
JOULE = MMHG * ML  # J of a mmHg mL
CHAMBERS = {"LV": "left ventricle", "RV": "right ventricle", "LA": "left atrium", "RA": "right atrium"}
PRESSURES = {**CHAMBERS, "aorta": "aorta", "lung_artery": "pulmonary artery"}
VALVES = ("mitral", "aortic", "tricuspid", "pulmonic")
QRS, MVC, AVO, AVC, MVO = "QRS", "MVC", "AVO", "AVC", "MVO"
EVENTS = {
    QRS: "QRS begins",
    MVC: "mitral valve closes",
    AVO: "aortic valve opens",
    AVC: "aortic valve closes",
    MVO: "mitral valve opens",
}


class Beat(NamedTuple):
    """One beat. Segments are in the order of anatomy.SEGMENTS; NaN where there is no value.

    time: ms after activation of the right atrium, from 0 in even steps to a step before `cycle`, (time,).
    pressure [mmHg] by PRESSURES, volume [mL] by CHAMBERS, flow [mL/s] by VALVES, ecg [mV] by lead: each (time,).
    strain: % of the length as the QRS begins, (segment, time). activation: ms after that, (segment,). work: done on the
    blood by a volume of muscle [kJ/m3], (segment,). events: ms, by EVENTS; NaN where a valve does not move.
    """

    time: np.ndarray
    cycle: float
    pressure: Mapping[str, np.ndarray]
    volume: Mapping[str, np.ndarray]
    flow: Mapping[str, np.ndarray]
    ecg: Mapping[str, np.ndarray]
    strain: np.ndarray
    activation: np.ndarray
    work: np.ndarray
    events: Mapping[str, float]

    def stroke_work(self, ventricle: str) -> float:
        """Area of the pressure-volume loop [mmHg mL]."""
        p, V = self.pressure[ventricle], self.volume[ventricle]
        return float(-np.sum(0.5 * (p + np.roll(p, -1)) * (np.roll(V, -1) - V)))

    @property
    def peak(self) -> np.ndarray:
        """The most that each segment shortens [%], (segment,); shortening is negative."""
        return self.strain.min(axis=1)


def beat_of(waves: Mapping[str, Any], activation: Activation, shape: Shape, lie: Any = (0.0, 0.0, 0.0)) -> Beat:
    """The beat that mechanics and conduction tell.

    waves: as virtual_heart.beat.probe gives them, of a heart of 12 patches in the left free wall and 6 in the septum.
    shape, lie: what its electrocardiogram needs; that has QRS and T, and no P.
    Raises ValueError for a heart of other patches.
    """
    seconds = np.asarray(waves["time"], float)
    cycle = seconds[1] * len(seconds)
    onset = float(activation.onset)
    ls, stress = np.full((2, len(SEGMENTS), len(seconds)), np.nan)
    for wall, nodes in (("L", FREE_WALL_NODES), ("S", SEPTAL_NODES)):
        found = sum(name.removeprefix(f"ls_{wall}").isdigit() for name in waves)
        if found != len(nodes):
            raise ValueError(
                f"wall '{wall}' of the heart has {found} patches; give a heart with one for each segment, {len(nodes)}"
            )
        for k, node in enumerate(nodes, start=1):
            ls[node], stress[node] = waves[f"ls_{wall}{k}"], waves[f"stress_{wall}{k}"]
    at_onset = np.array([np.interp(onset, seconds, length, period=cycle) for length in ls])
    stretch = np.diff(np.log(ls), axis=1, append=np.log(ls[:, :1]))
    work = -np.sum(0.5 * (stress + np.roll(stress, -1, axis=1)) * stretch, axis=1)
    after = (seconds - onset) / MS
    # What is left of the beat before: a late T reaches beyond the next activation of the atrium.
    mV = sum(np.asarray(electrocardiogram(activation, shape, after + turn * cycle / MS, lie)) for turn in (0, 1))
    flow = {name: np.asarray(waves[f"q_{name}"]) / ML for name in VALVES}
    return Beat(
        time=seconds / MS,
        cycle=cycle / MS,
        pressure={name: np.asarray(waves[f"p_{name}"]) / MMHG for name in PRESSURES},
        volume={name: np.asarray(waves[f"V_{name}"]) / ML for name in CHAMBERS},
        flow=flow,
        ecg=dict(zip(LEADS, np.asarray(mV).T, strict=True)),
        strain=100.0 * (ls / at_onset[:, None] - 1.0),
        activation=(np.asarray(activation.nodes)[: len(SEGMENTS)] - onset) / MS,
        work=work / KILO,
        events={QRS: onset / MS} | _events(seconds / MS, cycle / MS, flow["mitral"], flow["aortic"]),
    )


def _events(time: np.ndarray, cycle: float, mitral: np.ndarray, aortic: np.ndarray) -> dict[str, float]:
    """When the valves of the left side move [ms], where their flow passes what counts as clearly forward."""
    opens, closes = _passings(time, cycle, aortic)
    refills, fills = _passings(time, cycle, mitral)
    if not len(opens) or not len(refills):
        return dict.fromkeys((MVC, AVO, AVC, MVO), np.nan)
    opened = float(opens[0])

    def since(start: float, times: np.ndarray) -> float:
        """How long after `start` the first of the times is, beat after beat."""
        return float(np.min((times - start) % cycle))

    ejected = since(opened, closes)
    return {
        MVC: (opened - since(0.0, opened - fills)) % cycle,
        AVO: opened,
        AVC: (opened + ejected) % cycle,
        MVO: (opened + ejected + since(opened + ejected, refills)) % cycle,
    }


def _passings(time: np.ndarray, cycle: float, flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times at which a flow [mL/s] rises through FORWARD, and falls through it, [ms]."""
    over = flow - FORWARD / ML
    then = np.roll(over, -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = time + cycle / len(time) * over / (over - then)
    return at[(over < 0) & (then >= 0)], at[(over >= 0) & (then < 0)]


def _both(table: Any, before: Beat, after: Beat) -> pd.DataFrame:
    parts = {BEFORE: table(before), AFTER: table(after)}
    return pd.concat(parts, names=["life"]).reset_index(level="life").reset_index(drop=True)


def loops(before: Beat, after: Beat) -> pd.DataFrame:
    """Volume and pressure of both ventricles, once round: the last point is the first again."""

    def one(beat: Beat) -> pd.DataFrame:
        around = np.arange(len(beat.time) + 1) % len(beat.time)
        columns = [
            pd.DataFrame(
                {
                    "ventricle": CHAMBERS[name],
                    "time [ms]": beat.time[around],
                    "volume [mL]": beat.volume[name][around],
                    "pressure [mmHg]": beat.pressure[name][around],
                }
            )
            for name in ("LV", "RV")
        ]
        return pd.concat(columns, ignore_index=True)

    return _both(one, before, after)


def wiggers(beat: Beat) -> pd.DataFrame:
    """Pressures, volume, flows and lead II over a beat; an event stands at the step that it follows."""
    events = np.full(len(beat.time), "", object)
    for name, at in beat.events.items():
        if np.isfinite(at):
            events[np.searchsorted(beat.time, at, side="right") - 1] += f" {EVENTS[name]}"
    columns = {"time [ms]": beat.time}
    columns |= {f"{PRESSURES[name]} pressure [mmHg]": beat.pressure[name] for name in ("aorta", "LV", "LA")}
    columns |= {"left ventricle volume [mL]": beat.volume["LV"]}
    columns |= {f"{name} flow [mL/s]": beat.flow[name] for name in ("mitral", "aortic")}
    return pd.DataFrame({**columns, "lead II [mV]": beat.ecg["II"], "event": [str(text).strip() for text in events]})


def leads(before: Beat, after: Beat) -> pd.DataFrame:
    """The twelve leads over a beat, from the beginning of QRS."""

    def one(beat: Beat) -> pd.DataFrame:
        since = (beat.time - beat.events[QRS]) % beat.cycle
        order = np.argsort(since)
        parts = [
            pd.DataFrame({"lead": lead, "time from QRS [ms]": since[order], "potential [mV]": beat.ecg[lead][order]})
            for lead in LEADS
        ]
        return pd.concat(parts, ignore_index=True)

    return _both(one, before, after)


def strains(before: Beat, after: Beat) -> pd.DataFrame:
    """Strain of each segment over a beat."""

    def one(beat: Beat) -> pd.DataFrame:
        parts = [
            pd.DataFrame(
                {
                    "segment": segment.name,
                    "wall": "septum" if segment.septal else "free wall",
                    "time [ms]": beat.time,
                    "strain [%]": beat.strain[segment.node],
                }
            )
            for segment in SEGMENTS
        ]
        return pd.concat(parts, ignore_index=True)

    return _both(one, before, after)


class Measure(NamedTuple):
    """A number of each segment. middle: whether 0 is in the middle of its scale."""

    title: str
    unit: str
    middle: bool


MEASURES = {
    "activation": Measure("activation after QRS begins", "ms", False),
    "peak": Measure("peak strain", "%", True),
    "work": Measure("external work", "kJ/m³", True),
}


def bullseye(before: Beat, after: Beat, measure: str) -> pd.DataFrame:
    """A number of each segment, of both lives, and the difference. measure: one of MEASURES."""
    title, unit = MEASURES[measure][:2]
    values = {life: getattr(beat, measure) for life, beat in ((BEFORE, before), (AFTER, after))}
    named = {"segment": [each.name for each in SEGMENTS], "number": [each.number for each in SEGMENTS]}
    columns = {f"{title} {life} [{unit}]": value for life, value in values.items()}
    return pd.DataFrame({**named, **columns, f"difference [{unit}]": values[AFTER] - values[BEFORE]})
