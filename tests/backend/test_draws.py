"""Draws against NumPy's own generator; and any part of them against the whole."""

import numpy as np
import pytest

from mechanet.backend import uniform


@pytest.mark.parametrize("seed", [0, 5, 2**63 + 11, 2**127 + 3])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (3, 4, 2), (64, 33)])
def test_the_numbers_are_those_of_numpys_philox(seed, shape):
    philox = np.random.Philox(key=seed, counter=[0, 1, 2, 3])
    expected = np.random.Generator(philox).random(shape, dtype="float32")
    found = uniform(seed, (1, 2, 3), 0, shape)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("width", [1, 2, 3, 7, 8, 33])
def test_a_row_is_the_same_whichever_part_it_is_drawn_in(width):
    whole = uniform(9, (4, 1, 0), 0, (40, width))
    for first, rows in ((0, 1), (1, 1), (3, 7), (13, 27), (39, 1)):
        np.testing.assert_array_equal(uniform(9, (4, 1, 0), first, (rows, width)), whole[first : first + rows])


def test_other_seeds_and_streams_give_other_numbers():
    found = [uniform(seed, stream, 0, (100,)) for seed in (0, 1) for stream in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))]
    found += [uniform(0, (0, 0, 0), 100, (100,))]
    assert all(0.0 <= draws.min() < draws.max() < 1.0 for draws in found)
    close = [np.abs(np.corrcoef(a, b)[0, 1]) for i, a in enumerate(found) for b in found[:i]]
    assert max(close) < 0.35  # of 36 pairs of independent draws of 100; 0.35 is 3.5 standard deviations
