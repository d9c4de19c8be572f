"""Pacing at the delays that were best in a test: first AV delays one by one, then VV delays at the best of those.

Each delay is held until it has been read as often as asked for, one reading a tick that is a visit (or of a device at
every tick), with the error of measurement; its mean counts. The best is kept from then on. While AV delays are tried VV
is 0.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from solvers.policy import Policy, Seen, Setting
from solvers.quantity import quantity_range
from solvers.twin import Action, Twin
from trials import levels
from trials.dosing import OptionError, moment, span_setting, text
from trials.policies import Form

MOST = 50  # settings of one delay


class Memory(NamedTuple):
    trial: Any  # number of the setting that is tried, from 0; AV delays first
    count: Any  # its readings so far
    total: Any  # and their sum
    best: Any  # mean of the best setting of this delay so far
    av: Any  # the best so far [ms]
    vv: Any
    before: Any  # whether the last tick was paced for a reading


class Grid(NamedTuple):
    """Delays from low to high [ms] in `many` settings; the numbers as the policy's settings have them."""

    name: str
    many: int

    def delay(self, number: Any, s: Mapping[str, Any]) -> Any:
        low, high = s[f"{self.name} low"], s[f"{self.name} high"]
        return low + (high - low) * number / max(self.many - 1, 1)


def build(options: Mapping[str, Any], twin: Twin, tick: float) -> Policy:
    actions = {name: levels.action("policy", f"{name}_delay", twin) for name in ("av", "vv")}
    with_ = levels.levels("with", options["with"], twin, tick, but=[each.name for each in actions.values()])
    if not any(each.action.name == "pacing_mode" for each in with_):
        raise OptionError(
            "with", "with sets no pacing_mode, so that no delay would matter; add one, such as pacing_mode 2"
        )
    reads = levels.output("reads", text(options, "reads"), twin).name
    sign = {"highest": 1.0, "lowest": -1.0}.get(text(options, "best"))
    if sign is None:
        raise OptionError("best", f"best '{options['best']}' is unknown; write highest or lowest")
    first = moment("from", text(options, "from"), tick)
    settings = {
        "from": span_setting("time of the first test", first, tick),
        "readings": Setting("readings of each delay", "1", float(_whole("readings", options, 1)), (1.0, MOST), 1.0),
    }
    av, vv = (Grid(name, _whole(f"{name} settings", options, least)) for name, least in (("av", 1), ("vv", 0)))
    for grid in (av, vv):
        if grid.many:
            settings |= _ends(grid, text(options, f"{grid.name} delays"), actions[grid.name])
    settings |= levels.settings(with_, tick)

    def begin(p: Any, s: Mapping[str, Any]) -> Memory:
        nothing = jnp.zeros(())
        worst = jnp.full((), -jnp.inf)
        return Memory(nothing, nothing, nothing, worst, av.delay(nothing, s), nothing, jnp.zeros((), bool))

    def decide(time: Any, seen: Seen, memory: Memory, s: Mapping[str, Any]) -> tuple[Mapping[str, Any], Memory]:
        memory = learnt(memory, sign * seen.measured[reads], s)
        tests_av, tests_vv = memory.trial < av.many, memory.trial < av.many + vv.many
        av_now = jnp.where(tests_av, av.delay(memory.trial, s), memory.av)
        vv_now = memory.vv
        if vv.many:
            vv_now = jnp.where(tests_vv & ~tests_av, vv.delay(memory.trial - av.many, s), memory.vv)
        on = time > s["from"] - 1e-6
        given = {"av_delay": jnp.where(on, av_now, 0.0), "vv_delay": jnp.where(on, vv_now, 0.0)}
        paced = {name: jnp.where(on, value, 0.0) for name, value in levels.held(with_, time, s).items()}
        return {**paced, **given}, memory._replace(before=on & tests_vv & (paced["pacing_mode"] > 0.5))

    def learnt(memory: Memory, value: Any, s: Mapping[str, Any]) -> Memory:
        """With what the tick before has shown, where it was read."""
        read = memory.before & jnp.isfinite(value)
        count = memory.count + jnp.where(read, 1.0, 0.0)
        total = memory.total + jnp.where(read, value, 0.0)
        done = read & (count > s["readings"] - 0.5)
        tested_av = memory.trial < av.many
        mean = total / jnp.maximum(count, 1.0)
        better = done & (mean > memory.best)
        kept_vv = memory.vv
        if vv.many:
            kept_vv = jnp.where(better & ~tested_av, vv.delay(memory.trial - av.many, s), memory.vv)
        trial = memory.trial + jnp.where(done, 1.0, 0.0)
        best = jnp.where(better, mean, memory.best)
        return Memory(
            trial=trial,
            count=jnp.where(done, 0.0, count),
            total=jnp.where(done, 0.0, total),
            # VV delays are compared with each other, in readings of their own.
            best=jnp.where(done & (trial == av.many), -jnp.inf, best),
            av=jnp.where(better & tested_av, av.delay(memory.trial, s), memory.av),
            vv=kept_vv,
            before=memory.before,
        )

    return Policy("pacing-optimised", begin, decide, settings=settings)


def _whole(key: str, options: Mapping[str, Any], least: int) -> int:
    written = text(options, key)
    if not (written.isascii() and written.isdigit() and least <= int(written) <= MOST):
        raise OptionError(key, f"{key} '{written}' is no number of them; write a whole number from {least} to {MOST}")
    return int(written)


def _ends(grid: Grid, written: str, action: Action) -> dict[str, Setting]:
    key = f"{grid.name} delays"
    try:
        ends = quantity_range(written, action.unit)
    except ValueError as error:
        raise OptionError(key, f"{key} {error}") from error
    low, high = action.bounds
    if ends[0] < low or ends[1] > high:
        raise OptionError(
            key, f"{key} '{written}' is not possible; write delays from {low:g} to {high:g} {action.unit}"
        )
    title = f"{grid.name.upper()} delay that is tried"
    return {
        f"{grid.name} low": Setting(f"shortest {title}", action.unit, ends[0], action.bounds),
        f"{grid.name} high": Setting(f"longest {title}", action.unit, ends[1], action.bounds),
    }


form = Form(
    title="pacing at the AV and VV delays that were best in a test",
    keys={
        "with": f"pacing mode and leads, and {levels.KEY}",
        "av delays": "shortest and longest AV delay that is tried, such as 100 to 180 ms",
        "av settings": "how many AV delays are tried",
        "vv delays": "earliest and latest left side, such as -40 to 0 ms",
        "vv settings": "how many VV delays are tried; 0: none, and both sides at once",
        "readings": "how often each setting is read",
        "reads": "the output that is read",
        "best": "highest or lowest",
        "from": "time of the first test",
    },
    defaults={
        "av delays": "100 to 180 ms",
        "av settings": "5",
        "vv delays": "-40 to 0 ms",
        "vv settings": "3",
        "readings": "2",
        "reads": "dp_dt_max",
        "best": "highest",
        "from": "0 days",
    },
    build=build,
)
