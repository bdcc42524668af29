"""Dropout, seen from outside: by what it leaves in a training step, and in none but that."""

import numpy as np
import pytest

import mechanet as mn
from mechanet.layers import Pass


def test_dropout_drops_a_share_and_scales_the_rest(place):
    """One row x, W = 0 and a target of -1: Z = 0, dZ = 1 and dW = A, so a step of α = 1 leaves W = -A.

    A is 0 for a quarter of the entries and x / (1 - ¼) for the others, so that its mean stays that of x. Of 100,000
    entries the share is within 0.005 and the mean within 0.01: each 3.6 standard deviations.
    """
    x = np.linspace(1.0, 2.0, 100_000, dtype="float32")
    layers = [mn.Dropout(0.25), mn.Dense(1, "zeros", bias=False)]
    net = mn.Network(layers, x.shape, "squared_error", **place.options)
    list(mn.Training(net, x[None], [-1.0], optimizer=mn.SGD(1.0)).epochs(1))
    A = -net.named_arrays()["layers.1.W"][:, 0]
    kept = A != 0.0
    np.testing.assert_allclose(A[kept], x[kept] / 0.75, rtol=1e-6)
    assert abs(np.mean(~kept) - 0.25) < 0.005
    assert abs(np.mean(A) - 1.5) < 0.01
    assert abs(np.mean(kept[:-1] & kept[1:]) - 0.75**2) < 0.01  # neighbours are dropped independently


def test_what_is_dropped_passes_no_gradient(place):
    """b = 1 before the dropout, W = 1 behind it: both see the same mask, dW = b ∘ M and db = W ∘ M, up to dZ."""
    ones = mn.initializers.Uniform(1, 1)
    layers = [mn.Dense(1000, "zeros", ones), mn.Dropout(0.5), mn.Dense(1, ones, bias=False)]
    net = mn.Network(layers, (1,), "squared_error", "float64", **place.options)
    list(mn.Training(net, [[0.0]], [0.0], optimizer=mn.SGD(1e-3)).epochs(1))
    end = net.named_arrays()
    moved = 1.0 - end["layers.0.b"]
    assert 400 < np.count_nonzero(moved) < 600
    np.testing.assert_allclose(moved, 1.0 - end["layers.2.W"][:, 0], rtol=1e-12)


@pytest.mark.parametrize("measure", ["a training", "an evaluation", "a prediction"])
def test_where_nothing_is_dropped_the_layer_is_not_there(place, measure, rng):
    """A rate of 0 in training, and any rate outside of it, against a layer in its place that does nothing."""
    x, y = rng.normal(size=(30, 4)), rng.integers(0, 3, 30)
    found = []
    for middle in (mn.Scale(1.0), mn.Dropout(0.0 if measure == "a training" else 0.5)):
        layers = [mn.Dense(16), mn.ReLU(), middle, mn.Dense(3)]
        net = mn.Network(layers, (4,), dtype="float64", seed=2, **place.options)
        if measure == "a training":
            list(mn.Training(net, x, y, batch_size=8).epochs(2))
        found.append(list(net.evaluate(x, y).values()) if measure == "an evaluation" else net.forward(x))
    np.testing.assert_array_equal(*found)


def test_a_mask_is_made_of_the_numbers_of_philox():
    """The seed is the key; step, epoch and the layer's number are the counter's; kept is what is at least the rate."""
    X = np.linspace(1.0, 2.0, 20_000, dtype="float32").reshape(20, 1000)
    drop = mn.Network([mn.Scale(1.0), mn.Dropout(0.25), mn.Dense(1)], (1000,)).layers[1]
    A, M = drop.forward(X, Pass(seed=5, epoch=2, step=3))
    kept = np.random.Generator(np.random.Philox(key=5, counter=[0, 3, 2, 1])).random(X.shape, dtype="float32") >= 0.25
    np.testing.assert_allclose(A, np.where(kept, X / 0.75, 0.0), rtol=1e-6)
    np.testing.assert_allclose(drop.backward(np.full_like(X, 3.0), M), np.where(kept, 4.0, 0.0), rtol=1e-6)
    last, _ = drop.forward(X[17:], Pass(seed=5, epoch=2, step=3, first=17))
    np.testing.assert_array_equal(last, A[17:])
