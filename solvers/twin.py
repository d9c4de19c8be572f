"""The twin: what it is made of.

A twin is data (parameters, covariates, actions, outputs) and pure functions for ONE patient; lanes come by vmap.
Parameters and covariates reach those functions as one namespace `p` of scalars: `p.clearance`, `p.age`.
A categorical covariate is the index of its level.
"""

import collections
import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from solvers import quantity
from solvers.triggers import Jump

Evidence = Literal["fitted", "published", "assumed"]


@dataclasses.dataclass(frozen=True)
class Spread:
    """How a parameter varies between patients around its typical value.

    kind: 'log-normal' (typical is the median), 'normal', or 'logit-normal' (typical in (0, 1), the median).
    sd: standard deviation on the transformed scale: of the logarithm, of the value [its unit], of the logit.
    """

    kind: Literal["log-normal", "normal", "logit-normal"]
    sd: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sd) and self.sd >= 0):
            raise ValueError(f"spread sd is {self.sd}; write a number of at least 0")


def log_normal(*, cv: float | None = None, sd: float | None = None) -> Spread:
    """Log-normal spread from the coefficient of variation, sd = sqrt(log(1 + cv^2)), or the sd of the logarithm."""
    if (cv is None) == (sd is None):
        raise ValueError("log_normal takes either cv or sd; write one of them")
    return Spread("log-normal", math.sqrt(math.log1p(cv * cv)) if cv is not None else float(sd or 0.0))


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One number of a model.

    typical: value of the typical patient [unit]. spread: between patients, None where all share the typical value.
    bounds: values outside mark the patient BAD_PARAMETER. subjects: how many people the estimate rests on; with a
    spread it sets our ignorance of both (location sd/sqrt(n), scale 1/sqrt(2(n-1)) on the transformed scale).
    relative_se: relative standard error of `typical`, where published. Raises ValueError without unit or source.
    """

    name: str
    unit: str
    typical: float
    source: str
    evidence: Evidence
    spread: Spread | None = None
    bounds: tuple[float, float] = (-math.inf, math.inf)
    subjects: int | None = None
    relative_se: float | None = None
    title: str = ""

    def __post_init__(self) -> None:
        _check_described(self.name, self.unit, self.source, self.evidence)
        lower, upper = self.bounds
        if not lower <= self.typical <= upper:
            raise ValueError(f"parameter '{self.name}' is {self.typical}, outside its bounds {self.bounds}")
        if self.spread and self.spread.kind == "log-normal" and self.typical <= 0:
            raise ValueError(f"parameter '{self.name}' is {self.typical}; a log-normal needs a positive typical value")
        if self.spread and self.spread.kind == "logit-normal" and not 0 < self.typical < 1:
            raise ValueError(f"parameter '{self.name}' is {self.typical}; a logit-normal needs one between 0 and 1")


@dataclasses.dataclass(frozen=True)
class Covariate:
    """Something known of a patient that a twin needs: a number [unit], or one of `levels`.

    typical: value of the reference patient; of a categorical one, its level. frequencies: share of each level where
    the population does not say (None: the population must). subjects: how many people the frequencies rest on.
    """

    name: str
    unit: str
    typical: float | str
    source: str
    evidence: Evidence
    levels: tuple[str, ...] = ()
    frequencies: tuple[float, ...] | None = None
    bounds: tuple[float, float] = (-math.inf, math.inf)
    subjects: int | None = None
    title: str = ""

    def __post_init__(self) -> None:
        _check_described(self.name, self.unit, self.source, self.evidence)
        if self.levels and self.typical not in self.levels:
            raise ValueError(f"covariate '{self.name}': typical '{self.typical}' is none of {', '.join(self.levels)}")
        if not self.levels and isinstance(self.typical, str):
            raise ValueError(f"covariate '{self.name}': typical '{self.typical}' is text, and there are no levels")
        if self.frequencies is not None and (
            len(self.frequencies) != len(self.levels) or abs(sum(self.frequencies) - 1) > 1e-9
        ):
            raise ValueError(f"covariate '{self.name}': frequencies must be one a level and sum to 1")

    @property
    def typical_code(self) -> float:
        """The typical value as the number that `p` carries."""
        return float(self.levels.index(str(self.typical))) if self.levels else float(self.typical)


@dataclasses.dataclass(frozen=True)
class Action:
    """What a therapy may do to the twin in one tick, e.g. a dose [mg] given at its start.

    infused: whether it may also come at a constant rate over a time. lag: the parameter [h] by which it comes later,
    '' where it comes at once. bioavailability: the parameter that tells what share of it reaches `act`. lasting: the
    clinic's to set, such as an implant or a device's setting: no patient can miss it or be late with it. step: where it
    comes in steps from the lower bound, their size [unit]; 0 where any amount will do.
    """

    name: str
    unit: str
    title: str = ""
    bounds: tuple[float, float] = (0.0, math.inf)
    infused: bool = False
    lag: str = ""
    bioavailability: str = ""
    lasting: bool = False
    step: float = 0.0

    @property
    def rate(self) -> str:
        """The state, and the change of it, that carry how fast it is infused [unit/h]."""
        return f"{self.name}_rate"


@dataclasses.dataclass(frozen=True)
class Trigger:
    """Something that a patient's own state sets off, e.g. a pump that is filled as it runs low.

    when(y, p) -> a number; as it comes from below 0 to 0 or above, act(y, p) gives the states, and the parameters that
    may change, that jump.
    """

    name: str
    when: Callable[[Any, Any], Any]
    act: Callable[[Any, Any], Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Output:
    """Something of the patient that can be seen.

    Measured value: (x + proportional_error x z1 + additive_error z2) exp(log_error z1), z standard normal.
    bounds: values outside are impossible and mark the life OUT_OF_BOUNDS. device: a device shows it to the policy at
    every tick, and it has no error but its own; others are measured at visits.
    """

    name: str
    unit: str
    source: str
    title: str = ""
    additive_error: float = 0.0
    proportional_error: float = 0.0
    log_error: float = 0.0
    bounds: tuple[float, float] = (-math.inf, math.inf)
    device: bool = False

    def measure(self, value: jax.Array, z1: jax.Array, z2: jax.Array) -> jax.Array:
        """The value with measurement error, [unit]; z1, z2 are standard normal draws of the same shape."""
        noisy = value + self.proportional_error * value * z1 + self.additive_error * z2
        return noisy * jnp.exp(self.log_error * z1) if self.log_error else noisy


def _check_described(name: str, unit: str, source: str, evidence: str) -> None:
    if not unit.strip():
        raise ValueError(f"'{name}' has no unit; write one, or '1' where it has no dimension")
    quantity.conversion(unit, unit)
    if not source.strip():
        raise ValueError(f"'{name}' has no source; say where the number comes from")
    if evidence not in ("fitted", "published", "assumed"):
        raise ValueError(f"'{name}': evidence '{evidence}' is none of: fitted, published, assumed")


class Ode(NamedTuple):
    """The differential equations of a twin. field(t [h], y, p) -> d/dt of y; y: a tuple of scalars with names.

    jump(y, action, p) -> the state after an action. states: the author's, then `held`: those that only actions change,
    which are parameters as they are now and rates of infusion. triggers: what the state itself sets off.
    """

    states: tuple[str, ...]
    field: Callable[[Any, Any, Any], Any]
    jump: Callable[[Any, Any, Any], Any]
    held: tuple[str, ...] = ()
    triggers: tuple[Jump, ...] = ()

    @property
    def state(self) -> Any:
        """The class of y."""
        return named("State", list(self.states))


class Twin(NamedTuple):
    """One model of a patient. All functions are pure and written for one patient with scalars.

    initial(p) -> state; advance(state, p, action, time, tick) -> state at time + tick [h];
    observe(state, p, time) -> outputs by name; derive(p) -> further scalars of p, once per patient.
    starts: named rules (p_typical, target, every [h]) -> starting amount per `every` of an action: what the typical
    patient with these covariates needs. started: by rule, that action; the first one where it is not told.
    ode: the equations that `advance` solves, where there are some: the engine solves them its own way, and `advance`
    with an adaptive step, slowly and to rounding.
    trouble: (state, p) -> Status of a state that the twin itself finds to be no life, OK elsewhere.
    probe(state, p, action) -> what an acute test shows, such as the waves of one heartbeat; the state stays as it is.
    parts: of one that `couple.composed` made, the twins that it is made of, by their names in it; couplings: what acts
    on what there, in words.
    """

    name: str
    title: str
    source: str
    parameters: tuple[Parameter, ...]
    covariates: tuple[Covariate, ...]
    actions: tuple[Action, ...]
    outputs: tuple[Output, ...]
    derive: Callable[[Any], Mapping[str, jax.Array]]
    initial: Callable[[Any], Any]
    advance: Callable[[Any, Any, Any, Any, Any], Any]
    observe: Callable[[Any, Any, Any], Mapping[str, jax.Array]]
    method: str
    starts: Mapping[str, Callable[[Any, float, float], Any]] = {}
    started: Mapping[str, str] = {}
    ode: Ode | None = None
    trouble: Callable[[Any, Any], Any] | None = None
    probe: Callable[[Any, Any, Any], Any] | None = None
    parts: Mapping[str, "Twin"] = {}
    couplings: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[Parameter | Covariate, ...]:
        """Parameters, then covariates."""
        return (*self.parameters, *self.covariates)

    @property
    def outcomes(self) -> tuple[Output | Action, ...]:
        """What a study can record: outputs, then actions."""
        return (*self.outputs, *self.actions)

    def typical(self) -> dict[str, float]:
        """Parameters and covariates of the reference patient, by name."""
        values = {parameter.name: parameter.typical for parameter in self.parameters}
        return values | {covariate.name: covariate.typical_code for covariate in self.covariates}

    def namespace(self, values: Mapping[str, Any]) -> Any:
        """The `p` that the functions take: the values by name, and what `derive` adds.

        Raises ValueError where a name is missing.
        """
        names = [variable.name for variable in self.variables]
        missing = [name for name in names if name not in values]
        if missing:
            raise ValueError(f"twin '{self.name}' lacks {', '.join(missing)}; give every parameter and covariate")
        given = named("Given", names)(**{name: jnp.asarray(values[name], float) for name in names})
        derived = dict(self.derive(given))
        return named("Patient", [*names, *derived])(**given._asdict(), **derived)

    def action(self, **amounts: Any) -> Any:
        """An action with named amounts, and changes of the rates of infusions; those left out are 0."""
        names = [action.name for action in self.actions] + [action.rate for action in self.actions if action.infused]
        return named("Action", names)(**{name: jnp.asarray(amounts.get(name, 0.0), float) for name in names})


_classes: dict[tuple[str, ...], Any] = {}


def named(kind: str, names: list[str]) -> Any:
    """One NamedTuple class per set of names: jax compares pytree classes by identity."""
    key = (kind, *names)
    if key not in _classes:
        _classes[key] = collections.namedtuple(kind, names)
    return _classes[key]


def nothing(p: Any) -> Mapping[str, jax.Array]:
    """The `derive` of a twin that derives nothing."""
    return {}
