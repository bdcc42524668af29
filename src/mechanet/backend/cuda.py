"""CUDA through CuPy. With its errors (cuda_errors.py) and the fused kernels, the only place that names CuPy."""

import contextlib
import functools
import importlib
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import array_api_compat
import numpy as np

from mechanet.backend import cuda_errors
from mechanet.backend.base import OutBackend, to_host

CUDA, CUDA_MANAGED = 2, 13  # device types of DLPack


class CudaBackend(OutBackend):
    """CuPy on one CUDA device, which is made current on entry and restored on exit."""

    def __init__(self, xp: ModuleType, number: int):
        super().__init__(xp, _cupy().cuda.Device(number), f"cuda:{number}")

    def block_bytes(self) -> int:
        """An eighth of the free memory, but no more than it takes to keep the device busy."""
        return min(256 << 20, max(self._free_bytes() // 8, 1 << 20))

    def _free_bytes(self) -> int:
        with _cupy().cuda.Device(self.device.id):
            pool = _cupy().get_default_memory_pool()
            free = _cupy().cuda.runtime.memGetInfo()[0] + pool.free_bytes()
            limit = pool.get_limit()
            return min(free, limit - pool.used_bytes()) if limit else free

    @contextlib.contextmanager
    def current(self, work: str = "") -> Iterator[None]:
        with _cupy().cuda.Device(self.device.id):
            try:
                yield
            except Exception as error:
                raise_explained(error, self, work)
                raise

    def holds(self, x: Any) -> bool:
        return array_api_compat.is_cupy_array(x) and x.device.id == self.device.id

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        with _cupy().cuda.Device(self.device.id):
            x = self.ingest(x)
            if isinstance(x, np.ndarray):
                x = _cupy().asarray(x)
            return x if dtype is None or x.dtype == dtype else x.astype(dtype)

    def ingest(self, x: Any) -> Any:
        if self.holds(x):
            return x
        if not on_cuda(x):
            return to_host(x)
        with _cupy().cuda.Device(self.device.id):
            if array_api_compat.is_cupy_array(x):
                return _cupy().array(x)  # from another GPU
            x = _cupy().from_dlpack(x) if hasattr(x, "__dlpack__") else _cupy().asarray(x)
            return x if self.holds(x) else _cupy().array(x)

    def to_host(self, x: Any) -> np.ndarray:
        with _cupy().cuda.Device(self.device.id):
            return _cupy().asnumpy(x)

    def fits(self, size: int) -> bool:
        return size < self._free_bytes() // 2

    def return_like(self, result: Any, x: Any) -> Any:
        if not on_cuda(x) or array_api_compat.is_cupy_array(x):
            return super().return_like(result, x)
        if array_api_compat.is_array_api_obj(x):
            return array_api_compat.array_namespace(x).from_dlpack(result)
        return result

    def zeros(self, shape: Any, dtype: Any) -> Any:
        with _cupy().cuda.Device(self.device.id):
            return self.xp.zeros(shape, dtype=dtype)

    def stream(self, X: Any, chosen: Iterable[Any]) -> Iterator[Any]:
        if not isinstance(X, np.ndarray):
            yield from super().stream(X, chosen)
            return
        # While the device computes on one batch, the host gathers the next into page-locked memory, from which a
        # second stream copies it.
        copying = _cupy().cuda.Stream(non_blocking=True)
        buffers = [_Buffer(copying), _Buffer(copying)]
        ready = None
        for i, rows in enumerate(chosen):
            following = buffers[i % 2].fill(X, rows)
            if ready is not None:
                yield buffers[1 - i % 2].arrived(ready)
            ready = following
        if ready is not None:
            yield buffers[i % 2].arrived(ready)


class _Buffer:
    """A batch in page-locked host memory and in device memory, with events that track the copy between them."""

    def __init__(self, copying: Any):
        self.copying = copying
        self.pinned: Any = None
        self.device: Any = None
        self.copied = _cupy().cuda.Event(disable_timing=True)
        self.used = _cupy().cuda.Event(disable_timing=True)

    def fill(self, X: np.ndarray, rows: Any) -> Any:
        """Start to copy X[rows], once the work now in the current stream is done with the previous batch."""
        batch = X[rows] if isinstance(rows, slice) else None
        m = len(rows) if batch is None else len(batch)
        if self.pinned is None or len(self.pinned) < m:
            import cupyx

            self.pinned = cupyx.empty_pinned((m, *X.shape[1:]), X.dtype)
            self.device = _cupy().empty((m, *X.shape[1:]), X.dtype)
        else:
            self.copied.synchronize()  # the host may write again once the last copy has been read
        pinned, device = self.pinned[:m], self.device[:m]
        if batch is None:
            np.take(X, rows, axis=0, out=pinned, mode="clip")  # "clip" avoids a temporary; rows are in range
        else:
            pinned[...] = batch
        self.used.record()
        self.copying.wait_event(self.used)
        device.set(pinned, stream=self.copying)
        self.copied.record(self.copying)
        return device

    def arrived(self, device: Any) -> Any:
        """`device`, ready for whatever is put into the current stream from now on."""
        _cupy().cuda.get_current_stream().wait_event(self.copied)
        return device


def on_cuda(x: Any) -> bool:
    """Whether `x` is an array, of any library, in the memory of a CUDA device."""
    if isinstance(x, (np.ndarray, list, tuple)):
        return False
    if hasattr(x, "__dlpack_device__"):
        return x.__dlpack_device__()[0] in (CUDA, CUDA_MANAGED)
    return hasattr(x, "__cuda_array_interface__")


def _cupy() -> ModuleType:
    return importlib.import_module("cupy")


def count() -> int:
    """The number of CUDA devices; DeviceError if CUDA does not work, with the reason and what to do."""
    try:
        cupy = _cupy()
        number = cupy.cuda.runtime.getDeviceCount()
        importlib.import_module("cupy.cublas")  # loads the library now, not in the first product
    except Exception as error:
        raise cuda_errors.unusable(error, _cupy) from error
    return number


@functools.cache
def backend(number: int) -> CudaBackend:
    """The backend of device `number`."""
    there = count()
    if number >= there:
        raise cuda_errors.no_such_device(number, there)
    return CudaBackend(importlib.import_module("array_api_compat.cupy"), number)


def raise_explained(error: Exception, backend: CudaBackend, work: str) -> None:
    """If `error` is one of CUDA's that can be explained, raise from it an error that says what to do."""
    explained = cuda_errors.explain(error, backend.name, backend._free_bytes, work)
    if explained is not None:
        raise explained from error


def describe(number: int) -> dict[str, Any]:
    """Device `number` as `mechanet.devices` describes it."""
    cupy, device = _cupy(), backend(number)
    with device.current():
        free, total = cupy.cuda.runtime.memGetInfo()
        properties = cupy.cuda.runtime.getDeviceProperties(number)
    name = properties["name"]
    name = name.decode() if isinstance(name, bytes) else name
    driver, runtime = (cuda_errors.version(v) for v in (cupy.cuda.runtime.driverGetVersion(),
                                                        cupy.cuda.runtime.runtimeGetVersion()))  # fmt: skip
    text = (
        f"{name}, compute capability {properties['major']}.{properties['minor']}, "
        f"CuPy {cupy.__version__} for CUDA {runtime}, driver for CUDA {driver}"
    )
    return {"name": device.name, "description": text, "usable": True, "memory_bytes": total, "free_bytes": free}
