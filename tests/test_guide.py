"""The guide, followed: one piece of each kind that docs/architecture.md tells how to add, made here and used everywhere.

Each trains, passes the gradient check, explains itself, is drawn, saved, loaded and resumed, on every place and with and
without compiled loops; what is not registered is refused when it is saved.
"""

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import mechanet as mn
from mechanet.initializers import HeNormal, Initializer, Zeros
from mechanet.layers import ActivationLayer, Composite, Parameter, Statistic
from mechanet.schedules import Schedule
from mechanet.training import Training


def mish(xp, Z):
    return Z * xp.tanh(xp.log1p(xp.exp(-xp.abs(Z))) + xp.maximum(Z, xp.zeros_like(Z)))


def mish_backward(xp, dA, Z, A):
    """dZ = dA (t + Z (1 - t²) σ(Z)), t = tanh(softplus(Z))."""
    t = xp.tanh(xp.log1p(xp.exp(-xp.abs(Z))) + xp.maximum(Z, xp.zeros_like(Z)))
    return dA * (t + Z * (1.0 - t * t) * mn.losses.sigmoid(xp, Z))


@dataclass
class OwnMish(ActivationLayer):
    formula: ClassVar[str] = "A = Z tanh(log(1 + exp(Z)))"
    pair = (mish, mish_backward)


@dataclass(frozen=True)
class OwnLogCosh(mn.Loss):
    name: ClassVar[str] = "own_log_cosh"
    formula = ("P = Z", "L = Σ_i c_i Σ_k log cosh(Z - T)", "dZ = c tanh(Z - T)")

    def check_targets(self, y, outputs):
        return y.reshape(-1, outputs).astype("float64"), None

    def __call__(self, xp, Z, T, c):
        D = Z - T
        losses = xp.abs(D) + xp.log1p(xp.exp(-2.0 * xp.abs(D))) - math.log(2.0)
        return xp.vecdot(c, xp.sum(losses, axis=1)), c[:, None] * xp.tanh(D)


@dataclass(frozen=True)
class OwnLion(mn.Optimizer):
    learning_rate: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.99

    @property
    def vectors(self):
        return ("m",)

    def step(self, xp, theta, gradient, state, alpha, t, decay=None):
        m = state["m"]
        theta -= alpha * (2.0 * xp.astype(self.beta1 * m + (1.0 - self.beta1) * gradient > 0.0, m.dtype) - 1.0)
        m *= self.beta2
        m += (1.0 - self.beta2) * gradient

    def formulas(self):
        return ["θ ← θ - α sign(β₁ m + (1 - β₁) dθ)", "m ← β₂ m + (1 - β₂) dθ"]


@dataclass(frozen=True)
class OwnTriangle(Schedule):
    peak: float = 0.5

    def __call__(self, progress):
        return progress / self.peak if progress < self.peak else (1.0 - progress) / (1.0 - self.peak)


@dataclass(frozen=True)
class OwnSigns(Initializer):
    size: float = 0.3

    def __call__(self, rng, shape, n_in, n_out):
        return self.size * np.sign(rng.normal(size=shape))


@dataclass
class OwnOffset(mn.Layer):
    """A = X + o, with o trained."""

    formula: ClassVar[str] = "A = X + o"

    def parameters_for(self, input_shape):
        return {"o": Parameter(input_shape, Zeros(), (1, 1), decays=False)}

    def forward(self, X, training=None):
        return X + self.o, None

    def backward(self, dA, cache, input_gradient=True):
        self.do[...] = self.xp.sum(dA, axis=0)
        return dA


@dataclass
class OwnNoise(mn.Layer):
    """A = X (1 + size U) in training, U from (-½, ½)."""

    formula: ClassVar[str] = "A = X ∘ (1 + size U)"

    size: float = 0.5

    def forward(self, X, training=None):
        if training is None:
            return X, None
        U = 1.0 + self.size * self.backend.asarray(training.uniform(self, tuple(X.shape)) - 0.5, X.dtype)
        return X * U, U

    def backward(self, dA, cache, input_gradient=True):
        return dA if cache is None else dA * cache


@dataclass
class OwnPointwise(mn.Layer):
    """Z = X W + b at every place of (m, height, width, channels)."""

    formula: ClassVar[str] = "Z = X W + b, at every place"
    symbols: ClassVar[tuple[str, str]] = ("X", "Z")

    units: int

    def output_shape_for(self, input_shape):
        return (*input_shape[:-1], self.units)

    def parameters_for(self, input_shape):
        fans = (input_shape[-1], self.units)
        return {"W": Parameter(fans, HeNormal(), fans), "b": Parameter((self.units,), Zeros(), fans, decays=False)}

    def forward(self, X, training=None):
        return X @ self.W + self.b, X

    def backward(self, dZ, cache, input_gradient=True):
        xp, X = self.xp, cache
        self.dW[...] = xp.reshape(X, (-1, X.shape[-1])).T @ xp.reshape(dZ, (-1, self.units))
        self.db[...] = xp.sum(xp.reshape(dZ, (-1, self.units)), axis=0)
        return dZ @ self.W.T


@dataclass
class OwnResidual(Composite):
    """A = f(X) + X."""

    formula: ClassVar[str] = "A = f(X) + X"

    def forward(self, X, training=None):
        A, caches = super().forward(X, training)
        return A + X, caches

    def backward(self, dA, cache, input_gradient=True):
        return super().backward(dA, cache) + dA


@dataclass
class OwnCentre(mn.Layer):
    """A = X - the mean of the batch in training, of the batches before in prediction."""

    formula: ClassVar[str] = "A = X - mean"

    def statistics_for(self, input_shape):
        return {"mean": Statistic(input_shape, share=0.2)}

    def forward(self, X, training=None):
        mean = self.mean if training is None else self.xp.mean(X, axis=0)
        return X - mean, (mean, training is not None)

    def backward(self, dA, cache, input_gradient=True):
        self.observed_mean[...] = cache[0]
        return dA - self.xp.mean(dA, axis=0) if cache[1] else dA


PIECES = [OwnMish, OwnLogCosh, OwnLion, OwnTriangle, OwnSigns, OwnOffset, OwnNoise, OwnPointwise, OwnResidual, OwnCentre]


@dataclass(frozen=True)
class Used:
    """A piece in a network and a training."""

    layers: tuple = (mn.Dense(5), mn.Tanh(), mn.Dense(3))
    input_shape: tuple = (4,)
    loss: object = "cross_entropy"
    optimizer: object = mn.Adam(0.05)
    schedule: object = None

    def network(self, **options):
        return mn.Network(list(self.layers), self.input_shape, self.loss, seed=2, **options)

    def training(self, net, x, y):
        return Training(net, x, y, optimizer=self.optimizer, schedule=self.schedule, batch_size=10, seed=4)


USED = {
    OwnMish: Used((mn.Dense(5), OwnMish(), mn.Dense(3))),
    OwnLogCosh: Used(loss=OwnLogCosh()),
    OwnLion: Used(optimizer=OwnLion()),
    OwnTriangle: Used(schedule=OwnTriangle(0.3)),
    OwnSigns: Used((mn.Dense(5, OwnSigns()), mn.Tanh(), mn.Dense(3))),
    OwnOffset: Used((mn.Dense(5), OwnOffset(), mn.Tanh(), mn.Dense(3))),
    OwnNoise: Used((OwnNoise(), mn.Dense(5), mn.Tanh(), OwnNoise(), mn.Dense(3))),
    OwnPointwise: Used((OwnPointwise(3), mn.Tanh(), OwnPointwise(2), mn.Flatten(), mn.Dense(3)), (2, 2, 1)),
    OwnResidual: Used((mn.Dense(5), OwnResidual([mn.Dense(5), mn.ReLU(), mn.Dense(5)]), mn.ReLU(), mn.Dense(3))),
    OwnCentre: Used((mn.Dense(5), OwnCentre(), mn.Tanh(), mn.Dense(3))),
}


@pytest.fixture(params=PIECES, ids=lambda piece: piece.__name__)
def used(request):
    mn.register(request.param)
    return USED[request.param]


def data(used, place):
    """Thirty rows of three clouds, which a few epochs tell apart."""
    rng = np.random.default_rng(3)
    labels = np.arange(30) % 3
    x = rng.normal(size=(30, *used.input_shape)) + labels.reshape(-1, *[1] * len(used.input_shape))
    return place.asarray(x, "float32"), np.eye(3)[labels] if isinstance(used.loss, OwnLogCosh) else labels


def test_each_kind_has_a_piece():
    assert list(USED) == PIECES


def follow(used, place, tmp_path):
    """What the guide promises."""
    x, y = data(used, place)
    net = used.network(**place.options)
    training = used.training(net, x, y)
    losses = [epoch.loss for epoch in training.epochs(12)]
    assert losses[-1] < 0.8 * losses[0], losses

    for masks in (None, 5):
        report = mn.check_gradients(net, x, y, dropout_seed=masks)
        assert report, f"\n{report}"
    explanation = mn.explain(net, x, y, training=training)
    assert explanation.passed, str(explanation)
    assert type(used.optimizer).__name__ in str(explanation)

    net.save(tmp_path / "net.safetensors")
    loaded = mn.Network.load(tmp_path / "net.safetensors", **place.options)
    np.testing.assert_array_equal(place.to_host(loaded.forward(x)), place.to_host(net.forward(x)))
    assert loaded.config() == net.config()

    whole, part = (used.training(used.network(**place.options), x, y) for _ in range(2))
    list(whole.epochs(3))
    steps = itertools.count(1)
    list(part.epochs(3, on_step=lambda training: training.stop() if next(steps) == 4 else None))
    part.save(tmp_path / "state.safetensors")
    again = Training.resume(tmp_path / "state.safetensors", x, y, **place.options)
    list(again.epochs())
    np.testing.assert_array_equal(place.to_host(again.network.parameters), place.to_host(whole.network.parameters))
    assert [epoch.loss for epoch in again.history] == [epoch.loss for epoch in whole.history]


def test_the_guide_is_followed(used, place, tmp_path):
    follow(used, place, tmp_path)


@pytest.mark.usefixtures("loops")
def test_the_guide_is_followed_with_and_without_loops(used, tmp_path):
    from conftest import _place

    follow(used, _place("numpy"), tmp_path)


def test_each_piece_is_drawn(used, tmp_path):
    pytest.importorskip("matplotlib")
    from conftest import _place

    x, y = data(used, _place("numpy"))
    net = used.network()
    history = mn.fit(net, x, y, epochs=2, optimizer=used.optimizer, schedule=used.schedule, progress=False)
    figures = [mn.plots.network(net), mn.plots.network(net, x), mn.plots.history(history), mn.plots.activations(net, x),
               mn.plots.gradients(net, x, y), mn.plots.weights(net)]  # fmt: skip
    for number, figure in enumerate(figures):
        figure.savefig(tmp_path / f"{number}.png")
    assert net.summary().count("\n") >= len(net.layers)
    assert type(net.layers[0]).__name__ in repr(net)
    mn.explain(net, x[:1], y[:1]).to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 5000


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.__name__)
def test_what_is_not_registered_is_refused_when_it_is_saved(piece, tmp_path):
    from conftest import _place

    used = USED[piece]
    x, y = data(used, _place("numpy"))
    training = used.training(used.network(), x, y)
    list(training.epochs(1))
    with pytest.raises(ValueError, match=f"{piece.__name__}, which is not registered. Put @mechanet.register above"):
        training.save(tmp_path / "state.safetensors")
    if piece not in (OwnLion, OwnTriangle):
        with pytest.raises(ValueError, match="a file holds names and options, never code"):
            training.network.save(tmp_path / "net.safetensors")
    assert list(tmp_path.iterdir()) == []
