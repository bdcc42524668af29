"""The words of an explanation: each formula, taken at its word, gives the numbers that stand beside it."""

from dataclasses import fields

import numpy as np
import pytest

import mechanet as mn
from mechanet.losses import LOSSES
from mechanet.optimizers import OPTIMIZERS
from mechanet.schedules import Exponential


def σ(Z):
    return 1.0 / (1.0 + np.exp(-Z))


def gelu(Z):
    return np.tanh(np.sqrt(2 / np.pi) * (Z + 0.044715 * Z**3))


# What the words mean. A name that Python lacks: β1 is β₁.
LAYERS = {
    "Z = X W + b": lambda X, W, b, **_: X @ W + b,
    "Z = X W": lambda X, W, **_: X @ W,
    "A = max(Z, 0)": lambda Z, **_: np.maximum(Z, 0),
    "A = max(Z, slope Z)": lambda Z, slope, **_: np.maximum(Z, slope * Z),
    "A = Z if Z > 0 else alpha (exp(Z) - 1)": lambda Z, alpha, **_: np.where(Z > 0, Z, alpha * (np.exp(Z) - 1)),
    "A = ½ Z (1 + tanh(√(2/π) (Z + 0.044715 Z³)))": lambda Z, **_: Z / 2 * (1 + gelu(Z)),
    "A = Z σ(Z)": lambda Z, **_: Z * σ(Z),
    "A = 1 / (1 + exp(-Z))": lambda Z, **_: 1 / (1 + np.exp(-Z)),
    "A = tanh(Z)": lambda Z, **_: np.tanh(Z),
    "A = log(1 + exp(Z))": lambda Z, **_: np.log(1 + np.exp(Z)),
    "A = X ∘ M": lambda X, M, **_: X * M,
    "A = factor X": lambda X, factor, **_: factor * X,
    "A = X, reshaped": lambda X, **_: X,
    "dW = Xᵀ dZ": lambda X, dZ, **_: X.T @ dZ,
    "db = Σ_rows dZ": lambda dZ, **_: dZ.sum(axis=0),
    "dX = dZ Wᵀ": lambda dZ, W, **_: dZ @ W.T,
    "dZ = dA where Z > 0, else 0": lambda dA, Z, **_: np.where(Z > 0, dA, 0),
    "dZ = dA where Z > 0, else slope dA": lambda dA, Z, slope, **_: np.where(Z > 0, dA, slope * dA),
    "dZ = dA where Z > 0, else dA (A + alpha)": lambda dA, Z, A, alpha, **_: np.where(Z > 0, dA, dA * (A + alpha)),
    "dZ = dA (½ (1 + t) + ½ Z (1 - t²) √(2/π) (1 + 3 · 0.044715 Z²)), t = tanh(√(2/π) (Z + 0.044715 Z³))":
        lambda dA, Z, **_: dA * ((1 + gelu(Z)) / 2
                                 + Z / 2 * (1 - gelu(Z) ** 2) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * Z**2)),
    "dZ = dA σ(Z) (1 + Z (1 - σ(Z)))": lambda dA, Z, **_: dA * σ(Z) * (1 + Z * (1 - σ(Z))),
    "dZ = dA A (1 - A)": lambda dA, A, **_: dA * A * (1 - A),
    "dZ = dA (1 - A²)": lambda dA, A, **_: dA * (1 - A**2),
    "dZ = dA σ(Z)": lambda dA, Z, **_: dA * σ(Z),
    "dX = dA ∘ M": lambda dA, M, **_: dA * M,
    "dX = factor dA": lambda dA, factor, **_: factor * dA,
    "dX = dA, reshaped": lambda dA, **_: dA,
}  # fmt: skip
LOSS = {
    "P = softmax(Z)": lambda Z, **_: np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True),
    "P = σ(Z)": lambda Z, **_: σ(Z),
    "P = Z": lambda Z, **_: Z,
    "P = exp(Z)": lambda Z, **_: np.exp(Z),
    "L = -Σ_i c_i Σ_k T_ik log P_ik": lambda T, P, c, **_: -np.sum(c * T * np.log(P)),
    "L = -Σ_i c_i Σ_k (T log P + (1 - T) log(1 - P))":
        lambda T, P, c, **_: -np.sum(c * (T * np.log(P) + (1 - T) * np.log(1 - P))),
    "L = Σ_i c_i Σ_k ½ (Z - T)²": lambda T, Z, c, **_: np.sum(c * 0.5 * (Z - T) ** 2),
    "L = Σ_i c_i Σ_k (P - T Z + T log T - T)": lambda T, Z, P, c, **_: np.sum(c * (P - T * Z + T * np.log(T) - T)),
    "L = Σ_i c_i Σ_k Q (D - ½ Q), Q = D cut to [-δ, δ], D = Z - T":
        lambda T, Z, δ, c, **_: np.sum(c * np.clip(Z - T, -δ, δ) * (Z - T - np.clip(Z - T, -δ, δ) / 2)),
    "dZ = c (P - T)": lambda T, P, c, **_: c * (P - T),
    "dZ = c (Z - T)": lambda T, Z, c, **_: c * (Z - T),
    "dZ = c Q": lambda T, Z, δ, c, **_: c * np.clip(Z - T, -δ, δ),
}  # fmt: skip
UPDATE = {
    "dθ ← dθ + λ θ (weights)": lambda θ, dθ, λ, **_: {"dθ": dθ + λ * θ},
    "θ ← θ - α λ θ (weights)": lambda θ, α, λ, **_: {"θ": θ - α * λ * θ},
    "θ ← θ - α dθ": lambda θ, dθ, α, **_: {"θ": θ - α * dθ},
    "u ← μ u + dθ": lambda u, dθ, μ, **_: {"u": μ * u + dθ},
    "θ ← θ - α u": lambda θ, u, α, **_: {"θ": θ - α * u},
    "θ ← θ - α (dθ + μ u)": lambda θ, dθ, u, α, μ, **_: {"θ": θ - α * (dθ + μ * u)},
    "v ← μ v - α dθ": lambda v, dθ, α, μ, **_: {"v": μ * v - α * dθ},
    "θ ← θ + v": lambda θ, v, **_: {"θ": θ + v},
    "θ ← θ + μ v - α dθ": lambda θ, v, dθ, α, μ, **_: {"θ": θ + μ * v - α * dθ},
    "v ← ρ v + (1 - ρ) dθ²": lambda v, dθ, ρ, **_: {"v": ρ * v + (1 - ρ) * dθ**2},
    "θ ← θ - α dθ / (√v + ε)": lambda θ, dθ, v, α, ε, **_: {"θ": θ - α * dθ / (np.sqrt(v) + ε)},
    "s ← β₁ s + dθ, m = (1 - β₁) s": lambda s, dθ, β1, **_: {"s": β1 * s + dθ, "m": (1 - β1) * (β1 * s + dθ)},
    "r ← β₂ r + dθ², v = (1 - β₂) r": lambda r, dθ, β2, **_: {"r": β2 * r + dθ**2, "v": (1 - β2) * (β2 * r + dθ**2)},
    "θ ← θ - α (m / (1 - β₁ᵗ)) / (√(v / (1 - β₂ᵗ)) + ε)":
        lambda θ, m, v, α, β1, β2, ε, t, **_: {"θ": θ - α * (m / (1 - β1**t)) / (np.sqrt(v / (1 - β2**t)) + ε)},
    "θ ← θ - α √(1 - β₂ᵗ) / (1 - β₁ᵗ) m / (√v + ε)":
        lambda θ, m, v, α, β1, β2, ε, t, **_:
            {"θ": θ - α * np.sqrt(1 - β2**t) / (1 - β1**t) * m / (np.sqrt(v) + ε)},
}  # fmt: skip


def holds(step, words, values):
    np.testing.assert_allclose(step.values, np.reshape(words(**values), step.shape), rtol=1e-10, atol=1e-15)


def test_the_formulas_of_layers_are_what_was_computed(rng):
    """Forward and backward of every layer; in an activation, what comes in is called Z."""
    layers = [
        mn.Scale(2.0), mn.Dense(6), mn.ReLU(), mn.Dense(6), mn.LeakyReLU(0.2), mn.ELU(0.7), mn.GELU(), mn.SiLU(),
        mn.Dropout(0.4), mn.Sigmoid(), mn.Reshape((2, 3)), mn.Tanh(), mn.Softplus(), mn.Flatten(),
        mn.Dense(3, bias=False),
    ]  # fmt: skip
    net = mn.Network(layers, (4,), "squared_error", "float64", seed=1)
    told = mn.explain(net, rng.normal(size=(5, 4)), rng.normal(size=(5, 3)), masks=(1, 1, 1), check=False)
    values = [{field.name: getattr(layer, field.name) for field in fields(layer)} for layer in net.layers]
    said, flow = set(), told["X"]
    for step in told.forward[1:]:
        own = values[step.layer]
        if step.formula in LAYERS:
            own |= {"X": flow, "Z": flow, "A": step.values}
            holds(step, LAYERS[step.formula], own)
            flow = step.values
            said.add(step.formula)
        else:  # W, b and M, which are as they are
            own[step.symbol] = step.values
    flow = told["dZ"]
    for step in told.backward:
        own = values[step.layer]
        if step.same_as:
            np.testing.assert_array_equal(step.values, flow)
            own[step.symbol] = flow
            continue
        formula = step.formula.partition("; at the kink")[0].partition(", since")[0]
        holds(step, LAYERS[formula], own)
        said.add(formula)
        if step.symbol in ("dX", "dZ"):
            flow = step.values
    assert said == set(LAYERS)


@pytest.mark.parametrize("name", LOSSES)
def test_the_formulas_of_losses_are_what_was_computed(name, rng):
    loss = mn.Huber(0.5) if name == "huber" else name
    net = mn.Network([mn.Dense(3)], (4,), loss, "float64", seed=1)
    T = rng.random((5, 3)) / 3.0
    T[:, 2] = 1.0 - T[:, 0] - T[:, 1]  # probabilities, which every loss takes
    told = mn.explain(net, rng.normal(size=(5, 4)), T, sample_weight=rng.random(5), check=False)
    c = told["c"][:, None]
    values = {"Z": told[0, "Z"], "T": T, "c": c, "δ": 0.5}
    said = {step.symbol for step in told.loss if step.formula in LOSS}
    assert said == {"P", "L", "dZ"}
    assert c.sum() == pytest.approx(1.0)
    for step in told.loss:
        if step.formula in LOSS:
            holds(step, LOSS[step.formula], values)
            values[step.symbol] = step.values


CASES = [
    (mn.SGD(0.1), "α = 0.05, t = 2"),
    (mn.SGD(0.1, 0.9, weight_decay=0.2), "α = 0.05, μ = 0.9, λ = 0.2, t = 2"),
    (mn.SGD(0.1, 0.9, True), "α = 0.05, μ = 0.9, t = 2"),
    (mn.Momentum(0.1, 0.8), "α = 0.05, μ = 0.8, t = 2"),
    (mn.Momentum(0.1, 0.8, nesterov=False), "α = 0.05, μ = 0.8, t = 2"),
    (mn.RMSProp(0.1, 0.9, 0.01), "α = 0.05, ρ = 0.9, ε = 0.01, t = 2"),
    (mn.Adam(0.1, 0.8, 0.9, 0.01, 0.2), "α = 0.05, β₁ = 0.8, β₂ = 0.9, ε = 0.01, λ = 0.2, t = 2"),
    (mn.AdamHat(0.1, 0.8, 0.9, 0.01), "α = 0.05, β₁ = 0.8, β₂ = 0.9, ε = 0.01, t = 2"),
    (mn.AdamW(0.1, 0.8, 0.9, 0.01, 0.2), "α = 0.05, β₁ = 0.8, β₂ = 0.9, ε = 0.01, λ = 0.2, t = 2"),
]


def test_every_optimizer_is_taken_at_its_word():
    assert {type(optimizer) for optimizer, _ in CASES} == set(OPTIMIZERS.values())


@pytest.mark.parametrize(("optimizer", "settings"), CASES, ids=[repr(optimizer) for optimizer, _ in CASES])
def test_the_formulas_of_an_update_are_what_was_computed(optimizer, settings, rng):
    """The second of three steps, where the vectors are no longer 0 and the schedule has halved α: 0.25 ** ½."""
    net = mn.Network([mn.Dense(3), mn.Tanh(), mn.Dense(1)], (2,), "squared_error", "float64", seed=1)
    x, y = rng.normal(size=(6, 2)), rng.normal(size=6)
    training = mn.Training(net, x, y, optimizer=optimizer, schedule=Exponential(0.25), batch_size=None)
    first = mn.explain(net, x, y, training=training, check=False)
    next(training.epochs(3))
    told = mn.explain(net, x, y, training=training, check=False)
    assert told.notes["settings"] == settings
    values = {step.symbol.removesuffix("_new"): step.values for step in first.update if step.layer is None}
    values |= {"θ": told["θ"], "dθ": told["dθ"], "λ": np.repeat([optimizer.weight_decay, 0.0] * 2, [6, 3, 3, 1])}
    numbers = dict(setting.split(" = ") for setting in settings.replace("₁", "1").replace("₂", "2").split(", "))
    values = {symbol: float(number) for symbol, number in numbers.items()} | values
    for line in told.notes["update"].split("; "):
        values |= UPDATE[line](**values)
    for step in told.update:
        if step.layer is None and step.symbol.endswith("_new"):
            np.testing.assert_allclose(step.values, values[step.symbol.removesuffix("_new")], rtol=1e-10, atol=1e-15)


def test_what_is_your_own_is_told_in_your_words():
    def square(xp, Z):
        return Z * Z

    def documented(xp, dA, Z, A):
        """dZ = 2 dA Z.

        More about it.
        """
        return 2.0 * dA * Z

    class Quiet(mn.ReLU):
        pass

    layers = [
        mn.Dense(2), mn.Activation(square, documented), mn.Activation(square, lambda xp, dA, Z, A: 2.0 * dA * Z),
        Quiet(), mn.Dense(1),
    ]  # fmt: skip
    told = mn.explain(mn.Network(layers, (2,), "squared_error"), [[1.0, 2.0]], [1.0])
    words = {step.layer: step.formula for step in told.backward if step.symbol == "dZ" and not step.same_as}
    assert words == {
        1: "dZ = 2 dA Z",
        2: "dZ = dA ∘ f'(Z)",
        3: "dZ = dA where Z > 0, else 0; at the kink Z = 0 the derivative is taken as 0",
    }
