"""An optimizer that is set while a training runs takes effect wholly, and the state can be saved and resumed."""

import numpy as np
import pytest

import mechanet as mn


def started(**options):
    x, y = np.random.default_rng(0).normal(size=(24, 3)), np.arange(24) % 2
    net = mn.Network([mn.Dense(2)], (3,), dtype="float64", seed=1)
    training = mn.Training(net, x, y, batch_size=8, shuffle=False, **options)
    list(training.epochs(1))
    return training, x, y


@pytest.mark.parametrize(
    "optimizer",
    [mn.SGD(0.2, momentum=0.9), mn.Adam(0.02, weight_decay=0.1), mn.RMSProp(0.01), mn.AdamW(0.01), mn.SGD(0.1, weight_decay=0.3)],
    ids=repr,
)  # fmt: skip
def test_it_is_the_one_that_steps_with_fresh_vectors(optimizer, tmp_path):
    """After SGD(0.1), the rest is what a new training of the other optimizer makes of the same θ, and so is t = 1."""
    training, x, y = started(optimizer=mn.SGD(0.1))
    theta = training.network.parameters.copy()
    training.optimizer = optimizer
    list(training.epochs(1))

    fresh = mn.Network([mn.Dense(2)], (3,), dtype="float64")
    fresh.set_parameters(theta)
    list(mn.Training(fresh, x, y, optimizer=optimizer, batch_size=8, shuffle=False).epochs(1))
    np.testing.assert_array_equal(training.network.parameters, fresh.parameters)

    training.save(tmp_path / "state")
    again = mn.Training.resume(tmp_path / "state", x, y)
    assert again.optimizer == optimizer
    for run in (training, again):
        list(run.epochs(2))
    np.testing.assert_array_equal(again.network.parameters, training.network.parameters)


def test_another_rate_alone_goes_on_with_the_vectors():
    """Slopes 1 and 0.9: u = 1, then 0.9 · 1 + 0.9 = 1.8; with α = 0.1 and then 0.01 θ falls by 0.1 and 0.018."""
    net = mn.Network([mn.Dense(1, "zeros", bias=False)], (1,), "squared_error", dtype="float64")
    training = mn.Training(net, [[1.0]], [-1.0], optimizer=mn.SGD(0.1, momentum=0.9), batch_size=1)
    list(training.epochs(1))
    assert net.parameters[0] == pytest.approx(-0.1)  # dZ = 0 - (-1)
    training.optimizer = mn.SGD(0.01, momentum=0.9)
    list(training.epochs(1))
    assert net.parameters[0] == pytest.approx(-0.118)
