"""Activations: A = f(Z) and, on the way back, dZ = dA ∘ f'(Z).

Each is a pair of plain functions, forward beside backward, over arrays of any shape and any namespace `xp`
of the array API standard. Z is the pre-activation, A = f(Z) the activation, dA = dL/dA and dZ = dL/dZ; all
four have the same shape. Every forward is finite for every finite Z, and overflows nowhere on the way. The first
line of a backward's docstring is its formula, as `mechanet.explain` prints it.
"""

import math

from mechanet.types import Array, Namespace


def relu(xp: Namespace, Z: Array) -> Array:
    """A = max(Z, 0).

    References
    ----------
    Nair and Hinton (2010), Rectified linear units improve restricted Boltzmann machines.
    """
    return xp.maximum(Z, xp.zeros_like(Z))  # NumPy takes three times as long for an array and a number


def relu_backward(xp: Namespace, dA: Array, Z: Array, A: Array) -> Array:
    """dZ = dA where Z > 0, else 0; at the kink Z = 0 the derivative is taken as 0."""
    return dA * xp.astype(A > 0.0, dA.dtype)


def leaky_relu(xp: Namespace, Z: Array, slope: float = 0.01) -> Array:
    """A = Z where Z > 0, else slope Z; 0 ≤ slope ≤ 1.

    References
    ----------
    Maas, Hannun and Ng (2013), Rectifier nonlinearities improve neural network acoustic models.
    """
    return xp.maximum(Z, slope * Z)


def leaky_relu_backward(xp: Namespace, dA: Array, Z: Array, A: Array, slope: float = 0.01) -> Array:
    """dZ = dA where Z > 0, else slope dA."""
    return dA * (slope + (1.0 - slope) * xp.astype(Z > 0.0, dA.dtype))


def elu(xp: Namespace, Z: Array, alpha: float = 1.0) -> Array:
    """A = Z where Z > 0, else alpha (exp(Z) - 1); alpha > 0.

    References
    ----------
    Clevert, Unterthiner and Hochreiter (2016), Fast and accurate deep network learning by exponential
    linear units, equation 15.
    """
    return xp.maximum(Z, 0.0) + alpha * xp.expm1(xp.minimum(Z, 0.0))


def elu_backward(xp: Namespace, dA: Array, Z: Array, A: Array, alpha: float = 1.0) -> Array:
    """dZ = dA where Z > 0, else dA (A + alpha), since d/dZ alpha (exp(Z) - 1) = alpha exp(Z) = A + alpha."""
    return dA * xp.where(Z > 0.0, 1.0, A + alpha)


def gelu(xp: Namespace, Z: Array) -> Array:
    """A = ½ Z (1 + tanh(√(2/π) (Z + 0.044715 Z³))), the tanh form of the GELU.

    The exact form needs the error function, which the array API standard lacks; the two differ by less
    than 0.0005.

    References
    ----------
    Hendrycks and Gimpel (2016), Gaussian error linear units, section 2.
    """
    return 0.5 * Z * (1.0 + xp.tanh(_gelu_inner(Z)))


def gelu_backward(xp: Namespace, dA: Array, Z: Array, A: Array) -> Array:
    """dZ = dA (½ (1 + t) + ½ Z (1 - t²) √(2/π) (1 + 3 · 0.044715 Z²)), t = tanh(√(2/π) (Z + 0.044715 Z³))."""
    t = xp.tanh(_gelu_inner(Z))
    slope = math.sqrt(2.0 / math.pi) * (1.0 + 3.0 * 0.044715 * Z * Z)
    return dA * (0.5 * (1.0 + t) + 0.5 * Z * (1.0 - t * t) * slope)


def _gelu_inner(Z: Array) -> Array:
    return math.sqrt(2.0 / math.pi) * (Z + 0.044715 * Z * Z * Z)


def silu(xp: Namespace, Z: Array) -> Array:
    """A = Z σ(Z), with σ the sigmoid.

    References
    ----------
    Elfwing, Uchibe and Doya (2018), Sigmoid-weighted linear units, equation 4.
    """
    return Z * sigmoid(xp, Z)


def silu_backward(xp: Namespace, dA: Array, Z: Array, A: Array) -> Array:
    """dZ = dA σ(Z) (1 + Z (1 - σ(Z)))."""
    S = sigmoid(xp, Z)
    return dA * (S + A * (1.0 - S))


def sigmoid(xp: Namespace, Z: Array) -> Array:
    """A = σ(Z) = 1 / (1 + exp(-Z)), written so that no exponent is positive: exp(min(Z, 0)) / (1 + exp(-|Z|))."""
    return xp.exp(xp.minimum(Z, 0.0)) / (1.0 + xp.exp(-xp.abs(Z)))


def sigmoid_backward(xp: Namespace, dA: Array, Z: Array, A: Array) -> Array:
    """dZ = dA A (1 - A)."""
    return dA * A * (1.0 - A)


def tanh(xp: Namespace, Z: Array) -> Array:
    """A = tanh(Z)."""
    return xp.tanh(Z)


def tanh_backward(xp: Namespace, dA: Array, Z: Array, A: Array) -> Array:
    """dZ = dA (1 - A²)."""
    return dA * (1.0 - A * A)


def softplus(xp: Namespace, Z: Array) -> Array:
    """A = log(1 + exp(Z)), written so that no exponent is positive: max(Z, 0) + log(1 + exp(-|Z|)).

    References
    ----------
    Dugas, Bengio, Bélisle, Nadeau and Garcia (2001), Incorporating second-order functional knowledge.
    """
    return xp.maximum(Z, 0.0) + xp.log1p(xp.exp(-xp.abs(Z)))


def softplus_backward(xp: Namespace, dA: Array, Z: Array, A: Array) -> Array:
    """dZ = dA σ(Z)."""
    return dA * sigmoid(xp, Z)
