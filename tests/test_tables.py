"""Machine code that reads tables, a row of numbers a patient, at a place of the time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solvers import explicit, lanes
from solvers.pairs import TSITOURAS

LENGTHS = (5, 40)


def slopes(t, y, p):
    """A drug that comes at the rate of the hour and leaves at a rate that changes linearly between hours."""
    scale, rates, leaving = p
    hour = jnp.floor(t)
    here = jnp.maximum(leaving[(hour - 40.0 * jnp.floor(hour / 40.0)).astype(int)], 0.1)
    after = leaving[jnp.minimum(hour + 1.0, 39.0).astype(int)]
    return (scale * rates[hour.astype(int)] - (here + (t - hour) * (after - here)) * y[0],)


def outputs(t, y, p):
    return y[0] * p[2][jnp.floor(t + 0.5).astype(int)], jnp.where(t > 2.0, y[0], 0.0)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIALTWIN_CACHE", str(tmp_path_factory.mktemp("cache")))
        program = lanes.program(slopes, outputs, ["drug"], ["scale"], [("rates", 5), ("leaving", 40)])
        made = lanes.library(program, TSITOURAS)
    assert made is not None, lanes.reason(program, TSITOURAS)
    return made


def patients(n):
    rng = np.random.default_rng(4)
    tables = [np.exp(0.3 * rng.standard_normal((length, n))) for length in LENGTHS]
    return np.ones((1, n)), np.exp(0.2 * rng.standard_normal((1, n))), tables


def by_jax(n, hours, count):
    y, p, tables = patients(n)

    def life(y, scale, rates, leaving):
        def hour(state, number):
            given = (scale, rates, leaving)
            after, _ = explicit.march(TSITOURAS, slopes, state, given, number, 1.0, count, 0, (1.0,))
            return after, (after[0], *outputs(number + 1.0, after, given))

        return jax.lax.scan(hour, (y,), jnp.arange(float(hours)))[1]

    return np.stack(jax.jit(jax.vmap(life))(y[0], p[0], tables[0].T, tables[1].T), 1)


@pytest.mark.parametrize("n", [1, 7, 8, 21])
def test_tables_are_read_as_by_jax(library, n):
    y, p, tables = patients(n)
    # Beyond the first table's end its last number is read, as by JAX.
    got = library.march(0.0, y, p, [6] * 7, [0] * 7, [1.0] * 7, (1.0,), None, [False] + [True] * 7, tables)
    want = by_jax(n, 7, 6)
    np.testing.assert_allclose(got.outputs, want[:, 1:].T, rtol=1e-13)
    np.testing.assert_allclose(got.y[0], want[:, 0, -1], rtol=1e-13)


def test_a_patient_has_the_same_bits_in_other_company_and_inside_of_a_program(library):
    y, p, tables = patients(21)
    mesh = [4] * 3, [0] * 3, [1.0] * 3, (1.0,)
    all_of_them = library.march(0.0, y, p, *mesh, tables=tables).y[0]
    some = slice(5, 14)
    few = library.march(0.0, y[:, some], p[:, some], *mesh, tables=[table[:, some] for table in tables]).y[0]
    assert np.array_equal(all_of_them[some], few)

    def one(y, scale, rates, leaving):
        for hour in range(3):
            (y,), _ = library.advance(float(hour), 1.0, 4.0, 0.0, (y,), (scale, rates, leaving), (1.0,))
        return y

    inside = jax.jit(jax.vmap(one))(y[0], p[0], tables[0].T, tables[1].T)
    assert np.array_equal(inside, all_of_them)


def test_a_place_that_differs_between_patients_is_refused():
    program = lanes.program(lambda t, y, p: (p[0][y[0].astype(int)],), lambda t, y, p: (), ["y"], [], [("row", 3)])
    assert lanes.library(program, TSITOURAS) is None
    assert "not the same for all patients" in lanes.reason(program, TSITOURAS)


def test_a_table_as_a_whole_is_refused():
    for slope in (lambda t, y, p: (jnp.sum(p[0]),), lambda t, y, p: (p[0][0] + (p[0] * 2.0)[1],)):
        program = lanes.program(slope, lambda t, y, p: (), ["y"], [], [("row", 3)])
        assert lanes.library(program, TSITOURAS) is None
        assert "shape (3,)" in lanes.reason(program, TSITOURAS)


def test_wrong_tables_are_refused(library):
    y, p, tables = patients(3)
    mesh = [1], [0], [1.0], (1.0,)
    with pytest.raises(ValueError, match="there are 1 tables; give 2"):
        library.march(0.0, y, p, *mesh, tables=tables[:1])
    with pytest.raises(ValueError, match=r"a table has the shape \(40, 2\); give \(40, 3\)"):
        library.march(0.0, y, p, *mesh, tables=[tables[0], tables[1][:, :2]])
    with pytest.raises(ValueError, match=r"table 'rates' has the shape \(4,\); give \(5,\)"):
        library.advance(0.0, 1.0, 1, 0, (1.0,), (1.0, np.ones(4), np.ones(40)), (1.0,))
