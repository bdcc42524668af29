"""Losses for numbers: squared error, Huber's, and Poisson's for counts."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mechanet import checks
from mechanet.losses.base import Loss
from mechanet.types import Array, Namespace


def exp(xp: Namespace, Z: Array) -> Array:
    """Predictions of a model of counts: the mean exp(Z), above 0 for every Z."""
    return xp.exp(Z)


class SquaredError(Loss):
    """Half squared error, for regression: L = Σ_i c_i Σ_k ½ (Z - T)², dZ = c (Z - T).

    Targets are numbers, of shape (m,) for one output or (m, k).

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, equation 5.11.
    """

    name: ClassVar[str] = "squared_error"
    formula = ("P = Z", "L = Σ_i c_i Σ_k ½ (Z - T)²", "dZ = c (Z - T)")

    def check_targets(self, y: Array, outputs: int) -> tuple[Array, Array | None]:
        return self._targets_like_outputs(y, outputs), None

    def __call__(self, xp: Namespace, Z: Array, T: Array, c: Array) -> tuple[Array, Array]:
        D = Z - T
        return 0.5 * xp.vecdot(c, xp.vecdot(D, D)), c[:, None] * D


@dataclass(frozen=True)
class Huber(Loss):
    """Huber's loss, for regression with outliers: quadratic within ±δ of the target, linear beyond.

    With D = Z - T and Q = D cut to [-δ, δ]: L = Σ_i c_i Σ_k Q (D - ½ Q), dZ = c Q. Inside, Q = D gives ½ D²;
    outside it gives δ (|D| - ½ δ).

    Parameters
    ----------
    delta : float > 0
        δ, in the units of y.

    References
    ----------
    Huber (1964), Robust estimation of a location parameter.
    """

    name: ClassVar[str] = "huber"
    formula = (
        "P = Z",
        "L = Σ_i c_i Σ_k Q (D - ½ Q), Q = D cut to [-δ, δ], D = Z - T",
        "dZ = c Q",
    )

    delta: float = 1.0

    def __post_init__(self) -> None:
        checks.real("delta", self.delta, 0.0, open_low=True)

    def check_targets(self, y: Array, outputs: int) -> tuple[Array, Array | None]:
        return self._targets_like_outputs(y, outputs), None

    def __call__(self, xp: Namespace, Z: Array, T: Array, c: Array) -> tuple[Array, Array]:
        D = Z - T
        Q = xp.maximum(xp.minimum(D, self.delta), -self.delta)
        return xp.vecdot(c, xp.vecdot(Q, D - 0.5 * Q)), c[:, None] * Q


class Poisson(Loss):
    """Half the Poisson deviance with the exponential as link, for counts and other targets of at least 0.

    With P = exp(Z): L = Σ_i c_i Σ_k (P - T Z + T log T - T), dZ = c (P - T). The last two terms do not change
    with Z; because of them the loss of a perfect prediction is 0 (T log T is 0 for T = 0).

    Targets are numbers of at least 0, of shape (m,) for one output or (m, k).

    References
    ----------
    McCullagh and Nelder (1989), Generalized linear models, section 6.2 and table 2.3.
    """

    name: ClassVar[str] = "poisson"
    link: ClassVar[Any] = staticmethod(exp)
    formula = (
        "P = exp(Z)",
        "L = Σ_i c_i Σ_k (P - T Z + T log T - T)",
        "dZ = c (P - T)",
    )

    def check_targets(self, y: Array, outputs: int) -> tuple[Array, Array | None]:
        y = self._targets_like_outputs(y, outputs)
        if (y < 0).any():
            row, column = (int(i[0]) for i in (y < 0).nonzero())
            raise ValueError(
                f"poisson expects y of at least 0, such as counts. Received: y[{row}, {column}]={y[row, column]}."
            )
        return y, None

    def __call__(self, xp: Namespace, Z: Array, T: Array, c: Array) -> tuple[Array, Array]:
        P = xp.exp(Z)
        constant = T * xp.log(xp.where(T > 0.0, T, 1.0)) - T
        return xp.vecdot(c, xp.sum(P - T * Z + constant, axis=1)), c[:, None] * (P - T)

    def labels(self, xp: Namespace, Z: Array) -> Array:
        return super().labels(xp, xp.exp(Z))
