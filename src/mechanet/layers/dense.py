"""The dense layer: every output from every input."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mechanet import checks
from mechanet.initializers import initializer_from
from mechanet.layers.base import Layer


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

    kind: ClassVar[str] = "dense"
    formula: ClassVar[str] = "Z = X W + b"
    W: ClassVar[Any]
    b: ClassVar[Any]
    dW: ClassVar[Any]
    db: ClassVar[Any]

    units: int
    initializer: Any = "he_normal"
    bias_initializer: Any = "zeros"
    bias: bool = True

    def __post_init__(self):
        self.units = checks.integer("units", self.units)
        self.initializer = initializer_from(self.initializer)
        self.bias_initializer = initializer_from(self.bias_initializer, "bias_initializer")
        self.bias = bool(self.bias)

    def output_shape_for(self, input_shape):
        if len(input_shape) != 1:
            raise ValueError(
                f"Dense expects rows of shape (n_in,). Received: rows of shape {input_shape}. "
                "Put a Flatten() before it."
            )
        return (self.units,)

    def parameter_shapes(self, input_shape):
        shapes = {"W": (input_shape[0], self.units), "b": (self.units,)}
        return shapes if self.bias else {"W": shapes["W"]}

    def initial(self, name, shapes, rng):
        n_in, n_out = shapes["W"]
        draw = self.initializer if name == "W" else self.bias_initializer
        return draw(rng, shapes[name], n_in, n_out)

    def forward(self, X, rng=None):
        Z = X @ self.W  # (m, n_in) -> (m, n_out)
        if self.bias:
            Z += self.b
        return Z, X

    def backward(self, dZ, cache, input_gradient=True):
        X = cache
        self.backend.matmul(X.T, dZ, out=self.dW)
        if self.bias:
            self.backend.sum_rows(dZ, out=self.db)
        return dZ @ self.W.T if input_gradient else None  # (m, n_out) -> (m, n_in)
