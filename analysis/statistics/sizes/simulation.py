"""How precise a simulation is: lives shared by arms, and rates of rejection."""

from typing import NamedTuple

from scipy import stats

from analysis.statistics.sizes.size import positive, share


class Shared(NamedTuple):
    """Variance of a mean effect where each patient lives under both arms, and where arms have patients of their own;
    efficiency: how many times as many patients the latter need."""

    together: float
    apart: float
    efficiency: float


def shared_lives(sd_a: float, sd_b: float, correlation: float, n: int) -> Shared:
    """Variance of the mean difference of n patients an arm.

        together (s_a^2 + s_b^2 - 2 r s_a s_b) / n,   apart (s_a^2 + s_b^2) / n

    correlation: of a patient's outcomes under the two arms. Efficiency is infinite where all effects are equal.
    """
    positive(sd_a=sd_a, sd_b=sd_b, n=n)
    if not -1.0 <= correlation <= 1.0:
        raise ValueError(f"correlation is {correlation}; give one from -1 to 1")
    together = (sd_a**2 + sd_b**2 - 2 * correlation * sd_a * sd_b) / n
    apart = (sd_a**2 + sd_b**2) / n
    return Shared(together, apart, apart / together if together > 0 else float("inf"))


def band(replicates: int, rate: float, tail: float = 1e-5) -> tuple[float, float]:
    """Shares of so many replicates that a true rate leaves, but for a probability `tail` on each side: its binomial
    quantiles."""
    positive(replicates=replicates)
    share(rate=rate, tail=tail)
    law = stats.binom(replicates, rate)
    return float(law.ppf(tail)) / replicates, float(law.ppf(1 - tail)) / replicates
