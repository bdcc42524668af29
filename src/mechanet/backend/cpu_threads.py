"""Threads of NumPy's BLAS: no more than the work deserves."""

import contextlib
import functools
import os
from typing import Any

WORK_OF_A_THREAD = 6e8  # operations of one product that are worth a thread of their own


def threads_for(work: float, most: int) -> int:
    """Threads for products of at most `work` operations: one for every 600 million, at least 1 and at most `most`.

    Threads split a product and wait for the slowest of them. Below some milliseconds of work the waiting costs
    more than the splitting gives, many times more where another process is on one of the cores.
    """
    return max(1, min(most, cores(), int(work / WORK_OF_A_THREAD)))


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def blas() -> Any:
    """NumPy's BLAS, and others that are loaded, as threadpoolctl sees them."""
    import threadpoolctl  # on first use: it would take a good part of the time of `import mechanet`

    return threadpoolctl.ThreadpoolController().select(user_api="blas")


def limited(threads: int | str | None, network: Any, rows: int | None) -> contextlib.AbstractContextManager:
    """Inside the block BLAS has `threads` threads, afterwards what it had before.

    ``"auto"`` is what `threads_for` says of the largest product of a step, never more than it had; None leaves it
    alone.
    """
    if threads is None:
        return contextlib.nullcontext()
    weights = max((view.size for layer in network.layers for view in layer.parameters.values()), default=0)
    work = 2.0 * weights * min(rows or network.block_rows, network.block_rows)
    had = max((pool["num_threads"] for pool in blas().info()), default=1)
    count = threads_for(work, had) if threads == "auto" else int(threads)
    return contextlib.nullcontext() if count == had else blas().limit(limits=count)
