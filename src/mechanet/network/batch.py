"""A batch, checked: what users give becomes what a chain runs on."""

from dataclasses import dataclass
from typing import Any

import mechanet.backend
from mechanet import checks
from mechanet.network.chain import Chain
from mechanet.types import Array


@dataclass(slots=True)
class Batch:
    """Rows, targets and weights that have been checked.

    Attributes
    ----------
    X : array
        The batch's inputs; with `rows`, the inputs of all the data.
    T, c : array (m, ...) and (m,)
        Targets, and weights of the rows that sum to 1, on the device.
    weight : float
        What the batch weighs in the epoch: its rows, or the sum of their weights.
    rows : array (m,) or None
        The numbers of the batch's rows in X, on the device.
    """

    X: Array
    T: Array
    c: Array
    weight: float
    rows: Array = None

    @property
    def size(self) -> int:
        """m, the number of rows."""
        return int(self.T.shape[0])


def check_inputs(chain: Chain, x: Any) -> Array:
    """`x` as an array of the device, or of the host where it came from there, if it fits the chain."""
    X = chain.backend.ingest(x)
    if X.shape[1:] != chain.input_shape or not X.shape[0]:
        checks.rows("x", X, chain.input_shape)
    if hasattr(X.dtype, "kind"):
        checks.numeric("x", X)
    return X


def check_targets(chain: Chain, loss: Any, y: Any, X: Array, sample_weight: Any = None) -> tuple[Array, Any]:
    """Check targets and weights: targets on the device, weights (n,) float64 on the host or None."""
    y = mechanet.backend.to_host(y)
    if y.ndim == 0:
        raise ValueError(f"expected one target a row in y. Received: y.shape={y.shape}.")
    checks.same_length("x", X, "y", y)
    if sample_weight is not None:
        sample_weight = mechanet.backend.to_host(sample_weight)
    targets, class_weights = loss.check_targets(y, chain.output_shape[0])
    dtype = None if targets.ndim == 1 else chain.array_dtype
    return chain.backend.asarray(targets, dtype), checks.weights(sample_weight, X.shape[0], class_weights)


def check_batch(chain: Chain, loss: Any, x: Any, y: Any, sample_weight: Any = None) -> Batch:
    """Check x, y and weights; inputs stay where they live, the rest is on the device."""
    X = check_inputs(chain, x)
    if isinstance(X, mechanet.backend.HostArray):
        checks.finite("x", X)
    T, weights = check_targets(chain, loss, y, X, sample_weight)
    if weights is None:
        m = X.shape[0]
        c = chain.xp.full((m,), 1.0 / m, dtype=chain.array_dtype, device=chain.backend.device)
        return Batch(X, T, c, float(m))
    c = chain.backend.asarray(weights / weights.sum(), chain.array_dtype)
    return Batch(X, T, c, float(weights.sum()))
