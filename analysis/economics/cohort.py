"""A cohort that moves between states of health from cycle to cycle."""

from typing import Any

import numpy as np

from analysis.economics.discounting import factor
from analysis.statistics.arrays import plain

COUNTS = ("start", "end", "half-cycle", "simpson")


def transition(counts: Any) -> np.ndarray:
    """Probabilities from observed moves, rows divided by their sums; a state that nobody leaves keeps its own.

    counts: (..., state, state), or with rows missing at the end for states that absorb. Raises ValueError below 0.
    """
    found = plain(counts, "counts", "state", "next")
    if not (found >= 0).all():
        raise ValueError("a count of moves is below 0 or missing; give numbers from 0 on")
    states = found.shape[-1]
    if found.shape[-2] > states:
        raise ValueError(f"counts have {found.shape=}; give a row for each state at most")
    absorbing = np.broadcast_to(
        np.eye(states)[found.shape[-2] :], (*found.shape[:-2], states - found.shape[-2], states)
    )
    found = np.concatenate([found, absorbing], axis=-2)
    total = found.sum(-1, keepdims=True)
    return np.where(total > 0, found / np.where(total > 0, total, 1.0), np.eye(states))


def treated(transitions: Any, relative_risk: Any) -> np.ndarray:
    """Transitions under a therapy that multiplies the chance of every move to a later state.

    The rest stays where it was, or goes where it went: the diagonal takes what is left. relative_risk: (...).
    Raises ValueError where a chance to stay falls below 0.
    """
    p = _transitions(transitions)
    worse = np.triu(np.ones(p.shape[-2:]), k=1)
    moved = p * np.where(worse > 0, np.asarray(relative_risk, dtype=float)[..., None, None], 1.0)
    states = np.arange(p.shape[-1])
    moved[..., states, states] += 1.0 - moved.sum(-1)
    if (moved < 0).any():
        raise ValueError("the relative risk leaves a chance below 0; give a smaller one")
    return moved


def trace(transitions: Any, start: Any, cycles: int, *, changing: bool = False) -> np.ndarray:
    """Share of the cohort in each state at each cycle, (..., cycle + 1, state).

    transitions: (..., state, state), the same in each cycle, or, where changing, (..., cycle, state, state). start:
    (..., state), sum 1. A leading axis of either, such as draws, is answered for each.
    Raises ValueError for rows that do not sum to 1. Briggs, Claxton & Sculpher 2006, chapter 2.
    """
    p = _transitions(transitions)
    now = plain(start, "start", "state")
    if now.shape[-1] != p.shape[-1] or not (now >= 0).all() or np.abs(now.sum(-1) - 1.0).max() > 1e-9:
        raise ValueError(f"the start {now.shape} is no share of {p.shape[-1]} states; give numbers that sum to 1")
    if cycles < 1:
        raise ValueError(f"cycles is {cycles}; give 1 or more")
    if changing and (p.ndim < 3 or p.shape[-3] != cycles):
        raise ValueError(f"changing transitions have {p.shape=} for {cycles} cycles; give (..., cycle, state, state)")
    shape = np.broadcast_shapes(now.shape[:-1], p.shape[: -3 if changing else -2])
    shares = [np.broadcast_to(now, (*shape, now.shape[-1]))]
    for cycle in range(cycles):
        step = p[..., cycle, :, :] if changing else p
        shares.append((shares[-1][..., None, :] @ step)[..., 0, :])
    return np.stack(shares, axis=-2)


def total(
    shares: Any,
    rewards: Any,
    *,
    rate: float = 0.0,
    cycle: float = 1.0,
    counted: str = "half-cycle",
    continuous: bool = False,
    changing: bool = False,
) -> np.ndarray:
    """Discounted sum of what states cost or are worth, (...).

    shares: (..., cycle + 1, state), of `trace`. rewards: of a state in a cycle, (..., state), or, where changing,
    (..., cycle, state): cost of a cycle, or utility times its length. cycle: its length [years]. counted: who is
    in a state in a cycle:
        start        those there when it starts, discounted from then
        end          those there when it ends, discounted from then
        half-cycle   the mean of both, each discounted from its own time
        simpson      Simpson's rule over pairs of cycles, for an even number of them and rewards that do not change
    Briggs, Claxton & Sculpher 2006, chapter 2; Elbasha & Chhatwal 2016, Pharmacoeconomics 34:1115.
    """
    share = plain(shares, "shares", "cycle", "state")
    cycles = share.shape[-2] - 1
    reward = plain(rewards, "rewards", "state")
    if counted not in COUNTS:
        raise ValueError(f"'{counted}' is no way to count a cycle; write one of: {', '.join(COUNTS)}")
    if reward.shape[-1] != share.shape[-1]:
        raise ValueError(f"rewards of {reward.shape[-1]} states for {share.shape[-1]}; give one a state")
    if changing and (reward.ndim < 2 or reward.shape[-2] != cycles):
        raise ValueError(f"changing rewards have {reward.shape=} for {cycles} cycles; give (..., cycle, state)")
    discount = factor(rate, cycle * np.arange(cycles + 1), continuous)
    if not changing:
        reward = reward[..., None, :]
    first = (share[..., :-1, :] * reward).sum(-1) * discount[:-1]
    last = (share[..., 1:, :] * reward).sum(-1) * discount[1:]
    if counted == "simpson":
        if changing or cycles % 2:
            raise ValueError(
                f"Simpson's rule needs an even number of cycles, got {cycles}, and rewards that do not change"
            )
        whole = np.concatenate([first, last[..., -1:]], axis=-1)
        weight = np.where(np.arange(cycles + 1) % 2, 4.0, 2.0)
        weight[[0, -1]] = 1.0
        return (whole * weight).sum(-1) / 3.0
    if counted == "half-cycle":
        return (first + last).sum(-1) / 2.0
    return (first if counted == "start" else last).sum(-1)


def _transitions(transitions: Any) -> np.ndarray:
    p = plain(transitions, "transitions", "state", "next")
    if p.shape[-1] != p.shape[-2]:
        raise ValueError(f"transitions have {p.shape=}; give a row and a column a state")
    sums = p.sum(-1)
    if not (p >= 0).all() or np.abs(sums - 1.0).max() > 1e-9:
        worst = sums.ravel()[np.abs(np.nan_to_num(sums, nan=np.inf) - 1.0).argmax()]
        raise ValueError(
            f"a row of transitions sums to {worst:.6g}, or holds a number below 0; give rows that sum to 1"
        )
    return p
