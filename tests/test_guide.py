"""Follows the guide of docs/architecture.md, "How to add something", for what stands in a user's own file.

Each, under a name that no class of ours will have, is made as the guide says, trained, checked, explained, saved (which
is refused until it is registered), loaded and resumed.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import mechanet as mn
from mechanet.backend import cpu_loops
from mechanet.initializers import Initializer
from mechanet.schedules import Schedule


def mish(xp, Z):
    """A = Z tanh(log(1 + exp(Z)))."""
    return Z * xp.tanh(mn.activations.softplus(xp, Z))


def mish_backward(xp, dA, Z, A):
    """dZ = dA (t + Z σ(Z) (1 - t²)), t = tanh(log(1 + exp(Z)))."""
    t = xp.tanh(mn.activations.softplus(xp, Z))
    return dA * (t + Z * mn.activations.sigmoid(xp, Z) * (1.0 - t * t))


@dataclass
class OwnMish(mn.layers.ActivationLayer):
    """Misra (2019), equation 1."""

    formula: ClassVar[str] = "A = Z tanh(log(1 + exp(Z)))"
    pair = (mish, mish_backward)


@dataclass(frozen=True)
class OwnLogCosh(mn.Loss):
    """log cosh of the error, which is ½ D² near 0 and |D| - log 2 far from it."""

    name: ClassVar[str] = "own_log_cosh"
    formula = ("P = Z", "L = Σ_i c_i Σ_k log cosh(Z - T)", "dZ = c tanh(Z - T)")

    def check_targets(self, y, outputs):
        return y.reshape(-1, outputs), None

    def __call__(self, xp, Z, T, c):
        D = Z - T
        losses = xp.abs(D) + xp.log1p(xp.exp(-2.0 * xp.abs(D))) - math.log(2.0)
        return xp.vecdot(c, xp.sum(losses, axis=1)), c[:, None] * xp.tanh(D)


@dataclass(frozen=True)
class OwnAdaGrad(mn.Optimizer):
    """Duchi, Hazan and Singer (2011), figure 1 with diagonal matrices."""

    learning_rate: float = 0.01
    epsilon: float = 1e-8

    @property
    def vectors(self):
        return ("v",)

    def step(self, xp, theta, gradient, state, alpha, t, decay=None):
        v = state["v"]
        v += gradient * gradient
        theta -= alpha * gradient / (xp.sqrt(v) + self.epsilon)

    def formulas(self):
        return ["v ← v + dθ²", "θ ← θ - α dθ / (√v + ε)"]


@dataclass(frozen=True)
class OwnLinear(Schedule):
    """Falls in a straight line to `final`."""

    final: float = 0.0

    def __call__(self, progress):
        return 1.0 + (self.final - 1.0) * progress


@dataclass(frozen=True)
class OwnCheckered(Initializer):
    """size and -size in turn."""

    size: float = 0.1

    def __call__(self, rng, shape, n_in, n_out):
        return self.size * (1.0 - 2.0 * (np.indices(shape).sum(axis=0) % 2))


# What is one's own, what its explanation says, and the class that a file wants to know.
GUIDE = {
    "an activation": ({"activation": OwnMish()}, "A = Z tanh(log(1 + exp(Z)))", OwnMish),
    "an activation's slope": ({"activation": OwnMish()}, "dZ = dA (t + Z σ(Z) (1 - t²))", OwnMish),
    "a loss": ({"loss": OwnLogCosh()}, "Σ_i c_i Σ_k log cosh(Z - T)", OwnLogCosh),
    "an optimizer": ({"optimizer": OwnAdaGrad()}, "v ← v + dθ²; θ ← θ - α dθ / (√v + ε)", OwnAdaGrad),
    "a schedule": ({"schedule": OwnLinear(0.1)}, "α = 0.1, t = 1", OwnLinear),
    "an initializer": ({"initializer": OwnCheckered(0.2)}, "W, as it is", OwnCheckered),
}


@pytest.fixture(params=["with loops", "without"])
def loops(request, place, monkeypatch):
    """NumPy with its loops in C and without; a place without loops once."""
    if request.param == "without":
        if place.name != "numpy" or not cpu_loops.LOOPS:
            pytest.skip("there are no loops to do without")
        monkeypatch.setattr(cpu_loops, "LOOPS", {})


@pytest.mark.parametrize("name", GUIDE)
@pytest.mark.usefixtures("loops")
def test_what_the_guide_adds_does_all_that_ours_does(name, place, tmp_path):
    own, said, kind = GUIDE[name]
    rng = np.random.default_rng(4)
    x, y = place.asarray(rng.normal(size=(40, 3)), "float32"), rng.normal(size=(40, 2))
    options = {"activation": mn.Tanh(), "loss": "squared_error", "optimizer": mn.SGD(0.1), "schedule": None,
               "initializer": "he_normal"} | own  # fmt: skip
    layers = [mn.Dense(5, options["initializer"]), options["activation"], mn.Dense(2)]
    net = mn.Network(layers, (3,), options["loss"], seed=2, **place.options)
    training = mn.Training(
        net, x, y, optimizer=options["optimizer"], schedule=options["schedule"], batch_size=16, seed=1
    )

    report = mn.check_gradients(net, x, y)
    assert report, str(report)
    explanation = mn.explain(net, x, y, training=training)
    assert explanation.passed
    assert said in str(explanation)
    with pytest.raises(ValueError, match=f"{kind.__name__}, which is not registered"):
        training.save(tmp_path / "state")

    mn.register(kind)
    before = net.evaluate(x, y)["loss"]
    for epoch in training.epochs(3):
        if epoch.number == 2:
            training.save(tmp_path / "state")
    assert net.evaluate(x, y)["loss"] < before
    net.save(tmp_path / "net")
    loaded = mn.Network.load(tmp_path / "net", **place.options)
    assert loaded.config() == net.config()
    np.testing.assert_array_equal(place.to_host(loaded.forward(x)), place.to_host(net.forward(x)))
    resumed = mn.Training.resume(tmp_path / "state", x, y, **place.options)
    list(resumed.epochs())
    np.testing.assert_array_equal(place.to_host(resumed.network.parameters), place.to_host(net.parameters))


def test_the_guides_table_names_what_there_is():
    """Every class of ours that a table lists has what the guide says it has."""
    for kind in mn.layers.ACTIVATIONS.values():
        assert len(kind.pair) == 2
        assert kind.formula.startswith("A = ")
        assert kind.pair[1].__doc__.startswith("dZ = ")
    for kind in mn.losses.LOSSES.values():
        assert [line.partition(" = ")[0] for line in kind.formula] == ["P", "L", "dZ"]
        assert ("labels" in vars(kind) and "truth" in vars(kind)) == kind.classifies
    for kind in mn.optimizers.OPTIMIZERS.values():
        assert kind.formulas is not mn.Optimizer.formulas
        assert kind().formulas()[-1].startswith("θ ← ")
