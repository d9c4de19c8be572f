"""Indices over time: an outcome whose course is known, by every method that gives shares or distances."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import norm

from analysis.sensitivity import load
from analysis.sensitivity.designs import design
from analysis.sensitivity.problem import Column, Problem

TIMES = np.linspace(0.0, 1.0, 9)
PAIR = Problem(tuple(Column(name, name, "normal") for name in ("early", "late", "idle")))


def course(points: np.ndarray, together: float) -> np.ndarray:
    """(1 - t) x + t y + together 2 t (1 - t) x y of normal scores x and y, (row, time)."""
    x, y = ndtri(points[:, :2]).T[:, :, None]
    return (1 - TIMES) * x + TIMES * y + together * 2 * TIMES * (1 - TIMES) * x * y


def shares(together: float, chance: float) -> np.ndarray:
    """S1 and ST of early and late, (time, measure, input): terms of variances (1 - t)^2, t^2 and (2 t (1 - t))^2."""
    own = np.stack([(1 - TIMES) ** 2, TIMES**2])
    both = (together * 2 * TIMES * (1 - TIMES)) ** 2
    return np.moveaxis(np.stack([own, own + both]) / (own.sum(0) + both + chance**2), 2, 0)


def values(name: str, size: int, together: float, chance: float = 0.0) -> np.ndarray:
    method = load(name)
    points = design(method.design, PAIR, size, 3).points
    y = course(points, together) + chance * np.random.default_rng(1).standard_normal((len(points), len(TIMES)))
    if method.over_time:
        return method.over_time(PAIR, points, y, size=size, seed=3)
    return method.analyse(PAIR, points, y, size=size, seed=3, resamples=0, second=False).value


@pytest.mark.parametrize(("name", "size"), [("chaos", 512), ("chaos-sparse", 512), ("chaos-quadrature", 2)])
def test_a_polynomial_meets_the_shares_of_its_own_course(name, size):
    found = values(name, size, together=1.0)
    np.testing.assert_allclose(found[:, :, :2], shares(1.0, 0.0), atol=1e-6)
    np.testing.assert_allclose(found[:, :, 2], 0.0, atol=1e-6)


@pytest.mark.parametrize(("name", "size"), [("chaos", 2048), ("chaos-sparse", 2048), ("sobol", 2048)])
def test_what_chance_adds_is_in_the_variance_at_every_time(name, size):
    # Of Sobol's rows each has its own chance, which its total indices would take for an input's.
    chance = 0.0 if name == "sobol" else 0.5
    found = values(name, size, 1.0, chance)
    # A share's standard error from n lives is below 1 / sqrt(n); three of them.
    np.testing.assert_allclose(found[:, :, :2], shares(1.0, chance), atol=3 / size**0.5)
    np.testing.assert_allclose(found[:, :, 2], 0.0, atol=3 / size**0.5)


def moved(share: float) -> float:
    """Borgonovo's delta of a normal input that explains a share of a normal output's variance, by its definition."""

    x, y = np.linspace(-6, 6, 401), np.linspace(-8, 8, 2001)
    inside = norm.pdf(y, x[:, None] * share**0.5, (1 - share) ** 0.5)
    distance = np.trapezoid(np.abs(inside - norm.pdf(y)) / 2, y, axis=1)
    return float(np.trapezoid(distance * norm.pdf(x), x))


def test_delta_meets_its_definition_at_every_time():
    found = values("delta", 4096, together=0.0)[:, 0]
    for time in (2, 4, 6):
        own = np.array([(1 - TIMES[time]) ** 2, TIMES[time] ** 2])
        for i, share in enumerate(own / own.sum()):
            # Kernels widen densities that are narrow by a part's width, and so bring them nearer to each other.
            assert found[time, i] == pytest.approx(moved(share), abs=0.05)
        assert found[time, 2] < 0.02
    assert found[0, 0] > found[2, 0] > found[4, 0] > found[6, 0]


def furthest(share: float, part: int) -> float:
    """Kolmogorov-Smirnov distance of a normal output where an input with a share of its variance is in one tenth."""
    y = np.linspace(-5, 5, 2001)
    u = (part + (np.arange(200) + 0.5) / 200) / 10
    inside = ndtr((y[:, None] - share**0.5 * ndtri(u)) / max((1 - share) ** 0.5, 1e-9)).mean(1)
    return float(np.abs(inside - ndtr(y)).max())


def test_pawn_meets_the_distances_of_normal_distributions_at_every_time():
    found = values("pawn", 4096, together=0.0)
    for time in (0, 2, 4):
        own = np.array([(1 - TIMES[time]) ** 2, TIMES[time] ** 2])
        for i, share in enumerate(own / own.sum()):
            if share == 0.0:
                continue
            known = [furthest(share, part) for part in range(10)]
            # From 410 rows a slice a distance is off by about 1 / sqrt(410) = 0.05, and never below 0.
            assert found[time, 0, i] == pytest.approx(np.median(known), abs=0.05)
            assert found[time, 1, i] == pytest.approx(np.max(known), abs=0.05)
    assert found[0, 0, 0] == pytest.approx(0.7, abs=0.01)  # tenths of the output itself: .9 .8 .7 .6 .5 .5 .6 .7 .8 .9
