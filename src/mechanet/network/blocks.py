"""Many rows at once: a network's work on them in blocks that stay in a CPU's cache, side by side where it pays.

Symbols are those of `mechanet.network`. Whatever runs beside what, the results are added up in the order of the
blocks, so that they are the same each time.
"""

import functools
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import mechanet.backend

PIECES = 8  # of a full batch, each with a gradient of its own: enough that no worker waits long for another


def accumulate(network, X, T, c, rng=None, rows=None) -> tuple[Any, Any]:
    """`Network.run_both` in blocks of rows, whose losses, correct decisions and gradients add up."""
    blocks = list(network.blocks(T.shape[0]))
    length = -(-len(blocks) // PIECES)
    pieces = [blocks[first : first + length] for first in range(0, len(blocks), length)]
    # Blocks that draw no masks may run side by side, on networks of the same θ that have a dθ each.
    workers = network.backend.workers() if rng is None and rows is None else 1
    free = deque([network, *network.twins(workers - 1)])

    def work(piece):
        worker = free.pop()
        try:
            return _piece(worker, X, T, c, rng, rows, piece)
        finally:
            free.append(worker)

    value, correct, total = 0.0, 0, network.xp.zeros_like(network.gradient)
    for part, correct_part, gradient in network.backend.run_parallel(
        [functools.partial(work, piece) for piece in pieces], workers
    ):
        value, correct = value + part, _sum(correct, correct_part)
        total += gradient
    network.gradient[...] = total
    return value, correct


def _piece(network, X, T, c, rng, rows, blocks) -> tuple[Any, Any, Any]:
    """Loss, correct decisions and gradient of some blocks, one after the other."""
    value, correct, total = 0.0, 0, network.xp.zeros_like(network.gradient)
    moved = network.backend.stream(X, blocks) if rows is None else None
    for block in blocks:
        X_block, taken = (X, rows[block]) if moved is None else (next(moved), None)
        part = network.run_both(X_block, T[block, ...], c[block], rng, taken)
        value, correct = value + part[0], _sum(correct, part[1])
        total += network.gradient
    return value, correct, total


def measure(network, X, T, c) -> tuple[Any, Any]:
    """The loss and the number of correct decisions over checked rows, both 0-d on the device."""

    def of_block(block, X_block):
        value, _, correct = network.run_loss(network.xp, network.infer(X_block), T[block, ...], c[block])
        return value, correct

    def of_blocks(size):
        value, correct = 0.0, 0
        for part, correct_part in _each(network, X, size, of_block):
            value, correct = value + part, _sum(correct, correct_part)
        return value, correct

    return mechanet.backend.in_blocks(of_blocks, min(network.block_rows, X.shape[0]))


def scores(network, X) -> Any:
    """Raw scores Z (n, k)."""
    if X.shape[0] == 1:
        return network.infer(network.backend.asarray(X))

    def of_blocks(size):
        if X.shape[0] <= size:
            return network.infer(network.backend.asarray(X))
        Z = network.backend.zeros((X.shape[0], *network.output_shape), network.parameters.dtype)

        def of_block(block, X_block):
            Z[block, ...] = network.infer(X_block)

        for _ in _each(network, X, size, of_block):
            pass
        return Z

    return mechanet.backend.in_blocks(of_blocks, min(network.block_rows, X.shape[0]))


def _each(network, X, size: int, of_block: Callable[[slice, Any], Any]) -> Iterator[Any]:
    """What `of_block` gives for each block of `size` rows, in their order."""
    backend, blocks = network.backend, list(network.blocks(X.shape[0], size))
    if len(blocks) == 1:
        yield of_block(blocks[0], backend.asarray(X))
        return
    with backend.threads("auto", network, size):
        workers = backend.workers()
        if workers == 1:
            yield from map(of_block, blocks, backend.stream(X, blocks))
        else:
            works = [lambda block=block: of_block(block, backend.asarray(X[block, ...])) for block in blocks]
            yield from backend.run_parallel(works, workers)


def _sum(correct, part):
    return None if part is None else correct + part
