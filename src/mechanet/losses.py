"""Losses: raw scores Z and targets in, the value and its gradient dZ out; and the links to predictions.

A loss is a function of raw scores. The link (softmax, sigmoid, identity) turns scores into predictions and is
applied only where a prediction is wanted; inside the loss it is folded into a form that never overflows.
For every canonical pair the gradient is the same line, dZ = (prediction - target) / m.

All losses are weighted means over the rows of a batch, L = Σ_i c_i ℓ_i with Σ_i c_i = 1: c_i = 1/m without
weights, w_i / Σ w with `sample_weight` or class weights. Shapes: Z (m, k), T (m, k), c (m,).
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from mechanet import checks, class_weights
from mechanet.activations import sigmoid

TABLE_ROWS = 2048  # classes up to which all k × k entries of the target rows are kept: k² grows out of hand


def identity(xp, Z):
    """Predictions of a regression: Z itself."""
    return Z


def softmax(xp, Z):
    """P = exp(Z) / Σ_k exp(Z), row by row; the row's maximum is subtracted first, which changes nothing but
    keeps every exponent at or below 0 (Bridle 1990; Goodfellow et al. 2016, section 4.1).
    """
    E = xp.exp(Z - xp.max(Z, axis=1, keepdims=True))
    return E / xp.sum(E, axis=1, keepdims=True)


@dataclass(frozen=True)
class Loss:
    """What all losses share. A loss is a value: its options, and once bound, the constants it needs."""

    name: ClassVar[str] = ""
    classifies: ClassVar[bool] = False
    link: ClassVar[Any] = staticmethod(identity)

    def bind(self, backend, outputs: int, dtype) -> "Loss":
        """A copy with its constants (such as one-hot rows) on the device."""
        return copy.copy(self)

    def check_targets(self, y, outputs: int):
        """Check host targets at the door; return them as (targets, row weights or None), still on the host."""
        raise NotImplementedError

    def __call__(self, xp, Z, T, c):
        """Return the value (0-d) and the gradient dZ = dL/dZ (m, k)."""
        raise NotImplementedError

    def truth(self, xp, T):
        """The labels that targets T stand for, to be compared with `labels`, for the losses that classify."""
        raise NotImplementedError

    def measure(self, xp, Z, T, c):
        """The value (0-d), dZ (m, k), and the number of right decisions (0-d; None for a regression)."""
        value, dZ = self(xp, Z, T, c)
        right = xp.count_nonzero(self.labels(xp, Z) == self.truth(xp, T)) if self.classifies else None
        return value, dZ, right

    def decisions(self, outputs: int) -> int:
        """How many decisions a row asks for: its accuracy is the share of right ones."""
        return 1

    def labels(self, xp, Z):
        """Predicted labels of a classification, values of a regression, from raw scores."""
        return Z[:, 0] if Z.shape[1] == 1 else Z

    def config(self) -> dict:
        """Name and options, as plain data that `loss_from_config` takes back."""
        return {"name": self.name, **asdict(self)}

    def _targets_like_outputs(self, y, outputs):
        """Real targets of shape (m, outputs); (m,) is read as (m, 1) where there is one output."""
        checks.numeric("y", y)
        if y.ndim == 1 and outputs == 1:
            y = y[:, None]
        if y.ndim != 2 or y.shape[1] != outputs:
            raise ValueError(
                f"{self.name} expects y of shape (n, {outputs}), as many columns as the network has outputs. "
                f"Received: y.shape={tuple(y.shape)}."
            )
        checks.finite("y", y)
        return y


@dataclass(frozen=True)
class CrossEntropy(Loss):
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

    label_smoothing: float = 0.0
    class_weight: Sequence[float] | Mapping[int, float] | None = None
    target_rows: Any = field(default=None, init=False, repr=False, compare=False)
    device: Any = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self):
        checks.real("label_smoothing", self.label_smoothing, 0.0, 1.0, open_high=True)

    def config(self):
        return {"name": self.name, "label_smoothing": self.label_smoothing,
                "class_weight": class_weights.to_plain(self.class_weight)}  # fmt: skip

    def bind(self, backend, outputs, dtype):
        """Prepare the k possible target rows, (1 - ε) I + ε / k: row j is the target of label j."""
        bound = copy.copy(self)
        object.__setattr__(bound, "device", backend.device)
        if outputs > TABLE_ROWS:
            return bound
        rows = backend.xp.eye(outputs, dtype=dtype, device=backend.device)
        if self.label_smoothing:
            rows = (1.0 - self.label_smoothing) * rows + self.label_smoothing / outputs
        object.__setattr__(bound, "target_rows", rows)
        return bound

    def check_targets(self, y, outputs):
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

    def __call__(self, xp, Z, T, c):
        T = self._target(xp, T, Z)
        Z = Z - xp.max(Z, axis=1, keepdims=True)
        E = xp.exp(Z)
        S = xp.sum(E, axis=1, keepdims=True)  # (m, 1)
        P = E / S
        losses = xp.log(S[:, 0]) - xp.vecdot(T, Z)  # (m,): -Σ_k T log P, since log P = Z - log S and Σ_k T = 1
        return xp.vecdot(c, losses), c[:, None] * (P - T)

    def _target(self, xp, T, Z):
        if T.ndim == 1:
            if self.target_rows is not None:
                return xp.take(self.target_rows, T, axis=0)  # (m,) -> (m, k)
            labels = xp.arange(Z.shape[1], dtype=T.dtype, device=self.device)
            T = xp.astype(T[:, None] == labels, Z.dtype)  # (m,) -> (m, k)
        if self.label_smoothing:
            return (1.0 - self.label_smoothing) * T + self.label_smoothing / T.shape[1]
        return T

    def truth(self, xp, T):
        return T if T.ndim == 1 else xp.argmax(T, axis=1)

    def labels(self, xp, Z):
        return xp.argmax(Z, axis=1)


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
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

    class_weight: Sequence[float] | Mapping[int, float] | None = None

    def config(self):
        return {"name": self.name, "class_weight": class_weights.to_plain(self.class_weight)}

    def check_targets(self, y, outputs):
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

    def __call__(self, xp, Z, T, c):
        losses = xp.maximum(Z, 0.0) - T * Z + xp.log1p(xp.exp(-xp.abs(Z)))
        return xp.vecdot(c, xp.sum(losses, axis=1)), c[:, None] * (sigmoid(xp, Z) - T)

    def truth(self, xp, T):
        return self.labels(xp, T - 0.5)

    def decisions(self, outputs):
        return outputs

    def labels(self, xp, Z):
        labels = xp.astype(Z > 0.0, xp.int64)
        return labels[:, 0] if Z.shape[1] == 1 else labels


@dataclass(frozen=True)
class SquaredError(Loss):
    """Half squared error, for regression: L = Σ_i c_i Σ_k ½ (Z - T)², dZ = c (Z - T).

    Targets are numbers, of shape (m,) for one output or (m, k).

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, equation 5.11.
    """

    name: ClassVar[str] = "squared_error"

    def check_targets(self, y, outputs):
        return self._targets_like_outputs(y, outputs), None

    def __call__(self, xp, Z, T, c):
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

    delta: float = 1.0

    def __post_init__(self):
        checks.real("delta", self.delta, 0.0, open_low=True)

    def check_targets(self, y, outputs):
        return self._targets_like_outputs(y, outputs), None

    def __call__(self, xp, Z, T, c):
        D = Z - T
        Q = xp.maximum(xp.minimum(D, self.delta), -self.delta)
        return xp.vecdot(c, xp.vecdot(Q, D - 0.5 * Q)), c[:, None] * Q


def _check_labels(y, classes):
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


LOSSES: dict[str, type[Loss]] = {x.name: x for x in (CrossEntropy, BinaryCrossEntropy, SquaredError, Huber)}


def loss_from(value: "str | Loss") -> Loss:
    """Return a loss given by name or as an object."""
    if isinstance(value, Loss):
        return value
    return LOSSES[checks.one_of("loss", value, LOSSES)]()


def loss_from_config(config: Mapping[str, Any]) -> Loss:
    """Return the loss that `Loss.config` described."""
    options = dict(config)
    kind = LOSSES[checks.one_of("loss", options.pop("name", None), LOSSES)]
    if "class_weight" in options:
        options["class_weight"] = class_weights.from_plain(options["class_weight"])
    return kind(**options)
