"""The contract of methods of sensitivity analysis: every file of analysis/sensitivity/methods keeps it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import sensitivity
from analysis.sensitivity.designs import design
from analysis.sensitivity.problem import Column, Problem

SIZES = {"saltelli": 256, "trajectories": 64, "curves": 257, "sample": 256, "quadrature": 3}
ABC = Problem(tuple(Column(name, name, "uniform") for name in "abc"))


@pytest.fixture(params=sensitivity.names())
def method(request):
    return sensitivity.load(request.param)


def line(u):
    return 4 * u[:, 0] + 2 * u[:, 1] + 0.1 * u[:, 2]


def wave(u):
    return np.sin(6 * u[:, 0]) + u[:, 1] ** 2 * u[:, 2]


def analysed(method, outputs, problem=ABC, seed=5, **options):
    """Indices of functions of the points, and of what `spoil` makes of their outputs."""
    size = options.pop("size", SIZES[method.design])
    spoil = options.pop("spoil", lambda y: y)
    points = design(method.design, problem, size, seed).points
    y = spoil(np.stack([output(points) for output in outputs], axis=1))
    return method.analyse(problem, points, y, size=size, seed=seed, **options)


def test_its_name_is_that_of_its_file(method):
    assert method.name in sensitivity.names()
    assert sensitivity.load(method.name) is method
    assert method.leading in method.measures
    assert method.title and method.source


def test_an_unknown_method_names_the_known_ones():
    with pytest.raises(ValueError, match=r"method 'sobel' is unknown; write one of: chaos, .*sobol"):
        sensitivity.load("sobel")


def test_every_array_has_the_promised_shape(method):
    found = analysed(method, [line, wave])
    shape = (2, len(method.measures), 3)
    assert found.measures == method.measures
    assert found.value.shape == found.lower.shape == found.upper.shape == shape
    assert found.by_size.shape == (len(found.sizes), *shape)
    assert (np.diff(found.sizes) > 0).all()
    np.testing.assert_allclose(found.by_size[-1], found.value, rtol=1e-12)
    assert np.isfinite(found.value).all() and (found.lower <= found.upper).all()
    assert len(found.verdicts) == 2 and all(verdict.text for verdict in found.verdicts)
    if found.second is not None:
        assert found.second.shape == (3, 2, 3, 3)
        np.testing.assert_array_equal(found.second, found.second.swapaxes(2, 3))
        assert np.isnan(found.second[:, :, range(3), range(3)]).all()
    assert found.dropped == 0 < found.used


def test_inputs_of_a_line_are_ranked_by_their_slopes(method):
    found = analysed(method, [line])
    leading = found.value[0, method.measures.index(method.leading)]
    assert leading[0] > leading[1] > leading[2]
    assert found.lower[0, 0, 0] < found.value[0, 0, 0] + 1e-9 and found.upper[0, 0, 0] > found.value[0, 0, 0] - 1e-9


def test_the_same_seed_gives_the_same_bits(method):
    one, two = (analysed(method, [line, wave]) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_output_that_is_constant_has_no_indices_and_harms_no_other(method):
    found = analysed(method, [line, lambda u: np.full(len(u), 7.3), wave])
    alone = analysed(method, [line, wave])
    assert np.isnan(found.value[1]).all() and np.isnan(found.upper[1]).all()
    assert not found.verdicts[1].converged
    assert "the output is the same for all" in found.verdicts[1].text
    np.testing.assert_array_equal(found.value[[0, 2]], alone.value)
    np.testing.assert_array_equal(found.upper[[0, 2]], alone.upper)


def test_failed_lives_are_counted_and_change_little(method):
    def spoil(y):
        y[[3, 70], 0] = np.nan
        y[30, 0] = np.inf
        return y

    whole, found = analysed(method, [line, wave]), analysed(method, [line, wave], spoil=spoil)
    assert found.dropped >= 3
    assert found.used == whole.used - found.dropped
    assert found.handled
    lead = method.measures.index(method.leading)
    scale = whole.value[0, lead].max()
    np.testing.assert_allclose(found.value[0, lead] / scale, whole.value[0, lead] / scale, atol=0.1)
    np.testing.assert_array_equal(found.value[1], whole.value[1])


def test_an_output_that_nobody_lived_to_show_has_no_indices(method):
    found = analysed(method, [line, wave], spoil=lambda y: y * [1.0, np.nan])
    assert np.isfinite(found.value[0]).all() and np.isnan(found.value[1]).all()
    assert not found.verdicts[1].converged


def test_without_resamples_there_are_values_and_no_intervals(method):
    found, full = analysed(method, [wave], resamples=0, second=False), analysed(method, [wave])
    np.testing.assert_array_equal(found.value, full.value)
    assert np.isnan(found.lower).all() and np.isnan(found.upper).all()
    assert found.second is None


def test_values_over_time_are_those_of_each_time_alone(method):
    if method.over_time is None:
        return  # what analyses each output does so for times
    size = SIZES[method.design]
    points = design(method.design, ABC, size, 5).points
    y = np.stack([np.full(size, 2.0), wave(points), wave(points) + 3 * line(points), line(points)], axis=1)
    y[7] = np.nan
    y[9, 2:] = np.nan
    found = method.over_time(ABC, points, y, size=size, seed=5)
    alone = method.analyse(ABC, points, y, size=size, seed=5, resamples=0, second=False).value
    assert found.shape == alone.shape == (4, len(method.measures), 3)
    assert np.isnan(found[0]).all() and np.isfinite(found[1:]).all()
    # One set of terms for all times holds terms that some of them could do without.
    np.testing.assert_allclose(found, alone, atol=0.02 if method.name == "chaos-sparse" else 1e-9)


def test_points_of_another_size_are_refused(method):
    points = design(method.design, ABC, SIZES[method.design], 5).points[:-1]
    with pytest.raises(ValueError, match=r"the design has \d+ rows of 3 columns"):
        method.analyse(ABC, points, points[:, :1], size=SIZES[method.design], seed=5)


def test_an_input_of_two_columns_has_one_value_or_is_refused(method):
    pair = Problem((Column("a", "ab", "uniform"), Column("b", "ab", "uniform"), Column("c", "c", "uniform")))
    if not method.groups:
        with pytest.raises(ValueError, match="input 'ab' has 2 of them"):
            method.analyse(pair, np.full((256, 3), 0.5), np.zeros((256, 1)), size=256, seed=0)
        return
    found = analysed(method, [line], pair)
    lead = found.value[0, method.measures.index(method.leading)]
    assert found.value.shape == (1, len(method.measures), 2)
    assert lead[0] > 5 * abs(lead[1])


@settings(max_examples=8, deadline=None)
@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10), order=st.permutations(range(3)))
@pytest.mark.parametrize("name", ["sobol", "chaos", "efast", "pawn", "delta"])
def test_indices_do_not_hang_on_units_nor_on_the_order_of_outputs(name, scale, shift, order):
    method = sensitivity.load(name)
    outputs = [line, wave, lambda u: line(u) * wave(u)]
    plain = analysed(method, outputs, resamples=20)

    def spoil(y):
        return (y * scale + shift * scale)[:, order]

    found = analysed(method, outputs, resamples=20, spoil=spoil)
    np.testing.assert_allclose(found.value, plain.value[list(order)], atol=1e-6)
    np.testing.assert_allclose(found.upper, plain.upper[list(order)], atol=1e-6)
