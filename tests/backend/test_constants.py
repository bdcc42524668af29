"""Constant vectors: right in every length, one array of each type, and safe where threads meet."""

import numpy as np
import pytest

from mechanet.backend import constants


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "expected"), [("zeros", [0, 0, 0]), ("ones", [1, 1, 1]), ("counting", [0, 1, 2])])
def test_every_length_is_right(name, expected, dtype):
    constant = constants.Constant(getattr(constants, name).make)
    for length in (2, 3, 1, 3):
        vector = constant(length, np.dtype(dtype))
        assert vector.dtype == dtype
        assert vector.tolist() == expected[:length]


def test_one_array_of_a_type_is_kept_and_nobody_writes_into_it():
    constant = constants.Constant(np.ones)
    views = [constant(length, np.dtype("float32")) for length in (1000, 10, 1000)]
    assert all(np.shares_memory(view, views[0]) for view in views)
    assert [len(vector) for vector in constant.vectors.values()] == [1000]
    with pytest.raises(ValueError, match="read-only"):
        views[1][0] = 2.0


def test_a_thread_that_made_a_shorter_one_meanwhile_does_no_harm():
    """While one thread makes a vector of 3, another asks for 5; the shorter one is kept last."""

    def make(length, dtype):
        if length == 3:
            assert len(constant(5, dtype)) == 5
        return np.zeros(length, dtype)

    constant = constants.Constant(make)
    assert len(constant(3, np.dtype("float64"))) == 3
    assert len(constant(5, np.dtype("float64"))) == 5
