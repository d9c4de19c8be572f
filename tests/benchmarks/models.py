"""Two tasks on which solvers are compared: T1, a drug and its indirect effect under fourteen doses; T2, a circulation
with valves in closed loop. Written once, as equations of one patient, for every solver that is measured."""

from collections import namedtuple
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np


class Task(NamedTuple):
    """rhs(t, y, p) and outputs(t, y, p) take named scalars and give tuples. times: of the outputs, (point,), from 0.
    dose: added to the first state at each time of `doses`. typical, sd: of the parameters, log-normal."""

    name: str
    states: tuple[str, ...]
    parameters: tuple[str, ...]
    typical: np.ndarray
    sd: np.ndarray
    initial: Callable[[np.ndarray], np.ndarray]
    rhs: Callable[[Any, Any, Any], tuple]
    outputs: Callable[[Any, Any, Any], tuple]
    times: np.ndarray
    doses: np.ndarray
    dose: float

    def patients(self, count: int, seed: int = 1) -> np.ndarray:
        """Parameters, (parameter, patient), as the reference has them for seed 1 and 200 patients."""
        z = np.random.default_rng(seed).standard_normal((len(self.parameters), count))
        return self.typical[:, None] * np.exp(self.sd[:, None] * z)

    def jumps(self, count: int) -> np.ndarray:
        """Amounts added before each interval between outputs, (interval, state, patient)."""
        added = np.zeros((len(self.times) - 1, len(self.states), count))
        added[np.isin(self.times[:-1], self.doses), 0] = self.dose
        return added

    def error(self, outputs: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Largest error of each patient, (patient,), as the task has it. outputs, truth: (time, output, patient)."""
        peak = np.abs(truth).max(0, keepdims=True)
        scale = np.abs(truth) + 1e-3 * peak if self.name == "T1" else peak
        off = np.divide(np.abs(outputs - truth), scale, out=np.zeros_like(truth), where=scale > 0)
        return off.max((0, 1))


def _t1_rhs(t: Any, y: Any, p: Any) -> tuple:
    c = y.A2 / p.V2
    flow = p.Q * (c - y.A3 / p.V3)
    return (
        -p.KA * y.A1,
        p.KA * y.A1 - p.CL * c - flow,
        flow,
        p.KIN - p.KOUT * (1.0 - c / (p.EC50 + c)) * y.R,
    )


T1 = Task(
    "T1",
    ("A1", "A2", "A3", "R"),
    ("KA", "CL", "V2", "Q", "V3", "KIN", "KOUT", "EC50"),
    np.array([1.0, 5.0, 40.0, 10.0, 100.0, 10.0, 0.2, 0.5]),
    np.array([0.3, 0.3, 0.2, 0.3, 0.3, 0.2, 0.3, 0.3]),
    lambda p: np.stack([0 * p[0], 0 * p[0], 0 * p[0], p[5] / p[6]]),
    _t1_rhs,
    lambda t, y, p: (y.A2 / p.V2, y.R),
    np.arange(169.0),
    12.0 * np.arange(14),
    100.0,
)

_STATES = {
    **{"ph": 0.0, "vlv": 120.0, "vla": 55.0, "vrv": 120.0, "vra": 55.0, "vao": 22.0, "qao": 0.0, "vsa": 105.0},
    **{"vsc": 60.0, "vsv": 330.0, "vvc": 70.0, "vpa": 35.0, "qpa": 0.0, "vpc": 80.0, "vpv": 130.0, "zm": 0.1},
    **{"za": 0.0, "zt": 0.1, "zp": 0.0, "hr": 1.15, "rs": 1.0},
}
_PARAMETERS = {
    **{"EmaxL": 2.5, "EminL": 0.06, "EmaxR": 0.6, "EminR": 0.04, "Ea": 0.2, "Rv": 0.006, "Cao": 0.25, "Lao": 0.0008},
    **{"Rao": 0.01, "Csa": 1.2, "Rsa": 0.06, "Csc": 1.5, "Rsc": 0.95, "Csv": 55.0, "Rsv": 0.06, "Cvc": 14.0},
    **{"Rvc": 0.02, "Cpa": 2.2, "Lpa": 0.0006, "Rpa": 0.01, "Cpc": 6.0, "Rpc": 0.07, "Cpv": 14.0, "Rpv": 0.03},
    **{"HR0": 1.15, "G": 0.012, "Pset": 92.0, "Tv": 0.006},
}
_SD = {"HR0": 0.08, "Pset": 0.04, "Rv": 0.1}


def _t2_rhs(t: Any, y: Any, p: Any) -> tuple:
    cv = jnp.cos(6.283185307179586 * (y.ph - 0.19))
    ca = jnp.cos(6.283185307179586 * (y.ph - 0.93))
    ev, ea = jnp.exp(4.0 * (cv - 1.0)), jnp.exp(9.0 * (ca - 1.0))
    plv = (p.EminL + (p.EmaxL - p.EminL) * ev) * (y.vlv - 8.0)
    prv = (p.EminR + (p.EmaxR - p.EminR) * ev) * (y.vrv - 10.0)
    pla = p.Ea * (0.6 + 0.6 * ea) * (y.vla - 6.0)
    pra = p.Ea * (0.5 + 0.5 * ea) * (y.vra - 6.0)
    pao, psa, psc, psv = y.vao / p.Cao, y.vsa / p.Csa, y.vsc / p.Csc, y.vsv / p.Csv
    pvc, ppa, ppc, ppv = y.vvc / p.Cvc, y.vpa / p.Cpa, y.vpc / p.Cpc, y.vpv / p.Cpv
    by_valve, by_time = 1.0 / p.Rv, 1.0 / p.Tv
    qm, qa = y.zm * (pla - plv) * by_valve, y.za * (plv - pao) * by_valve
    qt, qp = y.zt * (pra - prv) * by_valve, y.zp * (prv - ppa) * by_valve
    qsa = (psa - psc) / (p.Rsa + 0.3 * p.Rsc * y.rs)
    qsc = (psc - psv) / (0.7 * p.Rsc * y.rs)
    qsv, qvc = (psv - pvc) / p.Rsv, (pvc - pra) / p.Rvc
    qpc, qpv = (ppc - ppv) / p.Rpc, (ppv - pla) / p.Rpv

    def opens(before: Any, after: Any) -> Any:
        return 1.0 / (1.0 + jnp.exp(after - before))

    return (
        y.hr,
        qm - qa,
        qpv - qm,
        qt - qp,
        qvc - qt,
        qa - y.qao,
        (pao - psa - p.Rao * y.qao) / p.Lao,
        y.qao - qsa,
        qsa - qsc,
        qsc - qsv,
        qsv - qvc,
        qp - y.qpa,
        (ppa - ppc - p.Rpa * y.qpa) / p.Lpa,
        y.qpa - qpc,
        qpc - qpv,
        (opens(pla, plv) - y.zm) * by_time,
        (opens(plv, pao) - y.za) * by_time,
        (opens(pra, prv) - y.zt) * by_time,
        (opens(prv, ppa) - y.zp) * by_time,
        (p.HR0 * (1.0 - p.G * (psa - p.Pset)) - y.hr) * 0.5,
        (1.0 - p.G * (psa - p.Pset) - y.rs) * 0.2,
    )


T2 = Task(
    "T2",
    tuple(_STATES),
    tuple(_PARAMETERS),
    np.array(list(_PARAMETERS.values())),
    np.array([_SD.get(name, 0.12) for name in _PARAMETERS]),
    lambda p: np.repeat(np.array(list(_STATES.values()))[:, None], p.shape[1], 1),
    _t2_rhs,
    lambda t, y, p: (y.vao / p.Cao, y.vlv, y.hr),
    np.linspace(0.0, 10.0, 501),
    np.empty(0),
    0.0,
)


def flat(task: Task) -> tuple[Callable[..., tuple], Callable[..., tuple]]:
    """rhs and outputs of plain tuples, as solvers take them that know no names."""
    state, parameter = namedtuple("State", task.states), namedtuple("Given", task.parameters)

    def of(function: Callable[..., tuple]) -> Callable[..., tuple]:
        return lambda t, y, p: function(t, state(*y), parameter(*p))

    return of(task.rhs), of(task.outputs)


def twin(task: Task) -> Any:
    """The task as a twin, whose time is in the task's own unit."""
    from solvers.ode import ode_twin
    from solvers.twin import Action, Output, Parameter, log_normal

    rhs, outputs = task.rhs, task.outputs
    seen = ("c", "R") if task.name == "T1" else ("pressure", "volume", "rate")
    numbers = zip(task.parameters, task.typical, task.sd, strict=True)

    def initial(p: Any) -> dict[str, Any]:
        if task.name == "T2":
            return dict(_STATES)
        return {"A1": 0.0, "A2": 0.0, "A3": 0.0, "R": p.KIN / p.KOUT}

    return ode_twin(
        lambda t, y, p: dict(zip(task.states, rhs(t, y, p), strict=True)),
        name=task.name.lower(),
        title=task.name,
        source="a benchmark",
        states=task.states,
        parameters=tuple(
            Parameter(name, "1", float(value), "a benchmark", "assumed", spread=log_normal(sd=float(sd)))
            for name, value, sd in numbers
        ),
        actions=(Action("dose", "mg"),),
        outputs=tuple(Output(name, "1", "a benchmark") for name in seen),
        initial=initial,
        act=lambda y, action, p: {task.states[0]: getattr(y, task.states[0]) + action.dose},
        observe=lambda y, p, t: dict(zip(seen, outputs(t, y, p), strict=True)),
    )
