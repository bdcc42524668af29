"""Batches: where a training takes its rows from: shuffled and gathered arrays, or an iterable of batches."""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import mechanet.backend
from mechanet import checks
from mechanet.network import Network
from mechanet.network.batch import Batch, check_batch, check_inputs, check_targets
from mechanet.types import Array


class ArrayBatches:
    """Batches of rows of arrays.

    The order of epoch e is a function of (seed, e), whatever ran before. Data that fits on the device is moved
    there once, as it is (bytes stay bytes); else rows are gathered on the host and moved batch by batch.
    """

    def __init__(self, network: Network, x: Any, y: Any, sample_weight: Any, batch_size: int | None, shuffle: bool,
                 seed: int) -> None:  # fmt: skip
        self.network, self.backend, self.xp = network, network.backend, network.xp
        self.X = X = self.inputs(x)
        self.T, weights = check_targets(network.chain, network.loss, y, X, sample_weight)
        self.rows = X.shape[0]
        self.batch_size = (
            self.rows if batch_size is None else min(checks.integer("batch_size", batch_size), self.rows)
        )
        self.shuffle, self.seed = bool(shuffle), seed
        self.host_weights = weights
        self.weights = None if weights is None else self.backend.asarray(weights, network.parameters.dtype)
        self._even: dict[int, Any] = {}

    def inputs(self, x: Any) -> Array:
        """The rows of `x`, checked, where they are best gathered from."""
        X = check_inputs(self.network.chain, x)
        if isinstance(X, mechanet.backend.HostArray):
            checks.finite("x", X)
            if self.backend.fits(X.nbytes):
                X = self.backend.asarray(X)
        return X

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch `number` (from 1), from the batch `start` (from 0) on."""
        if self.batch_size == self.rows:
            if start == 0:
                yield self._batch(self.X, None, self.T, self.weights, self.host_weights)
            return
        order = self.order(number)
        on_device = self.backend.asarray(order.astype(self.backend.row_numbers if self.rows < 2**31 else "int64"))
        starts = range(start * self.batch_size, self.rows, self.batch_size)
        slices = [slice(first, min(first + self.batch_size, self.rows)) for first in starts]
        # Where the data is on the device, the network takes the rows itself; else they come from the host.
        here = self.backend.holds(self.X)
        moved = iter(()) if here else self.backend.stream(self.X, (order[batch] for batch in slices))
        for batch in slices:
            rows = on_device[batch]
            X, taken = (self.X, rows) if here else (next(moved), None)
            T = self.backend.take(self.T, rows)
            if self.weights is None:
                yield self._batch(X, taken, T, None, None)
            else:
                weights = self.backend.take(self.weights, rows)
                yield self._batch(X, taken, T, weights, self.host_weights[order[batch]])

    def order(self, number: int) -> Any:
        """The order of the rows in epoch `number`, on the host."""
        if self.shuffle and self.batch_size < self.rows:
            return mechanet.backend.generator(self.seed, number).permutation(self.rows)
        return mechanet.backend.arange(self.rows)

    def _batch(self, X: Array, rows: Array, T: Array, weights: Array, host_weights: Any) -> Batch:
        if weights is None:
            m = T.shape[0]
            if m not in self._even:
                dtype, device = self.network.parameters.dtype, self.backend.device
                self._even[m] = self.xp.full((m,), 1.0 / m, dtype=dtype, device=device)
            return Batch(X, T, self._even[m], float(m), rows)
        # A batch of rows that all weigh nothing counts for nothing; 0 / 0 would not.
        total = float(host_weights.sum())
        return Batch(X, T, weights / total if total > 0 else weights, total, rows)


class IterableBatches:
    """Batches (x, y) or (x, y, sample_weight) from an iterable, or from a function that returns one each epoch."""

    rows = None
    batch_size = None
    shuffle = False

    def __init__(self, network: Network, batches: Iterable[Any] | Callable[[], Iterable[Any]]) -> None:
        self.network = network
        self.batches = batches
        self._one_shot = isinstance(batches, Iterator)

    def __len__(self) -> int:
        return 0  # unknown before it is run through

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        if self._one_shot and number > 1:
            raise ValueError(
                "expected batches that can be run through once an epoch. Received: an iterator, which is used up "
                "after the first. Pass a list, or a function that returns a new iterator."
            )
        count = 0
        for count, batch in enumerate(self.batches() if callable(self.batches) else self.batches, 1):
            if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
                raise TypeError(
                    "expected batches (x, y) or (x, y, sample_weight). "
                    f"Received: batch {count} of type {type(batch).__name__}."
                )
            if count <= start:
                continue
            x, y, weight = batch if len(batch) == 3 else (*batch, None)
            checked = check_batch(self.network.chain, self.network.loss, x, y, weight)
            checked.X = self.network.backend.asarray(checked.X)
            yield checked
        if count == 0:
            raise ValueError("expected at least one batch an epoch. Received: none.")


def held_out_batch(network: Network, x: Any, y: Any, sample_weight: Any = None) -> Batch:
    """Checked rows that are measured and never trained on, on the device where they fit there."""
    batch = check_batch(network.chain, network.loss, x, y, sample_weight)
    if isinstance(batch.X, mechanet.backend.HostArray) and network.backend.fits(batch.X.nbytes):
        batch.X = network.backend.asarray(batch.X)
    return batch


def batches_from(network: Network, x: Any, y: Any, sample_weight: Any, batch_size: int | None, shuffle: bool,
                 seed: int) -> ArrayBatches | IterableBatches:  # fmt: skip
    """Arrays with targets; or, where there is no `y`, an iterable of batches, or batches made before."""
    if isinstance(x, (ArrayBatches, IterableBatches)):
        return x
    if y is not None:
        return ArrayBatches(network, x, y, sample_weight, batch_size, shuffle, seed)
    if hasattr(x, "shape") or not (callable(x) or isinstance(x, Iterable)):
        raise TypeError("expected targets y beside x. Received: y=None. Only an iterable of batches goes without.")
    return IterableBatches(network, copy.copy(x) if isinstance(x, list) else x)
