"""Layers that give rows another shape."""

import numpy as np
import pytest

import mechanet as mn


def test_gradients_have_the_shape_that_reshape_was_given():
    layers = [mn.Dense(6), mn.Reshape((3, 2)), mn.Tanh(), mn.Reshape((2, 3)), mn.ReLU(), mn.Flatten(), mn.Dense(2)]
    rng = np.random.default_rng(0)
    net = mn.Network(layers, (4,), "squared_error")
    assert mn.check_gradients(net, rng.normal(size=(5, 4)), rng.normal(size=(5, 2)))


@pytest.mark.parametrize(
    ("shape", "error", "text"),
    [
        ("ab", TypeError, "shape expects a tuple of integers such as (784,). Received: shape='ab'"),
        ((2, 0), ValueError, "shape[1] expects an integer of at least 1. Received: shape[1]=0."),
    ],
)
def test_what_is_no_shape(shape, error, text):
    with pytest.raises(error) as caught:
        mn.Reshape(shape)
    assert text in str(caught.value)
