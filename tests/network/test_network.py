"""Networks against hand-worked numbers, PyTorch's autograd, and themselves on every other place."""

import copy
import math
import pickle

import numpy as np
import pytest

import mechanet as mn


def mazur(place):
    """The network of Matt Mazur's "A step by step backpropagation example" (2015), with his weights.

    His w1 to w8 are read off his figure: w1 and w2 lead to h1, w3 and w4 to h2, w5 and w6 to o1, w7 and w8 to o2.
    """
    net = mn.Network([mn.Dense(2), mn.Sigmoid(), mn.Dense(2), mn.Sigmoid()], (2,), "squared_error", "float64",
                     **place.options)  # fmt: skip
    theta = [0.15, 0.25, 0.20, 0.30, 0.35, 0.35, 0.40, 0.50, 0.45, 0.55, 0.60, 0.60]
    net.parameters[...] = net.backend.asarray(np.array(theta))
    return net


def test_mazurs_example(place):
    net = mazur(place)
    x, y = place.asarray([[0.05, 0.10]], "float64"), [[0.01, 0.99]]
    np.testing.assert_allclose(place.to_host(net.forward(x)), [[0.75136507, 0.772928465]], atol=5e-9)
    assert float(net.loss_and_gradient(x, y)) == pytest.approx(0.298371109, abs=5e-10)
    gradient = place.to_host(net.gradient)
    assert gradient[6] == pytest.approx(0.082167041, abs=5e-10)  # dE/dw5
    assert gradient[0] == pytest.approx(0.000438568, abs=5e-10)  # dE/dw1
    theta = place.to_host(net.parameters) - 0.5 * gradient
    w1, w3, w2, w4, _, _, w5, w7, w6, w8, _, _ = theta
    printed = {
        "w1": (w1, 0.149780716), "w2": (w2, 0.19956143), "w3": (w3, 0.24975114), "w4": (w4, 0.29950229),
        "w5": (w5, 0.35891648), "w6": (w6, 0.408666186), "w7": (w7, 0.511301270), "w8": (w8, 0.561370121),
    }  # fmt: skip
    for name, (ours, his) in printed.items():
        assert ours == pytest.approx(his, abs=5e-9), name


ARCHITECTURES = [
    ([mn.Dense(3)], (5,), "cross_entropy"),
    ([mn.Dense(8), mn.ReLU(), mn.Dense(4)], (6,), "cross_entropy"),
    ([mn.Dense(7), mn.Tanh(), mn.Dense(9), mn.ELU(0.7), mn.Dense(2)], (3,), "cross_entropy"),
    (
        [mn.Scale(0.5), mn.Dense(5), mn.SiLU(), mn.Dense(5), mn.Softplus(), mn.Dense(1)],
        (4,),
        "binary_cross_entropy",
    ),
    ([mn.Flatten(), mn.Dense(6), mn.GELU(), mn.Dense(3)], (2, 3), "binary_cross_entropy"),
    ([mn.Dense(6), mn.LeakyReLU(0.2), mn.Dense(2)], (3,), "squared_error"),
    ([mn.Dense(4, bias=False), mn.Sigmoid(), mn.Dense(2)], (3,), "huber"),
]
TORCH_LAYERS = {
    "ReLU": lambda F, a, layer: F.relu(a),
    "LeakyReLU": lambda F, a, layer: F.leaky_relu(a, layer.slope),
    "ELU": lambda F, a, layer: F.elu(a, layer.alpha),
    "GELU": lambda F, a, layer: F.gelu(a, approximate="tanh"),
    "SiLU": lambda F, a, layer: F.silu(a),
    "Softplus": lambda F, a, layer: F.softplus(a),
    "Sigmoid": lambda F, a, layer: F.sigmoid(a),
    "Tanh": lambda F, a, layer: F.tanh(a),
    "Scale": lambda F, a, layer: a * layer.factor,
    "Flatten": lambda F, a, layer: a.flatten(1),
}


def targets_for(loss, outputs, m, rng):
    if loss == "cross_entropy":
        return rng.integers(0, outputs, m)
    if loss == "binary_cross_entropy":
        return rng.integers(0, 2, (m, outputs))
    return rng.normal(size=(m, outputs))


def torch_loss(torch, name, z, y):
    F, m = torch.nn.functional, z.shape[0]
    if name == "cross_entropy":
        return F.cross_entropy(z, torch.tensor(y))
    t = torch.tensor(y, dtype=z.dtype)
    if name == "binary_cross_entropy":
        return F.binary_cross_entropy_with_logits(z, t, reduction="sum") / m
    if name == "huber":
        return F.huber_loss(z, t, reduction="sum") / m
    return F.mse_loss(z, t, reduction="sum") / 2 / m


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize(("layers", "input_shape", "loss"), ARCHITECTURES)
def test_gradients_are_autograds(place, layers, input_shape, loss, dtype, tolerance, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    net = mn.Network(layers, input_shape, loss, dtype, seed=2, **place.options)
    m = 17
    x = rng.normal(size=(m, *input_shape)).astype(dtype)
    y = targets_for(loss, net.output_shape[0], m, rng)
    value = float(net.loss_and_gradient(place.asarray(x), y))

    tensors, a = [], torch.tensor(x)
    for layer in net.layers:
        if isinstance(layer, mn.Dense):
            own = {
                name: torch.tensor(place.to_host(v), requires_grad=True) for name, v in layer.parameters.items()
            }
            tensors.extend(own.values())
            a = a @ own["W"] + own.get("b", 0.0)
        else:
            a = TORCH_LAYERS[type(layer).__name__](torch.nn.functional, a, layer)
    expected = torch_loss(torch, loss, a, y)
    expected.backward()
    gradient = np.concatenate([tensor.grad.numpy().ravel() for tensor in tensors])
    assert value == pytest.approx(expected.item(), rel=tolerance)
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(place.to_host(net.gradient), gradient, rtol=tolerance, atol=tolerance * scale)


def train_losses(options, dtype, x, y):
    """The losses of 20 steps, each measured by its own step."""
    net = mn.Network([mn.Scale(1 / 255), mn.Dense(20), mn.ReLU(), mn.Dropout(0.2), mn.Dense(4)], (30,), dtype=dtype,
                     seed=5, **options)  # fmt: skip
    losses = []
    training = mn.Training(net, x, y, optimizer=mn.Adam(0.01), batch_size=16, seed=3)
    steps = iter(range(10**6))
    for _ in training.epochs(4, on_step=lambda t: t.stop() if next(steps) == 19 else None):
        pass
    for epoch in training.history:
        losses.append(epoch.loss)
    return losses + [float(np.sum(net.backend.to_host(v))) for v in training.tally.values]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
def test_the_same_numbers_everywhere(place, dtype, tolerance, rng):
    """Same seed: same start, same order, same dropout masks, so the same losses over 20 steps."""
    x, y = rng.integers(0, 256, (100, 30)).astype("uint8"), rng.integers(0, 4, 100)
    here = train_losses({}, dtype, x, y)
    there = train_losses(place.options, dtype, place.asarray(x), y)
    assert len(here) > 3
    np.testing.assert_allclose(there, here, rtol=tolerance)


def test_theta_holds_w_row_by_row_and_then_b():
    net = mn.Network([mn.Dense(2), mn.ReLU(), mn.Dense(1)], (3,), "squared_error")
    net.parameters[...] = np.arange(11.0)
    np.testing.assert_array_equal(net.layers[0].W, [[0, 1], [2, 3], [4, 5]])
    np.testing.assert_array_equal(net.layers[0].b, [6, 7])
    np.testing.assert_array_equal(net.layers[2].W, [[8], [9]])
    np.testing.assert_array_equal(net.layers[2].b, [10])
    # (1, 1, 1) W + b = (0 + 2 + 4 + 6, 1 + 3 + 5 + 7) = (12, 16); 12 · 8 + 16 · 9 + 10 = 250
    assert net.predict([[1, 1, 1]]).tolist() == [250.0]


def test_a_list_of_layers_makes_independent_networks():
    layers = [mn.Dense(3), mn.ReLU(), mn.Dense(2)]
    one, two = mn.Network(layers, (4,), seed=1), mn.Network(layers, (4,), seed=2)
    before = two.parameters.copy()
    one.parameters[...] = 0.0
    np.testing.assert_array_equal(two.parameters, before)
    assert not hasattr(layers[0], "W")


def test_sample_weights_are_repetitions(place, rng):
    """A row of weight 3 is that row three times; a row of weight 0 is no row."""
    x, y = rng.normal(size=(5, 4)), np.array([0, 1, 2, 1, 0])
    weight = [3, 1, 0, 2, 1]
    net = mn.Network([mn.Dense(3)], (4,), dtype="float64", **place.options)
    weighted = float(net.loss_and_gradient(x, y, weight))
    gradient = place.to_host(net.gradient).copy()
    repeated = float(net.loss_and_gradient(np.repeat(x, weight, axis=0), np.repeat(y, weight)))
    assert weighted == pytest.approx(repeated, rel=1e-12)
    np.testing.assert_allclose(gradient, place.to_host(net.gradient), rtol=1e-10, atol=1e-14)


def test_arrays_come_out_where_they_went_in(place):
    net = mn.Network([mn.Dense(3)], (2,), **place.options)
    x = np.ones((4, 2), dtype="float32")
    for result in (net.forward(x), net.predict(x), net.predict_proba(x), net.forward(x.tolist())):
        assert type(result) is np.ndarray
    here = place.asarray(x)
    for result in (net.forward(here), net.predict(here), net.predict_proba(here)):
        assert type(result) is type(here)
    assert net.predict(x).shape == (4,)
    assert net.predict_proba(x).shape == (4, 3)


def test_results_are_on_the_device_that_the_rows_are_on():
    strict = pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
    net = mn.Network([mn.Dense(3)], (2,), device="device1", xp=strict)
    for device in (strict.Device("CPU_DEVICE"), strict.Device("device1"), strict.Device("device2")):
        x = strict.ones((4, 2), dtype=strict.float32, device=device)
        for result in (net.forward(x), net.predict(x), net.predict_proba(x)):
            assert result.device == device


def test_torch_tensors_into_a_numpy_network():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    net = mn.Network([mn.Dense(3)], (2,))
    scores = net.forward(torch.ones(4, 2))
    assert isinstance(scores, torch.Tensor)
    np.testing.assert_array_equal(scores.numpy(), net.forward(np.ones((4, 2))))


def test_predictions_of_each_loss():
    x = np.array([[1.0], [-1.0]])

    def make(loss, k):
        net = mn.Network([mn.Dense(k)], (1,), loss)
        net.parameters[...] = [*np.arange(1.0, k + 1), *np.zeros(k)]
        return net

    assert make("cross_entropy", 3).predict(x).tolist() == [2, 0]
    assert make("binary_cross_entropy", 1).predict(x).tolist() == [1, 0]
    assert make("binary_cross_entropy", 2).predict(x).tolist() == [[1, 1], [0, 0]]
    assert make("squared_error", 1).predict(x).tolist() == [1.0, -1.0]
    assert make("huber", 2).predict(x).tolist() == [[1.0, 2.0], [-1.0, -2.0]]
    assert make("binary_cross_entropy", 1).predict_proba(x)[0, 0] == pytest.approx(1 / (1 + math.exp(-1.0)))
    # Both entries of the first row are right, one of the second: 3 of 4.
    assert make("binary_cross_entropy", 2).evaluate(x, [[1, 1], [0, 1]])["accuracy"] == 0.75
    assert set(make("squared_error", 1).evaluate(x, [0.0, 0.0])) == {"loss"}


def test_to_another_place_and_back(place, rng):
    net = mn.Network([mn.Dense(4), mn.ReLU(), mn.Dense(2)], (3,), seed=9)
    x = rng.normal(size=(6, 3))
    there = net.to(**place.options)
    np.testing.assert_allclose(there.predict_proba(x), net.predict_proba(x), rtol=1e-6)
    back = there.to("cpu")
    np.testing.assert_array_equal(back.parameters, net.parameters)
    assert back.parameters is not net.parameters


@pytest.mark.parametrize(
    ("loss", "outputs"),
    [(mn.CrossEntropy(0.1, [1.0, 3.0]), 2), (mn.BinaryCrossEntropy({0: 3.0}), 1), (mn.Huber(0.1), 1)],
    ids=["cross_entropy", "binary_cross_entropy", "huber"],
)
def test_a_copy_keeps_every_option(place, loss, outputs, rng):
    """Of layers and of the loss, which only the next training, or an evaluation, would show."""
    layers = [mn.Dense(4, "glorot_normal", bias=False), mn.LeakyReLU(0.3), mn.Dropout(0.2), mn.Dense(outputs)]
    net = mn.Network(layers, (3,), loss, "float64", seed=9)
    there = net.to(**place.options)
    x, y = rng.normal(size=(6, 3)), rng.integers(0, 2, 6)
    plain = mn.Network(layers, (3,), type(loss)(), "float64", seed=9)
    assert plain.evaluate(x, y)["loss"] != pytest.approx(net.evaluate(x, y)["loss"])
    for other in (there, there.to("cpu"), copy.copy(there), copy.deepcopy(there), pickle.loads(pickle.dumps(there))):
        assert other.config() == net.config()
        assert other.evaluate(x, y) == pytest.approx(net.evaluate(x, y), rel=1e-12)


def test_copies_and_pickles_are_whole_networks(rng):
    net = mn.Network([mn.Dense(4), mn.ReLU(), mn.Dense(2)], (3,), mn.CrossEntropy(0.1), seed=9)
    x, y = rng.normal(size=(6, 3)), rng.integers(0, 2, 6)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(twin.forward(x), net.forward(x))
        for _ in mn.Training(twin, x, y, optimizer="sgd").epochs(1):
            pass
        assert not np.array_equal(twin.forward(x), net.forward(x))  # its layers see its own θ, and it only


LOSSES = ["cross_entropy", "binary_cross_entropy", "squared_error", mn.Huber(2.0), mn.CrossEntropy(0.1, {0: 2.0})]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_save_and_load(place, loss, dtype, tmp_path, rng):
    every = [
        mn.Scale(0.1), mn.Flatten(), mn.Dense(5, "glorot_uniform", mn.initializers.Uniform(-1, 1)), mn.ReLU(),
        mn.LeakyReLU(0.3), mn.ELU(2.0), mn.GELU(), mn.SiLU(), mn.Dropout(0.25), mn.Dense(6, bias=False), mn.Sigmoid(),
        mn.Reshape((2, 3)), mn.Tanh(), mn.Flatten(), mn.Softplus(), mn.Dense(2),
    ]  # fmt: skip
    net = mn.Network(every, (2, 2), loss, dtype, seed=4, **place.options)
    path = tmp_path / "net.safetensors"
    net.save(path)
    loaded = mn.Network.load(path, **place.options)
    assert loaded.config() == net.config()
    x = rng.normal(size=(7, 2, 2))
    np.testing.assert_array_equal(loaded.forward(x), net.forward(x))
    here = mn.Network.load(path)
    np.testing.assert_allclose(here.forward(x), net.forward(x), rtol=1e-5)


def test_a_function_of_ones_own_trains_but_is_not_saved(tmp_path, rng):
    cube = mn.Activation(lambda xp, Z: Z * Z * Z, lambda xp, dA, Z, A: 3.0 * dA * Z * Z)
    net = mn.Network([mn.Dense(4), cube, mn.Dense(2)], (3,))
    assert mn.check_gradients(net, rng.normal(size=(5, 3)), [0, 1, 0, 1, 1])
    with pytest.raises(ValueError) as caught:
        net.save(tmp_path / "net.safetensors")
    assert str(caught.value) == (
        "a network with an Activation of your own functions cannot be saved: a file never holds code. "
        "Use one of the activations that mechanet names, or put yours into a class with @mechanet.register "
        "above it, or keep net.parameters yourself."
    )


def test_summary_and_repr():
    net = mn.Network([mn.Scale(1 / 255), mn.Dense(128), mn.ReLU(), mn.Dense(10)], (784,))
    text = net.summary()
    assert "100,480" in text  # 784 · 128 + 128
    assert "101,770 parameters, float32, on cpu" in text
    assert repr(net).startswith("Network(784-128-10: [Scale, Dense, ReLU, Dense]")


NET = mn.Network([mn.Dense(3)], (4,))
X, Y = np.zeros((2, 4)), np.array([0, 1])
NAN = np.array([[0, 0, 0, 0], [0, 0, math.nan, 0.0]])


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: NET.predict(np.zeros((2, 5))),
            ValueError,
            "expected x of shape (n, 4). Received: x.shape=(2, 5).",
        ),
        (lambda: NET.predict(np.zeros(4)), ValueError, "Received: x.shape=(4,). For a single row pass x[None]."),
        (lambda: NET.predict(np.zeros((4, 7))), ValueError, "Did you pass the batch transposed?"),
        (lambda: NET.predict(np.zeros((0, 4))), ValueError, "at least one row in x. Received: x.shape=(0, 4)."),
        (lambda: NET.predict([]), ValueError, "expected x of shape (n, 4). Received: x.shape=(0,)."),
        (lambda: NET.predict([["a"] * 4]), TypeError, "x expects real numbers. Received: x with dtype=<U1."),
        (lambda: NET.predict([[1j] * 4]), TypeError, "x expects real numbers. Received: x with dtype=complex128."),
        (lambda: NET.predict([[1, 2], [3]]), ValueError, "inhomogeneous"),
        (lambda: NET.predict(NAN), ValueError, "expected finite numbers in x. Received: x[1, 2]=nan."),
        (lambda: NET.predict_proba(NAN), ValueError, "expected finite numbers in x. Received: x[1, 2]=nan."),
        (lambda: NET.evaluate(NAN, Y), ValueError, "expected finite numbers in x. Received: x[1, 2]=nan."),
        (
            lambda: NET.loss_and_gradient(NAN, Y),
            ValueError,
            "expected finite numbers in x. Received: x[1, 2]=nan.",
        ),
        (lambda: mn.Training(NET, NAN, Y), ValueError, "expected finite numbers in x. Received: x[1, 2]=nan."),
        (lambda: NET.evaluate(X, [0, 1, 2]), ValueError, "Received: x with 2 rows, y with 3."),
        (
            lambda: mn.Training(NET, X, [0]),
            ValueError,
            "expected as many rows in y as in x. Received: x with 2 rows",
        ),
        (lambda: mn.Training(NET, X, 0), ValueError, "expected one target a row in y. Received: y.shape=()."),
        (lambda: mn.Training(NET, X, [0, 9]), ValueError, "labels from 0 to 2"),
        (lambda: mn.Training(NET, X, [0.5, 1.5]), TypeError, "expects integer labels from 0 to 2"),
        (lambda: mn.Training(NET, X), TypeError, "expected targets y beside x. Received: y=None."),
        (lambda: mn.Training(NET, X, Y, batch_size=0), ValueError, "batch_size expects an integer of at least 1."),
        (
            lambda: mn.Training(NET, X, Y, batch_size=2.5),
            TypeError,
            "batch_size expects an integer. Received: batch_size=2.5.",
        ),
        (lambda: mn.Training(NET, X, Y, sample_weight=[1.0]), ValueError, "expected sample_weight of shape (2,)"),
        (lambda: mn.Training(NET, X, Y, sample_weight=[1, -1]), ValueError, "sample_weight[1]=-1"),
        (lambda: mn.Training(NET, X, Y, early_stopping=3), ValueError, "early_stopping expects validation=(x, y)"),
        (
            lambda: mn.Training(NET, X, Y, gradient_clip=0),
            ValueError,
            "gradient_clip expects a finite number above 0.",
        ),
        (lambda: mn.Training(NET, X, Y, optimizer="sdg"), ValueError, "Did you mean 'sgd'?"),
        (lambda: next(mn.Training(NET, X, Y).epochs(0)), ValueError, "epochs expects an integer of at least 1."),
        (lambda: mn.Dense(0), ValueError, "units expects an integer of at least 1. Received: units=0."),
        (lambda: mn.Dense(-3), ValueError, "units expects an integer of at least 1. Received: units=-3."),
        (lambda: mn.Dense(2.0), TypeError, "units expects an integer. Received: units=2.0."),
        (lambda: mn.Dense(True), TypeError, "units expects an integer. Received: units=True."),
        (lambda: mn.Dense(2, "he"), ValueError, "initializer expects one of glorot_normal, "),
        (lambda: mn.Dense(2, bias_initializer="x"), ValueError, "Received: bias_initializer='x'."),
        (lambda: mn.Dropout(1.0), ValueError, "rate expects a number in [0, 1). Received: rate=1.0."),
        (lambda: mn.LeakyReLU(2), ValueError, "slope expects a number in [0, 1]. Received: slope=2."),
        (lambda: mn.Network([mn.Dense(3)], (0,)), ValueError, "input_shape[0] expects an integer of at least 1."),
        (lambda: mn.Network([mn.Dense(3)], "784"), TypeError, "input_shape expects a tuple of integers"),
        (lambda: mn.Network([mn.Dense(3)], 3.5), TypeError, "input_shape expects a tuple of integers"),
        (lambda: mn.Network([mn.Dense], (4,)), TypeError, "Did you mean Dense(...)?"),
        (lambda: mn.Network(mn.Dense(3), (4,)), TypeError, "Received: a single layer. Put it in a list."),
        (lambda: mn.Network([mn.Dense(3)], (2, 2)), ValueError, "Put a Flatten() before it."),
        (lambda: mn.Network([mn.ReLU()], (2, 2)), ValueError, "Put a Flatten() at the end."),
        (lambda: mn.Network([mn.Reshape((5,))], (2, 2)), ValueError, "Reshape expects a shape with 4 entries"),
        (
            lambda: mn.Network([mn.Dense(3)], (4,), dtype="float16"),
            ValueError,
            "dtype expects one of float32, float64.",
        ),
        (
            lambda: mn.Network([mn.Dense(3)], (4,), device="gpu"),
            ValueError,
            'device expects "cpu", "cuda", "cuda:N" or "auto".',
        ),
        (lambda: mn.Network([mn.Dense(3)], (4,), device="cuda:x"), ValueError, "Received: device='cuda:x'."),
        (lambda: mn.Network([mn.Dense(3)], (4,), seed=-1), ValueError, "seed expects an integer of at least 0."),
    ],
)
def test_wrong_input(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_overflowing_parameters_are_named():
    net = mn.Network([mn.Dense(3)], (4,))
    net.parameters[...] = 3e38
    with pytest.raises(ValueError, match="scores are not finite although x is"):
        net.predict(np.ones((1, 4)))


def test_inputs_are_never_changed(place, rng):
    """Read-only inputs would raise; the others are compared."""
    x, y, w = rng.normal(size=(9, 4)), rng.integers(0, 3, 9), rng.random(9)
    X, T, W = place.asarray(x), place.asarray(y), place.asarray(w)
    net = mn.Network([mn.Scale(2.0), mn.ReLU(), mn.Dense(3)], (4,), dtype="float64", **place.options)
    for _ in mn.Training(net, X, T, sample_weight=W, batch_size=4, validation=(X, T)).epochs(2):
        pass
    net.predict(X), net.predict_proba(X), net.evaluate(X, T, W), net.loss_and_gradient(X, T, W)
    for array, before in ((X, x), (T, y), (W, w)):
        np.testing.assert_array_equal(place.to_host(array), before)


def test_b_starts_as_its_own_initializer_says():
    net = mn.Network([mn.Dense(3, "zeros", mn.initializers.Uniform(1, 1))], (2,))
    np.testing.assert_array_equal(net.parameters, [0] * 6 + [1] * 3)


def test_an_evaluation_weights_its_rows():
    net = mn.Network([mn.Dense(1)], (1,), "squared_error", "float64")
    net.parameters[...] = [1.0, 0.0]  # Z = X
    # ½ 2² and ½ 4²: the mean is 5, and with weights 3 and 1 it is (3 · 2 + 8) / 4
    assert net.evaluate([[2.0], [4.0]], [0.0, 0.0]) == {"loss": 5.0}
    assert net.evaluate([[2.0], [4.0]], [0.0, 0.0], [3.0, 1.0]) == {"loss": 3.5}
