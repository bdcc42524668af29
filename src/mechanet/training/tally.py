"""What the steps of an epoch measured, kept on the device until the epoch's end."""

from collections.abc import Callable

import mechanet.backend
from mechanet.network import Network
from mechanet.network.chain import Chain
from mechanet.types import Array


class Tally:
    """The losses, weights and correct predictions of an epoch's batches.

    Attributes
    ----------
    values, correct : list of 0-d arrays
        On the device; `correct` is empty for a regression.
    weights : list of float
        What each batch counts for.
    """

    def __init__(self) -> None:
        self.values: list[Array] = []
        self.correct: list[Array] = []
        self.weights: list[float] = []

    def add(self, value: Array, correct: Array, weight: float) -> None:
        """One batch: its loss, its correct predictions (None for a regression), and its weight."""
        self.values.append(value)
        self.weights.append(weight)
        if correct is not None:
            self.correct.append(correct)

    def read(self, network: Network, measured: list[Array]) -> tuple[float, list[float]]:
        """The mean loss; and as floats the `measured` 0-d arrays, after them the number of correct predictions.

        This is the one transfer of an epoch: everything measured on the device comes over together.
        """
        xp, backend = network.xp, network.backend
        measured = [*measured, xp.sum(xp.stack(self.correct))] if self.correct else measured
        scalars = [xp.astype(xp.asarray(m, device=backend.device), xp.float64) for m in measured]
        losses = xp.astype(xp.stack(self.values), xp.float64)
        read = backend.to_host(xp.concat([losses, xp.stack(scalars)]))
        count = len(self.values)
        weights = mechanet.backend.to_host(self.weights)
        return float((read[:count] * weights).sum() / weights.sum()), read[count:].tolist()


def combined(chain: Chain, combine: Callable[[Array], None], value: Array, correct: Array) -> tuple[Array, Array]:
    """Loss and correct predictions of all that take part; dθ and what was observed add up where they are."""
    xp, sums = chain.xp, chain.sums
    sums[-2] = value
    if correct is not None:
        sums[-1] = xp.astype(xp.asarray(correct, device=chain.backend.device), sums.dtype)
    combine(sums)
    value, count = sums[-2] + 0.0, sums[-1] + 0.0  # copies: the next step writes there again
    sums[-2:] = 0.0
    return value, None if correct is None else xp.astype(xp.round(count), xp.int64)
