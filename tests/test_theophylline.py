"""Theophylline against the Bateman function, dose by dose."""

import jax
import numpy as np
import pytest

from solvers.twins.theophylline import phi, twin


def bateman(times, doses, ka, k, volume):
    """Concentration [mg/L] by superposition of single doses {time: mg}, in extended precision."""
    ka, k = np.longdouble(ka), np.longdouble(k)
    total = np.zeros(len(times), np.longdouble)
    for start, dose in doses.items():
        since = np.asarray(times, np.longdouble) - start
        after = np.maximum(since, 0)
        total += np.where(since > 0, dose * ka / (volume * (ka - k)) * (np.exp(-k * after) - np.exp(-ka * after)), 0)
    return total.astype(float)


def course(values, doses, ticks, tick):
    p = twin.namespace(values)
    y, concentrations = twin.initial(p), []
    for number in range(ticks):
        y = twin.advance(y, p, twin.action(dose=doses.get(number * tick, 0.0)), number * tick, tick)
        concentrations.append(float(twin.observe(y, p, 0.0)["concentration"]))
    return np.array(concentrations)


@pytest.mark.parametrize("ka", [1.593, 0.2, 30.0, 0.01])
def test_repeated_doses_are_a_superposition_of_bateman_functions(ka):
    values = twin.typical() | {"absorption_rate": ka}
    doses = {0.0: 320.0, 12.0: 320.0, 24.0: 160.0, 30.0: 400.0}
    times = np.arange(1, 25) * 2.0
    k, volume = values["clearance"] / values["volume"], values["volume"] * values["weight"]
    expected = bateman(times, doses, ka, k, volume)
    np.testing.assert_allclose(course(values, doses, 24, 2.0), expected, rtol=1e-12, atol=1e-12)


def test_absorption_as_slow_as_elimination_is_no_singularity():
    values = twin.typical()
    k, volume = values["clearance"] / values["volume"], values["volume"] * values["weight"]
    # in the limit ka = k the Bateman function is dose k t exp(-k t) / V
    times = np.arange(1, 13) * 2.0
    limit = 320.0 * k * times * np.exp(-k * times) / volume
    for off in (0.0, 1e-13, -1e-13, 1e-9):
        concentrations = course(values | {"absorption_rate": k * (1 + off)}, {0.0: 320.0}, 12, 2.0)
        np.testing.assert_allclose(concentrations, limit, rtol=1e-8 if off == 1e-9 else 1e-12)


def test_phi_is_accurate_on_both_sides_of_its_switch():
    for x in (0.0, 1e-12, 0.99e-5, 1.01e-5, -0.99e-5, -1.01e-5, 1e-3, 1.0, 40.0):
        wide = np.longdouble(x)
        expected = float(-np.expm1(-wide) / wide) if x else 1.0
        assert float(phi(jax.numpy.asarray(x))) == pytest.approx(expected, rel=1e-15)


def test_half_life_is_that_of_the_fit():
    values = twin.typical()
    # R nlme: half-life 8.07 h
    assert np.log(2) / (values["clearance"] / values["volume"]) == pytest.approx(8.07, abs=0.01)
