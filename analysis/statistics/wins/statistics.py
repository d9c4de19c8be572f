"""Win ratio, net benefit and win odds over a hierarchy of outcomes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.statistics.arrays import level
from analysis.statistics.estimate import Estimate, interval, ratio
from analysis.statistics.trouble import Trouble, troubled
from analysis.statistics.wins.hierarchy import read
from analysis.statistics.wins.outcome import Outcome
from analysis.statistics.wins.pairs import Pairs, compare

WEIGHTS = ("sizes", "equal")
VARIANCES = ("projection", "unbiased", "null")


class Wins(NamedTuple):
    """Comparisons of all pairs: numbers (..., level) or (...), and three summaries of them.

    wins, losses: pairs that a level decided, for arm a and against it. ties: pairs that none decided. pairs: all.
    The standard errors of win_ratio and win_odds are those of their logarithms.
    """

    wins: np.ndarray
    losses: np.ndarray
    ties: np.ndarray
    pairs: np.ndarray
    win_ratio: Estimate
    net_benefit: Estimate
    win_odds: Estimate


def win_statistics(
    outcomes: Sequence[Outcome],
    arms: Any,
    contrast: tuple[int, int],
    strata: Any = None,
    alpha: float = 0.05,
    sided: int = 2,
    weights: str = "sizes",
    variance: str = "projection",
) -> Wins:
    """Every subject of arm a against every one of arm b of the same stratum, unmatched, over a hierarchy of outcomes.

        W, L = sums over strata of w_m times pairs won and lost,   N = sum of w_m n_am n_bm
        win ratio = W / L,   net benefit = (W - L) / N,   win odds = (N + W - L) / (N - W + L)

    outcomes: from the most important; a pair that one leaves undecided is for the next. arms: codes, (..., subject).
    strata: labels, numbers, (..., subject). weights: "sizes", w_m = 1 / (n_am + n_bm), or "equal", w_m = 1. A subject
    with NaN at every level, or as its stratum, is left out. Ratios have their intervals on the logarithm's scale.

    variance: of the numbers of pairs in a stratum. With s_i = pairs that subject i of arm a wins, t_j = pairs that are
    won against subject j of arm b:
    "projection": sum (s_i - mean s)^2 + sum (t_j - mean t)^2, the first term of Hoeffding's, and its like for losses
    and the covariance (Bebu & Lachin 2016);
    "unbiased": all terms of the U-statistic's variance, with estimates that have no bias;
    "null": as if arms were alike, wins as likely as losses (Dong et al. 2016, and 2018 for strata).

    Where no pair is decided the win ratio is NaN and the trouble is CONSTANT; where all that are decided go one way it
    is 0 or infinite without an interval, and the trouble is SEPARATED. Where an estimate of a variance is not above 0,
    which can happen in small sets, the trouble is TOO_FEW. Raises ValueError for what is no such call.
    Pocock et al. 2012, Eur Heart J 33:176; Buyse 2010, Stat Med 29:3245; Bebu & Lachin 2016, Biostatistics 17:178;
    Dong et al. 2016, Pharm Stat 15:430; 2018, J Biopharm Stat 28:778; 2020, Stat Biopharm Res 12:99.
    """
    level(alpha, sided)
    if weights not in WEIGHTS:
        raise ValueError(f"weights is {weights!r}; write one of: {', '.join(WEIGHTS)}")
    if variance not in VARIANCES:
        raise ValueError(f"variance is {variance!r}; write one of: {', '.join(VARIANCES)}")
    data = read(outcomes, arms, contrast, strata)
    shape = data.a.shape[:1]
    wins, losses = np.zeros((2, *shape, len(data.levels)), dtype=np.int64)
    pairs, used = np.zeros((2, *shape), dtype=np.int64)
    total, won, lost = np.zeros((3, *shape))
    spread = np.zeros((3, *shape))
    too_few = np.zeros(shape, dtype=bool)
    for label in data.labels:
        a, b = (each & (data.strata == label) for each in (data.a, data.b))
        na, nb = a.sum(-1), b.sum(-1)
        found = compare(data.levels, a, b)
        here = (na > 0) & (nb > 0)
        weight = np.where(here, 1.0 / np.maximum(na + nb, 1) if weights == "sizes" else 1.0, 0.0)
        wins += found.wins
        losses += found.losses
        pairs += na * nb
        used += np.where(here, na + nb, 0)
        total += weight * (na * nb)
        won += weight * found.wins.sum(-1)
        lost += weight * found.losses.sum(-1)
        too_few |= here & ((na < 2) | (nb < 2))
        spread += weight**2 * np.where(here, _spread(found, na, nb, variance), 0.0)
    too_few &= variance != "projection"
    empty = pairs == 0
    ties = pairs - wins.sum(-1) - losses.sum(-1)
    summaries = _summaries(total, won, lost, spread, variance == "null")
    estimates = []
    one_way = (won == 0) | (lost == 0)
    all_one_way = np.maximum(won, lost) == total
    separated = (one_way, all_one_way & ~(summaries[1][1] > 0), all_one_way)
    for (value, se), infinite in zip(summaries, separated, strict=True):
        trouble = troubled(
            shape,
            (empty, Trouble.EMPTY_ARM),
            (won + lost == 0, Trouble.CONSTANT),
            (too_few, Trouble.TOO_FEW),
            (infinite, Trouble.SEPARATED),
            (~(se > 0), Trouble.TOO_FEW),
        )
        se = np.where(trouble == 0, se, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            estimates.append(interval(value, se, stats.norm(), value / se, alpha, sided, used, trouble=trouble))
    win_ratio, net_benefit, win_odds = estimates

    def shaped(estimate: Estimate) -> Estimate:
        return Estimate(*map(data.shaped, estimate))

    return Wins(
        wins=data.shaped(wins),
        losses=data.shaped(losses),
        ties=data.shaped(ties),
        pairs=data.shaped(pairs),
        win_ratio=shaped(ratio(win_ratio)),
        net_benefit=shaped(net_benefit),
        win_odds=shaped(ratio(win_odds)),
    )


def _spread(found: Pairs, na: np.ndarray, nb: np.ndarray, variance: str) -> np.ndarray:
    """Variances of the numbers of pairs won and lost, and their covariance, (3, replicate)."""
    pairs = na * nb
    won, lost = (each.sum(-1).astype(float) for each in (found.wins, found.losses))
    # A pair that is won is not lost, and every one counts 1: the sums of squares and products over pairs.
    sides = (
        (found.row_wins, found.row_wins, found.column_wins, found.column_wins, won, won, won),
        (found.row_losses, found.row_losses, found.column_losses, found.column_losses, lost, lost, lost),
        (found.row_wins, found.row_losses, found.column_wins, found.column_losses, won, lost, 0.0 * won),
    )
    answers = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for row, other_row, column, other_column, one, other, square in sides:
            rows = (row * other_row).sum(-1, dtype=float)
            columns = (column * other_column).sum(-1, dtype=float)
            if variance == "projection":
                answers.append(rows - one * other / na + columns - one * other / nb)
            elif variance == "unbiased":
                apart = (one * other - rows - columns + square) / ((na - 1.0) * (nb - 1.0))
                answers.append(one * other - pairs * apart)
            else:
                # Centred at the mean of wins and losses, which then leaves their difference.
                middle = (won + lost) / 2
                shift = middle * (one + other) - middle**2
                within = square - shift / pairs
                answers.append(
                    nb / (nb - 1.0) * (rows - shift / na - within) + na / (na - 1.0) * (columns - shift / nb - within)
                )
    return np.array(answers)


def _summaries(
    total: np.ndarray, won: np.ndarray, lost: np.ndarray, spread: np.ndarray, null: bool
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Logarithm of the win ratio, net benefit, logarithm of the win odds, each with its standard error."""
    of_won, of_lost, both = spread
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = (won + lost) / 2
        ours, theirs = (middle, middle) if null else (won, lost)
        benefit = (won - lost) / total
        at = np.zeros_like(benefit) if null else benefit
        ratio_se = np.sqrt(of_won / ours**2 + of_lost / theirs**2 - 2 * both / (ours * theirs))
        benefit_se = np.sqrt(np.maximum(of_won + of_lost - 2 * both, 0.0)) / total
        return [
            (np.log(won) - np.log(lost), ratio_se),
            (benefit, benefit_se),
            (np.log1p(benefit) - np.log1p(-benefit), 2 * benefit_se / (1 - at**2)),
        ]
