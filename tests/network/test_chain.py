"""The chain: where a vector holds what, who owns which array, what is tracked, and how much is worked on at a time."""

from dataclasses import dataclass

import numpy as np
import pytest

import mechanet as mn
from mechanet.layers import Layer, Statistic


@dataclass
class Centre(Layer):
    """A = X - mean of the batch in training, X - running mean in prediction."""

    def statistics_for(self, input_shape):
        return {"mean": Statistic(input_shape, first=0.5, share=0.25)}

    def forward(self, X, training=None):
        mean = self.mean if training is None else self.xp.mean(X, axis=0)
        return X - mean, (mean, training is not None)

    def backward(self, dA, cache, input_gradient=True):
        mean, trains = cache
        self.observed_mean[...] = mean
        return dA - self.xp.mean(dA, axis=0) if trains else dA


def network(**options):
    return mn.Network([mn.Dense(3), mn.ReLU(), mn.Dense(2)], (2,), dtype="float64", **options)


def test_views_name_the_parts_of_any_vector(place):
    """θ of 2-3-2 holds W (2, 3), b (3,), W (3, 2), b (2,): 6 + 3 + 6 + 2 = 17 numbers."""
    net = network(**place.options)
    host = net.chain.views(np.arange(17.0))
    assert [{name: view.shape for name, view in named.items()} for named in host] == [
        {"W": (2, 3), "b": (3,)}, {}, {"W": (3, 2), "b": (2,)}
    ]  # fmt: skip
    assert host[0]["W"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert host[2]["b"].tolist() == [15.0, 16.0]
    with net.backend.current():
        views = net.chain.views(net.parameters)
        views[0]["b"][...] = 7.0
        assert place.to_host(net.parameters)[6:9].tolist() == [7.0, 7.0, 7.0]
        assert place.to_host(net.layers[0].b).tolist() == [7.0, 7.0, 7.0]


def test_a_number_for_every_parameter(place):
    net = network(**place.options)
    with net.backend.current():
        decays = place.to_host(net.chain.spread(lambda parameter: 0.5 if parameter.decays else 0.0))
    assert decays.tolist() == [0.5] * 6 + [0.0] * 3 + [0.5] * 6 + [0.0] * 2


def test_parameters_are_written_into_and_never_replaced():
    net = network()
    theta = np.arange(17.0)
    with pytest.raises(AttributeError) as caught:
        net.parameters = theta
    assert str(caught.value) == (
        "net.parameters is one vector that the layers see: it is written into, not replaced. "
        "Use net.set_parameters(values) or net.parameters[...] = values."
    )
    with pytest.raises(AttributeError, match=r"Use net\.gradient\[\.\.\.\] = values\."):
        net.gradient = theta
    for name in ("layers", "loss", "chain", "dtype", "device", "xp", "backend", "input_shape", "seed"):
        with pytest.raises(AttributeError):
            setattr(net, name, getattr(net, name))
    net.set_parameters(theta)
    assert net.layers[2].b.tolist() == [15.0, 16.0]
    net.parameters += 1.0  # in its place
    assert net.layers[2].b.tolist() == [16.0, 17.0]
    net.parameters[...] = 0.0
    assert not net.forward([[1.0, 2.0]]).any()


def test_set_parameters_takes_any_library_and_refuses_another_shape(place):
    net = network(**place.options)
    net.set_parameters(list(range(17)))
    np.testing.assert_array_equal(place.to_host(net.layers[0].b), [6.0, 7.0, 8.0])
    net.set_parameters(place.asarray(np.ones(17), "float32"))
    np.testing.assert_array_equal(place.to_host(net.parameters), np.ones(17))
    with pytest.raises(ValueError, match=r"expected theta of shape \(17,\)\. Received: \(16,\)\."):
        net.set_parameters(np.ones(16))


@pytest.mark.parametrize("last", [[mn.ReLU()], [mn.ReLU(), mn.Flatten()], [mn.Flatten()], []])
def test_backward_leaves_its_dz_alone(place, last, rng):
    net = mn.Network([mn.Dense(4), mn.ReLU(), mn.Dense(3), *last], (2,), "squared_error", **place.options)
    with net.backend.current():
        _, caches = net.chain.forward(place.asarray(rng.standard_normal((5, 2)), "float32"))
        given = rng.standard_normal((5, 3)).astype("float32")
        dZ = net.backend.asarray(given.copy())
        net.chain.backward(dZ, caches)
        np.testing.assert_array_equal(place.to_host(dZ), given)
        first = place.to_host(net.gradient).copy()
        net.chain.backward(dZ, caches)  # and so it can be taken twice
        np.testing.assert_array_equal(place.to_host(net.gradient), first)


def test_a_statistic_moves_towards_what_each_batch_showed(place):
    """Batches [0, 4], [8, 0] of one number: means 2 and 4; from 0.5 by a quarter: 0.875, then 1.65625."""
    net = mn.Network([Centre(), mn.Dense(1)], (1,), "squared_error", dtype="float64", **place.options)
    seen = []
    x, y = [[0.0], [4.0], [8.0], [0.0]], [0.0, 0.0, 0.0, 0.0]
    training = mn.Training(net, x, y, batch_size=2, shuffle=False)
    for _ in training.epochs(1, on_step=lambda t: seen.append(float(net.statistics[0]))):
        pass
    assert seen == [0.875, 1.65625]
    W, b = (float(place.to_host(view).ravel()[0]) for view in (net.layers[1].W, net.layers[1].b))
    np.testing.assert_allclose(place.to_host(net.forward(place.asarray([[3.0]], "float64"))),
                               [[(3.0 - 1.65625) * W + b]])  # fmt: skip


def test_statistics_of_blocks_add_up_by_the_weights_of_their_rows():
    """Rows 1, 2 | 3 with weights 1, 1, 2: the blocks' means 1.5 and 3, of weight ½ each: 2.25; ¾·0.5 + ¼·2.25."""
    net = mn.Network([Centre(), mn.Dense(1)], (1,), "squared_error", dtype="float64")
    net.chain.block_rows = 2
    training = mn.Training(net, [[1.0], [2.0], [3.0]], [0.0] * 3, batch_size=None, sample_weight=[1, 1, 2])
    list(training.epochs(1))
    np.testing.assert_allclose(net.statistics, [0.9375])


def test_statistics_travel_with_the_parameters(tmp_path):
    import copy
    import pickle

    net = mn.Network([mn.Dense(2), Centre(), mn.Dense(2)], (3,), seed=4)
    x, y = np.random.default_rng(0).standard_normal((40, 3)), np.arange(40) % 2
    list(mn.Training(net, x, y).epochs(3))
    assert not np.array_equal(net.statistics, [0.5, 0.5])
    for other in (net.to("cpu"), net.to("cpu", dtype="float64"), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_allclose(other.statistics, net.statistics)
        np.testing.assert_allclose(other.forward(x), net.forward(x), rtol=1e-5, atol=1e-6)
    assert {"layers.1.mean", "layers.0.W"} <= set(net.named_arrays())


def test_early_stopping_and_divergence_put_statistics_back():
    x, y = np.random.default_rng(0).standard_normal((40, 1)) * 3 + 5, np.arange(40) % 2
    net = mn.Network([Centre(), mn.Dense(2)], (1,), seed=4)
    rule = mn.EarlyStopping(patience=1, min_delta=1e9, monitor="loss")  # the first epoch stays the best
    training = mn.Training(net, x, y, early_stopping=rule)
    after = [net.statistics.copy() for _ in training.epochs(5)]
    assert len(after) == 2
    assert not np.array_equal(*after)
    np.testing.assert_array_equal(net.statistics, after[0])

    net = mn.Network([Centre(), mn.Dense(1)], (1,), "squared_error")
    before = net.statistics.copy()
    with pytest.raises(mn.DivergenceError):
        list(mn.Training(net, x, y, optimizer=mn.SGD(1e30), batch_size=4).epochs(3))
    np.testing.assert_array_equal(net.statistics, before)


@dataclass
class Tall(Layer):
    """An output as large as a convolution's, and the work of one."""

    def output_shape_for(self, input_shape):
        return (28, 28, 32)

    def work(self):
        return 2.0 * 9 * 32 * 28 * 28


def test_a_block_of_large_outputs_takes_what_is_meant():
    """28 · 28 · (1 + 32) + 10 float32 are 103,528 bytes a row: 40 in 4 MiB, 60 in 6; a chain of Dense has 512."""
    tall = mn.Network([mn.Reshape((28, 28, 1)), Tall(), mn.Flatten(), mn.Dense(10)], (784,))
    assert tall.chain.block_rows == 60
    assert tall.chain.work == max(2.0 * 9 * 32 * 28 * 28, 2.0 * 28 * 28 * 32 * 10)
    wide = mn.Network([mn.Dense(512), mn.ReLU(), mn.Dense(512), mn.ReLU(), mn.Dense(10)], (784,))
    assert wide.chain.block_rows == 512
    assert wide.chain.work == 2.0 * 784 * 512
