import numpy as np

import mechanet as mn


def test_the_whole_path_learns(place, rng):
    """Two overlapping clouds: the network finds the line between them, whatever computes it."""
    x = rng.normal(size=(200, 2)).astype("float32") + np.repeat([[-2.0, 0.0], [2.0, 0.0]], 100, axis=0)
    y = np.repeat([0, 1], 100)
    net = mn.Network([mn.Dense(8), mn.ReLU(), mn.Dense(2)], input_shape=(2,), seed=1, **place.options)
    training = mn.Training(net, place.asarray(x, "float32"), y, optimizer=mn.Adam(0.01), batch_size=32)
    epochs = list(training.epochs(10))
    assert [epoch.number for epoch in epochs] == list(range(1, 11))
    assert epochs[-1].loss < epochs[0].loss
    assert net.evaluate(x, y)["accuracy"] > 0.95
