"""Many rows at once: a chain's work on them in blocks that stay in a CPU's cache, in parallel where it pays.

Symbols are those of `mechanet.network`; `loss` is bound. Whatever runs in parallel, the results are added up in
the order of the blocks, so that they are the same each time.
"""

import functools
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import mechanet.backend
from mechanet.layers import Pass
from mechanet.network.batch import Batch
from mechanet.network.chain import Chain
from mechanet.types import Array

CHUNKS = 8  # of a full batch, each with a gradient of its own, so that no worker is idle for long


def slices(rows: int, size: int) -> list[slice]:
    """Slices of at most `size` rows."""
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def loss_and_gradient(chain: Chain, loss: Any, batch: Batch, training: Pass | None = None) -> tuple[Array, Array]:
    """Forward, loss, backward: fill `chain.gradient`; return the loss and the number of correct predictions.

    Both are 0-d; a regression has None in place of correct predictions. Many rows are worked on in blocks, whose
    losses, correct predictions and gradients add up.
    """
    if batch.size <= chain.block_rows:
        return _of_block(chain, loss, chain.backend.asarray(batch.X), batch.T, batch.c, batch.rows, training)
    blocks = slices(batch.size, chain.block_rows)
    length = -(-len(blocks) // CHUNKS)
    chunks = [blocks[first : first + length] for first in range(0, len(blocks), length)]
    # A batch that is gathered on the device is not worth threads.
    workers = chain.backend.workers() if batch.rows is None else 1
    free = deque([chain, *chain.replicas(workers - 1)])

    def work(chunk: list[slice]) -> tuple[Array, Array, Array]:
        worker = free.pop()
        try:
            return _of_chunk(worker, loss, batch, chunk, training)
        finally:
            free.append(worker)

    value, correct, total = 0.0, 0, chain.xp.zeros_like(chain.sums)
    for part, correct_part, sums in chain.backend.run_parallel(
        [functools.partial(work, chunk) for chunk in chunks], workers
    ):
        value, correct = value + part, _sum(correct, correct_part)
        total += sums
    chain.sums[...] = total
    return value, correct


def _of_block(
    chain: Chain, loss: Any, X: Array, T: Array, c: Array, rows: Array, training: Pass | None
) -> tuple[Array, Array]:
    Z, caches = chain.forward(X, rows, training)
    value, dZ, correct = loss.measure(chain.xp, Z, T, c)
    chain.backward(dZ, caches)
    return value, correct


def _of_chunk(
    chain: Chain, loss: Any, batch: Batch, blocks: list[slice], training: Pass | None
) -> tuple[Array, Array, Array]:
    """Loss, correct predictions and sums of some blocks, one after the other."""
    value, correct, total = 0.0, 0, chain.xp.zeros_like(chain.sums)
    stream = chain.backend.stream(batch.X, blocks) if batch.rows is None else None
    for block in blocks:
        X, rows = (batch.X, batch.rows[block]) if stream is None else (next(stream), None)
        c = batch.c[block]
        part = _of_block(chain, loss, X, batch.T[block, ...], c, rows, training and training.block(block.start))
        if chain.share is not None:  # what a block shows counts for its share of the batch
            chain.observed[...] = chain.observed * chain.xp.sum(c)
        value, correct = value + part[0], _sum(correct, part[1])
        total += chain.sums
    return value, correct, total


def loss_and_correct(chain: Chain, loss: Any, batch: Batch) -> tuple[Array, Array]:
    """The loss and the number of correct predictions, as in prediction; both 0-d on the device."""

    def of_block(block: slice, X: Array) -> tuple[Array, Array]:
        value, _, correct = loss.measure(chain.xp, chain.scores(X), batch.T[block, ...], batch.c[block])
        return value, correct

    def of_blocks(size: int) -> tuple[Array, Array]:
        value, correct = 0.0, 0
        for part, correct_part in _each(chain, batch.X, size, of_block):
            value, correct = value + part, _sum(correct, correct_part)
        return value, correct

    return mechanet.backend.in_blocks(of_blocks, min(chain.block_rows, batch.size))


def scores(chain: Chain, X: Array) -> Array:
    """Raw scores Z (n, k)."""
    if X.shape[0] == 1:
        return chain.scores(chain.backend.asarray(X))

    def of_blocks(size: int) -> Array:
        if X.shape[0] <= size:
            return chain.scores(chain.backend.asarray(X))
        Z = chain.backend.zeros((X.shape[0], *chain.output_shape), chain.array_dtype)

        def of_block(block: slice, X_block: Array) -> None:
            Z[block, ...] = chain.scores(X_block)

        for _ in _each(chain, X, size, of_block):
            pass
        return Z

    return mechanet.backend.in_blocks(of_blocks, min(chain.block_rows, X.shape[0]))


def _each(chain: Chain, X: Array, size: int, of_block: Callable[[slice, Array], Any]) -> Iterator[Any]:
    """What `of_block` gives for each block of `size` rows, in their order."""
    backend, blocks = chain.backend, slices(X.shape[0], size)
    if len(blocks) == 1:
        yield of_block(blocks[0], backend.asarray(X))
        return
    with backend.threads("auto", chain.work * size) as workers:
        if workers == 1:
            yield from map(of_block, blocks, backend.stream(X, blocks))
        else:
            tasks = [lambda block=block: of_block(block, backend.asarray(X[block, ...])) for block in blocks]
            yield from backend.run_parallel(tasks, workers)


def _sum(correct: Array, part: Array) -> Array:
    return None if part is None else correct + part
