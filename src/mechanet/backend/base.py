"""Backends: an array namespace on a device, and how arrays move in and out of it."""

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
    """A device that cannot be used on this machine; the message says why and what to do."""


class Backend:
    """An array namespace and one of its devices.

    This class uses nothing beyond the array API standard. Its subclasses use what their library adds: an ``out=``
    argument that saves a temporary array, or a current device.

    Attributes
    ----------
    xp : module
        The array namespace, as array-api-compat presents it.
    device : object
        What `xp` calls the device; None for its default.
    name : str
        The device string that users see.
    row_numbers : str
        The integer type for which `take` is fastest.
    """

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

    def current(self, work: str = "") -> contextlib.AbstractContextManager[None]:
        """Make this the current device, for libraries that have one.

        `work` names what is done inside, such as ``"batch_size=128"``, for the error raised when memory runs out.
        """
        # The mathematics needs the standard of 2024; scikit-learn 1.6 sets array-api-strict back to that of 2023.
        flags = getattr(self.xp, "ArrayAPIStrictFlags", None)
        return flags(api_version="2024.12") if flags else contextlib.nullcontext()

    def dtype(self, name: str) -> Any:
        """The data type of the namespace with that name."""
        return getattr(self.xp, name)

    def holds(self, x: Any) -> bool:
        """Whether `x` is an array of this namespace on this device."""
        return (
            array_api_compat.is_array_api_obj(x)
            and array_api_compat.array_namespace(x) is self.xp
            and (self.device is None or array_api_compat.device(x) == self.device)
        )

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        """Move `x` (an array of any library, or a sequence) to this device, without a copy where possible."""
        if not self.holds(x):
            x = to_host(x)
            if not x.flags.writeable:  # PyTorch would share its memory, and has no read-only tensors
                x = x.copy()
            x = self.xp.asarray(x, device=self.device)
        return x if dtype is None or x.dtype == dtype else self.xp.astype(x, dtype)

    def ingest(self, x: Any) -> Any:
        """An input array: left on, or moved to, this device if that needs no host copy; else on the host."""
        return x if self.holds(x) else to_host(x)

    def stream(self, X: Any, chosen: Iterable[Any]) -> Iterator[Any]:
        """Yield the `chosen` rows of X (slices, or host arrays of row numbers) on this device, batch by batch.

        A batch stays valid until the one after the next is requested.
        """
        for rows in chosen:
            yield self.asarray(X[rows, ...])

    def to_host(self, x: Any) -> np.ndarray:
        """Copy an array of this device to the host, waiting for it to be computed."""
        return to_host(x)

    def zeros(self, shape: Any, dtype: Any) -> Any:
        """A new array of zeros on this device."""
        return self.xp.zeros(shape, dtype=dtype, device=self.device)

    def block_bytes(self) -> int:
        """The size of a block of rows that is processed at a time: small enough to stay in a CPU's cache."""
        return 4 << 20

    def fits(self, size: int) -> bool:
        """Whether an array of `size` bytes should be moved to the device at once rather than batch by batch."""
        return True

    def return_like(self, result: Any, x: Any) -> Any:
        """Return `result` in the library and on the device of the input `x`; on the host for a sequence."""
        if not array_api_compat.is_array_api_obj(x) or array_api_compat.is_numpy_array(x):
            return self.to_host(result)
        if array_api_compat.array_namespace(x) is self.xp:
            device = array_api_compat.device(x)
            on_device = array_api_compat.device(result) == device
            return result if on_device else array_api_compat.to_device(result, device)
        return array_api_compat.array_namespace(x).asarray(self.to_host(result), device=array_api_compat.device(x))

    def check_scores(self, Z: Any, x: Any) -> None:
        """Refuse scores that are not finite; only if `x` came from the host, so that no device has to wait."""
        if isinstance(x, np.ndarray) and not np.isfinite(self.to_host(Z)).all():
            checks.finite("x", x)
            raise ValueError(
                "the network's scores are not finite although x is. Received: parameters or data so large that "
                "they overflow. Scale the data, or train again with a lower learning rate."
            )

    def threads(self, count: Any, work: float) -> contextlib.AbstractContextManager[int]:
        """Give BLAS `count` threads while the block runs; yield how many workers `run_parallel` should have in it.

        With ``"auto"`` BLAS gets as many threads as pay off for products of `work` operations, and workers get the
        others.
        """
        return contextlib.nullcontext(1)

    def workers(self) -> int:
        """What the innermost `threads` block around the caller has yielded; 1 outside of any."""
        return 1

    def run_parallel(self, tasks: Sequence[Callable[[], Any]], workers: int) -> Iterable[Any]:
        """The results of the tasks, in their order, computed by that many workers."""
        return (task() for task in tasks)

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
    """A namespace whose functions take ``out=``: the result is written in place, without a copy."""

    def matmul(self, A: Any, B: Any, out: Any) -> None:
        self.xp.matmul(A, B, out=out)

    def sum_rows(self, A: Any, out: Any) -> None:
        self.xp.sum(A, axis=0, out=out)


class HostMemoryError(MemoryError):
    """The host does not have enough memory; the message says for what, and what to try."""


class _NumpyContext:
    """Silences NumPy's warnings about numbers that are not finite, and explains errors when memory runs out."""

    def __init__(self, work: str):
        self.work = work
        # Checks of inputs and results find what is not finite, and name it; a warning would only come first.
        self.errstate = np.errstate(over="ignore", invalid="ignore", divide="ignore")

    def __enter__(self) -> None:
        self.errstate.__enter__()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.errstate.__exit__(kind, error, traceback)
        if isinstance(error, MemoryError) and not isinstance(error, HostMemoryError):
            size = ""
            if hasattr(error, "shape") and hasattr(error, "dtype"):  # NumPy's own error carries both
                size = f"{math.prod(error.shape) * error.dtype.itemsize:,} more bytes were needed. "
            raise HostMemoryError(
                f"this machine does not have enough memory{f' for {self.work}' if self.work else ''}. {size}"
                'Try a smaller batch_size, data as uint8 or float32, dtype="float32", or a smaller network.'
            ) from error


class NumpyBackend(OutBackend):
    """NumPy: the host itself."""

    row_numbers = "int64"

    def current(self, work: str = "") -> contextlib.AbstractContextManager[None]:
        return _NumpyContext(work)

    def holds(self, x: Any) -> bool:
        return type(x) is np.ndarray

    def return_like(self, result: Any, x: Any) -> Any:
        return result if isinstance(x, np.ndarray) else super().return_like(result, x)

    def check_scores(self, Z: Any, x: Any) -> None:
        if np.count_nonzero(np.isfinite(Z)) < Z.size:  # half the time of all(), which matters for a single row
            super().check_scores(Z, x)

    def take(self, A: Any, rows: Any) -> Any:
        return A.take(rows, axis=0)  # the method avoids NumPy's Python wrapper

    def sum_rows(self, A: Any, out: Any) -> None:
        cpu_loops.sum_rows(A, out)

    def threads(self, count: Any, work: float) -> contextlib.AbstractContextManager[int]:
        return cpu_threads.limited(count, work)

    def workers(self) -> int:
        return cpu_threads.WORKERS.get()

    def run_parallel(self, tasks: Sequence[Callable[[], Any]], workers: int) -> Iterable[Any]:
        return cpu_threads.run_parallel(tasks, workers)


def in_blocks(work: Callable[[int], Any], rows: int) -> Any:
    """The result of ``work(rows)``, where `rows` is the size of its blocks: halved each time memory runs out."""
    while True:
        try:
            return work(rows)
        except MemoryError:
            if rows == 1:
                raise
        rows = -(-rows // 2)


def to_host(x: Any) -> np.ndarray:
    """An array of any library, or a sequence of numbers, as a NumPy array on the host."""
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
