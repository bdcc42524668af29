"""Threads of NumPy's BLAS: no more than the work deserves."""

import contextlib
import contextvars
import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
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


# Threads that BLAS leaves free, for blocks of rows to be worked on side by side.
WORKERS: contextvars.ContextVar[int] = contextvars.ContextVar("workers", default=1)


@contextlib.contextmanager
def limited(threads: int | str | None, work: float) -> Iterator[None]:
    """Inside the block BLAS has `threads` threads, afterwards what it had before.

    ``"auto"`` is what `threads_for` says of `work`, the operations of a step's largest product, never more than it
    had; those it had beyond are free for `WORKERS`. None leaves it alone.
    """
    if threads is None:
        yield
        return
    had = max((pool["num_threads"] for pool in blas().info()), default=1)
    may_have = had * WORKERS.get()  # more than one worker: an outer block took the rest from BLAS
    count = threads_for(work, may_have) if threads == "auto" else int(threads)
    free = max(1, min(may_have, cores()) // count) if threads == "auto" else 1
    before = WORKERS.set(free)
    try:
        with contextlib.nullcontext() if count == had else blas().limit(limits=count):
            yield
    finally:
        WORKERS.reset(before)


def run_parallel(works: Sequence[Callable[[], Any]], workers: int) -> Iterable[Any]:
    """The results of the `works`, in their order.

    One worker does them here, one after the other; more take the next that waits whenever they are ready, so that
    none waits for one whose core is busy with something else. Each is a thread in the same context.
    """
    if workers == 1:
        return (work() for work in works)
    from concurrent.futures import ThreadPoolExecutor  # on first use, for the sake of the import

    waiting: deque = deque(enumerate(works))
    results: list[Any] = [None] * len(works)

    def work() -> None:
        while True:
            try:
                number, next_work = waiting.popleft()
            except IndexError:
                return
            try:
                results[number] = next_work()
            except BaseException:
                waiting.clear()
                raise

    with ThreadPoolExecutor(workers - 1) as pool:
        others = [pool.submit(contextvars.copy_context().run, work) for _ in range(workers - 1)]
        work()
        for other in others:
            other.result()
    return results
