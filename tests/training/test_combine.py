"""The hook between gradient and update: parts of a batch that are worked on elsewhere."""

import numpy as np
import pytest

import mechanet as mn


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_two_half_batches_are_the_whole_batch(place, loss, rng):
    """The hook adds the other half's dθ, loss and correct predictions, each half counting for a half."""
    x = rng.standard_normal((64, 5))
    y = rng.integers(0, 3, 64) if loss == "cross_entropy" else rng.standard_normal((64, 3))

    def network():
        return mn.Network([mn.Dense(8), mn.Tanh(), mn.Dense(3)], (5,), loss, "float64", seed=1, **place.options)

    whole = mn.Training(network(), x, y, optimizer=mn.Adam(0.01), batch_size=16, shuffle=False)
    here = mn.Training(network(), x[0::2], y[0::2], optimizer=mn.Adam(0.01), batch_size=8, shuffle=False)
    other = network()

    def combine(sums):
        other.set_parameters(here.network.parameters)
        rows = slice(1 + 16 * here.step, 16 * (here.step + 1), 2)
        value = other.loss_and_gradient(x[rows], y[rows])
        p = other.parameters.shape[0]
        sums[:p] = 0.5 * (sums[:p] + other.gradient)
        sums[p] = 0.5 * (sums[p] + value)
        if loss == "cross_entropy":
            sums[p + 1] += round(8 * other.evaluate(x[rows], y[rows])["accuracy"])

    here.combine = combine
    for a, b in zip(whole.epochs(3), here.epochs(3), strict=True):
        np.testing.assert_allclose(b.loss, a.loss, rtol=1e-12)
        if loss == "cross_entropy":
            # of 32 rows here, the correct predictions of all 64 are told
            assert round(32 * b.accuracy) == round(64 * a.accuracy)
    np.testing.assert_allclose(
        place.to_host(here.network.parameters), place.to_host(whole.network.parameters), rtol=0, atol=1e-12
    )


def test_without_a_hook_nothing_is_combined(rng):
    training = mn.Training(mn.Network([mn.Dense(2)], (3,)), rng.random((8, 3)), np.arange(8) % 2)
    assert training.combine is None
