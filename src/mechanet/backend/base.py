"""Backends: an array namespace on a device, and moving arrays in and out of it."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np

from mechanet import checks
from mechanet.backend import cpu_loops, cpu_threads


class DeviceError(RuntimeError):
    """A device that this machine cannot give; the message says why and what to do."""


class Backend:
    """An array namespace on a device of it.

    This class uses nothing beyond the standard. Its subclasses use what their library adds: an ``out=``
    argument that saves a temporary, or a current device.

    Attributes
    ----------
    xp : module
        The array namespace, as array-api-compat presents it.
    device : object
        What `xp` calls the device; None for its default.
    name : str
        The device string users see.
    block_bytes : int
        The size of a block of rows that is worked on at a time: small enough to stay in a CPU's cache.
    row_numbers : str
        The type of the row numbers that `take` takes fastest.
    """

    block_bytes = 4 << 20
    row_numbers = "int32"

    def __init__(self, xp: ModuleType, device: Any, name: str):
        self.xp = xp
        self.device = device
        self.name = name

    def __repr__(self) -> str:
        return f"Backend({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Backend) and (self.xp, self.name) == (other.xp, other.name)

    def __hash__(self) -> int:
        return hash((self.xp, self.name))

    def current(self, work: str = "") -> contextlib.AbstractContextManager:
        """Make this device the current one, for libraries that have such a thing.

        `work` says what is done inside, such as ``"batch_size=128"``, for the error where memory runs out.
        """
        # The mathematics is the standard's of 2024; scikit-learn 1.6 turns array-api-strict back to that of 2023.
        flags = getattr(self.xp, "ArrayAPIStrictFlags", None)
        return flags(api_version="2024.12") if flags else contextlib.nullcontext()

    def dtype(self, name: str) -> Any:
        """The namespace's data type of that name."""
        return getattr(self.xp, name)

    def holds(self, x: Any) -> bool:
        """Whether `x` is an array of this namespace on this device."""
        return (
            array_api_compat.is_array_api_obj(x)
            and array_api_compat.array_namespace(x) is self.xp
            and (self.device is None or array_api_compat.device(x) == self.device)
        )

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        """Bring `x` (an array of any library, or a sequence) to this device, without a copy where possible."""
        if not self.holds(x):
            x = to_host(x)
            if not x.flags.writeable:  # PyTorch shares memory with what it is given, and has no read-only tensors
                x = x.copy()
            x = self.xp.asarray(x, device=self.device)
        return x if dtype is None or x.dtype == dtype else self.xp.astype(x, dtype)

    def ingest(self, x: Any) -> Any:
        """`x`, which came in at the door: on this device where no trip leads over the host, else on the host."""
        return x if self.holds(x) else to_host(x)

    def stream(self, X: Any, chosen: Iterable[Any]) -> Iterator[Any]:
        """The `chosen` rows of X (slices or host arrays of row numbers) on this device, batch by batch.

        A batch is valid until the next but one is asked for.
        """
        for rows in chosen:
            yield self.asarray(X[rows, ...])

    def to_host(self, x: Any) -> np.ndarray:
        """Bring an array of this device to the host, waiting for it."""
        return to_host(x)

    def zeros(self, shape: Any, dtype: Any) -> Any:
        return self.xp.zeros(shape, dtype=dtype, device=self.device)

    def fits(self, size: int) -> bool:
        """Whether an array of `size` bytes is best moved to the device at once, rather than batch by batch."""
        return True

    def return_like(self, result: Any, x: Any) -> Any:
        """Give `result` where `x`, which came in at the door, lives: host arrays and sequences in, host out."""
        if not array_api_compat.is_array_api_obj(x) or array_api_compat.is_numpy_array(x):
            return self.to_host(result)
        if array_api_compat.array_namespace(x) is self.xp:
            device = array_api_compat.device(x)
            here = array_api_compat.device(result) == device
            return result if here else array_api_compat.to_device(result, device)
        return array_api_compat.array_namespace(x).asarray(self.to_host(result), device=array_api_compat.device(x))

    def check_scores(self, Z: Any, x: Any) -> None:
        """Refuse scores that are not finite; only where `x` came from the host, so that no device waits."""
        if isinstance(x, np.ndarray) and not np.isfinite(self.to_host(Z)).all():
            checks.finite("x", x)
            raise ValueError(
                "the network's scores are not finite although x is. Received: parameters or data so large that "
                "they overflow. Scale the data, or train again with a lower learning rate."
            )

    def threads(self, count: Any, work: float) -> contextlib.AbstractContextManager:
        """Give BLAS `count` threads; ``"auto"``: as many as pay off for products of `work` operations."""
        return contextlib.nullcontext()

    def workers(self) -> int:
        """How many pieces of work are best done side by side, inside `threads`."""
        return 1

    def run_parallel(self, works: Sequence[Callable[[], Any]], workers: int) -> Iterable[Any]:
        """The results of the `works` in their order, done by as many `workers`."""
        return (work() for work in works)

    def matmul(self, A: Any, B: Any, out: Any) -> None:
        """out ← A B."""
        out[...] = A @ B

    def take(self, A: Any, rows: Any) -> Any:
        """A[rows], for an array of row numbers."""
        return self.xp.take(A, rows, axis=0)  # (n, ...) -> (m, ...)

    def sum_rows(self, A: Any, out: Any) -> None:
        """out ← Σ_rows A."""
        out[...] = self.xp.sum(A, axis=0)


class OutBackend(Backend):
    """A namespace whose functions take ``out=``: the result is written where it belongs, without a copy."""

    def matmul(self, A: Any, B: Any, out: Any) -> None:
        self.xp.matmul(A, B, out=out)

    def sum_rows(self, A: Any, out: Any) -> None:
        self.xp.sum(A, axis=0, out=out)


class HostMemoryError(MemoryError):
    """The host's memory does not suffice; the message says for what, and what to try."""


class _AtWork:
    """NumPy at work: no warnings of what is not finite, and an explanation where memory runs out."""

    def __init__(self, work: str):
        self.work = work
        # What is not finite is found and named at the doors; a warning from inside would only come first.
        self.errstate = np.errstate(over="ignore", invalid="ignore", divide="ignore")

    def __enter__(self):
        self.errstate.__enter__()

    def __exit__(self, kind, error, traceback):
        self.errstate.__exit__(kind, error, traceback)
        if isinstance(error, MemoryError) and not isinstance(error, HostMemoryError):
            size = ""
            if hasattr(error, "shape") and hasattr(error, "dtype"):  # NumPy's own says what it was for
                size = f"{math.prod(error.shape) * error.dtype.itemsize:,} bytes more were wanted. "
            raise HostMemoryError(
                f"the memory of this machine does not suffice{f' for {self.work}' if self.work else ''}. {size}"
                'Try a smaller batch_size, data as uint8 or float32, dtype="float32", or a smaller network.'
            ) from error


class NumpyBackend(OutBackend):
    """NumPy: the host itself."""

    row_numbers = "int64"

    def current(self, work=""):
        return _AtWork(work)

    def holds(self, x: Any) -> bool:
        return type(x) is np.ndarray

    def return_like(self, result: Any, x: Any) -> Any:
        return result if isinstance(x, np.ndarray) else super().return_like(result, x)

    def check_scores(self, Z: Any, x: Any) -> None:
        if np.count_nonzero(np.isfinite(Z)) < Z.size:  # half the time of all(), which a single row notices
            super().check_scores(Z, x)

    def take(self, A: Any, rows: Any) -> Any:
        return A.take(rows, axis=0)  # without the detour of the function

    def sum_rows(self, A: Any, out: Any) -> None:
        cpu_loops.sum_rows(A, out)

    def threads(self, count, work):
        return cpu_threads.limited(count, work)

    def workers(self) -> int:
        return cpu_threads.WORKERS.get()

    def run_parallel(self, works: Sequence[Callable[[], Any]], workers: int) -> Iterable[Any]:
        return cpu_threads.run_parallel(works, workers)


def in_blocks(work: Callable[[int], Any], rows: int) -> Any:
    """``work(rows)``, `rows` being how many it takes at a time; half as many whenever memory has run out."""
    while True:
        try:
            return work(rows)
        except MemoryError:
            if rows == 1:
                raise
        rows = -(-rows // 2)


def to_host(x: Any) -> np.ndarray:
    """Bring an array of any library, or a sequence of numbers, to the host as a NumPy array."""
    if type(x) is np.ndarray:
        return x
    if array_api_compat.is_cupy_array(x):
        return x.get()
    if array_api_compat.is_torch_array(x):
        return x.detach().cpu().numpy()
    if array_api_compat.is_array_api_obj(x):
        strict = array_api_compat.array_namespace(x)
        if hasattr(strict, "Device"):
            x = array_api_compat.to_device(x, strict.Device("CPU_DEVICE"))
    return np.asarray(x)
