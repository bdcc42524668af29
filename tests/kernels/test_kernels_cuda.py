"""Fused kernels against the plain lines, computed in float64 on the host from the same inputs."""

import importlib.util
from types import SimpleNamespace

import array_api_compat.numpy as plain_xp
import numpy as np
import pytest

import mechanet.backend
from mechanet import kernels, layers, losses, optimizers

pytestmark = pytest.mark.gpu
if importlib.util.find_spec("mechanet.kernels.cuda") is None:
    pytest.skip("mechanet/kernels/cuda.py is not there; the library works without it", allow_module_level=True)

SIZES = [(1, 1), (31, 33), (33, 1023), (1023, 31), (127, 127)]
ACTIVATIONS = ["ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Sigmoid", "Tanh", "Softplus"]
EXTREME = [0.0, -0.0, 1e-30, -1e-30, 88.0, -88.0, 104.0, -104.0, 800.0, -800.0, 1e18, -1e18]
TOLERANCE = {"float32": {"rtol": 2e-5, "atol": 2e-6}, "float64": {"rtol": 1e-11, "atol": 1e-13}}


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def cuda():
    return mechanet.backend.resolve("cuda")


def close(got, expected, dtype, scale=1.0):
    options = TOLERANCE[dtype]
    np.testing.assert_allclose(got.get(), expected, options["rtol"], options["atol"] * scale)


def bound(layer, backend, n, **arrays):
    """The layer on `backend`, with n columns in and the arrays as its parameters."""
    gradients = {name: backend.xp.empty_like(value) for name, value in arrays.items()}
    return layer.bind(backend, (n,), layers.Views(arrays, gradients, {}, {}))


@pytest.mark.parametrize("name", [*ACTIVATIONS, ""])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_dense_with_its_activation(cuda, dtype, rng, name, bias):
    for m, n in SIZES:
        check_dense(cuda, dtype, rng, m, n, name, bias)


def check_dense(cuda, dtype, rng, m, n, name, bias, n_in=5):
    X, W, dA = (rng.normal(size=s).astype(dtype) for s in ((m, n_in), (n_in, n), (m, n)))
    parameters = {"W": W, "b": rng.normal(size=n).astype(dtype)} if bias else {"W": W}
    chain = [layers.Dense(n, bias=bias), *([getattr(layers, name)()] if name else [])]

    on_device = {key: cuda.asarray(value) for key, value in parameters.items()}
    dense = bound(chain[0], cuda, n_in, **on_device)
    steps = kernels.steps(cuda, (dense, *(bound(layer, cuda, n) for layer in chain[1:])))
    assert len(steps) == 1
    A, cache = steps[0].forward(cuda.asarray(X))
    dX = steps[0].backward(cuda.asarray(dA), cache)
    assert steps[0].backward(cuda.asarray(dA), cache, input_gradient=False) is None

    Z = X.astype("f8") @ W + parameters.get("b", 0.0)
    activation = chain[1] if name else None
    dZ = dA
    if activation:
        expected = activation.pair[0](plain_xp, Z, **activation.options())
        dZ = activation.pair[1](plain_xp, dA.astype("f8"), Z, expected, **activation.options())
    close(A, expected if name else Z, dtype)
    close(dX, dZ @ W.T.astype("f8"), dtype, 10)
    close(dense.dW, X.T.astype("f8") @ dZ, dtype, m)
    if bias:
        close(dense.db, dZ.sum(axis=0), dtype, m)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_alone_and_at_extremes(cuda, dtype, name):
    Z = np.array([EXTREME, [-z for z in EXTREME]], dtype).reshape(2, 3, 4)
    dA = np.linspace(-2, 2, Z.size).reshape(Z.shape).astype(dtype)
    layer = getattr(layers, name)()
    (step,) = kernels.steps(cuda, (layer,))
    A, cache = step.forward(cuda.asarray(Z))
    expected = layer.pair[0](plain_xp, Z.astype("f8"), **layer.options())
    close(A, expected, dtype)
    with np.errstate(all="ignore"):
        dZ = layer.pair[1](plain_xp, dA.astype("f8"), Z.astype("f8"), expected, **layer.options())
    got = step.backward(cuda.asarray(dA), cache)
    assert got.shape == Z.shape
    close(got[:, :, :2], dZ[:, :, :2], dtype)  # z³ and z² of the largest overflow, in the plain lines as well
    assert np.isfinite(A.get()).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_what_is_not_a_number_stays_so(cuda, name):
    (step,) = kernels.steps(cuda, (getattr(layers, name)(),))
    A, _ = step.forward(cuda.asarray(np.array([[np.nan, 1.0]])))
    assert np.isnan(A.get()).tolist() == [[True, False]]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("targets", ["labels", "probabilities"])
def test_softmax_with_cross_entropy(cuda, dtype, rng, smoothing, targets):
    for rows, classes in [(1, 1), (1, 2), *SIZES[1:], (2500, 10)]:  # 2500 rows need all blocks
        check_cross_entropy(cuda, dtype, rng, rows, classes, smoothing, targets)


def check_cross_entropy(cuda, dtype, rng, rows, classes, smoothing, targets):
    Z = (20 * rng.normal(size=(rows, classes))).astype(dtype)
    T = rng.integers(0, classes, rows)
    if targets == "probabilities":
        T = rng.dirichlet(np.ones(classes), rows).astype(dtype)
    c = rng.random(rows).astype(dtype)
    c /= c.sum()
    loss = losses.CrossEntropy(smoothing)
    fused = kernels.fused(cuda, loss.bind(cuda, classes, dtype))
    plain = loss.bind(mechanet.backend.NUMPY, classes, np.float64)

    value, dZ, right = fused.measure(cuda.xp, *(cuda.asarray(a) for a in (Z, T, c)))
    expected = plain.measure(plain_xp, Z.astype("f8"), T if T.ndim == 1 else T.astype("f8"), c.astype("f8"))
    close(value, expected[0], dtype)
    close(dZ, expected[1], dtype, 0.1)
    assert int(right) == int(expected[2])
    # the counter of finished blocks is ready for the next launch, and the sums repeat bit for bit
    again = fused.measure(cuda.xp, *(cuda.asarray(a) for a in (Z, T, c)))
    assert float(again[0]) == float(value)
    assert int(again[2]) == int(right)


def test_cross_entropy_of_extreme_scores(cuda, dtype):
    # One score far above the others: the loss of the right class is 0, of a wrong one the distance; by hand.
    Z = np.array([[1e4, 0, -1e4], [1e4, 0, -1e4], [-1e30, 1e30, 0], [7, 7, 7]], dtype)
    T = np.array([0, 2, 1, 0])
    c = np.full(4, 0.25, dtype)
    fused = kernels.fused(cuda, losses.CrossEntropy().bind(cuda, 3, dtype))
    value, dZ, right = fused.measure(cuda.xp, *(cuda.asarray(a) for a in (Z, T, c)))
    close(value, (0 + 2e4 + 0 + np.log(3)) / 4, dtype)
    third = 1 / 3
    close(dZ, np.array([[0, 0, 0], [1, 0, -1], [0, 0, 0], [third - 1, third, third]]) / 4, dtype)
    assert int(right) == 3  # of equal scores the first is the answer


OPTIMIZERS = [
    optimizers.SGD(0.1),
    optimizers.SGD(0.1, momentum=0.9),
    optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    optimizers.Momentum(),
    optimizers.Momentum(nesterov=False),
    optimizers.RMSProp(),
    optimizers.Adam(),
    optimizers.AdamHat(epsilon=0.1),
    optimizers.AdamW(),
]


@pytest.mark.parametrize("size", [1, 31, 33, 127, 1023])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
@pytest.mark.parametrize("decays", [False, True], ids=["no decay", "decay"])
def test_optimizer_steps(cuda, dtype, rng, size, optimizer, decays):
    theta = rng.normal(size=size)
    decay = np.where(rng.random(size) < 0.5, 0.1, 0.0) if decays else None
    state = {name: np.zeros(size) for name in optimizer.vectors}
    on_device = cuda.asarray(theta.astype(dtype))
    state_on_device = {name: cuda.zeros((size,), dtype) for name in optimizer.vectors}
    fused = kernels.fused(cuda, optimizer)
    for t, alpha in enumerate([0.01, 0.0, 0.02], 1):  # a rate of 0 still moves the means
        gradient = rng.normal(size=size).astype(dtype)
        optimizer.step(plain_xp, theta, gradient.astype("f8"), state, alpha, t, decay)
        fused.step(cuda.xp, on_device, cuda.asarray(gradient), state_on_device, alpha, t,
                   None if decay is None else cuda.asarray(decay.astype(dtype)))  # fmt: skip
    close(on_device, theta, dtype)
    for name, vector in state.items():
        close(state_on_device[name], vector, dtype)


@pytest.mark.parametrize("size", [1, 31, 33, 127, 1023, 100_003])
@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_clipping(cuda, dtype, rng, size, limit):
    gradient = rng.normal(size=size).astype(dtype)
    norm = np.sqrt((gradient.astype("f8") ** 2).sum())
    on_device = cuda.asarray(gradient)
    kernels.fused(cuda, optimizers.clip)(cuda.xp, on_device, limit)
    close(on_device, gradient * min(1.0, limit / norm), dtype)


@pytest.mark.parametrize("columns", [1, 33, 1023])
@pytest.mark.parametrize("data", ["uint8", "int64", "float32", "float64"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_gather_of_a_batch(cuda, dtype, rng, columns, data, scaled, order):
    X = np.asarray(rng.integers(0, 256, (50, columns)).astype(data), order=order)
    rows = rng.integers(0, 50, 33)
    gather = layers.Gather(np.dtype(dtype)).bind(cuda, (columns,), layers.Views({}, {}, {}, {}))
    (step,) = kernels.steps(cuda, (gather, layers.Scale(1 / 255)) if scaled else (gather,))
    factor = 1 / 255 if scaled else 1.0
    on_device = cuda.asarray(X) if order == "C" else cuda.asarray(X.T).T
    for chosen, expected in ((cuda.asarray(rows), X[rows].astype("f8")), (None, X.astype("f8"))):
        A, cache = step.forward((on_device, chosen))
        assert A.dtype == dtype
        close(A, expected * factor, dtype)
        close(step.backward(A, cache), expected * factor * factor, dtype)


def test_a_layer_of_ones_own_keeps_its_lines(cuda):
    class ReLU(layers.ReLU):
        pass

    class Dense(layers.Dense):
        pass

    chain = (Dense(3), ReLU())
    assert kernels.steps(cuda, chain) == chain
    mine = SimpleNamespace(step=None)
    assert kernels.fused(cuda, mine) is mine


def test_whole_trainings_agree_with_the_plain_lines(cuda, dtype, rng, monkeypatch):
    import mechanet as mn

    x, y = rng.normal(size=(200, 7)).astype(dtype), rng.integers(0, 4, 200)

    def train():
        chain = [mn.Scale(0.5), mn.Dense(9), mn.GELU(), mn.Dropout(0.2), mn.Dense(8), mn.ReLU(), mn.Dense(4)]
        net = mn.Network(chain, input_shape=(7,), dtype=dtype, device="cuda", seed=1)
        training = mn.Training(net, x, y, optimizer=mn.AdamW(0.01), gradient_clip=0.5, batch_size=33, seed=2,
                               validation=(x[:50], y[:50]))  # fmt: skip
        return net, [(e.loss, e.accuracy, e.validation_loss) for e in training.epochs(3)]

    fused, history = train()
    monkeypatch.setattr(kernels, "_forms", lambda backend: None)
    plain, plain_history = train()
    assert len(fused.chain.steps) < len(plain.chain.steps)
    np.testing.assert_allclose(history, plain_history, rtol=1e-4)
    close(fused.parameters, plain.parameters.get(), dtype, 50)
