"""The formulas in words are those of the code: each is read, computed with plain NumPy, and held against the code."""

import re
from dataclasses import dataclass, replace
from typing import ClassVar

import formulas
import numpy as np
import pytest

import mechanet as mn
from mechanet.explain.formulas import backward_formula, loss_formulas, settings, update_formulas
from mechanet.layers import ACTIVATIONS
from mechanet.losses import LOSSES
from mechanet.optimizers import OPTIMIZERS

# Options in numbers that show, where the usual ones do not: ε beside √v, and both terms of each mean.
SHOWN = {"beta1": 0.8, "beta2": 0.6, "epsilon": 0.1, "rho": 0.7, "momentum": 0.6}
CASES = [
    *(kind(**{name: value for name, value in SHOWN.items() if name in kind.__dataclass_fields__})
      for kind in OPTIMIZERS.values()),
    mn.SGD(), mn.SGD(momentum=0.6, nesterov=True), mn.Momentum(momentum=0.6, nesterov=False),
]  # fmt: skip
POINTS = np.array([[-2.5, -1.0, -0.25, 0.5], [1.0, 2.0, 0.125, -0.75]])


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("optimizer", CASES, ids=repr)
def test_an_optimizers_lines_are_its_step(optimizer, decay, rng):
    optimizer = replace(optimizer, weight_decay=decay)
    theta = rng.normal(size=6)
    state = {name: np.zeros(6) for name in optimizer.vectors}
    names = {optimizer.symbols[name]: value for name, value in vars(optimizer).items() if name in optimizer.symbols}
    names |= {"θ": theta.copy(), "α": 0.05} | {name: np.zeros(6) for name in optimizer.vectors}
    for t in (1, 2, 3):
        gradient = rng.normal(size=6)
        optimizer.step(np, theta, gradient, state, 0.05, t, np.full(6, decay) if decay else None)
        names |= {"dθ": gradient, "t": t}
        for line in update_formulas(optimizer, clip=None):
            formulas.run(line, names)
        np.testing.assert_allclose(names["θ"], theta, rtol=1e-12)
        for name, vector in state.items():
            np.testing.assert_allclose(names[name], vector, rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
def test_a_losss_lines_are_what_it_computes(loss, rng):
    Z, T = rng.normal(size=(5, 3)), rng.random((5, 3))
    T /= T.sum(axis=1, keepdims=True)  # good for every loss
    c = rng.random(5)
    names = {"Z": Z, "T": T, "c": c[:, None], "δ": getattr(loss(), "delta", None)}
    link, value, slope = loss_formulas(loss(), "Z")
    formulas.run(link, names)
    np.testing.assert_allclose(names["P"], loss.link(np, Z), rtol=1e-12)
    expected, dZ = loss()(np, Z, T, c)
    assert formulas.value(value.removeprefix("L = "), names) == pytest.approx(float(expected), rel=1e-12)
    _, comma, definitions = value.partition(", ")  # the gradient's as well
    slope = formulas.value(slope.removeprefix("dZ = ") + comma + definitions, names)
    np.testing.assert_allclose(slope, dZ, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activations_formulas_are_what_it_computes(name):
    layer, dA = ACTIVATIONS[name](), np.linspace(-1.0, 2.0, 8).reshape(2, 4)
    forward, backward = layer.pair
    A = forward(np, POINTS, **layer.options())
    names = {"Z": POINTS, "dA": dA, **layer.options()}
    formulas.run(layer.formula, names)
    np.testing.assert_allclose(names["A"], A, rtol=1e-12, atol=1e-15)
    formula = backward_formula(layer, "dZ").removeprefix("dZ = ")
    slope = formulas.value(re.split(r"; |, since ", formula)[0], names)  # behind that stands the reason
    np.testing.assert_allclose(slope, backward(np, dA, POINTS, A, **layer.options()), rtol=1e-12, atol=1e-15)


# --- the reader, shown what is wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a ← 2 b c", 12.0), ("a ← b / c d", 2.0 / 3.0 * 5.0), ("a ← ½ b² - c", -1.0), ("a ← √(b + 2) √c²", 6.0),
        ("a ← -log c", -np.log(3.0)), ("a ← β₁ᵗ", 0.25), ("a ← b - c - d", -6.0), ("a = max(b, c) · 2", 6.0),
        ("e ← b + 1, a = e d", 15.0), ("a ← b if b > c else d", 5.0), ("a ← d cut to [-c, c]", 3.0),
    ],
)  # fmt: skip
def test_a_formula_is_read_as_on_paper(line, expected):
    names = {"b": 2.0, "c": 3.0, "d": 5.0, "β₁": 0.5, "t": 2}
    formulas.run(line, names)
    assert names["a"] == pytest.approx(expected, rel=1e-15)


def test_definitions_may_follow():
    assert formulas.value("e d, e = c - f, f = 1", {"c": 3.0, "d": 5.0}) == 10.0


@pytest.mark.parametrize("line", ["a ← b )", "a ← nobody", "a ← (b", "a ← b ? c"])
def test_what_is_no_formula_is_refused(line):
    with pytest.raises((ValueError, KeyError, AssertionError)):
        formulas.run(line, {"b": 2.0, "c": 3.0})


# --- of one's own ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SignDescent(mn.Optimizer):
    """θ ← θ - α sign(dθ)"""

    learning_rate: float = 0.1
    kappa: float = 0.5
    twice: bool = True

    def step(self, xp, theta, gradient, state, alpha, t, decay=None):
        theta -= alpha * xp.sign(gradient)


class Told(SignDescent):
    symbols: ClassVar = {**mn.Optimizer.symbols, "kappa": "κ"}

    def formulas(self):
        return ["θ ← θ - α sign(dθ)"]


@dataclass(frozen=True)
class Quartic(mn.SquaredError):
    formula = ("P = Z", "L = Σ_i c_i Σ_k ¼ (Z - T)⁴", "dZ = c (Z - T)³")


@dataclass(frozen=True)
class Untold(mn.Loss):
    name: ClassVar[str] = "untold"

    def check_targets(self, y, outputs):
        return mn.SquaredError().check_targets(y, outputs)

    def __call__(self, xp, Z, T, c):
        return mn.SquaredError()(xp, Z, T, c)


def explained(loss, optimizer):
    net = mn.Network([mn.Dense(2), mn.Sigmoid()], (2,), loss)
    return str(mn.explain(net, [[1.0, 2.0]], [[0.0, 1.0]], optimizer))


def test_ones_own_optimizer_and_loss_explain_themselves():
    text = explained(Quartic(), Told())
    assert "θ ← θ - α sign(dθ)" in text
    assert "α = 0.1, κ = 0.5, t = 1" in text
    assert "¼ (A - T)⁴" in text


def test_those_that_give_no_formula_are_named():
    text = explained(Untold(), SignDescent())
    assert "θ ← SignDescent(θ, dθ)" in text
    assert "α = 0.1, kappa = 0.5, t = 1" in text
    assert "L = loss(A, T)" in text
    assert loss_formulas(Untold(), "Z") == ("P = link(Z)", "L = loss(Z, T)", "dZ = dL/dZ")


def test_the_lines_of_an_update_are_in_their_order():
    """Clipping, then the decay, then the step; AdamW's decay acts on θ itself; options of 0 have no number."""
    assert update_formulas(mn.SGD(weight_decay=0.1), 2.5) == [
        "dθ ← dθ min(1, 2.5 / ‖dθ‖)", "dθ ← dθ + λ θ (weights)", "θ ← θ - α dθ",
    ]  # fmt: skip
    assert update_formulas(mn.AdamW(), None)[0] == "θ ← θ - α λ θ (weights)"
    assert update_formulas(mn.AdamW(weight_decay=0.0), None) == update_formulas(mn.Adam(), None)
    assert settings(mn.SGD(0.5, 0.9, nesterov=True), 0.25, 3) == "α = 0.25, μ = 0.9, t = 3"
    assert settings(mn.Adam(weight_decay=0.1), 1e-3, 1) == "α = 0.001, β₁ = 0.9, β₂ = 0.999, ε = 1e-08, λ = 0.1, t = 1"


def test_the_form_of_adam_with_the_root_that_is_not_corrected_says_so():
    assert update_formulas(mn.AdamHat(), None)[-1] == "θ ← θ - α √(1 - β₂ᵗ) / (1 - β₁ᵗ) m / (√v + ε)"
    assert update_formulas(mn.AdamHat(), None)[:-1] == update_formulas(mn.Adam(), None)[:-1]
