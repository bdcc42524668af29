"""Through a network and back with every value kept: what a step of a training computes, layer by layer.

A large batch is worked on in the blocks of rows in which a training works on it, so that every sum is formed in
the same order.
"""

from typing import Any

from mechanet.layers import Pass
from mechanet.network import Network
from mechanet.network.batch import check_batch
from mechanet.network.blocks import slices


class Walk:
    """One forward and one backward through a network.

    Attributes
    ----------
    outputs : list of list of array
        For each block the input X and then every layer's output.
    caches : list of list
        For each block what each layer's backward needs.
    slopes : list of list of array
        For each block dL/dq of every q in `outputs`, once `back` has run.
    gradient : array (p,)
        dθ, a copy.
    """

    def __init__(self, network: Network, x, y, sample_weight, masks: tuple[int, int, int] | None):
        self.network, self.xp = network, network.xp
        batch = check_batch(network.chain, network.loss, x, y, sample_weight)
        self.X, self.T, self.c = network.backend.asarray(batch.X), batch.T, batch.c
        self.training = None if masks is None else Pass(*masks)
        self.blocks = slices(self.X.shape[0], network.chain.block_rows)
        self.outputs: list[list[Any]] = []
        self.caches: list[list[Any]] = []
        self.slopes: list[list[Any]] = []
        self.gradient: Any = None
        self.value: Any = 0.0
        for block in self.blocks:
            self._forward(self.X[block, ...], self._pass(block.start))

    def _pass(self, first: int) -> Pass | None:
        """The pass of the rows from number `first` on."""
        return None if self.training is None else self.training.block(first)

    def _forward(self, X, training: Pass | None) -> None:
        dtype = self.network.parameters.dtype
        if X.dtype != dtype:
            X = self.xp.astype(X, dtype)
        outputs, caches = [X], []
        for layer in self.network.layers:
            X, cache = layer.forward(X, training)
            outputs.append(X)
            caches.append(cache)
        self.outputs.append(outputs)
        self.caches.append(caches)

    def back(self) -> None:
        """The loss and the way back: fill `value`, `slopes` and `gradient`."""
        total = None
        for block, outputs, caches in zip(self.blocks, self.outputs, self.caches, strict=True):
            value, dZ, _ = self.network.bound_loss.measure(self.xp, outputs[-1], self.T[block, ...], self.c[block])
            self.value = self.value + value
            self.slopes.append(self.back_from(dZ, caches))
            part = self.copy(self.network.gradient)
            total = part if total is None else total + part
        self.gradient = total

    def back_from(self, dZ, caches) -> list:
        """dL/dq of every output q for a given dL/dZ of the last; fills the network's gradient."""
        slopes = [dZ]
        for layer, cache in zip(reversed(self.network.layers), reversed(caches), strict=True):
            dZ = layer.backward(dZ, cache, True)
            slopes.append(dZ)
        return slopes[::-1]

    def loss_from(self, start: int = 0) -> float:
        """The loss, recomputed from layer `start` on, with the same masks."""
        return sum(self._again(block, start, outputs[start])
                   for block, outputs in zip(self.blocks, self.outputs, strict=True))  # fmt: skip

    def loss_with(self, start: int, index: tuple[int, ...], change: float) -> float:
        """The part of the loss that depends on one entry of the input of layer `start`, with `change` added to it.

        That is the loss of one row; or of the row's whole block, where layers look at all of its rows.
        """
        number = next(n for n, block in enumerate(self.blocks) if index[0] < block.stop)
        block, row = self.blocks[number], index[0]
        rows = slice(row, row + 1) if self.network.chain.share is None else block
        X = self.copy(self.outputs[number][start][rows.start - block.start : rows.stop - block.start, ...])
        X[(row - rows.start, *index[1:])] += change
        return self._again(rows, start, X)

    def _again(self, rows: slice, start: int, X) -> float:
        for layer in self.network.layers[start:]:
            X, _ = layer.forward(X, self._pass(rows.start))
        return float(self.network.loss(self.xp, X, self.T[rows, ...], self.c[rows])[0])

    def row_losses(self):
        """Each row's own loss, on the host."""
        one = self.xp.ones((1,), dtype=self.network.parameters.dtype, device=self.network.backend.device)
        losses = []
        for block, outputs in zip(self.blocks, self.outputs, strict=True):
            T = self.T[block, ...]
            losses += [
                self.network.loss(self.xp, outputs[-1][i : i + 1, ...], T[i : i + 1, ...], one)[0]
                for i in range(T.shape[0])
            ]
        return self.host(self.xp.stack(losses))

    def copy(self, array):
        fresh = self.xp.zeros_like(array)
        fresh[...] = array
        return fresh

    def host(self, array):
        """A copy on the host that nothing will overwrite."""
        return self.network.backend.to_host(array).copy()

    def joined(self, parts: list):
        """The blocks of a value as one array on the host."""
        return self.host(parts[0] if len(parts) == 1 else self.xp.concat(parts, axis=0))
