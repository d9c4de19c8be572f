"""Where a statistic is at a look, given that nothing stopped it before: recursive numerical integration."""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

REACH = 8.5  # standard deviations; beyond them lies less than 1e-16
FAR = 16.0  # how far a bound is followed, so that tails of 1e-50 have their digits too
NEAR = 4000  # the most nodes of one look
ELEMENTS = 2_000_000  # of one block of the transition, 16 MB


class Walk(NamedTuple):
    """The part of a distribution that has not been stopped: nodes z and the mass at each, both (design, node).

    time: information by then, (design,). before: that of the look before. score: mean of z sqrt(t), had nothing
    stopped.
    """

    nodes: np.ndarray
    mass: np.ndarray
    time: np.ndarray
    before: np.ndarray
    score: np.ndarray


def start(designs: int) -> Walk:
    """Before the first look: everything at zero, without information."""
    zero = np.zeros(designs)
    return Walk(np.zeros((designs, 1)), np.ones((designs, 1)), zero, zero, zero)


def transition(walk: Walk, time: np.ndarray, drift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (design, node) and standard deviation (design, 1) of Z at `time`, from each node.

    (z sqrt(t) + drift (t' - t)) / sqrt(t'),   sqrt((t' - t) / t')
    """
    step, root = (time - walk.time)[:, None], np.sqrt(time)[:, None]
    return (walk.nodes * np.sqrt(walk.time)[:, None] + drift[:, None] * step) / root, np.sqrt(step) / root


def above(walk: Walk, time: np.ndarray, drift: np.ndarray, z: np.ndarray) -> np.ndarray:
    """P(not stopped before, Z >= z), (design,)."""
    mean, sd = transition(walk, time, drift)
    return (walk.mass * ndtr((mean - z[:, None]) / sd)).sum(-1)


def below(walk: Walk, time: np.ndarray, drift: np.ndarray, z: np.ndarray) -> np.ndarray:
    """P(not stopped before, Z <= z), (design,)."""
    mean, sd = transition(walk, time, drift)
    return (walk.mass * ndtr((z[:, None] - mean) / sd)).sum(-1)


def onward(
    walk: Walk,
    time: np.ndarray,
    drift: np.ndarray,
    after: np.ndarray,
    *pieces: tuple[np.ndarray, np.ndarray],
) -> Walk:
    """The part that goes on past the look at `time`, because Z lies in one of the pieces (lower, upper).

    after: time of the look to come. Gauss-Legendre nodes in each piece: what is integrated there is analytic, of
    width s with 1/s^2 = t/(t - t_before) + t/(t_after - t), and 1.9 nodes in each s leave an error below 1e-11.
    Raises ValueError where two looks lie so close together that this needs more than 4,000.
    Jennison & Turnbull 2000, section 19.2, with the nodes of Gauss for those of Simpson.
    """
    score = walk.score + drift * (time - walk.time)
    centre = score / np.sqrt(time)
    width = 1.0 / np.sqrt(time / (time - walk.time) + time / (after - time))
    nodes, weights = [], []
    for lower, upper in pieces:
        low = np.maximum(lower, centre - np.where(np.isfinite(lower), FAR, REACH))
        high = np.minimum(upper, centre + np.where(np.isfinite(upper), FAR, REACH))
        length = np.maximum(high - low, 0.0)
        count = int(np.ceil(1.9 * np.max(length / width, initial=0.0) / 8.0)) * 8 + 16
        if count > NEAR:
            raise ValueError(
                f"two looks have {(time / after).max():.8g} of each other's information; leave one of them out"
            )
        x, w = gauss(count)
        nodes.append(low[:, None] + length[:, None] * x)
        weights.append(length[:, None] * w)
    z, weight = np.concatenate(nodes, -1), np.concatenate(weights, -1)
    mean, sd = transition(walk, time, drift)
    mass = np.empty_like(z)
    block = max(1, ELEMENTS // (z.shape[1] * mean.shape[1]))
    for first in range(0, len(z), block):
        part = slice(first, first + block)
        kernel = (z[part, :, None] - mean[part, None, :]) / sd[part, :, None]
        np.square(kernel, out=kernel)
        kernel *= -0.5
        np.exp(kernel, out=kernel)
        mass[part] = np.matmul(kernel, walk.mass[part, :, None])[..., 0]
    return Walk(z, mass * weight / (sd * np.sqrt(2.0 * np.pi)), time, walk.time, score)


def upper_point(walk: Walk, time: np.ndarray, drift: np.ndarray, target: np.ndarray) -> np.ndarray:
    """z at which P(not stopped before, Z >= z) = target; infinite for 0, -infinite for more than there is.

    Newton's method for the logarithm, from the point that would do if nothing had stopped: the logarithm of the tail
    of a log-concave density is concave, so that it steps down to the root and never past it.
    """
    mean, sd = transition(walk, time, drift)
    with np.errstate(divide="ignore"):
        goal = np.log(target)
    sought = (target > 0.0) & (target < walk.mass.sum(-1))
    centre = (walk.score + drift * (time - walk.time)) / np.sqrt(time)
    z = np.where(sought, centre - ndtri(np.where(sought, target, 0.5)), 0.0)
    for _ in range(100):
        distance = (z[:, None] - mean) / sd
        tail = (walk.mass * ndtr(-distance)).sum(-1)
        density = (walk.mass * np.exp(-0.5 * distance**2)).sum(-1) / (sd[:, 0] * np.sqrt(2.0 * np.pi))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            step = np.where(sought, (np.log(tail) - goal) * tail / density, 0.0)
        z = z + np.clip(np.nan_to_num(step), -4.0, 4.0)
        if np.all(np.abs(step) <= 1e-13 * (1.0 + np.abs(z))):
            break
    return np.where(sought, z, np.where(target > 0.0, -np.inf, np.inf))


def lower_point(walk: Walk, time: np.ndarray, drift: np.ndarray, target: np.ndarray) -> np.ndarray:
    """z at which P(not stopped before, Z <= z) = target; -infinite for 0, infinite for more than there is."""
    mirrored = walk._replace(nodes=-walk.nodes, score=-walk.score)
    return -upper_point(mirrored, time, -drift, target)


@cache
def gauss(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss and Legendre on 0 to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1.0) / 2.0, weights / 2.0
