"""Through a network and back with every value kept: what `Network.run_both` computes, layer by layer.

A large batch is worked on in the blocks of rows in which a training works on it, so that every sum is formed in
the same order.
"""

import copy
from typing import Any

import mechanet.backend
from mechanet.network import Network


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
        X, self.T, self.c = network.check_batch(x, y, sample_weight)
        self.X = network.backend.asarray(X)
        rng = None if masks is None else mechanet.backend.generator(*masks)
        self.blocks = list(network.blocks(self.X.shape[0]))
        self.outputs: list[list[Any]] = []
        self.caches: list[list[Any]] = []
        self._generators: list[list[Any]] = []
        self.slopes: list[list[Any]] = []
        self.gradient: Any = None
        self.value: Any = 0.0
        for block in self.blocks:
            self._forward(self.X[block, ...], rng)

    def _forward(self, X, rng) -> None:
        dtype = self.network.parameters.dtype
        if X.dtype != dtype:
            X = self.xp.astype(X, dtype)
        outputs, caches, generators = [X], [], []
        for layer in self.network.layers:
            generators.append(copy.deepcopy(rng))
            X, cache = layer.forward(X, rng)
            outputs.append(X)
            caches.append(cache)
        self.outputs.append(outputs)
        self.caches.append(caches)
        self._generators.append(generators)

    def back(self) -> None:
        """The loss and the way back: fill `value`, `slopes` and `gradient`."""
        total = None
        for block, outputs, caches in zip(self.blocks, self.outputs, self.caches, strict=True):
            value, dZ, _ = self.network.run_loss(self.xp, outputs[-1], self.T[block, ...], self.c[block])
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
        """The loss when the way is gone again from layer `start` on, with the same masks."""
        return sum(self._again(number, start, self.outputs[number][start]) for number in range(len(self.blocks)))

    def loss_with(self, start: int, index: tuple[int, ...], change: float) -> float:
        """The part of the loss that depends on one entry of the input of layer `start`, with `change` added to it.

        Without dropout that is the loss of one row; with it the row's whole block, since masks are drawn in order.
        """
        number = next(n for n, block in enumerate(self.blocks) if index[0] < block.stop)
        first = index[0] - self.blocks[number].start
        alone = self._generators[number][0] is None
        X = self.copy(
            self.outputs[number][start][first : first + 1, ...] if alone else self.outputs[number][start]
        )
        X[(0 if alone else first, *index[1:])] += change
        return self._again(number, start, X, slice(first, first + 1) if alone else slice(None))

    def _again(self, number: int, start: int, X, rows: slice = slice(None)) -> float:
        rng = copy.deepcopy(self._generators[number][min(start, len(self.network.layers) - 1)])
        for layer in self.network.layers[start:]:
            X, _ = layer.forward(X, rng)
        T, c = self.T[self.blocks[number], ...][rows, ...], self.c[self.blocks[number]][rows]
        return float(self.network.loss(self.xp, X, T, c)[0])

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
