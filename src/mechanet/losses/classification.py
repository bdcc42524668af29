"""Losses for classes: softmax or sigmoid with cross-entropy."""

from dataclasses import dataclass
from typing import Any, ClassVar

from mechanet import checks
from mechanet.activations import sigmoid
from mechanet.losses import class_weights
from mechanet.losses.base import BoundLoss
from mechanet.losses.class_weights import ClassWeight, WeighsClasses
from mechanet.types import Array, Namespace

TABLE_ROWS = 2048  # classes up to which all k × k entries of the target rows are kept: k² gets out of hand


def softmax(xp: Namespace, Z: Array) -> Array:
    """P = exp(Z) / Σ_k exp(Z), row by row; the row's maximum is subtracted first, which changes nothing but
    keeps every exponent at or below 0 (Bridle 1990; Goodfellow et al. 2016, section 4.1).
    """
    E = xp.exp(Z - xp.max(Z, axis=1, keepdims=True))
    return E / xp.sum(E, axis=1, keepdims=True)


@dataclass(frozen=True)
class CrossEntropy(WeighsClasses):
    """Softmax with cross-entropy, for one class out of k.

    P = softmax(Z), L = -Σ_i c_i Σ_k T_ik log P_ik, dZ = c (P - T).

    Parameters
    ----------
    label_smoothing : float in [0, 1)
        ε: the target of each row becomes (1 - ε) T + ε / k.
    class_weight : sequence of k numbers, or mapping from label to number, optional
        Each row is weighted with the weight of its class (1 for labels that a mapping leaves out).

    Notes
    -----
    Targets are integer labels (m,) from 0 to k - 1, or rows of probabilities (m, k), one-hot among them.

    References
    ----------
    Goodfellow, Bengio and Courville (2016), Deep Learning, section 6.2.2.3. Label smoothing: Szegedy et al.
    (2016), Rethinking the Inception architecture, section 7.
    """

    name: ClassVar[str] = "cross_entropy"
    classifies: ClassVar[bool] = True
    link: ClassVar[Any] = staticmethod(softmax)
    formula = ("P = softmax(Z)", "L = -Σ_i c_i Σ_k T_ik log P_ik", "dZ = c (P - T)")

    label_smoothing: float = 0.0
    class_weight: ClassWeight = None

    def __post_init__(self) -> None:
        checks.real("label_smoothing", self.label_smoothing, 0.0, 1.0, open_high=True)

    def bind(self, backend: Any, outputs: int, dtype: Any) -> BoundLoss:
        """Prepare the k possible target rows, those of the identity: row j is the target of label j."""
        if outputs > TABLE_ROWS:
            return super().bind(backend, outputs, dtype)
        return _BoundCrossEntropy(self, backend.xp.eye(outputs, dtype=dtype, device=backend.device))

    def check_targets(self, y: Array, outputs: int) -> tuple[Array, Array | None]:
        checks.numeric("y", y)
        if y.ndim == 2 and y.shape[1] == 1 and outputs > 1:
            y = y[:, 0]
        if y.ndim == 1:
            labels = _check_labels(y, outputs)
            return labels, class_weights.of_rows(self.class_weight, labels, outputs)
        y = self._targets_like_outputs(y, outputs)
        if ((y < 0) | (y > 1)).any() or (abs(y.sum(axis=1) - 1.0) > 1e-3).any():
            at = int((((y < 0) | (y > 1)).any(axis=1) | (abs(y.sum(axis=1) - 1.0) > 1e-3)).argmax())
            raise ValueError(
                "cross_entropy expects rows of y to be probabilities that sum to 1 (or integer labels). "
                f"Received: y[{at}]={y[at].tolist()}."
            )
        weights = class_weights.of_rows(self.class_weight, y.argmax(axis=1), outputs)
        return y / y.sum(axis=1, keepdims=True), weights

    def __call__(self, xp: Namespace, Z: Array, T: Array, c: Array) -> tuple[Array, Array]:
        T = self._target(xp, T, Z)
        Z = Z - xp.max(Z, axis=1, keepdims=True)
        E = xp.exp(Z)
        S = xp.sum(E, axis=1, keepdims=True)  # (m, 1)
        P = E / S
        losses = xp.log(S[:, 0]) - xp.vecdot(T, Z)  # (m,): -Σ_k T log P, since log P = Z - log S and Σ_k T = 1
        return xp.vecdot(c, losses), c[:, None] * (P - T)

    def _target(self, xp: Namespace, T: Array, Z: Array) -> Array:
        if T.ndim == 1:
            labels = xp.arange(Z.shape[1], dtype=T.dtype, device=Z.device)
            T = xp.astype(T[:, None] == labels, Z.dtype)  # (m,) -> (m, k)
        if self.label_smoothing:
            return (1.0 - self.label_smoothing) * T + self.label_smoothing / T.shape[1]
        return T

    def truth(self, xp: Namespace, T: Array) -> Array:
        return T if T.ndim == 1 else xp.argmax(T, axis=1)

    def labels(self, xp: Namespace, Z: Array) -> Array:
        return xp.argmax(Z, axis=1)


@dataclass(frozen=True, eq=False)
class _BoundCrossEntropy(BoundLoss):
    """Looks up the target rows of labels."""

    target_rows: Array  # (k, k)

    def __call__(self, xp: Namespace, Z: Array, T: Array, c: Array) -> tuple[Array, Array]:
        if T.ndim == 1:
            T = xp.take(self.target_rows, T, axis=0)  # (m,) -> (m, k)
        return self.plain(xp, Z, T, c)


@dataclass(frozen=True)
class BinaryCrossEntropy(WeighsClasses):
    """Sigmoid with binary cross-entropy, for k independent yes-or-no outputs.

    P = σ(Z), L = -Σ_i c_i Σ_k (T log P + (1 - T) log(1 - P)), dZ = c (P - T).

    In raw scores a row's loss is Σ_k max(Z, 0) - T Z + log(1 + exp(-|Z|)), which never overflows.

    Parameters
    ----------
    class_weight : sequence of 2 numbers, or mapping from label to number, optional
        Weights of the labels 0 and 1, for networks with one output.

    Notes
    -----
    Targets are 0, 1 or probabilities, of shape (m,) for one output or (m, k).

    References
    ----------
    Goodfellow, Bengio and Courville (2016), Deep Learning, section 6.2.2.2.
    """

    name: ClassVar[str] = "binary_cross_entropy"
    classifies: ClassVar[bool] = True
    link: ClassVar[Any] = staticmethod(sigmoid)
    formula = (
        "P = σ(Z)",
        "L = -Σ_i c_i Σ_k (T log P + (1 - T) log(1 - P))",
        "dZ = c (P - T)",
    )

    class_weight: ClassWeight = None

    def check_targets(self, y: Array, outputs: int) -> tuple[Array, Array | None]:
        y = self._targets_like_outputs(y, outputs)
        if ((y < 0) | (y > 1)).any():
            row, column = (int(i[0]) for i in ((y < 0) | (y > 1)).nonzero())
            raise ValueError(
                f"binary_cross_entropy expects y between 0 and 1. Received: y[{row}, {column}]={y[row, column]}."
            )
        if self.class_weight is None:
            return y, None
        if outputs != 1:
            raise ValueError(
                f"class_weight of binary_cross_entropy expects one output. Received: {outputs} outputs. "
                "Pass sample_weight instead."
            )
        return y, class_weights.of_rows(self.class_weight, (y[:, 0] > 0.5).astype("int64"), 2)

    def __call__(self, xp: Namespace, Z: Array, T: Array, c: Array) -> tuple[Array, Array]:
        losses = xp.maximum(Z, 0.0) - T * Z + xp.log1p(xp.exp(-xp.abs(Z)))
        return xp.vecdot(c, xp.sum(losses, axis=1)), c[:, None] * (sigmoid(xp, Z) - T)

    def truth(self, xp: Namespace, T: Array) -> Array:
        return self.labels(xp, T - 0.5)

    def decisions(self, outputs: int) -> int:
        return outputs

    def labels(self, xp: Namespace, Z: Array) -> Array:
        labels = xp.astype(Z > 0.0, xp.int64)
        return labels[:, 0] if Z.shape[1] == 1 else labels


def _check_labels(y: Array, classes: int) -> Array:
    if y.dtype.kind not in "iu":
        raise TypeError(
            f"cross_entropy expects integer labels from 0 to {classes - 1}. Received: y with dtype={y.dtype}. "
            "Convert them with y.astype('int64'), or pass one row of probabilities per example."
        )
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        at = int((y == wrong).argmax())
        raise ValueError(
            f"expected labels from 0 to {classes - 1}, since the network has {classes} outputs. "
            f"Received: y[{at}]={wrong}."
        )
    return y.astype("int64", copy=False)
