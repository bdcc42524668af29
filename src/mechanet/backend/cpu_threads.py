"""Threads for NumPy's BLAS: as many as pay off."""

import contextlib
import contextvars
import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

WORK_OF_A_THREAD = 6e8  # operations of a product that justify another thread


def threads_for(work: float, most: int) -> int:
    """Threads for products of at most `work` operations: one for every 600 million, at least 1 and at most `most`.

    Threads split a product and then wait for the slowest. Below a few milliseconds of work the waiting costs more
    than the splitting saves, and many times more if another process occupies one of the cores.
    """
    return max(1, min(most, cores(), int(work / WORK_OF_A_THREAD)))


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def blas() -> Any:
    """threadpoolctl's handle on NumPy's BLAS, and on any other that is loaded."""
    import threadpoolctl  # on first use: it would be a large part of the time of `import mechanet`

    return threadpoolctl.ThreadpoolController().select(user_api="blas")


# The workers of the enclosing `limited` block: an inner block may give BLAS back the threads that they have.
WORKERS: contextvars.ContextVar[int] = contextvars.ContextVar("workers", default=1)


@contextlib.contextmanager
def limited(threads: int | str | None, work: float) -> Iterator[int]:
    """Give BLAS `threads` threads inside the block and restore its own afterwards; yield the number of workers.

    With ``"auto"`` BLAS gets what `threads_for` finds for `work`, the operations of a step's largest product, and
    the threads that it had beyond that become workers. Any other count leaves one worker; None changes nothing.
    """
    if threads is None:
        yield WORKERS.get()
        return
    had = max((pool["num_threads"] for pool in blas().info()), default=1)
    may_have = had * WORKERS.get()  # more than one worker: an outer block took these threads from BLAS
    count = threads_for(work, may_have) if threads == "auto" else int(threads)
    free = max(1, min(may_have, cores()) // count) if threads == "auto" else 1
    before = WORKERS.set(free)
    try:
        with contextlib.nullcontext() if count == had else blas().limit(limits=count):
            yield free
    finally:
        WORKERS.reset(before)


def run_parallel(tasks: Sequence[Callable[[], Any]], workers: int) -> Iterable[Any]:
    """The results of the tasks, in their order.

    A single worker runs them one by one in this thread. Several are threads in copies of this context; each takes
    the next waiting task when it is free, so that none waits for another whose core is busy with something else.
    """
    if workers == 1:
        return (task() for task in tasks)
    from concurrent.futures import ThreadPoolExecutor  # on first use: it would slow down `import mechanet`

    waiting = deque(enumerate(tasks))
    results: list[Any] = [None] * len(tasks)

    def work() -> None:
        while True:
            try:
                number, task = waiting.popleft()
            except IndexError:
                return
            try:
                results[number] = task()
            except BaseException:
                waiting.clear()
                raise

    with ThreadPoolExecutor(workers - 1) as pool:
        others = [pool.submit(contextvars.copy_context().run, work) for _ in range(workers - 1)]
        work()
        for other in others:
            other.result()
    return results
