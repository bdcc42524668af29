"""The dense layer: every output from every input."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mechanet import checks
from mechanet.initializers import initializer_from
from mechanet.layers.base import Layer, Parameter, Pass, Shape
from mechanet.types import Array


@dataclass
class Dense(Layer):
    """Z = X W + b.

    X (m, n_in), W (n_in, n_out), b (n_out,), Z (m, n_out). Backward: dW = Xᵀ dZ, db = Σ_rows dZ, dX = dZ Wᵀ.

    Parameters
    ----------
    units : int
        n_out.
    initializer, bias_initializer : str or Initializer
        The first values of W and of b.
    bias : bool
        Without it Z = X W.

    References
    ----------
    Rumelhart, Hinton and Williams (1986), Learning representations by back-propagating errors, equations 1
    and 4 to 7.
    """

    formula: ClassVar[str] = "Z = X W + b"
    symbols: ClassVar[tuple[str, str]] = ("X", "Z")
    W: ClassVar[Array]
    b: ClassVar[Array]
    dW: ClassVar[Array]
    db: ClassVar[Array]

    units: int
    initializer: Any = "he_normal"
    bias_initializer: Any = "zeros"
    bias: bool = True

    def __post_init__(self) -> None:
        self.units = checks.integer("units", self.units)
        self.initializer = initializer_from(self.initializer)
        self.bias_initializer = initializer_from(self.bias_initializer, "bias_initializer")
        self.bias = bool(self.bias)

    def output_shape_for(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise ValueError(
                f"Dense expects rows of shape (n_in,). Received: rows of shape {input_shape}. "
                "Put a Flatten() before it."
            )
        return (self.units,)

    def parameters_for(self, input_shape: Shape) -> dict[str, Parameter]:
        fans = n_in, n_out = input_shape[0], self.units
        W = Parameter((n_in, n_out), self.initializer, fans)
        b = Parameter((n_out,), self.bias_initializer, fans, decays=False)
        return {"W": W, "b": b} if self.bias else {"W": W}

    def forward(self, X: Array, training: Pass | None = None) -> tuple[Array, Array]:
        Z = X @ self.W  # (m, n_in) -> (m, n_out)
        if self.bias:
            Z += self.b
        return Z, X

    def backward(self, dZ: Array, cache: Array, input_gradient: bool = True) -> Array:
        X = cache
        self.backend.matmul(X.T, dZ, out=self.dW)
        if self.bias:
            self.backend.sum_rows(dZ, out=self.db)
        return dZ @ self.W.T if input_gradient else None  # (m, n_out) -> (m, n_in)
