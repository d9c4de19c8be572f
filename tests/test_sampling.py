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
def test_panels_and_seeds_are_independent(design):
    panels = [sampling.points(design, seed, panel, 3) for seed in (1, 2) for panel in (0, 1)]
    columns = np.concatenate(panels, axis=1)
    within = np.kron(np.eye(4, dtype=bool), np.ones((3, 3), dtype=bool))
    # 1,024 independent pairs correlate by 1/32 on average; 5 of these among 54 pairs would be a wonder.
    assert np.abs(np.corrcoef(columns.T)[~within]).max() < 5 / 32


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
