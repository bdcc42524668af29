"""Activations against scalar formulas in double precision, PyTorch, and numerical derivatives."""

import math

import numpy as np
import pytest

from mechanet.layers import ACTIVATIONS

# The textbook formulas, one number at a time, from the math module: nothing here is the library's.
SCALAR = {
    "relu": lambda z: z if z > 0 else 0.0,
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "elu": lambda z: z if z > 0 else math.exp(z) - 1.0,
    "gelu": lambda z: 0.5 * z * (1.0 + math.tanh(math.sqrt(2.0 / math.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z / (1.0 + math.exp(-z)),
    "sigmoid": lambda z: 1.0 / (1.0 + math.exp(-z)),
    "tanh": math.tanh,
    "softplus": lambda z: math.log(1.0 + math.exp(z)),
}
POINTS = [-30.0, -3.0, -1.0, -0.25, -1e-3, 1e-3, 0.5, 1.0, 2.0, 10.0]


def test_every_activation_has_a_reference():
    missing = set(ACTIVATIONS) - set(SCALAR)
    assert not missing, f"write the formula of {missing} for one number into SCALAR, from a book"


@pytest.mark.parametrize("name", SCALAR)
def test_forward_is_the_formula(place, name):
    A = ACTIVATIONS[name].pair[0](place.xp, place.asarray(POINTS, "float64"))
    np.testing.assert_allclose(place.to_host(A), [SCALAR[name](z) for z in POINTS], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", SCALAR)
def test_backward_is_the_slope_of_the_formula(place, name):
    forward, backward = ACTIVATIONS[name].pair
    Z, dA = place.asarray(POINTS, "float64"), place.asarray(np.linspace(-2.0, 3.0, len(POINTS)), "float64")
    dZ = place.to_host(backward(place.xp, dA, Z, forward(place.xp, Z)))
    h = 1e-6
    slope = [(SCALAR[name](z + h) - SCALAR[name](z - h)) / (2 * h) for z in POINTS]
    np.testing.assert_allclose(dZ, np.linspace(-2.0, 3.0, len(POINTS)) * slope, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SCALAR)
def test_extreme_scores_stay_finite(place, name, dtype):
    """|z| up to 1e4: no NaN, and (warnings are errors here) no overflow on the way."""
    forward, backward = ACTIVATIONS[name].pair
    Z = place.asarray([-1e4, -100.0, -1e-30, 0.0, 1e-30, 100.0, 1e4], dtype)
    A = forward(place.xp, Z)
    dZ = backward(place.xp, place.asarray(np.ones(7), dtype), Z, A)
    assert A.dtype == Z.dtype
    assert dZ.dtype == Z.dtype
    assert np.isfinite(place.to_host(A)).all()
    assert np.isfinite(place.to_host(dZ)).all()


def test_sigmoid_keeps_its_small_values(place):
    """σ(-80) = 1.8e-35 in float32 too: a form through tanh would give 0."""
    A = ACTIVATIONS["sigmoid"].pair[0](place.xp, place.asarray([-80.0], "float32"))
    assert place.to_host(A)[0] == pytest.approx(math.exp(-80.0), rel=1e-5)


TORCH = {
    "relu": "relu", "leaky_relu": "leaky_relu", "elu": "elu", "silu": "silu", "sigmoid": "sigmoid",
    "tanh": "tanh", "softplus": "softplus",
}  # fmt: skip


@pytest.mark.parametrize("name", TORCH)
def test_agrees_with_pytorch(name, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    z, da = rng.normal(scale=3.0, size=(2, 50))
    Z = torch.tensor(z, requires_grad=True)
    A = getattr(torch.nn.functional, TORCH[name])(Z)
    A.backward(torch.tensor(da))
    forward, backward = ACTIVATIONS[name].pair
    np.testing.assert_allclose(forward(np, z), A.detach().numpy(), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(backward(np, da, z, forward(np, z)), Z.grad.numpy(), rtol=1e-8, atol=1e-9)


def test_gelu_agrees_with_pytorch_in_its_tanh_form(rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    z = rng.normal(scale=3.0, size=50)
    expected = torch.nn.functional.gelu(torch.tensor(z), approximate="tanh").numpy()
    np.testing.assert_allclose(ACTIVATIONS["gelu"].pair[0](np, z), expected, rtol=1e-12, atol=1e-14)
    exact = [0.5 * v * (1.0 + math.erf(v / math.sqrt(2.0))) for v in z]
    assert np.abs(ACTIVATIONS["gelu"].pair[0](np, z) - exact).max() < 5e-4  # as its docstring says


@pytest.mark.parametrize(
    ("name", "options", "slope"),
    [("relu", {}, 0.0), ("leaky_relu", {"slope": 0.25}, 0.25), ("elu", {"alpha": 0.5}, 0.5)],
)
def test_the_slope_at_the_kink_is_that_of_its_left_side(place, name, options, slope):
    """f(0) = 0; for ELU exp(0) = 1, so from the left f' = alpha. From the right it is 1 for all three."""
    forward, backward = ACTIVATIONS[name].pair
    Z, dA = place.asarray([0.0], "float64"), place.asarray([3.0], "float64")
    dZ = backward(place.xp, dA, Z, forward(place.xp, Z, **options), **options)
    assert place.to_host(dZ).tolist() == [3.0 * slope]
