"""A beat: the heart in its circulation, step by step, for one patient.

All of a step is in scalars of one patient, so that the same code runs under vmap and is turned into C. Beats have the
same number of steps whatever their length, and a multiple of it where they are longer than a second. Lengths and
contractility by Adams and Bashforth's second order (Euler in the first step of a beat), valves linearly implicit,
volumes by the mean of flows before and after.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from solvers import lanes
from solvers.twins.virtual_heart import control, sarcomere, triseg, valves, vessels
from solvers.twins.virtual_heart import layout as names
from solvers.twins.virtual_heart.constants import group, patch
from solvers.twins.virtual_heart.layout import Layout
from solvers.twins.virtual_heart.seen import watched

STEPS = 425  # 2 ms at 0.85 s
LONGEST = 1.0  # s, of a beat in STEPS steps: from about 3 ms on the scheme is unstable
MOST = 8  # times STEPS: a beat of eight seconds
LEAST_V = 1e-7  # m3


class Lived(NamedTuple):
    """State and Seen of `layout`: what a step takes and gives."""

    state: Any
    seen: Any


class Means(NamedTuple):
    """Sums over the steps of a beat that the control needs."""

    p_sum_aorta: Any
    q_sum_systemic: Any


class Now(NamedTuple):
    """What follows from a state at once. at: the junction.

    p: pressures [Pa] by cavity (at its valve, for a tube), `peri`, and `trunk`: in the pulmonary artery without the
    wave that its valve's flow sends; q: flows [m3/s] by valve, `systemic`,
    `pulmonary`, `pump`; V: volumes [m3]; T: tension by wall [N/m]; ls [um], Am [m2] by patch.
    """

    p: dict[str, Any]
    q: dict[str, Any]
    V: dict[str, Any]
    T: dict[str, Any]
    ls: dict[str, Any]
    Am: dict[str, Any]
    at: triseg.Junction


class Beat(NamedTuple):
    """How a heart is divided, in space and in time.

    Where there is no machine code, compile with compiler_options={"xla_backend_optimization_level": 1}: XLA's usual
    effort takes three times as long here, and the code is no faster.
    """

    layout: Layout = Layout()
    n_step: int = STEPS

    def steps(self, c: Any) -> Any:
        """How many steps this patient's beat has, n_step times a whole number."""
        return self.n_step * jnp.clip(jnp.ceil(c.cycle / LONGEST), 1.0, MOST)

    def now(self, s: Any, c: Any) -> Now:
        """All that follows from the state s."""
        reflex = control.reflex(s.x_b, c)
        V = {name: getattr(s, f"V_{name}") for name in names.CAVITIES}
        q = {name: getattr(s, f"q_{name}") for name in names.VALVES}
        ventricle, atrium = group(c, "ventricle"), group(c, "atrium")
        of = {name: patch(c, name) for name in self.layout.patches}
        parts: dict[str, Any] = {}
        laws: dict[str, Any] = {}
        for wall, patches in self.layout.walls.items():
            muscle = atrium if wall.endswith("A") else ventricle
            own = [
                sarcomere.law(getattr(s, f"l_si_{n}"), getattr(s, f"C_{n}"), reflex.force, of[n], muscle)
                for n in patches
            ]
            parts |= dict(zip(patches, own, strict=True))
            laws[wall] = sarcomere.Law(_sum(law.A0 for law in own), _sum(law.D for law in own))
        three = (laws["L"], laws["S"], laws["R"])
        at, caps = triseg.solve(V["LV"], V["RV"], triseg.Junction(s.V_S, s.Y), c, three)
        T = dict(zip(("L", "S", "R"), (cap.T for cap in caps), strict=True))
        p: dict[str, Any] = {
            "peri": vessels.pericardium(_sum(V[n] for n in names.CHAMBERS) + c.all_walls, group(c, "pericardium"))
        }
        p |= {"LV": p["peri"] - caps[0].p, "RV": p["peri"] + caps[2].p}
        for name in ("LA", "RA"):
            T[name], across = triseg.sphere(V[name] + 0.5 * of[name].Vw, laws[name])
            p[name] = p["peri"] + across
        Am = {n: parts[n].A0 + parts[n].D * T[wall] for wall, patches in self.layout.walls.items() for n in patches}
        ls = {n: sarcomere.length(Am[n], of[n]) for n in Am}
        tubes = {name: group(c, name) for name in names.TUBES}
        tubes["veins"] = tubes["veins"]._replace(A0=tubes["veins"].A0 * reflex.capacity)
        free, Z = {}, {}
        for name, tube in tubes.items():
            free[name], Z[name] = vessels.tube(V[name], tube)
        q["systemic"] = vessels.bed(free["aorta"] - free["veins"], s.p0 * reflex.resistance, group(c, "systemic"))
        pulmonary = group(c, "pulmonary")
        q["pulmonary"] = vessels.bed(free["lung_artery"] - free["lung_veins"], pulmonary.p0, pulmonary)
        p["veins"] = free["veins"] + Z["veins"] * (q["systemic"] / s.fac - q["caval"])
        p["lung_artery"] = free["lung_artery"] + Z["lung_artery"] * (q["pulmonic"] - q["pulmonary"])
        p["lung_veins"] = free["lung_veins"] + Z["lung_veins"] * (q["pulmonary"] - q["lung_inlet"])
        aorta = free["aorta"] + Z["aorta"] * (q["aortic"] - q["systemic"] * s.fac)
        q["pump"] = vessels.pump(p["LV"], aorta, Z["aorta"], group(c, "pump"))
        p["aorta"] = aorta + Z["aorta"] * q["pump"]
        p["trunk"] = free["lung_artery"]
        return Now(p, q, V, T, ls, Am, at)

    def step(self, i: Any, y: Lived, c: Any) -> Lived:
        """One step: the i-th of a beat, from 0."""
        state, now = self._moved(i, y.state, c)
        dt = y.state.cycle * (1.0 / self.steps(c))
        return Lived(state, watched(y.seen, now, i * dt, dt, y.state, state, c, self.layout))

    def _moved(self, i: Any, s: Any, c: Any) -> tuple[Any, Now]:
        """The state a step on, and what followed from it before."""
        dt = s.cycle * (1.0 / self.steps(c))
        now = self.now(s, c)
        new = self._flowed(now, s, c, dt) | self._contracted(now, i, s, c, dt)
        new |= {"V_S": now.at.V_S, "Y": now.at.Y, "p_LV": now.p["LV"], "p_RV": now.p["RV"]}
        new |= {f"T_{wall}": T for wall, T in now.T.items()} | {f"Am_{name}": Am for name, Am in now.Am.items()}
        new["x_b"] = s.x_b + dt * control.reflex_slope(now.p["aorta"], s.x_b, c)
        return s._replace(**new), now

    def brief_step(self, i: Any, y: Lived, c: Any) -> Lived:
        """`step`, with Means for Seen."""
        state, now = self._moved(i, y.state, c)
        return Lived(state, Means(y.seen.p_sum_aorta + now.p["aorta"], y.seen.q_sum_systemic + now.q["systemic"]))

    def _flowed(self, now: Now, s: Any, c: Any, dt: Any) -> dict[str, Any]:
        """Flows and volumes a step on."""
        p, q = now.p, now.q
        between = {
            **{"caval": ("veins", "RA"), "tricuspid": ("RA", "RV"), "pulmonic": ("RV", "lung_artery")},
            **{"lung_inlet": ("lung_veins", "LA"), "mitral": ("LA", "LV"), "aortic": ("LV", "aorta")},
        }
        new, mean = {}, {}
        for name, (source, sink) in between.items():
            dp, valve = p[source] - p[sink], group(c, name)
            if name == "mitral":
                valve = valve._replace(A_leak=valve.A_leak / (1.0 + c.mitral_shut * jnp.maximum(-dp, 0.0)))
            inlet = name in ("caval", "lung_inlet")  # always open
            A = valve.A_open if inlet else valves.area(q[name], dp, valve)
            new[f"q_{name}"] = valves.flow(q[name], dp, A, valve, dt)
            mean[name] = 0.5 * (q[name] + new[f"q_{name}"])
        gain = {
            "aorta": mean["aortic"] + q["pump"] - q["systemic"] * s.fac,
            "veins": q["systemic"] / s.fac - mean["caval"],
            "lung_artery": mean["pulmonic"] - q["pulmonary"],
            "lung_veins": q["pulmonary"] - mean["lung_inlet"],
            "LA": mean["lung_inlet"] - mean["mitral"],
            "RA": mean["caval"] - mean["tricuspid"],
            "LV": mean["mitral"] - mean["aortic"] - q["pump"],
            "RV": mean["tricuspid"] - mean["pulmonic"],
        }
        return new | {f"V_{name}": jnp.maximum(now.V[name] + dt * rate, LEAST_V) for name, rate in gain.items()}

    def _contracted(self, now: Now, i: Any, s: Any, c: Any, dt: Any) -> dict[str, Any]:
        """Lengths and contractility a step on."""
        first = i < 0.5
        here, before = dt * jnp.where(first, 1.0, 1.5), dt * jnp.where(first, 0.0, -0.5)
        new = {}
        muscles = {name: group(c, name) for name in ("ventricle", "atrium")}
        twitches = {name: sarcomere.twitch(muscle, s.cycle) for name, muscle in muscles.items()}
        for name in self.layout.patches:
            kind = "atrium" if name.endswith("A") else "ventricle"
            l_si, C = getattr(s, f"l_si_{name}"), getattr(s, f"C_{name}")
            since = i * dt - getattr(c, f"t_{name}")
            dl_si, dC = sarcomere.slopes(l_si, C, now.ls[name], since, twitches[kind], muscles[kind])
            new[f"l_si_{name}"] = l_si + here * dl_si + before * getattr(s, f"dl_si_{name}")
            new[f"C_{name}"] = jnp.maximum(C + here * dC + before * getattr(s, f"dC_{name}"), 0.0)
            new |= {f"dl_si_{name}": dl_si, f"dC_{name}": dC}
        return new

    def beat(self, state: Any, c: Any) -> Lived:
        """One whole beat, and what the control makes of it for the next."""
        row, seen = self.whole(jnp.stack(state), c, jnp.stack(c))
        return Lived(type(state)(*row), seen)

    def whole(self, x: Any, c: Any, numbers: Any) -> tuple[Any, Any]:
        """`beat`, of a state as one row, (state,): such a row, and Seen. numbers: c as one row."""
        return self._whole(
            "step", self.nothing(), np.array(jax.tree.leaves(names.seen_start(self.layout))), x, c, numbers
        )

    def brief(self, x: Any, c: Any, numbers: Any, go: Any) -> Any:
        """The state after a beat of which nothing is seen but what the control needs; x where `go` is false."""
        after, _ = self._whole("brief_step", Means(0.0, 0.0), np.zeros(len(Means._fields)), x, c, numbers, go)
        return jnp.where(go, after, x)

    def _whole(
        self, step: str, nothing: Any, zero: np.ndarray, x: Any, c: Any, numbers: Any, go: Any = True
    ) -> tuple[Any, Any]:
        """A beat by one kind of step. nothing: what it has seen before, and `zero` the same as a row."""
        # Rows, because XLA takes long over many scalars.
        before = names.state_type(self.layout)(*x)
        shape: Any = jax.tree.structure(Lived(before, nothing))
        row = jnp.concatenate([_changed(x, before, control.begun(before, c)), zero])
        row = self._turned(step, shape, row, c, numbers, go)
        lived = shape.unflatten(list(row))
        after = control.after(lived.state, lived.seen, c, self.steps(c))
        return _changed(row[: len(before)], lived.state, after), lived.seen

    def _turned(self, step: str, shape: Any, row: Any, c: Any, numbers: Any, go: Any) -> Any:
        """All steps of a beat, in machine code where there can be any. row: Lived as one row, of the tree `shape`."""
        kind: Any = type(c)

        def scanned(row: Any, numbers: Any, steps: Any) -> Any:
            constants = kind(*numbers)

            def one(y: Lived, i: Any) -> tuple[Lived, None]:
                return getattr(self, step)(i, y, constants), None

            def some(k: Any, row: Any) -> Any:
                numbered = k * self.n_step + jnp.arange(self.n_step, dtype=float)
                return jnp.stack(jax.tree.leaves(jax.lax.scan(one, shape.unflatten(list(row)), numbered)[0]))

            return jax.lax.fori_loop(0, jnp.round(steps / self.n_step).astype(int), some, row)

        steps = jnp.where(go, self.steps(c), 0.0)
        machine = _machines(self, kind)[step]
        return machine.turns(row, numbers, steps, scanned) if machine else scanned(row, numbers, steps)

    def beats(self, state: Any, c: Any, n: Any) -> Lived:
        """n beats; Seen is of the last."""
        start = Lived(state, self.nothing())
        _, shape = jax.tree.flatten(start)

        def one(_: Any, y: Any) -> Any:
            # In one array between beats: several hundred in a loop take XLA minutes.
            return jnp.stack(jax.tree.leaves(self.beat(jax.tree.unflatten(shape, list(y)).state, c)))

        return jax.tree.unflatten(shape, list(jax.lax.fori_loop(0, n, one, jnp.stack(jax.tree.leaves(start)))))

    def nothing(self) -> Any:
        """Seen, before the first step of a beat."""
        return jax.tree.map(lambda value: jnp.asarray(value, float), names.seen_start(self.layout))

    def probe(self, state: Any, c: Any) -> dict[str, Any]:
        """Waveforms of the next beat by name, (n_step,) each; the state stays as it is.

        time [s]; p_ [Pa], V_ [m3], q_ [m3/s] by cavity and valve; T_ [N/m] by wall; ls_ [um] and stress_, along the
        fibre [Pa], by patch.
        """

        steps = self.steps(c)
        finer = jnp.round(steps / self.n_step)

        def one(y: Lived, k: Any) -> tuple[Lived, dict[str, Any]]:
            now = self.now(y.state, c)
            seen = {"time": k * y.state.cycle / self.n_step}
            for symbol in ("p", "V", "q", "T", "ls"):
                seen |= {f"{symbol}_{name}": value for name, value in getattr(now, symbol).items()}
            for wall, patches in self.layout.walls.items():
                for name in patches:
                    seen[f"stress_{name}"] = 2.0 * now.T[wall] * now.Am[name] / getattr(c, f"Vw_{name}")
            return jax.lax.fori_loop(0, finer.astype(int), lambda j, y: self.step(k * finer + j, y, c), y), seen

        start = Lived(control.begun(state, c), self.nothing())
        return jax.lax.scan(one, start, jnp.arange(self.n_step, dtype=float))[1]


def _sum(values: Any) -> Any:
    """Of at least one, without a zero before them."""
    first, *rest = values
    for value in rest:
        first = first + value
    return first


def _changed(row: Any, before: Any, after: Any) -> Any:
    """The row of `before` with what differs in `after`."""
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        if new is not old:
            row = row.at[i].set(new)
    return row


@functools.lru_cache(maxsize=16)
def _machines(beat: Beat, constants: Any) -> dict[str, lanes.Recurrence | None]:
    """Machine code of each kind of step. constants: the class of c."""
    state = names.state_type(beat.layout)
    before = state(*state._fields)  # names in place of numbers
    kinds = {"step": names.seen_start(beat.layout), "brief_step": Means(0.0, 0.0)}
    programs = []
    for step, nothing in kinds.items():
        shape: Any = jax.tree.structure(Lived(before, nothing))

        def flat(i: Any, y: tuple, p: tuple, step: str = step, shape: Any = shape) -> tuple:
            return tuple(jax.tree.leaves(getattr(beat, step)(i, shape.unflatten(y), constants(*p))))

        fields = [f"y{k}" for k in range(shape.num_leaves)]
        programs.append(lanes.program(flat, lambda i, y, p: (), fields, constants._fields))
    return dict(zip(kinds, lanes.recurrences(*programs), strict=True))
