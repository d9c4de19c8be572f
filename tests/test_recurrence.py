"""Machine code of recurrences against JAX, and against itself in other company."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solvers import lanes

STATES = ("a", "b", "angle", "kept", "least")


def step(i, y, p):
    """Two states that change places, one that turns, one that never changes, one that remembers."""
    a, b, angle, kept, least = y
    rate, size = p
    late = i > 3.0
    quarter = jnp.clip(angle - kept, -0.5 * jnp.pi, 0.5 * jnp.pi)
    near = 0.1 * jnp.sin(jnp.maximum(jnp.minimum(quarter, 1.0), -1.0))
    angle = angle + rate * jnp.where(late & (size > 0.5), near, jnp.floor(4.0 * jnp.sin(i)) * 0.01)
    return b, a - 0.5 * b * size + jnp.log1p(jnp.exp(-angle)), angle, kept, jnp.minimum(least, jnp.maximum(b, -3.0))


def scanned(y, p, steps):
    return jax.lax.fori_loop(0, steps, lambda i, y: step(jnp.asarray(i, float), y, p), y)


def made():
    found = lanes.recurrence(lanes.program(step, lambda t, y, p: (), STATES, ("rate", "size")))
    assert found is not None, "a compiler is there and refuses it"
    return found


def patients(n):
    rng = np.random.default_rng(2)
    return tuple(rng.standard_normal((5, n))), tuple(rng.random((2, n)))


def turned(y, p, go, steps=25):
    code = made()
    return np.asarray(jax.jit(jax.vmap(lambda y, p, n: code.turns(jnp.stack(y), jnp.stack(p), n)))(y, p, steps * go)).T


def test_many_steps_equal_jax():
    y, p = patients(21)
    expected = np.stack(jax.vmap(lambda y, p: scanned(y, p, 25))(y, p))
    assert np.ptp(expected, axis=1).min() > 0.1
    np.testing.assert_allclose(turned(y, p, np.ones(21)), expected, rtol=1e-12, atol=1e-13)


def test_no_step_changes_nothing():
    y, p = patients(9)
    np.testing.assert_array_equal(turned(y, p, np.ones(9), steps=0), np.stack(y))


def test_who_does_not_go_keeps_his_state():
    y, p = patients(30)
    go = np.arange(30) % 3 == 1
    whole, some = turned(y, p, np.ones(30)), turned(y, p, go)
    np.testing.assert_array_equal(some[:, go], whole[:, go])
    np.testing.assert_array_equal(some[:, ~go], np.stack(y)[:, ~go])


def test_everyone_takes_as_many_steps_as_are_his():
    y, p = patients(30)
    own = np.array([25, 0, 7, 50, 1])[np.arange(30) % 5]
    found = turned(y, p, own, steps=1)
    for steps in np.unique(own):
        np.testing.assert_array_equal(found[:, own == steps], turned(y, p, np.ones(30), steps)[:, own == steps])


def test_a_patient_has_the_same_bits_in_any_company():
    y, p = patients(40)
    whole = turned(y, p, np.ones(40))
    order = np.random.default_rng(3).permutation(40)[:13]
    some = turned(tuple(v[order] for v in y), tuple(v[order] for v in p), np.ones(13))
    np.testing.assert_array_equal(some, whole[:, order])
    alone = made().turns(*(np.stack(each)[:, 7] for each in (y, p)), 25)
    np.testing.assert_array_equal(alone, whole[:, 7])


def test_the_derivative_is_that_of_jax():
    y, p = (np.stack(each)[:, 0] for each in patients(1))
    code = made()

    def slow(y, p, steps=10):
        turned = jnp.stack(scanned(tuple(y), tuple(p), 10))
        return jnp.where(steps == 10, turned, y)

    def angle(by, rate):
        return by(y, jnp.stack([rate, p[1]]))[2]

    def fast(y, p):
        return code.turns(y, p, 10, slow)

    got, expected = (jax.jvp(lambda rate, by=by: angle(by, rate), (p[0],), (1.0,)) for by in (fast, slow))
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert expected[1] != 0.0
    still = jax.jvp(lambda rate: angle(lambda y, p: code.turns(y, p, 0, slow), rate), (1.0,), (1.0,))
    np.testing.assert_array_equal(still, (y[2], 0.0))


def test_what_has_no_c_gives_none():
    program = lanes.program(lambda i, y, p: (jax.scipy.special.gammaln(y[0]),), lambda t, y, p: (), ("y",), ())
    assert lanes.recurrence(program) is None


def test_outputs_are_refused():
    program = lanes.program(lambda i, y, p: y, lambda t, y, p: y, ("y",), ())
    with pytest.raises(ValueError, match="states and parameters alone"):
        lanes.recurrence(program)


def test_a_wrong_number_of_states_is_refused():
    with pytest.raises(ValueError, match=r"shapes \(1,\) and \(2,\); give \(\(5,\), \(2,\)\)"):
        made().turns([0.0], [0.0, 0.0], 3)
