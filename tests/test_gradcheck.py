"""The gradient check: every kernel and whole networks pass it, and whatever is wrong by a thousandth fails.

Long form on networks that have learned: tests/jobs/false_alarms.py.
"""

import math
from collections import Counter

import numpy as np
import pytest
from jobs import false_alarms

import mechanet as mn
from mechanet import gradcheck
from mechanet.gradcheck import compare, rounding_of, slope_of
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


def learned_by_heart(name, dtype="float32"):
    """Ten digits, and a network that knows them: its losses are about 1e-5, most of its slopes far below."""
    x, y = (array[:10] for array in (DIGITS.train.x, DIGITS.train.y))
    layers = [mn.Scale(1 / 255), mn.Dense(16), false_alarms.activation(name)(), mn.Dense(10)]
    net = mn.Network(layers, (784,), dtype=dtype, seed=3)
    list(mn.Training(net, x, y, optimizer=mn.Adam(1e-2), batch_size=None).epochs(100))
    return net, x, y


DIGITS = mn.datasets.load("digits")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_right_gradients_of_a_network_that_has_learned_are_not_called_wrong(name):
    net, x, y = learned_by_heart(name)
    for first in range(0, 10, 2):
        report = mn.check_gradients(net, x[first : first + 2], y[first : first + 2])
        assert report, f"\n{report}"
        assert report.told >= 4


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_thousandth_is_seen_in_a_network_that_has_learned(name, loss):
    number = 4 * len(name) + len(loss) % 2 * 8
    net, x, y = false_alarms.trained(name, loss, ("float32", "float64")[len(name) % 2], "table", number)
    counts, rng = Counter(), np.random.default_rng(number)
    for _ in range(2):
        false_alarms.checked(net, x, y, rng, counts)
    assert counts["false alarms"] == 0
    assert counts["ok"] == counts["checks"] == counts["faults"] == counts["faults found"]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_wrong_entry_is_seen_in_a_network_that_has_learned(name):
    class OneWrong(mn.Dense):
        def backward(self, dZ, cache, input_gradient=True):
            dX = super().backward(dZ, cache, input_gradient)
            self.dW[2, 1] += 0.1 * np.linalg.norm(self.dW)
            return dX

    net, x, y = learned_by_heart(name)
    wrong = mn.Network([*net.chain.specification[:-1], OneWrong(10)], (784,))
    wrong.parameters[...] = net.parameters
    report = mn.check_gradients(wrong, x[:2], y[:2])
    assert {check.name for check in report.checks if check.verdict == "WRONG"} == {"all parameters", "layers.3.W"}


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "epochs", "rows"), [("original", 600, 1), ("default", 20, 4)])
def test_the_recipes_of_the_command_line(recipe, epochs, rows):
    from mechanet.cli import recipes

    net = recipes.network_of(recipes.RECIPES[recipe], DIGITS, "float32", "cpu", 0)
    list(recipes.training_of(recipes.RECIPES[recipe], net, DIGITS, 0).epochs(epochs))
    x, y = DIGITS.train.x, DIGITS.train.y
    for first in range(0, 40 * rows, rows):
        report = mn.check_gradients(net, x[first : first + rows], y[first : first + rows])
        assert report, f"\n{report}"


@pytest.mark.slow
def test_no_false_alarms_on_networks_of_every_kind():
    for counts in false_alarms.run(230, seed=1, kinds=false_alarms.KINDS[::7]).values():
        assert counts["false alarms"] == 0
        assert counts["faults found"] == counts["faults"] > 0.7 * counts["checks"]


def test_kinks_are_avoided():
    """A row of zeros and biases of 0 sit on the kink of every ReLU; a row near it is crossed by most directions."""
    net = mn.Network([mn.Dense(3), mn.ReLU(), mn.Dense(1)], (2,), "squared_error", seed=2)
    x, y = np.array([[0.0, 0.0], [1e-7, -1e-7], [0.5, 0.5]]), [1.0, 2.0, 3.0]
    report = mn.check_gradients(net, x, y)
    assert report, f"\n{report}"


def test_inputs_on_a_kink_are_left_too():
    net = mn.Network([mn.ReLU(), mn.Dense(2)], (4,), "squared_error", seed=2)
    report = mn.check_gradients(net, [[0.0, 0.0, 1.0, 0.0]], [[1.0, 2.0]])
    assert report.told == 4, f"\n{report}"


def test_a_kink_that_cannot_be_left_is_said(monkeypatch):
    monkeypatch.setattr(gradcheck, "BESIDE", 0.0)
    net = mn.Network([mn.Dense(3), mn.ReLU(), mn.Dense(1)], (2,), "squared_error", seed=2)
    report = mn.check_gradients(net, [[0.0, 0.0]], [1.0])
    verdicts = {check.name: check.verdict for check in report.checks}
    assert verdicts["layers.0.b"] == verdicts["dX"] == "at a kink"
    assert verdicts["layers.2.b"] == "ok"
    assert report
    assert str(report).splitlines()[-1] == f"{report.told} of 6 could be told"


def test_what_cannot_be_told_is_no_success():
    """P = 1 - exp(-60): the loss, 0 in float64, does not move, and dθ is about 1e-26."""
    net = mn.Network([mn.Dense(2)], (1,), dtype="float64")
    net.parameters[...] = [60.0, 0.0, 0.0, 0.0]
    report = mn.check_gradients(net, [[1.0]], [0])
    assert [check.verdict for check in report.checks] == ["too small to tell"] * 4
    assert not any(check.passed for check in report.checks)
    assert not report
    assert math.isnan(report.error)
    assert "too small to tell\n0 of 4 could be told" in str(report)

    class Half(mn.CrossEntropy):
        def __call__(self, xp, Z, T, c):
            value, dZ = super().__call__(xp, Z, T, c)
            return value, dZ + 0.5

    wrong = mn.Network([mn.Dense(2)], (1,), Half(), dtype="float64")
    wrong.parameters[...] = net.parameters
    assert {check.verdict for check in mn.check_gradients(wrong, [[1.0]], [0]).checks} == {"WRONG"}


def test_what_does_not_move_the_loss_has_a_gradient_of_0():
    net = mn.Network([mn.Dense(3), mn.ReLU(), mn.Dense(2)], (2,), dtype="float64", seed=1)
    net.layers[0].b[...] = -100.0  # no unit is ever above 0
    report = mn.check_gradients(net, [[0.5, -0.5]], [1])
    assert report.told == 6, f"\n{report}"
    assert [check.analytic for check in report.checks[1:4]] == [0.0, 0.0, 0.0]


def test_numbers_that_are_not_finite_are_wrong():
    net = mn.Network([mn.Dense(2)], (1,))
    net.parameters[...] = math.nan
    assert {check.verdict for check in mn.check_gradients(net, [[1.0]], [0]).checks} == {"WRONG"}


EPS = 2.0**-52


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (lambda t: (2.0 + t) ** 3, 12.0),
        (math.exp, 1.0),
        (lambda t: math.log1p(math.exp(-25.0 + t)), 1.0 / (1.0 + math.exp(25.0))),
        (lambda t: 0.5 * t + max(t - 1e-6, 0.0), 0.5),
        (lambda t: 0.5 * t + max(t + 1e-9, 0.0), 1.5),
        (lambda t: max(t - 0.01, 0.0), 0.0),
        (lambda t: t + (0.5 * t * t if t < 0.0 else 0.0), 1.0),  # Huber's corner: the second derivative jumps
        (lambda t: t + sum(1e-3 * max(t - 1e-4 * k, 0.0) for k in range(1, 100)), 1.0),
    ],
    ids=["cubic", "exp", "saturated", "kink ahead", "kink behind", "flat", "corner", "many kinks"],
)
def test_slopes_of_functions(function, slope):
    found = slope_of(function, 0.03, 4 * EPS * max(1.0, abs(function(0.0))), 1e-8)
    assert abs(found.value - slope) <= found.doubt
    assert found.doubt <= (1e-5 * slope if slope > 1e-9 else 1e-12)


def test_the_slope_at_a_kink_is_in_doubt_by_half_the_jump():
    found = slope_of(lambda t: t + max(t, 0.0), 0.03, 4 * EPS, 1e-8)
    assert found.value == pytest.approx(1.5)
    assert found.spread == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("function", "analytic", "verdict"),
    [
        (math.exp, 1.0, "ok"), (math.exp, 1.001, "WRONG"), (math.exp, 0.0, "WRONG"), (math.exp, -1.0, "WRONG"),
        (lambda t: t + max(t, 0.0), 1.0, "at a kink"), (lambda t: t + max(t, 0.0), 1.5, "at a kink"),
        (lambda t: 1.0 + 1e-16 * t, 1e-16, "too small to tell"), (lambda t: 1.0, 3e-14, "too small to tell"),
        (lambda t: 1.0, 1e-9, "WRONG"), (lambda t: 1.0, 0.0, "ok"), (lambda t: math.nan, 1.0, "WRONG"),
        (math.exp, math.nan, "WRONG"), (math.exp, math.inf, "WRONG"),
    ],
)  # fmt: skip
def test_verdicts(function, analytic, verdict):
    found = compare(analytic, function, 0.03, 4 * EPS, 1e-6, size=1.0)
    assert found.verdict == verdict
    assert found.passed == (verdict == "ok")


@pytest.mark.skipif(np.finfo(np.longdouble).eps == EPS, reason="this machine has no longer numbers than float64")
@pytest.mark.parametrize("name", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("rows", [1, 8])
def test_losses_are_rounded_by_less_than_is_reckoned_with(name, rows):
    """Against the same network in longer numbers, at 50 places."""
    net, x, y = learned_by_heart(name, "float64")
    f, rng = ACTIVATIONS[name].pair[0], np.random.default_rng(1)
    worst, theta = 0.0, net.parameters.copy()
    value = net.loss_and_gradient(x[:rows], y[:rows])
    unit, gradient = math.log(10.0), net.gradient.copy()
    for _ in range(50):
        net.parameters[...] = theta + 1e-3 * rng.standard_normal(theta.shape)
        W, b, V, d = (np.astype(view, np.longdouble) for i in (1, 3) for view in net.layers[i].parameters.values())
        Z = f(np, (x[:rows] * np.longdouble(1 / 255)) @ W + b) @ V + d
        losses = np.log(np.exp(Z - Z.max(1, keepdims=True)).sum(1)) + Z.max(1) - Z[np.arange(rows), y[:rows]]
        worst = max(worst, abs(float(net.loss_and_gradient(x[:rows], y[:rows]) - losses.mean())))
    reckoned = rounding_of(np, value, unit, theta, gradient)
    assert 0.01 * reckoned < worst < 0.5 * reckoned


@pytest.mark.parametrize("options", [{"directions": 0}, {"tolerance": 0}])
def test_wrong_options(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} expects"):
        mn.check_gradients(mn.Network([mn.Dense(2)], (1,)), [[1.0]], [0], **options)
