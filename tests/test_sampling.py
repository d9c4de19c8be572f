import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populations import sampling

DESIGNS = tuple(sampling.DESIGNS)


@pytest.mark.parametrize("design", DESIGNS)
def test_points_lie_strictly_inside_the_cube(design):
    points = sampling.points(design, 7, 0, 20)
    assert points.shape == (1024, 20)
    assert points.min() > 0.0
    assert points.max() < 1.0


@pytest.mark.parametrize("design", DESIGNS)
@settings(derandomize=True, deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**40), panel=st.integers(0, 10**6), dimensions=st.integers(1, 12))
def test_a_panel_is_the_same_however_often_it_is_made(design, seed, panel, dimensions):
    first = sampling.points(design, seed, panel, dimensions).copy()
    sampling.points.cache_clear()
    np.testing.assert_array_equal(sampling.points(design, seed, panel, dimensions), first)


@pytest.mark.parametrize("design", DESIGNS)
def test_errors_of_panels_and_of_seeds_are_independent(design):
    def share(seed, panel):
        points = sampling.points(design, seed, panel, 2)
        return np.mean(points[:, 0] * points[:, 1] > 0.3)

    shares = np.array([[share(seed, panel) for panel in range(200)] for seed in (1, 2)])
    # 200 independent pairs: a correlation of 0.07 on average, of 0.21 once in 400 times.
    assert abs(np.corrcoef(shares[0], shares[1])[0, 1]) < 0.21
    assert abs(np.corrcoef(shares[0, :-1], shares[0, 1:])[0, 1]) < 0.21
    assert shares.std() > 0.0


@pytest.mark.parametrize("design", ["latin-hypercube", "sobol"])
def test_a_panel_of_a_balanced_design_has_one_point_in_each_1024th(design):
    points = sampling.points(design, 3, 5, 6)
    for column in points.T:
        np.testing.assert_array_equal(np.sort(np.floor(column * 1024)), np.arange(1024))


def test_purposes_have_streams_of_their_own():
    first = [sampling.generator(1, purpose, 0).random() for purpose in sampling.Purpose]
    assert len(set(first)) == len(sampling.Purpose)


def test_points_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        sampling.points("sobol", 1, 0, 2)[0, 0] = 0.5


def test_unknown_sampling_names_the_known_ones():
    with pytest.raises(ValueError, match="sampling 'sobool' is not known; write one of: random, latin-hypercube"):
        sampling.points("sobool", 1, 0, 2)


@pytest.mark.parametrize("seed", [-1, 1.5, True])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    with pytest.raises(ValueError, match="is no whole number from 0"):
        sampling.check("sobol", seed)
