"""Sizes for times to an event: events, and the subjects that yield them."""

import math
from typing import NamedTuple

from scipy import optimize, stats

from analysis.statistics.sizes.size import SAME, Size, positive, solve, tail, two_arms, whole

EVENTS = ("schoenfeld", "freedman")


class Events(NamedTuple):
    """events: not rounded; whole: rounded up. power: of `events`. hazard_ratio: of a against b."""

    events: float
    whole: int
    power: float
    hazard_ratio: float


def events(
    hazard_ratio: float | None = None,
    events: float | None = None,
    power: float | None = None,
    alpha: float = 0.05,
    sided: int = 2,
    ratio: float = 1.0,
    margin: float = 1.0,
    method: str = "schoenfeld",
) -> Events:
    """Events of both arms together that a log-rank or Cox test needs, the power that they have, or the ratio that they
    detect, below the margin.

        schoenfeld  d = (z_alpha + z_beta)^2 (1 + ratio)^2 / (ratio log(HR / margin)^2)
        freedman    d = (z_alpha + z_beta)^2 (1 + ratio HR)^2 / (ratio (1 - HR)^2),   HR over the margin

    One-sided, the power is that of the side on which the ratio lies. margin: of non-inferiority, a hazard ratio.
    Schoenfeld 1981, Biometrika 68:316; Freedman 1982, Stat Med 1:121.
    """
    if [hazard_ratio, events, power].count(None) != 1:
        raise ValueError("give exactly two of hazard_ratio, events and power; the third is found")
    if method not in EVENTS:
        raise ValueError(f"method is {method!r}; give one of {', '.join(EVENTS)}")
    positive(ratio=ratio, margin=margin)
    z = float(stats.norm.isf(tail(alpha, sided)))
    if power is not None and not alpha / sided < power < 1.0:
        raise ValueError(f"power is {power}; give one between {alpha / sided} and 1")
    if events is not None:
        positive(events=events)
    if hazard_ratio is not None:
        positive(hazard_ratio=hazard_ratio)
        if hazard_ratio == margin:
            raise ValueError(
                f"hazard_ratio is the margin, {margin}; give another, for no number of events tells them apart"
            )

    def signal(hazard_ratio: float) -> float:
        """Noncentrality of one event."""
        relative = hazard_ratio / margin
        if method == "freedman":
            return math.sqrt(ratio) * abs(1 - relative) / (1 + ratio * relative)
        return math.sqrt(ratio) * abs(math.log(relative)) / (1 + ratio)

    if hazard_ratio is None:
        assert events is not None and power is not None
        needed = (z + float(stats.norm.ppf(power))) / math.sqrt(events)
        if signal(margin * 1e-12) < needed:
            raise ValueError(f"no hazard ratio has a power of {power} with {events} events; give more events")
        log = optimize.brentq(lambda at: signal(margin * math.exp(at)) - needed, -27.0, 0.0, xtol=1e-14, rtol=1e-14)
        hazard_ratio = margin * math.exp(log)
    elif events is None:
        events = ((z + float(stats.norm.ppf(power))) / signal(hazard_ratio)) ** 2
    found = float(stats.norm.cdf(signal(hazard_ratio) * math.sqrt(events) - z))
    return Events(events, whole(events), found, hazard_ratio)


class Survival(NamedTuple):
    """size: its effect is the hazard of arm a. events: expected, by arm, of the size that is not rounded; shares: of
    each arm's subjects that have an event."""

    size: Size
    events: tuple[float, float]
    shares: tuple[float, float]

    @property
    def total_events(self) -> int:
        """Events of both arms, rounded up."""
        return math.ceil(sum(self.events) * (1 - SAME))


def two_hazards(
    hazard_b: float,
    hazard_a: float | None = None,
    n: float | None = None,
    power: float | None = None,
    duration: float = math.inf,
    accrual: float = 0.0,
    dropout: float | tuple[float, float] = 0.0,
    alpha: float = 0.05,
    sided: int = 2,
    ratio: float = 1.0,
    entry: float = 0.0,
    scale: str = "ratio",
) -> Survival:
    """Subjects of a trial of exponential times to an event, accrued over `accrual` and followed to `duration`.

        n = ((z_alpha V_0^(1/2) + z_beta V_1^(1/2)) / effect)^2,   V = sum_k v(h_k) / q_k
        ratio:       effect = log(h_a / h_b),   v(h) = 1 / P(event | h)
        difference:  effect = h_a - h_b,        v(h) = h^2 / P(event | h)

    V_0 with the mean hazard of both arms, weighted by their shares q of subjects. hazards and dropout: per unit of
    time, dropout of both arms or of (a, b). entry: 0 for uniform accrual, else the rate of an exponential density
    truncated at `accrual`: above 0 more enter early. The hazard that is found, where hazard_a is None, is below
    hazard_b, and the nearest to it.
    Lachin & Foulkes 1986, Biometrics 42:507.
    """
    if scale not in ("ratio", "difference"):
        raise ValueError(f"scale is {scale!r}; give 'ratio' or 'difference'")
    if hazard_a is not None:
        positive(hazard_a=hazard_a)
    positive(hazard_b=hazard_b)
    losses = dropout if isinstance(dropout, tuple) else (dropout, dropout)
    z = float(stats.norm.isf(tail(alpha, sided)))

    def seen(hazard: float, loss: float) -> float:
        return event_share(hazard, duration, accrual, loss, entry)

    def variance(hazards: tuple[float, float], arms: tuple[float, ...]) -> float:
        of = [
            (h if scale == "difference" else 1.0) ** 2 / seen(h, loss) for h, loss in zip(hazards, losses, strict=True)
        ]
        return sum(v / n for v, n in zip(of, arms, strict=True))

    def power_of(arms: tuple[float, ...], hazard: float) -> float:
        mean = (arms[0] * hazard + arms[1] * hazard_b) / sum(arms)
        effect = abs(math.log(hazard / hazard_b) if scale == "ratio" else hazard - hazard_b)
        null, other = variance((mean, mean), arms), variance((hazard, hazard_b), arms)
        return float(stats.norm.cdf((effect - z * math.sqrt(null)) / math.sqrt(other)))

    size = solve(power_of, two_arms(ratio), n, power, hazard_a, 2.0, lambda at: hazard_b * max(1 - at, 1e-9))
    shares = seen(size.effect, losses[0]), seen(hazard_b, losses[1])
    return Survival(size, (size.arms[0] * shares[0], size.arms[1] * shares[1]), shares)


def event_share(
    hazard: float, duration: float, accrual: float = 0.0, dropout: float = 0.0, entry: float = 0.0
) -> float:
    """Probability that a subject's event is seen: exponential, before an exponential dropout and the trial's end.

        h / k (1 - E[exp(-k (duration - u))]),   k = h + dropout

    u: time of entry, uniform up to `accrual`, or of density proportional to exp(-entry u). Lachin & Foulkes 1986.
    """
    positive(hazard=hazard)
    if not (0.0 <= accrual <= duration and accrual < math.inf and duration > 0):
        raise ValueError(f"accrual is {accrual}, duration {duration}; give a duration that is not less than accrual")
    if not 0.0 <= dropout < math.inf:
        raise ValueError(f"dropout is {dropout}; give a hazard of at least 0")
    if not math.isfinite(entry):
        raise ValueError(f"entry is {entry}; give a rate, 0 for uniform accrual")
    k = hazard + dropout
    left = math.exp(-k * duration) * _mean_exponential(k - entry, accrual) / _mean_exponential(-entry, accrual)
    return hazard / k * (1 - left)


def _mean_exponential(rate: float, until: float) -> float:
    """Mean of exp(rate u) over u from 0 to until."""
    x = rate * until
    return math.expm1(x) / x if abs(x) > 1e-12 else 1.0
