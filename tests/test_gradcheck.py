"""The gradient check: every kernel and whole networks pass it, and whatever is wrong by a thousandth fails."""

import numpy as np
import pytest

import mechanet as mn
from mechanet.gradcheck import segments
from mechanet.layers import ACTIVATIONS, LAYERS
from mechanet.losses import LOSSES, SquaredError

EVERY_LAYER = {kind.__name__: [kind()] for kind in ACTIVATIONS.values()} | {
    "Dense": [mn.Dense(4)], "LeakyReLU": [mn.LeakyReLU(0.1)], "ELU": [mn.ELU(0.5)], "Dropout": [mn.Dropout(0.4)],
    "Flatten": [mn.Reshape((2, 3)), mn.Flatten()], "Reshape": [mn.Reshape((3, 2)), mn.Flatten()],
    "Scale": [mn.Scale(0.3)],
}  # fmt: skip


def batch(loss, outputs, rng, m=7):
    targets = {"cross_entropy": rng.integers(0, outputs, m), "binary_cross_entropy": rng.random((m, outputs)),
               "poisson": rng.poisson(2.0, (m, outputs))}  # fmt: skip
    return rng.normal(size=(m, 5)), targets.get(loss, rng.normal(size=(m, outputs)))


def test_every_layer_is_checked():
    missing = set(LAYERS) - set(EVERY_LAYER)
    assert not missing, f"write a run of layers with {missing} into EVERY_LAYER"


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", EVERY_LAYER)
def test_layers_and_losses(place, name, loss, rng):
    net = mn.Network([mn.Dense(6), *EVERY_LAYER[name], mn.Dense(3)], (5,), loss, seed=1, **place.options)
    x, y = batch(loss, 3, rng)
    report = mn.check_gradients(net, x, y, sample_weight=rng.random(7), dropout_seed=5, directions=2)
    assert report, f"\n{report}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_deep_network(place, dtype, rng):
    layers = [
        mn.Dense(8),
        mn.ReLU(),
        mn.Dropout(0.2),
        mn.Dense(7),
        mn.GELU(),
        mn.Dense(6),
        mn.LeakyReLU(),
        mn.Dense(3),
    ]
    net = mn.Network(layers, (5,), mn.CrossEntropy(0.1, [1.0, 2.0, 3.0]), dtype, seed=1, **place.options)
    before = place.to_host(net.parameters).copy()
    x, y = batch("cross_entropy", 3, rng)
    report = mn.check_gradients(net, x, y, dropout_seed=1)
    assert report, f"\n{report}"
    assert [check.name for check in report.checks] == [
        "all parameters", "layers.0.W", "layers.0.b", "layers.3.W", "layers.3.b", "layers.5.W", "layers.5.b",
        "layers.7.W", "layers.7.b", "dX",
    ]  # fmt: skip
    np.testing.assert_array_equal(place.to_host(net.parameters), before)


def wrong_activation(xp, dA, Z, A):
    return 1.001 * dA * (1.0 - A * A)


def test_an_activation_wrong_by_a_thousandth_fails(rng):
    wrong = mn.Activation(lambda xp, Z: xp.tanh(Z), wrong_activation)
    x, y = batch("cross_entropy", 3, rng)
    report = mn.check_gradients(mn.Network([mn.Dense(6), wrong, mn.Dense(3)], (5,)), x, y)
    passed = {check.name: check.passed for check in report.checks}
    assert not report
    # What lies behind the wrong kernel is right, what lies before it is not: the report shows where to look.
    assert passed["layers.2.W"]
    assert passed["layers.2.b"]
    assert not passed["layers.0.W"]
    assert not passed["layers.0.b"]
    assert not passed["dX"]
    assert "WRONG" in str(report)


class WrongLoss(SquaredError):
    def __call__(self, xp, Z, T, c):
        value, dZ = super().__call__(xp, Z, T, c)
        return value, 1.001 * dZ


def test_a_loss_wrong_by_a_thousandth_fails(rng):
    x, y = batch("squared_error", 2, rng)
    report = mn.check_gradients(mn.Network([mn.Dense(2)], (5,), WrongLoss()), x, y)
    assert not any(check.passed for check in report.checks)
    assert report.error == pytest.approx(1e-3, rel=1e-2)


class WrongBias(mn.Dense):
    """The original post's bias gradient: one number for the whole layer, summed over units as well as rows."""

    def backward(self, dZ, cache, input_gradient=True):
        dX = super().backward(dZ, cache, input_gradient)
        self.db[...] = self.xp.sum(dZ)
        return dX


def test_the_posts_bias_gradient_fails_and_only_it(rng):
    x, y = batch("cross_entropy", 3, rng)
    report = mn.check_gradients(mn.Network([WrongBias(4), mn.ReLU(), WrongBias(3)], (5,)), x, y)
    assert not report
    for check in report.checks[1:]:
        assert check.passed == (not check.name.endswith(".b")), str(report)


def test_one_wrong_entry_among_thousands_is_seen(rng):
    class OneWrong(mn.Dense):
        def backward(self, dZ, cache, input_gradient=True):
            dX = super().backward(dZ, cache, input_gradient)
            self.dW[3, 17] += 0.1
            return dX

    x, y = batch("cross_entropy", 40, rng)
    report = mn.check_gradients(mn.Network([OneWrong(40)], (5,)), x, y)
    assert [check.name for check in report.checks if not check.passed] == ["all parameters", "layers.0.W"]


def test_kinks_are_avoided():
    """A row of zeros and biases of 0 sit on the kink of every ReLU; a row near it is crossed by most directions."""
    net = mn.Network([mn.Dense(3), mn.ReLU(), mn.Dense(1)], (2,), "squared_error", seed=2)
    x, y = np.array([[0.0, 0.0], [1e-7, -1e-7], [0.5, 0.5]]), [1.0, 2.0, 3.0]
    report = mn.check_gradients(net, x, y)
    assert report, f"\n{report}"


def test_segments():
    net = mn.Network([mn.Dense(2), mn.ReLU(), mn.Dense(1)], (3,), "squared_error")
    assert segments(net) == [
        ("layers.0.W", slice(0, 6)), ("layers.0.b", slice(6, 8)), ("layers.2.W", slice(8, 10)), ("layers.2.b", slice(10, 11)),
    ]  # fmt: skip


@pytest.mark.parametrize("options", [{"directions": 0}, {"tolerance": 0}])
def test_wrong_options(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} expects"):
        mn.check_gradients(mn.Network([mn.Dense(2)], (1,)), [[1.0]], [0], **options)
